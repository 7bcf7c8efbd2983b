/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows that a query made: owned columns that grow, and a source of them.
 */
#ifndef FLOWQ_ROWSET_H
#define FLOWQ_ROWSET_H

#include "common/eval.h"
#include "flowq/room.h"
#include "flowq/source.h"
#include "flowq/spill.h"

struct rowset {
	size_t n;
	const enum expr_type *types; /* borrowed */
	struct column *cols;
	uint32_t rows;
	struct room *room; /* where its memory is from; NULL, or borrowed */
};

struct rowset *rowset_new(size_t n, const enum expr_type *types);
void rowset_free(struct rowset *);

/* Appends the first COUNT values of each of the n vectors. */
int rowset_append(struct rowset *, const struct vec *, uint32_t count,
		  struct err *);

struct row_ref {
	const struct rowset *set;
	uint32_t row;
};

/* Appends rows of other sets of the same types. */
int rowset_gather(struct rowset *, const struct row_ref *, uint32_t count,
		  struct err *);

/* Appends rows [at, to) of another set of the same types. */
int rowset_copy(struct rowset *, const struct rowset *from, uint32_t at,
		uint32_t to, struct err *);

/* Writes a row, and appends one that was written from a set of these types. */
int rowset_save(const struct rowset *, uint32_t row, struct spill *,
		struct err *);
int rowset_load(struct rowset *, struct spill_reader *, struct err *);

/* Memory that it takes. */
size_t rowset_bytes(const struct rowset *);

/* A source whose blocks are rowsets; it owns them. NAMES and TYPES are
 * borrowed. NULL when memory is out. */
struct source *rowsource_new(size_t n, const char *const *names,
			     const enum expr_type *types);
int rowsource_add(struct source *, struct rowset *, struct err *);
/* Has FILL add its rows when they are first asked for. */
void rowsource_later(struct source *,
		     int (*fill)(void *ctx, struct source *, struct err *),
		     void *ctx);
/* Its rows are to be read more than once. */
void rowsource_keep(struct source *);

/* Instead of sets that are added: ROWS rows in blocks of EACH (the last one may
 * be shorter), which MAKE makes in their order, one at a time. */
struct rowmaker {
	struct rowset *(*make)(void *ctx, uint32_t rows, struct err *);
	void *ctx;
};

int rowsource_promise(struct source *, uint64_t rows, uint32_t each,
		      struct rowmaker, struct err *);

#endif
