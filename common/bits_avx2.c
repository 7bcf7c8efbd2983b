/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/bits.h"

#include "common/bits_body.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2")))

/* How eight values of w bits, at most 25, come out of two 16-byte loads: the
 * bytes that each lane needs, and by how much it is then shifted. */
struct spread {
	__m256i bytes, shift;
	size_t second; /* where the upper four values' load starts */
};

AVX2 static struct spread
spread(unsigned w)
{
	uint8_t bytes[32];
	uint32_t shift[8];
	struct spread s = {.second = 4 * w / 8};

	for (unsigned i = 0; i < 8; i++) {
		unsigned bit = i * w;
		unsigned byte = bit / 8 - (i < 4 ? 0 : (unsigned)s.second);

		for (unsigned j = 0; j < 4; j++)
			bytes[4 * i + j] = (uint8_t)(byte + j);
		shift[i] = bit % 8;
	}
	s.bytes = _mm256_loadu_si256((const __m256i *)bytes);
	s.shift = _mm256_loadu_si256((const __m256i *)shift);
	return s;
}

AVX2 static inline __m256i
eight(const uint8_t *in, const struct spread *s, __m256i mask)
{
	__m128i low = _mm_loadu_si128((const __m128i *)in);
	__m128i high = _mm_loadu_si128((const __m128i *)(in + s->second));
	__m256i v = _mm256_set_m128i(high, low);

	v = _mm256_shuffle_epi8(v, s->bytes);
	return _mm256_and_si256(_mm256_srlv_epi32(v, s->shift), mask);
}

AVX2 static void
unpack32(const uint8_t *in, size_t n, unsigned w, uint32_t *out)
{
	struct spread s;
	__m256i mask;

	if (w > 25) {
		bits_plain.unpack32(in, n, w, out);
		return;
	}
	s = spread(w);
	mask = _mm256_set1_epi32((1 << w) - 1);
	for (size_t i = 0; i < n; i += 8, in += w)
		_mm256_storeu_si256((__m256i *)(out + i), eight(in, &s, mask));
}

AVX2 static void
unpack64(const uint8_t *in, size_t n, unsigned w, uint64_t base, uint64_t scale,
	 uint64_t *out)
{
	struct spread s;
	__m256i mask, b = _mm256_set1_epi64x((long long)base);

	if (w > 25 || scale != 1) {
		if (w <= 57)
			bits_unpack64_body(in, n, w, base, scale, out);
		else
			bits_wide64_body(in, n, w, base, scale, out);
		return;
	}
	s = spread(w);
	mask = _mm256_set1_epi32((1 << w) - 1);
	for (size_t i = 0; i < n; i += 8, in += w) {
		__m256i v = eight(in, &s, mask);
		__m256i low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(v));
		__m256i high =
		    _mm256_cvtepu32_epi64(_mm256_extracti128_si256(v, 1));

		_mm256_storeu_si256((__m256i *)(out + i),
				    _mm256_add_epi64(low, b));
		_mm256_storeu_si256((__m256i *)(out + i + 4),
				    _mm256_add_epi64(high, b));
	}
}

AVX2 static void
affine32(uint32_t *v, size_t n, uint32_t base, uint32_t scale)
{
	bits_affine32_body(v, n, base, scale);
}

AVX2 static uint32_t
greatest(const uint32_t *v, size_t n)
{
	return bits_greatest_body(v, n);
}

/* Bytes of all ones where a bit of M is set. */
AVX2 static inline uint64_t
bytes_of(unsigned m)
{
	return _pdep_u64(m, UINT64_C(0x0101010101010101)) * 255;
}

#define IN_ORDER UINT64_C(0x0706050403020100)

/* Lanes set in M take the values of V in turn, from the first. */
AVX2 static inline __m256i
spread32(__m256i v, unsigned m)
{
	uint64_t from = _pdep_u64(IN_ORDER, bytes_of(m));
	__m128i lanes = _mm_cvtsi64_si128((long long)from);

	return _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(lanes));
}

/* The same of four wide lanes. */
AVX2 static inline __m256i
spread64(__m256i v, unsigned m)
{
	uint64_t from = _pdep_u64(IN_ORDER, bytes_of(m));
	__m128i low = _mm_cvtsi64_si128((long long)from);
	__m256i lanes = _mm256_cvtepu8_epi64(low);

	lanes = _mm256_add_epi64(lanes, lanes);
	lanes = _mm256_or_si256(lanes, _mm256_slli_epi64(lanes, 32));
	lanes = _mm256_or_si256(lanes, _mm256_set1_epi64x(1LL << 32));
	return _mm256_permutevar8x32_epi32(v, lanes);
}

/* The entries up to LAST, below 8. */
AVX2 static inline __m256i
load_first(const uint32_t *dict, uint32_t last)
{
	uint32_t v[8] = {0};

	memcpy(v, dict, (last + 1) * sizeof(v[0]));
	return _mm256_loadu_si256((const __m256i *)v);
}

/* Entries of a dictionary; a short one is in a register. */
AVX2 static inline __m256i
entries32(const uint32_t *dict, __m256i first, bool few, __m256i code)
{
	if (few)
		return _mm256_permutevar8x32_epi32(first, code);
	return _mm256_i32gather_epi32((const int *)dict, code, 4);
}

AVX2 static size_t
merge32(uint32_t *out, size_t n, const uint32_t *code, uint32_t escaped,
	const uint32_t *dict, const uint32_t *rest)
{
	const uint32_t *start = rest;
	bool few = escaped < 8;
	__m256i first = _mm256_setzero_si256();
	__m256i last = _mm256_set1_epi32((int)escaped);
	size_t i = 0;

	if (few)
		first = load_first(dict, escaped);
	for (; i + 8 <= n; i += 8) {
		__m256i c = _mm256_loadu_si256((const __m256i *)(code + i));
		__m256i is = _mm256_cmpeq_epi32(c, last);
		unsigned m =
		    (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(is));
		__m256i x = entries32(dict, first, few, c);
		__m256i y = _mm256_loadu_si256((const __m256i *)rest);

		x = _mm256_blendv_epi8(x, spread32(y, m), is);
		_mm256_storeu_si256((__m256i *)(out + i), x);
		rest += __builtin_popcount(m);
	}
	rest +=
	    bits_merge32_body(out + i, n - i, code + i, escaped, dict, rest);
	return (size_t)(rest - start);
}

AVX2 static size_t
merge64(uint64_t *out, size_t n, const uint32_t *code, uint32_t escaped,
	const uint64_t *dict, const uint64_t *rest)
{
	const uint64_t *start = rest;
	__m128i last = _mm_set1_epi32((int)escaped);
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		__m128i c = _mm_loadu_si128((const __m128i *)(code + i));
		__m128i is = _mm_cmpeq_epi32(c, last);
		unsigned m = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(is));
		__m256i x =
		    _mm256_i32gather_epi64((const long long *)dict, c, 8);
		__m256i y = _mm256_loadu_si256((const __m256i *)rest);

		x = _mm256_blendv_epi8(x, spread64(y, m),
				       _mm256_cvtepi32_epi64(is));
		_mm256_storeu_si256((__m256i *)(out + i), x);
		rest += __builtin_popcount(m);
	}
	rest +=
	    bits_merge64_body(out + i, n - i, code + i, escaped, dict, rest);
	return (size_t)(rest - start);
}

AVX2 static size_t
select_rows(const uint8_t *mask, const uint32_t *sel, size_t n, uint32_t *out)
{
	__m256i row = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	size_t i = 0, k = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t bytes = bits_load64(mask + i);
		uint64_t from = _pext_u64(IN_ORDER, bytes * 255);
		__m256i v = row;

		row = _mm256_add_epi32(row, _mm256_set1_epi32(8));
		if (!bytes)
			continue;
		if (sel)
			v = _mm256_loadu_si256((const __m256i *)(sel + i));
		v = _mm256_permutevar8x32_epi32(
		    v,
		    _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)from)));
		_mm256_storeu_si256((__m256i *)(out + k), v);
		k += (size_t)__builtin_popcountll(bytes);
	}
	for (; i < n; i++) {
		uint32_t at = sel ? sel[i] : (uint32_t)i;

		out[k] = at;
		k += mask[i];
	}
	return k;
}

AVX2 static void
scan(const uint64_t *v, size_t n, struct bits_scan *s)
{
	bits_scan_body(v, n, s);
}

AVX2 static bool
divide32(const uint32_t *v, size_t n, const struct bits_step *s, uint32_t *out)
{
	return bits_divide32_body(v, n, s, out);
}

AVX2 static void
scan32(const uint32_t *v, size_t n, struct bits_scan32 *s)
{
	bits_scan32_body(v, n, s);
}

/* Eight values, less the base, as four pairs of 2*w bits. */
AVX2 static inline __m256i
pairs(const uint32_t *v, __m256i base, __m256i mask, __m128i gap)
{
	const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
	__m256i x = _mm256_loadu_si256((const __m256i *)v);

	x = _mm256_and_si256(_mm256_sub_epi32(x, base), mask);
	return _mm256_or_si256(
	    _mm256_and_si256(x, low),
	    _mm256_srl_epi64(_mm256_andnot_si256(low, x), gap));
}

AVX2 static void
pack32(uint8_t *out, const uint32_t *v, size_t n, unsigned w, uint32_t base)
{
	struct bits_packer p = {.out = out};
	__m256i b = _mm256_set1_epi32((int)base);
	__m256i mask = _mm256_set1_epi32((int)((UINT64_C(1) << w) - 1));
	__m128i gap = _mm_cvtsi32_si128(32 - (int)w);
	__m128i two = _mm_cvtsi32_si128(2 * (int)w);
	size_t i = 0;

	if (bits_pack_typed(out, v, n, w, base))
		return;
	if (w <= 14)
		for (; i + 8 <= n; i += 8) {
			__m256i x = pairs(v + i, b, mask, gap);

			x = _mm256_or_si256(
			    x, _mm256_sll_epi64(_mm256_srli_si256(x, 8), two));
			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 0), 4 * w);
			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 2), 4 * w);
		}
	else if (w <= 28)
		for (; i + 8 <= n; i += 8) {
			__m256i x = pairs(v + i, b, mask, gap);

			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 0), 2 * w);
			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 1), 2 * w);
			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 2), 2 * w);
			bits_packer_add(
			    &p, (uint64_t)_mm256_extract_epi64(x, 3), 2 * w);
		}
	bits_pack_rest(&p, v + i, n - i, w, base);
}

const struct bits_ops bits_avx2 = {
    unpack32,	 unpack64, affine32, greatest, merge32, merge64,
    select_rows, scan,	   scan32,   divide32, pack32,
};

#endif
