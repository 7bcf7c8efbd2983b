/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One block as one thread looks at it: columns decoded when first asked for,
 * a selection of rows, and a window of at most VIEW_CHUNK selected rows over
 * which expressions are evaluated.
 */
#ifndef FLOWQ_VIEW_H
#define FLOWQ_VIEW_H

#include "common/eval.h"
#include "flowq/source.h"

enum { VIEW_CHUNK = 2048 };

struct view_slot {
	struct column own; /* decoded here, kept for the next block */
	const struct column *col;
	enum col_type type;
	uint64_t block, chunk; /* that col and vec belong to */
	struct vec vec;
	struct coded coded;
	uint64_t entries_block, codes_block; /* that it belongs to */
	bool is_coded;
};

struct view {
	struct source *src; /* borrowed */
	struct source_block block;
	struct view_slot *slots; /* one per field */
	size_t nslots;
	uint64_t block_tick, chunk_tick;
	/* The selection: rows in any order, or NULL for all. */
	const uint32_t *sel;
	uint32_t nsel;
	uint32_t at; /* the window: [at, at + eval.n) of the selection */
	struct arena arena;
	struct eval eval;
	struct err *err;
	uint32_t *sel_buf; /* room for block.rows, for whoever selects */
	uint8_t *mask_buf;
	size_t buf_rows;
	uint64_t columns_read;
	struct view *entries; /* see view_entries */
	bool of_entries;      /* is such a one itself */
};

int view_init(struct view *, struct source *, struct err *);
void view_clear(struct view *);

/* All rows are selected at first. */
int view_open(struct view *, size_t block);
void view_close(struct view *);

/* NULL in *col: all rows are null. Until the block is closed. */
int view_column(struct view *, size_t field, const struct column **col,
		enum col_type *);

/*
 * A field as entries and codes (see table_entries): a view whose rows are the
 * entries, all of them selected, in which the field and those that are constant
 * in this block may be looked at, and no other.  It is good until it is asked
 * for again, or the block is closed.  NULL in *entries if it is not so stored.
 */
int view_entries(struct view *, size_t field, struct view **entries);
/* Then, which entry each row of the block has. */
int view_codes(struct view *, size_t field, const uint32_t **codes);

/* The one field that an expression is about, or -1. */
int view_only_field(const struct node *);

/* The selection becomes those of it whose mask is set, in sel_buf. */
void view_select(struct view *, const uint8_t *mask);

/* Sets the window; vectors of the last one end. */
void view_window(struct view *, uint32_t at, uint32_t n);
int view_eval(struct view *, const struct node *, struct vec *);

#endif
