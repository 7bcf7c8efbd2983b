/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/aggregate.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "common/table.h"

typedef unsigned __int128 u128;

static inline char *
state_of(const struct agg_rows *r, size_t offset, uint32_t i)
{
	return r->base + offset + (r->index ? r->stride * r->index[i] : 0);
}

static inline uint64_t
get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void
put64(char *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void
add64(char *p, uint64_t v)
{
	put64(p, get64(p) + v);
}

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
		add64(r->base + offset, r->n);
		return 0;
	}
	for (uint32_t i = 0; i < r->n; i++)
		add64(state_of(r, offset, i), 1);
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
		add64(state_of(r, offset, i), !VEC_NULL(*v, i));
	return 0;
}

static void
count_merge(char *into, const char *from, bool *overflow)
{
	(void)overflow;
	add64(into, get64(from));
}

static bool
count_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	(void)overflow;
	((uint64_t *)out)[i] = get64(state);
	return true;
}

static bool
count_header(char *state, uint32_t rows, enum col_type type,
	     const struct column_stat *s, bool *overflow)
{
	(void)overflow;
	/* No argument, or a field that is not there. */
	add64(state, !s ? (type == COL_NULL ? 0 : rows) : rows - s->nulls);
	return true;
}

static const struct agg_ops count_ops = {8, count_add, count_merge, count_emit,
					 count_header};
static const struct agg_ops count_values_ops = {
    8, count_values_add, count_merge, count_emit, count_header};

/*
 * sum of unsigned values: {u64 sum}.  What overflows on the way overflows at
 * the end too.  The sum of no values is 0.
 */

static inline bool
sum_one(char *p, uint64_t v)
{
	uint64_t sum;
	bool over = __builtin_add_overflow(get64(p), v, &sum);

	put64(p, sum);
	return over;
}

static bool
sum_window(char *p, const struct vec *v, uint32_t n)
{
	u128 sum = get64(p);
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
	put64(p, (uint64_t)sum);
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
		over |= sum_one(state_of(r, offset, i),
				VEC_NULL(*v, i) ? 0 : VEC_AT(*v, uint64_t, i));
	*r->overflow |= over;
	return 0;
}

static void
sum_merge(char *into, const char *from, bool *overflow)
{
	*overflow |= sum_one(into, get64(from));
}

static bool
sum_header(char *state, uint32_t rows, enum col_type type,
	   const struct column_stat *s, bool *overflow)
{
	if (type == COL_NULL || (s && s->nulls == rows))
		return true;
	if (!s || !s->has_sum || expr_type_of(type) != TYPE_UINT)
		return false;
	*overflow |= sum_one(state, s->usum);
	return true;
}

static const struct agg_ops sum_ops = {8, sum_add, sum_merge, count_emit,
				       sum_header};

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
		char *p = state_of(r, offset, i);

		if (VEC_NULL(*v, i))
			continue;
		add128(p, v->type == TYPE_UINT
			      ? (__int128)VEC_AT(*v, uint64_t, i)
			      : (__int128)VEC_AT(*v, int64_t, i));
		add64(p + 16, 1);
	}
	return 0;
}

static void
wide_merge(char *into, const char *from, bool *overflow)
{
	__int128 sum;

	(void)overflow;
	memcpy(&sum, from, sizeof sum);
	add128(into, sum);
	add64(into + 16, get64(from + 16));
}

static bool
wide_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	__int128 sum;

	memcpy(&sum, state, sizeof sum);
	if (sum != (int64_t)sum)
		*overflow = true;
	((int64_t *)out)[i] = (int64_t)sum;
	return true;
}

static bool
wide_avg_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	uint64_t n = get64(state + 16);
	__int128 sum;

	(void)overflow;
	memcpy(&sum, state, sizeof sum);
	((double *)out)[i] = n ? (double)sum / (double)n : 0;
	return n != 0;
}

static bool
wide_avg_duration_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	double v = 0;
	bool some = wide_avg_emit(state, &v, 0, overflow);

	((int64_t *)out)[i] = (int64_t)v;
	return some;
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
	add64(state + 16, rows - s->nulls);
	return true;
}

static const struct agg_ops wide_sum_ops = {24, wide_add, wide_merge, wide_emit,
					    wide_header};
static const struct agg_ops wide_avg_ops = {24, wide_add, wide_merge,
					    wide_avg_emit, wide_header};
static const struct agg_ops wide_avg_duration_ops = {
    24, wide_add, wide_merge, wide_avg_duration_emit, NULL};

/*
 * sum and avg of reals: {f64 sum, u64 values}
 */

static int
real_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = state_of(r, offset, i);
		double sum;

		if (VEC_NULL(*v, i))
			continue;
		memcpy(&sum, p, sizeof sum);
		sum += VEC_AT(*v, double, i);
		memcpy(p, &sum, sizeof sum);
		add64(p + 8, 1);
	}
	return 0;
}

static void
real_merge(char *into, const char *from, bool *overflow)
{
	double a, b;

	(void)overflow;
	memcpy(&a, into, sizeof a);
	memcpy(&b, from, sizeof b);
	a += b;
	memcpy(into, &a, sizeof a);
	add64(into + 8, get64(from + 8));
}

static bool
real_avg_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	uint64_t n = get64(state + 8);
	double sum;

	(void)overflow;
	memcpy(&sum, state, sizeof sum);
	((double *)out)[i] = n ? sum / (double)n : 0;
	return n != 0;
}

static const struct agg_ops real_sum_ops = {16, real_add, real_merge,
					    count_emit, NULL};
static const struct agg_ops real_avg_ops = {16, real_add, real_merge,
					    real_avg_emit, NULL};

/*
 * min and max of what fits 64 bits: {u64 best, u64 values}.  Values are turned
 * into unsigned ones of the same order, upside down for min, so that the
 * largest is the best and zero is no worse than none.
 */

enum turn { TURN_NONE, TURN_SIGNED, TURN_REAL };

static inline uint64_t
turn(uint64_t v, enum turn t)
{
	uint64_t top = UINT64_C(1) << 63;

	if (t == TURN_SIGNED || (t == TURN_REAL && !(v & top)))
		return v ^ top;
	return t == TURN_REAL ? ~v : v;
}

static inline uint64_t
turn_back(uint64_t v, enum turn t)
{
	uint64_t top = UINT64_C(1) << 63;

	if (t == TURN_SIGNED || (t == TURN_REAL && (v & top)))
		return v ^ top;
	return t == TURN_REAL ? ~v : v;
}

static inline void
best_put(char *p, uint64_t v, uint64_t n)
{
	if (v > get64(p))
		put64(p, v);
	add64(p + 8, n);
}

static inline int
best_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	 enum turn t, uint64_t flip)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++)
		if (!VEC_NULL(*v, i))
			best_put(state_of(r, offset, i),
				 turn(VEC_AT(*v, uint64_t, i), t) ^ flip, 1);
	return 0;
}

static void
best_merge(char *into, const char *from, bool *overflow)
{
	(void)overflow;
	best_put(into, get64(from), get64(from + 8));
}

static inline bool
best_header(char *state, uint32_t rows, enum col_type type,
	    const struct column_stat *s, enum turn t, uint64_t flip)
{
	bool is_signed = type == COL_I64 || type == COL_TIME;
	uint64_t v;

	if (type == COL_NULL || (s && s->nulls == rows))
		return true;
	if (!s || !s->has_minmax || type == COL_IP || type == COL_F64 ||
	    t == TURN_REAL || (is_signed && t == TURN_NONE))
		return false;
	v = flip ? s->min.u : s->max.u;
	if (t == TURN_SIGNED && !is_signed && v > INT64_MAX)
		return false;
	best_put(state, turn(v, t) ^ flip, rows - s->nulls);
	return true;
}

#define BEST(name, how, flip)                                                  \
	static int name##_add(const struct agg_rows *r, size_t offset,         \
			      const struct vec *v)                             \
	{                                                                      \
		return best_add(r, offset, v, how, flip);                      \
	}                                                                      \
	static bool name##_emit(const char *state, void *out, uint32_t i,      \
				bool *overflow)                                \
	{                                                                      \
		(void)overflow;                                                \
		((uint64_t *)out)[i] = turn_back(get64(state) ^ (flip), how);  \
		return get64(state + 8) != 0;                                  \
	}                                                                      \
	static bool name##_header(char *state, uint32_t rows,                  \
				  enum col_type type,                          \
				  const struct column_stat *s, bool *overflow) \
	{                                                                      \
		(void)overflow;                                                \
		return best_header(state, rows, type, s, how, flip);           \
	}                                                                      \
	static const struct agg_ops name##_ops = {16, name##_add, best_merge,  \
						  name##_emit, name##_header};

BEST(min_unsigned, TURN_NONE, UINT64_MAX)
BEST(max_unsigned, TURN_NONE, 0)
BEST(min_signed, TURN_SIGNED, UINT64_MAX)
BEST(max_signed, TURN_SIGNED, 0)
BEST(min_real, TURN_REAL, UINT64_MAX)
BEST(max_real, TURN_REAL, 0)

/*
 * min and max of addresses: {u128 best, u64 values}, as above, and of strings:
 * {pointer, u64 length, u64 values}.
 */

static inline int
best_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	    u128 flip)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = state_of(r, offset, i);
		u128 ip, best;

		if (VEC_NULL(*v, i))
			continue;
		ip = VEC_AT(*v, u128, i) ^ flip;
		memcpy(&best, p, sizeof best);
		if (ip > best)
			memcpy(p, &ip, sizeof ip);
		add64(p + 16, 1);
	}
	return 0;
}

static int
min_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_ip_add(r, offset, v, ~(u128)0);
}

static int
max_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_ip_add(r, offset, v, 0);
}

static void
best_ip_merge(char *into, const char *from, bool *overflow)
{
	u128 a, b;

	(void)overflow;
	memcpy(&a, into, sizeof a);
	memcpy(&b, from, sizeof b);
	if (b > a)
		memcpy(into, &b, sizeof b);
	add64(into + 16, get64(from + 16));
}

static bool
max_ip_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	(void)overflow;
	memcpy((u128 *)out + i, state, sizeof(u128));
	return get64(state + 16) != 0;
}

static bool
min_ip_emit(const char *state, void *out, uint32_t i, bool *overflow)
{
	bool some = max_ip_emit(state, out, i, overflow);

	((u128 *)out)[i] = ~((u128 *)out)[i];
	return some;
}

static const struct agg_ops min_ip_ops = {24, min_ip_add, best_ip_merge,
					  min_ip_emit, NULL};
static const struct agg_ops max_ip_ops = {24, max_ip_add, best_ip_merge,
					  max_ip_emit, NULL};

static int
str_order(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool
str_better(const char *state, struct str s, bool max)
{
	struct str best;
	int order;

	if (!get64(state + 16))
		return true;
	memcpy(&best, state, sizeof best);
	order = str_order(s, best);
	return max ? order > 0 : order < 0;
}

static inline int
best_str_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	     bool max)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = state_of(r, offset, i);
		struct str s;

		if (VEC_NULL(*v, i))
			continue;
		s = VEC_AT(*v, struct str, i);
		if (str_better(p, s, max)) {
			s.p = arena_strndup(r->arena, s.p, s.len);
			if (!s.p)
				return -1;
			memcpy(p, &s, sizeof s);
		}
		add64(p + 16, 1);
	}
	return 0;
}

static int
min_str_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_str_add(r, offset, v, false);
}

static int
max_str_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_str_add(r, offset, v, true);
}

static inline void
best_str_merge(char *into, const char *from, bool max)
{
	struct str s;

	if (!get64(from + 16))
		return;
	memcpy(&s, from, sizeof s);
	if (str_better(into, s, max))
		memcpy(into, &s, sizeof s);
	add64(into + 16, get64(from + 16));
}

static void
min_str_merge(char *into, const char *from, bool *overflow)
{
	(void)overflow;
	best_str_merge(into, from, false);
}

static void
max_str_merge(char *into, const char *from, bool *overflow)
{
	(void)overflow;
	best_str_merge(into, from, true);
}

static const struct agg_ops min_str_ops = {24, min_str_add, min_str_merge,
					   max_ip_emit, NULL};
static const struct agg_ops max_str_ops = {24, max_str_add, max_str_merge,
					   max_ip_emit, NULL};

/*
 * Binding.
 */

enum kind { AGG_COUNT, AGG_SUM, AGG_AVG, AGG_MIN, AGG_MAX, AGG_KINDS };

static const char *const names[AGG_KINDS] = {"count", "sum", "avg", "min",
					     "max"};

static int
find(const char *name)
{
	for (int i = 0; i < AGG_KINDS; i++)
		if (strcasecmp(names[i], name) == 0)
			return i;
	return -1;
}

bool
aggregate_exists(const char *name)
{
	return find(name) >= 0;
}

const char *
aggregate_names(void)
{
	return "count, sum, avg, min, max";
}

static const struct agg_ops *
best_ops(enum expr_type t, bool max)
{
	switch (t) {
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return max ? &max_signed_ops : &min_signed_ops;
	case TYPE_REAL:
		return max ? &max_real_ops : &min_real_ops;
	case TYPE_IP:
		return max ? &max_ip_ops : &min_ip_ops;
	case TYPE_STRING:
	case TYPE_BYTES:
		return max ? &max_str_ops : &min_str_ops;
	default:
		return max ? &max_unsigned_ops : &min_unsigned_ops;
	}
}

static void
choose_sum(struct agg *a, enum expr_type t)
{
	a->type = t == TYPE_NULL ? TYPE_UINT : t;
	if (t == TYPE_REAL)
		a->ops = &real_sum_ops;
	else if (t == TYPE_INT || t == TYPE_DURATION)
		a->ops = &wide_sum_ops;
	else
		a->ops = &sum_ops;
}

static void
choose_avg(struct agg *a, enum expr_type t)
{
	a->type = t == TYPE_DURATION ? t : TYPE_REAL;
	a->ops = t == TYPE_REAL	      ? &real_avg_ops
		 : t == TYPE_DURATION ? &wide_avg_duration_ops
				      : &wide_avg_ops;
}

int
aggregate_bind(struct binder *b, const char *name, const struct expr *call,
	       struct agg *a)
{
	struct node *arg = NULL;
	int kind = find(name);
	enum expr_type t;

	if (call && call->n > 1) {
		bind_fail(b, call->args[1], "%s takes one argument", name);
		return -1;
	}
	if (!call || call->n == 0) {
		a->ops = &count_ops;
		a->type = TYPE_UINT;
		if (kind != AGG_COUNT)
			bind_fail(b, call, "%s takes one argument", name);
		return kind == AGG_COUNT ? 0 : -1;
	}
	arg = expr_bind(b, call->args[0]);
	if (!arg)
		return -1;
	t = arg->type;
	if (kind == AGG_COUNT) {
		a->ops = &count_values_ops;
		a->type = TYPE_UINT;
	} else if (kind == AGG_MIN || kind == AGG_MAX) {
		/* Booleans are numbers of one byte: widen them. */
		if (t == TYPE_BOOL)
			arg = node_cast(b, arg, TYPE_STRING);
		if (!arg)
			return -1;
		a->ops = best_ops(arg->type, kind == AGG_MAX);
		a->type = arg->type;
	} else if (t != TYPE_UINT && t != TYPE_INT && t != TYPE_REAL &&
		   t != TYPE_DURATION && t != TYPE_NULL) {
		bind_fail(b, call->args[0], "no %s of %s", name,
			  expr_type_article(t));
		return -1;
	} else if (kind == AGG_SUM) {
		choose_sum(a, t);
	} else {
		choose_avg(a, t);
	}
	a->arg = arg;
	return 0;
}

/*
 * Counts and sums, of which most queries are made, side by side: an entry is
 * looked at once for all of them.
 */

enum { MANY = 4, AHEAD = 32 };

struct many {
	bool mark, count;
	size_t count_at;
	unsigned sums;
	size_t at[MANY];	  /* of the sums' states */
	const uint64_t *in[MANY]; /* of what is added, one a row */
};

/* Sorts the aggregates into M, if all are such, and their values are there. */
static bool
many_set(struct many *m, const struct agg *aggs, size_t n,
	 const struct vec *vecs)
{
	*m = (struct many){0};
	for (size_t k = 0; k < n; k++) {
		const struct vec *v = &vecs[k];

		if (aggs[k].arg && (v->type == TYPE_NULL || v->null))
			return false;
		if (aggs[k].ops == &sum_ops && !v->constant && m->sums < MANY) {
			m->at[m->sums] = aggs[k].offset;
			m->in[m->sums++] = v->data;
		} else if (aggs[k].ops->add == count_values_add ||
			   aggs[k].ops == &count_ops) {
			if (m->count)
				return false;
			m->count = true;
			m->count_at = aggs[k].offset;
		} else {
			return false;
		}
	}
	return true;
}

static inline __attribute__((always_inline)) void
many_add(const struct agg_rows *r, const struct many *m, bool count,
	 unsigned sums)
{
	bool over = false;

	for (uint32_t i = 0; i < r->n; i++) {
		char *e = r->base + r->stride * r->index[i];

		if (i + AHEAD < r->n)
			__builtin_prefetch(
			    r->base + r->stride * r->index[i + AHEAD], 1);
		if (m->mark)
			put64(e, (uint64_t)r->index[i] + 1);
		if (count)
			add64(e + m->count_at, 1);
		for (unsigned k = 0; k < sums; k++)
			over |= sum_one(e + m->at[k], m->in[k][i]);
	}
	*r->overflow |= over;
}

static void
many_run(const struct agg_rows *r, const struct many *m)
{
	switch (m->sums * 2 + m->count) {
	case 0:
		many_add(r, m, false, 0);
		break;
	case 1:
		many_add(r, m, true, 0);
		break;
	case 2:
		many_add(r, m, false, 1);
		break;
	case 3:
		many_add(r, m, true, 1);
		break;
	case 4:
		many_add(r, m, false, 2);
		break;
	case 5:
		many_add(r, m, true, 2);
		break;
	default:
		many_add(r, m, m->count, m->sums);
	}
}

int
aggregate_add(const struct agg *aggs, size_t n, const struct agg_rows *r,
	      const struct vec *vecs)
{
	struct many m;

	if (r->index && n > 0 && many_set(&m, aggs, n, vecs)) {
		m.mark = r->mark;
		many_run(r, &m);
		return 0;
	}
	for (uint32_t i = 0; r->mark && r->index && i < r->n; i++)
		put64(r->base + r->stride * r->index[i],
		      (uint64_t)r->index[i] + 1);
	for (size_t k = 0; k < n; k++)
		if (aggs[k].ops->add(r, aggs[k].offset, &vecs[k]))
			return -1;
	return 0;
}

bool
aggregate_is_number(const struct agg *a)
{
	return a->ops == &count_ops ||
	       (a->ops == &sum_ops && a->arg->type == TYPE_UINT);
}

/* Whether all states are one number that is added. */
static bool
all_numbers(const struct agg *aggs, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (aggs[k].ops->merge != count_merge &&
		    aggs[k].ops->merge != sum_merge)
			return false;
	return true;
}

void
aggregate_merge(const struct agg *aggs, size_t n, const struct agg_rows *r,
		const char *from, const uint32_t *from_index)
{
	bool numbers = all_numbers(aggs, n), over = false;

	for (uint32_t i = 0; i < r->n; i++) {
		char *to = r->base + r->stride * r->index[i];
		const char *e =
		    from + r->stride * (from_index ? from_index[i] : i);

		if (r->mark)
			put64(to, (uint64_t)r->index[i] + 1);
		if (numbers)
			for (size_t k = 0; k < n; k++)
				over |= sum_one(to + aggs[k].offset,
						get64(e + aggs[k].offset));
		else
			for (size_t k = 0; k < n; k++)
				aggs[k].ops->merge(to + aggs[k].offset,
						   e + aggs[k].offset, &over);
	}
	*r->overflow |= over;
}
