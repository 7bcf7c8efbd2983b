/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "common/nearest.h"
#include "flowq/plan.h"

struct stats_arg {
	const char *name;  /* of the aggregate; unused for a key */
	struct expr *expr; /* the call (NULL for a bare count), or the key */
	const char *title;
	size_t pos;
};

struct stats_args {
	size_t naggs, nkeys;
	struct stats_arg *aggs, *keys;
};

static int
no_aggregate(struct lexer *l, const struct stats_arg *s)
{
	char names[ERR_MAX], hint[NEAREST_HINT], *rest = NULL;
	struct nearest near;

	snprintf(names, sizeof names, "%s", aggregate_names());
	nearest_init(&near, s->name, strlen(s->name));
	for (char *n = strtok_r(names, ", ", &rest); n;
	     n = strtok_r(NULL, ", ", &rest))
		nearest_try(&near, n);
	if (*nearest_hint(&near, hint, sizeof hint))
		return lexer_fail(l, s->pos, "there is no aggregate %.*s%s",
				  NEAREST_MAX, s->name, hint);
	return lexer_fail(l, s->pos,
			  "there is no aggregate %.*s (there are %s)",
			  NEAREST_MAX, s->name, aggregate_names());
}

/* "count" | NAME "(" [expr] ")" ["as" NAME] */
static int
parse_aggregate(struct lexer *l, struct stats_args *a)
{
	struct stats_arg *s = parse_grow(l, a->aggs, a->naggs, sizeof(*s));

	if (!s)
		return -1;
	a->aggs = s;
	s += a->naggs++;
	s->pos = l->tok.pos;
	if (l->tok.type != TOKEN_NAME || expr_reserved(&l->tok))
		return lexer_expected(l, "an aggregate");
	s->expr = expr_parse_name(l);
	if (!s->expr)
		return -1;
	s->name = s->expr->name;
	if (!aggregate_exists(s->name))
		return no_aggregate(l, s);
	if (s->expr->op == EXPR_FIELD) {
		if (strcmp(s->name, "count") != 0)
			return lexer_expected(l, "(");
		s->expr = NULL;
	}
	return parse_title(l, s->pos, &s->title);
}

/* expr ["as" NAME] */
static int
parse_by(struct lexer *l, struct stats_args *a)
{
	struct stats_arg *s = parse_grow(l, a->keys, a->nkeys, sizeof(*s));

	if (!s)
		return -1;
	a->keys = s;
	s += a->nkeys++;
	s->pos = l->tok.pos;
	s->expr = expr_parse(l);
	return s->expr ? parse_title(l, s->pos, &s->title) : -1;
}

/* Two result columns of one name would hide each other. */
static int
check_titles(struct lexer *l, const struct stats_args *a)
{
	size_t n = a->naggs + a->nkeys;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			const struct stats_arg *x =
			    i < a->nkeys ? &a->keys[i] : &a->aggs[i - a->nkeys];
			const struct stats_arg *y =
			    k < a->nkeys ? &a->keys[k] : &a->aggs[k - a->nkeys];

			if (strcmp(x->title, y->title) == 0)
				return lexer_fail(l, x->pos,
						  "two columns are called %s: "
						  "name one with as",
						  x->title);
		}
	return 0;
}

/* aggregate ("," aggregate)* ["by" key ("," key)*] */
static int
stats_parse(struct lexer *l, void **out)
{
	struct stats_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	do {
		if (parse_aggregate(l, a))
			return -1;
	} while (lexer_take(l, ','));
	if (lexer_take_word(l, "by"))
		do {
			if (parse_by(l, a))
				return -1;
		} while (lexer_take(l, ','));
	return check_titles(l, a);
}

/* Whether the rows that stats makes must have an order: not if what follows
 * brings its own. */
static bool
order_shows(const struct command *c)
{
	for (c = c->next; c; c = c->next) {
		enum verb_class class = c->verb->class(c->args);

		if (class != VERB_STATELESS)
			return class != VERB_REORDERS;
	}
	return true;
}

static int
bind_keys(struct plan *p, const struct stats_args *a, struct group_key *keys)
{
	for (size_t i = 0; i < a->nkeys; i++) {
		keys[i].name = a->keys[i].title;
		keys[i].node = plan_bind(p, a->keys[i].expr);
		if (!keys[i].node)
			return -1;
	}
	return 0;
}

static int
bind_aggregates(struct plan *p, const struct stats_args *a, struct agg *aggs)
{
	for (size_t i = 0; i < a->naggs; i++) {
		const struct stats_arg *s = &a->aggs[i];

		aggs[i].name = s->title;
		if (aggregate_bind(&p->binder, s->name, s->expr, p->seconds,
				   &aggs[i])) {
			p->lexer->err_pos =
			    p->binder.err_pos ? p->binder.err_pos : s->pos;
			return -1;
		}
	}
	return 0;
}

static int
stats_plan(struct plan *p, const struct command *c)
{
	const struct stats_args *a = c->args;
	struct group_key *keys =
	    arena_zalloc(p->arena, a->nkeys * sizeof(*keys) + 1);
	struct agg *aggs = arena_zalloc(p->arena, a->naggs * sizeof(*aggs));

	if (!keys || !aggs)
		return plan_oom(p);
	if (bind_keys(p, a, keys) || bind_aggregates(p, a, aggs))
		return -1;
	if (plan_stage(
		p, stats_new(p->arena, p->src, keys, a->nkeys, aggs, a->naggs)))
		return -1;
	p->norder = a->nkeys;
	return a->nkeys && order_shows(c) ? plan_sort(p, NULL, 0, UINT64_MAX)
					  : 0;
}

static enum verb_class
stats_class(const void *args)
{
	(void)args;
	return VERB_REORDERS;
}

const struct verb verb_stats = {
    "stats", "stats F, ... [by K, ...]", stats_parse, stats_plan, stats_class,
};
