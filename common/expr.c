/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/expr.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct expr *parse_or(struct lexer *);

bool
expr_reserved(const struct token *t)
{
	static const char *const words[] = {"and", "or", "not", "in",
					    "has", "by", "as"};

	if (t->type != TOKEN_NAME || t->quoted)
		return false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == t->name.len &&
		    !strncasecmp(words[i], t->name.p, t->name.len))
			return true;
	return false;
}

struct expr *
expr_new(struct arena *a, enum expr_op op, size_t n)
{
	struct expr *e = arena_zalloc(a, sizeof(*e));

	if (!e)
		return NULL;
	e->op = op;
	e->n = n;
	e->depth = 1;
	if (n) {
		e->args = arena_zalloc(a, n * sizeof(*e->args));
		if (!e->args)
			return NULL;
	}
	return e;
}

const char *
expr_text(struct lexer *l, size_t pos, size_t len)
{
	char *s = arena_bytes(l->arena, len + 1);
	bool string = false;
	size_t n = 0;

	if (!s) {
		lexer_fail(l, pos, "out of memory");
		return NULL;
	}
	for (size_t i = pos; i < pos + len; i++) {
		char c = l->text[i];
		bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' ||
			     c == '\\';

		string ^= c == '"';
		if (string || !blank)
			s[n++] = c;
		else if (n && s[n - 1] != ' ')
			s[n++] = ' ';
		if (string && c == '\\' && i + 1 < pos + len)
			s[n++] = l->text[++i];
	}
	s[n] = 0;
	return s;
}

static struct expr *
new_at(struct lexer *l, enum expr_op op, size_t pos, size_t n)
{
	struct expr *e = expr_new(l->arena, op, n);

	if (!e) {
		lexer_fail(l, pos, "out of memory");
		return NULL;
	}
	e->pos = pos;
	return e;
}

/* Gives the node its end, and its depth over its arguments'. */
static struct expr *
finish(struct lexer *l, struct expr *e)
{
	e->len = l->end - e->pos;
	for (size_t i = 0; i < e->n; i++)
		if (e->args[i]->depth >= e->depth)
			e->depth = e->args[i]->depth + 1;
	if (e->depth > EXPR_DEPTH_MAX) {
		lexer_fail(l, e->pos, "expression nested too deep");
		return NULL;
	}
	return e;
}

static struct expr *
binary(struct lexer *l, enum expr_op op, struct expr *a, struct expr *b)
{
	struct expr *e;

	if (!a || !b)
		return NULL;
	e = new_at(l, op, a->pos, 2);
	if (!e)
		return NULL;
	e->args[0] = a;
	e->args[1] = b;
	return finish(l, e);
}

/* expr ("," expr)* ")", the arguments of E. */
static struct expr *
parse_args(struct lexer *l, struct expr *e)
{
	struct expr **args = NULL;
	size_t n = 0, cap = 0;

	do {
		if (n == cap) {
			struct expr **more;

			cap = cap ? 2 * cap : 4;
			more = arena_alloc(l->arena, cap * sizeof(*more));
			if (!more || n >= EXPR_ARGS_MAX) {
				lexer_fail(l, l->tok.pos, "list too long");
				return NULL;
			}
			if (n)
				memcpy(more, args, n * sizeof(*more));
			args = more;
		}
		args[n] = parse_or(l);
		if (!args[n++])
			return NULL;
	} while (lexer_take(l, ','));
	e->args = args;
	e->n = n;
	if (!lexer_take(l, ')')) {
		lexer_expected(l, "a comma or )");
		return NULL;
	}
	return finish(l, e);
}

/* NAME | NAME "(" [expr ("," expr)*] ")" */
static struct expr *
parse_named(struct lexer *l)
{
	struct token t = l->tok;
	struct expr *e;

	if (t.type != TOKEN_NAME || expr_reserved(&t)) {
		lexer_expected(l, "a field");
		return NULL;
	}
	e = new_at(l, EXPR_FIELD, t.pos, 0);
	if (!e)
		return NULL;
	e->name = arena_strndup(l->arena, t.name.p, t.name.len);
	if (!e->name) {
		lexer_fail(l, t.pos, "out of memory");
		return NULL;
	}
	lexer_next(l);
	if (t.quoted || l->tok.type != '(')
		return finish(l, e);
	lexer_next(l);
	e->op = EXPR_CALL;
	if (lexer_take(l, ')'))
		return finish(l, e);
	return parse_args(l, e);
}

struct expr *
expr_parse_name(struct lexer *l)
{
	return parse_named(l);
}

/* The one reserved word that is a function too: in(value, a, b). */
static bool
calls_in(const struct lexer *l)
{
	struct lexer ahead = *l;

	if (!lexer_take_word(&ahead, "in"))
		return false;
	return ahead.tok.type == '(';
}

/* "in" "(" expr ("," expr)+ ")", as expr in (expr, ...) */
static struct expr *
parse_in_call(struct lexer *l)
{
	struct expr *e = new_at(l, EXPR_IN, l->tok.pos, 2);
	struct expr *list = new_at(l, EXPR_LIST, l->tok.pos, 0);

	if (!e || !list)
		return NULL;
	lexer_next(l);
	lexer_next(l);
	list = parse_args(l, list);
	if (!list)
		return NULL;
	if (list->n < 2) {
		lexer_fail(l, e->pos, "in takes (value, a, b, ...)");
		return NULL;
	}
	e->args[0] = *list->args++;
	list->n--;
	e->args[1] = list;
	return finish(l, e);
}

static struct expr *
parse_constant(struct lexer *l, const char *word)
{
	struct expr *e = new_at(l, EXPR_LITERAL, l->tok.pos, 0);

	if (!e)
		return NULL;
	if (!word) {
		e->lit = l->tok.lit;
	} else if (strcmp(word, "null") != 0) {
		e->lit.type = TYPE_BOOL;
		e->lit.u = strcmp(word, "true") == 0;
	}
	lexer_next(l);
	return finish(l, e);
}

/* literal | "true" | "false" | "null" | "(" expr ")" | field | call
 * | in_call */
static struct expr *
parse_primary(struct lexer *l)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t pos = l->tok.pos;
	struct expr *e;

	if (l->tok.type == TOKEN_LITERAL)
		return parse_constant(l, NULL);
	for (int i = 0; i < 3; i++)
		if (lexer_is(l, words[i]))
			return parse_constant(l, words[i]);
	if (lexer_take(l, '(')) {
		e = parse_or(l);
		if (!e)
			return NULL;
		if (!lexer_take(l, ')')) {
			lexer_expected(l, ")");
			return NULL;
		}
		e->pos = pos;
		e->len = l->end - pos;
		return e;
	}
	if (calls_in(l))
		return parse_in_call(l);
	if (l->tok.type != TOKEN_NAME || expr_reserved(&l->tok)) {
		lexer_expected(l, "a field, a value or (");
		return NULL;
	}
	return parse_named(l);
}

static struct expr *
prefix(struct lexer *l, enum expr_op op, struct expr *(*rule)(struct lexer *))
{
	struct expr *e = new_at(l, op, l->tok.pos, 1);

	if (!e)
		return NULL;
	if (++l->depth > EXPR_DEPTH_MAX) {
		lexer_fail(l, l->tok.pos, "expression nested too deep");
		return NULL;
	}
	lexer_next(l);
	e->args[0] = rule(l);
	l->depth--;
	return e->args[0] ? finish(l, e) : NULL;
}

/* "-" unary | primary */
static struct expr *
parse_unary(struct lexer *l)
{
	if (l->tok.type == '-')
		return prefix(l, EXPR_NEG, parse_unary);
	return parse_primary(l);
}

/* unary (("*" | "/" | "%") unary)* */
static struct expr *
parse_product(struct lexer *l)
{
	struct expr *e = parse_unary(l);

	while (e) {
		enum expr_op op = l->tok.type == '*'   ? EXPR_MUL
				  : l->tok.type == '/' ? EXPR_DIV
						       : EXPR_MOD;

		if (op == EXPR_MOD && l->tok.type != '%')
			break;
		lexer_next(l);
		e = binary(l, op, e, parse_unary(l));
	}
	return e;
}

/* product (("+" | "-") product)* */
static struct expr *
parse_sum(struct lexer *l)
{
	struct expr *e = parse_product(l);

	while (e && (l->tok.type == '+' || l->tok.type == '-')) {
		enum expr_op op = l->tok.type == '+' ? EXPR_ADD : EXPR_SUB;

		lexer_next(l);
		e = binary(l, op, e, parse_product(l));
	}
	return e;
}

static int
comparison_op(const struct lexer *l)
{
	switch (l->tok.type) {
	case TOKEN_EQ:
		return EXPR_EQ;
	case TOKEN_NE:
		return EXPR_NE;
	case '<':
		return EXPR_LT;
	case TOKEN_LE:
		return EXPR_LE;
	case '>':
		return EXPR_GT;
	case TOKEN_GE:
		return EXPR_GE;
	default:
		return lexer_is(l, "in")    ? EXPR_IN
		       : lexer_is(l, "has") ? EXPR_HAS
					    : -1;
	}
}

/* "(" expr ("," expr)* ")" | sum */
static struct expr *
parse_in_list(struct lexer *l)
{
	struct expr *e;

	if (l->tok.type != '(')
		return parse_sum(l);
	e = new_at(l, EXPR_LIST, l->tok.pos, 0);
	if (!e)
		return NULL;
	lexer_next(l);
	return parse_args(l, e);
}

static struct expr *
negate(struct lexer *l, struct expr *e)
{
	struct expr *e_not;

	if (!e)
		return NULL;
	e_not = new_at(l, EXPR_NOT, e->pos, 1);
	if (!e_not)
		return NULL;
	e_not->args[0] = e;
	return finish(l, e_not);
}

/* sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | "has") sum
 *     | ["not"] "in" in_list] */
static struct expr *
parse_comparison(struct lexer *l)
{
	struct expr *e = parse_sum(l);
	bool not_in;
	int op;

	if (!e)
		return NULL;
	if (l->tok.type == '=') {
		lexer_fail(l, l->tok.pos, "expected ==, found =");
		return NULL;
	}
	not_in = lexer_take_word(l, "not");
	if (not_in && !lexer_is(l, "in")) {
		lexer_expected(l, "in");
		return NULL;
	}
	op = comparison_op(l);
	if (op < 0)
		return e;
	lexer_next(l);
	e = binary(l, (enum expr_op)op, e,
		   op == EXPR_IN ? parse_in_list(l) : parse_sum(l));
	if (e && comparison_op(l) >= 0) {
		lexer_fail(l, l->tok.pos,
			   "comparisons do not chain: join them with and");
		return NULL;
	}
	return not_in ? negate(l, e) : e;
}

/* "not" not | comparison */
static struct expr *
parse_not(struct lexer *l)
{
	if (lexer_is(l, "not"))
		return prefix(l, EXPR_NOT, parse_not);
	return parse_comparison(l);
}

/* rule (WORD rule)*: one node of as many arguments. */
static struct expr *
parse_chain(struct lexer *l, const char *word, enum expr_op op,
	    struct expr *(*rule)(struct lexer *))
{
	struct expr *first = rule(l), *e;
	size_t cap = 2;

	if (!first || !lexer_is(l, word))
		return first;
	e = new_at(l, op, first->pos, cap);
	if (!e)
		return NULL;
	e->n = 0;
	e->args[e->n++] = first;
	while (lexer_take_word(l, word)) {
		if (e->n == cap) {
			struct expr **more =
			    arena_alloc(l->arena, 2 * cap * sizeof(*more));

			if (!more || cap > EXPR_ARGS_MAX) {
				lexer_fail(l, e->pos, "expression too long");
				return NULL;
			}
			memcpy(more, e->args, cap * sizeof(*more));
			e->args = more;
			cap *= 2;
		}
		e->args[e->n] = rule(l);
		if (!e->args[e->n++])
			return NULL;
	}
	return finish(l, e);
}

/* not ("and" not)* */
static struct expr *
parse_and(struct lexer *l)
{
	return parse_chain(l, "and", EXPR_AND, parse_not);
}

/* and ("or" and)* */
static struct expr *
parse_or(struct lexer *l)
{
	struct expr *e;

	if (++l->depth > EXPR_DEPTH_MAX) {
		lexer_fail(l, l->tok.pos, "expression nested too deep");
		return NULL;
	}
	e = parse_chain(l, "or", EXPR_OR, parse_and);
	l->depth--;
	return e;
}

struct expr *
expr_parse(struct lexer *l)
{
	return parse_or(l);
}
