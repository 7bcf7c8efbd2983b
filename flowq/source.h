/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where rows come from: a table, or what an earlier stage of the query made.
 *
 * A source has fields, each of one type over all its blocks (see
 * expr_type_unify), and blocks of rows whose columns are had one by one.
 * Blocks are visited from several threads, once each unless it says otherwise.
 */
#ifndef FLOWQ_SOURCE_H
#define FLOWQ_SOURCE_H

#include "common/batch.h"
#include "common/err.h"
#include "common/table.h"
#include "common/token.h"
#include "flowq/range.h"

struct source_field {
	const char *name;
	enum expr_type type;
	bool nullable; /* some row may be null */
	bool hidden;   /* only orders rows: no name stands for it */
	bool bounded;  /* all values are within bounds */
	struct range bounds;
};

struct source_block {
	size_t index;
	uint32_t rows;
	void *priv;
	struct table_scratch scratch; /* stays from block to block */
};

struct source;
struct filter;
struct node;

/* For explain: one of the sources that a source is made of. */
struct source_part {
	const char *name; /* "before join" */
	struct source *src;
	const struct filter *filter;
	const struct node *const *nodes; /* its columns */
	size_t n;
	/* Which of them each field of the whole is, -1 for none; NULL: they
	 * are its first fields. */
	const int *cols;
	const struct node *const *keys; /* what it reads anyway */
	size_t nkeys;
};

struct source_ops {
	const char *name; /* for explain; NULL: rows of the stage before */
	/* The i-th part; false past the last. May be NULL. */
	bool (*part)(const struct source *, size_t i, struct source_part *);
	/* After all stages before this one ran, and before any block is looked
	 * at: sets blocks. May be NULL. */
	int (*prepare)(struct source *, struct err *);
	/* May be slow (it is where a partition is merged). */
	int (*open)(struct source *, struct source_block *, struct err *);
	void (*close)(struct source *, struct source_block *);
	/* The field's type in that block, COL_NULL if it is not there, and
	 * its statistics or NULL. Before open. */
	enum col_type (*peek)(struct source *, size_t block, size_t field,
			      const struct column_stat **);
	/* Whether some row of the block may have this address: false if surely
	 * none has.  Only for an address field that peek found there; before
	 * open.  NULL if that is not known of any block. */
	bool (*may_hold)(struct source *, size_t block, size_t field,
			 scale_t address);
	/* The column; in C (which the caller clears) or borrowed until close.
	 * *out is NULL for a field that is not there. */
	int (*column)(struct source *, struct source_block *, size_t field,
		      struct column *c, const struct column **out,
		      struct err *);
	/* The column as entries, and then their codes: see table_entries.
	 * NULL if no block has any. */
	int (*entries)(struct source *, struct source_block *, size_t field,
		       struct coded *, struct err *);
	int (*codes)(struct source *, struct source_block *, size_t field,
		     struct coded *, struct err *);
	uint32_t (*rows)(struct source *, size_t block);
	void (*free)(struct source *);
};

struct source {
	const struct source_ops *ops;
	size_t n;
	struct source_field *fields;
	size_t blocks;
	/* rows() and statistics are of more rows than there may be. */
	bool lazy;
	/* All blocks may be visited once more, and have the same rows then. */
	bool again;
	/* Rows are to be had newest first (or oldest first): the fields _time
	 * and _id that say so; -1: as they come. Blocks are sorted by their
	 * newest (oldest) row already. */
	int time_field, id_field;
	bool ascending;
};

static inline void
source_free(struct source *s)
{
	if (s)
		s->ops->free(s);
}

#endif
