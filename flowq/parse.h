/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A query as text into a list of commands.
 */
#ifndef FLOWQ_PARSE_H
#define FLOWQ_PARSE_H

#include "common/expr.h"
#include "flowq/source_table.h"
#include "flowq/verb.h"

struct command {
	const struct verb *verb;
	size_t pos;
	void *args; /* the verb's own, in the arena */
	struct command *next;
};

/* table's options and names. */
struct source_command {
	struct table_spec spec;
	uint64_t offset, limit; /* UINT64_MAX: none */
};

struct query {
	bool explain;
	struct source_command source;
	struct command *commands;
};

/* NOW in microseconds. -1: the lexer's err and err_pos say why. */
int query_parse(struct lexer *, int64_t now, struct query *);

/*
 * For verbs.
 */

/* A whole number. */
int parse_count(struct lexer *, uint64_t *);
/* NAME = VALUE, no matter the blanks: goes on to the value if it is there. */
bool parse_option(struct lexer *, const char *name);
/* A column's name: an identifier, or anything in backquotes. */
int parse_name(struct lexer *, const char **name);
/* The name behind `as` if there is one, else the text since POS. */
int parse_title(struct lexer *, size_t pos, const char **name);

/* The list grows by one; NULL: memory is out, which is said. */
void *parse_grow(struct lexer *, void *list, size_t n, size_t size);

#endif
