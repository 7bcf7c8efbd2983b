/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/plan.h"

struct eval_args {
	size_t n;
	struct eval_arg {
		const char *name;
		struct expr *expr;
	} * args;
};

/* NAME "=" expr ("," NAME "=" expr)* */
static int
eval_parse(struct lexer *l, void **out)
{
	struct eval_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	do {
		a->args = parse_grow(l, a->args, a->n, sizeof(*a->args));
		if (!a->args || parse_name(l, &a->args[a->n].name))
			return -1;
		if (!lexer_take(l, '='))
			return lexer_expected(l, "=");
		a->args[a->n].expr = expr_parse(l);
		if (!a->args[a->n++].expr)
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

static int
eval_plan(struct plan *p, const struct command *c)
{
	const struct eval_args *a = c->args;

	for (size_t i = 0; i < a->n; i++) {
		const struct node *nd = plan_bind(p, a->args[i].expr);

		if (!nd || plan_set(p, a->args[i].name, nd))
			return -1;
	}
	return 0;
}

static enum verb_class
eval_class(const void *args)
{
	(void)args;
	return VERB_STATELESS;
}

const struct verb verb_eval = {
    "eval", "eval NAME = EXPR, ...", eval_parse, eval_plan, eval_class,
};
