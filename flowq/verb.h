/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands after the source: one file each, verb_NAME.c, with one record.
 */
#ifndef FLOWQ_VERB_H
#define FLOWQ_VERB_H

#include <stdbool.h>

struct lexer;
struct plan;
struct command;

/* What a verb does to the order of rows and to their number. */
enum verb_class {
	VERB_STATELESS, /* looks at rows one by one */
	VERB_REORDERS,	/* the order it is given does not matter */
	VERB_ORDERED,	/* it does */
};

struct verb {
	const char *name;
	const char *usage;
	/* What follows the name; *args in the lexer's arena. -1: said why. */
	int (*parse)(struct lexer *, void **args);
	int (*plan)(struct plan *, const struct command *);
	/* May look at the arguments. */
	enum verb_class (*class)(const void *args);
};

extern const struct verb verb_search, verb_where, verb_eval, verb_fields,
    verb_rename, verb_stats, verb_sort, verb_limit;

/* NULL if there is none of that name. */
const struct verb *verb_find(const char *name, unsigned long len);
/* Their names, for error texts. */
const char *verb_names(void);

#endif
