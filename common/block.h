/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks as a table stores them: flowtable(5).  A block is a head (rows,
 * shape, and per column its statistics, place and checksum) and a body (the
 * encoded columns one after another).
 *
 * This file knows nothing of LMDB.
 */
#ifndef COMMON_BLOCK_H
#define COMMON_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/encode.h"
#include "common/err.h"
#include "common/table.h"

enum {
	BLOCK_VERSION = 1,
	BLOCK_MAGIC = 0x4b4c4246, /* "FBLK" */
};

/* An encoded block; a zeroed one is ready for use. */
struct block_out {
	struct bytes head, body;
	struct bytes filters; /* of addresses, sieve.h; empty if not wished */
	bool with_filters;
};

void block_out_clear(struct block_out *);

/*
 * Encodes rows [from, from + n) of a batch, which must have a column _id
 * without nulls, ascending.  OUT is overwritten.  -1: memory is out, or the
 * block is too large.
 */
int block_encode(struct encoder *, const struct batch *, uint32_t from,
		 uint32_t n, struct block_out *out, struct err *);

/* A head that was read: the part that everyone sees, and where columns lie. */
struct block_in {
	struct block pub;
	struct block_place {
		uint32_t offset, stored;
		uint64_t checksum;
		uint8_t encoding; /* enum encoding of its first vector */
	} * places;
	uint64_t body;	      /* bytes */
	const uint8_t *shape; /* as it is in the head */
	size_t shape_len;
};

/* Reads and checks a head. The shape is interned in SHAPES. Freed by
 * block_in_free. */
int block_parse(const void *head, size_t len, struct shapes *,
		struct block_in **, struct err *);
/* The same after one that probably has the same shape, of which the head is
 * still there; or NULL. */
int block_parse_like(const void *head, size_t len, struct shapes *,
		     const struct block_in *like, struct block_in **,
		     struct err *);
void block_in_free(struct block_in *);

/* See table_encoding. */
const char *block_encoding(const struct block_in *, const void *body,
			   size_t col, struct table_scratch *);

/*
 * Decode a column of the block whose body is given: see table_column,
 * table_entries and table_codes.  The body's length must be what the head said
 * (block_in.body).
 */
int block_column(const struct block_in *, const void *body, size_t col,
		 struct table_scratch *, struct column *c, struct err *);
int block_entries(const struct block_in *, const void *body, size_t col,
		  struct table_scratch *, struct coded *, struct err *);
int block_codes(const struct block_in *, const void *body, size_t col,
		struct table_scratch *, struct coded *, struct err *);

#endif
