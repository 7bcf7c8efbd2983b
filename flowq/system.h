/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows about the system itself in the making.
 */
#ifndef FLOWQ_SYSTEM_H
#define FLOWQ_SYSTEM_H

#include <stddef.h>

#include "common/err.h"
#include "common/token.h"
#include "flowq/rowset.h"

enum { SYSTEM_COLUMNS = 24 };

struct making {
	size_t n; /* columns, SYSTEM_COLUMNS at most */
	const char *const *names;
	const enum expr_type *types;
	struct rowset *rows;
};

/* A row of so many values. */
int making_row(struct making *, const struct literal *, struct err *);

struct literal literal_number(uint64_t);
/* S is borrowed. */
struct literal literal_text(const char *s);

/* All of a state file and a NUL, to be freed; NULL: see err. */
char *system_read(const char *path, size_t *len, struct err *);

/* Calls F for each file NAME.json of a directory, in order; -1 if it returned
 * that, or there is no such directory. */
int system_each(const char *dir,
		int (*f)(void *ctx, const char *path, struct err *), void *ctx,
		struct err *);

/* What came and what became of it, stage by stage: see flowq(1).  STATS is
 * what flowdecode keeps, LOGGERS the directory of flowlog's. */
extern const char *const pipeline_names[];
extern const enum expr_type pipeline_types[];
extern const size_t pipeline_columns;
int pipeline_fill(struct making *, const char *stats, const char *loggers,
		  struct err *);

#endif
