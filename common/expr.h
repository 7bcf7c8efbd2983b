/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions as text: the syntax tree and its parser.
 *
 * The tree knows nothing of types or tables; common/eval.h binds it to fields
 * and evaluates it.  Nodes live in the lexer's arena.
 */
#ifndef COMMON_EXPR_H
#define COMMON_EXPR_H

#include <stddef.h>

#include "common/token.h"

enum expr_op {
	EXPR_LITERAL,
	EXPR_FIELD,
	EXPR_CALL,
	EXPR_LIST, /* (a, b) after `in` */
	EXPR_NEG,
	EXPR_NOT,
	EXPR_MUL,
	EXPR_DIV,
	EXPR_MOD,
	EXPR_ADD,
	EXPR_SUB,
	EXPR_EQ,
	EXPR_NE,
	EXPR_LT,
	EXPR_LE,
	EXPR_GT,
	EXPR_GE,
	EXPR_IN,
	EXPR_HAS,
	EXPR_AND, /* of any number */
	EXPR_OR,
};

enum { EXPR_DEPTH_MAX = 200, EXPR_ARGS_MAX = 10000 };

struct expr {
	enum expr_op op;
	size_t pos, len;  /* its place in the text */
	const char *name; /* of a field or function */
	struct literal lit;
	size_t n;
	struct expr **args;
	unsigned depth;
};

/* expr. NULL: the lexer's err and err_pos say why. */
struct expr *expr_parse(struct lexer *);

/* A field or a call, nothing more: what sort and fields take. */
struct expr *expr_parse_name(struct lexer *);

/* The text of [pos, pos+len), runs of blanks folded but in strings; NULL:
 * memory is out. */
const char *expr_text(struct lexer *, size_t pos, size_t len);

/* A node that no text stands for. NULL: memory is out. */
struct expr *expr_new(struct arena *, enum expr_op, size_t n);

/* Words that can not be a field's name without backquotes. */
bool expr_reserved(const struct token *);

#endif
