/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "flowq/plan.h"

struct fields_args {
	bool drop;
	size_t n;
	struct field_arg {
		struct expr *expr;
		const char *title; /* as typed */
	} * args;
};

/* ["-"] field ("," field)* */
static int
fields_parse(struct lexer *l, void **out)
{
	struct fields_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	a->drop = lexer_take(l, '-');
	do {
		size_t pos = l->tok.pos;

		a->args = parse_grow(l, a->args, a->n, sizeof(*a->args));
		if (!a->args)
			return -1;
		a->args[a->n].expr = expr_parse_name(l);
		if (!a->args[a->n].expr ||
		    parse_title(l, pos, &a->args[a->n].title))
			return -1;
		a->n++;
	} while (lexer_take(l, ','));
	return 0;
}

static int
drop(struct plan *p, const struct fields_args *a)
{
	size_t n = 0;
	struct column_def *kept =
	    arena_alloc(p->arena, (p->ncols + 1) * sizeof(*kept));

	if (!kept)
		return plan_oom(p);
	for (size_t i = 0; i < p->ncols; i++) {
		bool keep = true;

		for (size_t k = 0; k < a->n && keep; k++)
			keep = plan_find(p, a->args[k].title) != &p->cols[i];
		if (keep)
			kept[n++] = p->cols[i];
	}
	p->cols = kept;
	p->ncols = n;
	return 0;
}

static int
fields_plan(struct plan *p, const struct command *c)
{
	const struct fields_args *a = c->args;
	struct column_def *cols;
	size_t n = 0;

	if (a->drop)
		return drop(p, a);
	cols = arena_alloc(p->arena, (a->n + 1) * sizeof(*cols));
	if (!cols)
		return plan_oom(p);
	for (size_t i = 0; i < a->n; i++) {
		const struct node *nd = plan_bind(p, a->args[i].expr);
		bool twice = false;

		if (!nd)
			return -1;
		for (size_t k = 0; k < n; k++)
			twice |= !strcmp(cols[k].name, a->args[i].title);
		if (!twice)
			cols[n++] = (struct column_def){a->args[i].title, nd};
	}
	p->cols = cols;
	p->ncols = n;
	return 0;
}

static enum verb_class
fields_class(const void *args)
{
	(void)args;
	return VERB_STATELESS;
}

const struct verb verb_fields = {
    "fields", "fields [-] F, ...", fields_parse, fields_plan, fields_class,
};
