/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <string.h>

#include "flowq/stats_args.h"

/*
 * The largest groups: stats, sorted by its aggregate, with the share that each
 * has of all of them.
 */

enum { LIMIT = 10 };

struct top_args {
	uint64_t limit;
	struct stats_args stats;
};

static bool
is_called(const struct stats_arg *s, size_t n, const char *title)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s[i].title, title) == 0)
			return true;
	return false;
}

/* ["limit" "=" N] key ("," key)* ["by" aggregate] */
static int
top_parse(struct lexer *l, void **out)
{
	static const struct stats_arg count = {.name = "count",
					       .title = "count"};
	struct top_args *a = arena_zalloc(l->arena, sizeof(*a));
	struct stats_args *s;

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	s = &a->stats;
	a->limit = LIMIT;
	if ((parse_option(l, "limit") && parse_count(l, &a->limit)) ||
	    parse_keys(l, s))
		return -1;
	if (lexer_take_word(l, "by")) {
		if (parse_aggregate(l, s))
			return -1;
	} else {
		s->aggs = parse_grow(l, NULL, 0, sizeof(*s->aggs));
		if (!s->aggs)
			return -1;
		s->aggs[s->naggs++] = count;
		s->aggs->pos = s->keys->pos;
	}
	if (is_called(s->keys, s->nkeys, "percent") ||
	    is_called(s->aggs, s->naggs, "percent"))
		return lexer_fail(l, s->keys->pos,
				  "two columns are called percent: name one "
				  "with as");
	return parse_titles(l, s);
}

static int
eval_percent(struct call *c)
{
	const struct tally *all = c->nd->data;
	double *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		out[i] = 100 * VEC_AT(c->args[0], double, i) / all->sum;
		null[i] |= !isfinite(out[i]);
		if (null[i])
			out[i] = 0;
	}
	return 0;
}

static int
add_percent(struct plan *p, const struct node *value, const struct tally *all)
{
	struct node *nd = node_new(&p->binder, NODE_CALL, 1);

	if (!nd)
		return plan_oom(p);
	nd->args[0] = node_cast(&p->binder, (struct node *)value, TYPE_REAL);
	if (!nd->args[0])
		return plan_oom(p);
	nd->type = TYPE_REAL;
	nd->nullable = true;
	nd->fn = eval_percent;
	nd->name = "percent";
	nd->data = all;
	return plan_set(p, "percent", nd);
}

/* The column of the aggregate. */
static const struct node *
value_of(const struct plan *p, const struct stats_args *s)
{
	return p->cols[s->nkeys].node;
}

static bool
is_number(enum expr_type t)
{
	return t == TYPE_UINT || t == TYPE_INT || t == TYPE_REAL;
}

static int
top_plan(struct plan *p, const struct command *c)
{
	const struct top_args *a = c->args;
	const struct stats_args *s = &a->stats;
	struct group_key *keys =
	    arena_zalloc(p->arena, s->nkeys * sizeof(*keys));
	struct tally *all = arena_zalloc(p->arena, sizeof(*all));
	struct sort_key by = {.descending = true};

	if (!keys || !all)
		return plan_oom(p);
	if (plan_keys(p, s, keys) ||
	    plan_groups(p, keys, s->nkeys,
			plan_aggregates(p, s, p->period.seconds), s->naggs))
		return -1;
	by.node = value_of(p, s);
	if (!is_number(by.node->type))
		return lexer_fail(p->lexer, s->aggs->pos,
				  "expected a number to rank by, found %s",
				  expr_type_article(by.node->type));
	return plan_sort_tally(p, &by, 1, a->limit, all) ||
		       add_percent(p, value_of(p, s), all)
		   ? -1
		   : 0;
}

static enum verb_class
top_class(const void *args)
{
	(void)args;
	return VERB_REORDERS;
}

const struct verb verb_top = {
    "top", "top [limit=N] K, ... [by F]", top_parse, top_plan, top_class,
};
