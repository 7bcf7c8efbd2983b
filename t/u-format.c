/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/format.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum { ROWS = 3 };

static uint8_t bools[] = {0, 1, 1};
static uint64_t u64s[] = {0, 7, UINT64_MAX};
static int64_t i64s[] = {INT64_MIN, -1, INT64_MAX};
static double f64s[] = {0.5, NAN, -INFINITY};
static int64_t times[] = {0, -1, 1795428000250000};
static uint32_t ipv4s[] = {0, 0x0a000001, 0xffffffff};
static uint64_t macs[] = {0, 0x001122334455, 0xffffffffffff};
static uint32_t offsets[] = {0, 0, 3, 8};
static char bytes[] = "a,b\"\n\\\x01\xff";
static uint8_t second_null = 5;

static const char *const names[] = {"b", "u", "i", "f", "t", "v4", "m", "s"};
static const enum col_type types[] = {COL_BOOL, COL_U64,  COL_I64, COL_F64,
				      COL_TIME, COL_IPV4, COL_MAC, COL_STRING};
static const struct column columns[] = {
    {.data = bools}, {.data = u64s},
    {.data = i64s},  {.data = f64s},
    {.data = times}, {.data = ipv4s},
    {.data = macs},  {.data = offsets, .bytes = bytes, .bytes_len = 8},
};
enum { COLS = 8 };

static void
expect(struct format *f, const char *want)
{
	size_t len;
	const char *got = format_text(f, &len);

	ck_assert_msg(len == strlen(want) && !memcmp(got, want, len),
		      "got:\n%.*swant:\n%s", (int)len, got, want);
	format_clear(f);
}

static struct format *
all_types(enum format_type type, struct column copy[COLS], bool nulls)
{
	const struct column *cols[COLS];
	struct format *f = format_new(type);
	struct err err;

	memcpy(copy, columns, sizeof columns);
	for (size_t i = 0; i < COLS; i++) {
		cols[i] = &copy[i];
		if (nulls)
			copy[i].valid = &second_null;
	}
	ck_assert_int_eq(format_columns(f, names, types, COLS, &err), 0);
	ck_assert_int_eq(format_header(f, &err), 0);
	ck_assert_int_eq(format_rows(f, cols, 0, ROWS, &err), 0);
	return f;
}

START_TEST(json)
{
	struct column c[COLS];
	struct format *f = all_types(FORMAT_JSON, c, false);

	expect(f, "{\"b\":false,\"u\":0,\"i\":-9223372036854775808,\"f\":0.5,"
		  "\"t\":\"1970-01-01T00:00:00Z\",\"v4\":\"0.0.0.0\","
		  "\"m\":\"00:00:00:00:00:00\",\"s\":\"\"}\n"
		  "{\"b\":true,\"u\":7,\"i\":-1,\"f\":null,"
		  "\"t\":\"1969-12-31T23:59:59.999999Z\",\"v4\":\"10.0.0.1\","
		  "\"m\":\"00:11:22:33:44:55\",\"s\":\"a,b\"}\n"
		  "{\"b\":true,\"u\":18446744073709551615,"
		  "\"i\":9223372036854775807,\"f\":null,"
		  "\"t\":\"2026-11-23T10:00:00.25Z\",\"v4\":"
		  "\"255.255.255.255\",\"m\":\"ff:ff:ff:ff:ff:ff\","
		  "\"s\":\"\\\"\\n\\\\\\u0001\xef\xbf\xbd\"}\n");
	format_free(f);
}
END_TEST

START_TEST(json_nulls)
{
	static const char nulls[] =
	    "{\"b\":null,\"u\":null,\"i\":null,\"f\":null,\"t\":null,"
	    "\"v4\":null,\"m\":null,\"s\":null}\n";
	struct column c[COLS];
	struct format *f = all_types(FORMAT_JSON, c, true);
	const char *text;
	size_t len;

	text = format_text(f, &len);
	text = (const char *)memchr(text, '\n', len) + 1;
	ck_assert(!strncmp(text, nulls, sizeof nulls - 1));
	format_free(f);
}
END_TEST

START_TEST(csv)
{
	struct column c[COLS];
	struct format *f = all_types(FORMAT_CSV, c, true);

	expect(f,
	       "b,u,i,f,t,v4,m,s\n"
	       "false,0,-9223372036854775808,0.5,1970-01-01T00:00:00Z,0.0.0.0,"
	       "00:00:00:00:00:00,\"\"\n"
	       ",,,,,,,\n"
	       "true,18446744073709551615,9223372036854775807,-inf,"
	       "2026-11-23T10:00:00.25Z,255.255.255.255,ff:ff:ff:ff:ff:ff,"
	       "\"\"\"\n\\\xef\xbf\xbd\xef\xbf\xbd\"\n");
	format_free(f);
}
END_TEST

START_TEST(tsv)
{
	struct column c[COLS];
	struct format *f = all_types(FORMAT_TSV, c, true);

	expect(f,
	       "b\tu\ti\tf\tt\tv4\tm\ts\n"
	       "false\t0\t-9223372036854775808\t0.5\t1970-01-01T00:00:00Z\t"
	       "0.0.0.0\t00:00:00:00:00:00\t\n"
	       "\t\t\t\t\t\t\t\n"
	       "true\t18446744073709551615\t9223372036854775807\t-inf\t"
	       "2026-11-23T10:00:00.25Z\t255.255.255.255\tff:ff:ff:ff:ff:ff\t"
	       "\"\\n\\\\\\x01\\xff\n");
	format_free(f);
}
END_TEST

START_TEST(row)
{
	struct column c[COLS];
	struct format *f = all_types(FORMAT_ROW, c, true);

	expect(f, "{b=false, f=0.5, i=-9223372036854775808, "
		  "m=00:00:00:00:00:00, s=, t=1970-01-01T00:00:00Z, u=0, "
		  "v4=0.0.0.0}\n"
		  "{b=null, f=null, i=null, m=null, s=null, t=null, u=null, "
		  "v4=null}\n"
		  "{b=true, f=-inf, i=9223372036854775807, "
		  "m=ff:ff:ff:ff:ff:ff, s=\"\\n\\\\x01\xef\xbf\xbd, "
		  "t=2026-11-23T10:00:00.25Z, u=18446744073709551615, "
		  "v4=255.255.255.255}\n");
	format_free(f);
}
END_TEST

/* Constant, borrowed at an odd address, missing, and a part of the rows. */
START_TEST(kinds_of_column)
{
	static const char *const key[] = {"sum(a, b)", "a\"b", "none", "x"};
	static const enum col_type type[] = {COL_IP, COL_U32, COL_U8, COL_F64};
	uint8_t ip[16], none = 0;
	char odd[13];
	double x = 1.5;
	struct column c[] = {{.constant = true, .data = ip},
			     {.data = odd + 1},
			     {.constant = true, .data = &x, .valid = &none}};
	const struct column *cols[] = {&c[0], &c[1], NULL, &c[2]};
	struct format *f;
	struct err err;

	ip_from_v4(ip, 0x01020304);
	for (uint32_t i = 0; i < 3; i++)
		memcpy(odd + 1 + 4 * i, &(uint32_t){100 + i}, 4);
	f = format_new(FORMAT_JSON);
	ck_assert_int_eq(format_columns(f, key, type, 4, &err), 0);
	ck_assert_int_eq(format_rows(f, cols, 1, 3, &err), 0);
	expect(f, "{\"sum(a, b)\":\"1.2.3.4\",\"a\\\"b\":101,\"none\":null,"
		  "\"x\":null}\n"
		  "{\"sum(a, b)\":\"1.2.3.4\",\"a\\\"b\":102,\"none\":null,"
		  "\"x\":null}\n");
	format_free(f);
	f = format_new(FORMAT_CSV);
	ck_assert_int_eq(format_columns(f, key, type, 4, &err), 0);
	ck_assert_int_eq(format_header(f, &err), 0);
	ck_assert_int_eq(format_rows(f, cols, 2, 3, &err), 0);
	expect(f, "\"sum(a, b)\",\"a\"\"b\",none,x\n1.2.3.4,102,,\n");
	ck_assert_int_eq(format_rows(f, cols, 3, 3, &err), 0);
	expect(f, "");
	format_free(f);
}
END_TEST

/* Every byte, alone and in a string long enough to need more room. */
START_TEST(hostile)
{
	enum { REPEAT = 20000 };
	static char text[256 * REPEAT];
	uint32_t offset[3] = {0, 256, sizeof text};
	struct column c = {
	    .data = offset, .bytes = text, .bytes_len = sizeof text};
	const struct column *cols[] = {&c};

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i < 256 ? i : i * 2654435761 >> 13);
	for (int type = 0; type < FORMAT_TYPES; type++) {
		struct format *f = format_new((enum format_type)type);
		struct err err;
		size_t len, bad = 0;
		const char *p;

		ck_assert_int_eq(format_columns(f, (const char *[]){"s"},
						(enum col_type[]){COL_STRING},
						1, &err),
				 0);
		ck_assert_int_eq(format_rows(f, cols, 0, 2, &err), 0);
		p = format_text(f, &len);
		ck_assert_uint_eq(text_utf8(p, len), len);
		for (size_t i = 0; i < len; i++)
			bad += (unsigned char)p[i] < 0x20 && p[i] != '\n' &&
			       !(type == FORMAT_CSV &&
				 (p[i] == '\t' || p[i] == '\r'));
		ck_assert_msg(bad == 0, "%zu control bytes in format %d", bad,
			      type);
		format_free(f);
	}
}
END_TEST

START_TEST(format_names)
{
	ck_assert_int_eq(format_find("json"), FORMAT_JSON);
	ck_assert_int_eq(format_find("row"), FORMAT_ROW);
	ck_assert_int_eq(format_find("xml"), -1);
}
END_TEST

START_TEST(no_columns)
{
	struct format *f = format_new(FORMAT_JSON);
	struct err err;

	ck_assert_int_eq(format_columns(f, NULL, NULL, 0, &err), 0);
	ck_assert_int_eq(format_rows(f, NULL, 0, 2, &err), 0);
	expect(f, "{}\n{}\n");
	format_free(f);
	format_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("format");
	TCase *c = tcase_create("format");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_add_test(c, json);
	tcase_add_test(c, json_nulls);
	tcase_add_test(c, csv);
	tcase_add_test(c, tsv);
	tcase_add_test(c, row);
	tcase_add_test(c, kinds_of_column);
	tcase_add_test(c, hostile);
	tcase_add_test(c, format_names);
	tcase_add_test(c, no_columns);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
