/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "flowq/plan.h"

struct rename_args {
	size_t n;
	struct rename_arg {
		struct expr *expr;
		const char *from, *to;
	} * args;
};

/* field "as" NAME ("," field "as" NAME)* */
static int
rename_parse(struct lexer *l, void **out)
{
	struct rename_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	do {
		struct rename_arg *r;

		a->args = parse_grow(l, a->args, a->n, sizeof(*a->args));
		if (!a->args)
			return -1;
		r = &a->args[a->n++];
		r->expr = expr_parse_name(l);
		if (!r->expr)
			return -1;
		r->from = r->expr->op == EXPR_FIELD
			      ? r->expr->name
			      : expr_text(l, r->expr->pos, r->expr->len);
		if (!r->from)
			return -1;
		if (!lexer_is(l, "as"))
			return lexer_expected(l, "as");
		if (parse_title(l, l->tok.pos, &r->to))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

static int
rename_one(struct plan *p, const struct rename_arg *r)
{
	const struct column_def *c = plan_find(p, r->from);
	size_t at = c ? (size_t)(c - p->cols) : p->ncols;
	struct column_def *cols;
	size_t n = 0;

	if (!c) { /* a virtual field, or none: says so */
		const struct node *nd = plan_bind(p, r->expr);

		return nd ? plan_set(p, r->to, nd) : -1;
	}
	cols = arena_alloc(p->arena, (p->ncols + 1) * sizeof(*cols));
	if (!cols)
		return plan_oom(p);
	for (size_t i = 0; i < p->ncols; i++) {
		if (i == at)
			cols[n++] = (struct column_def){r->to, p->cols[i].node};
		else if (strcmp(p->cols[i].name, r->to) != 0)
			cols[n++] = p->cols[i];
	}
	p->cols = cols;
	p->ncols = n;
	return 0;
}

static int
rename_plan(struct plan *p, const struct command *c)
{
	const struct rename_args *a = c->args;

	for (size_t i = 0; i < a->n; i++)
		if (rename_one(p, &a->args[i]))
			return -1;
	return 0;
}

static enum verb_class
rename_class(const void *args)
{
	(void)args;
	return VERB_STATELESS;
}

const struct verb verb_rename = {
    "rename", "rename F as NAME, ...", rename_parse, rename_plan, rename_class,
};
