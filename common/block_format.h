/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a block's bytes mean (flowtable(5)): shared by those who write and read
 * them, block*.c.
 */
#ifndef COMMON_BLOCK_FORMAT_H
#define COMMON_BLOCK_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/block.h"

/* All numbers are little-endian. */
enum {
	HEAD_SIZE = 40,	  /* before the sections */
	HEAD_SUMMED = 16, /* where what the checksum covers begins */
	SECTION_SHAPE = 1,
	SECTION_COLUMNS = 2,
	SECTION_SIZE = 8, /* of its head */
	ENTRY_SIZE = 64,  /* of a column in SECTION_COLUMNS */
	ENTRY_MINMAX = 1, /* flags */
	ENTRY_SUM = 2,
	STRINGS_PLAIN = 0,
	STRINGS_DICT = 1,
	CODEC_NONE = 0,
	CODEC_ZSTD = 2,
	STRINGS_MAX = 256 << 20, /* bytes of one column of strings */
};

static inline void
put16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)x;
	p[1] = (uint8_t)(x >> 8);
}

static inline void
put32(uint8_t *p, uint32_t x)
{
	memcpy(p, &x, 4);
}

static inline void
put64(uint8_t *p, uint64_t x)
{
	memcpy(p, &x, 8);
}

static inline unsigned
get16(const uint8_t *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static inline uint32_t
get32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return x;
}

static inline uint64_t
get64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, 8);
	return x;
}

/* Whether heads have a sum for columns of this type. */
static inline bool
is_summed(enum col_type t)
{
	return (t >= COL_U8 && t <= COL_U64) || t == COL_I64;
}

/* Finishes a head whose body is encoded: OFFSET and STATS per column. */
int block_head(struct block_out *, const struct block *, const uint32_t *offset,
	       struct err *);

#endif
