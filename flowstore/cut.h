/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A finished segment made anew from some of its records, to take its place.
 * Blocks go in the order of their ids.
 */
#ifndef FLOWSTORE_CUT_H
#define FLOWSTORE_CUT_H

#include "common/block.h"
#include "common/table.h"
#include "flowstore/segment.h"

enum { CUT_BATCH = 8 }; /* blocks in a transaction */

struct cut {
	struct segment segment;
	struct ledger ledger;
	struct encoder *encoder;
	struct change changes[CUT_BATCH];
	struct block_out blocks[CUT_BATCH], made[CUT_BATCH];
	size_t n;
	uint64_t rows;
};

/* What T, opened with table_open_segment, says of itself. */
int cut_ledger(struct ledger *, const struct table *t, struct err *);

/* In the place of OF, with its ledger, which is taken over in any case. */
int cut_begin(struct cut *, const char *dir, const struct table_segment *of,
	      struct ledger *, struct err *);

/* A block as it is; borrowed until the end or the next cut_flush. */
int cut_copy(struct cut *, uint64_t first_id, uint32_t rows,
	     const struct table_raw *, struct err *);
/* Records that make a block; none is fine. */
int cut_encode(struct cut *, const struct batch *, struct err *);
int cut_flush(struct cut *, struct err *);

/* The segment takes its place; nothing of it if it has no records.  1: it has
 * none. */
int cut_end(struct cut *, struct err *);
/* Frees, and throws away what did not take its place. */
void cut_clear(struct cut *);

#endif
