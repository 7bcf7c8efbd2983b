/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats_args.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/nearest.h"

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

int
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
		if (strcasecmp(s->name, "count") != 0)
			return lexer_expected(l, "(");
		s->expr = NULL;
	}
	return parse_title(l, s->pos, &s->title);
}

int
parse_aggregates(struct lexer *l, struct stats_args *a)
{
	do {
		if (parse_aggregate(l, a))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

int
parse_key(struct lexer *l, struct stats_args *a)
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

int
parse_keys(struct lexer *l, struct stats_args *a)
{
	do {
		if (parse_key(l, a))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

int
parse_titles(struct lexer *l, const struct stats_args *a)
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

int
plan_keys(struct plan *p, const struct stats_args *a, struct group_key *keys)
{
	for (size_t i = 0; i < a->nkeys; i++) {
		keys[i].name = a->keys[i].title;
		keys[i].node = plan_bind(p, a->keys[i].expr);
		if (!keys[i].node)
			return -1;
	}
	return 0;
}

struct agg *
plan_aggregates(struct plan *p, const struct stats_args *a, double seconds)
{
	struct agg *aggs = arena_zalloc(p->arena, a->naggs * sizeof(*aggs));

	if (!aggs) {
		plan_oom(p);
		return NULL;
	}
	for (size_t i = 0; i < a->naggs; i++) {
		const struct stats_arg *s = &a->aggs[i];

		aggs[i].name = s->title;
		if (aggregate_bind(&p->binder, s->name, s->expr, seconds,
				   &aggs[i])) {
			p->lexer->err_pos =
			    p->binder.err_pos ? p->binder.err_pos : s->pos;
			return NULL;
		}
	}
	return aggs;
}

int
plan_groups(struct plan *p, struct group_key *keys, size_t nkeys,
	    struct agg *aggs, size_t naggs)
{
	if (!aggs || plan_stage(p, stats_new(p->arena, p->src, keys, nkeys,
					     aggs, naggs)))
		return -1;
	p->norder = nkeys;
	return 0;
}
