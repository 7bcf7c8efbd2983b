/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of integers as a table stores them: flowtable(5), "Vectors".
 *
 * A vector is n 64-bit integers, n known from elsewhere.  Nearly all fit 32
 * bits once their minimum is taken off and what they are all multiples of is
 * divided out, so the encodings are made from 32-bit values (encode.c), and
 * wider ones are brought there first (encode_wide.c).  choose.h says how.  A
 * vector may hold other vectors (values and lengths of runs, a dictionary and
 * its codes).
 *
 * All arithmetic is modulo 2^64; a column of a narrower type keeps the low
 * bits.
 */
#ifndef COMMON_ENCODE_H
#define COMMON_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/bits.h"
#include "common/choose.h"

enum {
	ENC_DEPTH_MAX = 8,    /* vectors within vectors */
	ENC_REF_ROW = 0xffff, /* of ENC_LINEAR: the index of the row */
};

/* Where ENC_DICT was taken: what maps are made of. */
struct codes {
	size_t entries; /* 0: it was not */
	uint32_t *code; /* one per row */
	uint32_t *row;	/* one per entry that has it; room for all rows */
};

/* Bytes that grow. Once memory is out `failed` stays set and nothing more is
 * written. */
struct bytes {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};

void bytes_clear(struct bytes *); /* frees */
/* Room for n bytes more, not yet counted in len; NULL when memory is out. */
uint8_t *bytes_room(struct bytes *, size_t n);
void bytes_add(struct bytes *, const void *, size_t n);

/* Scratch memory; one per thread. */
struct encoder;

struct encoder *encoder_new(void);
void encoder_free(struct encoder *);

/* Room for n integers inside the encoder, until the release with the mark
 * that was taken before; NULL if there is none left. */
uint64_t *encoder_take(struct encoder *, size_t n);
uint32_t *encoder_take32(struct encoder *, size_t n);
size_t encoder_mark(const struct encoder *);
void encoder_release(struct encoder *, size_t mark);

/* n is at most BATCH_ROWS_MAX, and may be 0. */
void encode_any(struct encoder *, const uint64_t *v, size_t n,
		struct bytes *out);
/* The same of 32-bit values; n is not 0.  SCAN is of them; it and CODES may be
 * NULL. */
void encode_small(struct encoder *, const uint32_t *v, size_t n,
		  const struct bits_scan32 *scan, struct codes *codes,
		  struct bytes *out);
/* n times the same value. */
void encode_constant(uint64_t value, struct bytes *out);

/* A guess at the bits per value that encode_any would take, work counted in;
 * n is not 0. */
double encode_guess(struct encoder *, const uint64_t *v, size_t n);

/*
 * The distinct values of v in order of appearance, and for each value its
 * index among them.  Returns how many, or 0 if they are more than max, which
 * is at most 65536.
 */
size_t encode_distinct(struct encoder *, const uint64_t *v, size_t n,
		       size_t max, uint64_t *value, uint32_t *code);

/* The head of ENC_LINEAR, after which the residue follows:
 * value = ref / div * mul + residue. */
void encode_linear(unsigned ref, uint64_t mul, uint64_t div, struct bytes *out);
/* The head of ENC_MAP, after which the vector of values follows. */
void encode_map(unsigned ref, size_t entries, struct bytes *out);
/* The head of ENC_PATCHED, after which the patched vector follows, these, and
 * the vector of the exceptions' values.  AT has their rows, ascending, and is
 * overwritten. */
void encode_patched(size_t patches, struct bytes *out);
void encode_gaps(struct encoder *, uint32_t *at, size_t n, struct bytes *out);

#endif
