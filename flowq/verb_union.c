/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "flowq/lazy.h"

/*
 * Rows of two stages as one source: first those before the command, then those
 * in the brackets.  Where one of them is in order of time, all are: of two
 * tables the rows come mixed.
 */

struct union_block {
	int side;
	size_t index;
	int64_t time; /* the newest, or oldest, of it */
};

struct rows_union {
	struct source src;
	struct lazy side[2];
	/* The column of each field; -1: none. */
	int *cols[2];
	struct union_block *blocks;
	/* Stand for the time and number of rows that have no order of time,
	 * one for each side. */
	int64_t time[2];
	struct column_stat stat[2];
};

static int
by_newest(const void *a, const void *b)
{
	const struct union_block *x = a, *y = b;

	if (x->time != y->time)
		return x->time > y->time ? -1 : 1;
	if (x->side != y->side)
		return x->side - y->side;
	return (x->index > y->index) - (x->index < y->index);
}

static int
by_oldest(const void *a, const void *b)
{
	const struct union_block *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->side != y->side)
		return x->side - y->side;
	return (x->index > y->index) - (x->index < y->index);
}

static enum col_type
u_peek(struct source *s, size_t block, size_t field,
       const struct column_stat **stat)
{
	struct rows_union *u = (struct rows_union *)s;
	const struct union_block *b = &u->blocks[block];
	struct lazy *l = &u->side[b->side];
	int c = u->cols[b->side][field];

	*stat = NULL;
	if (c >= 0)
		return lazy_peek(l, b->index, (size_t)c, stat);
	if ((int)field == s->time_field) {
		*stat = &u->stat[b->side];
		return COL_TIME;
	}
	return (int)field == s->id_field ? COL_U64 : COL_NULL;
}

static int
u_prepare(struct source *s, struct err *err)
{
	struct rows_union *u = (struct rows_union *)s;
	size_t n = 0;

	for (int k = 0; k < 2; k++) {
		if (lazy_prepare(&u->side[k], err))
			return -1;
		s->blocks += u->side[k].blocks;
	}
	u->blocks = calloc(s->blocks + 1, sizeof(*u->blocks));
	if (!u->blocks)
		return err_set(err, "out of memory");
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < u->side[k].blocks; i++)
			u->blocks[n++] = (struct union_block){k, i, 0};
	if (s->time_field < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct column_stat *stat;

		u_peek(s, i, (size_t)s->time_field, &stat);
		if (stat && stat->has_minmax)
			u->blocks[i].time =
			    s->ascending ? stat->min.i : stat->max.i;
		else
			u->blocks[i].time =
			    s->ascending ? INT64_MIN : INT64_MAX;
	}
	qsort(u->blocks, n, sizeof(*u->blocks),
	      s->ascending ? by_oldest : by_newest);
	return 0;
}

static int
u_open(struct source *s, struct source_block *b, struct err *err)
{
	struct rows_union *u = (struct rows_union *)s;
	const struct union_block *ub = &u->blocks[b->index];
	struct lazy_block *lb;

	if (lazy_open(&u->side[ub->side], ub->index, &lb, err))
		return -1;
	b->priv = lb;
	b->rows = lb->view.nsel;
	return 0;
}

static void
u_close(struct source *s, struct source_block *b)
{
	struct rows_union *u = (struct rows_union *)s;

	lazy_close(&u->side[u->blocks[b->index].side], b->priv);
}

/* Numbers that keep the order of rows that have none. */
static int
number_rows(const struct source *s, const struct source_block *b,
	    struct column *c, struct err *err)
{
	uint64_t *v;

	column_clear(c);
	v = malloc(((size_t)b->rows + 1) * sizeof(*v));
	if (!v)
		return err_set(err, "out of memory");
	c->data = v;
	c->cap = (size_t)b->rows + 1;
	for (uint32_t i = 0; i < b->rows; i++) {
		v[i] = (uint64_t)b->index << 32 | i;
		if (!s->ascending)
			v[i] = ~v[i];
	}
	return 0;
}

static int
u_column(struct source *s, struct source_block *b, size_t field,
	 struct column *c, const struct column **out, struct err *err)
{
	struct rows_union *u = (struct rows_union *)s;
	int side = u->blocks[b->index].side, col = u->cols[side][field];
	struct lazy_block *lb = b->priv;

	*out = NULL;
	if (col >= 0)
		return lazy_column(
		    &u->side[side], lb, (size_t)col,
		    (struct lazy_rows){lb->view.sel, lb->view.nsel}, c, out);
	if ((int)field == s->time_field) {
		column_clear(c);
		if (column_set_constant(c, COL_TIME, &u->time[side], err))
			return -1;
	} else if ((int)field != s->id_field) {
		return 0;
	} else if (number_rows(s, b, c, err)) {
		return -1;
	}
	*out = c;
	return 0;
}

static uint32_t
u_rows(struct source *s, size_t block)
{
	struct rows_union *u = (struct rows_union *)s;
	const struct lazy *l = &u->side[u->blocks[block].side];

	return l->b.src->ops->rows(l->b.src, l->live[u->blocks[block].index]);
}

static void
u_free(struct source *s)
{
	struct rows_union *u = (struct rows_union *)s;

	lazy_clear(&u->side[0]);
	lazy_clear(&u->side[1]);
	free(u->blocks);
	free(s->fields);
	free(u->cols[0]);
	free(u->cols[1]);
	free(u);
}

static bool
u_part(const struct source *s, size_t i, struct source_part *part)
{
	const struct rows_union *u = (const struct rows_union *)s;

	if (i > 1)
		return false;
	*part =
	    (struct source_part){.name = i ? "in its brackets" : "before union",
				 .src = u->side[i].b.src,
				 .filter = u->side[i].b.filter,
				 .nodes = u->side[i].nodes,
				 .n = u->side[i].n,
				 .cols = u->cols[i]};
	return true;
}

static const struct source_ops union_ops = {
    .name = "union",
    .part = u_part,
    .prepare = u_prepare,
    .open = u_open,
    .close = u_close,
    .peek = u_peek,
    .column = u_column,
    .rows = u_rows,
    .free = u_free,
};

/*
 * The plan.
 */

static int
find(const struct lazy *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->fields[i].hidden && !strcmp(l->fields[i].name, name))
			return (int)i;
	return -1;
}

static void
join_bounds(struct source_field *f, const struct source_field *g)
{
	f->bounded = f->bounded && g->bounded;
	if (g->bounds.lo < f->bounds.lo)
		f->bounds.lo = g->bounds.lo;
	if (g->bounds.hi > f->bounds.hi)
		f->bounds.hi = g->bounds.hi;
}

static void
add_field(struct rows_union *u, int a, int b)
{
	struct source *s = &u->src;
	struct source_field *f = &s->fields[s->n];

	u->cols[0][s->n] = a;
	u->cols[1][s->n] = b;
	*f = a >= 0 ? u->side[0].fields[a] : u->side[1].fields[b];
	f->hidden = false;
	f->nullable |= a < 0 || b < 0;
	if (a >= 0 && b >= 0) {
		const struct source_field *g = &u->side[1].fields[b];

		f->type = expr_type_unify(f->type, g->type);
		f->nullable |= g->nullable || f->type == TYPE_INT ||
			       f->type == TYPE_STRING;
		join_bounds(f, g);
	}
	s->n++;
}

static void
add_fields(struct rows_union *u)
{
	for (size_t i = 0; i < u->side[0].n; i++)
		if (!u->side[0].fields[i].hidden)
			add_field(u, (int)i,
				  find(&u->side[1], u->side[0].fields[i].name));
	for (size_t i = 0; i < u->side[1].n; i++)
		if (!u->side[1].fields[i].hidden &&
		    find(&u->side[0], u->side[1].fields[i].name) < 0)
			add_field(u, -1, (int)i);
}

static int
hidden_field(struct rows_union *u, int a, int b, const char *name,
	     enum expr_type type)
{
	struct source *s = &u->src;

	u->cols[0][s->n] = a;
	u->cols[1][s->n] = b;
	s->fields[s->n] =
	    (struct source_field){.name = name, .type = type, .hidden = true};
	return (int)s->n++;
}

/* Rows that have no order of time come before, or after, all that have. */
static void
add_order(struct rows_union *u)
{
	struct source *s = &u->src;
	const struct lazy *l = u->side;

	s->time_field = s->id_field = -1;
	if (l[0].time_field < 0 && l[1].time_field < 0)
		return;
	s->ascending = l[l[0].time_field < 0].b.src->ascending;
	for (int k = 0; k < 2; k++) {
		struct column_stat *stat = &u->stat[k];

		u->time[k] = (k == 0) == s->ascending ? INT64_MIN : INT64_MAX;
		stat->has_minmax = true;
		stat->min = (struct value){.type = COL_TIME, .i = u->time[k]};
		stat->max = stat->min;
	}
	s->time_field = hidden_field(u, l[0].time_field, l[1].time_field,
				     "_time", TYPE_TIME);
	s->id_field =
	    hidden_field(u, l[0].id_field, l[1].id_field, "_id", TYPE_UINT);
}

static int
union_parse(struct lexer *l, void **out)
{
	return parse_nested(l, (struct query **)out);
}

static struct period
both_periods(const struct period *a, const struct period *b)
{
	struct period d = *a;

	if (b->from < d.from)
		d.from = b->from;
	if (b->to > d.to)
		d.to = b->to;
	if (b->seconds > d.seconds)
		d.seconds = b->seconds;
	if (d.from != INT64_MIN && d.to != INT64_MAX)
		d.seconds = ((double)d.to - (double)d.from) / 1e6;
	return d;
}

static int
union_plan(struct plan *p, const struct command *c)
{
	struct branch a = plan_open_branch(p), b;
	struct rows_union *u;
	size_t n;

	if (plan_branch(p, c->args, NULL, &b))
		return -1;
	u = calloc(1, sizeof(*u));
	if (!u)
		return plan_oom(p);
	u->src.ops = &union_ops;
	u->src.lazy = true;
	n = a.ncols + b.ncols + 2;
	u->src.fields = calloc(n, sizeof(*u->src.fields));
	u->cols[0] = calloc(n, sizeof(*u->cols[0]));
	u->cols[1] = calloc(n, sizeof(*u->cols[1]));
	if (lazy_init(&u->side[0], p, &a) || lazy_init(&u->side[1], p, &b) ||
	    !u->src.fields || !u->cols[0] || !u->cols[1]) {
		u_free(&u->src);
		return plan_oom(p);
	}
	add_fields(u);
	add_order(u);
	p->period = both_periods(&a.period, &b.period);
	return plan_source(p, &u->src);
}

static enum verb_class
union_class(const void *args)
{
	(void)args;
	return VERB_ORDERED;
}

const struct verb verb_union = {
    "union", "union [ QUERY ]", union_parse, union_plan, union_class,
};
