/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of rows that were sorted and spilled, merged into one.
 *
 * A run is records {u32 length of the key, key, row}; keys compare as bytes,
 * and no two are equal.
 */
#ifndef FLOWQ_SORT_MERGE_H
#define FLOWQ_SORT_MERGE_H

#include "flowq/rowset.h"
#include "flowq/spill.h"

/* Appends a record. */
int merge_put(struct spill *, const uint8_t *key, uint32_t len,
	      const struct rowset *, uint32_t row, struct err *);

struct merge;

/* Rows of n columns. NULL: memory is out. */
struct merge *merge_new(size_t n, const enum expr_type *types);
void merge_free(struct merge *);
/* Adds a run: bytes of a file, which stays the caller's. */
int merge_add(struct merge *, const struct spill *, const uint64_t range[2],
	      struct err *);
/* After the last; what is read ahead takes about so many BYTES. */
int merge_start(struct merge *, size_t bytes, struct err *);
/* The next so many rows, which there must be; NULL: err says why. */
struct rowset *merge_take(struct merge *, uint32_t rows, struct err *);

#endif
