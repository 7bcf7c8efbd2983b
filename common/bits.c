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

const struct bits_ops bits_plain = {
    unpack32, unpack64, affine32, greatest, merge32, merge64, select_rows, scan,
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

/* A group of values of k*w bits, at most 57, enters the stream at once. */
struct packer {
	uint8_t *out;
	uint64_t acc;
	unsigned fill; /* bits of acc that are in use, below 8 */
};

static inline void
packer_add(struct packer *p, uint64_t x, unsigned w)
{
	p->acc |= x << p->fill;
	p->fill += w;
	memcpy(p->out, &p->acc, 8);
	p->out += p->fill / 8;
	p->acc >>= p->fill & 56;
	p->fill %= 8;
}

static inline uint64_t
reduce(uint64_t v, const struct bits_affine *a, uint64_t mask)
{
	return ((v - a->base) >> a->shift) * a->inverse & mask;
}

static void
pack_singly(struct packer *p, const uint64_t *v, size_t n, unsigned w,
	    const struct bits_affine *a)
{
	uint64_t mask = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;

	for (size_t i = 0; i < n; i++) {
		uint64_t x = reduce(v[i], a, mask);

		if (w <= 56) {
			packer_add(p, x, w);
			continue;
		}
		packer_add(p, x & UINT32_MAX, 32);
		packer_add(p, x >> 32, w - 32);
	}
}

void
bits_pack(uint8_t *out, const uint64_t *v, size_t n, unsigned w,
	  const struct bits_affine *a)
{
	struct packer p = {.out = out};
	uint64_t mask = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;
	size_t i = 0;

	if (w == 0)
		return;
	if (w <= 14)
		for (; i + 4 <= n; i += 4)
			packer_add(&p,
				   reduce(v[i], a, mask) |
				       reduce(v[i + 1], a, mask) << w |
				       reduce(v[i + 2], a, mask) << 2 * w |
				       reduce(v[i + 3], a, mask) << 3 * w,
				   4 * w);
	else if (w <= 28)
		for (; i + 2 <= n; i += 2)
			packer_add(&p,
				   reduce(v[i], a, mask) |
				       reduce(v[i + 1], a, mask) << w,
				   2 * w);
	pack_singly(&p, v + i, n - i, w, a);
	*p.out = (uint8_t)p.acc;
}

/* One byte at a time, the lowest first. */
void
bits_sort(uint64_t *v, uint64_t *tmp, size_t n, unsigned w)
{
	uint64_t *from = v, *to = tmp;

	for (unsigned shift = 0; shift < w; shift += 8) {
		size_t at[256] = {0}, sum = 0;
		uint64_t *swap;

		for (size_t i = 0; i < n; i++)
			at[from[i] >> shift & 255]++;
		for (size_t i = 0; i < 256; i++) {
			size_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i] >> shift & 255]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
}
