/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/decode.h"

#include <string.h>

#include "common/batch.h"
#include "common/encode.h"

enum {
	REFS_MAX = 4,
	LOOK_UP = 2048, /* codes at a time, that stay in the nearest cache */
};

/* Of each level of vectors at most 12 bytes a row (values and lengths of runs,
 * codes and what escaped), five levels as the encoder nests them; two halves of
 * addresses, and up to three columns that a linear one is relative to. */
size_t
decode_scratch(size_t n)
{
	return (n + 2 * DECODE_SLACK) * (5 * 12 + 2 * 8 + 3 * 8);
}

int
decode_fail(struct decoder *d, const char *why)
{
	if (!d->bad)
		d->bad = why;
	d->p = d->end;
	return -1;
}

void *
decode_take(struct decoder *d, size_t bytes)
{
	uint8_t *p = d->scratch;

	bytes = (bytes + 7) & ~(size_t)7;
	if (bytes > (size_t)(d->scratch_end - p)) {
		decode_fail(d, "vectors within vectors take too much memory");
		return NULL;
	}
	d->scratch += bytes;
	return p;
}

const uint8_t *
decode_bytes(struct decoder *d, size_t n)
{
	const uint8_t *p = d->p;

	if (d->bad || n > (size_t)(d->end - p)) {
		decode_fail(d, "cut short");
		return NULL;
	}
	d->p += n;
	return p;
}

uint8_t
decode_u8(struct decoder *d)
{
	const uint8_t *p = decode_bytes(d, 1);

	return p ? *p : 0;
}

uint32_t
decode_u32(struct decoder *d)
{
	const uint8_t *p = decode_bytes(d, 4);
	uint32_t x = 0;

	if (p)
		memcpy(&x, p, 4);
	return x;
}

uint64_t
decode_u64(struct decoder *d)
{
	const uint8_t *p = decode_bytes(d, 8);
	uint64_t x = 0;

	if (p)
		memcpy(&x, p, 8);
	return x;
}

int
decode_constant(struct decoder *d, uint64_t *value)
{
	if (d->bad || d->p == d->end || *d->p != ENC_CONST)
		return 0;
	decode_u8(d);
	*value = decode_u64(d);
	return !d->bad;
}

/* A count of parts, which is at most MAX. */
static size_t
count(struct decoder *d, size_t max)
{
	uint32_t n = decode_u32(d);

	if (n <= max)
		return n;
	decode_fail(d, "more parts than rows");
	return 0;
}

/* The values of a vector, 4 or 8 bytes each: what the two entries share. */
struct out {
	void *p;
	bool wide;
};

static int vector(struct decoder *, size_t n, struct out);

static struct out
take(struct decoder *d, size_t n, bool wide)
{
	struct out o = {.wide = wide};

	o.p = decode_take(d, (n + DECODE_SLACK) * (wide ? 8 : 4));
	if (o.p)
		memset((char *)o.p + n * (wide ? 8 : 4), 0, wide ? 8 : 4);
	return o;
}

static void
fill(struct out o, size_t n, uint64_t value)
{
	if (o.wide)
		for (size_t i = 0; i < n; i++)
			((uint64_t *)o.p)[i] = value;
	else
		for (size_t i = 0; i < n; i++)
			((uint32_t *)o.p)[i] = (uint32_t)value;
}

static int
constant(struct decoder *d, size_t n, struct out o)
{
	fill(o, n, decode_u64(d));
	return 0;
}

static int
packed(struct decoder *d, size_t n, struct out o)
{
	unsigned w = decode_u8(d);
	uint64_t base = decode_u64(d), scale = decode_u64(d);
	const uint8_t *in;

	if (w > 64)
		return decode_fail(d, "packed values wider than 64 bits");
	in = decode_bytes(d, bits_size(n, w));
	if (!in)
		return -1;
	if (d->limit - d->p < BITS_PAD)
		return decode_fail(d, "packed values without padding");
	if (o.wide) {
		d->ops->unpack64(in, n, w, base, scale, o.p);
	} else if (w <= 32) {
		d->ops->unpack32(in, n, w, o.p);
		d->ops->affine32(o.p, n, (uint32_t)base, (uint32_t)scale);
	} else {
		uint64_t part[64 + DECODE_SLACK];
		uint32_t *to = o.p;

		/* never so encoded, but defined; 64 values fill whole bytes */
		for (size_t i = 0; i < n; i += 64, in += 8 * (size_t)w) {
			size_t k = n - i < 64 ? n - i : 64;

			d->ops->unpack64(in, k, w, base, scale, part);
			for (size_t j = 0; j < k; j++)
				to[i + j] = (uint32_t)part[j];
		}
	}
	return 0;
}

/* Eight at a time, past the end of the run and into the next one, or into the
 * slack: runs are mostly short, and this has no branch but the loop's. */
static inline void
repeat64(uint64_t *to, uint64_t x, size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		for (size_t k = 0; k < 8; k++)
			to[i + k] = x;
}

static inline void
repeat32(uint32_t *to, uint32_t x, size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		for (size_t k = 0; k < 8; k++)
			to[i + k] = x;
}

static int
expand(struct decoder *d, size_t n, size_t runs, const uint32_t *len,
       struct out from, struct out o)
{
	size_t at = 0;

	for (size_t r = 0; r < runs; r++) {
		size_t k = (size_t)len[r] + 1;

		if (k > n - at)
			return decode_fail(d, "runs longer than the column");
		if (o.wide)
			repeat64((uint64_t *)o.p + at, ((uint64_t *)from.p)[r],
				 k);
		else
			repeat32((uint32_t *)o.p + at, ((uint32_t *)from.p)[r],
				 k);
		at += k;
	}
	return at == n ? 0 : decode_fail(d, "runs shorter than the column");
}

static int
runs(struct decoder *d, size_t n, struct out o)
{
	size_t r = count(d, n);
	struct out values = take(d, r, o.wide), len = take(d, r, false);

	if (!values.p || !len.p || vector(d, r, values) != 0 ||
	    vector(d, r, len) != 0)
		return -1;
	return expand(d, n, r, len.p, values, o);
}

/* Codes become entries of the dictionary. Codes and output are the same memory
 * when the output is not wide. */
static int
look_up(struct decoder *d, size_t n, size_t entries, const uint32_t *code,
	struct out dict, struct out o)
{
	for (size_t i = 0; i < n; i += LOOK_UP) {
		size_t end = n - i < LOOK_UP ? n : i + LOOK_UP;

		if (d->ops->greatest(code + i, end - i) >= entries)
			return decode_fail(d, "a code past the dictionary");
		if (o.wide)
			for (size_t k = i; k < end; k++)
				((uint64_t *)o.p)[k] =
				    ((uint64_t *)dict.p)[code[k]];
		else
			for (size_t k = i; k < end; k++)
				((uint32_t *)o.p)[k] =
				    ((uint32_t *)dict.p)[code[k]];
	}
	return 0;
}

static int
dictionary(struct decoder *d, size_t n, struct out o)
{
	size_t entries = count(d, BATCH_ROWS_MAX), len = decode_u32(d);
	struct out dict = take(d, entries, o.wide);
	struct out code = o.wide ? take(d, n, false) : o;

	(void)len; /* for those who pass over the entries */
	if (!dict.p || !code.p || vector(d, entries, dict) != 0 ||
	    vector(d, n, code) != 0)
		return -1;
	return look_up(d, n, entries, code.p, dict, o);
}

int
decode_codes(struct decoder *d, size_t n, uint32_t *out)
{
	unsigned kind = decode_u8(d);

	count(d, BATCH_ROWS_MAX);
	decode_bytes(d, decode_u32(d));
	if (kind != ENC_DICT)
		return decode_fail(d, "mapped from a column of no dictionary");
	return decode_vector32(d, n, out);
}

/* The codes of another column. */
static int
codes_of(struct decoder *d, const uint8_t *col, size_t n, uint32_t *out)
{
	if (++d->refs > REFS_MAX || !d->codes)
		return decode_fail(d, "columns relative to one another");
	return d->codes(d, (unsigned)col[0] | (unsigned)col[1] << 8, n, out);
}

static int
map(struct decoder *d, size_t n, struct out o)
{
	const uint8_t *head = decode_bytes(d, 2);
	size_t entries = count(d, BATCH_ROWS_MAX);
	struct out values = take(d, entries, o.wide);
	struct out code = o.wide ? take(d, n, false) : o;

	if (!head || !values.p || !code.p || vector(d, entries, values) != 0 ||
	    codes_of(d, head, n, code.p) != 0)
		return -1;
	return look_up(d, n, entries, code.p, values, o);
}

static int
patched(struct decoder *d, size_t n, struct out o)
{
	size_t e = count(d, n), at = 0;
	struct out gap = take(d, e, false), value = take(d, e, o.wide);

	if (!gap.p || !value.p || vector(d, n, o) != 0 ||
	    vector(d, e, gap) != 0 || vector(d, e, value) != 0)
		return -1;
	for (size_t i = 0; i < e; i++, at++) {
		at += ((uint32_t *)gap.p)[i];
		if (at >= n)
			return decode_fail(d, "an exception past the last row");
		if (o.wide)
			((uint64_t *)o.p)[at] = ((uint64_t *)value.p)[i];
		else
			((uint32_t *)o.p)[at] = ((uint32_t *)value.p)[i];
	}
	return 0;
}

static int
delta(struct decoder *d, size_t n, struct out o)
{
	uint64_t x = decode_u64(d);

	if (n == 0)
		return decode_fail(d, "differences of no values");
	if (o.wide) {
		uint64_t *v = o.p;

		o.p = v + 1;
		if (vector(d, n - 1, o) != 0)
			return -1;
		v[0] = x;
		for (size_t i = 1; i < n; i++)
			v[i] = x += v[i];
	} else {
		uint32_t *v = o.p, y = (uint32_t)x;

		o.p = v + 1;
		if (vector(d, n - 1, o) != 0)
			return -1;
		v[0] = y;
		for (size_t i = 1; i < n; i++)
			v[i] = y += v[i];
	}
	return 0;
}

/* ref / div; a division by a constant is a multiplication. */
static void
divide(uint64_t *ref, size_t n, uint64_t div)
{
	if (div == 1000)
		for (size_t i = 0; i < n; i++)
			ref[i] /= 1000;
	else if (div != 1)
		for (size_t i = 0; i < n; i++)
			ref[i] /= div;
}

static void
add_scaled(struct out o, size_t n, const uint64_t *ref, uint64_t mul)
{
	uint64_t *wide = o.p;
	uint32_t *narrow = o.p;

	if (!o.wide)
		for (size_t i = 0; i < n; i++)
			narrow[i] += (uint32_t)ref[i] * (uint32_t)mul;
	else if (mul == 1)
		for (size_t i = 0; i < n; i++)
			wide[i] += ref[i];
	else
		for (size_t i = 0; i < n; i++)
			wide[i] += ref[i] * mul;
}

static int
linear(struct decoder *d, size_t n, struct out o)
{
	const uint8_t *head = decode_bytes(d, 2);
	uint64_t mul = decode_u64(d), div = decode_u64(d);
	unsigned col;
	uint64_t *ref;
	int r = 0;

	if (!head || div == 0)
		return decode_fail(d, "relative to a column divided by 0");
	if (++d->refs > REFS_MAX)
		return decode_fail(d, "columns relative to one another");
	col = (unsigned)head[0] | (unsigned)head[1] << 8;
	if (vector(d, n, o) != 0)
		return -1;
	ref = decode_take(d, (n + DECODE_SLACK) * sizeof(*ref));
	if (!ref)
		return -1;
	if (col == ENC_REF_ROW)
		for (size_t i = 0; i < n; i++)
			ref[i] = i;
	else if (d->column)
		r = d->column(d, col, n, ref);
	else
		r = decode_fail(d, "relative to a column in a place of none");
	if (r != 0)
		return -1;
	divide(ref, n, div);
	add_scaled(o, n, ref, mul);
	return 0;
}

/* Rest has room for as many as there are rows: see bits_ops.merge32. */
static int
escape(struct decoder *d, size_t n, struct out o)
{
	size_t entries = count(d, ENC_ESCAPE_MAX), e = count(d, n), found;
	struct out dict = take(d, entries, o.wide);
	struct out code = take(d, n, false), rest = take(d, n, o.wide);

	if (!dict.p || !code.p || !rest.p || vector(d, n, code) != 0 ||
	    vector(d, entries, dict) != 0 || vector(d, e, rest) != 0)
		return -1;
	if (d->ops->greatest(code.p, n) > entries)
		return decode_fail(d, "a code past the dictionary");
	if (o.wide)
		found = d->ops->merge64(o.p, n, code.p, (uint32_t)entries,
					dict.p, rest.p);
	else
		found = d->ops->merge32(o.p, n, code.p, (uint32_t)entries,
					dict.p, rest.p);
	return found == e ? 0
			  : decode_fail(d, "escaped values that do not add up");
}

static int
vector(struct decoder *d, size_t n, struct out o)
{
	static int (*const kinds[ENCODINGS])(struct decoder *, size_t,
					     struct out) = {
	    [ENC_CONST] = constant,  [ENC_PACKED] = packed,
	    [ENC_RUNS] = runs,	     [ENC_DICT] = dictionary,
	    [ENC_PATCHED] = patched, [ENC_DELTA] = delta,
	    [ENC_LINEAR] = linear,   [ENC_ESCAPE] = escape,
	    [ENC_MAP] = map,
	};
	unsigned kind = decode_u8(d);
	uint8_t *scratch = d->scratch;
	int r;

	if (d->bad)
		return -1;
	if (kind >= ENCODINGS)
		return decode_fail(d, "unknown encoding");
	if (d->depth == ENC_DEPTH_MAX)
		return decode_fail(d, "vectors nested too deep");
	d->depth++;
	r = kinds[kind](d, n, o);
	d->depth--;
	d->scratch = scratch;
	return r != 0 || d->bad ? -1 : 0;
}

int
decode_vector64(struct decoder *d, size_t n, uint64_t *out)
{
	struct out o = {out, true};

	return vector(d, n, o);
}

int
decode_vector32(struct decoder *d, size_t n, uint32_t *out)
{
	struct out o = {out, false};

	return vector(d, n, o);
}

size_t
decode_entries(struct decoder *d, size_t max)
{
	const uint8_t *start = d->p;
	unsigned kind = decode_u8(d);
	size_t entries = 0;

	if (kind == ENC_MAP)
		decode_bytes(d, 2);
	if (kind == ENC_MAP || kind == ENC_DICT || kind == ENC_RUNS)
		entries = decode_u32(d);
	if (kind == ENC_DICT)
		decode_u32(d);
	if (!d->bad && entries > 0 && entries <= max)
		return entries;
	if (!d->bad)
		d->p = start;
	return 0;
}

/* Lengths of the runs to which run each row belongs. */
static int
run_codes(struct decoder *d, size_t n, size_t runs, uint32_t *out)
{
	struct out values = take(d, runs, false), len = take(d, runs, false);
	uint32_t *number = values.p;

	if (!values.p || !len.p || vector(d, runs, values) != 0 ||
	    vector(d, runs, len) != 0)
		return -1;
	for (size_t i = 0; i < runs; i++)
		number[i] = (uint32_t)i;
	return expand(d, n, runs, len.p, values, (struct out){out, false});
}

int
decode_entry_codes(struct decoder *d, size_t n, size_t entries, uint32_t *out)
{
	unsigned kind = d->p < d->end ? *d->p : ENCODINGS;
	uint8_t *scratch = d->scratch;
	const uint8_t *col;
	int r = -1;

	if (kind == ENC_DICT) {
		r = decode_codes(d, n, out);
	} else if (kind == ENC_MAP) {
		decode_u8(d);
		col = decode_bytes(d, 2);
		r = col ? codes_of(d, col, n, out) : -1;
	} else if (kind == ENC_RUNS) {
		decode_u8(d);
		decode_u32(d);
		r = run_codes(d, n, entries, out);
	}
	d->scratch = scratch;
	if (r != 0 || d->bad)
		return -1;
	if (d->ops->greatest(out, n) >= entries)
		return decode_fail(d, "a code past the dictionary");
	return 0;
}
