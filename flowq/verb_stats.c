/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats_args.h"

/* aggregate ("," aggregate)* ["by" key ("," key)*] */
static int
stats_parse(struct lexer *l, void **out)
{
	struct stats_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	if (parse_aggregates(l, a) ||
	    (lexer_take_word(l, "by") && parse_keys(l, a)))
		return -1;
	return parse_titles(l, a);
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
stats_plan(struct plan *p, const struct command *c)
{
	const struct stats_args *a = c->args;
	struct group_key *keys =
	    arena_zalloc(p->arena, a->nkeys * sizeof(*keys) + 1);

	if (!keys)
		return plan_oom(p);
	if (plan_keys(p, a, keys) ||
	    plan_groups(p, keys, a->nkeys,
			plan_aggregates(p, a, p->period.seconds), a->naggs))
		return -1;
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
