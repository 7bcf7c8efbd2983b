/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decoding what encode.h encodes.  Safe on any input: widths, counts, codes,
 * positions and totals are checked, and so is every length against what is
 * left.  After the first fault every call fails and `bad` says why.
 */
#ifndef COMMON_DECODE_H
#define COMMON_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/bits.h"

/* Buffers for decoded values have room for this many past the last. */
enum { DECODE_SLACK = 8 };

struct decoder {
	const uint8_t *p; /* unread bytes are [p, end) */
	const uint8_t *end;
	const uint8_t *limit; /* readable up to here, at or after end */
	const char *bad;      /* static text, NULL while all is well */
	const struct bits_ops *ops;
	uint8_t *scratch; /* free scratch memory is [scratch, scratch_end) */
	uint8_t *scratch_end;
	unsigned depth;
	/* Gives n + DECODE_SLACK values of column COL of the same block in
	 * OUT; -1 sets d->bad. NULL if there are none. */
	int (*column)(struct decoder *d, unsigned col, size_t n, uint64_t *out);
	/* Gives the codes of the dictionary in which column COL is encoded;
	 * the same otherwise. */
	int (*codes)(struct decoder *d, unsigned col, size_t n, uint32_t *out);
	const void *ctx;
	unsigned refs; /* references followed so far */
};

/* Scratch that any vector the encoder makes needs at most, for n rows. */
size_t decode_scratch(size_t n);

/* Reads a vector of n values. -1 after a fault. The 32-bit one keeps the low
 * bits of each value. */
int decode_vector64(struct decoder *, size_t n, uint64_t *out);
int decode_vector32(struct decoder *, size_t n, uint32_t *out);

/* Whether the next vector is ENC_CONST; if so it is read into *value. */
int decode_constant(struct decoder *, uint64_t *value);

/* Reads the codes of a vector that must be ENC_DICT, without its values. */
int decode_codes(struct decoder *, size_t n, uint32_t *out);

/*
 * Whether the next vector is made of entries, and for each row one of them:
 * dictionaries, maps and runs.  If they are MAX at most, their number, and the
 * vector of them is next; else 0, and nothing was read.
 */
size_t decode_entries(struct decoder *, size_t max);
/* Reads which entry each of n rows of such a vector has: all below ENTRIES. */
int decode_entry_codes(struct decoder *, size_t n, size_t entries,
		       uint32_t *out);

/* Scratch memory, aligned to 8; NULL sets bad. Given back by setting
 * d->scratch to what it was. */
void *decode_take(struct decoder *, size_t bytes);

uint8_t decode_u8(struct decoder *);
uint32_t decode_u32(struct decoder *);
uint64_t decode_u64(struct decoder *);
/* n bytes where they lie; NULL after a fault. */
const uint8_t *decode_bytes(struct decoder *, size_t n);
int decode_fail(struct decoder *, const char *why);

#endif
