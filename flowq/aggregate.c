/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/aggregate.h"

#include <strings.h>

#include "flowq/aggregate_ops.h"

/*
 * Binding.
 */

enum kind {
	AGG_COUNT,
	AGG_SUM,
	AGG_AVG,
	AGG_MIN,
	AGG_MAX,
	AGG_FIRST,
	AGG_LAST,
	AGG_RANGE,
	AGG_STDDEV,
	AGG_VAR,
	AGG_MEDIAN,
	AGG_PERCENTILE,
	AGG_DC,
	AGG_ESTDC,
	AGG_VALUES,
	AGG_PER_SECOND,
	AGG_PER_MINUTE,
	AGG_PER_HOUR,
	AGG_PER_DAY,
	AGG_KINDS
};

static const char *const names[AGG_KINDS] = {
    "count",	  "sum",	"avg",	    "min",     "max",
    "first",	  "last",	"range",    "stddev",  "var",
    "median",	  "percentile", "dc",	    "estdc",   "values",
    "per_second", "per_minute", "per_hour", "per_day",
};

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
	return "count, sum, avg, min, max, first, last, range, stddev, var, "
	       "median, percentile, dc, estdc, values, per_second, "
	       "per_minute, per_hour, per_day";
}

static void
choose_sum(struct agg *a, enum expr_type t)
{
	a->type = t == TYPE_NULL ? TYPE_UINT : t;
	if (t == TYPE_REAL)
		a->ops = &agg_sum_real;
	else if (t == TYPE_INT || t == TYPE_DURATION)
		a->ops = &agg_sum_wide;
	else
		a->ops = &agg_sum;
}

static void
choose_avg(struct agg *a, enum expr_type t)
{
	a->type = t == TYPE_DURATION ? t : TYPE_REAL;
	a->ops = t == TYPE_REAL	      ? &agg_avg_real
		 : t == TYPE_DURATION ? &agg_avg_duration
				      : &agg_avg;
}

/* What one unit of a rate is in seconds. */
static double
rate_unit(enum kind kind)
{
	return kind == AGG_PER_SECOND	? 1
	       : kind == AGG_PER_MINUTE ? 60
	       : kind == AGG_PER_HOUR	? 3600
					: 86400;
}

static const struct agg_ops *
choose_place(enum kind kind, enum expr_type t)
{
	if (t == TYPE_STRING || t == TYPE_BYTES)
		return kind == AGG_FIRST ? &agg_first_text : &agg_last_text;
	return kind == AGG_FIRST ? &agg_first : &agg_last;
}

/* One that looks at values of any type. NULL: memory is out. */
static struct node *
choose_any(struct binder *b, enum kind kind, struct node *arg, struct agg *a)
{
	/* Booleans are of one byte. */
	if ((arg->type == TYPE_BOOL && kind != AGG_FIRST && kind != AGG_LAST) ||
	    (arg->type == TYPE_BYTES && kind == AGG_VALUES))
		arg = node_cast(b, arg, TYPE_STRING);
	if (!arg)
		return NULL;
	a->type = arg->type;
	switch (kind) {
	case AGG_MIN:
	case AGG_MAX:
		a->ops = agg_extreme(arg->type, kind == AGG_MAX);
		break;
	case AGG_FIRST:
	case AGG_LAST:
		a->ops = choose_place(kind, arg->type);
		break;
	case AGG_VALUES:
		a->type = TYPE_STRING;
		a->ops = &agg_values;
		break;
	default:
		a->type = TYPE_UINT;
		a->ops = kind == AGG_COUNT ? &agg_count_values
			 : kind == AGG_DC  ? agg_distinct(arg->type)
					   : agg_estimate(arg->type);
	}
	return arg;
}

/* One that calculates. NULL: not with values of that type. */
static struct node *
choose_number(struct binder *b, enum kind kind, struct node *arg, struct agg *a)
{
	enum expr_type t = arg->type;
	bool number = t == TYPE_UINT || t == TYPE_INT || t == TYPE_REAL ||
		      t == TYPE_DURATION || t == TYPE_NULL;

	a->type = TYPE_REAL;
	switch (kind) {
	case AGG_RANGE:
		a->ops = agg_range(t, &a->type);
		return a->ops ? arg : NULL;
	case AGG_MEDIAN:
	case AGG_PERCENTILE:
		a->type = t;
		a->ops = agg_percentile(t);
		return a->ops ? arg : NULL;
	case AGG_SUM:
		choose_sum(a, t);
		break;
	case AGG_AVG:
		choose_avg(a, t);
		break;
	case AGG_VAR:
	case AGG_STDDEV:
		a->ops = kind == AGG_VAR ? &agg_var : &agg_stddev;
		return number ? node_cast(b, arg, TYPE_REAL) : NULL;
	default:
		a->param /= rate_unit(kind);
		a->ops = t == TYPE_REAL ? &agg_rate_real : &agg_rate;
		number &= t != TYPE_DURATION;
	}
	return number ? arg : NULL;
}

static bool
is_rate(enum kind kind)
{
	return kind >= AGG_PER_SECOND;
}

/* Sets the parameter; -1: the call has no or a wrong one. */
static int
bind_param(struct binder *b, enum kind kind, const struct expr *call,
	   double seconds, struct agg *a)
{
	const struct literal *p;

	a->param = kind == AGG_MEDIAN ? 50 : seconds;
	if (is_rate(kind) && seconds <= 0) {
		bind_fail(b, call,
			  "%s needs a span of time: give the table from= and "
			  "to= or duration=, or use timechart",
			  names[kind]);
		return -1;
	}
	if (kind != AGG_PERCENTILE)
		return 0;
	p = call->n == 2 && call->args[1]->op == EXPR_LITERAL
		? &call->args[1]->lit
		: NULL;
	if (p && p->type == TYPE_UINT)
		a->param = (double)p->u;
	else if (p && p->type == TYPE_REAL)
		a->param = p->f;
	else
		p = NULL;
	if (p && a->param >= 0 && a->param <= 100)
		return 0;
	bind_fail(b, call,
		  "percentile takes a value and a number from 0 to "
		  "100: percentile(octet_count, 95)");
	return -1;
}

int
aggregate_bind(struct binder *b, const char *name, const struct expr *call,
	       double seconds, struct agg *a)
{
	int kind = find(name);
	size_t args = kind == AGG_PERCENTILE ? 2 : 1;
	struct node *arg;

	if (call && call->n > args) {
		bind_fail(b, call->args[args], "%s takes %s", name,
			  args == 1 ? "one argument" : "two arguments");
		return -1;
	}
	if (!call || call->n == 0) {
		a->ops = &agg_count;
		a->type = TYPE_UINT;
		if (kind != AGG_COUNT)
			bind_fail(b, call, "%s takes one argument", name);
		return kind == AGG_COUNT ? 0 : -1;
	}
	if (bind_param(b, (enum kind)kind, call, seconds, a))
		return -1;
	arg = expr_bind(b, call->args[0]);
	if (!arg)
		return -1;
	switch (kind) {
	case AGG_COUNT:
	case AGG_MIN:
	case AGG_MAX:
	case AGG_FIRST:
	case AGG_LAST:
	case AGG_DC:
	case AGG_ESTDC:
	case AGG_VALUES:
		a->arg = choose_any(b, (enum kind)kind, arg, a);
		return a->arg ? 0 : -1;
	default:
		a->arg = choose_number(b, (enum kind)kind, arg, a);
	}
	if (!a->arg)
		bind_fail(b, call->args[0], "no %s of %s", name,
			  expr_type_article(arg->type));
	return a->arg ? 0 : -1;
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
		if (aggs[k].ops == &agg_sum && !v->constant && m->sums < MANY) {
			m->at[m->sums] = aggs[k].offset;
			m->in[m->sums++] = v->data;
		} else if (aggs[k].ops == &agg_count_values ||
			   aggs[k].ops == &agg_count) {
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
			agg_put(e, (uint64_t)r->index[i] + 1);
		if (count)
			agg_more(e + m->count_at, 1);
		for (unsigned k = 0; k < sums; k++)
			over |= agg_sum_one(e + m->at[k], m->in[k][i]);
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
		agg_put(r->base + r->stride * r->index[i],
			(uint64_t)r->index[i] + 1);
	for (size_t k = 0; k < n; k++)
		if (aggs[k].ops->add(r, aggs[k].offset, &vecs[k]))
			return -1;
	return 0;
}

bool
aggregate_is_number(const struct agg *a)
{
	return a->ops == &agg_count ||
	       (a->ops == &agg_sum && a->arg->type == TYPE_UINT);
}

bool
aggregate_wants_place(const struct agg *a)
{
	return a->ops == &agg_first || a->ops == &agg_last ||
	       a->ops == &agg_first_text || a->ops == &agg_last_text;
}

/* Whether all states are one number that is added. */
static bool
all_numbers(const struct agg *aggs, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (aggs[k].ops != &agg_count &&
		    aggs[k].ops != &agg_count_values && aggs[k].ops != &agg_sum)
			return false;
	return true;
}

int
aggregate_merge(const struct agg *aggs, size_t n, const struct agg_rows *r,
		const char *from, const uint32_t *from_index)
{
	bool numbers = all_numbers(aggs, n), over = false;

	for (uint32_t i = 0; i < r->n; i++) {
		char *to = r->base + r->stride * r->index[i];
		const char *e =
		    from + r->stride * (from_index ? from_index[i] : i);

		if (r->mark)
			agg_put(to, (uint64_t)r->index[i] + 1);
		for (size_t k = 0; k < n; k++) {
			size_t at = aggs[k].offset;

			if (numbers)
				over |= agg_sum_one(to + at, agg_get(e + at));
			else if (aggs[k].ops->merge(r, to + at, e + at))
				return -1;
		}
	}
	*r->overflow |= over;
	return 0;
}
