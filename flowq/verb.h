/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands, sources first: one file each, verb_NAME.c, with one record.
 */
#ifndef FLOWQ_VERB_H
#define FLOWQ_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lexer;
struct plan;
struct command;

/* What a verb does to the order of rows and to their number. */
enum verb_class {
	VERB_STATELESS, /* looks at rows one by one */
	VERB_REORDERS,	/* the order it is given does not matter */
	VERB_ORDERED,	/* it does */
	VERB_WRITES,	/* rows go elsewhere, in their order */
	VERB_SOURCE,	/* it begins a query */
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
    verb_rename, verb_stats, verb_sort, verb_limit, verb_table, verb_union,
    verb_join, verb_csvfile, verb_jsonfile, verb_system, verb_outputcsv,
    verb_outputjson, verb_import, verb_lookup, verb_top, verb_dedup,
    verb_timechart;

/* What the arguments of limit let pass or skip: no more is looked at. */
uint64_t limit_rows(const void *args);

/* A source if FIRST, else a command after it. NULL: there is none of that
 * name. */
const struct verb *verb_find(bool first, const char *name, size_t len);
/* The i-th of them, NULL past the last. */
const char *verb_name(bool first, size_t i);
/* "a, b, c" in BUF, cut to its size. */
void verb_names(bool first, char *buf, size_t size);

#endif
