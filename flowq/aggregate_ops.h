/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of aggregates share: aggregate*.c and no others.
 */
#ifndef FLOWQ_AGGREGATE_OPS_H
#define FLOWQ_AGGREGATE_OPS_H

#include <string.h>

#include "flowq/aggregate.h"

/* aggregate_number.c: counts, sums and what follows from sums. */
extern const struct agg_ops agg_count, agg_count_values;
extern const struct agg_ops agg_sum, agg_sum_wide, agg_sum_real;
extern const struct agg_ops agg_avg, agg_avg_duration, agg_avg_real;
extern const struct agg_ops agg_rate, agg_rate_real;
extern const struct agg_ops agg_var, agg_stddev;

/* aggregate_extreme.c: one of the values, or two. */
const struct agg_ops *agg_extreme(enum expr_type, bool max);
/* NULL if values of the type have no distance. */
const struct agg_ops *agg_range(enum expr_type, enum expr_type *result);
extern const struct agg_ops agg_first, agg_last;
extern const struct agg_ops agg_first_text, agg_last_text;

/* aggregate_set.c: all of the values, none of them a bool. */
const struct agg_ops *agg_distinct(enum expr_type);
const struct agg_ops *agg_estimate(enum expr_type);
/* NULL if the type has none. */
const struct agg_ops *agg_percentile(enum expr_type);
extern const struct agg_ops agg_values;

static inline int
agg_oom(struct err *err)
{
	return err_set(err, "out of memory for groups");
}

static inline char *
agg_state(const struct agg_rows *r, size_t offset, uint32_t i)
{
	return r->base + offset + (r->index ? r->stride * r->index[i] : 0);
}

static inline uint64_t
agg_get(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void
agg_put(char *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void
agg_more(char *p, uint64_t v)
{
	agg_put(p, agg_get(p) + v);
}

static inline bool
agg_sum_one(char *p, uint64_t v)
{
	uint64_t sum;
	bool over = __builtin_add_overflow(agg_get(p), v, &sum);

	agg_put(p, sum);
	return over;
}

/*
 * Values of 64 bits as unsigned ones of the same order.
 */

enum agg_turn { TURN_NONE, TURN_SIGNED, TURN_REAL };

static inline uint64_t
agg_turn(uint64_t v, enum agg_turn t)
{
	uint64_t top = UINT64_C(1) << 63;

	if (t == TURN_SIGNED || (t == TURN_REAL && !(v & top)))
		return v ^ top;
	return t == TURN_REAL ? ~v : v;
}

static inline uint64_t
agg_turn_back(uint64_t v, enum agg_turn t)
{
	uint64_t top = UINT64_C(1) << 63;

	if (t == TURN_SIGNED || (t == TURN_REAL && (v & top)))
		return v ^ top;
	return t == TURN_REAL ? ~v : v;
}

static inline enum agg_turn
agg_turn_of(enum expr_type t)
{
	if (t == TYPE_INT || t == TYPE_TIME || t == TYPE_DURATION)
		return TURN_SIGNED;
	return t == TYPE_REAL ? TURN_REAL : TURN_NONE;
}

#endif
