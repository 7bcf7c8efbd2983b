/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams of objects, batches and rows on the wire. */
#include "common/record.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/stream.h"

static struct shapes *shapes;
static struct err e;

/* Writes a batch through a file and gives back the bytes. */
static char *
written(const struct batch *b, bool rows, size_t *len)
{
	struct stream_out o;
	FILE *f = tmpfile();
	char *buf;

	stream_out_init(&o, fileno(f));
	ck_assert_int_eq(
	    rows ? record_write_rows(&o, b, &e) : record_write(&o, b, &e), 0);
	*len = stream_out_pending(&o);
	ck_assert_int_eq(stream_out_flush(&o, &e), 0);
	ck_assert_uint_eq(o.written, *len);
	buf = malloc(*len + 1);
	rewind(f);
	ck_assert_uint_eq(fread(buf, 1, *len + 1, f), *len);
	stream_out_clear(&o);
	fclose(f);
	return buf;
}

static const enum col_type all_types[] = {
    COL_BOOL, COL_U8,	COL_U16, COL_U32, COL_U64,    COL_I64,	COL_F64,
    COL_TIME, COL_IPV4, COL_IP,	 COL_MAC, COL_STRING, COL_BYTES};
enum { NTYPES = sizeof(all_types) / sizeof(all_types[0]) };

/* Row i's value of a type; every fifth is null when NULLS. */
static struct value
sample(enum col_type t, uint32_t i, bool nulls)
{
	static char text[64];
	struct value v = {.type = t};

	if (nulls && i % 5 == 0)
		return (struct value){0};
	if (t == COL_STRING || t == COL_BYTES) {
		snprintf(text, sizeof(text), "%u\xc3\xa9%u", i, i * i);
		v.s = text;
		v.len = i % 7 ? strlen(text) : 0;
		return v;
	}
	for (size_t j = 0; j < col_type_width(t); j++)
		v.ip[j] = (uint8_t)(i * 31 + j);
	if (t == COL_BOOL)
		v.u = i & 1;
	if (t == COL_MAC)
		v.u &= (1ull << 48) - 1;
	if (t == COL_F64)
		v.f = i * 1.5;
	return v;
}

static struct batch *
make(uint32_t rows, bool nulls)
{
	struct field f[NTYPES];
	const struct shape *s;
	struct batch *b;

	for (size_t i = 0; i < NTYPES; i++)
		f[i] =
		    (struct field){col_type_name(all_types[i]), all_types[i]};
	ck_assert_int_eq(shapes_get(shapes, f, NTYPES, &s, &e), 0);
	b = batch_new(s);
	for (uint32_t r = 0; r < rows; r++, b->rows++)
		for (size_t i = 0; i < NTYPES; i++) {
			struct value v = sample(s->fields[i].type, r, nulls);

			ck_assert_int_eq(column_put(&b->cols[i],
						    s->fields[i].type, r, &v,
						    &e),
					 0);
		}
	b->stream = 0xfedcba9876543210;
	b->number = 42;
	return b;
}

static void
expect_same(const struct batch *a, const struct batch *b)
{
	struct value v, w;

	ck_assert_ptr_eq(a->shape, b->shape);
	ck_assert_uint_eq(a->rows, b->rows);
	for (size_t i = 0; i < a->shape->n; i++)
		for (uint32_t r = 0; r < a->rows; r++) {
			enum col_type t = a->shape->fields[i].type;

			column_value(&a->cols[i], t, r, &v);
			column_value(&b->cols[i], t, r, &w);
			ck_assert_int_eq(v.type, w.type);
			if (t < COL_STRING) {
				ck_assert_mem_eq(&v, &w, sizeof(v));
				continue;
			}
			ck_assert_uint_eq(v.len, w.len);
			if (v.len)
				ck_assert_mem_eq(v.s, w.s, v.len);
		}
}

static void
round_trip(uint32_t rows, bool nulls, bool constants)
{
	struct record_reader *r = record_reader_new(shapes);
	struct batch *b = make(rows, nulls);
	const struct batch *back;
	size_t len;
	char *buf;

	for (size_t i = 0; constants && i < b->shape->n; i++)
		b->cols[i].constant = true;
	buf = written(b, false, &len);
	ck_assert_msg(record_read(r, buf, len, &back, &e) == 1, "%s", e.text);
	ck_assert_uint_eq(back->stream, b->stream);
	ck_assert_uint_eq(back->number, 42);
	expect_same(b, back);
	free(buf);
	batch_free(b);
	record_reader_free(r);
}

START_TEST(batches_come_back)
{
	static const uint32_t sizes[] = {0, 1, 2, 7, 8, 9, 1000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		round_trip(sizes[i], false, false);
		round_trip(sizes[i], true, false);
	}
	round_trip(BATCH_ROWS_MAX, false, false);
	round_trip(9, false, true);
	round_trip(9, true, true);
}
END_TEST

START_TEST(rows_come_back_as_batches)
{
	struct record_reader *r = record_reader_new(shapes);
	struct batch *b = make(10, false);
	const struct batch *back;
	size_t len, pos = 0;
	const char *why;
	char *buf = written(b, true, &len);

	while (pos < len) {
		int64_t n = stream_extent(buf + pos, len - pos, len, &why);

		ck_assert_int_gt(n, 0);
		ck_assert_msg(record_read(r, buf + pos, (size_t)n, &back, &e) ==
				  0,
			      "%s", e.text);
		pos += (size_t)n;
	}
	/* two shapes: i64 is u64 in the rows where it is not negative */
	ck_assert_ptr_null(record_reader_take(r, 11));
	for (len = 0; (back = record_reader_take(r, 1)); len += back->rows) {
		ck_assert_uint_eq(back->stream, 0);
		ck_assert_int_ge(shape_find(back->shape, "string"), 0);
	}
	ck_assert_uint_eq(len, 10);
	free(buf);
	batch_free(b);
	record_reader_free(r);
}
END_TEST

/* Known fields are typed by name, aliases become canonical names. */
START_TEST(rows_are_typed)
{
	static const char row[] =
	    "\x85\xadIPV4_SRC_ADDR\xa8"
	    "10.0.0.1\xa8"
	    "dst_addr\xab"
	    "2001:db8::1\xa5_time\xce\x00\x0f\x42\x40\xaaIN_SRC_MAC\xb1"
	    "00:11:22:33:44:55\xa4mine\xff";
	static const struct field expected[] = {{"_time", COL_TIME},
						{"dst_addr", COL_IP},
						{"mine", COL_I64},
						{"src_addr", COL_IPV4},
						{"src_mac_address", COL_MAC}};
	struct record_reader *r = record_reader_new(shapes);
	const struct batch *b;

	ck_assert_msg(record_read(r, row, sizeof(row) - 1, &b, &e) == 0, "%s",
		      e.text);
	b = record_reader_take(r, 1);
	ck_assert_uint_eq(b->shape->n, 5);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_str_eq(b->shape->fields[i].name, expected[i].name);
		ck_assert_int_eq(b->shape->fields[i].type, expected[i].type);
	}
	record_reader_free(r);
}
END_TEST

/* Every cut and every flipped byte of a batch: an error or a batch, and the
 * sanitizers have the last word. */
/* Rows and the shapes they make; NULL: it is none. */
#define ROW(s) s, sizeof(s) - 1
static const struct {
	const char *row;
	size_t len;
	const char *shape;
} mixed[] = {
    {ROW("\x82\xa1\x61\x01\xa1\x62\x02"), "a:u64 b:u64"},
    {ROW("\x82\xa1\x61\xa1x\xa1\x62\x81"), NULL},
    {ROW("\x82\xa1\x61\xa1x\xa1\x62\x02"), "a:string b:u64"},
    {ROW("\x82\xa1\x62\x01\xa1\x61\x02"), "a:u64 b:u64"},
    {ROW("\x81\xa1\x62\x01"), "b:u64"},
    {ROW("\x83\xa1\x62\x01\xa1\x61\xc0\xa2\x61\x62\xff"), "ab:i64 b:u64"},
    {ROW("\x82\xa1\x62\x01\xa1\x62\x02"), NULL},
    {ROW("\x80"), ""},
    {ROW("\x82\xa1\x62\x01\xa2\x61\x62\xff"), "ab:i64 b:u64"},
};

static void
check_shape(const struct batch *b, const char *expected)
{
	char text[64] = "";

	for (size_t c = 0; c < b->shape->n; c++) {
		const struct field *f = &b->shape->fields[c];
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%s:%s",
			 c ? " " : "", f->name, col_type_name(f->type));
	}
	ck_assert_str_eq(text, expected);
}

/* Rows are taken for like the one before: here they hardly are. */
START_TEST(rows_of_all_kinds_mixed)
{
	struct record_reader *r = record_reader_new(shapes);
	const struct batch *b;
	uint32_t seed = 1;

	for (int k = 0; k < 3000; k++) {
		size_t i = (seed = seed * 1103515245 + 12345) >> 16;
		int n;

		i %= sizeof(mixed) / sizeof(*mixed);
		n = record_read(r, mixed[i].row, mixed[i].len, &b, &e);
		ck_assert_int_eq(n, mixed[i].shape ? 0 : -1);
		/* gathered rows are taken now and then only */
		if (n != 0 || k % 3 == 0)
			continue;
		while ((b = record_reader_take(r, 1)))
			ck_assert_uint_gt(b->rows, 0);
		n = record_read(r, mixed[i].row, mixed[i].len, &b, &e);
		ck_assert_int_eq(n, 0);
		check_shape(record_reader_take(r, 1), mixed[i].shape);
	}
	record_reader_free(r);
}
END_TEST

START_TEST(damaged_batches)
{
	struct record_reader *r = record_reader_new(shapes);
	struct batch *b = make(9, true);
	const struct batch *back;
	const char *why;
	size_t len;
	char *buf = written(b, false, &len);

	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(stream_extent(buf, n, len, &why), 0);
	for (size_t i = 0; i < len * 8; i++) {
		int64_t n;

		buf[i / 8] ^= (char)(1 << i % 8);
		n = stream_extent(buf, len, len, &why);
		if (n > 0 && record_read(r, buf, (size_t)n, &back, &e) == 1)
			for (size_t c = 0; c < back->shape->n; c++)
				for (uint32_t k = 0; k < back->rows; k++) {
					struct value v;

					column_value(
					    &back->cols[c],
					    back->shape->fields[c].type, k, &v);
				}
		buf[i / 8] ^= (char)(1 << i % 8);
	}
	free(buf);
	batch_free(b);
	record_reader_free(r);
}
END_TEST

static int64_t
extent(const char *bytes, size_t len)
{
	const char *why = NULL;
	int64_t n = stream_extent(bytes, len, 1 << 20, &why);

	ck_assert((n < 0) == (why != NULL));
	return n;
}

START_TEST(extents)
{
	ck_assert_int_eq(extent("\x01", 1), 1);
	ck_assert_int_eq(extent("\x92\x01\x02", 3), 3);
	ck_assert_int_eq(extent("\x92\x01", 2), 0);
	ck_assert_int_eq(extent("\x81\xa1"
				"a\xcd\x01\x02",
				6),
			 6);
	ck_assert_int_eq(extent("\xc4\x03"
				"abc",
				5),
			 5);
	ck_assert_int_eq(extent("\xd9\x03"
				"abc",
				5),
			 5);
	ck_assert_int_eq(extent("\xd4\x01\x02", 3), 3);
	ck_assert_int_eq(extent("\xc7\x01\x02\x03", 4), 4);
	ck_assert_int_eq(extent("\xca\x01\x02\x03\x04", 5), 5);
	ck_assert_int_eq(extent("\xc0", 1), 1);
	ck_assert_int_eq(extent("\xdc\x00\x01\x05", 4), 4);
	ck_assert_int_eq(extent("\xde\x00\x01\x05\x06", 5), 5);
	ck_assert_int_eq(extent("\x90", 1), 1);
	/* claims that the bound refuses at once */
	ck_assert_int_eq(extent("\xdd\xff\xff\xff\xff", 5), -1);
	ck_assert_int_eq(extent("\xdf\xff\xff\xff\xff", 5), -1);
	ck_assert_int_eq(extent("\xc6\xff\xff\xff\xff", 5), -1);
	ck_assert_int_eq(extent("\xc1", 1), -1);
	ck_assert_int_eq(extent("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
				"\x91\x91\x91\x91\x91\x91\x91\x91\x01",
				19),
			 -1);
}
END_TEST

/* Short values in large numbers would take 24 bytes each. */
START_TEST(many_values)
{
	static char p[3 * 65536];

	memset(p, 0xc0, sizeof(p));
	memcpy(p, "\xdc\x3f\xff", 3); /* 16383 */
	ck_assert_int_eq(extent(p, sizeof(p)), 3 + 16383);
	memcpy(p, "\xdc\x40\x00", 3);
	ck_assert_int_eq(extent(p, sizeof(p)), -1);
	memcpy(p, "\xde\x20\x00", 3); /* 8192 keys and as many values */
	ck_assert_int_eq(extent(p, sizeof(p)), -1);
	/* an array of arrays of 15 */
	memcpy(p, "\xdc\x10\x00", 3);
	for (size_t i = 3; i < sizeof(p); i += 16)
		p[i] = (char)0x9f;
	ck_assert_int_eq(extent(p, sizeof(p)), -1);
	memcpy(p, "\xdc\x03\xff", 3);
	ck_assert_int_eq(extent(p, sizeof(p)), 3 + 1023 * 16);
}
END_TEST

/* A stream that comes byte by byte, and one that ends inside an object. */
START_TEST(reading_in_pieces)
{
	static const char bytes[] = "\x92\x01\x02\xa3"
				    "abc\x92\x01";
	struct stream_in in;
	const char *obj;
	size_t len, objects = 0;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(stream_in_init(&in, p[0], 0, &e), 0);
	for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
		ck_assert_int_eq(write(p[1], bytes + i, 1), 1);
		ck_assert_int_eq(stream_fill(&in, &e), 1);
		while (stream_next(&in, &obj, &len, &e) == 1)
			objects++;
	}
	ck_assert_uint_eq(objects, 2);
	close(p[1]);
	ck_assert_int_eq(stream_fill(&in, &e), 0);
	ck_assert(in.eof);
	ck_assert_int_eq(stream_next(&in, &obj, &len, &e), -1);
	ck_assert_str_eq(
	    e.text,
	    "input ends inside an object that begins at offset 7 (2 bytes of "
	    "it are there)");
	stream_in_clear(&in);
	close(p[0]);
}
END_TEST

static void
setup(void)
{
	shapes = shapes_new(SHAPES_MAX);
}

static void
teardown(void)
{
	shapes_free(shapes);
}

int
main(void)
{
	Suite *s = suite_create("record");
	TCase *tc = tcase_create("record");
	SRunner *sr;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, batches_come_back);
	tcase_add_test(tc, rows_come_back_as_batches);
	tcase_add_test(tc, rows_are_typed);
	tcase_add_test(tc, rows_of_all_kinds_mixed);
	tcase_add_test(tc, damaged_batches);
	tcase_add_test(tc, extents);
	tcase_add_test(tc, many_values);
	tcase_add_test(tc, reading_in_pieces);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
