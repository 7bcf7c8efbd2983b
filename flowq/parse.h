/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A query as text into a list of commands, the first of them a source.
 */
#ifndef FLOWQ_PARSE_H
#define FLOWQ_PARSE_H

#include "common/expr.h"
#include "flowq/verb.h"

struct command {
	const struct verb *verb;
	size_t pos;
	void *args; /* the verb's own, in the arena */
	struct command *next;
};

struct query {
	bool explain;
	struct command *commands;
};

/* The whole text; the lexer's `now` is in microseconds. -1: the lexer's err
 * and err_pos say why. */
int query_parse(struct lexer *, struct query *);

/*
 * For verbs.
 */

/* "[" QUERY "]", in the arena. */
int parse_nested(struct lexer *, struct query **);
/* A whole number. */
int parse_count(struct lexer *, uint64_t *);
/* NAME = VALUE, no matter the blanks: goes on to the value if it is there. */
bool parse_option(struct lexer *, const char *name);
/* t, true, yes, on, 1; f, false, no, off, 0. */
int parse_bool(struct lexer *, bool *);
/* A column's name: an identifier, or anything in backquotes. */
int parse_name(struct lexer *, const char **name);
/* The name behind `as` if there is one, else the text since POS. */
int parse_title(struct lexer *, size_t pos, const char **name);
/* A path: a word without blanks, or a string. WHAT is expected. */
int parse_path(struct lexer *, const char *what, const char **path);

/* The list grows by one; NULL: memory is out, which is said. */
void *parse_grow(struct lexer *, void *list, size_t n, size_t size);

#endif
