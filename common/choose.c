/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/choose.h"

#include <math.h>
#include <stdlib.h>

#include "common/bits.h"

enum { HEAD_BITS = 8 * 18 }; /* of a packed vector */

/* Bits per value that the work of an encoding is worth. */
static const double work_delta = 1, work_patched = 0.5, work_near = 1,
		    work_runs = 0.5, work_run = 4, work_escape = 2,
		    work_far = 5;

/* What is known of the values from a sample of them. */
struct sample {
	const uint64_t *v; /* sorted */
	size_t n;
	double each; /* how many values one of the sample stands for */
	size_t distinct, once, twice; /* values that come so often */
};

size_t
choose_rows(size_t n, uint32_t at[CHOOSE_SAMPLE])
{
	size_t step = (n + CHOOSE_SAMPLE - 1) / CHOOSE_SAMPLE, k = 0;
	uint32_t jitter = 1;

	/* an irregular step, for values repeat with the datagrams */
	for (size_t i = 0; i + step <= n; i += step) {
		jitter = jitter * 1664525 + 1013904223;
		at[k++] = (uint32_t)(i + (jitter >> 8) % step);
	}
	return k;
}

static void
sample_count(struct sample *s)
{
	for (size_t i = 0, j; i < s->n; i = j) {
		for (j = i; j < s->n && s->v[j] == s->v[i]; j++)
			;
		s->distinct++;
		s->once += j - i == 1;
		s->twice += j - i == 2;
	}
}

/* The narrowest range that holds all of the sample but OUT, and where it
 * begins. */
static uint64_t
narrowest(const struct sample *s, size_t out, uint64_t *base)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i <= out; i++) {
		uint64_t range = s->v[i + s->n - out - 1] - s->v[i];

		if (range < best) {
			best = range;
			*base = s->v[i];
		}
	}
	return best;
}

static void
try_patched(const struct facts *f, const struct sample *s, unsigned full,
	    struct choice *p)
{
	for (size_t out = 0; 4 * out < s->n; out = out ? 2 * out : 1) {
		uint64_t base = 0;
		unsigned w = bits_width(narrowest(s, out, &base));
		double cost = (double)f->n * (w + work_patched) +
			      (double)out * s->each * (full + 7) +
			      3 * HEAD_BITS;

		if (w > 56 || w >= full || cost >= p->cost)
			continue;
		p->kind = ENC_PATCHED;
		p->cost = cost;
		p->width = w;
		p->base = base;
	}
}

/*
 * How many different values there are, guessed from how many the sample shows
 * once and twice.  Chao's estimate holds if all are about as frequent, and is
 * a lower bound; where few are frequent and many rare, their number grows with
 * a power of the rows that the ones seen once tell.  In between lies the
 * truth.
 */
static size_t
guess_distinct(const struct sample *s, const struct facts *f)
{
	double seen = (double)s->distinct, once = (double)s->once, few, many, d;

	if (s->n == f->n)
		return s->distinct;
	few = seen + once * once / (2.0 * (double)(s->twice + 1));
	many = seen * pow(s->each, once / seen);
	d = sqrt(few * many);
	if (d > (double)f->range)
		d = (double)f->range;
	return d < (double)f->n ? (size_t)d + 1 : f->n;
}

/* A dictionary of d entries and n codes. Entries are sorted, so each takes what
 * is between neighbours. */
static double
dict_cost(const struct facts *f, size_t d, unsigned full)
{
	unsigned code = bits_width(d - 1), gap = bits_width(d);
	unsigned entry = full + 3 > gap ? full + 3 - gap : 2;
	double work = f->range < CHOOSE_NEAR ? work_near : work_far;

	return (double)f->n * (code + work) +
	       (double)d * (entry < full ? entry : full) + 3 * HEAD_BITS;
}

/* What is guessed is mostly too low, so this is about how many entries still
 * pay. */
static void
try_dict(const struct facts *f, const struct sample *s, unsigned full,
	 struct choice *p)
{
	size_t low = guess_distinct(s, f), high = f->n;
	double cost = dict_cost(f, low, full);

	if (cost >= p->cost)
		return;
	while (high - low > f->n / 64 + 1) {
		size_t mid = (low + high) / 2;

		if (dict_cost(f, mid, full) < p->cost)
			low = mid;
		else
			high = mid;
	}
	p->cost = cost;
	p->distinct = low;
}

struct often {
	uint64_t value;
	size_t times;
};

static int
more_often(const void *a, const void *b)
{
	const struct often *x = a, *y = b;

	if (x->times != y->times)
		return x->times < y->times ? 1 : -1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void
try_escape(const struct facts *f, const struct sample *s, unsigned full,
	   struct choice *p)
{
	double work = work_escape + (f->range < CHOOSE_NEAR ? 0 : work_far);
	struct often of[CHOOSE_SAMPLE / 2];
	size_t k = 0, in = 0, at = 0;

	/* once in a sample is chance */
	for (size_t i = 0, j; i < s->n; i = j) {
		for (j = i; j < s->n && s->v[j] == s->v[i]; j++)
			;
		if (j - i > 1)
			of[k++] = (struct often){s->v[i], j - i};
	}
	qsort(of, k, sizeof(*of), more_often);
	for (unsigned w = 1; w <= 8 && at < k; w++) {
		double cost;

		for (; at < k && at < ((size_t)1 << w) - 1; at++)
			in += of[at].times;
		cost = (double)f->n * (w + work) +
		       (double)(s->n - in) * s->each * full +
		       (double)at * full + 3 * HEAD_BITS;
		if (cost >= p->cost)
			continue;
		p->kind = ENC_ESCAPE;
		p->cost = cost;
		p->frequent = at;
	}
	if (p->kind == ENC_ESCAPE)
		for (size_t i = 0; i < p->frequent; i++)
			p->top[i] = of[i].value;
}

static void
try_delta(const struct facts *f, struct choice *p)
{
	double cost = ((double)f->n - 1) * (bits_width(f->steps) + work_delta) +
		      2 * HEAD_BITS;

	if (f->n < 3 || f->steps == UINT64_MAX || cost >= p->cost)
		return;
	p->kind = ENC_DELTA;
	p->cost = cost;
}

static void
try_runs(const struct facts *f, unsigned full, struct choice *p)
{
	/* the longest run is guessed to be eight times the average */
	double cost = (double)f->runs *
			  (full + work_run + bits_width(8 * f->n / f->runs)) +
		      (double)f->n * work_runs + 3 * HEAD_BITS;

	if (cost >= p->cost)
		return;
	p->kind = ENC_RUNS;
	p->cost = cost;
}

bool
choose_simple(const struct facts *f, struct choice *p)
{
	p->kind = f->range == 0 ? ENC_CONST : ENC_PACKED;
	p->width = bits_width(f->range);
	p->cost = (double)f->n * p->width + HEAD_BITS;
	p->distinct = 0;
	if (f->range == 0)
		return false;
	try_delta(f, p);
	try_runs(f, p->width, p);
	/* below two bits a value there is little left to win */
	return p->cost > 2 * (double)f->n + 4 * HEAD_BITS;
}

void
choose_sampled(const struct facts *f, uint64_t *sample, size_t k,
	       struct choice *p)
{
	uint64_t tmp[CHOOSE_SAMPLE];
	struct sample s = {
	    .v = sample, .n = k, .each = (double)f->n / (double)k};
	unsigned full = bits_width(f->range);

	bits_sort(sample, tmp, k, full);
	sample_count(&s);
	try_patched(f, &s, full, p);
	if (!f->no_escape)
		try_escape(f, &s, full, p);
	try_dict(f, &s, full, p);
}
