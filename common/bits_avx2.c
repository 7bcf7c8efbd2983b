/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/bits.h"

#include "common/bits_body.h"

#if defined(__x86_64__)
#include <immintrin.h>

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

AVX2 static void
scan(const uint64_t *v, size_t n, struct bits_scan *s)
{
	bits_scan_body(v, n, s);
}

const struct bits_ops bits_avx2 = {unpack32, unpack64, affine32, greatest,
				   scan};

#endif
