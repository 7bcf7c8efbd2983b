/* SPDX-License-Identifier: BSD-2-Clause */
/* Sampling rates: all the ways in which exporters announce them, and what they
 * hold for.  Octets and packets are never multiplied. */
#include <check.h>
#include <string.h>

#include "t/flows.h"

static struct wire w;
static struct flows f;

static void
setup(void)
{
	flows_init(&f);
}

static void
teardown(void)
{
	flows_clear(&f);
}

/* Elements. */
enum {
	INPUT = 10,
	INTERVAL = 34,
	ALGORITHM = 35,
	SAMPLER = 48,
	MODE = 49,
	RANDOM_INTERVAL = 50,
	EXPORTING_PROCESS = 144,
	DOMAIN = 149,
	SELECTOR = 302,
	SELECTOR_ALGORITHM = 304,
	PACKET_INTERVAL = 305,
	PACKET_SPACE = 306,
	SIZE = 309,
	POPULATION = 310,
};

enum { V9_SYSTEM = 1, V9_INTERFACE = 2 }; /* scopes */

/* One field of an options record. */
struct told {
	uint16_t id, len;
	uint64_t value;
};

static void
put_fields(const struct told *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(&w, (uint32_t)t[i].id << 16 | t[i].len, 4);
}

/* An options template and a record of it; the first field is the scope. */
static void
put_options(uint16_t id, const struct told *t, size_t n)
{
	bool v9 = w.bytes[1] == 9;

	begin_set(&w, v9 ? 1 : 3);
	put(&w, id, 2);
	put(&w, v9 ? 4 : n, 2);
	put(&w, v9 ? 4 * (n - 1) : 1, 2);
	put_fields(t, n);
	end_set(&w);
	begin_set(&w, id);
	for (size_t i = 0; i < n; i++)
		put(&w, t[i].value, t[i].len);
	end_set(&w);
}

#define OPTIONS(...)                                             \
	put_options(500, (const struct told[]){__VA_ARGS__},     \
		    sizeof((const struct told[]){__VA_ARGS__}) / \
			sizeof(struct told))

/* A record of a field that says who, and octets. */
static void
put_record(uint16_t field, uint64_t value)
{
	TEMPLATE(&w, 256, {field, 4}, {1, 4});
	begin_set(&w, 256);
	put(&w, value, 4);
	put(&w, 1000, 4);
	end_set(&w);
}

static void
check_rate(uint32_t row, uint32_t rate, const char *source)
{
	struct value v = value_of(&f, row, "sampling_source");

	ck_assert_uint_eq(number_of(&f, row, "sampling_rate"), rate);
	ck_assert_uint_eq(v.len, strlen(source));
	ck_assert_mem_eq(v.s, source, v.len);
	ck_assert_uint_eq(number_of(&f, row, "octet_count"), 1000);
}

#define ANNOUNCED "announced"
#define UNKNOWN "unknown"
#define CONFIGURED "configured"

START_TEST(of_the_exporter_34_35)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 512}, {ALGORITHM, 1, 2});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 0);
	OPTIONS({EXPORTING_PROCESS, 4, 7}, {INTERVAL, 2, 64},
		{ALGORITHM, 1, 1});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	begin_ipfix(&w, 2, 0);
	OPTIONS({DOMAIN, 4, 2}, {INTERVAL, 8, 32});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	check_rate(0, 512, ANNOUNCED);
	check_rate(1, 64, ANNOUNCED);
	check_rate(2, 32, ANNOUNCED);
}
END_TEST

/* The random sampler, as Cisco's options have it. */
START_TEST(of_a_random_sampler_48_49_50)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 1, 3}, {MODE, 1, 2},
		{RANDOM_INTERVAL, 2, 1000});
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 4}, {MODE, 1, 2},
		{RANDOM_INTERVAL, 4, 70000});
	put_record(SAMPLER, 3);
	put_record(SAMPLER, 4);
	put_record(SAMPLER, 5);
	put_record(SAMPLER, 0);
	send_wire(&f, &w);
	check_rate(0, 1000, ANNOUNCED);
	check_rate(1, 70000, ANNOUNCED);
	check_rate(2, 1, UNKNOWN);
	check_rate(3, 1, UNKNOWN);
}
END_TEST

START_TEST(of_a_selector_302_304_305_306)
{
	begin_ipfix(&w, 1, 0);
	OPTIONS({SELECTOR, 8, 5}, {SELECTOR_ALGORITHM, 2, 1},
		{PACKET_INTERVAL, 4, 1}, {PACKET_SPACE, 4, 99});
	OPTIONS({SELECTOR, 2, 6}, {SELECTOR_ALGORITHM, 2, 1},
		{PACKET_INTERVAL, 4, 10}, {PACKET_SPACE, 4, 90});
	OPTIONS({SELECTOR, 2, 7}, {PACKET_INTERVAL, 4, 128});
	put_record(SELECTOR, 5);
	put_record(SELECTOR, 6);
	put_record(SELECTOR, 7);
	put_record(SELECTOR, 8);
	send_wire(&f, &w);
	check_rate(0, 100, ANNOUNCED);
	check_rate(1, 10, ANNOUNCED);
	check_rate(2, 128, ANNOUNCED);
	check_rate(3, 1, UNKNOWN);
}
END_TEST

START_TEST(of_a_sample_of_a_population_309_310)
{
	begin_ipfix(&w, 1, 0);
	OPTIONS({SELECTOR, 4, 5}, {SELECTOR_ALGORITHM, 2, 3}, {SIZE, 4, 2},
		{POPULATION, 4, 2000});
	put_record(SELECTOR, 5);
	send_wire(&f, &w);
	check_rate(0, 1000, ANNOUNCED);
	begin_ipfix(&w, 2, 0);
	OPTIONS({EXPORTING_PROCESS, 4, 1}, {SIZE, 2, 1}, {POPULATION, 2, 50});
	put_record(INPUT, 5);
	send_wire(&f, &w);
	check_rate(1, 50, ANNOUNCED);
}
END_TEST

START_TEST(of_an_interface)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_INTERFACE, 4, 11}, {INTERVAL, 4, 100});
	OPTIONS({V9_SYSTEM, 4, 0}, {INPUT, 2, 12}, {INTERVAL, 4, 200});
	for (uint32_t i = 11; i <= 13; i++)
		put_record(INPUT, i);
	put_record(7, 11); /* a port: another matter */
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 0);
	OPTIONS({INPUT, 4, 11}, {PACKET_INTERVAL, 4, 1},
		{PACKET_SPACE, 4, 299});
	put_record(INPUT, 11);
	put_record(INPUT, 12);
	send_wire(&f, &w);
	/* rows of one shape are together */
	for (uint32_t i = 0; i < f.rows; i++) {
		static const unsigned rates[] = {100, 200, 1};
		bool port = value_of(&f, i, "input").type == COL_NULL;
		bool v9 = number_of(&f, i, "version") == 9;
		uint64_t input = port ? 13 : number_of(&f, i, "input");
		unsigned want = v9 ? rates[input - 11] : input == 11 ? 300 : 1;

		check_rate(i, want, want > 1 ? ANNOUNCED : UNKNOWN);
	}
	ck_assert_uint_eq(f.rows, 6);
}
END_TEST

/* The sampler of the record goes before its interface, and that before what
 * holds for all. */
START_TEST(which_goes_first)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
	OPTIONS({V9_INTERFACE, 4, 1}, {INTERVAL, 4, 20});
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 1}, {RANDOM_INTERVAL, 4, 30});
	TEMPLATE(&w, 256, {SAMPLER, 1}, {INPUT, 1}, {1, 2});
	begin_set(&w, 256);
	for (int i = 0; i < 4; i++) {
		put(&w, i & 1, 1);
		put(&w, i >> 1, 1);
		put(&w, 1000, 2);
	}
	end_set(&w);
	send_wire(&f, &w);
	check_rate(0, 10, ANNOUNCED);
	check_rate(1, 30, ANNOUNCED);
	check_rate(2, 20, ANNOUNCED);
	check_rate(3, 30, ANNOUNCED);
}
END_TEST

/* Records that name no sampler have that of the only one, and of two none. */
START_TEST(of_the_only_sampler)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 1}, {RANDOM_INTERVAL, 4, 30});
	put_record(INPUT, 1);
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 2}, {RANDOM_INTERVAL, 4, 40});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	check_rate(0, 30, ANNOUNCED);
	check_rate(1, 1, UNKNOWN);
}
END_TEST

START_TEST(announced_from_another_port)
{
	begin_v9(&w, 1, 0);
	w.port = 4000;
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
	OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 1}, {RANDOM_INTERVAL, 4, 30});
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	w.port = 5000;
	put_record(INPUT, 1);
	put_record(SAMPLER, 1);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	for (uint32_t i = 0; i < 2; i++) {
		bool sampler = value_of(&f, i, "input").type == COL_NULL;

		check_rate(i, sampler ? 30 : 10, ANNOUNCED);
		ck_assert_uint_eq(number_of(&f, i, "exporter_port"), 5000);
	}
}
END_TEST

START_TEST(announced_again_does_not_double)
{
	begin_v9(&w, 1, 0);
	for (int i = 0; i < 5; i++) {
		OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
		OPTIONS({V9_INTERFACE, 4, 2}, {INTERVAL, 4, 20});
		OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, 1},
			{RANDOM_INTERVAL, 4, 30});
	}
	put_record(INPUT, 1);
	put_record(INPUT, 2);
	send_wire(&f, &w);
	check_rate(0, 10, ANNOUNCED);
	check_rate(1, 20, ANNOUNCED);
	begin_v9(&w, 1, 1);
	put_record(SAMPLER, 1);
	send_wire(&f, &w);
	check_rate(2, 30, ANNOUNCED);
}
END_TEST

START_TEST(a_rate_holds_from_its_announcement_on)
{
	begin_v9(&w, 1, 0);
	put_record(INPUT, 1);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
	put_record(INPUT, 1);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 20});
	put_record(INPUT, 1);
	OPTIONS({V9_INTERFACE, 4, 1}, {INTERVAL, 4, 30});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	check_rate(0, 1, UNKNOWN);
	check_rate(1, 10, ANNOUNCED);
	check_rate(2, 20, ANNOUNCED);
	check_rate(3, 30, ANNOUNCED);
}
END_TEST

START_TEST(of_another_exporter_or_source)
{
	begin_v9(&w, 1, 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
	send_wire(&f, &w);
	for (unsigned i = 0; i < 2; i++) {
		begin_v9(&w, 1 + i, 0);
		from(&w, 2 - i);
		put_record(INPUT, 1);
		send_wire(&f, &w);
		check_rate(i, 1, UNKNOWN);
	}
}
END_TEST

START_TEST(configured_goes_before_announced)
{
	begin_v9(&w, 1, 0);
	ck_assert_int_eq(decoder_configure_rate(f.decoder, w.addr, 5), 0);
	OPTIONS({V9_SYSTEM, 4, 0}, {INTERVAL, 4, 10});
	OPTIONS({V9_INTERFACE, 4, 1}, {INTERVAL, 4, 20});
	put_record(INPUT, 1);
	put_record(INPUT, 2);
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 0);
	put_record(INTERVAL, 77); /* in the record itself */
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	from(&w, 2); /* another exporter */
	put_record(INPUT, 1);
	send_wire(&f, &w);
	check_rate(0, 5, CONFIGURED);
	check_rate(1, 5, CONFIGURED);
	check_rate(2, 5, CONFIGURED);
	check_rate(3, 1, UNKNOWN);
}
END_TEST

START_TEST(of_the_header_of_v5)
{
	static const struct {
		uint16_t field;
		uint32_t rate;
		const char *source;
	} cases[] = {{0x0000, 1, UNKNOWN},
		     {0x4000, 1, UNKNOWN},
		     {0x4064, 100, ANNOUNCED},
		     {0x8064, 100, ANNOUNCED},
		     {0xffff, 16383, ANNOUNCED}};

	for (uint32_t i = 0; i < 5; i++) {
		begin_v5(&w, 1, i);
		w.bytes[22] = (uint8_t)(cases[i].field >> 8);
		w.bytes[23] = (uint8_t)cases[i].field;
		put_v5(&w, 1, 2);
		w.bytes[24 + 20 + 2] = 1000 >> 8;
		w.bytes[24 + 20 + 3] = 1000 & 0xff;
		send_wire(&f, &w);
		check_rate(i, cases[i].rate, cases[i].source);
	}
}
END_TEST

START_TEST(rates_that_make_no_sense)
{
	begin_ipfix(&w, 1, 0);
	OPTIONS({DOMAIN, 4, 1}, {INTERVAL, 4, 0});
	OPTIONS({DOMAIN, 4, 1}, {PACKET_INTERVAL, 4, 0}, {PACKET_SPACE, 4, 9});
	OPTIONS({DOMAIN, 4, 1}, {SIZE, 4, 0}, {POPULATION, 4, 9});
	OPTIONS({DOMAIN, 4, 1}, {SIZE, 4, 9}, {POPULATION, 4, 0});
	OPTIONS({DOMAIN, 4, 1}, {INTERVAL, 9, 7}); /* no integer */
	put_record(INPUT, 1);
	/* past 32 bits */
	OPTIONS({DOMAIN, 4, 1}, {INTERVAL, 8, UINT64_MAX});
	put_record(INPUT, 1);
	send_wire(&f, &w);
	check_rate(0, 1, UNKNOWN);
	check_rate(1, UINT32_MAX, ANNOUNCED);
}
END_TEST

START_TEST(rates_are_bounded)
{
	for (uint32_t i = 1; i <= 2 * RATES_MAX; i++) {
		begin_v9(&w, 1, i);
		OPTIONS({V9_SYSTEM, 4, 0}, {SAMPLER, 4, i},
			{RANDOM_INTERVAL, 4, 10 + i});
		send_only(&f, &w);
	}
	begin_v9(&w, 1, 0);
	put_record(SAMPLER, 1);
	put_record(SAMPLER, RATES_MAX);
	put_record(SAMPLER, RATES_MAX + 1);
	send_wire(&f, &w);
	check_rate(0, 11, ANNOUNCED);
	check_rate(1, 10 + RATES_MAX, ANNOUNCED);
	check_rate(2, 1, UNKNOWN);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sampling");
	TCase *t = tcase_create("sampling");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, of_the_exporter_34_35);
	tcase_add_test(t, of_a_random_sampler_48_49_50);
	tcase_add_test(t, of_a_selector_302_304_305_306);
	tcase_add_test(t, of_a_sample_of_a_population_309_310);
	tcase_add_test(t, of_an_interface);
	tcase_add_test(t, which_goes_first);
	tcase_add_test(t, of_the_only_sampler);
	tcase_add_test(t, announced_from_another_port);
	tcase_add_test(t, announced_again_does_not_double);
	tcase_add_test(t, a_rate_holds_from_its_announcement_on);
	tcase_add_test(t, of_another_exporter_or_source);
	tcase_add_test(t, configured_goes_before_announced);
	tcase_add_test(t, of_the_header_of_v5);
	tcase_add_test(t, rates_that_make_no_sense);
	tcase_add_test(t, rates_are_bounded);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
