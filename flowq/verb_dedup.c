/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats_args.h"

/* key ("," key)* */
static int
dedup_parse(struct lexer *l, void **out)
{
	struct stats_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	return parse_keys(l, a);
}

static int
dedup_plan(struct plan *p, const struct command *c)
{
	const struct stats_args *a = c->args;
	const struct columns *cols = plan_columns(p);
	struct emit_once how = {
	    .nkeys = a->nkeys, .limit = UINT64_MAX, .memory = p->site->memory};

	how.keys = arena_zalloc(p->arena, a->nkeys * sizeof(*how.keys));
	if (!cols || !how.keys)
		return plan_oom(p);
	if (c->next && c->next->verb == &verb_limit)
		how.limit = limit_rows(c->next->args);
	if (plan_keys(p, a, how.keys))
		return -1;
	return plan_stage(p, emit_once_new(p->arena, p->src, cols, &how));
}

static enum verb_class
dedup_class(const void *args)
{
	(void)args;
	return VERB_ORDERED;
}

const struct verb verb_dedup = {
    "dedup", "dedup K, ...", dedup_parse, dedup_plan, dedup_class,
};
