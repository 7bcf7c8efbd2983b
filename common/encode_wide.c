/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of 64 bits: made 32-bit ones where that can be, or taken apart into
 * such; what is left is packed as it is. */
#include <string.h>

#include "common/encode_parts.h"

enum { RUNS_LONG = 16 }; /* of so many rows nothing beats runs */

/* N values of 64 bits, and what a pass over them told. */
struct wide {
	const uint64_t *v;
	size_t n;
	struct bits_scan s;
};

static uint64_t
range(const struct wide *x)
{
	return (uint64_t)x->s.max - (uint64_t)x->s.min;
}

uint64_t
encode_gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* By Newton's iteration. */
uint64_t
encode_inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

/* (v - min) / step, if that fits 32 bits for a step that all values keep to:
 * 0 or -1. */
static int
divide_out(const struct wide *x, uint32_t *out, uint64_t *step)
{
	uint64_t g = 0, base = (uint64_t)x->s.min, bad = 0, inv, max;
	unsigned shift;

	for (size_t i = 0; i < x->n && g != 1; i += x->n / 32 + 1)
		g = encode_gcd(x->v[i] - base, g);
	if (g <= 1 || range(x) / g > UINT32_MAX)
		return -1;
	shift = (unsigned)__builtin_ctzll(g);
	inv = encode_inverse(g >> shift);
	max = UINT64_MAX / (g >> shift);
	for (size_t i = 0; i < x->n; i++) {
		uint64_t y = x->v[i] - base, q = (y >> shift) * inv;

		bad |= y & (((uint64_t)1 << shift) - 1);
		bad |= q > max;
		out[i] = (uint32_t)q;
	}
	*step = g;
	return bad ? -1 : 0;
}

/* The values as 32-bit ones, in scratch memory; false if they are too wide. */
static bool
narrow(struct encoder *e, const struct wide *x, struct vec *to,
       struct bits_scan32 *scan)
{
	uint32_t *out = encoder_take32(e, x->n);
	uint64_t base = (uint64_t)x->s.min;

	*to = (struct vec){out, x->n, base, 1};
	if (!out)
		return false;
	if (range(x) <= UINT32_MAX)
		for (size_t i = 0; i < x->n; i++)
			out[i] = (uint32_t)(x->v[i] - base);
	else if (divide_out(x, out, &to->scale) != 0)
		return false;
	e->ops->scan32(out, x->n, scan);
	if (to->scale == 1)
		encode_step(e, to, scan);
	return true;
}

/* ---- what stays wide ---- */

static void
choose_wide(const struct encoder *e, const struct wide *x, struct choice *p)
{
	struct facts f = {.n = x->n,
			  .range = range(x),
			  .runs = x->s.runs,
			  .steps = UINT64_MAX,
			  .no_escape = true};
	uint64_t steps = (uint64_t)x->s.step_max - (uint64_t)x->s.step_min;
	uint32_t at[CHOOSE_SAMPLE];
	uint64_t v[CHOOSE_SAMPLE];
	size_t k;

	/* a difference of wrapped ones may have wrapped itself */
	if (f.range >> 62 == 0)
		f.steps = steps;
	if (choose_simple(&f, p) && !encode_is_deep(e)) {
		k = choose_rows(x->n, at);
		for (size_t i = 0; i < k; i++)
			v[i] = x->v[at[i]] - (uint64_t)x->s.min;
		choose_sampled(&f, v, k, p);
	}
	if (encode_is_deep(e))
		p->kind = ENC_PACKED;
}

static void
put_packed(const struct wide *x, struct bytes *out)
{
	uint64_t base = (uint64_t)x->s.min;
	unsigned w = bits_width(range(x));
	uint8_t *to;

	encode_u8(out, ENC_PACKED);
	encode_u8(out, w);
	encode_u64(out, base);
	encode_u64(out, 1);
	to = bytes_room(out, bits_size(x->n, w) + 8);
	if (!to)
		return;
	bits_pack64(to, x->v, x->n, w, base);
	out->len += bits_size(x->n, w);
}

static void
put_runs(struct encoder *e, const struct wide *x, struct bytes *out)
{
	uint64_t *value = encoder_take(e, x->s.runs + 1);
	uint32_t *len = encoder_take32(e, x->s.runs + 1);
	uint32_t r = 0, start = 0;

	if (!value || !len) {
		put_packed(x, out);
		return;
	}
	for (uint32_t i = 1; i <= x->n; i++) {
		if (i < x->n && x->v[i] == x->v[i - 1])
			continue;
		value[r] = x->v[i - 1];
		len[r++] = i - start - 1;
		start = i;
	}
	encode_u8(out, ENC_RUNS);
	encode_u32(out, r);
	encode_any(e, value, r, out);
	encode_vec(e, &(struct vec){len, r, 0, 1}, NULL, NULL, out);
}

static void
put_delta(struct encoder *e, const struct wide *x, struct bytes *out)
{
	uint64_t *step = encoder_take(e, x->n);

	if (!step) {
		put_packed(x, out);
		return;
	}
	for (size_t i = 1; i < x->n; i++)
		step[i - 1] = x->v[i] - x->v[i - 1];
	encode_u8(out, ENC_DELTA);
	encode_u64(out, x->v[0]);
	encode_any(e, step, x->n - 1, out);
}

static void
put_patched(struct encoder *e, const struct wide *x, const struct choice *p,
	    struct bytes *out)
{
	uint64_t *in = encoder_take(e, x->n);
	uint64_t *value = encoder_take(e, x->n + 1);
	uint32_t *at = encoder_take32(e, x->n + 1);
	uint64_t base = (uint64_t)x->s.min + p->base;
	size_t k = 0;

	if (!in || !at || !value) {
		put_packed(x, out);
		return;
	}
	for (size_t i = 0; i < x->n; i++) {
		bool far = (x->v[i] - base) >> p->width != 0;

		in[i] = far ? base : x->v[i];
		at[k] = (uint32_t)i;
		value[k] = x->v[i];
		k += far;
	}
	encode_patched(k, out);
	encode_any(e, in, x->n, out);
	encode_gaps(e, at, k, out);
	encode_any(e, value, k, out);
}

size_t
encode_distinct(struct encoder *e, const uint64_t *v, size_t n, size_t max,
		uint64_t *value, uint32_t *code)
{
	uint64_t factor = (uint64_t)e->factors[1] << 32 | e->factors[0];
	uint32_t *slots = (uint32_t *)e->slots; /* entry + 1, 0 if free */
	size_t mask = ((size_t)1 << SLOT_BITS) - 1, d = 0;

	memset(slots, 0, sizeof(*slots) << SLOT_BITS);
	for (size_t i = 0; i < n; i++) {
		size_t at = (size_t)(v[i] * factor >> (64 - SLOT_BITS));

		while (slots[at] != 0 && value[slots[at] - 1] != v[i])
			at = (at + 1) & mask;
		if (slots[at] == 0) {
			if (d == max)
				return 0;
			value[d++] = v[i];
			slots[at] = (uint32_t)d;
		}
		code[i] = slots[at] - 1;
	}
	return d;
}

/* -1: there are more distinct values than was thought; nothing is written. */
static int
put_dict(struct encoder *e, const struct wide *x, size_t max, struct bytes *out)
{
	uint64_t *value = encoder_take(e, max);
	uint32_t *code = encoder_take32(e, x->n);
	size_t start, len, d = 0;

	if (value && code)
		d = encode_distinct(e, x->v, x->n, max, value, code);
	if (d == 0)
		return -1;
	encode_u8(out, ENC_DICT);
	encode_u32(out, d);
	encode_u32(out, 0);
	start = out->len;
	encode_any(e, value, d, out);
	len = out->len - start;
	if (!out->failed)
		memcpy(out->p + start - 4, &(uint32_t){(uint32_t)len}, 4);
	encode_codes(e, code, x->n, d, out);
	return 0;
}

static void
put_wide(struct encoder *e, const struct wide *x, struct bytes *out)
{
	struct choice p;

	choose_wide(e, x, &p);
	if (p.distinct > 0 && put_dict(e, x, p.distinct, out) == 0)
		return;
	switch (p.kind) {
	case ENC_RUNS:
		put_runs(e, x, out);
		break;
	case ENC_PATCHED:
		put_patched(e, x, &p, out);
		break;
	case ENC_DELTA:
		put_delta(e, x, out);
		break;
	default:
		put_packed(x, out);
	}
}

void
encode_any(struct encoder *e, const uint64_t *v, size_t n, struct bytes *out)
{
	struct wide x = {.v = v, .n = n};
	size_t mark = encoder_mark(e);
	struct bits_scan32 scan;
	struct vec small;

	if (n > 0)
		e->ops->scan(v, n, &x.s);
	if (x.s.min == x.s.max) {
		encode_constant((uint64_t)x.s.min, out);
		return;
	}
	e->depth++;
	if (x.s.runs < n / RUNS_LONG && !encode_is_deep(e)) {
		put_runs(e, &x, out);
	} else if (narrow(e, &x, &small, &scan)) {
		e->depth--;
		encode_vec(e, &small, &scan, NULL, out);
		e->depth++;
	} else {
		encoder_release(e, mark);
		put_wide(e, &x, out);
	}
	e->depth--;
	encoder_release(e, mark);
}

double
encode_guess(struct encoder *e, const uint64_t *v, size_t n)
{
	struct wide x = {.v = v, .n = n};
	size_t mark = encoder_mark(e);
	struct bits_scan32 scan;
	struct vec small;
	struct choice p;

	e->ops->scan(v, n, &x.s);
	if (narrow(e, &x, &small, &scan))
		p.cost = encode_cost(e, &small, &scan);
	else
		choose_wide(e, &x, &p);
	encoder_release(e, mark);
	/* less what the heads of the parts take, which few rows carry */
	return p.cost > 512 ? (p.cost - 512) / (double)n : 0;
}
