/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/bits.h"
#include "common/decode.h"
#include "common/encode.h"

static struct encoder *enc;
static uint64_t value[BATCH_ROWS_MAX], back[BATCH_ROWS_MAX + DECODE_SLACK];
static uint32_t small[BATCH_ROWS_MAX];
static uint32_t low[BATCH_ROWS_MAX + DECODE_SLACK];
static uint8_t scratch[100 * (BATCH_ROWS_MAX + 2 * DECODE_SLACK)];

static uint64_t seed;

static uint64_t
rnd(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33 ^ seed << 31;
}

static void
setup(void)
{
	enc = encoder_new();
	ck_assert_ptr_nonnull(enc);
	seed = 42;
}

static void
teardown(void)
{
	encoder_free(enc);
}

static struct decoder
decoder(const struct bytes *b, size_t len)
{
	return (struct decoder){.p = b->p,
				.end = b->p + len,
				.limit = b->p + b->len,
				.ops = bits_ops(),
				.scratch = scratch,
				.scratch_end = scratch + sizeof(scratch)};
}

/* Encodes value[0, n), decodes it both ways, and returns the kind. */
static enum encoding
round_trip(size_t n)
{
	static const uint8_t pad[BITS_PAD];
	struct bytes b = {0};
	struct decoder d;
	size_t len;
	enum encoding kind;

	encode_any(enc, value, n, &b);
	len = b.len;
	bytes_add(&b, pad, sizeof(pad));
	ck_assert(!b.failed);
	kind = (enum encoding)b.p[0];
	d = decoder(&b, len);
	ck_assert_msg(decode_vector64(&d, n, back) == 0, "kind %d: %s", kind,
		      d.bad);
	ck_assert_ptr_eq(d.p, d.end);
	ck_assert_ptr_eq(d.scratch, scratch);
	/* Check's assertions are slow: only where there is a difference */
	for (size_t i = 0; i < n; i++)
		if (back[i] != value[i])
			ck_abort_msg("kind %d, value %zu of %zu", kind, i, n);
	d = decoder(&b, len);
	ck_assert_int_eq(decode_vector32(&d, n, low), 0);
	for (size_t i = 0; i < n; i++)
		if (low[i] != (uint32_t)value[i])
			ck_abort_msg("kind %d, low half %zu", kind, i);
	bytes_clear(&b);
	return kind;
}

static const size_t sizes[] = {1,   2,	 3,   7,    8,	   9,	  63,	64,
			       100, 511, 512, 1000, 10000, 65535, 65536};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

START_TEST(test_constant)
{
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			value[i] = UINT64_MAX - 5;
		ck_assert_int_eq(round_trip(sizes[s]), ENC_CONST);
	}
}
END_TEST

START_TEST(test_widths)
{
	for (unsigned w = 1; w <= 64; w++)
		for (size_t s = 0; s < SIZES - 2; s++) {
			uint64_t base = rnd();

			for (size_t i = 0; i < sizes[s]; i++)
				value[i] = base + (rnd() << 32 ^ rnd()) %
						      (UINT64_MAX >> (64 - w));
			round_trip(sizes[s]);
		}
}
END_TEST

START_TEST(test_scale)
{
	for (size_t i = 0; i < 65536; i++)
		value[i] = 1700000000000000 + rnd() % 60000 * 1000;
	ck_assert_int_eq(round_trip(65536), ENC_PACKED);
	for (size_t i = 0; i < 65536; i++)
		value[i] = 0 - rnd() % 60000 * 96;
	ck_assert_int_eq(round_trip(65536), ENC_PACKED);
}
END_TEST

START_TEST(test_runs)
{
	uint64_t x = 0;

	for (size_t s = 5; s < SIZES; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			value[i] = x = rnd() % 25 ? x : rnd();
		round_trip(sizes[s]);
	}
	ck_assert_int_eq(round_trip(65536), ENC_RUNS);
}
END_TEST

START_TEST(test_dictionary)
{
	static uint64_t word[30000];

	for (size_t i = 0; i < 30000; i++)
		word[i] = rnd() & 0xffffffff;
	for (size_t distinct = 20; distinct <= 2000; distinct *= 10) {
		for (size_t i = 0; i < 65536; i++)
			value[i] = word[rnd() % distinct];
		ck_assert_int_eq(round_trip(65536), ENC_DICT);
	}
	/* too wide to be sorted */
	for (size_t i = 0; i < 65536; i++)
		value[i] = word[rnd() % 100] * 0x9e3779b97f4a7c15;
	ck_assert_int_eq(round_trip(65536), ENC_DICT);
}
END_TEST

START_TEST(test_patched)
{
	for (size_t s = 8; s < SIZES; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			value[i] = rnd() % 100 ? 1000 + rnd() % 5000
					       : rnd() & 0xffffffff;
		round_trip(sizes[s]);
	}
	ck_assert_int_eq(round_trip(65536), ENC_PATCHED);
	/* outliers below as well */
	for (size_t i = 0; i < 65536; i++)
		value[i] = rnd() % 50 ? 1 << 30 | rnd() % 512 : 0;
	round_trip(65536);
}
END_TEST

START_TEST(test_delta)
{
	uint64_t x = 1000;

	for (size_t s = 0; s < SIZES; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			value[i] = x += rnd() % 4;
		round_trip(sizes[s]);
	}
	ck_assert_int_eq(round_trip(65536), ENC_DELTA);
	for (size_t i = 0; i < 65536; i++)
		value[i] = i * i * i;
	ck_assert_int_eq(round_trip(65536), ENC_DELTA);
}
END_TEST

START_TEST(test_escape)
{
	static const uint64_t often[] = {443, 80, 53, 22, 8080, 123};

	for (size_t s = 8; s < SIZES; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			value[i] =
			    rnd() % 10 < 6 ? often[rnd() % 6] : rnd() % 65536;
		round_trip(sizes[s]);
	}
	ck_assert_int_eq(round_trip(65536), ENC_ESCAPE);
}
END_TEST

/* Vectors made of anything, so that parts nest in all ways. */
START_TEST(test_mixtures)
{
	for (size_t round = 0; round < 2000; round++) {
		size_t n = 1 + rnd() % 3000;
		uint64_t base = rnd() % 3 ? rnd() : 0 - rnd();
		unsigned w = (unsigned)(rnd() % 64), how = (unsigned)rnd() % 6;
		uint64_t mask = w ? UINT64_MAX >> (64 - w) : 0, x = base;

		for (size_t i = 0; i < n; i++) {
			uint64_t r = rnd() << 32 ^ rnd();

			if (how == 0 || rnd() % 8 == 0)
				x = base + (r & mask);
			else if (how == 1)
				x += r % 7;
			else if (how == 2)
				x = base + r % 3;
			else if (how == 3)
				x = value[r % (i + 1)];
			else if (how == 4)
				x = base + i / 10 * 10;
			value[i] = x;
		}
		round_trip(n);
	}
}
END_TEST

START_TEST(test_unpack_agrees)
{
	static uint8_t packed[8 * 1000 + BITS_PAD + 8];
	static uint64_t a[1000 + 8], b[1000 + 8];
	static uint32_t c[1000 + 8], d[1000 + 8];

	for (size_t i = 0; i < sizeof(packed); i++)
		packed[i] = (uint8_t)rnd();
	for (unsigned w = 0; w <= 64; w++)
		for (size_t n = 0; n <= 1000; n += n < 40 ? 1 : 97) {
			uint64_t base = rnd(), scale = rnd() % 3 ? 1 : rnd();

			bits_plain.unpack64(packed, n, w, base, scale, a);
			bits_ops()->unpack64(packed, n, w, base, scale, b);
			ck_assert_mem_eq(a, b, n * sizeof(*a));
			if (w > 32)
				continue;
			bits_plain.unpack32(packed, n, w, c);
			bits_ops()->unpack32(packed, n, w, d);
			ck_assert_mem_eq(c, d, n * sizeof(*c));
			ck_assert_uint_eq(bits_plain.greatest(c, n),
					  bits_ops()->greatest(c, n));
			bits_plain.affine32(c, n, (uint32_t)base, 7);
			bits_ops()->affine32(d, n, (uint32_t)base, 7);
			ck_assert_mem_eq(c, d, n * sizeof(*c));
		}
}
END_TEST

/* Every number of entries that is treated apart, and codes of all kinds. */
START_TEST(test_merge_agrees)
{
	static uint32_t code[1000 + 8], dict[256], rest[1000 + 8];
	static uint32_t a[1000 + 8], b[1000 + 8];
	static uint64_t wide_dict[256], wide_rest[1000 + 8];
	static uint64_t c[1000 + 8], d[1000 + 8];

	for (size_t i = 0; i < 256; i++)
		dict[i] = (uint32_t)(wide_dict[i] = rnd() << 32 ^ rnd());
	for (size_t i = 0; i < 1008; i++)
		rest[i] = (uint32_t)(wide_rest[i] = rnd() << 32 ^ rnd());
	for (size_t round = 0; round < 2000; round++) {
		uint32_t last =
		    (uint32_t)(round % 3 ? rnd() % 12 : rnd() % 256);
		size_t n = rnd() % 1001, often = rnd() % 5;

		for (size_t i = 0; i < n; i++)
			code[i] = rnd() % 4 < often
				      ? last
				      : (uint32_t)(rnd() % (last + 1));
		ck_assert_uint_eq(
		    bits_plain.merge32(a, n, code, last, dict, rest),
		    bits_ops()->merge32(b, n, code, last, dict, rest));
		ck_assert_mem_eq(a, b, n * sizeof(*a));
		ck_assert_uint_eq(
		    bits_plain.merge64(c, n, code, last, wide_dict, wide_rest),
		    bits_ops()->merge64(d, n, code, last, wide_dict,
					wide_rest));
		ck_assert_mem_eq(c, d, n * sizeof(*c));
	}
}
END_TEST

START_TEST(test_select_agrees)
{
	static uint8_t mask[1000];
	static uint32_t a[1000 + 8], b[1000 + 8];

	for (size_t round = 0; round < 2000; round++) {
		size_t n = rnd() % 1001, often = rnd() % 18, k;

		for (size_t i = 0; i < n; i++)
			mask[i] = rnd() % 16 < often;
		k = bits_plain.select(mask, NULL, n, a);
		ck_assert_uint_eq(k, bits_ops()->select(mask, NULL, n, b));
		ck_assert_mem_eq(a, b, k * sizeof(*a));
		/* In place, over what was selected. */
		n = k;
		k = bits_plain.select(mask, a, n, a);
		ck_assert_uint_eq(k, bits_ops()->select(mask, b, n, b));
		ck_assert_mem_eq(a, b, k * sizeof(*a));
	}
}
END_TEST

/* Fills value and small with runs of values of any width. */
static void
fill_any(size_t n)
{
	uint64_t mask = UINT64_MAX >> rnd() % 64;

	for (size_t i = 0; i < n; i++) {
		value[i] = rnd() % 3 && i ? value[i - 1] : rnd() * rnd() & mask;
		small[i] = (uint32_t)value[i];
	}
}

START_TEST(test_scan_agrees)
{
	for (size_t n = 1; n < 3000; n += 1 + n / 7) {
		struct bits_scan a, b;
		struct bits_scan32 c, d;

		memset(&c, 0, sizeof(c));
		memset(&d, 0, sizeof(d));
		fill_any(n);
		bits_plain.scan(value, n, &a);
		bits_ops()->scan(value, n, &b);
		ck_assert_mem_eq(&a, &b, sizeof(a));
		bits_plain.scan32(small, n, &c);
		bits_ops()->scan32(small, n, &d);
		ck_assert_uint_eq(c.min, d.min);
		ck_assert_uint_eq(c.max, d.max);
		ck_assert_int_eq(c.step_min, d.step_min);
		ck_assert_int_eq(c.step_max, d.step_max);
		ck_assert_uint_eq(c.sum, d.sum);
		ck_assert_uint_eq(c.runs, d.runs);
	}
}
END_TEST

START_TEST(test_scan_is_right)
{
	static const uint32_t v[] = {7, 7, 3, UINT32_MAX, 0, 0};
	struct bits_scan32 s;

	bits_ops()->scan32(v, 6, &s);
	ck_assert_uint_eq(s.min, 0);
	ck_assert_uint_eq(s.max, UINT32_MAX);
	ck_assert_uint_eq(s.sum, (uint64_t)UINT32_MAX + 17);
	ck_assert_uint_eq(s.runs, 4);
	bits_ops()->scan32(v, 3, &s);
	ck_assert_int_eq(s.step_min, -4);
	ck_assert_int_eq(s.step_max, 0);
	bits_ops()->scan32(v, 1, &s);
	ck_assert_int_eq(s.step_min, 0);
	ck_assert_int_eq(s.step_max, 0);
}
END_TEST

/* What is above the width is cut off, nothing is written past the end, and
 * both give the bits that unpack32 takes. */
START_TEST(test_pack_agrees)
{
	enum { N = 300 };
	static uint8_t a[4 * N + 8], b[sizeof(a)];
	static uint32_t back32[N + 8];

	for (unsigned w = 0; w <= 32; w++)
		for (size_t n = 0; n <= N; n += n < 40 ? 1 : 37) {
			uint32_t base = (uint32_t)rnd();
			size_t len = bits_size(n, w);
			uint32_t mask = (uint32_t)((UINT64_C(1) << w) - 1);

			for (size_t i = 0; i < n; i++)
				small[i] = (uint32_t)rnd();
			memset(a, 0xee, sizeof(a));
			memset(b, 0xee, sizeof(b));
			bits_plain.pack32(a, small, n, w, base);
			bits_ops()->pack32(b, small, n, w, base);
			ck_assert_mem_eq(a, b, len);
			for (size_t i = len + 8; i < sizeof(a); i++)
				ck_assert(a[i] == 0xee && b[i] == 0xee);
			bits_plain.unpack32(a, n, w, back32);
			for (size_t i = 0; i < n; i++)
				ck_assert_uint_eq(back32[i],
						  (small[i] - base) & mask);
		}
}
END_TEST

START_TEST(test_divide_agrees)
{
	static uint32_t a[1000], b[1000];

	for (size_t round = 0; round < 3000; round++) {
		unsigned shift = (unsigned)(rnd() % 12);
		uint32_t odd = (uint32_t)(rnd() % 2000) | 1;
		size_t n = 1 + rnd() % 1000;
		struct bits_step s = {.base = (uint32_t)rnd(),
				      .shift = shift,
				      .inverse = odd,
				      .most = UINT32_MAX / odd};
		bool whole = rnd() % 4 != 0;

		for (int i = 0; i < 4; i++)
			s.inverse *= 2 - odd * s.inverse;
		for (size_t i = 0; i < n; i++) {
			b[i] = (uint32_t)(rnd() % 500);
			small[i] = s.base + (b[i] * odd << shift);
		}
		if (!whole && odd << shift > 1)
			small[rnd() % n] += 1;
		else
			whole = true;
		ck_assert(bits_ops()->divide32(small, n, &s, a) == whole);
		if (whole)
			ck_assert_mem_eq(a, b, n * sizeof(*a));
		ck_assert(bits_plain.divide32(small, n, &s, b) == whole);
		ck_assert_mem_eq(a, b, n * sizeof(*a));
	}
}
END_TEST

START_TEST(test_sort)
{
	static uint64_t tmp[20000];

	for (size_t n = 0; n < 20000; n += 1 + n / 3)
		for (unsigned w = 1; w <= 64; w += 7) {
			uint64_t mask = UINT64_MAX >> (64 - w);

			for (size_t i = 0; i < n; i++)
				value[i] = (rnd() << 32 ^ rnd()) & mask;
			bits_sort(value, tmp, n, w);
			for (size_t i = 1; i < n; i++)
				if (value[i - 1] > value[i])
					ck_abort_msg("%u bits, %zu", w, i);
		}
}
END_TEST

/* Times that are multiples of a millisecond but for one that is far off: both
 * the step and the exception are found. */
START_TEST(test_outlier_of_times)
{
	struct bytes b = {0};

	for (size_t i = 0; i < 65536; i++)
		value[i] = 1700000000000000 + rnd() % 600000 * 1000;
	value[777] = 12345;
	ck_assert_int_eq(round_trip(65536), ENC_PATCHED);
	encode_any(enc, value, 65536, &b);
	ck_assert_uint_lt(b.len, 65536 * 21 / 8);
	bytes_clear(&b);
}
END_TEST

/* Flips bits and cuts: errors or other values, and no fault of memory (run
 * under the sanitizers to see). */
START_TEST(test_damage)
{
	size_t n = 3000, refused = 0;

	for (size_t round = 0; round < 3000; round++) {
		static const uint8_t pad[BITS_PAD];
		struct bytes b = {0};
		struct decoder d;
		uint64_t x = 0;

		for (size_t i = 0; i < n; i++)
			value[i] = x = round % 3 == 0	? rnd() % 1000 % 70
				       : round % 3 == 1 ? x + rnd() % 2
				       : rnd() % 20	? x
							: rnd();
		encode_any(enc, value, n, &b);
		b.p[rnd() % (rnd() % 2 ? 40 : b.len)] ^= 1 << rnd() % 8;
		bytes_add(&b, pad, sizeof(pad));
		d = decoder(&b, b.len - (rnd() % 2 ? 0 : rnd() % b.len));
		refused += decode_vector64(&d, n, back) != 0;
		d = decoder(&b, b.len);
		decode_vector32(&d, n, low);
		bytes_clear(&b);
	}
	ck_assert_uint_gt(refused, 100);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("encode");
	TCase *c = tcase_create("vectors");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, c);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_constant);
	tcase_add_test(c, test_widths);
	tcase_add_test(c, test_scale);
	tcase_add_test(c, test_runs);
	tcase_add_test(c, test_dictionary);
	tcase_add_test(c, test_patched);
	tcase_add_test(c, test_delta);
	tcase_add_test(c, test_escape);
	tcase_add_test(c, test_mixtures);
	tcase_add_test(c, test_unpack_agrees);
	tcase_add_test(c, test_merge_agrees);
	tcase_add_test(c, test_select_agrees);
	tcase_add_test(c, test_scan_agrees);
	tcase_add_test(c, test_scan_is_right);
	tcase_add_test(c, test_pack_agrees);
	tcase_add_test(c, test_divide_agrees);
	tcase_add_test(c, test_sort);
	tcase_add_test(c, test_outlier_of_times);
	tcase_add_test(c, test_damage);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
