/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/text.h"

#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed = 88172645463325252;

static uint64_t
random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void
expect(const char *got, size_t len, const char *want)
{
	ck_assert_msg(len == strlen(want) && !memcmp(got, want, len),
		      "got '%.*s', want '%s'", (int)len, got, want);
}

START_TEST(integers)
{
	char got[TEXT_MAX], want[TEXT_MAX];
	uint64_t edge = 1;

	for (int i = 0; i < 20; i++, edge *= 10)
		for (int d = -1; d <= 1; d++) {
			uint64_t v = edge + (uint64_t)d;

			snprintf(want, sizeof want, "%" PRIu64, v);
			expect(got, text_u64(got, v), want);
		}
	for (int i = 0; i < 100000; i++) {
		uint64_t v = random_u64() >> (i & 63), back;
		size_t n = text_u64(got, v);

		snprintf(want, sizeof want, "%" PRIu64, v);
		expect(got, n, want);
		ck_assert_int_eq(text_read_u64(got, n, &back), 0);
		ck_assert(back == v);
		snprintf(want, sizeof want, "%" PRId64, (int64_t)v);
		expect(got, text_i64(got, (int64_t)v), want);
	}
	expect(got, text_u64(got, UINT64_MAX), "18446744073709551615");
	expect(got, text_i64(got, INT64_MIN), "-9223372036854775808");
	expect(got, text_i64(got, INT64_MAX), "9223372036854775807");
}
END_TEST

START_TEST(integers_refused)
{
	static const char *const bad[] = {"",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1x",
					  "0x1",
					  "18446744073709551616",
					  "99999999999999999999"};
	uint64_t v;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(text_read_u64(bad[i], strlen(bad[i]), &v) == -1,
			      "'%s' taken", bad[i]);
	ck_assert_int_eq(text_read_u64("18446744073709551615", 20, &v), 0);
	ck_assert(v == UINT64_MAX);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},
		    {"4096", 4096},
		    {"512K", 512 << 10},
		    {"64M", 64 << 20},
		    {"1G", 1 << 30},
		    {"3T", UINT64_C(3) << 40},
		    {"18014398509481983K", UINT64_MAX >> 10 << 10}};
	static const char *const bad[] = {
	    "", "K", "1k", "1KB", "K1", "1.5M", "-1K", "18014398509481984K"};
	uint64_t v;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const char *p = good[i].text;

		ck_assert_msg(text_read_size(p, strlen(p), &v) == 0 &&
				  v == good[i].bytes,
			      "'%s' is %" PRIu64, p, v);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(text_read_size(bad[i], strlen(bad[i]), &v) == -1,
			      "'%s' taken", bad[i]);
}
END_TEST

START_TEST(floats)
{
	char got[TEXT_MAX + 1];
	size_t n;

	expect(got, text_f64(got, 0), "0");
	expect(got, text_f64(got, -0.0), "-0");
	expect(got, text_f64(got, 0.1), "0.1");
	expect(got, text_f64(got, 0.1 + 0.2), "0.30000000000000004");
	expect(got, text_f64(got, -1234567), "-1234567");
	expect(got, text_f64(got, NAN), "nan");
	expect(got, text_f64(got, -NAN), "nan");
	expect(got, text_f64(got, INFINITY), "inf");
	expect(got, text_f64(got, -INFINITY), "-inf");
	for (int i = 0; i < 50000; i++) {
		uint64_t bits = random_u64();
		double v, back;

		memcpy(&v, &bits, sizeof v);
		if (i & 1) /* of everyday size */
			v = (double)(int64_t)bits / 1e6;
		if (isnan(v))
			continue;
		n = text_f64(got, v);
		ck_assert_uint_le(n, TEXT_MAX);
		got[n] = 0;
		back = strtod(got, NULL);
		ck_assert_msg(back == v, "%s is not %.17g", got, v);
	}
}
END_TEST

START_TEST(times)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00Z"},
	    {-1, "1969-12-31T23:59:59.999999Z"},
	    {1, "1970-01-01T00:00:00.000001Z"},
	    {1795428000250000, "2026-11-23T10:00:00.25Z"},
	    {951782400000000, "2000-02-29T00:00:00Z"},
	    {253402300799999999, "9999-12-31T23:59:59.999999Z"},
	    {253402300800000000, "+10000-01-01T00:00:00Z"},
	    {-62167219200000000, "0000-01-01T00:00:00Z"},
	    {-62167219200000001, "-0001-12-31T23:59:59.999999Z"},
	    {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
	    {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
	};
	char got[TEXT_MAX];
	int64_t back;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = text_time(got, cases[i].us);

		expect(got, n, cases[i].text);
		ck_assert_int_eq(text_read_time(got, n, &back), 0);
		ck_assert(back == cases[i].us);
	}
	for (int i = 0; i < 100000; i++) {
		int64_t us = (int64_t)random_u64() >> (i & 31);
		size_t n = text_time(got, us);

		ck_assert_uint_le(n, TEXT_MAX);
		ck_assert_int_eq(text_read_time(got, n, &back), 0);
		ck_assert(back == us);
	}
}
END_TEST

START_TEST(times_as_libc)
{
	char got[TEXT_MAX], want[TEXT_MAX];

	for (int i = 0; i < 20000; i++) {
		time_t t = (time_t)(random_u64() >> 28) - 30000000000;
		struct tm tm;

		gmtime_r(&t, &tm);
		if (tm.tm_year + 1900 < 1000)
			continue;
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
		expect(got, text_time(got, t * 1000000), want);
	}
}
END_TEST

START_TEST(times_read)
{
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
	    {"2026-11-23T10:00:00.25Z", 1795428000250000},
	    {"2026-11-23 10:00:00,25z", 1795428000250000},
	    {"2026-11-23T12:30:00.25+02:30", 1795428000250000},
	    {"2026-11-23T12:30:00.25+0230", 1795428000250000},
	    {"2026-11-23T05:00-05", 1795428000000000},
	    {"2026-11-23T10:00:00.2500009Z", 1795428000250000},
	    {"2016-12-31T23:59:60Z", 1483228800000000},
	    /* Local: five hours west in winter, four in summer. */
	    {"2026-11-23", 1795410000000000},
	    {"2026-11-23T05:00:00.25", 1795428000250000},
	    {"2026-07-01T00:00", 1782878400000000},
	};

	setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
	tzset();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *s = cases[i].text;
		int64_t us = -1;

		ck_assert_msg(text_read_time(s, strlen(s), &us) == 0, "%s", s);
		ck_assert_msg(us == cases[i].us, "%s: %" PRId64, s, us);
	}
}
END_TEST

START_TEST(times_refused)
{
	static const char *const bad[] = {"",
					  "2026",
					  "2026-11",
					  "2026-13-01",
					  "2026-02-29",
					  "2026-00-01",
					  "2026-01-00",
					  "2026-01-32",
					  "2026-11-23T",
					  "2026-11-23T10",
					  "2026-11-23T24:00Z",
					  "2026-11-23T10:60Z",
					  "2026-11-23T10:00:61Z",
					  "2026-11-23Z",
					  "2026-11-23T10:00:00.Z",
					  "2026-11-23T10:00:00Zx",
					  "2026-11-23T10:00:00+",
					  "2026-11-23T10:00:00+2",
					  "2026-11-23T10:00:00+24:00",
					  "26-11-23",
					  "+-2026-11-23",
					  "+294247-01-10T04:00:54.775808Z",
					  "-290308-12-21T19:59:05.224191Z",
					  "+999999999-01-01T00:00Z",
					  "+9999999999-01-01T00:00Z",
					  "+-01-01T00:00Z"};
	int64_t us;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(text_read_time(bad[i], strlen(bad[i]), &us) == -1,
			      "'%s' taken", bad[i]);
	ck_assert_int_eq(text_read_time("2026-11-23\0", 11, &us), -1);
}
END_TEST

START_TEST(addresses)
{
	char got[TEXT_MAX], want[TEXT_MAX];
	uint8_t ip[16], back[16];

	for (int i = 0; i < 200000; i++) {
		uint64_t zeros = random_u64(), a = random_u64();
		size_t n;

		for (int k = 0; k < 16; k++)
			ip[k] = zeros >> (k / 2 * 3) & 3
				    ? 0
				    : (uint8_t)(a >> (k * 4));
		if (i % 16 == 0)
			ip_from_v4(ip, (uint32_t)a);
		n = text_ip(got, ip);
		if (ip_is_v4(ip))
			inet_ntop(AF_INET, ip + 12, want, sizeof want);
		else
			inet_ntop(AF_INET6, ip, want, sizeof want);
		expect(got, n, want);
		ck_assert_int_eq(text_read_ip(got, n, back), 0);
		ck_assert(!memcmp(ip, back, 16));
	}
	expect(got, text_ipv4(got, 0x0a000001), "10.0.0.1");
	expect(got, text_ipv4(got, 0xffffffff), "255.255.255.255");
	expect(got, text_ipv4(got, 0), "0.0.0.0");
	memset(ip, 0xff, sizeof ip);
	expect(got, text_ip(got, ip),
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	memset(ip, 0, sizeof ip);
	expect(got, text_ip(got, ip), "::");
}
END_TEST

START_TEST(addresses_refused)
{
	static const char *const bad[] = {
	    "",
	    "10.0.0",
	    "10.0.0.256",
	    "::g",
	    "10.0.0.1 ",
	    "1:2:3:4:5:6:7:8:9",
	    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555"};
	uint8_t ip[16];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(text_read_ip(bad[i], strlen(bad[i]), ip) == -1,
			      "'%s' taken", bad[i]);
	ck_assert_int_eq(text_read_ip("10.0.0.1\0", 9, ip), -1);
	ck_assert_int_eq(text_read_ip("::ffff:10.0.0.1", 15, ip), 0);
	ck_assert(ip_is_v4(ip) && ip_v4(ip) == 0x0a000001);
}
END_TEST

START_TEST(macs)
{
	char got[TEXT_MAX];
	uint64_t v;

	expect(got, text_mac(got, 0x001122334455), "00:11:22:33:44:55");
	expect(got, text_mac(got, 0xffeeddccbbaa), "ff:ee:dd:cc:bb:aa");
	ck_assert_int_eq(text_read_mac("FF-ee-dd:CC:bb:aa", 17, &v), 0);
	ck_assert(v == 0xffeeddccbbaa);
	ck_assert_int_eq(text_read_mac("ff:ee:dd:cc:bb:a", 16, &v), -1);
	ck_assert_int_eq(text_read_mac("ff:ee:dd:cc:bb:ag", 17, &v), -1);
	ck_assert_int_eq(text_read_mac("ff.ee.dd.cc.bb.aa", 17, &v), -1);
}
END_TEST

START_TEST(values)
{
	char got[TEXT_MAX];
	struct value v = {.type = COL_NULL};

	expect(got, text_value(got, &v), "null");
	v = (struct value){.type = COL_BOOL, .u = 1};
	expect(got, text_value(got, &v), "true");
	v = (struct value){.type = COL_BOOL};
	expect(got, text_value(got, &v), "false");
	v = (struct value){.type = COL_I64, .i = -5};
	expect(got, text_value(got, &v), "-5");
	v = (struct value){.type = COL_U8, .u = 200};
	expect(got, text_value(got, &v), "200");
	v = (struct value){.type = COL_F64, .f = 2.5};
	expect(got, text_value(got, &v), "2.5");
	v = (struct value){.type = COL_IPV4, .u = 0xc0000201};
	expect(got, text_value(got, &v), "192.0.2.1");
	v = (struct value){.type = COL_TIME, .i = 1500000};
	expect(got, text_value(got, &v), "1970-01-01T00:00:01.5Z");
}
END_TEST

START_TEST(utf8)
{
	static const struct {
		const char *text;
		size_t valid;
	} cases[] = {
	    {"", 0},
	    {"plain ascii, longer than a word", 31},
	    {"gr\xc3\xbc\xc3\x9f", 6},
	    {"\xe2\x82\xac", 3},
	    {"\xf0\x9f\x98\x80", 4},
	    {"\xf4\x8f\xbf\xbf", 4},
	    {"\xed\x9f\xbf", 3},
	    {"ab\xff", 2},
	    {"eight or more bytes\x80", 19},
	    {"\xc0\x80", 0}, /* longer than needed */
	    {"\xe0\x9f\xbf", 0},
	    {"\xf0\x8f\xbf\xbf", 0},
	    {"\xed\xa0\x80", 0},     /* surrogate */
	    {"\xf4\x90\x80\x80", 0}, /* past the last */
	    {"\xf5\x80\x80\x80", 0},
	    {"x\xe2\x82", 1}, /* cut */
	    {"x\xe2\x82x", 1},
	    {"x\xf0\x9f\x98", 1},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_uint_eq(
		    text_utf8(cases[i].text, strlen(cases[i].text)),
		    cases[i].valid);
	ck_assert_uint_eq(text_utf8("a\0b", 3), 3);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("text");
	TCase *c = tcase_create("text");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_add_test(c, integers);
	tcase_add_test(c, integers_refused);
	tcase_add_test(c, sizes);
	tcase_add_test(c, floats);
	tcase_add_test(c, times);
	tcase_add_test(c, times_as_libc);
	tcase_add_test(c, times_read);
	tcase_add_test(c, times_refused);
	tcase_add_test(c, addresses);
	tcase_add_test(c, addresses_refused);
	tcase_add_test(c, macs);
	tcase_add_test(c, values);
	tcase_add_test(c, utf8);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
