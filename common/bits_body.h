/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies of kernels that the compiler can vectorize by itself: bits.c and
 * bits_avx2.c each compile them for what their machine has.  Only those two
 * include this.
 */
#ifndef COMMON_BITS_BODY_H
#define COMMON_BITS_BODY_H

#include <stdbool.h>
#include <string.h>

#include "common/bits.h"

#define BITS_BODY static inline __attribute__((always_inline))

BITS_BODY uint64_t
bits_load64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

BITS_BODY void
bits_affine32_body(uint32_t *v, size_t n, uint32_t base, uint32_t scale)
{
	if (scale == 1 && base == 0)
		return;
	if (scale == 1)
		for (size_t i = 0; i < n; i++)
			v[i] += base;
	else
		for (size_t i = 0; i < n; i++)
			v[i] = v[i] * scale + base;
}

BITS_BODY uint32_t
bits_greatest_body(const uint32_t *v, size_t n)
{
	uint32_t max = 0;

	for (size_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	return max;
}

/* For w from 0 to 57, where 8 bytes hold a value whatever its first bit. */
BITS_BODY void
bits_unpack64_body(const uint8_t *in, size_t n, unsigned w, uint64_t base,
		   uint64_t scale, uint64_t *out)
{
	uint64_t mask = (UINT64_C(1) << w) - 1;

	for (size_t i = 0; i < n; i++) {
		size_t bit = i * w;

		out[i] = base +
			 scale * (bits_load64(in + bit / 8) >> bit % 8 & mask);
	}
}

BITS_BODY void
bits_wide64_body(const uint8_t *in, size_t n, unsigned w, uint64_t base,
		 uint64_t scale, uint64_t *out)
{
	uint64_t mask = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;

	for (size_t i = 0; i < n; i++) {
		size_t bit = i * w;
		uint64_t x = bits_load64(in + bit / 8) >> bit % 8;

		/* the ninth byte, shifted in two steps: by 64 is undefined */
		x |= (uint64_t)in[bit / 8 + 8] << 1 << (63 - bit % 8);
		out[i] = base + scale * (x & mask);
	}
}

/* Which rows are escaped cannot be foreseen, so there is no branch on it: both
 * values are read and one is taken. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type does not stand in them */
#define BITS_MERGE(name, type)                                              \
	BITS_BODY size_t name(type *out, size_t n, const uint32_t *code,    \
			      uint32_t escaped, const type *dict,           \
			      const type *rest)                             \
	{                                                                   \
		const type *start = rest;                                   \
                                                                            \
		for (size_t i = 0; i < n; i++) {                            \
			type x = dict[code[i]], y = *rest;                  \
			/* all ones below, 0 when escaped; not written as   \
			 * ==, of which a compiler makes a branch */        \
			int64_t below = ((int64_t)code[i] - escaped) >> 63; \
                                                                            \
			out[i] = y ^ ((x ^ y) & (type)below);               \
			rest += 1 + below;                                  \
		}                                                           \
		return (size_t)(rest - start);                              \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

BITS_MERGE(bits_merge32_body, uint32_t)
BITS_MERGE(bits_merge64_body, uint64_t)

BITS_BODY void
bits_scan_body(const uint64_t *v, size_t n, struct bits_scan *s)
{
	int64_t min = (int64_t)v[0], max = min;
	int64_t step_min = INT64_MAX, step_max = INT64_MIN;
	uint64_t sum = v[0];
	uint64_t runs = 1;

	for (size_t i = 1; i < n; i++) {
		int64_t x = (int64_t)v[i];
		int64_t step = (int64_t)(v[i] - v[i - 1]);

		min = x < min ? x : min;
		max = x > max ? x : max;
		step_min = step < step_min ? step : step_min;
		step_max = step > step_max ? step : step_max;
		sum += v[i];
		runs += step != 0;
	}
	s->min = min;
	s->max = max;
	s->step_min = n > 1 ? step_min : 0;
	s->step_max = n > 1 ? step_max : 0;
	s->sum = sum;
	s->runs = runs;
}

BITS_BODY void
bits_scan32_body(const uint32_t *v, size_t n, struct bits_scan32 *s)
{
	uint32_t min = v[0], max = min, runs = 1;
	int32_t step_min = INT32_MAX, step_max = INT32_MIN;
	uint64_t sum = v[0];

	for (size_t i = 1; i < n; i++) {
		int32_t step = (int32_t)(v[i] - v[i - 1]);

		min = v[i] < min ? v[i] : min;
		max = v[i] > max ? v[i] : max;
		step_min = step < step_min ? step : step_min;
		step_max = step > step_max ? step : step_max;
		sum += v[i];
		runs += step != 0;
	}
	*s = (struct bits_scan32){.min = min,
				  .max = max,
				  .step_min = n > 1 ? step_min : 0,
				  .step_max = n > 1 ? step_max : 0,
				  .sum = sum,
				  .runs = runs};
}

BITS_BODY bool
bits_divide32_body(const uint32_t *v, size_t n, const struct bits_step *s,
		   uint32_t *out)
{
	uint32_t low = ((uint32_t)1 << s->shift) - 1, bad = 0;
	uint32_t base = s->base, inverse = s->inverse, most = s->most;
	unsigned shift = s->shift;

	for (size_t i = 0; i < n; i++) {
		uint32_t x = v[i] - base, q = (x >> shift) * inverse;

		bad |= (x & low) | (q > most);
		out[i] = q;
	}
	return !bad;
}

/* A group of values of k*w bits, at most 56, enters the stream at once. */
struct bits_packer {
	uint8_t *out;
	uint64_t acc;
	unsigned fill; /* bits of acc that are in use, below 8 */
};

BITS_BODY void
bits_packer_add(struct bits_packer *p, uint64_t x, unsigned w)
{
	p->acc |= x << p->fill;
	p->fill += w;
	memcpy(p->out, &p->acc, 8);
	p->out += p->fill / 8;
	p->acc >>= p->fill & 56;
	p->fill %= 8;
}

BITS_BODY void
bits_packer_end(struct bits_packer *p)
{
	*p->out = (uint8_t)p->acc;
}

/* Widths that are types. */
BITS_BODY bool
bits_pack_typed(uint8_t *out, const uint32_t *v, size_t n, unsigned w,
		uint32_t base)
{
	if (w == 8)
		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t)(v[i] - base);
	else if (w == 16)
		for (size_t i = 0; i < n; i++)
			memcpy(out + 2 * i,
			       &(uint16_t){(uint16_t)(v[i] - base)}, 2);
	else if (w == 32)
		for (size_t i = 0; i < n; i++)
			memcpy(out + 4 * i, &(uint32_t){v[i] - base}, 4);
	return w == 0 || w == 8 || w == 16 || w == 32;
}

/* The rest of a pack32, from value i on. */
BITS_BODY void
bits_pack_rest(struct bits_packer *p, const uint32_t *v, size_t n, unsigned w,
	       uint32_t base)
{
	uint32_t mask = (uint32_t)((UINT64_C(1) << w) - 1);

	for (size_t i = 0; i < n; i++)
		bits_packer_add(p, (v[i] - base) & mask, w);
	bits_packer_end(p);
}

#endif
