/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/plan.h"

struct sort_arg {
	struct expr *expr;
	bool descending;
};

struct sort_args {
	uint64_t limit; /* UINT64_MAX: none */
	size_t n;
	struct sort_arg *args;
};

/* As other languages have it. */
static int
no_direction(struct lexer *l)
{
	struct lexer ahead = *l;

	if (lexer_take_word(&ahead, "desc") || lexer_take_word(&ahead, "asc"))
		return lexer_fail(l, l->tok.pos,
				  "a - before the field is for descending, "
				  "nothing for ascending");
	return 0;
}

/* ["-" | "+"] field */
static int
parse_key(struct lexer *l, struct sort_args *a)
{
	struct sort_arg *args = parse_grow(l, a->args, a->n, sizeof(*args));

	if (!args)
		return -1;
	a->args = args;
	args += a->n++;
	args->descending = lexer_take(l, '-');
	if (!args->descending)
		lexer_take(l, '+');
	args->expr = expr_parse_name(l);
	return args->expr ? no_direction(l) : -1;
}

/* ["limit" "=" N] key ("," key)* */
static int
sort_parse(struct lexer *l, void **out)
{
	struct sort_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	a->limit = UINT64_MAX;
	if (parse_option(l, "limit") && parse_count(l, &a->limit))
		return -1;
	do {
		if (parse_key(l, a))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

static int
sort_plan(struct plan *p, const struct command *c)
{
	const struct sort_args *a = c->args;
	struct sort_key *keys = arena_alloc(p->arena, a->n * sizeof(*keys));

	if (!keys)
		return plan_oom(p);
	for (size_t i = 0; i < a->n; i++) {
		keys[i].node = plan_bind(p, a->args[i].expr);
		keys[i].descending = a->args[i].descending;
		if (!keys[i].node)
			return -1;
	}
	return plan_sort(p, keys, a->n, a->limit);
}

static enum verb_class
sort_class(const void *args)
{
	(void)args;
	return VERB_REORDERS;
}

const struct verb verb_sort = {
    "sort", "sort [limit=N] [-]F, ...", sort_parse, sort_plan, sort_class,
};
