/* SPDX-License-Identifier: BSD-2-Clause */
/* Shapes, columns, appending. */
#include "common/batch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shapes *shapes;
static struct err e;

static const struct shape *
shape(const struct field *f, size_t n)
{
	const struct shape *s = NULL;

	ck_assert_msg(shapes_get(shapes, f, n, &s, &e) == 0, "%s", e.text);
	return s;
}

static struct value
text(const char *s)
{
	return (struct value){.type = COL_STRING, .s = s, .len = strlen(s)};
}

static void
put(struct batch *b, const char *name, uint32_t row, struct value v)
{
	int i = shape_find(b->shape, name);

	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(
	    column_put(&b->cols[i], b->shape->fields[i].type, row, &v, &e), 0);
}

static struct value
get(const struct batch *b, const char *name, uint32_t row)
{
	struct value v;
	int i = shape_find(b->shape, name);

	ck_assert_int_ge(i, 0);
	column_value(&b->cols[i], b->shape->fields[i].type, row, &v);
	return v;
}

START_TEST(shape_order_does_not_matter)
{
	struct field ab[] = {{"a", COL_U8}, {"b", COL_STRING}};
	struct field ba[] = {{"b", COL_STRING}, {"a", COL_U8}};
	struct field wide[] = {{"a", COL_U16}, {"b", COL_STRING}};
	const struct shape *s = shape(ab, 2);

	ck_assert_ptr_eq(s, shape(ba, 2));
	ck_assert_ptr_ne(s, shape(wide, 2));
	ck_assert_int_eq(shape_find(s, "b"), 1);
	ck_assert_int_eq(shape_find(s, "c"), -1);
	ck_assert_uint_eq(shapes_count(shapes), 2);
}
END_TEST

START_TEST(shape_refuses)
{
	const struct shape *s;
	char many[FIELD_NAME_MAX + 1];
	struct field twice[] = {{"a", COL_U8}, {"a", COL_U16}};
	struct field none = {"", COL_U8}, control = {"a\nb", COL_U8};
	struct field type = {"a", COL_TYPES}, name = {many, COL_U8};

	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	ck_assert_int_eq(shapes_get(shapes, twice, 2, &s, &e), -1);
	ck_assert_str_eq(e.text, "field a comes twice");
	ck_assert_int_eq(shapes_get(shapes, &none, 1, &s, &e), -1);
	ck_assert_int_eq(shapes_get(shapes, &control, 1, &s, &e), -1);
	ck_assert_int_eq(shapes_get(shapes, &type, 1, &s, &e), -1);
	ck_assert_int_eq(shapes_get(shapes, &name, 1, &s, &e), -1);
	many[FIELD_NAME_MAX - 1] = '\0';
	ck_assert_int_eq(shapes_get(shapes, &name, 1, &s, &e), 0);
}
END_TEST

START_TEST(shape_bound)
{
	struct shapes *few = shapes_new(2);
	const struct shape *s;
	char name[2] = "a";
	struct field f = {name, COL_U8};

	ck_assert_int_eq(shapes_get(few, &f, 1, &s, &e), 0);
	name[0] = 'b';
	ck_assert_int_eq(shapes_get(few, &f, 1, &s, &e), 0);
	name[0] = 'c';
	ck_assert_int_eq(shapes_get(few, &f, 1, &s, &e), -1);
	name[0] = 'a';
	ck_assert_int_eq(shapes_get(few, &f, 1, &s, &e), 0);
	shapes_free(few);
}
END_TEST

START_TEST(type_names)
{
	for (int t = COL_BOOL; t < COL_TYPES; t++) {
		const char *name = col_type_name((enum col_type)t);

		ck_assert_int_eq(col_type_find(name, strlen(name)), t);
	}
	ck_assert_int_eq(col_type_find("null", 4), COL_NULL);
	ck_assert_int_eq(col_type_find("u", 1), COL_NULL);
}
END_TEST

/* A batch of n rows: k counts, s is text, every third row's s is null. */
static struct batch *
numbered(uint32_t n, uint64_t first)
{
	struct field f[] = {{"k", COL_U64}, {"s", COL_STRING}};
	struct batch *b = batch_new(shape(f, 2));
	char buf[32];

	for (uint32_t i = 0; i < n; i++) {
		put(b, "k", i, (struct value){.type = COL_U64, .u = first + i});
		snprintf(buf, sizeof(buf), "row %llu",
			 (unsigned long long)first + i);
		put(b, "s", i, (first + i) % 3 ? text(buf) : (struct value){0});
		b->rows++;
	}
	return b;
}

static void
expect_numbered(const struct batch *b, uint32_t at, uint64_t k)
{
	char buf[32];
	struct value v = get(b, "s", at);

	snprintf(buf, sizeof(buf), "row %llu", (unsigned long long)k);
	ck_assert_uint_eq(get(b, "k", at).u, k);
	if (k % 3 == 0) {
		ck_assert_int_eq(v.type, COL_NULL);
		return;
	}
	ck_assert_int_eq(v.type, COL_STRING);
	ck_assert_uint_eq(v.len, strlen(buf));
	ck_assert_mem_eq(v.s, buf, v.len);
}

START_TEST(append_ranges)
{
	struct batch *a = numbered(1000, 0), *b = numbered(0, 0);

	ck_assert_int_eq(batch_append(b, a, 10, 7, &e), 0);
	ck_assert_int_eq(batch_append(b, a, 500, 500, &e), 0);
	ck_assert_int_eq(batch_append(b, a, 0, 0, &e), 0);
	ck_assert_uint_eq(b->rows, 507);
	for (uint32_t i = 0; i < 7; i++)
		expect_numbered(b, i, 10 + i);
	for (uint32_t i = 0; i < 500; i++)
		expect_numbered(b, 7 + i, 500 + i);
	batch_clear(b);
	ck_assert_int_eq(batch_append(b, a, 2, 3, &e), 0);
	expect_numbered(b, 2, 4);
	batch_free(a);
	batch_free(b);
}
END_TEST

START_TEST(append_bound)
{
	struct batch *a = numbered(40000, 0), *b = numbered(0, 0);

	ck_assert_int_eq(batch_append(b, a, 0, 40000, &e), 0);
	ck_assert_int_eq(batch_append(b, a, 0, 40000, &e), -1);
	ck_assert_uint_eq(b->rows, 40000);
	ck_assert_int_eq(batch_append(b, a, 0, 25536, &e), 0);
	expect_numbered(b, 65535, 25535);
	batch_free(a);
	batch_free(b);
}
END_TEST

/* A batch whose columns are constant: u, s and a null. */
static struct batch *
constant(uint32_t rows, uint32_t u, const char *s)
{
	struct field f[] = {{"s", COL_STRING}, {"u", COL_U32}, {"z", COL_U8}};
	struct batch *b = batch_new(shape(f, 3));

	put(b, "s", 0, text(s));
	put(b, "u", 0, (struct value){.type = COL_U32, .u = u});
	put(b, "z", 0, (struct value){0});
	for (int i = 0; i < 3; i++)
		b->cols[i].constant = true;
	b->rows = rows;
	return b;
}

START_TEST(append_constants)
{
	struct batch *a = constant(10, 7, "x"), *c = constant(5, 8, "yy");
	struct batch *b = batch_new(a->shape);

	ck_assert_int_eq(batch_append(b, a, 0, 10, &e), 0);
	ck_assert_int_eq(batch_append(b, a, 3, 4, &e), 0);
	ck_assert(b->cols[0].constant && b->cols[1].constant);
	ck_assert_int_eq(batch_append(b, c, 1, 3, &e), 0);
	ck_assert(!b->cols[0].constant && !b->cols[1].constant);
	ck_assert(b->cols[2].constant);
	ck_assert_uint_eq(b->rows, 17);
	for (uint32_t i = 0; i < 17; i++) {
		ck_assert_uint_eq(get(b, "u", i).u, i < 14 ? 7 : 8);
		ck_assert_uint_eq(get(b, "s", i).len, i < 14 ? 1 : 2);
		ck_assert_int_eq(get(b, "z", i).type, COL_NULL);
	}
	batch_free(a);
	batch_free(b);
	batch_free(c);
}
END_TEST

START_TEST(expand_all_widths)
{
	for (int t = COL_BOOL; t < COL_STRING; t++) {
		struct column c = {0};
		struct value v = {.type = (enum col_type)t}, w;

		memset(v.ip, 0x5a, col_type_width(v.type));
		ck_assert_int_eq(column_set_constant(&c, v.type, v.ip, &e), 0);
		ck_assert_int_eq(column_expand(&c, v.type, 100, 200, &e), 0);
		for (uint32_t i = 0; i < 100; i++) {
			column_value(&c, v.type, i, &w);
			ck_assert_mem_eq(&v, &w, sizeof(v));
		}
		column_clear(&c);
	}
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
	Suite *s = suite_create("batch");
	TCase *tc = tcase_create("batch");
	SRunner *sr;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, shape_order_does_not_matter);
	tcase_add_test(tc, shape_refuses);
	tcase_add_test(tc, shape_bound);
	tcase_add_test(tc, type_names);
	tcase_add_test(tc, append_ranges);
	tcase_add_test(tc, append_bound);
	tcase_add_test(tc, append_constants);
	tcase_add_test(tc, expand_all_widths);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
