/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of block_encode: one column of the rows that are encoded, what the
 * head says of it, and strings.  Only block_*.c include it. */
#ifndef COMMON_BLOCK_PARTS_H
#define COMMON_BLOCK_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/block.h"

struct source {
	const struct column *c;
	enum col_type type;
	uint32_t from, n;
	uint32_t nulls;
};

/* Row i of column COL of the batch becomes row i - from; nulls are counted. */
struct source source_of(const struct batch *, size_t col, uint32_t from,
			uint32_t n);
/* Some of its rows; the nulls in them are not counted. */
struct source source_part(const struct source *, uint32_t from, uint32_t n);

/* Where the values begin; all are the first one of a constant column. */
const uint8_t *source_values(const struct source *);
/* The values of a column that is not constant, of 1, 2 or 4 bytes each: where
 * they are, or in TO. */
const uint32_t *source_load32(const struct source *, uint32_t *to);
/* The same, up to 8 bytes each. */
const uint64_t *source_load64(const struct source *, uint64_t *to);

/* An address is two integers: its upper and its lower half. */
struct address {
	uint64_t high, low;
};
struct address source_address(const struct source *, uint32_t i);

/* Least and greatest value, sum and nulls. Of the scan min, max and sum are
 * used. */
void stat_integers(const struct source *, const struct bits_scan *,
		   struct column_stat *);
void stat_addresses(const struct source *, struct column_stat *);

/* -1: memory is out, or the strings are too long. */
int encode_texts(struct encoder *, const struct source *, struct bytes *out);

#endif
