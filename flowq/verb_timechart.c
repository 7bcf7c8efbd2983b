/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/load.h"
#include "common/text.h"
#include "flowq/cell.h"
#include "flowq/joinkey.h"
#include "flowq/series.h"
#include "flowq/stats_args.h"

/*
 * Stats by the span of time that a row is in.  With a key, a first query finds
 * the values that are largest by the first aggregate, and runs at once: the
 * columns depend on it.  The second groups by span and by which of these values
 * a row has, all others being one, so that their aggregates are right whatever
 * they are.
 */

enum { LIMIT = 10, LIMIT_MAX = 1000, COLUMNS_MAX = 10000 };

struct timechart_args {
	struct span span; /* 0: to be chosen */
	bool fill, limited;
	uint64_t limit;
	size_t pos; /* of the limit */
	struct stats_args stats;
};

/* What splits the rows. */
struct split {
	size_t n;   /* values; the slot n is for all others */
	bool other; /* there are some */
	struct rowset *top;
	const struct columns *cols; /* of top */
	enum expr_type type;	    /* that values are compared as */
	struct joinkey index;
	uint64_t null; /* the slot of null */
};

struct timechart {
	const struct timechart_args *args;
	struct span span;
	const struct node *time;
	bool asked; /* it is what the source's range is about */
	struct agg *aggs;
	struct group_key key;
	struct split split;
	struct series series;
};

/*
 * The text.
 */

static int
parse_span(struct lexer *l, struct span *s)
{
	size_t pos = l->tok.pos;
	struct str w = lexer_word(l, "");

	if (w.len == 0 || span_parse(w.p, w.len, s))
		return lexer_fail(l, pos,
				  "expected a span of time (10s, 5m, 1h, 1d, "
				  "1w, 1mon, 1y), found %.*s",
				  (int)(w.len > 40 ? 40 : w.len),
				  w.len ? w.p : "");
	return 0;
}

static int
parse_limit(struct lexer *l, struct timechart_args *a)
{
	size_t pos = l->tok.pos;

	a->limited = true;
	a->pos = pos;
	if (parse_count(l, &a->limit))
		return -1;
	return a->limit <= LIMIT_MAX
		   ? 0
		   : lexer_fail(l, pos,
				"a timechart has at most %d values "
				"side by side",
				LIMIT_MAX);
}

/* NAME "=" is none of the options, though it looks like one. */
static int
check_option(struct lexer *l)
{
	struct lexer ahead = *l;

	if (l->tok.type != TOKEN_NAME)
		return 0;
	lexer_next(&ahead);
	if (ahead.tok.type != '=')
		return 0;
	return lexer_fail(l, l->tok.pos,
			  "timechart has no option %.*s (there are span, "
			  "limit, fill)",
			  (int)(l->tok.name.len > 40 ? 40 : l->tok.name.len),
			  l->tok.name.p);
}

/* ("span" "=" SPAN | "limit" "=" N | "fill" "=" BOOL)* */
static int
parse_options(struct lexer *l, struct timechart_args *a)
{
	for (;;) {
		int rc;

		if (parse_option(l, "span"))
			rc = parse_span(l, &a->span);
		else if (parse_option(l, "limit"))
			rc = parse_limit(l, a);
		else if (parse_option(l, "fill"))
			rc = parse_bool(l, &a->fill);
		else
			return check_option(l);
		if (rc)
			return -1;
	}
}

/* options aggregate ("," aggregate)* ["by" key] */
static int
timechart_parse(struct lexer *l, void **out)
{
	struct timechart_args *a = arena_zalloc(l->arena, sizeof(*a));
	struct stats_args *s;

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	s = &a->stats;
	a->fill = true;
	a->limit = LIMIT;
	if (parse_options(l, a) || parse_aggregates(l, s) ||
	    (lexer_take_word(l, "by") && parse_key(l, s)))
		return -1;
	if (l->tok.type == ',')
		return lexer_fail(l, l->tok.pos,
				  "timechart splits by one key; "
				  "concat(a, \" \", b) makes one of two");
	if (a->limited && !s->nkeys)
		return lexer_fail(l, a->pos,
				  "limit= counts the values behind by");
	if (s->nkeys && (a->limit + 1) * s->naggs > COLUMNS_MAX)
		return lexer_fail(l, s->aggs->pos,
				  "a timechart has at most %d columns: ask for "
				  "fewer aggregates, or a smaller limit=",
				  COLUMNS_MAX);
	for (size_t i = 0; i < s->naggs; i++)
		if (strcmp(s->aggs[i].title, "_time") == 0)
			return lexer_fail(l, s->aggs[i].pos,
					  "two columns are called _time: name "
					  "one with as");
	return parse_titles(l, s);
}

/*
 * The time, and its spans.
 */

static int
find_time(struct plan *p, struct timechart *t, size_t pos)
{
	const struct column_def *c = plan_find(p, "_time");
	const struct node *nd = c ? c->node : NULL;

	if (!nd)
		return lexer_fail(p->lexer, pos,
				  "timechart needs rows that have a _time");
	if (nd->type != TYPE_TIME && nd->type != TYPE_NULL)
		return lexer_fail(p->lexer, pos,
				  "timechart needs _time to be a time, it is "
				  "%s",
				  expr_type_article(nd->type));
	t->time = nd->type == TYPE_TIME
		      ? nd
		      : node_cast(&p->binder, (struct node *)nd, TYPE_TIME);
	t->asked = nd->kind == NODE_FIELD && nd->slot == p->src->time_field;
	return t->time ? 0 : plan_oom(p);
}

/* Rows that can be read more than once. */
static int
keep_rows(struct plan *p, struct timechart *t, size_t pos)
{
	if (p->src->again)
		return 0;
	if (plan_limit(p, 0, UINT64_MAX))
		return -1;
	rowsource_keep(p->src);
	return find_time(p, t, pos);
}

/* The first row of the set has the least and the greatest time. */
static double
set_seconds(const struct rowset *r)
{
	struct value lo = {.type = COL_NULL}, hi = {.type = COL_NULL};

	if (r->rows) {
		column_value(&r->cols[0], COL_TIME, 0, &lo);
		column_value(&r->cols[1], COL_TIME, 0, &hi);
	}
	if (lo.type != COL_TIME || hi.type != COL_TIME)
		return 0;
	return ((double)hi.i - (double)lo.i) / 1e6;
}

static void
free_rows(void *rows)
{
	rowset_free(rows);
}

static int
write_rows(void *ctx, const struct rowset *from, uint32_t at, uint32_t to,
	   struct err *err)
{
	return rowset_copy(ctx, from, at, to, err);
}

/* Ends the open stage, whose rows go to a set of their own; then the stage of
 * before is open, and all that ended has run (if anything is to run).  NULL:
 * said why. */
static struct rowset *
collect(struct plan *p, const struct branch *before,
	const struct columns **cols)
{
	struct writer *w = arena_alloc(p->arena, sizeof(*w));
	struct rowset *set;

	*cols = plan_columns(p);
	set = *cols ? rowset_new((*cols)->n, (*cols)->types) : NULL;
	if (!w || !set || plan_own(p, set, free_rows)) {
		plan_oom(p);
		return NULL;
	}
	*w = (struct writer){set, write_rows};
	if (plan_rows(p, w))
		return NULL;
	plan_reopen(p, before);
	if (p->run && p->run(p)) {
		plan_fail(p);
		return NULL;
	}
	return set;
}

/* Seconds from the first to the last row. */
static int
measure(struct plan *p, double *seconds)
{
	static const char *const names[] = {"min", "max"};
	struct branch before = plan_open_branch(p);
	struct stats_args s = {.naggs = 2};
	const struct columns *cols;
	struct rowset *set;

	s.aggs = arena_zalloc(p->arena, 2 * sizeof(*s.aggs));
	if (!s.aggs)
		return plan_oom(p);
	for (size_t i = 0; i < 2; i++) {
		struct expr *call = expr_new(p->arena, EXPR_CALL, 1);
		struct expr *field = expr_new(p->arena, EXPR_FIELD, 0);

		if (!call || !field)
			return plan_oom(p);
		field->name = "_time";
		call->args[0] = field;
		s.aggs[i].name = call->name = names[i];
		s.aggs[i].title = names[i];
		s.aggs[i].expr = call;
	}
	if (plan_groups(p, NULL, 0, plan_aggregates(p, &s, 0), 2))
		return -1;
	set = collect(p, &before, &cols);
	if (!set)
		return -1;
	*seconds = cols->types[0] == TYPE_TIME ? set_seconds(set) : 0;
	return 0;
}

static int
find_span(struct plan *p, struct timechart *t, size_t pos)
{
	double seconds = p->period.seconds;

	t->span = t->args->span;
	if (t->span.us || t->span.months)
		return 0;
	if (seconds <= 0 && (keep_rows(p, t, pos) || measure(p, &seconds)))
		return -1;
	t->span = span_choose(seconds);
	return 0;
}

/* What is filled though there may be no rows: the range that was asked for, as
 * far as it is not in the future. */
static void
set_range(const struct plan *p, const struct timechart *t, struct series *s)
{
	const struct period *d = &p->period;
	int64_t to = d->to < p->lexer->now ? d->to : p->lexer->now;

	s->from = 1;
	s->to = 0;
	if (!t->asked || d->from == INT64_MIN || d->from >= to)
		return;
	s->from = span_start(&t->span, d->from);
	s->to = span_start(&t->span, to - 1);
}

/*
 * Values side by side.
 */

static void
clear_index(void *index)
{
	joinkey_clear(index);
}

/* The values that were found, by key. */
static int
index_values(struct plan *p, struct split *s)
{
	enum col_type type = expr_col_type(s->cols->types[0]);
	struct eval e = {
	    .n = (uint32_t)s->n, .arena = p->arena, .err = p->lexer->err};
	struct vec vec;

	s->null = s->n;
	joinkey_init(&s->index, 1, &s->type);
	if (plan_own(p, &s->index, clear_index))
		return -1;
	if (type == COL_NULL || s->n == 0) {
		vec_load_null(s->type, &vec);
		s->null = 0;
	} else if (vec_load(&e, &s->top->cols[0], type, NULL, 0, &vec) ||
		   vec_cast(&e, &vec, s->type)) {
		return plan_fail(p);
	}
	for (uint32_t i = 0; i < e.n; i++)
		if (VEC_NULL(vec, i))
			s->null = i;
	return joinkey_add(&s->index, &vec, e.n, e.err) ||
		       joinkey_finish(&s->index, e.err)
		   ? plan_fail(p)
		   : 0;
}

static int
eval_slot(struct call *c)
{
	const struct split *s = c->nd->data;
	uint64_t *out = call_out(c);
	size_t cap = 0, len;
	char *key = NULL;

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t row;

		if (c->args[0].type == TYPE_NULL || VEC_NULL(c->args[0], i)) {
			out[i] = s->null;
			continue;
		}
		len = joinkey_bytes(&s->index, c->args, i, &key, &cap);
		if (len == SIZE_MAX)
			return eval_oom(c->e);
		row = joinkey_first(&s->index, key, len);
		out[i] = row == UINT32_MAX ? s->n : row;
	}
	free(key);
	return 0;
}

/* The values that are largest by the first aggregate. */
static int
find_values(struct plan *p, struct timechart *t, size_t pos)
{
	struct split *s = &t->split;
	struct sort_key by = {.descending = true};
	struct group_key *key = arena_alloc(p->arena, sizeof(*key));
	struct agg *first = arena_alloc(p->arena, sizeof(*first));
	struct branch before;
	enum expr_type type;

	if (!key || !first)
		return plan_oom(p);
	if (keep_rows(p, t, pos) || plan_keys(p, &t->args->stats, &t->key))
		return -1;
	t->aggs = plan_aggregates(p, &t->args->stats, span_seconds(&t->span));
	if (!t->aggs)
		return -1;
	before = plan_open_branch(p);
	*key = t->key;
	*first = *t->aggs;
	if (plan_groups(p, key, 1, first, 1))
		return -1;
	by.node = p->cols[1].node;
	if (plan_sort(p, &by, 1, t->args->limit + 1))
		return -1;
	s->top = collect(p, &before, &s->cols);
	if (!s->top)
		return -1;
	s->other = s->top->rows > t->args->limit || !p->run;
	s->n = s->top->rows - (s->top->rows > t->args->limit);
	type = t->key.node->type;
	s->type = expr_type_unify(type, s->cols->types[0]);
	t->key.node =
	    node_cast(&p->binder, (struct node *)t->key.node, s->type);
	return t->key.node ? index_values(p, s) : plan_oom(p);
}

static struct node *
slot_node(struct plan *p, struct timechart *t)
{
	struct node *nd = node_new(&p->binder, NODE_CALL, 1);

	if (!nd)
		return NULL;
	nd->args[0] = (struct node *)t->key.node;
	nd->type = TYPE_UINT;
	nd->lazy = true;
	nd->fn = eval_slot;
	nd->name = "slot";
	nd->data = &t->split;
	return nd;
}

/*
 * Columns.
 */

static bool
is_taken(const char **names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Appends a name, with _2 and so on behind it if there is one. */
static int
add_name(struct plan *p, const char **names, size_t *n, const char *name)
{
	size_t size = strlen(name) + 24;
	char *buf = arena_bytes(p->arena, size);

	if (!buf)
		return plan_oom(p);
	snprintf(buf, size, "%s", name);
	for (unsigned k = 2; is_taken(names, *n, buf); k++)
		snprintf(buf, size, "%s_%u", name, k);
	names[(*n)++] = buf;
	return 0;
}

/* A value as a name: what it is written as, but protocols by name. */
static int
value_text(const struct timechart *t, uint32_t row, struct cell_buf *buf)
{
	const struct split *s = &t->split;
	enum col_type type = expr_col_type(s->cols->types[0]);
	const struct column *c = type == COL_NULL ? NULL : &s->top->cols[0];
	enum look look = look_of(t->key.name, s->type);
	struct value v = {.type = COL_NULL};
	char text[CELL_ROOM];

	if (c)
		column_value(c, type, row, &v);
	if (look == LOOK_PROTOCOL || v.type == COL_STRING ||
	    v.type == COL_BYTES)
		return cell_text(buf, look, false, type, c, row);
	text[text_value(text, &v)] = 0;
	buf->len = 0;
	free(buf->p);
	buf->p = strdup(text);
	buf->len = buf->p ? strlen(text) : 0;
	buf->cap = buf->len + 1;
	return buf->p ? 0 : -1;
}

/* "VALUE", or with several aggregates "AGGREGATE: VALUE". */
static int
add_names(struct plan *p, const struct timechart *t, const char *value,
	  const char **names, size_t *n)
{
	const struct stats_args *s = &t->args->stats;

	if (!*value)
		value = "(empty)";
	for (size_t k = 0; k < s->naggs; k++) {
		size_t size = strlen(value) + strlen(s->aggs[k].title) + 3;
		char *name = arena_bytes(p->arena, size);

		if (!name)
			return plan_oom(p);
		if (s->naggs == 1)
			snprintf(name, size, "%s", value);
		else
			snprintf(name, size, "%s: %s", s->aggs[k].title, value);
		if (add_name(p, names, n, name))
			return -1;
	}
	return 0;
}

/* Names of all columns. */
static int
name_columns(struct plan *p, const struct timechart *t, const char **names)
{
	const struct stats_args *s = &t->args->stats;
	struct cell_buf text = {0};
	size_t n = 1;
	int rc = 0;

	names[0] = "_time";
	for (size_t k = 0; k < s->naggs && !s->nkeys; k++)
		names[n++] = s->aggs[k].title;
	for (uint32_t i = 0; i < t->split.n && rc == 0; i++) {
		rc = value_text(t, i, &text) ? plan_oom(p) : 0;
		if (rc == 0) {
			char *value = arena_strndup(p->arena, text.p, text.len);

			rc = value ? add_names(p, t, value, names, &n)
				   : plan_oom(p);
		}
	}
	free(text.p);
	if (rc == 0 && t->split.other)
		rc = add_names(p, t, "other", names, &n);
	return rc;
}

static void
free_series(void *series)
{
	rowset_free(((struct series *)series)->rows);
}

/* The groups of the open stage, sorted, become the rows of a new one. */
static int
open_series(struct plan *p, struct timechart *t)
{
	struct series *s = &t->series;
	const struct columns *cols = plan_columns(p);
	struct writer *w = arena_alloc(p->arena, sizeof(*w));
	size_t first = s->split ? 2 : 1;
	struct source *out;
	const char **names;

	s->width = 1 + s->slots * s->naggs;
	names = arena_alloc(p->arena, s->width * sizeof(*names));
	s->types = arena_alloc(p->arena, s->width * sizeof(*s->types));
	if (!w || !cols || !names || !s->types)
		return plan_oom(p);
	s->types[0] = TYPE_TIME;
	for (size_t k = 1; k < s->width; k++)
		s->types[k] = cols->types[first + (k - 1) % s->naggs];
	s->rows = rowset_new(cols->n, cols->types);
	if (!s->rows || plan_own(p, s, free_series))
		return plan_oom(p);
	*w = (struct writer){s, series_write};
	if (name_columns(p, t, names) || plan_rows(p, w))
		return -1;
	out = rowsource_new(s->width, names, s->types);
	if (!out)
		return plan_oom(p);
	rowsource_later(out, series_fill, s);
	return plan_source(p, out);
}

/* Groups by span of time and slot. */
static int
plan_spans(struct plan *p, struct timechart *t)
{
	struct series *s = &t->series;
	struct group_key *keys = arena_zalloc(p->arena, 2 * sizeof(*keys));
	size_t n = s->split ? 2 : 1;

	if (!keys)
		return plan_oom(p);
	keys[0].name = "_time";
	keys[0].node =
	    bucket_node(&p->binder, (struct node *)t->time, &t->span);
	if (s->split) {
		keys[1].name = "slot";
		keys[1].node = slot_node(p, t);
	}
	if (!keys[0].node || (s->split && !keys[1].node))
		return plan_oom(p);
	return plan_groups(p, keys, n, t->aggs, s->naggs) ||
		       plan_sort(p, NULL, 0, UINT64_MAX)
		   ? -1
		   : 0;
}

static int
plan_all(struct plan *p, struct timechart *t, size_t pos)
{
	const struct timechart_args *a = t->args;
	struct series *s = &t->series;

	if (find_span(p, t, pos))
		return -1;
	s->span = &t->span;
	s->fill = a->fill;
	s->max = p->site->memory;
	s->naggs = a->stats.naggs;
	s->split = a->stats.nkeys > 0;
	s->slots = 1;
	if (s->fill)
		set_range(p, t, s);
	if (s->split) {
		if (find_values(p, t, pos))
			return -1;
		s->slots = t->split.n + t->split.other;
	} else {
		t->aggs = plan_aggregates(p, &a->stats, span_seconds(&t->span));
	}
	s->aggs = t->aggs;
	return plan_spans(p, t) || open_series(p, t) ? -1 : 0;
}

static int
timechart_plan(struct plan *p, const struct command *c)
{
	const struct timechart_args *a = c->args;
	struct timechart *t = arena_zalloc(p->arena, sizeof(*t));
	void (*hint)(const char *) = p->hint;
	int rc;

	if (!t)
		return plan_oom(p);
	t->args = a;
	/* What is wrong is said before anything runs, and once. */
	if (find_time(p, t, c->pos) || plan_keys(p, &a->stats, &t->key) ||
	    !plan_aggregates(p, &a->stats, 60))
		return -1;
	p->hint = NULL;
	rc = plan_all(p, t, c->pos);
	/* Without a run it is not known what columns there are. */
	if (p->run)
		p->hint = hint;
	return rc;
}

static enum verb_class
timechart_class(const void *args)
{
	(void)args;
	return VERB_REORDERS;
}

const struct verb verb_timechart = {
    "timechart",     "timechart [span=1m] [limit=N] [fill=no] F, ... [by K]",
    timechart_parse, timechart_plan,
    timechart_class,
};
