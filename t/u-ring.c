/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/ring.h"

enum {
	SIZE = 256 << 10,
	CHUNK = 16 << 10,
	LONGEST = 5000,
	HEAD = 5, /* of a msgpack bin with a length of 32 bits */
	EXTRA = 4096,
};

static char dir[64];
static uint64_t seed;
static struct err note;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % below;
}

/* Object NUMBER has a length and bytes of its own. */
static size_t
length_of(uint64_t number)
{
	return HEAD + 8 + number * 7919 % LONGEST;
}

static size_t
make_object(char *p, uint64_t number)
{
	size_t len = length_of(number);
	uint32_t body = (uint32_t)(len - HEAD);

	p[0] = (char)0xc6;
	for (int i = 0; i < 4; i++)
		p[1 + i] = (char)(body >> (24 - 8 * i));
	memset(p + HEAD, (int)(number * 31), body);
	memcpy(p + HEAD, &number, sizeof(number));
	return len;
}

static void
check_object(const char *p, size_t len, uint64_t number)
{
	char want[HEAD + 8 + LONGEST];

	ck_assert_uint_eq(len, length_of(number));
	make_object(want, number);
	ck_assert_int_eq(memcmp(p, want, len), 0);
}

static struct ring *
open_ring(const char *where, uint64_t size)
{
	struct ring_options o = {where, "test.ring", size, CHUNK, EXTRA};
	struct err e;
	struct ring *r = ring_open(&o, &note, &e);

	ck_assert_msg(r != NULL, "%s", e.text);
	return r;
}

/* Adds the next object if there is room. */
static bool
add(struct ring *r, uint32_t tag)
{
	uint64_t number = ring_next(r);
	char *p = ring_reserve(r, length_of(number));

	if (!p)
		return false;
	ring_add(r, make_object(p, number), tag);
	return true;
}

static void
fill(struct ring *r)
{
	while (add(r, 1))
		ring_publish(r);
}

/* A reader's end: what it got must be what comes next. */
struct taker {
	struct ring_reader rd;
	char buf[HEAD + 8 + LONGEST];
	size_t len;
	uint64_t number; /* of what it waits for */
};

static void
join(struct ring *r, struct taker *t, enum ring_kind kind, const char *name)
{
	struct err e;

	memset(t, 0, sizeof(*t));
	ck_assert_msg(ring_reader_add(r, &t->rd, kind, name, &e) == 0, "%s",
		      e.text);
	t->number = t->rd.number;
}

/* Takes up to BYTES, in whatever pieces they come. */
static void
take(struct taker *t, size_t bytes)
{
	struct iovec iov[16];
	size_t n = ring_gather(&t->rd, iov, 16, bytes), done = 0;

	if (t->rd.number > t->number && t->len == 0)
		t->number = t->rd.number; /* passed by */
	for (size_t i = 0; i < n && done < bytes; i++) {
		size_t k = iov[i].iov_len;

		k = k < bytes - done ? k : bytes - done;
		memcpy(t->buf + t->len, iov[i].iov_base, k);
		t->len += k;
		done += k;
		if (t->len < length_of(t->number))
			continue;
		check_object(t->buf, t->len, t->number++);
		t->len = 0;
	}
	ring_take(&t->rd, done);
}

static void
take_all(struct taker *t)
{
	while (ring_reader_waits(&t->rd))
		take(t, 100000);
}

struct counts {
	uint64_t sent, passed, tags;
};

static void
on_release(void *ctx, uint32_t tag, bool sent)
{
	struct counts *c = ctx;

	c->sent += sent;
	c->passed += !sent;
	c->tags += tag;
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "%s/u-ring-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	seed = 42;
}

static void
teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_wrap)
{
	struct ring *r = open_ring(NULL, SIZE);
	static struct taker t;
	struct counts c = {0};
	uint64_t added = 0;

	ck_assert_str_eq(note.text, "");
	ring_on_release(r, on_release, &c);
	join(r, &t, RING_HOLDING, NULL);
	for (int i = 0; i < 50000; i++) {
		if (rnd(2))
			added += add(r, 1);
		if (rnd(2))
			ring_publish(r);
		if (rnd(3) == 0)
			take(&t, rnd(20000));
		ck_assert_uint_eq(ring_next(r), added + 1);
	}
	ring_publish(r);
	take_all(&t);
	ck_assert_uint_eq(t.number, added + 1);
	ck_assert_uint_eq(c.sent, added);
	ck_assert_uint_eq(c.passed, 0);
	ck_assert_uint_eq(ring_objects(r), 0);
	ring_reader_remove(&t.rd);
	ring_close(r);
}
END_TEST

/* One who holds and has stopped: no room, and nothing of it goes. */
START_TEST(test_full)
{
	struct ring *r = open_ring(NULL, SIZE);
	static struct taker t;
	uint64_t n;

	join(r, &t, RING_HOLDING, NULL);
	fill(r);
	n = ring_objects(r);
	ck_assert_uint_gt(n, SIZE / (LONGEST + RING_ENTRY + 100));
	ck_assert_uint_le(ring_used(r), SIZE);
	ck_assert_uint_eq(ring_next(r), n + 1);
	take_all(&t);
	ck_assert_uint_eq(t.number, n + 1);
	ck_assert_ptr_null(ring_reserve(r, CHUNK - 2 * RING_ENTRY + 1));
	ck_assert_ptr_nonnull(ring_reserve(r, CHUNK - 2 * RING_ENTRY));
	ring_close(r);
}
END_TEST

/* While nobody reads the newest are kept, and who comes first has them. */
START_TEST(test_nobody)
{
	struct ring *r = open_ring(NULL, SIZE);
	static struct taker t, later;
	struct counts c = {0};

	ring_on_release(r, on_release, &c);
	for (int i = 0; i < 1000; i++) {
		ck_assert(add(r, 1));
		ring_publish(r);
	}
	ck_assert_uint_eq(c.passed + ring_objects(r), 1000);
	ck_assert_uint_gt(c.passed, 0);
	ck_assert_uint_eq(c.sent, 0);
	join(r, &t, RING_PASSING, NULL);
	ck_assert_uint_eq(t.number, c.passed + 1);
	take_all(&t);
	ck_assert_uint_eq(t.number, 1001);
	ck_assert_uint_eq(c.passed + c.sent, 1000);
	/* where there is one who holds, a viewer sees what comes from then on
	 */
	join(r, &later, RING_DURABLE, "later");
	add(r, 1);
	ring_publish(r);
	join(r, &t, RING_PASSING, NULL);
	ck_assert_uint_eq(t.number, 1002);
	ck_assert_uint_eq(later.number, 1001);
	ring_close(r);
}
END_TEST

/* Whoever stops holds up neither the writer nor the others, if another keeps
 * up. */
START_TEST(test_passed_by)
{
	struct ring *r = open_ring(NULL, SIZE);
	static struct taker stuck, viewer, good;
	const struct ring_mark *m = NULL;
	struct counts c = {0};
	uint64_t behind;

	ring_on_release(r, on_release, &c);
	join(r, &stuck, RING_DURABLE, "stuck");
	join(r, &good, RING_DURABLE, "good");
	join(r, &viewer, RING_PASSING, NULL);
	for (int i = 1; i <= 2000; i++) {
		ck_assert(add(r, 3));
		ring_publish(r);
		take_all(&good);
		ring_acknowledge(&good.rd, (uint64_t)i);
		if (i % 300 == 0)
			take_all(&viewer);
	}
	take_all(&viewer);
	ck_assert_uint_eq(viewer.number, 2001);
	ck_assert_uint_gt(viewer.rd.skipped, 0);
	for (size_t i = 0; i < RING_MARKS && !m; i++) {
		m = ring_mark(r, i, &behind);
		if (m && strcmp(m->name, "stuck") != 0)
			m = NULL;
	}
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->lost + behind, 2000);
	ck_assert_uint_eq(m->lost_tags, 3 * m->lost);
	ck_assert_uint_eq(c.sent, m->lost);
	ck_assert_uint_eq(c.passed, 0);
	take_all(&stuck);
	ck_assert_uint_eq(stuck.rd.skipped, m->lost);
	/* all are stuck: there is no room, and nobody loses more */
	fill(r);
	ck_assert_uint_eq(ring_objects(r), ring_next(r) - c.sent - 1);
	take_all(&good);
	ck_assert_uint_eq(good.rd.skipped, 0);
	ring_close(r);
}
END_TEST

START_TEST(test_names)
{
	struct ring *r = open_ring(NULL, SIZE);
	static struct taker t;
	struct ring_reader rd;
	char name[RING_NAME_MAX + 1];
	struct err e;

	join(r, &t, RING_DURABLE, "a");
	ck_assert_int_ne(ring_reader_add(r, &rd, RING_DURABLE, "a", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "a reader named a is connected"));
	ck_assert_int_ne(ring_reader_add(r, &rd, RING_DURABLE, "", &e), 0);
	memset(name, 'x', RING_NAME_MAX);
	name[RING_NAME_MAX] = '\0';
	ck_assert_int_ne(ring_reader_add(r, &rd, RING_DURABLE, name, &e), 0);
	ck_assert_int_ne(ring_forget(r, "a"), 0); /* it is there */
	/* any number of them, one after another */
	for (int i = 0; i < 3 * RING_MARKS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(
		    ring_reader_add(r, &rd, RING_DURABLE, name, &e), 0);
		ring_reader_remove(&rd);
	}
	ck_assert_int_eq(ring_forget(r, name), 0);
	ck_assert_int_ne(ring_forget(r, name), 0);
	ring_close(r);
}
END_TEST

START_TEST(test_reopen)
{
	struct ring *r = open_ring(dir, SIZE);
	uint64_t stream = ring_stream(r);
	static struct taker t;
	struct err e;

	memcpy(ring_extra(r), "mine", 5);
	join(r, &t, RING_DURABLE, "t");
	for (int i = 0; i < 30; i++)
		add(r, 7);
	ring_publish(r);
	take_all(&t);
	ring_acknowledge(&t.rd, 20);
	add(r, 7); /* not published */
	add(r, 7);
	add(r, 7);
	ring_close(r);

	r = open_ring(dir, SIZE);
	ck_assert_str_eq(note.text, "");
	ck_assert_str_eq(ring_extra(r), "mine");
	ck_assert_uint_eq(ring_stream(r), stream);
	ck_assert_uint_eq(ring_next(r), 31);
	ck_assert_uint_eq(ring_objects(r), 10);
	/* two of the three were committed */
	ck_assert_int_eq(ring_restore(r, 32, &e), 0);
	ck_assert_uint_eq(ring_next(r), 33);
	ck_assert_int_ne(ring_restore(r, 40, &e), 0);
	ck_assert_int_ne(ring_restore(r, 31, &e), 0);
	join(r, &t, RING_DURABLE, "t");
	ck_assert_uint_eq(t.number, 21);
	ring_reader_seek(&t.rd, 25); /* it has more than it said */
	t.number = t.rd.number;
	ck_assert_uint_eq(t.number, 26);
	take_all(&t);
	ck_assert_uint_eq(t.number, 33);
	ring_reader_remove(&t.rd);
	ck_assert_int_eq(ring_renew(r, &e), 0);
	ck_assert_uint_ne(ring_stream(r), stream);
	ck_assert_uint_eq(ring_next(r), 1);
	ring_close(r);
}
END_TEST

START_TEST(test_one_process)
{
	struct ring *r = open_ring(dir, SIZE);
	struct ring_options o = {dir, "test.ring", SIZE, CHUNK, EXTRA};
	struct err e;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ring_open(&o, &note, &e) == NULL &&
		      strstr(e.text, "another process uses it"));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ring_close(r);
}
END_TEST

START_TEST(test_resize)
{
	static const uint64_t sizes[] = {4 * SIZE, SIZE, 64 << 10};
	struct ring *r = open_ring(dir, SIZE);
	uint64_t stream = ring_stream(r);
	static struct taker t;
	struct err e;

	join(r, &t, RING_DURABLE, "t");
	for (int i = 0; i < 500; i++) { /* round and round */
		add(r, 0);
		ring_publish(r);
		take_all(&t);
		ring_acknowledge(&t.rd, i < 30 ? 0 : (uint64_t)i - 30);
	}
	add(r, 0); /* not published */
	ring_close(r);
	for (size_t i = 0; i < 3; i++) {
		r = open_ring(dir, sizes[i]);
		if (i < 2) {
			ck_assert_str_eq(note.text, "");
			ck_assert_uint_eq(ring_size(r), sizes[i]);
		} else {
			ck_assert_ptr_nonnull(strstr(note.text, "keeps its"));
			ck_assert_uint_eq(ring_size(r), SIZE);
		}
		ck_assert_uint_eq(ring_stream(r), stream);
		ck_assert_uint_eq(ring_next(r), 501);
		ck_assert_uint_eq(ring_objects(r), 31);
		ring_close(r);
	}
	r = open_ring(dir, SIZE);
	ck_assert_int_eq(ring_restore(r, 501, &e), 0);
	join(r, &t, RING_DURABLE, "t");
	ck_assert_uint_eq(t.number, 470);
	take_all(&t);
	ck_assert_uint_eq(t.number, 502);
	ring_close(r);
}
END_TEST

/* What a child that is about to be killed says of itself. */
struct said {
	uint64_t added, published, sought, acknowledged;
};

static void
raise_to(uint64_t *at, uint64_t n)
{
	if (n > *at)
		*at = n;
}

/* Nothing of Check's is called here: it would be killed in the middle, too. */
static void
child(struct said *said)
{
	struct ring_options o = {dir, "test.ring", SIZE, CHUNK, EXTRA};
	struct err e;
	struct ring *r = ring_open(&o, &note, &e);
	struct ring_reader rd;
	struct iovec iov[16];
	uint64_t n;

	if (!r || ring_reader_add(r, &rd, RING_DURABLE, "t", &e) != 0)
		_exit(1);
	for (;;) {
		said->added = ring_next(r);
		add(r, 1);
		if (rnd(3) == 0) {
			ring_publish(r);
			said->published = ring_next(r) - 1;
		}
		if (rnd(4) != 0)
			continue;
		if (ring_gather(&rd, iov, 16, 30000) > 0)
			ring_take(&rd, 1 + rnd((uint32_t)iov[0].iov_len));
		if (rd.number > 50 && rnd(2)) {
			n = rd.number - 1 - rnd(20);
			raise_to(&said->sought, n);
			ring_acknowledge(&rd, n);
			raise_to(&said->acknowledged, n);
		}
	}
}

static int
count_object(void *ctx, const char *obj, size_t len, uint32_t *tag)
{
	uint64_t *number = ctx;

	if (*number == 0)
		memcpy(number, obj + HEAD, sizeof(*number));
	check_object(obj, len, (*number)++);
	ck_assert_uint_eq(*tag, 1);
	return 0;
}

/* kill -9 at any step: what was published is there, what was acknowledged is
 * not asked for again, and the numbers go on. */
START_TEST(test_kill)
{
	struct said *said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec wait = {0};
	static struct taker t;
	uint64_t number;
	struct ring *r;
	pid_t pid;

	for (int i = 0; i < 150; i++) {
		wait.tv_nsec = rnd(i % 10 ? 3000000 : 30000000);
		pid = fork();
		if (pid == 0) {
			seed += (uint64_t)i;
			child(said);
		}
		nanosleep(&wait, NULL);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);

		r = open_ring(dir, SIZE);
		ck_assert_str_eq(note.text, "");
		ck_assert_uint_gt(ring_next(r), said->published);
		ck_assert_uint_le(ring_next(r), said->added + 1);
		number = 0;
		ck_assert_int_eq(ring_walk(r, count_object, &number), 0);
		ck_assert(number == 0 || number == ring_next(r));
		join(r, &t, RING_DURABLE, "t");
		ck_assert_uint_gt(t.number, said->acknowledged);
		ck_assert_uint_le(t.number, said->sought + 1);
		ring_reader_remove(&t.rd);
		ring_close(r);
	}
	ck_assert_uint_gt(said->published, 1000);
	munmap(said, sizeof(*said));
}
END_TEST

static void
damage(const char *path, off_t size)
{
	int fd = open(path, O_RDWR);
	uint64_t junk = (uint64_t)rnd(UINT32_MAX) << rnd(32);
	off_t at;

	ck_assert_int_ge(fd, 0);
	if (rnd(10) == 0) {
		ck_assert_int_eq(ftruncate(fd, rnd((uint32_t)size)), 0);
	} else {
		/* mostly in its head and at the entries' heads */
		at = rnd(2) ? rnd(4096) : rnd((uint32_t)size - 8);
		at = rnd(2) ? at & ~7 : at;
		ck_assert_int_eq(pwrite(fd, &junk, 1 + rnd(8), at) > 0, 1);
	}
	close(fd);
}

/* Whatever is in the file: a ring that is sound, or a new one and a word. */
START_TEST(test_damaged)
{
	char path[80], copy[80], command[400];
	struct ring *r = open_ring(dir, SIZE);
	static struct taker t;
	int set_aside = 0;
	struct stat st;

	join(r, &t, RING_DURABLE, "t");
	for (int i = 0; i < 300; i++) {
		add(r, 1);
		ring_publish(r);
		take_all(&t);
		ring_acknowledge(&t.rd, i < 70 ? 0 : (uint64_t)i - 70);
	}
	ring_close(r);
	snprintf(path, sizeof(path), "%s/test.ring", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	snprintf(command, sizeof(command), "cp %s %s", path, copy);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command), "cp %s %s; rm -f %s.damaged*", copy,
		 path, path);
	for (int i = 0; i < 300; i++) {
		ck_assert_int_eq(system(command), 0);
		damage(path, st.st_size);
		r = open_ring(dir, SIZE);
		set_aside += note.text[0] != '\0';
		/* whatever it is, it works */
		join(r, &t, RING_PASSING, NULL);
		ck_assert(add(r, 1) || ring_objects(r) > 0);
		ring_publish(r);
		ring_close(r);
	}
	ck_assert_int_gt(set_aside, 30);
	ck_assert_int_lt(set_aside, 300);
}
END_TEST

static off_t
memory_of_file(void)
{
	char path[80];
	struct stat st;

	snprintf(path, sizeof(path), "%s/test.ring", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	return (off_t)st.st_blocks * 512;
}

/* A reader that keeps up costs a few chunks, one that comes back what it left
 * for a while. */
START_TEST(test_memory)
{
	struct ring *r = open_ring(dir, 128 << 20);
	static struct taker t;

	join(r, &t, RING_DURABLE, "t");
	for (uint64_t i = 1; i <= 100000; i++) {
		ck_assert(add(r, 0));
		ring_publish(r);
		take_all(&t);
		ring_acknowledge(&t.rd, i < 20 ? 0 : i - 20);
	}
	ck_assert_int_lt(memory_of_file(), 1 << 20);
	fill(r);
	ck_assert_int_gt(memory_of_file(), 127 << 20);
	take_all(&t);
	ring_acknowledge(&t.rd, ring_next(r));
	ck_assert_int_lt(memory_of_file(), 65 << 20);
	ck_assert_uint_eq(ring_objects(r), 0);
	ring_close(r);
}
END_TEST

/* No room on the disk is no room in the ring, and no more than that. */
START_TEST(test_disk_full)
{
	struct ring *r;
	static struct taker t;
	char command[128];
	uint64_t n;

	snprintf(command, sizeof(command),
		 "mount -t tmpfs -o size=20M none %s 2>/dev/null", dir);
	if (getuid() != 0 || system(command) != 0)
		return;
	r = open_ring(dir, 64 << 20);
	join(r, &t, RING_DURABLE, "t");
	for (int i = 0; i < 3; i++) {
		fill(r);
		n = ring_next(r) - 1;
		ck_assert_uint_lt(ring_used(r), 20 << 20);
		take_all(&t);
		ring_acknowledge(&t.rd, n);
		ck_assert_uint_eq(t.number, n + 1);
	}
	ck_assert_uint_gt(n, 3 * (10 << 20) / LONGEST);
	ring_close(r);
	snprintf(command, sizeof(command), "umount %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ring");
	TCase *tc = tcase_create("ring");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, test_wrap);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_nobody);
	tcase_add_test(tc, test_passed_by);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_reopen);
	tcase_add_test(tc, test_one_process);
	tcase_add_test(tc, test_resize);
	tcase_add_test(tc, test_kill);
	tcase_add_test(tc, test_damaged);
	tcase_add_test(tc, test_memory);
	tcase_add_test(tc, test_disk_full);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
