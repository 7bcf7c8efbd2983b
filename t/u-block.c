/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks: written, read, and damaged. */
#include "common/block.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"

static struct shapes *shapes;
static struct encoder *enc;
static struct block_out out;
static struct err e;
static struct table_scratch scratch;
static uint64_t seed;

static uint64_t
rnd(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33 ^ seed << 31;
}

static void
setup(void)
{
	shapes = shapes_new(SHAPES_MAX);
	enc = encoder_new();
	ck_assert(shapes && enc);
	seed = 4711;
}

static void
teardown(void)
{
	bytes_clear(&out.head);
	bytes_clear(&out.body);
	table_scratch_clear(&scratch);
	encoder_free(enc);
	shapes_free(shapes);
}

static const struct field fields[] = {
    {"_id", COL_U64},	    {"_time", COL_TIME},      {"a_bool", COL_BOOL},
    {"a_u8", COL_U8},	    {"a_u16", COL_U16},	      {"a_u32", COL_U32},
    {"a_i64", COL_I64},	    {"a_f64", COL_F64},	      {"a_ip", COL_IP},
    {"a_mac", COL_MAC},	    {"a_string", COL_STRING}, {"a_bytes", COL_BYTES},
    {"dst_addr", COL_IPV4}, {"dst_as", COL_U32},      {"end_time", COL_TIME},
    {"last", COL_U32},
};
enum { FIELDS = sizeof(fields) / sizeof(*fields) };

static struct value
any_value(enum col_type t, uint32_t row)
{
	static char text[8];
	struct value v = {.type = t};

	switch (t) {
	case COL_BOOL:
		v.u = rnd() & 1;
		break;
	case COL_F64:
		v.f = (double)(rnd() % 1000) / 8;
		break;
	case COL_IP:
		for (int i = 0; i < 16; i++)
			v.ip[i] = (uint8_t)(rnd() % 3);
		break;
	case COL_STRING:
	case COL_BYTES:
		v.len = rnd() % 5;
		for (size_t i = 0; i < v.len; i++)
			text[i] = (char)('a' + rnd() % 4);
		v.s = text;
		break;
	case COL_TIME:
		v.i = 1795000000000000 + (int64_t)row / 25 * 1000;
		break;
	default:
		v.u = rnd() & (UINT64_MAX >> (64 - 8 * col_type_width(t)));
		v.u >>= rnd() % 8 * col_type_width(t);
	}
	return v;
}

/* Values that belong together, as the encodings of whole blocks want them. */
static void
relate(const char *name, uint32_t row, struct value *v)
{
	uint64_t end = 1795000000000 + row / 25 - row % 13;

	if (strcmp(name, "_id") == 0)
		v->u = 1000 + row + row / 100 * 7;
	else if (strcmp(name, "dst_addr") == 0)
		v->u = row % 37 * 0x6c8e9cf5u & UINT32_MAX;
	else if (strcmp(name, "dst_as") == 0)
		v->u = row % 200 == 0 ? 1 : row % 37 * 1777;
	else if (strcmp(name, "end_time") == 0)
		v->u = end * 1000;
	else if (strcmp(name, "last") == 0)
		v->u = end - 1794999000000 + row / 500;
}

/* Random records; one value in NULLS is null (0: none). */
static struct batch *
make(uint32_t rows, unsigned nulls)
{
	const struct shape *s;
	struct batch *b;

	ck_assert_int_eq(shapes_get(shapes, fields, FIELDS, &s, &e), 0);
	b = batch_new(s);
	ck_assert_ptr_nonnull(b);
	for (size_t c = 0; c < s->n; c++)
		for (uint32_t i = 0; i < rows; i++) {
			enum col_type t = s->fields[c].type;
			struct value v = any_value(t, i);

			relate(s->fields[c].name, i, &v);
			if (c > 0 && nulls && rnd() % nulls == 0)
				v.type = COL_NULL;
			ck_assert_int_eq(column_put(&b->cols[c], t, i, &v, &e),
					 0);
		}
	b->rows = rows;
	return b;
}

static bool
equal(const struct value *a, const struct value *b, enum col_type t)
{
	if (a->type != b->type)
		return false;
	if (a->type == COL_NULL)
		return true;
	if (t == COL_STRING || t == COL_BYTES)
		return a->len == b->len &&
		       (a->len == 0 || memcmp(a->s, b->s, a->len) == 0);
	return memcmp(a->ip, b->ip, t == COL_IP ? 16 : 8) == 0;
}

static void
check_column(const struct batch *b, uint32_t from, const struct block_in *in,
	     size_t col, struct column *c)
{
	enum col_type t = b->shape->fields[col].type;

	ck_assert_msg(block_column(in, out.body.p, col, &scratch, c, &e) == 0,
		      "%s", e.text);
	for (uint32_t i = 0; i < in->pub.rows; i++) {
		struct value v, w;

		column_value(&b->cols[col], t, from + i, &v);
		column_value(c, t, i, &w);
		/* Check's assertions are slow */
		if (!equal(&v, &w, t))
			ck_abort_msg("column %zu, row %u", col, i);
	}
}

/* The same by entries and codes, where it is so stored: 1. */
static int
check_coded(const struct batch *b, uint32_t from, const struct block_in *in,
	    size_t col, struct coded *c)
{
	enum col_type t = b->shape->fields[col].type;
	int r = block_entries(in, out.body.p, col, &scratch, c, &e);

	ck_assert_msg(r >= 0, "%s", e.text);
	if (r == 0)
		return 0;
	ck_assert_uint_le(c->entries, in->pub.rows / 2);
	ck_assert_msg(block_codes(in, out.body.p, col, &scratch, c, &e) == 0,
		      "%s", e.text);
	for (uint32_t i = 0; i < in->pub.rows; i++) {
		struct value v, w;

		column_value(&b->cols[col], t, from + i, &v);
		column_value(&c->values, t, c->code[i], &w);
		if (c->code[i] >= c->entries || !equal(&v, &w, t))
			ck_abort_msg("coded column %zu, row %u", col, i);
	}
	return 1;
}

static size_t
round_trip(const struct batch *b, uint32_t from, uint32_t n)
{
	struct block_in *in;
	struct column c = {0};
	struct coded coded = {0};
	size_t found = 0;

	ck_assert_msg(block_encode(enc, b, from, n, &out, &e) == 0, "%s",
		      e.text);
	ck_assert_msg(block_parse(out.head.p, out.head.len, shapes, &in, &e) ==
			  0,
		      "%s", e.text);
	ck_assert_uint_eq(in->pub.rows, n);
	ck_assert_uint_eq(in->body, out.body.len);
	ck_assert_uint_eq(in->pub.first_id, 1000 + from + from / 100 * 7);
	ck_assert_ptr_eq(in->pub.shape, b->shape);
	/* one column after another in the same memory */
	for (size_t col = 0; col < b->shape->n; col++) {
		check_column(b, from, in, col, &c);
		found += (size_t)check_coded(b, from, in, col, &coded);
	}
	coded_clear(&coded);
	column_clear(&c);
	block_in_free(in);
	return found;
}

START_TEST(all_types_come_back)
{
	static const uint32_t sizes[] = {1, 2, 9, 100, 1000, 5000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (unsigned nulls = 0; nulls < 4; nulls++) {
			struct batch *b = make(sizes[i], nulls);
			size_t coded = round_trip(b, 0, sizes[i]);

			/* strings, and numbers of few values */
			if (sizes[i] == 5000 && nulls == 0)
				ck_assert_uint_gt(coded, 2);
			batch_free(b);
		}
}
END_TEST

START_TEST(parts_of_a_batch_come_back)
{
	struct batch *b = make(5000, 10);

	round_trip(b, 1, 4999);
	round_trip(b, 4999, 1);
	round_trip(b, 17, 2048);
	batch_free(b);
}
END_TEST

START_TEST(all_null_comes_back_constant)
{
	struct batch *b = make(100, 1);
	struct column c = {0};
	struct block_in *in;

	ck_assert_int_eq(block_encode(enc, b, 0, 100, &out, &e), 0);
	ck_assert_int_eq(block_parse(out.head.p, out.head.len, shapes, &in, &e),
			 0);
	for (size_t i = 0; i < b->shape->n; i++) {
		if (strcmp(b->shape->fields[i].name, "_id") == 0)
			continue;
		ck_assert_int_eq(
		    block_column(in, out.body.p, i, &scratch, &c, &e), 0);
		ck_assert(c.constant);
		ck_assert(column_is_null(&c, 77));
		ck_assert(!in->pub.stats[i].has_minmax);
		ck_assert_uint_eq(in->pub.stats[i].nulls, 100);
	}
	column_clear(&c);
	block_in_free(in);
	batch_free(b);
}
END_TEST

/* Makes the checksums right again, so that what they hide is reached. */
static void
forge(struct block_in *in)
{
	for (size_t i = 0; i < in->pub.shape->n; i++)
		in->places[i].checksum = checksum(
		    out.body.p + in->places[i].offset, in->places[i].stored);
}

static size_t
read_all(struct block_in *in, struct column *c)
{
	struct coded coded = {0};
	size_t refused = 0;

	/* With a right checksum: errors or other values, no fault of memory. */
	for (size_t i = 0; i < in->pub.shape->n; i++)
		if (block_entries(in, out.body.p, i, &scratch, &coded, &e) > 0)
			block_codes(in, out.body.p, i, &scratch, &coded, &e);
	coded_clear(&coded);

	for (size_t i = 0; i < in->pub.shape->n; i++)
		refused +=
		    block_column(in, out.body.p, i, &scratch, c, &e) != 0;
	return refused;
}

/* As a damaged table may have them. */
START_TEST(one_id_for_all_comes_back)
{
	struct batch *b = make(BATCH_ROWS_MAX, 0);
	int id = shape_find(b->shape, "_id");
	const uint64_t value = 1000;

	column_clear(&b->cols[id]);
	ck_assert_int_eq(column_set_constant(&b->cols[id], COL_U64, &value, &e),
			 0);
	round_trip(b, 0, b->rows);
	batch_free(b);
}
END_TEST

START_TEST(damaged_columns_are_refused)
{
	struct batch *b = make(2000, 5);
	struct column c = {0};
	struct block_in *in;
	size_t refused = 0;

	ck_assert_int_eq(block_encode(enc, b, 0, 2000, &out, &e), 0);
	ck_assert_int_eq(block_parse(out.head.p, out.head.len, shapes, &in, &e),
			 0);
	for (int i = 0; i < 2000; i++) {
		size_t col = rnd() % in->pub.shape->n;
		size_t len = in->places[col].stored, at;

		at = in->places[col].offset +
		     rnd() % (rnd() % 2 && len > 40 ? 40 : len);
		out.body.p[at] ^= (uint8_t)(1 << rnd() % 8);
		ck_assert_uint_ge(read_all(in, &c), 1);
		forge(in);
		refused += read_all(in, &c);
		if (i % 50 == 0) {
			block_encode(enc, b, 0, 2000, &out, &e);
			forge(in);
		}
	}
	ck_assert_uint_gt(refused, 100);
	column_clear(&c);
	block_in_free(in);
	batch_free(b);
}
END_TEST

static bool
is_same(const struct column *a, const struct column *b, enum col_type t,
	uint32_t row)
{
	struct value x, y;

	column_value(a, t, row, &x);
	column_value(b, t, row, &y);
	if (x.type != y.type)
		return false;
	if (x.type == COL_STRING || x.type == COL_BYTES)
		return x.len == y.len &&
		       (x.len == 0 || memcmp(x.s, y.s, x.len) == 0);
	return memcmp(x.ip, y.ip, x.type == COL_IP ? 16 : 8) == 0;
}

/* Columns are read through others: those must be sound, too. */
START_TEST(no_damage_makes_other_values)
{
	enum { ROWS = 2000 };
	struct batch *b = make(ROWS, 0);
	struct column good[FIELDS] = {0}, c = {0};
	struct block_in *in;
	size_t lost = 0;

	ck_assert_int_eq(block_encode(enc, b, 0, ROWS, &out, &e), 0);
	ck_assert_int_eq(block_parse(out.head.p, out.head.len, shapes, &in, &e),
			 0);
	for (size_t i = 0; i < FIELDS; i++)
		ck_assert_int_eq(
		    block_column(in, out.body.p, i, &scratch, &good[i], &e), 0);
	for (size_t col = 0; col < FIELDS; col++) {
		size_t at = in->places[col].offset + in->places[col].stored / 2;

		out.body.p[at] ^= 1;
		for (size_t i = 0; i < FIELDS; i++) {
			if (block_column(in, out.body.p, i, &scratch, &c, &e)) {
				lost++;
				continue;
			}
			ck_assert_uint_ne(i, col);
			for (uint32_t r = 0; r < ROWS; r++)
				ck_assert(is_same(&good[i], &c,
						  b->shape->fields[i].type, r));
		}
		out.body.p[at] ^= 1;
	}
	/* some are read through another */
	ck_assert_uint_gt(lost, FIELDS);
	for (size_t i = 0; i < FIELDS; i++)
		column_clear(&good[i]);
	column_clear(&c);
	block_in_free(in);
	batch_free(b);
}
END_TEST

START_TEST(damaged_heads_are_refused)
{
	struct batch *b = make(10, 0);
	struct block_in *in;
	size_t accepted = 0;

	ck_assert_int_eq(block_encode(enc, b, 0, 10, &out, &e), 0);
	for (size_t i = 0; i < out.head.len * 8; i++) {
		uint64_t sum;

		out.head.p[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(
		    block_parse(out.head.p, out.head.len, shapes, &in, &e), -1);
		sum = checksum(out.head.p + 16, out.head.len - 16);
		memcpy(out.head.p + 8, &sum, 8);
		if (block_parse(out.head.p, out.head.len, shapes, &in, &e) ==
		    0) {
			accepted++;
			block_in_free(in);
		}
		out.head.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	/* with a right checksum a name or a sum may be anything */
	ck_assert_uint_gt(accepted, 0);
	for (size_t i = 0; i < out.head.len; i++)
		ck_assert_int_eq(block_parse(out.head.p, i, shapes, &in, &e),
				 -1);
	batch_free(b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("block");
	TCase *c = tcase_create("blocks");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, all_types_come_back);
	tcase_add_test(c, parts_of_a_batch_come_back);
	tcase_add_test(c, all_null_comes_back_constant);
	tcase_add_test(c, one_id_for_all_comes_back);
	tcase_add_test(c, damaged_columns_are_refused);
	tcase_add_test(c, damaged_heads_are_refused);
	tcase_add_test(c, no_damage_makes_other_values);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
