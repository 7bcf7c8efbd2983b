/* SPDX-License-Identifier: BSD-2-Clause */
/* The largest groups are found, whatever the buckets they share. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flowq/toplist.h"

enum { THREADS = 3 };

static uint64_t seed = 1;

static uint64_t
rnd(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 29 ^ seed << 35;
}

/* Entries are {key, sum}. */
static struct agg agg = {.name = "sum", .offset = 8};
static struct group_plan plan = {.nkeys = 1,
				 .naggs = 1,
				 .aggs = &agg,
				 .mode = GROUP_64,
				 .key_size = 8,
				 .stride = 16};

struct input {
	size_t groups;
	uint64_t *weight; /* of each group, which comes in some rows */
};

static uint64_t
hash_of(uint64_t key)
{
	return group_hash(&plan, (const char *)&key);
}

static void
sketch(struct toplist *t, const struct input *in)
{
	for (uint64_t i = 0; i < in->groups; i++) {
		uint64_t hash[3] = {hash_of(i), hash_of(i), hash_of(i)};
		uint64_t w[3] = {in->weight[i] / 2, 0,
				 in->weight[i] - in->weight[i] / 2};

		toplist_add(t, i % THREADS, hash, w, 3);
	}
}

/* Groups that are in buckets that were picked. */
static void
group(const struct toplist *t, const struct input *in, struct group_table *g)
{
	struct err e;

	for (uint64_t i = 0; i < in->groups; i++) {
		uint64_t hash = hash_of(i);
		struct group_keys key = {1, (const char *)&i, 8, &hash};
		uint32_t at;
		uint8_t has;

		if (!toplist_mask(t, &hash, 1, &has))
			continue;
		ck_assert_int_eq(group_table_room(g, 1, &e), 0);
		group_find(g, &key, &at);
		memcpy(g->entries + at * plan.stride + 8, &in->weight[i], 8);
	}
}

static int
largest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* Rounds that it took; 0: there would have been too many groups. */
static int
find(const struct input *in, uint64_t limit)
{
	uint64_t *sorted = malloc(in->groups * sizeof(*sorted));
	struct group_table g = {.plan = &plan};
	struct toplist t = {0};
	struct err e;
	size_t equal = 0, found = 0;
	int rounds = 0, rc = 0;

	toplist_want(&t, 0, limit);
	ck_assert_int_eq(toplist_start(&t, THREADS, &e), 0);
	sketch(&t, in);
	if (!toplist_pick(&t))
		rc = -1;
	while (rc == 0) {
		group_table_reset(&g);
		group(&t, in, &g);
		rc = toplist_check(&t, &g);
		rounds++;
	}
	memcpy(sorted, in->weight, in->groups * sizeof(*sorted));
	qsort(sorted, in->groups, sizeof(*sorted), largest_first);
	for (size_t i = 0; i < in->groups; i++)
		equal += sorted[i] >= sorted[limit - 1];
	for (size_t i = 0; i < g.count && rc > 0; i++) {
		uint64_t key, sum;

		memcpy(&key, g.entries + i * plan.stride, 8);
		memcpy(&sum, g.entries + i * plan.stride + 8, 8);
		ck_assert_uint_eq(sum, in->weight[key]);
		found += sum >= sorted[limit - 1];
	}
	if (rc > 0)
		ck_assert_uint_eq(found, equal);
	free(sorted);
	group_table_clear(&g);
	toplist_clear(&t);
	return rc > 0 ? rounds : 0;
}

static struct input
input(size_t groups)
{
	struct input in = {groups, malloc(groups * sizeof(uint64_t))};

	ck_assert_ptr_nonnull(in.weight);
	return in;
}

START_TEST(few_large_groups)
{
	struct input in = input(400000);

	for (size_t i = 0; i < in.groups; i++)
		in.weight[i] =
		    rnd() % 1000 + (rnd() % 1000 ? 0 : rnd() % 1000000);
	ck_assert_int_eq(find(&in, 1), 1);
	ck_assert_int_eq(find(&in, 10), 1);
	ck_assert_int_eq(find(&in, 300), 1);
	free(in.weight);
}
END_TEST

/* Buckets of many small groups are larger than those that are wanted. */
START_TEST(bar_is_lowered)
{
	struct input in = input(1000000);

	for (size_t i = 0; i < in.groups; i++)
		in.weight[i] = i < 20 ? 300 + i : rnd() % 40;
	ck_assert_int_eq(find(&in, 10), 2);
	free(in.weight);
}
END_TEST

START_TEST(equal_groups)
{
	struct input in = input(200000);

	for (size_t i = 0; i < in.groups; i++)
		in.weight[i] = 1;
	ck_assert_int_eq(find(&in, 10), 0);
	for (size_t i = 0; i < 100; i++)
		in.weight[i * 7] = 50;
	ck_assert_int_eq(find(&in, 10), 1);
	free(in.weight);
}
END_TEST

/* Sums of buckets that leave 64 bits. */
START_TEST(full_buckets)
{
	struct input in = input(300000);

	for (size_t i = 0; i < in.groups; i++)
		in.weight[i] = rnd() % 100;
	for (size_t i = 0; i < 50; i++)
		in.weight[i * 11] = UINT64_MAX - i;
	ck_assert_int_eq(find(&in, 20), 1);
	free(in.weight);
}
END_TEST

START_TEST(fewer_groups_than_wanted)
{
	struct input in = input(5);

	for (size_t i = 0; i < in.groups; i++)
		in.weight[i] = i;
	ck_assert_int_eq(find(&in, 4), 0);
	free(in.weight);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("toplist");
	TCase *c = tcase_create("toplist");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, few_large_groups);
	tcase_add_test(c, bar_is_lowered);
	tcase_add_test(c, equal_groups);
	tcase_add_test(c, full_buckets);
	tcase_add_test(c, fewer_groups_than_wanted);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
