/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named values as one line of JSON, and back.
 */
#ifndef FLOWLOG_FACTS_H
#define FLOWLOG_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

enum { FACTS_MAX = 24 };

struct fact {
	uint64_t data[2]; /* a value, or the two offsets of a text */
};

struct facts {
	size_t n;
	const char *names[FACTS_MAX]; /* borrowed, as texts are */
	enum col_type types[FACTS_MAX];
	struct column cols[FACTS_MAX];
	struct fact values[FACTS_MAX];
};

/* NULL is null. */
void facts_text(struct facts *, const char *name, const char *text);
void facts_number(struct facts *, const char *name, uint64_t);
void facts_bool(struct facts *, const char *name, bool);
/* Microseconds since 1970; NO_TIME is null. */
#define NO_TIME INT64_MIN
void facts_time(struct facts *, const char *name, int64_t us);

/* The line, with its newline, to be freed; NULL when memory is out. */
char *facts_json(const struct facts *, size_t *len, struct err *);

/* The value of a name in such a line: -1 if it is not there, or no such. */
int facts_find_number(const char *json, const char *name, uint64_t *);
int facts_find_time(const char *json, const char *name, int64_t *us);

#endif
