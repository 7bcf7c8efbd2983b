/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/toplist.h"

#include <stdlib.h>
#include <string.h>

enum {
	WANTED = 512, /* buckets to be picked at least, or */
	SPARE = 16,   /* so many for each group that is wanted */
	SHARE = 8,    /* and at most one in so many of all */
	BINS = 64 * 64,
	AHEAD = 16,
};

void
toplist_want(struct toplist *t, size_t agg, uint64_t limit)
{
	t->agg = agg;
	t->limit = limit;
	t->phase = TOPLIST_WATCH;
}

int
toplist_start(struct toplist *t, size_t threads, struct err *err)
{
	t->sketches = calloc(threads, sizeof(*t->sketches));
	if (!t->sketches)
		return err_set(err, "out of memory for groups");
	t->threads = threads;
	for (size_t i = 0; i < threads; i++)
		if (memory_grow(&t->sketches[i],
				TOPLIST_BUCKETS * sizeof(uint64_t)))
			return err_set(err, "out of memory for groups");
	t->phase = TOPLIST_SKETCH;
	return 0;
}

void
toplist_clear(struct toplist *t)
{
	for (size_t i = 0; i < t->threads; i++)
		memory_free(&t->sketches[i]);
	free(t->sketches);
	memory_free(&t->picked);
	t->sketches = NULL;
	t->threads = 0;
}

static int
largest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* The LIMIT-th largest group, 0 if there are not so many; and the sum of all,
 * which may wrap. */
static uint64_t
last_wanted(const struct toplist *t, const struct group_table *g, double *sum)
{
	size_t at = g->plan->aggs[t->agg].offset;
	uint64_t *v = malloc((g->count + 1) * sizeof(*v)), last = 0;

	*sum = 0;
	for (size_t i = 0; v && i < g->count; i++) {
		memcpy(&v[i], g->entries + i * g->plan->stride + at, 8);
		*sum += (double)v[i];
	}
	if (v && g->count >= t->limit) {
		qsort(v, g->count, sizeof(*v), largest_first);
		last = v[t->limit - 1];
	}
	free(v);
	return last;
}

/*
 * Buckets have to be small beside the groups that are wanted.  How large those
 * become is guessed: they grow with the rows, but the less the fewer rows come
 * back to a group that was there.
 */
bool
toplist_promises(const struct toplist *t, const struct group_table *g,
		 uint64_t taken, double parts)
{
	double sum, last = (double)last_wanted(t, g, &sum);
	double again = 1 - (double)g->count / (double)taken;

	last *= 1 + (parts - 1) * again * again;
	return last > 2 * sum * parts / TOPLIST_BUCKETS;
}

static inline size_t
bucket_of(uint64_t hash)
{
	return hash >> (64 - TOPLIST_BITS);
}

void
toplist_add(struct toplist *t, size_t thread, const uint64_t *hash,
	    const uint64_t *weight, uint32_t n)
{
	uint64_t *bucket = (uint64_t *)t->sketches[thread].p;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t *b = &bucket[bucket_of(hash[i])];

		if (i + AHEAD < n)
			__builtin_prefetch(&bucket[bucket_of(hash[i + AHEAD])],
					   1);
		/* One that is full is picked. */
		if (__builtin_add_overflow(*b, weight[i], b))
			*b = UINT64_MAX;
	}
}

/* Bins of numbers that differ by one part in 64 at most, in their order. */
static unsigned
bin_of(uint64_t v)
{
	unsigned e;

	if (v < 64)
		return (unsigned)v;
	e = 63 - (unsigned)__builtin_clzll(v);
	return 64 * (e - 5) + (unsigned)(v >> (e - 6)) % 64;
}

static uint64_t
bin_start(unsigned bin)
{
	return bin < 64 ? bin : (uint64_t)(64 + bin % 64) << (bin / 64 - 1);
}

/* All buckets end up in the first sketch. */
static void
join(struct toplist *t)
{
	uint64_t *into = (uint64_t *)t->sketches[0].p;

	for (size_t k = 1; k < t->threads; k++) {
		const uint64_t *from = (const uint64_t *)t->sketches[k].p;

		for (size_t i = 0; i < TOPLIST_BUCKETS; i++)
			if (__builtin_add_overflow(into[i], from[i], &into[i]))
				into[i] = UINT64_MAX;
		memory_free(&t->sketches[k]);
	}
	t->threads = 1;
}

/* Picks buckets from the bar on. */
static bool
pick(struct toplist *t)
{
	const uint64_t *bucket = (const uint64_t *)t->sketches[0].p;
	uint64_t *bits = (uint64_t *)t->picked.p;
	size_t n = 0;

	if (t->bar == 0)
		return false;
	memset(bits, 0, TOPLIST_BUCKETS / 8);
	for (size_t i = 0; i < TOPLIST_BUCKETS; i++) {
		uint64_t is = bucket[i] >= t->bar;

		bits[i / 64] |= is << i % 64;
		n += is;
	}
	return n <= TOPLIST_BUCKETS / SHARE;
}

bool
toplist_pick(struct toplist *t)
{
	size_t want = WANTED, bins[BINS] = {0};
	const uint64_t *bucket;
	unsigned bin = BINS;
	long double sum = 0;

	if (want < SPARE * t->limit)
		want = SPARE * t->limit;
	join(t);
	if (memory_grow(&t->picked, TOPLIST_BUCKETS / 8))
		return false;
	bucket = (const uint64_t *)t->sketches[0].p;
	for (size_t i = 0; i < TOPLIST_BUCKETS; i++) {
		bins[bin_of(bucket[i])]++;
		sum += bucket[i];
	}
	t->sum = (double)sum;
	for (size_t n = 0; bin > 0 && n < want; n += bins[bin])
		bin--;
	t->bar = bin_start(bin);
	return pick(t);
}

uint8_t
toplist_mask(const struct toplist *t, const uint64_t *restrict hash, uint32_t n,
	     uint8_t *restrict mask)
{
	const uint64_t *bits = (const uint64_t *)t->picked.p;
	uint8_t any = 0;

	for (uint32_t i = 0; i < n; i++) {
		size_t at = bucket_of(hash[i]);

		mask[i] = bits[at / 64] >> at % 64 & 1;
		any |= mask[i];
	}
	return any;
}

int
toplist_check(struct toplist *t, const struct group_table *g)
{
	double sum;
	uint64_t last = last_wanted(t, g, &sum);

	if (last >= t->bar)
		return 1;
	t->bar = last;
	return pick(t) ? 0 : -1;
}
