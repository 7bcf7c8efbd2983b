/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/bits.h"

#include <string.h>

#include "common/bits_body.h"

static void
unpack32(const uint8_t *in, size_t n, unsigned w, uint32_t *out)
{
	uint32_t mask = (uint32_t)((UINT64_C(1) << w) - 1);

	for (size_t i = 0; i < n; i++) {
		size_t bit = i * w;

		out[i] =
		    (uint32_t)(bits_load64(in + bit / 8) >> bit % 8) & mask;
	}
}

static void
unpack64(const uint8_t *in, size_t n, unsigned w, uint64_t base, uint64_t scale,
	 uint64_t *out)
{
	if (w <= 57)
		bits_unpack64_body(in, n, w, base, scale, out);
	else
		bits_wide64_body(in, n, w, base, scale, out);
}

static void
affine32(uint32_t *v, size_t n, uint32_t base, uint32_t scale)
{
	bits_affine32_body(v, n, base, scale);
}

static uint32_t
greatest(const uint32_t *v, size_t n)
{
	return bits_greatest_body(v, n);
}

static size_t
merge32(uint32_t *out, size_t n, const uint32_t *code, uint32_t escaped,
	const uint32_t *dict, const uint32_t *rest)
{
	return bits_merge32_body(out, n, code, escaped, dict, rest);
}

static size_t
merge64(uint64_t *out, size_t n, const uint32_t *code, uint32_t escaped,
	const uint64_t *dict, const uint64_t *rest)
{
	return bits_merge64_body(out, n, code, escaped, dict, rest);
}

static size_t
select_rows(const uint8_t *mask, const uint32_t *sel, size_t n, uint32_t *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		out[k] = sel ? sel[i] : (uint32_t)i;
		k += mask[i];
	}
	return k;
}

static void
scan(const uint64_t *v, size_t n, struct bits_scan *s)
{
	bits_scan_body(v, n, s);
}

static bool
divide32(const uint32_t *v, size_t n, const struct bits_step *s, uint32_t *out)
{
	return bits_divide32_body(v, n, s, out);
}

static void
scan32(const uint32_t *v, size_t n, struct bits_scan32 *s)
{
	bits_scan32_body(v, n, s);
}

static void
pack32(uint8_t *out, const uint32_t *v, size_t n, unsigned w, uint32_t base)
{
	struct bits_packer p = {.out = out};
	uint64_t mask = (UINT64_C(1) << w) - 1;
	size_t i = 0;

	if (bits_pack_typed(out, v, n, w, base))
		return;
	if (w <= 28)
		for (; i + 2 <= n; i += 2)
			bits_packer_add(&p,
					((v[i] - base) & mask) |
					    ((v[i + 1] - base) & mask) << w,
					2 * w);
	bits_pack_rest(&p, v + i, n - i, w, base);
}

const struct bits_ops bits_plain = {
    unpack32,	 unpack64, affine32, greatest, merge32, merge64,
    select_rows, scan,	   scan32,   divide32, pack32,
};

const struct bits_ops *
bits_ops(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		return &bits_avx2;
#endif
	return &bits_plain;
}

void
bits_pack64(uint8_t *out, const uint64_t *v, size_t n, unsigned w,
	    uint64_t base)
{
	struct bits_packer p = {.out = out};
	uint64_t mask = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;

	if (w == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t x = (v[i] - base) & mask;

		if (w <= 56) {
			bits_packer_add(&p, x, w);
			continue;
		}
		bits_packer_add(&p, x & UINT32_MAX, 32);
		bits_packer_add(&p, x >> 32, w - 32);
	}
	bits_packer_end(&p);
}

/* Digit by digit, the lowest first; digits that all share are passed over. AT
 * has room for 2^bits counts per digit. */
static inline __attribute__((always_inline)) void
sort_digits(uint64_t *v, uint64_t *tmp, size_t n, unsigned w, uint32_t *at,
	    unsigned bits)
{
	uint64_t *from = v, *to = tmp;
	size_t mask = ((size_t)1 << bits) - 1;
	unsigned digits = (w + bits - 1) / bits;

	memset(at, 0, digits * sizeof(*at) << bits);
	for (size_t i = 0; i < n; i++)
		for (unsigned d = 0; d < digits; d++)
			at[(size_t)d << bits | (v[i] >> bits * d & mask)]++;
	for (unsigned d = 0; d < digits; d++, at += mask + 1) {
		uint32_t sum = 0;
		uint64_t *swap;

		if (at[v[0] >> bits * d & mask] == n)
			continue;
		for (size_t i = 0; i <= mask; i++) {
			uint32_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i] >> bits * d & mask]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
}

void
bits_sort(uint64_t *v, uint64_t *tmp, size_t n, unsigned w)
{
	enum { FEW = 8, MANY = 11 }; /* bits of a digit */
	uint32_t few[(64 / FEW) << FEW], many[3 << MANY];

	if (n == 0)
		return;
	/* large tables of counts pay for many values only */
	if (n < 4096 || w > 3 * MANY)
		sort_digits(v, tmp, n, w, few, FEW);
	else
		sort_digits(v, tmp, n, w, many, MANY);
}
