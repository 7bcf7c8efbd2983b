/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of integers as a table stores them: flowtable(5), "Vectors".
 *
 * A vector is n 64-bit integers, n known from elsewhere.  The encoder looks at
 * the values once, at a sample of them closely, and picks what is estimated
 * smallest; it never tries encodings out.  A vector may hold other vectors
 * (values and lengths of runs, a dictionary and its codes).
 *
 * All arithmetic is modulo 2^64; a column of a narrower type keeps the low
 * bits.
 */
#ifndef COMMON_ENCODE_H
#define COMMON_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/bits.h"
#include "common/err.h"

/* Numbers are part of flowtable(5): never renumber. */
enum encoding {
	ENC_CONST = 0,
	ENC_PACKED = 1, /* base + scale * packed */
	ENC_RUNS = 2,
	ENC_DICT = 3,
	ENC_PATCHED = 4, /* another vector, and exceptions to it */
	ENC_DELTA = 5,
	ENC_LINEAR = 6, /* another column of the block, and a residue */
	ENC_ESCAPE = 7, /* few frequent values, the rest apart */
	ENC_MAP = 8,	/* a value per entry of another column's dictionary */
	ENCODINGS
};

enum {
	ENC_DEPTH_MAX = 8,    /* vectors within vectors */
	ENC_REF_ROW = 0xffff, /* of ENC_LINEAR: the index of the row */
	ENC_ESCAPE_MAX = 255, /* frequent values */
};

/* Where ENC_DICT was taken: what maps are made of. */
struct codes {
	size_t entries; /* 0: it was not */
	uint32_t *code; /* one per row; room for BATCH_ROWS_MAX */
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

/* How a vector is going to be encoded. */
struct plan {
	enum encoding kind;
	double bits; /* estimated size */
	struct bits_scan scan;
	uint64_t scale;	 /* of ENC_PACKED */
	uint64_t base;	 /* of ENC_PATCHED */
	unsigned width;	 /* of ENC_PACKED and ENC_PATCHED */
	size_t distinct; /* most that pay, of ENC_DICT */
	size_t frequent; /* of ENC_ESCAPE */
	uint64_t top[ENC_ESCAPE_MAX];
};

/* Scratch memory; one per thread. */
struct encoder;

struct encoder *encoder_new(void);
void encoder_free(struct encoder *);

/* N is from 1 to BATCH_ROWS_MAX.  encode_scan looks at the values and plans to
 * pack them, encode_choose finds what is better than that, if anything is;
 * encode_plan does both. */
void encode_scan(struct encoder *, const uint64_t *v, size_t n, struct plan *);
void encode_choose(const uint64_t *v, size_t n, struct plan *);
void encode_plan(struct encoder *, const uint64_t *v, size_t n, struct plan *);
/* The plan may turn out wrong and is then changed. CODES may be NULL. */
void encode_vector(struct encoder *, const uint64_t *v, size_t n, struct plan *,
		   struct codes *codes, struct bytes *out);
/* n times the same value. */
void encode_constant(uint64_t value, struct bytes *out);
/* Plans and encodes; n may be 0. */
void encode_any(struct encoder *, const uint64_t *v, size_t n,
		struct bytes *out);
/* The head of ENC_LINEAR, after which the residue follows:
 * value = ref / div * mul + residue. */
void encode_linear(unsigned ref, uint64_t mul, uint64_t div, struct bytes *out);

/*
 * The distinct values of v in order of appearance, and for each value its
 * index among them.  Returns how many, or 0 if they are more than max.
 */
size_t encode_distinct(struct encoder *, const uint64_t *v, size_t n,
		       size_t max, uint64_t *value, uint64_t *code);

/* The heads of ENC_MAP, after which the vector of values follows, and of
 * ENC_PATCHED, after which the patched vector, and what encode_patches
 * writes. */
void encode_map(unsigned ref, size_t entries, struct bytes *out);
void encode_patched_head(size_t patches, struct bytes *out);
/* The rows in AT (ascending; overwritten) have these values instead. */
void encode_patches(struct encoder *, uint64_t *at, const uint64_t *value,
		    size_t n, struct bytes *out);

/* Room for n integers inside the encoder, until the release with the mark
 * that was taken before; NULL if there is none left. */
uint64_t *encoder_take(struct encoder *, size_t n);
size_t encoder_mark(const struct encoder *);
void encoder_release(struct encoder *, size_t mark);

#endif
