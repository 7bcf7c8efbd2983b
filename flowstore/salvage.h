/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be read of a segment whose file may be damaged anywhere.  The pages
 * are walked here, not by LMDB; blocks count as far as their checksums agree.
 * Where the newest snapshot is damaged, blocks of the one before it that are
 * whole count, too.  Nobody may write to the segment meanwhile.
 */
#ifndef FLOWSTORE_SALVAGE_H
#define FLOWSTORE_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/block.h"
#include "common/pages.h"
#include "flowstore/segment.h"

/* A block whose head is sound. */
struct salvage_block {
	struct block_in *in;
	const void *head, *body; /* body: NULL if it is gone */
	const void *filters;	 /* NULL if there are none, or damaged ones */
	size_t head_len, filters_len;
	bool *bad;  /* per column; NULL if all are sound */
	bool lost;  /* it cannot be kept, for want of body, _id or _time */
	bool older; /* of the snapshot before the newest */
};

struct salvage {
	struct shapes *shapes;
	struct pages *pages;
	struct salvage_block *blocks; /* ascending by first id */
	size_t n, cap;
	uint64_t damages; /* told */
	/* what the segment says of itself, as far as it could be read */
	bool has_ledger;
	struct ledger ledger;
	int64_t created;
	uint64_t rows; /* that it should have; 0: unknown */
	/* each damage: a line without the segment's name */
	void (*tell)(void *ctx, const char *text);
	void *ctx;
};

/* Reads what there is. 0 also when that is nothing; -1: memory is out. */
int salvage_open(struct salvage *, const char *path,
		 void (*tell)(void *ctx, const char *text), void *ctx,
		 struct err *);
void salvage_close(struct salvage *);

#endif
