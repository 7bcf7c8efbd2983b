/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flowrecv/outqueue.h"

enum { ROUNDS = 20000, LIMIT = 3 << 20, LONGEST = 9000 };

static struct outqueue q;
static struct tally tallies[3];
static int pipe_fds[2];
static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % below;
}

static void
setup(void)
{
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(outqueue_init(&q, pipe_fds[1], LIMIT, &e), 0);
	ck_assert_int_eq(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	memset(tallies, 0, sizeof(tallies));
	seed = 42;
}

static void
teardown(void)
{
	outqueue_clear(&q);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* The byte at OFFSET of everything that was ever added. */
static char
byte_at(uint64_t offset)
{
	return (char)(offset * 31 + (offset >> 8));
}

static void
check_tallies(void)
{
	uint64_t queued = 0;

	for (size_t i = 0; i < 3; i++) {
		const struct tally *t = &tallies[i];

		ck_assert_uint_eq(t->received,
				  t->dropped + t->queued + t->sent);
		queued += t->queued;
	}
	ck_assert_int_eq(queued > 0, outqueue_waits(&q));
}

/* Reads up to MAX bytes; they follow one another without a hole. */
static void
read_some(uint64_t *offset, size_t max)
{
	static char buf[1 << 16];
	ssize_t n;

	while (max > 0) {
		n = read(pipe_fds[0], buf,
			 max < sizeof(buf) ? max : sizeof(buf));
		if (n <= 0)
			return;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != byte_at(*offset + (uint64_t)i))
				ck_abort_msg("wrong byte");
		*offset += (uint64_t)n;
		max -= (size_t)n;
	}
}

/* A handful of datagrams; the full ones are dropped. */
static void
add_handful(uint64_t *offset)
{
	static char memory[OUTQUEUE_FRESH][LONGEST];
	uint32_t n = rnd(20) ? rnd(40) : OUTQUEUE_FRESH;
	struct err e;
	size_t len;

	for (uint32_t i = 0; i < n; i++) {
		struct tally *t = &tallies[rnd(3)];

		len = 1 + rnd(rnd(4) ? 200 : LONGEST - 1);
		t->received++;
		if (!outqueue_fits(&q, len)) {
			t->dropped++;
			continue;
		}
		for (size_t j = 0; j < len; j++)
			memory[i][j] = byte_at(*offset + j);
		*offset += len;
		outqueue_add(&q, t, memory[i], len);
	}
	ck_assert_int_eq(outqueue_flush(&q, &e), 0);
	/* they were copied where they had to wait */
	memset(memory, 0xee, sizeof(memory));
	ck_assert_uint_le(q.waiting_bytes, LIMIT);
}

START_TEST(random_reader)
{
	uint64_t in = 0, out = 0, dropped;
	struct err e;

	for (int i = 0; i < ROUNDS; i++) {
		/* now faster, now slower than what comes */
		if (rnd(3) == 0)
			add_handful(&in);
		read_some(&out, rnd(i / 500 % 2 ? 20000 : 2000));
		if (rnd(4) == 0)
			ck_assert_int_eq(outqueue_write(&q, &e), 0);
		check_tallies();
	}
	dropped = tallies[0].dropped;
	ck_assert_uint_gt(dropped, 0);
	while (outqueue_waits(&q)) {
		read_some(&out, SIZE_MAX);
		ck_assert_int_eq(outqueue_write(&q, &e), 0);
	}
	read_some(&out, SIZE_MAX);
	check_tallies();
	ck_assert_uint_eq(in, out);
	ck_assert_uint_eq(q.waiting_bytes, 0);
	ck_assert_ptr_null(q.head);
}
END_TEST

START_TEST(limit_is_exact)
{
	static char p[LIMIT];
	struct err e;

	ck_assert(outqueue_fits(&q, LIMIT));
	ck_assert(!outqueue_fits(&q, LIMIT + 1));
	ck_assert(!outqueue_fits(&q, SIZE_MAX));
	outqueue_add(&q, &tallies[0], p, LONGEST);
	ck_assert(outqueue_fits(&q, LIMIT - LONGEST));
	ck_assert(!outqueue_fits(&q, LIMIT - LONGEST + 1));
	ck_assert_int_eq(outqueue_flush(&q, &e), 0);
	ck_assert(outqueue_fits(&q, LIMIT));
}
END_TEST

START_TEST(reader_gone)
{
	char p[10] = {0};
	struct err e;

	close(pipe_fds[0]);
	outqueue_add(&q, &tallies[0], p, sizeof(p));
	ck_assert_int_eq(outqueue_flush(&q, &e), -1);
	ck_assert_int_eq(e.code, EPIPE);
	pipe_fds[0] = -1;
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("outqueue");
	TCase *c = tcase_create("outqueue");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, random_reader);
	tcase_add_test(c, limit_is_exact);
	tcase_add_test(c, reader_gone);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
