/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/flowfilter.h"
#include "flowq/plan.h"

struct search_args {
	struct expr *cond;
	uint64_t limit; /* UINT64_MAX: none */
};

/* A condition that is one string is a flow filter. */
static struct expr *
parse_flowfilter(struct lexer *l, const struct expr *e)
{
	struct flowfilter f = {
	    .text = e->lit.s.p,
	    .len = e->lit.s.len,
	    .base = e->pos + 1,
	    .arena = l->arena,
	    .err = l->err,
	};
	struct expr *cond = flowfilter_parse(&f);

	if (!cond)
		l->err_pos = f.err_pos;
	return cond;
}

/* ["limit" "=" N] expr */
static int
search_parse(struct lexer *l, void **out)
{
	struct search_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	a->limit = UINT64_MAX;
	if (parse_option(l, "limit") && parse_count(l, &a->limit))
		return -1;
	a->cond = expr_parse(l);
	if (a->cond && a->cond->op == EXPR_LITERAL &&
	    a->cond->lit.type == TYPE_STRING)
		a->cond = parse_flowfilter(l, a->cond);
	*out = a;
	return a->cond ? 0 : -1;
}

static int
search_plan(struct plan *p, const struct command *c)
{
	const struct search_args *a = c->args;

	if (plan_filter(p, a->cond))
		return -1;
	return a->limit == UINT64_MAX ? 0 : plan_limit(p, 0, a->limit);
}

static enum verb_class
search_class(const void *args)
{
	const struct search_args *a = args;

	return a->limit == UINT64_MAX ? VERB_STATELESS : VERB_ORDERED;
}

const struct verb verb_search = {
    "search", "search [limit=N] EXPR", search_parse, search_plan, search_class,
};

const struct verb verb_where = {
    "where", "where [limit=N] EXPR", search_parse, search_plan, search_class,
};
