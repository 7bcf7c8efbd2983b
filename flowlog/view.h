/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the filters have left of a batch: which of its rows, and which columns
 * in which order.  Nothing is copied until view_settle, and then only the
 * values that are left; a batch that no filter touched is never looked at.
 *
 * The columns of a view borrow: from the object that was read (until the next
 * read), or, if `transient`, from memory that ends with the next batch.
 */
#ifndef FLOWLOG_VIEW_H
#define FLOWLOG_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

struct view {
	/* as it was read */
	const struct batch *batch;
	const char *object; /* its bytes, NULL if it was made of rows */
	size_t object_len;
	/* what is left */
	uint32_t rows;
	const uint32_t *selected; /* which, ascending; NULL: all of them */
	size_t n;
	struct field fields[SHAPE_FIELDS_MAX];
	const struct column *cols[SHAPE_FIELDS_MAX]; /* NULL: not there */
	bool touched; /* anything differs from the batch */
	bool transient;
	/* the view's own */
	uint32_t *selection;
	struct column own[SHAPE_FIELDS_MAX];
	char *memory; /* what own borrows from */
	size_t memory_cap;
	uint32_t selection_cap;
};

struct view *view_new(void);
void view_free(struct view *);

/* Everything of a batch. */
void view_start(struct view *, const struct batch *, const char *object,
		size_t len);

/* Where the column is among cols, or -1. */
int view_find(const struct view *, const char *name);

/* Adds the column, in the place of one of that name if there is one; C NULL
 * takes it away.  Both are borrowed for as long as the view's others. */
void view_set(struct view *, const char *name, enum col_type,
	      const struct column *c);
/* Column AT gets the name, and any other that had it goes. */
void view_rename(struct view *, size_t at, const char *name);

/*
 * Narrowing: first view_selection makes room, then view_keep adds those of the
 * rows [at, at + n) of what is left whose PASS is 1 to the KEPT ones so far
 * and says how many these are now, window by window; at last view_select.
 */
int view_selection(struct view *, struct err *);
uint32_t view_keep(struct view *, uint32_t at, uint32_t n, const uint8_t *pass,
		   uint32_t kept);
void view_select(struct view *, uint32_t kept);

/* Leaves no row. */
void view_drop(struct view *);

/* Copies the selected rows, so that the columns have `rows` rows. */
int view_settle(struct view *, struct err *);

#endif
