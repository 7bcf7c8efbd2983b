/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies of kernels that the compiler can vectorize by itself: bits.c and
 * bits_avx2.c each compile them for what their machine has.  Only those two
 * include this.
 */
#ifndef COMMON_BITS_BODY_H
#define COMMON_BITS_BODY_H

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

#endif
