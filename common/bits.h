/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit packing and the passes over integers that the encodings are made of.
 *
 * Packed values are a plain bit stream, least significant bit first: value i
 * of width w is at bits [i*w, i*w+w).  So eight values start at a byte
 * boundary, and eight of them are w bytes.
 *
 * The kernels that dominate exist twice, in plain C and for AVX2, chosen once
 * at run time; a test holds them to each other.
 */
#ifndef COMMON_BITS_H
#define COMMON_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Readers may look at this many bytes past the packed ones. */
enum { BITS_PAD = 32 };

/* What one pass over a vector tells. Order and differences are signed, the
 * sum is modulo 2^64. */
struct bits_scan {
	int64_t min, max;
	int64_t step_min, step_max; /* of v[i] - v[i-1]; 0 if n is 1 */
	uint64_t sum;
	size_t runs; /* of equal values */
};

/* The same of 32-bit values, but unsigned, and the sum is exact.  Steps are
 * of no use unless max - min is below 2^31. */
struct bits_scan32 {
	uint32_t min, max;
	int32_t step_min, step_max;
	uint64_t sum;
	size_t runs;
};

/* Division by a step, an odd number times 2^shift: x is a multiple of the odd
 * one exactly if x times its inverse is at most UINT32_MAX / odd. */
struct bits_step {
	uint32_t base, inverse, most;
	unsigned shift;
};

struct bits_ops {
	/* w from 0 to 32. IN has BITS_PAD bytes after the packed ones. May
	 * write up to 7 values past n. */
	void (*unpack32)(const uint8_t *in, size_t n, unsigned w,
			 uint32_t *out);
	/* out = base + scale * value, modulo 2^64 and 2^32; w from 0 to 64.
	 * The same bounds as above. */
	void (*unpack64)(const uint8_t *in, size_t n, unsigned w, uint64_t base,
			 uint64_t scale, uint64_t *out);
	void (*affine32)(uint32_t *, size_t n, uint32_t base, uint32_t scale);
	uint32_t (*greatest)(const uint32_t *, size_t n); /* 0 of none */
	/*
	 * out[i] = code[i] < escaped ? dict[code[i]] : the next of REST; no
	 * code is above ESCAPED.  Dict has a value for that too, whichever,
	 * and REST has room for n + 8 values, of which there are as many as
	 * are escaped.  Returns how many those are.  May write 7 past n.
	 */
	size_t (*merge32)(uint32_t *out, size_t n, const uint32_t *code,
			  uint32_t escaped, const uint32_t *dict,
			  const uint32_t *rest);
	size_t (*merge64)(uint64_t *out, size_t n, const uint32_t *code,
			  uint32_t escaped, const uint64_t *dict,
			  const uint64_t *rest);
	/*
	 * The values of SEL (NULL: 0, 1, 2 ...) whose byte in MASK is 1, the
	 * others being 0: their number.  OUT has room for n + 8, or is SEL.
	 */
	size_t (*select)(const uint8_t *mask, const uint32_t *sel, size_t n,
			 uint32_t *out);
	/* n is 1 at least. */
	void (*scan)(const uint64_t *v, size_t n, struct bits_scan *);
	void (*scan32)(const uint32_t *v, size_t n, struct bits_scan32 *);
	/* out = (v[i] - base) / step; false, and out is no use, if there is a
	 * remainder anywhere. */
	bool (*divide32)(const uint32_t *v, size_t n, const struct bits_step *,
			 uint32_t *out);
	/* Packs the low w bits of each v[i] - base; w from 0 to 32.  Writes up
	 * to 8 bytes past bits_size(n, w). */
	void (*pack32)(uint8_t *out, const uint32_t *v, size_t n, unsigned w,
		       uint32_t base);
};

extern const struct bits_ops bits_plain, bits_avx2;

/* The best that this machine has. */
const struct bits_ops *bits_ops(void);

/* Bytes of n values of w bits, without padding. */
static inline size_t
bits_size(size_t n, unsigned w)
{
	return (n * w + 7) / 8;
}

/* Bits that hold x: 0 for 0. */
static inline unsigned
bits_width(uint64_t x)
{
	return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

/* Like pack32, of wider values; w from 0 to 64. */
void bits_pack64(uint8_t *out, const uint64_t *v, size_t n, unsigned w,
		 uint64_t base);

/* Sorts n values by their low w bits; the next few above them may count as
 * well, so these must be 0 or of no importance.  TMP has room for n. */
void bits_sort(uint64_t *v, uint64_t *tmp, size_t n, unsigned w);

#endif
