/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/handed.h"
#include "common/link.h"
#include "common/outlet.h"

static char dir[64], path[80];
static struct err e;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/u-link-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
}

static void
teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(test_hello)
{
	struct hello h = {.role = LINK_RECORDS,
			  .stream = UINT64_MAX,
			  .number = 7,
			  .forget = true};
	char buf[HELLO_MAX];
	struct hello got;
	size_t len;

	memcpy(h.name, "local\\netflow", 14);
	memset(h.table, 't', LINK_TABLE_MAX - 1);
	memcpy(h.host, "r1", 3);
	len = hello_pack(buf, &h);
	ck_assert_int_eq(hello_read(buf, len, LINK_RECORDS, &got, &e), 0);
	ck_assert_str_eq(got.name, h.name);
	ck_assert_str_eq(got.table, h.table);
	ck_assert_str_eq(got.host, h.host);
	ck_assert_uint_eq(got.stream, h.stream);
	ck_assert_uint_eq(got.number, h.number);
	ck_assert(got.forget);
	ck_assert_int_ne(hello_read(buf, len, LINK_DATAGRAMS, &got, &e), 0);
	ck_assert_str_eq(e.text, "it is not about datagrams");
	for (size_t i = 0; i < len; i++) /* cut anywhere */
		ck_assert_int_ne(hello_read(buf, i, LINK_RECORDS, &got, &e), 0);
	memset(h.error, 'x', sizeof(h.error) - 1);
	len = hello_pack(buf, &h);
	ck_assert_int_ne(hello_read(buf, len, LINK_RECORDS, &got, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "it says: xxx"));
}
END_TEST

START_TEST(test_hello_wrong)
{
	/* {"version": 2}, {"version": 1}, {}, 1, names too long and no text */
	static const struct {
		const char *bytes;
		size_t len;
		const char *what;
	} bad[] = {
	    {"\x81\xa7version\x02", 10, "version 2"},
	    {"\x81\xa7version\x01", 10, "not about records"},
	    {"\x80", 1, "no hello"},
	    {"\x01", 1, "no hello"},
	    {"\x83\xa7version\x01\xa4role\xa7records\xa4name\x05", 29,
	     "name is no text"},
	    {"\x83\xa7version\x01\xa4role\xa7records\xa6number\xff", 31,
	     "number is no number"},
	    {"\x83\xa7version\x01\xa4role\xa7records\xa4name\xa3"
	     "a\0b",
	     32, "name is no text"},
	};
	struct hello got;
	char buf[HELLO_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_ne(hello_read(bad[i].bytes, bad[i].len,
					    LINK_RECORDS, &got, &e),
				 0);
		ck_assert_msg(strstr(e.text, bad[i].what) != NULL, "%s",
			      e.text);
	}
	srand(1);
	for (int i = 0; i < 20000; i++) { /* whatever it is */
		struct hello h = {.role = LINK_RECORDS, .number = 1};
		size_t len = hello_pack(buf, &h);

		for (int k = 0; k < 3; k++)
			buf[(size_t)rand() % len] = (char)rand();
		(void)hello_read(buf, len, LINK_RECORDS, &got, &e);
	}
}
END_TEST

START_TEST(test_mark)
{
	struct mark m = {UINT64_MAX, 1}, got;
	char buf[MARK_MAX];
	size_t len = mark_pack(buf, &m);

	ck_assert_int_eq(mark_read(buf, len, &got, &e), 0);
	ck_assert_uint_eq(got.stream, UINT64_MAX);
	ck_assert_uint_eq(got.number, 1);
	ck_assert_int_ne(mark_read(buf, len - 1, &got, &e), 0);
	ck_assert_int_ne(mark_read("\x92\x01\xff", 3, &got, &e), 0);
	ck_assert_int_ne(mark_read("\x91\x01", 2, &got, &e), 0);
	ck_assert_int_ne(mark_read("\x01", 1, &got, &e), 0);
}
END_TEST

/* In whatever pieces it comes. */
START_TEST(test_mail)
{
	static struct mail mail;
	char buf[2000];
	const char *obj;
	struct mark m;
	size_t len = 0, n;
	int fds[2];
	uint64_t next = 0;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (uint64_t i = 0; i < 50; i++) {
		m = (struct mark){i << 40, i};
		len += mark_pack(buf + len, &m);
	}
	for (size_t at = 0; at < len; at += n) {
		n = 1 + at % 37;
		n = n < len - at ? n : len - at;
		ck_assert_int_eq(link_send(fds[0], buf + at, n, &e), 0);
		while (mail_next(&mail, fds[1], &obj, &n, &e) == 1) {
			ck_assert_int_eq(mark_read(obj, n, &m, &e), 0);
			ck_assert_uint_eq(m.number, next++);
		}
		n = 1 + at % 37;
		n = n < len - at ? n : len - at;
	}
	ck_assert_uint_eq(next, 50);
	/* an object that never ends */
	memset(buf, 0, sizeof(buf));
	buf[0] = (char)0xc6;
	buf[3] = (char)0xff;
	ck_assert_int_eq(link_send(fds[0], buf, 100, &e), 0);
	ck_assert_int_eq(mail_next(&mail, fds[1], &obj, &n, &e), -1);
	ck_assert_int_eq(e.code, 0);
	mail.start = mail.end = 0;
	close(fds[0]);
	ck_assert_int_eq(mail_next(&mail, fds[1], &obj, &n, &e), -1);
	ck_assert_int_eq(e.code, EPIPE);
	close(fds[1]);
}
END_TEST

START_TEST(test_listen)
{
	struct link_listener l = {0}, other;
	struct stat st;
	int fd;

	link_unlisten(&l);
	ck_assert_ptr_null(link_path("/x"));
	ck_assert_ptr_null(link_path("unix:"));
	ck_assert_str_eq(link_path("unix:/x"), "/x");
	ck_assert_int_lt(link_connect(path, &e), 0);
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert_int_eq(link_listen(&l, path, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0660);
	ck_assert_int_ne(link_listen(&other, path, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "in use"));
	fd = link_accept(&l); /* of the one that looked */
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_lt(link_accept(&l), 0);
	ck_assert_int_eq(errno, EAGAIN);
	/* a process that was killed leaves its socket */
	close(l.sock.fd);
	ck_assert_int_lt(link_connect(path, &e), 0);
	ck_assert_int_eq(e.code, ECONNREFUSED);
	ck_assert_int_eq(link_listen(&l, path, &e), 0);
	link_unlisten(&l);
	ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

/* A child that was given a socket, as systemd gives it. */
static int
handed_child(int fd)
{
	char pid[32], name[16];
	struct link_listener l;
	struct stat st;

	dup2(fd, 3);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "one:two", 1);
	if (handed_count() != 0)
		return 1;
	setenv("LISTEN_PID", pid, 1);
	if (handed_count() != 1 || handed_get(0, name, sizeof(name)) != 3 ||
	    memcmp(name, "one", 4) != 0 || handed_get(1, name, 3) != 4 ||
	    memcmp(name, "tw", 3) != 0 || handed_unix("/none") != -1)
		return 2;
	if (link_listen(&l, path, &e) != 0 || l.sock.fd != 3 || !l.handed)
		return 3;
	link_unlisten(&l);
	return stat(path, &st) == 0 ? 0 : 4;
}

START_TEST(test_handed)
{
	struct link_listener l;
	int status;
	pid_t pid;

	ck_assert_int_eq(link_listen(&l, path, &e), 0);
	pid = fork();
	if (pid == 0)
		_exit(handed_child(l.sock.fd));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	link_unlisten(&l);
}
END_TEST

/* ---- an outlet and its readers ---- */

struct served {
	struct event_base *base;
	struct ring *ring;
	struct outlet *outlet;
	int room;
};

static void
on_room(void *ctx)
{
	struct served *s = ctx;

	s->room++;
}

static void
serve(struct served *s)
{
	struct ring_options o = {.size = 1 << 20, .chunk = 64 << 10};
	struct err note;

	*s = (struct served){.base = event_base_new()};
	s->ring = ring_open(&o, &note, &e);
	ck_assert_ptr_nonnull(s->ring);
	s->outlet = outlet_new(s->base, s->ring, path, LINK_DATAGRAMS, &e);
	ck_assert_msg(s->outlet != NULL, "%s", e.text);
	outlet_on_room(s->outlet, on_room, s);
}

static void
unserve(struct served *s)
{
	outlet_free(s->outlet);
	ring_close(s->ring);
	event_base_free(s->base);
}

/* N objects of 1,000 bytes. */
static void
publish(struct served *s, int n)
{
	char *p;

	for (int i = 0; i < n; i++) {
		p = ring_reserve(s->ring, 1000);
		ck_assert_ptr_nonnull(p);
		memset(p, 0, 1000);
		memcpy(p, "\xc5\x03\xe5", 3);
		p[3] = (char)ring_next(s->ring);
		ring_add(s->ring, 1000, 0);
	}
	ring_publish(s->ring);
	outlet_wake(s->outlet);
}

static void
turn(struct served *s)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static int
join(struct served *s, const char *name, struct hello *theirs)
{
	struct hello mine = {.role = LINK_DATAGRAMS};
	static struct mail mail;
	char buf[HELLO_MAX];
	const char *obj;
	size_t len;
	int fd = link_connect(path, &e);

	ck_assert_int_ge(fd, 0);
	snprintf(mine.name, sizeof(mine.name), "%s", name);
	ck_assert_int_eq(link_send(fd, buf, hello_pack(buf, &mine), &e), 0);
	turn(s);
	mail.start = mail.end = 0;
	ck_assert_int_eq(mail_next(&mail, fd, &obj, &len, &e), 1);
	if (hello_read(obj, len, LINK_DATAGRAMS, theirs, &e) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
say(struct served *s, int fd, uint64_t number)
{
	struct mark m = {ring_stream(s->ring), number};
	char buf[MARK_MAX];

	ck_assert_int_eq(link_send(fd, buf, mark_pack(buf, &m), &e), 0);
	turn(s);
}

/* Reads N objects, the first of which has this number. */
static void
expect(struct served *s, int fd, int first, int n)
{
	char buf[1000];

	for (int i = 0; i < n; i++) {
		ssize_t got = 0, k;

		while (got < 1000) {
			k = read(fd, buf + got, sizeof(buf) - (size_t)got);
			if (k < 0 && errno == EAGAIN)
				turn(s);
			else
				ck_assert_int_gt(k, 0);
			got += k > 0 ? k : 0;
		}
		ck_assert_int_eq((unsigned char)buf[3], (first + i) & 0xff);
	}
	turn(s);
	ck_assert_int_lt(read(fd, buf, 1), 0);
	ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(test_serve)
{
	struct outlet_reader who;
	struct served s;
	struct hello h;
	int fd;

	serve(&s);
	publish(&s, 3);
	fd = join(&s, "d", &h);
	ck_assert_uint_eq(h.stream, ring_stream(s.ring));
	ck_assert_uint_eq(h.number, 3);
	expect(&s, fd, 0, 0); /* nothing before it says where to begin */
	say(&s, fd, 1);
	expect(&s, fd, 2, 2);
	publish(&s, 2);
	expect(&s, fd, 4, 2);
	ck_assert(outlet_reader(s.outlet, 0, &who));
	ck_assert_str_eq(who.name, "d");
	ck_assert_uint_eq(who.sent, 4);
	ck_assert(!outlet_reader(s.outlet, 1, &who));
	ck_assert_uint_eq(ring_objects(s.ring), 5);
	s.room = 0;
	say(&s, fd, 4); /* safe */
	ck_assert_uint_eq(ring_objects(s.ring), 1);
	ck_assert_int_gt(s.room, 0);
	/* there is one of each name */
	ck_assert_int_lt(join(&s, "d", &h), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "a reader named d is connected"));
	close(fd);
	turn(&s);
	publish(&s, 1);
	fd = join(&s, "d", &h);
	ck_assert_uint_eq(h.number, 6);
	say(&s, fd, 0); /* it may have forgotten, we have not */
	expect(&s, fd, 5, 2);
	close(fd);
	unserve(&s);
}
END_TEST

/* One that reads nothing holds up nobody, and is told what it missed by the
 * numbers. */
START_TEST(test_slow)
{
	struct outlet_reader who;
	struct served s;
	struct hello h;
	int slow, good;

	serve(&s);
	good = join(&s, "good", &h);
	say(&s, good, 0);
	slow = join(&s, "", &h);
	say(&s, slow, 0);
	for (int i = 0; i < 100; i++) {
		publish(&s, 100);
		expect(&s, good, 1 + 100 * i, 100);
		say(&s, good, (uint64_t)i * 100 + 100);
	}
	ck_assert_uint_le(ring_objects(s.ring), 1000);
	ck_assert(outlet_reader(s.outlet, 0, &who) && !who.name[0]);
	ck_assert_uint_lt(who.sent, 5000);
	close(slow);
	close(good);
	unserve(&s);
}
END_TEST

START_TEST(test_strangers)
{
	static const char junk[2 * HELLO_MAX] = "GET / HTTP/1.0";
	int fds[2 * OUTLET_READERS];
	struct served s;
	struct hello h;
	int fd;

	serve(&s);
	for (size_t i = 0; i < 2 * OUTLET_READERS; i++) {
		fds[i] = link_connect(path, &e);
		turn(&s);
	}
	ck_assert_int_lt(join(&s, "one too many", &h), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "64 readers already"));
	for (size_t i = 0; i < 2 * OUTLET_READERS; i++) {
		if (i % 2)
			(void)link_send(fds[i], junk, i * 60, &e);
		turn(&s);
		close(fds[i]);
	}
	turn(&s);
	fd = join(&s, "good", &h);
	ck_assert_int_ge(fd, 0);
	say(&s, fd, 0);
	publish(&s, 1);
	expect(&s, fd, 1, 1);
	ck_assert_int_eq(link_send(fd, "\x93\1\2\3", 4, &e), 0); /* no mark */
	turn(&s);
	ck_assert_int_eq(read(fd, fds, 1), 0);
	close(fd);
	unserve(&s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("link");
	TCase *tc = tcase_create("link");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_hello);
	tcase_add_test(tc, test_hello_wrong);
	tcase_add_test(tc, test_mark);
	tcase_add_test(tc, test_mail);
	tcase_add_test(tc, test_listen);
	tcase_add_test(tc, test_handed);
	tcase_add_test(tc, test_serve);
	tcase_add_test(tc, test_slow);
	tcase_add_test(tc, test_strangers);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
