/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The newest segment of a table, the only one that is written: an LMDB
 * environment as flowtable(5) describes it.  Only for the holder of the
 * table's lock.
 */
#ifndef FLOWSTORE_SEGMENT_H
#define FLOWSTORE_SEGMENT_H

#include <limits.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "common/block.h"
#include "common/err.h"
#include "common/table.h"
#include "flowstore/streams.h"

/* What segments of a table have in common, carried from one to the next. */
struct ledger {
	uint64_t table; /* identity */
	uint64_t next_id;
	struct streams streams;
};

struct segment {
	char dir[PATH_MAX];
	uint64_t size_max; /* bytes: beyond it the segment is to be closed */
	uint32_t number;
	int64_t created; /* microseconds since 1970 */
	uint64_t rows, blocks, bytes;
	uint64_t commits; /* since it was opened */
	MDB_env *env;
	MDB_dbi meta, heads, data, filters;
};

/* What one commit does. */
struct change {
	uint64_t first_id;
	uint32_t rows;
	struct block_out *block; /* NULL: the block goes */
};

/* Opens the newest segment of DIR and reads the ledger from it, or makes the
 * first one. SIZE_MAX is when it shall be closed. */
int segment_open(struct segment *, const char *dir, uint64_t size_max,
		 struct ledger *, struct err *);
void segment_close(struct segment *);

/*
 * All changes in their order, the ledger and the counts, in one transaction, on
 * disk when it returns 0.  -1: nothing of it is stored; with the code ENOSPC
 * it may be tried again when there is room.
 */
int segment_commit(struct segment *, const struct change *, size_t n,
		   struct ledger *, struct err *);

/*
 * A segment that is to take the place of the finished one OF: it is begun
 * empty, with the ledger that one had; then come commits, which are not
 * synced; then it is put in place, or thrown away.  Who does this holds
 * LOCK_UPKEEP.
 */
int segment_cut_begin(struct segment *, const char *dir,
		      const struct table_segment *of, struct ledger *,
		      struct err *);
int segment_cut_end(struct segment *, struct err *);
void segment_cut_abort(struct segment *);

/* Makes the segment after NUMBER, whose file is not looked at. */
int segment_make_next(const char *dir, uint32_t number, const struct ledger *,
		      struct err *);

/* Closes the segment for good and begins the next.  -1: it stays as it is, and
 * what was said of segment_commit holds. */
int segment_roll(struct segment *, struct ledger *, struct err *);

#endif
