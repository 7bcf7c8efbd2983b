/* SPDX-License-Identifier: BSD-2-Clause */
/* Address filters: what is in is found, damage hides nothing. */
#include "common/sieve.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { N = 30000, FIRST_ID = 77 };

static struct bytes out;
static uint64_t hashes[N];
static uint64_t seed;

static uint64_t
rnd(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33 ^ seed << 31;
}

/* Addresses of a few networks, as they come in flows. */
static void
make(size_t n, unsigned column)
{
	for (size_t i = 0; i < n; i++)
		hashes[i] = sieve_hash_ipv4((uint32_t)(0x0a010000 + i * 3));
	sieves_add(&out, column, hashes, n, n);
}

static void
setup(void)
{
	seed = 99;
	sieves_begin(&out, FIRST_ID);
}

static void
teardown(void)
{
	bytes_clear(&out);
}

static struct sieves
parse(void)
{
	struct sieves s;
	struct err e;

	ck_assert_msg(sieves_parse(&s, out.p, out.len, FIRST_ID, &e) == 0, "%s",
		      e.text);
	ck_assert_msg(sieves_check(&s, &e) == 0, "%s", e.text);
	return s;
}

START_TEST(what_is_in_is_found)
{
	static const size_t sizes[] = {1, 2, 64, 1000, 661, 662, N};
	struct sieves s;

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		sieves_begin(&out, FIRST_ID);
		make(sizes[k], 3);
		sieves_end(&out);
		s = parse();
		for (size_t i = 0; i < sizes[k]; i++)
			ck_assert(sieves_may_hold(&s, 3, hashes[i]));
	}
}
END_TEST

START_TEST(few_others_are_found)
{
	struct sieves s;
	size_t found = 0;

	make(N, 3);
	make(N, 9);
	sieves_end(&out);
	ck_assert_uint_lt(out.len, 2 * N * (SIEVE_BITS + 1) / 8);
	s = parse();
	for (uint32_t i = 0; i < 100000; i++)
		found +=
		    sieves_may_hold(&s, 9, sieve_hash_ipv4(0xc0000000 + 7 * i));
	ck_assert_uint_lt(found, 1000);
	/* of a column without a filter nothing is said */
	ck_assert(sieves_may_hold(&s, 4, rnd()));
}
END_TEST

START_TEST(one_address_has_one_hash)
{
	ck_assert_uint_eq(sieve_hash_ip(0, 0xffff0a000001),
			  sieve_hash_ipv4(0x0a000001));
	ck_assert_uint_ne(sieve_hash_ip(0, 0x0a000001),
			  sieve_hash_ipv4(0x0a000001));
	ck_assert_uint_ne(sieve_hash_ip(1, 2), sieve_hash_ip(2, 1));
}
END_TEST

START_TEST(distinct_ones_are_counted)
{
	for (size_t distinct = 1; distinct <= N; distinct = distinct * 3 + 1) {
		size_t got;

		for (size_t i = 0; i < N; i++)
			hashes[i] = sieve_hash_ipv4((uint32_t)(i % distinct));
		got = sieve_count(hashes, N);
		ck_assert_uint_le(got, distinct + distinct / 20 + 2);
		ck_assert_uint_ge(got + distinct / 20 + 2, distinct);
	}
}
END_TEST

START_TEST(damage_hides_nothing)
{
	struct sieves s;
	struct err e;
	size_t told = 0;

	make(2000, 3);
	sieves_end(&out);
	for (int k = 0; k < 2000; k++) {
		size_t at = rnd() % out.len;
		uint8_t bit = (uint8_t)(1 << rnd() % 8);

		out.p[at] ^= bit;
		if (sieves_parse(&s, out.p, out.len, FIRST_ID, &e) == 0) {
			told += sieves_check(&s, &e) != 0;
			for (size_t i = 0; i < 2000; i++)
				ck_assert(sieves_may_hold(&s, 3, hashes[i]));
		} else {
			told++;
		}
		out.p[at] ^= bit;
	}
	ck_assert_uint_eq(told, 2000);
	for (size_t len = 0; len < out.len; len++)
		ck_assert_int_eq(sieves_parse(&s, out.p, len, FIRST_ID, &e),
				 -1);
	/* nor do those of another block */
	ck_assert_int_eq(sieves_parse(&s, out.p, out.len, FIRST_ID + 1, &e),
			 -1);
}
END_TEST

START_TEST(none_is_empty)
{
	sieves_end(&out);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sieves");
	TCase *c = tcase_create("sieves");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_is_in_is_found);
	tcase_add_test(c, few_others_are_found);
	tcase_add_test(c, one_address_has_one_hash);
	tcase_add_test(c, distinct_ones_are_counted);
	tcase_add_test(c, damage_hides_nothing);
	tcase_add_test(c, none_is_empty);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
