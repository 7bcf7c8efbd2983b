/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/plan.h"

struct limit_args {
	uint64_t skip, n;
};

/* [SKIP] N */
static int
limit_parse(struct lexer *l, void **out)
{
	struct limit_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	if (parse_count(l, &a->n))
		return -1;
	if (l->tok.type != TOKEN_LITERAL)
		return 0;
	a->skip = a->n;
	return parse_count(l, &a->n);
}

static int
limit_plan(struct plan *p, const struct command *c)
{
	const struct limit_args *a = c->args;

	return plan_limit(p, a->skip, a->n);
}

uint64_t
limit_rows(const void *args)
{
	const struct limit_args *a = args;
	uint64_t n;

	return __builtin_add_overflow(a->skip, a->n, &n) ? UINT64_MAX : n;
}

static enum verb_class
limit_class(const void *args)
{
	(void)args;
	return VERB_ORDERED;
}

const struct verb verb_limit = {
    "limit", "limit [SKIP] N", limit_parse, limit_plan, limit_class,
};
