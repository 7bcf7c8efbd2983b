/* SPDX-License-Identifier: BSD-2-Clause */
/* What encode*.c share; only they include it. */
#ifndef COMMON_ENCODE_PARTS_H
#define COMMON_ENCODE_PARTS_H

#include "common/encode.h"

enum {
	SLOT_BITS = 17,
	FACTORS = 8, /* of hashes */
};

struct encoder {
	const struct bits_ops *ops;
	uint64_t *scratch;
	size_t used;	 /* of scratch */
	uint64_t *slots; /* of hash tables: 2^SLOT_BITS of 4 bytes */
	uint32_t factors[FACTORS];
	unsigned depth; /* of vectors within vectors */
};

/* n integers: base + scale * v[i]. */
struct vec {
	const uint32_t *v;
	size_t n;
	uint64_t base, scale;
};

void encode_u8(struct bytes *, unsigned);
void encode_u32(struct bytes *, size_t);
void encode_u64(struct bytes *, uint64_t);

/* Whether parts may still have parts of their own. */
static inline bool
encode_is_deep(const struct encoder *e)
{
	return e->depth >= ENC_DEPTH_MAX - 4;
}

/* Plans and encodes. SCAN may be NULL, and so may CODES. n is not 0. */
void encode_vec(struct encoder *, const struct vec *,
		const struct bits_scan32 *scan, struct codes *codes,
		struct bytes *out);
/* Packed or constant, without a plan. n may be 0. */
void encode_plain(struct encoder *, const struct vec *, struct bytes *out);
/* Codes below ENTRIES. */
void encode_codes(struct encoder *, const uint32_t *code, size_t n,
		  size_t entries, struct bytes *out);

/* A part, which may be empty, that may be worth a plan of its own. */
void encode_part(struct encoder *, const struct vec *, struct bytes *out);

/* encode_dict.c.  -1: there are more than MAX distinct values, and nothing is
 * written. */
int encode_dict(struct encoder *, const struct vec *,
		const struct bits_scan32 *, size_t max, struct codes *,
		struct bytes *out);
void encode_escape(struct encoder *, const struct vec *,
		   const struct bits_scan32 *, const struct choice *,
		   struct bytes *out);

/* Divides out what all values of a vector of scale 1 are multiples of, if
 * anything; the quotients are in scratch memory then. */
void encode_step(struct encoder *, struct vec *, struct bits_scan32 *);
/* What encode_vec would cost, by its plan. */
double encode_cost(struct encoder *, const struct vec *,
		   const struct bits_scan32 *);

/* The greatest common divisor; 0 stands for none. */
uint64_t encode_gcd(uint64_t a, uint64_t b);
/* The inverse of an odd number modulo 2^64. */
uint64_t encode_inverse(uint64_t odd);

#endif
