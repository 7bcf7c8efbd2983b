/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/encode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/encode_parts.h"

enum {
	SCRATCH = 10 * (BATCH_ROWS_MAX + 64), /* integers of 64 bits */
	LOOK = 16,			      /* values looked at together */
};

void
bytes_clear(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){0};
}

uint8_t *
bytes_room(struct bytes *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 4096;
	uint8_t *p;

	if (b->failed)
		return NULL;
	if (b->p && n <= b->cap - b->len)
		return b->p + b->len;
	while (n > cap - b->len)
		cap *= 2;
	p = realloc(b->p, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->len;
}

void
bytes_add(struct bytes *b, const void *p, size_t n)
{
	uint8_t *to = bytes_room(b, n);

	if (!to)
		return;
	if (n > 0)
		memcpy(to, p, n);
	b->len += n;
}

void
encode_u8(struct bytes *b, unsigned x)
{
	uint8_t c = (uint8_t)x;

	bytes_add(b, &c, 1);
}

void
encode_u32(struct bytes *b, size_t x)
{
	uint32_t c = (uint32_t)x;

	bytes_add(b, &c, 4);
}

void
encode_u64(struct bytes *b, uint64_t x)
{
	bytes_add(b, &x, 8);
}

/* ---- scratch memory ---- */

/* Chance has it how values hash, lest someone sends such as all collide. */
static int
make_factors(struct encoder *e)
{
	if (getrandom(e->factors, sizeof(e->factors), 0) !=
	    (ssize_t)sizeof(e->factors))
		return -1;
	for (size_t i = 0; i < FACTORS; i++)
		e->factors[i] |= 1;
	return 0;
}

struct encoder *
encoder_new(void)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->ops = bits_ops();
	e->scratch = malloc(SCRATCH * sizeof(*e->scratch));
	/* 4 bytes each, looked at in twos */
	e->slots = calloc((size_t)1 << (SLOT_BITS - 1), sizeof(*e->slots));
	if (!e->scratch || !e->slots || make_factors(e) != 0) {
		encoder_free(e);
		return NULL;
	}
	return e;
}

void
encoder_free(struct encoder *e)
{
	if (!e)
		return;
	free(e->scratch);
	free(e->slots);
	free(e);
}

uint64_t *
encoder_take(struct encoder *e, size_t n)
{
	uint64_t *p = e->scratch + e->used;

	if (n > SCRATCH - e->used)
		return NULL;
	e->used += n;
	return p;
}

uint32_t *
encoder_take32(struct encoder *e, size_t n)
{
	return (uint32_t *)encoder_take(e, n / 2 + 1);
}

size_t
encoder_mark(const struct encoder *e)
{
	return e->used;
}

void
encoder_release(struct encoder *e, size_t mark)
{
	e->used = mark;
}

/* ---- heads ---- */

void
encode_constant(uint64_t value, struct bytes *out)
{
	encode_u8(out, ENC_CONST);
	encode_u64(out, value);
}

void
encode_linear(unsigned ref, uint64_t mul, uint64_t div, struct bytes *out)
{
	encode_u8(out, ENC_LINEAR);
	encode_u8(out, ref & 255);
	encode_u8(out, ref >> 8);
	encode_u64(out, mul);
	encode_u64(out, div);
}

void
encode_map(unsigned ref, size_t entries, struct bytes *out)
{
	encode_u8(out, ENC_MAP);
	encode_u8(out, ref & 255);
	encode_u8(out, ref >> 8);
	encode_u32(out, entries);
}

void
encode_patched(size_t patches, struct bytes *out)
{
	encode_u8(out, ENC_PATCHED);
	encode_u32(out, patches);
}

/* ---- planning ---- */

static struct facts
facts(const struct vec *x, const struct bits_scan32 *s)
{
	struct facts f = {.n = x->n,
			  .range = s->max - s->min,
			  .runs = s->runs,
			  .steps = UINT64_MAX};

	/* a difference may not have wrapped */
	if (f.range <= INT32_MAX)
		f.steps = (uint64_t)((int64_t)s->step_max - s->step_min);
	return f;
}

static void
sample(const struct vec *x, const struct facts *f, uint32_t min,
       struct choice *p)
{
	uint32_t at[CHOOSE_SAMPLE];
	uint64_t v[CHOOSE_SAMPLE];
	size_t k = choose_rows(x->n, at);

	for (size_t i = 0; i < k; i++)
		v[i] = x->v[at[i]] - min;
	choose_sampled(f, v, k, p);
}

static void
choose_vec(const struct encoder *e, const struct vec *x,
	   const struct bits_scan32 *s, struct choice *p)
{
	struct facts f = facts(x, s);

	if (choose_simple(&f, p) && !encode_is_deep(e))
		sample(x, &f, s->min, p);
	if (encode_is_deep(e) && p->kind != ENC_CONST)
		p->kind = ENC_PACKED;
}

double
encode_cost(struct encoder *e, const struct vec *x, const struct bits_scan32 *s)
{
	struct choice p;

	choose_vec(e, x, s, &p);
	return p.cost;
}

/* ---- encoding ---- */

static void
put_packed(struct encoder *e, const struct vec *x, uint32_t min, unsigned w,
	   struct bytes *out)
{
	uint8_t *to;

	encode_u8(out, ENC_PACKED);
	encode_u8(out, w);
	encode_u64(out, x->base + x->scale * min);
	encode_u64(out, x->scale);
	to = bytes_room(out, bits_size(x->n, w) + 8);
	if (!to)
		return;
	e->ops->pack32(to, x->v, x->n, w, min);
	out->len += bits_size(x->n, w);
}

static void
put_plain(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	  struct bytes *out)
{
	if (s->min == s->max)
		encode_constant(x->base + x->scale * s->min, out);
	else
		put_packed(e, x, s->min, bits_width(s->max - s->min), out);
}

void
encode_plain(struct encoder *e, const struct vec *x, struct bytes *out)
{
	struct bits_scan32 s = {0};

	if (x->n > 0)
		e->ops->scan32(x->v, x->n, &s);
	put_plain(e, x, &s, out);
}

void
encode_codes(struct encoder *e, const uint32_t *code, size_t n, size_t entries,
	     struct bytes *out)
{
	struct vec x = {code, n, 0, 1};

	put_packed(e, &x, 0, bits_width(entries - 1), out);
}

void
encode_part(struct encoder *e, const struct vec *x, struct bytes *out)
{
	if (x->n == 0)
		encode_constant(0, out);
	else
		encode_vec(e, x, NULL, NULL, out);
}

static void
put_runs(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	 struct bytes *out)
{
	uint32_t *len = encoder_take32(e, s->runs + 1);
	uint32_t *value = encoder_take32(e, s->runs + 1);
	uint32_t r = 0, start = 0;

	if (!value || !len) {
		put_plain(e, x, s, out);
		return;
	}
	/* no branch on where a run ends: that cannot be foreseen */
	for (uint32_t i = 1; i < x->n; i++) {
		len[r] = i;
		r += x->v[i] != x->v[i - 1];
	}
	len[r++] = (uint32_t)x->n;
	for (uint32_t i = 0; i < r; i++) {
		uint32_t end = len[i];

		value[i] = x->v[start];
		len[i] = end - start - 1;
		start = end;
	}
	encode_u8(out, ENC_RUNS);
	encode_u32(out, r);
	encode_part(e, &(struct vec){value, r, x->base, x->scale}, out);
	encode_part(e, &(struct vec){len, r, 0, 1}, out);
}

static void
put_delta(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	  struct bytes *out)
{
	uint32_t *step = encoder_take32(e, x->n);
	uint64_t least = (uint64_t)(int64_t)s->step_min;

	if (!step) {
		put_plain(e, x, s, out);
		return;
	}
	for (size_t i = 1; i < x->n; i++)
		step[i - 1] = x->v[i] - x->v[i - 1] - (uint32_t)s->step_min;
	encode_u8(out, ENC_DELTA);
	encode_u64(out, x->base + x->scale * x->v[0]);
	encode_part(
	    e, &(struct vec){step, x->n - 1, x->scale * least, x->scale}, out);
}

void
encode_gaps(struct encoder *e, uint32_t *at, size_t n, struct bytes *out)
{
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t row = at[i];

		at[i] = row - last;
		last = row + 1;
	}
	encode_part(e, &(struct vec){at, n, 0, 1}, out);
}

/* The rows whose values are outside of [base, base + 2^w). They are few, so
 * several rows are looked at together. */
static size_t
find_far(const struct vec *x, uint32_t base, unsigned w, uint32_t *at)
{
	const uint32_t *v = x->v;
	size_t k = 0, i = 0;

	for (; i + LOOK <= x->n; i += LOOK) {
		uint32_t far = 0;

		for (size_t j = 0; j < LOOK; j++)
			far |= v[i + j] - base;
		for (size_t j = i; far >> w != 0 && j < i + LOOK; j++) {
			at[k] = (uint32_t)j;
			k += (v[j] - base) >> w != 0;
		}
	}
	for (; i < x->n; i++) {
		at[k] = (uint32_t)i;
		k += (v[i] - base) >> w != 0;
	}
	return k;
}

static void
put_patched(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	    const struct choice *p, struct bytes *out)
{
	uint32_t *at = encoder_take32(e, x->n + 1);
	uint32_t *value = encoder_take32(e, x->n + 1);
	uint32_t base = s->min + (uint32_t)p->base;
	size_t k;

	if (!at || !value) {
		put_plain(e, x, s, out);
		return;
	}
	k = find_far(x, base, p->width, at);
	for (size_t i = 0; i < k; i++)
		value[i] = x->v[at[i]];
	encode_patched(k, out);
	/* of the exceptions the low bits are packed, which nobody sees */
	put_packed(e, x, base, p->width, out);
	encode_gaps(e, at, k, out);
	encode_part(e, &(struct vec){value, k, x->base, x->scale}, out);
}

/* ---- all of them ---- */

static void
put_chosen(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	   const struct choice *p, struct bytes *out)
{
	switch (p->kind) {
	case ENC_RUNS:
		put_runs(e, x, s, out);
		break;
	case ENC_PATCHED:
		put_patched(e, x, s, p, out);
		break;
	case ENC_DELTA:
		put_delta(e, x, s, out);
		break;
	case ENC_ESCAPE:
		encode_escape(e, x, s, p, out);
		break;
	default:
		put_plain(e, x, s, out);
	}
}

void
encode_vec(struct encoder *e, const struct vec *x,
	   const struct bits_scan32 *scan, struct codes *codes,
	   struct bytes *out)
{
	size_t mark = encoder_mark(e);
	struct bits_scan32 own;
	struct choice p;

	if (!scan) {
		e->ops->scan32(x->v, x->n, &own);
		scan = &own;
	}
	choose_vec(e, x, scan, &p);
	e->depth++;
	if (p.distinct == 0 ||
	    encode_dict(e, x, scan, p.distinct, codes, out) != 0)
		put_chosen(e, x, scan, &p, out);
	e->depth--;
	encoder_release(e, mark);
}

/* (v - min) / step for a step that all values keep to: guessed from a few, then
 * checked against all.  Returns the step, 1 if there is none. */
static uint32_t
divide_out(const struct encoder *e, const struct vec *x, uint32_t min,
	   uint32_t *out)
{
	struct bits_step s = {.base = min};
	uint64_t g = 0;

	for (size_t i = 0; i < x->n && g != 1; i += x->n / 32 + 1)
		g = encode_gcd(x->v[i] - min, g);
	if (g <= 1)
		return 1;
	s.shift = (unsigned)__builtin_ctzll(g);
	s.inverse = (uint32_t)encode_inverse(g >> s.shift);
	s.most = UINT32_MAX / (uint32_t)(g >> s.shift);
	return e->ops->divide32(x->v, x->n, &s, out) ? (uint32_t)g : 1;
}

void
encode_step(struct encoder *e, struct vec *x, struct bits_scan32 *scan)
{
	size_t mark = encoder_mark(e);
	uint32_t *out = encoder_take32(e, x->n);
	uint32_t step = 1;

	if (out && scan->min != scan->max)
		step = divide_out(e, x, scan->min, out);
	if (step == 1) {
		encoder_release(e, mark);
		return;
	}
	*x = (struct vec){out, x->n, x->base + scan->min, step};
	e->ops->scan32(x->v, x->n, scan);
}

void
encode_small(struct encoder *e, const uint32_t *v, size_t n,
	     const struct bits_scan32 *known, struct codes *codes,
	     struct bytes *out)
{
	size_t mark = encoder_mark(e);
	struct vec x = {v, n, 0, 1};
	struct bits_scan32 scan;

	if (known)
		scan = *known;
	else
		e->ops->scan32(v, n, &scan);
	encode_step(e, &x, &scan);
	encode_vec(e, &x, &scan, codes, out);
	encoder_release(e, mark);
}
