/* SPDX-License-Identifier: BSD-2-Clause */
/* Aggregates that are counts and sums, or follow from them. */
#include "flowq/aggregate_ops.h"

#include <math.h>

typedef unsigned __int128 u128;

static inline void
add128(char *p, __int128 v)
{
	__int128 sum;

	memcpy(&sum, p, sizeof sum);
	sum += v;
	memcpy(p, &sum, sizeof sum);
}

/*
 * count, count(x): {u64 rows}
 */

static int
count_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	(void)v;
	if (!r->index) {
		agg_more(r->base + offset, r->n);
		return 0;
	}
	for (uint32_t i = 0; i < r->n; i++)
		agg_more(agg_state(r, offset, i), 1);
	return 0;
}

static int
count_values_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	if (v->type == TYPE_NULL)
		return 0;
	if (!v->null)
		return count_add(r, offset, v);
	for (uint32_t i = 0; i < r->n; i++)
		agg_more(agg_state(r, offset, i), !VEC_NULL(*v, i));
	return 0;
}

static int
count_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	agg_more(into, agg_get(from));
	return 0;
}

static int
count_emit(const struct agg *a, struct agg_out *out, const char *state,
	   uint32_t i)
{
	(void)a;
	((uint64_t *)out->data)[i] = agg_get(state);
	return 1;
}

static bool
count_header(char *state, uint32_t rows, enum col_type type,
	     const struct column_stat *s, bool *overflow)
{
	(void)overflow;
	/* No argument, or a field that is not there. */
	agg_more(state, !s ? (type == COL_NULL ? 0 : rows) : rows - s->nulls);
	return true;
}

const struct agg_ops agg_count = {
    8, count_add, count_merge, count_emit, count_header, false, NULL, NULL};
const struct agg_ops agg_count_values = {
    8,	 count_values_add, count_merge, count_emit, count_header, false, NULL,
    NULL};

/*
 * sum of unsigned values: {u64 sum}.  What overflows on the way overflows at
 * the end too.  The sum of no values is 0.
 */

static bool
sum_window(char *p, const struct vec *v, uint32_t n)
{
	u128 sum = agg_get(p);
	uint64_t low = 0, high = 0;

	if (v->constant) {
		sum += (u128) * (const uint64_t *)v->data * n;
	} else {
		const uint64_t *in = v->data;

		/* A window is short: halves can not overflow. */
		for (uint32_t i = 0; i < n; i++) {
			low += (uint32_t)in[i];
			high += in[i] >> 32;
		}
		sum += ((u128)high << 32) + low;
	}
	agg_put(p, (uint64_t)sum);
	return sum >> 64 != 0;
}

static int
sum_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	bool over = false;

	if (v->type == TYPE_NULL)
		return 0;
	if (!r->index && !v->null) {
		*r->overflow |= sum_window(r->base + offset, v, r->n);
		return 0;
	}
	for (uint32_t i = 0; i < r->n; i++)
		over |=
		    agg_sum_one(agg_state(r, offset, i),
				VEC_NULL(*v, i) ? 0 : VEC_AT(*v, uint64_t, i));
	*r->overflow |= over;
	return 0;
}

static int
sum_merge(const struct agg_rows *r, char *into, const char *from)
{
	*r->overflow |= agg_sum_one(into, agg_get(from));
	return 0;
}

static bool
sum_header(char *state, uint32_t rows, enum col_type type,
	   const struct column_stat *s, bool *overflow)
{
	if (type == COL_NULL || (s && s->nulls == rows))
		return true;
	if (!s || !s->has_sum || expr_type_of(type) != TYPE_UINT)
		return false;
	*overflow |= agg_sum_one(state, s->usum);
	return true;
}

const struct agg_ops agg_sum = {8,	    sum_add, sum_merge, count_emit,
				sum_header, false,   NULL,	NULL};

/*
 * sum of signed values and durations, and avg of any integers: {i128 sum, u64
 * values}.
 */

static int
wide_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = agg_state(r, offset, i);

		if (VEC_NULL(*v, i))
			continue;
		add128(p, v->type == TYPE_UINT
			      ? (__int128)VEC_AT(*v, uint64_t, i)
			      : (__int128)VEC_AT(*v, int64_t, i));
		agg_more(p + 16, 1);
	}
	return 0;
}

static int
wide_merge(const struct agg_rows *r, char *into, const char *from)
{
	__int128 sum;

	(void)r;
	memcpy(&sum, from, sizeof sum);
	add128(into, sum);
	agg_more(into + 16, agg_get(from + 16));
	return 0;
}

static int
wide_emit(const struct agg *a, struct agg_out *out, const char *state,
	  uint32_t i)
{
	__int128 sum;

	memcpy(&sum, state, sizeof sum);
	(void)a;
	out->overflow |= sum != (int64_t)sum;
	((int64_t *)out->data)[i] = (int64_t)sum;
	return 1;
}

static double
wide_sum(const char *state)
{
	__int128 sum;

	memcpy(&sum, state, sizeof sum);
	return (double)sum;
}

static int
avg_emit(const struct agg *a, struct agg_out *out, const char *state,
	 uint32_t i)
{
	uint64_t n = agg_get(state + 16);

	(void)a;
	((double *)out->data)[i] = n ? wide_sum(state) / (double)n : 0;
	return n != 0;
}

static int
avg_duration_emit(const struct agg *a, struct agg_out *out, const char *state,
		  uint32_t i)
{
	uint64_t n = agg_get(state + 16);

	(void)a;
	((int64_t *)out->data)[i] =
	    n ? (int64_t)(wide_sum(state) / (double)n) : 0;
	return n != 0;
}

static int
rate_emit(const struct agg *a, struct agg_out *out, const char *state,
	  uint32_t i)
{
	((double *)out->data)[i] = wide_sum(state) / a->param;
	return 1;
}

static bool
wide_header(char *state, uint32_t rows, enum col_type type,
	    const struct column_stat *s, bool *overflow)
{
	(void)overflow;
	if (type == COL_NULL || (s && s->nulls == rows))
		return true;
	if (!s || !s->has_sum)
		return false;
	add128(state, type == COL_I64 ? (__int128)s->isum : (__int128)s->usum);
	agg_more(state + 16, rows - s->nulls);
	return true;
}

const struct agg_ops agg_sum_wide = {
    24, wide_add, wide_merge, wide_emit, wide_header, false, NULL, NULL};
const struct agg_ops agg_avg = {24,	     wide_add, wide_merge, avg_emit,
				wide_header, false,    NULL,	   NULL};
const struct agg_ops agg_avg_duration = {
    24, wide_add, wide_merge, avg_duration_emit, NULL, false, NULL, NULL};
const struct agg_ops agg_rate = {24,	      wide_add, wide_merge, rate_emit,
				 wide_header, false,	NULL,	    NULL};

/*
 * sum and avg of reals: {f64 sum, u64 values}
 */

static int
real_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = agg_state(r, offset, i);
		double sum;

		if (VEC_NULL(*v, i))
			continue;
		memcpy(&sum, p, sizeof sum);
		sum += VEC_AT(*v, double, i);
		memcpy(p, &sum, sizeof sum);
		agg_more(p + 8, 1);
	}
	return 0;
}

static int
real_merge(const struct agg_rows *r, char *into, const char *from)
{
	double a, b;

	(void)r;
	memcpy(&a, into, sizeof a);
	memcpy(&b, from, sizeof b);
	a += b;
	memcpy(into, &a, sizeof a);
	agg_more(into + 8, agg_get(from + 8));
	return 0;
}

static double
real_sum(const char *state)
{
	double sum;

	memcpy(&sum, state, sizeof sum);
	return sum;
}

static int
real_avg_emit(const struct agg *a, struct agg_out *out, const char *state,
	      uint32_t i)
{
	uint64_t n = agg_get(state + 8);

	(void)a;
	((double *)out->data)[i] = n ? real_sum(state) / (double)n : 0;
	return n != 0;
}

static int
real_rate_emit(const struct agg *a, struct agg_out *out, const char *state,
	       uint32_t i)
{
	((double *)out->data)[i] = real_sum(state) / a->param;
	return 1;
}

const struct agg_ops agg_sum_real = {16,   real_add, real_merge, count_emit,
				     NULL, false,    NULL,	 NULL};
const struct agg_ops agg_avg_real = {16,   real_add, real_merge, real_avg_emit,
				     NULL, false,    NULL,	 NULL};
const struct agg_ops agg_rate_real = {
    16, real_add, real_merge, real_rate_emit, NULL, false, NULL, NULL};

/*
 * Variance of a sample, by Welford and Chan: {u64 values, f64 mean, f64 sum of
 * squared distances from it}
 */

struct moments {
	uint64_t n;
	double mean, squares;
};

static int
moments_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = agg_state(r, offset, i);
		struct moments m;
		double x, away;

		if (VEC_NULL(*v, i))
			continue;
		memcpy(&m, p, sizeof m);
		x = VEC_AT(*v, double, i);
		away = x - m.mean;
		m.n++;
		m.mean += away / (double)m.n;
		m.squares += away * (x - m.mean);
		memcpy(p, &m, sizeof m);
	}
	return 0;
}

static int
moments_merge(const struct agg_rows *r, char *into, const char *from)
{
	struct moments a, b;
	double n, away;

	(void)r;
	memcpy(&a, into, sizeof a);
	memcpy(&b, from, sizeof b);
	if (!b.n)
		return 0;
	n = (double)a.n + (double)b.n;
	away = b.mean - a.mean;
	a.mean += away * ((double)b.n / n);
	a.squares +=
	    b.squares + away * away * ((double)a.n * ((double)b.n / n));
	a.n += b.n;
	memcpy(into, &a, sizeof a);
	return 0;
}

static int
var_emit(const struct agg *a, struct agg_out *out, const char *state,
	 uint32_t i)
{
	struct moments m;

	(void)a;
	memcpy(&m, state, sizeof m);
	((double *)out->data)[i] = m.n > 1 ? m.squares / (double)(m.n - 1) : 0;
	return m.n > 1;
}

static int
stddev_emit(const struct agg *a, struct agg_out *out, const char *state,
	    uint32_t i)
{
	int some = var_emit(a, out, state, i);
	double *v = (double *)out->data + i;

	*v = sqrt(*v);
	return some;
}

const struct agg_ops agg_var = {24,   moments_add, moments_merge, var_emit,
				NULL, false,	   NULL,	  NULL};
const struct agg_ops agg_stddev = {
    24, moments_add, moments_merge, stddev_emit, NULL, false, NULL, NULL};
