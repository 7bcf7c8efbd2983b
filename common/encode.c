/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/encode.h"

#include <stdlib.h>
#include <string.h>

enum {
	SAMPLE = 512,
	SCRATCH = 12 * (BATCH_ROWS_MAX + 64), /* integers */
	HASH_BITS_MAX = 17,
	HEAD_BITS = 8 * 18, /* of a packed vector */
};

struct encoder {
	const struct bits_ops *ops;
	uint64_t *scratch;
	size_t used;
	uint64_t *slots; /* of the hash table, 2^HASH_BITS_MAX */
	unsigned depth;	 /* of vectors within vectors */
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

static void
add_u8(struct bytes *b, unsigned x)
{
	uint8_t c = (uint8_t)x;

	bytes_add(b, &c, 1);
}

static void
add_u32(struct bytes *b, size_t x)
{
	uint32_t c = (uint32_t)x;

	bytes_add(b, &c, 4);
}

static void
add_u64(struct bytes *b, uint64_t x)
{
	bytes_add(b, &x, 8);
}

struct encoder *
encoder_new(void)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->ops = bits_ops();
	e->scratch = malloc(SCRATCH * sizeof(*e->scratch));
	e->slots = malloc(sizeof(*e->slots) << HASH_BITS_MAX);
	if (!e->scratch || !e->slots) {
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

/* ---- planning ---- */

static uint64_t
gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* The inverse of an odd number modulo 2^64, by Newton's iteration. */
static uint64_t
inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

static struct bits_affine
affine(uint64_t base, uint64_t scale)
{
	unsigned shift = (unsigned)__builtin_ctzll(scale);

	return (struct bits_affine){base, inverse(scale >> shift), shift};
}

/* The greatest step that all values keep to, guessed from a few and then
 * checked against all: x is a multiple of an odd s exactly if x times the
 * inverse of s is at most UINT64_MAX / s. */
static uint64_t
find_scale(const uint64_t *v, size_t n, uint64_t base)
{
	uint64_t g = 0, bad = 0, max;
	struct bits_affine a;

	for (size_t i = 0; i < n && g != 1; i += n / 32 + 1)
		g = gcd(v[i] - base, g);
	if (g <= 1)
		return 1;
	a = affine(base, g);
	max = UINT64_MAX / (g >> a.shift);
	for (size_t i = 0; i < n; i++) {
		uint64_t x = v[i] - base;

		bad |= x & (((uint64_t)1 << a.shift) - 1);
		bad |= (x >> a.shift) * a.inverse > max;
	}
	return bad ? 1 : g;
}

/* What is known of the values from a sample of them, less the minimum. */
struct sample {
	uint64_t v[SAMPLE]; /* sorted */
	size_t n;
	double each; /* how many values one of the sample stands for */
	size_t distinct, once, twice; /* values that come so often */
};

static void
sample_take(struct sample *s, const uint64_t *v, size_t n,
	    const struct bits_scan *scan)
{
	uint64_t tmp[SAMPLE];
	size_t step = (n + SAMPLE - 1) / SAMPLE;
	uint32_t jitter = 1;

	s->n = 0;
	/* an irregular step, for values repeat with the datagrams */
	for (size_t i = 0; i + step <= n; i += step) {
		jitter = jitter * 1664525 + 1013904223;
		s->v[s->n++] =
		    v[i + (jitter >> 8) % step] - (uint64_t)scan->min;
	}
	s->each = (double)n / (double)s->n;
	bits_sort(s->v, tmp, s->n,
		  bits_width((uint64_t)scan->max - (uint64_t)scan->min));
	s->distinct = s->once = s->twice = 0;
	for (size_t i = 0, j; i < s->n; i = j) {
		for (j = i; j < s->n && s->v[j] == s->v[i]; j++)
			;
		s->distinct++;
		s->once += j - i == 1;
		s->twice += j - i == 2;
	}
}

/* The most of the sample that a window of 2^w covers, and where it begins. */
static size_t
window(const struct sample *s, unsigned w, uint64_t *base)
{
	size_t best = 0;

	for (size_t i = 0, j = 0; i < s->n; i++) {
		while (j < s->n && s->v[j] - s->v[i] < (uint64_t)1 << w)
			j++;
		if (j - i > best) {
			best = j - i;
			*base = s->v[i];
		}
		if (j == s->n)
			break;
	}
	return best;
}

static void
plan_patched(const struct sample *s, size_t n, unsigned full, struct plan *p)
{
	/* the narrower the window, the more is outside */
	for (unsigned w = full < 57 ? full - 1 : 56; w > 0; w--) {
		uint64_t base = 0;
		size_t out = s->n - window(s, w, &base);
		double bits = (double)n * w +
			      (double)out * s->each * (full + 7) +
			      3 * HEAD_BITS;

		if (4 * out > s->n)
			break;
		if (bits * 1.04 >= p->bits)
			continue;
		p->kind = ENC_PATCHED;
		p->bits = bits;
		p->width = w;
		p->base = base + (uint64_t)p->scan.min;
	}
}

/* How many different values there are, guessed from how many the sample shows
 * once and twice (Chao's estimate). */
static size_t
guess_distinct(const struct sample *s, size_t n)
{
	double d;

	if (s->n == n)
		return s->distinct;
	d = (double)s->distinct +
	    (double)s->once * (double)s->once / (2.0 * (double)(s->twice + 1));
	return d < (double)n ? (size_t)d + 1 : n;
}

/* Bits of a dictionary of d entries and n codes.  Entries are sorted, so each
 * costs what is between neighbours. */
static double
dict_bits(size_t n, size_t d, unsigned full)
{
	unsigned code = bits_width(d - 1), gap = bits_width(d);
	unsigned entry = full + 3 > gap ? full + 3 - gap : 2;

	return (double)n * code + (double)d * (entry < full ? entry : full) +
	       3 * HEAD_BITS;
}

static void
plan_dict(const struct sample *s, size_t n, unsigned full, struct plan *p)
{
	size_t d = guess_distinct(s, n), low = d, high = n;
	double bits = dict_bits(n, d, full), limit = p->bits / 1.08;

	if (bits >= limit)
		return;
	/* the guess is mostly too low: how many entries still pay */
	while (high - low > n / 64 + 1) {
		size_t mid = (low + high) / 2;

		if (dict_bits(n, mid, full) < limit)
			low = mid;
		else
			high = mid;
	}
	p->kind = ENC_DICT;
	p->bits = bits;
	p->distinct = low;
}

struct often {
	uint64_t value;
	size_t times;
};

static int
more_often(const void *a, const void *b)
{
	const struct often *x = a, *y = b;

	if (x->times != y->times)
		return x->times < y->times ? 1 : -1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void
plan_escape(const struct sample *s, size_t n, unsigned full, struct plan *p)
{
	struct often of[SAMPLE / 2];
	size_t k = 0, in = 0, at = 0;

	/* once in a sample is chance */
	for (size_t i = 0, j; i < s->n; i = j) {
		for (j = i; j < s->n && s->v[j] == s->v[i]; j++)
			;
		if (j - i > 1)
			of[k++] = (struct often){s->v[i], j - i};
	}
	qsort(of, k, sizeof(*of), more_often);
	for (unsigned w = 1; w <= 8 && at < k; w++) {
		double bits;

		for (; at < k && at < ((size_t)1 << w) - 1; at++)
			in += of[at].times;
		bits = (double)n * w + (double)(s->n - in) * s->each * full +
		       (double)at * full + 3 * HEAD_BITS;
		if (bits * 1.10 >= p->bits)
			continue;
		p->kind = ENC_ESCAPE;
		p->bits = bits;
		p->frequent = at;
	}
	if (p->kind == ENC_ESCAPE)
		for (size_t i = 0; i < p->frequent; i++)
			p->top[i] = of[i].value + (uint64_t)p->scan.min;
}

static void
plan_packed(size_t n, struct plan *p)
{
	uint64_t range = (uint64_t)p->scan.max - (uint64_t)p->scan.min;

	p->width = bits_width(range / p->scale);
	p->kind = range == 0 ? ENC_CONST : ENC_PACKED;
	p->bits = (double)n * p->width + HEAD_BITS;
}

static void
plan_simple(size_t n, struct plan *p)
{
	const struct bits_scan *s = &p->scan;
	uint64_t range = (uint64_t)s->max - (uint64_t)s->min;
	uint64_t steps = (uint64_t)s->step_max - (uint64_t)s->step_min;
	/* a difference of wrapped ones may have wrapped itself */
	unsigned w = steps >> 62 ? 64 : bits_width(steps);
	double bits;

	if (range >> 62 == 0) {
		bits = (double)(n - 1) * w + 2 * HEAD_BITS;
		if (n > 2 && bits * 1.05 < p->bits) {
			p->kind = ENC_DELTA;
			p->bits = bits;
		}
	}
	/* the longest run is guessed to be eight times the average */
	bits = (double)s->runs * (p->width + bits_width(8 * n / s->runs)) +
	       3 * HEAD_BITS;
	if (bits < p->bits) {
		p->kind = ENC_RUNS;
		p->bits = bits;
	}
}

static void
choose(const uint64_t *v, size_t n, bool dict, struct plan *p)
{
	struct sample s;

	if (p->kind == ENC_CONST)
		return;
	p->scale = find_scale(v, n, (uint64_t)p->scan.min);
	plan_packed(n, p);
	plan_simple(n, p);
	/* below two bits a value there is little left to win */
	if (p->bits < 2 * (double)n + 4 * HEAD_BITS)
		return;
	sample_take(&s, v, n, &p->scan);
	if (dict)
		plan_dict(&s, n, p->width, p);
	plan_patched(&s, n, p->width + bits_width(p->scale) - 1, p);
	plan_escape(&s, n, p->width, p);
}

void
encode_scan(struct encoder *e, const uint64_t *v, size_t n, struct plan *p)
{
	e->ops->scan(v, n, &p->scan);
	p->scale = 1;
	plan_packed(n, p);
}

void
encode_choose(const uint64_t *v, size_t n, struct plan *p)
{
	choose(v, n, true, p);
}

void
encode_plan(struct encoder *e, const uint64_t *v, size_t n, struct plan *p)
{
	encode_scan(e, v, n, p);
	choose(v, n, true, p);
}

/* ---- encoding ---- */

void
encode_constant(uint64_t value, struct bytes *out)
{
	add_u8(out, ENC_CONST);
	add_u64(out, value);
}

static void
encode_packed(const uint64_t *v, size_t n, unsigned w, uint64_t base,
	      uint64_t scale, struct bytes *out)
{
	struct bits_affine a = affine(base, scale);
	uint8_t *to;

	add_u8(out, ENC_PACKED);
	add_u8(out, w);
	add_u64(out, base);
	add_u64(out, scale);
	to = bytes_room(out, bits_size(n, w) + 8);
	if (!to)
		return;
	bits_pack(to, v, n, w, &a);
	out->len += bits_size(n, w);
}

/* Packed, without a plan: for codes and other plain parts. */
static void
encode_plain(struct encoder *e, const uint64_t *v, size_t n, struct bytes *out)
{
	struct bits_scan s = {0};

	if (n > 0)
		e->ops->scan(v, n, &s);
	if (s.min == s.max)
		encode_constant((uint64_t)s.min, out);
	else
		encode_packed(v, n,
			      bits_width((uint64_t)s.max - (uint64_t)s.min),
			      (uint64_t)s.min, 1, out);
}

static void
encode_runs(struct encoder *e, const uint64_t *v, size_t n,
	    const struct plan *p, struct bytes *out)
{
	size_t runs = p->scan.runs, r = 0, start = 0;
	uint64_t *value = encoder_take(e, runs + 1);
	uint64_t *len = encoder_take(e, runs + 1);

	if (!value || !len) {
		encode_plain(e, v, n, out);
		return;
	}
	for (size_t i = 1; i <= n; i++) {
		if (i < n && v[i] == v[i - 1])
			continue;
		value[r] = v[i - 1];
		len[r++] = i - start - 1;
		start = i;
	}
	add_u8(out, ENC_RUNS);
	add_u32(out, r);
	encode_any(e, value, r, out);
	encode_any(e, len, r, out);
}

static void
encode_delta(struct encoder *e, const uint64_t *v, size_t n, struct bytes *out)
{
	uint64_t *step = encoder_take(e, n);

	if (!step) {
		encode_plain(e, v, n, out);
		return;
	}
	for (size_t i = 1; i < n; i++)
		step[i - 1] = v[i] - v[i - 1];
	add_u8(out, ENC_DELTA);
	add_u64(out, v[0]);
	encode_any(e, step, n - 1, out);
}

void
encode_patched_head(size_t patches, struct bytes *out)
{
	add_u8(out, ENC_PATCHED);
	add_u32(out, patches);
}

void
encode_patches(struct encoder *e, uint64_t *at, const uint64_t *value, size_t n,
	       struct bytes *out)
{
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		size_t row = at[i];

		at[i] = row - last;
		last = row + 1;
	}
	encode_any(e, at, n, out);
	encode_any(e, value, n, out);
}

static void
encode_patched(struct encoder *e, const uint64_t *v, size_t n,
	       const struct plan *p, struct bytes *out)
{
	uint64_t *in = encoder_take(e, n), *at = encoder_take(e, n + 1);
	uint64_t *value = encoder_take(e, n + 1);
	size_t k = 0;

	if (!in || !at || !value) {
		encode_plain(e, v, n, out);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t far = (v[i] - p->base) >> p->width;

		in[i] = far ? p->base : v[i];
		at[k] = i;
		value[k] = v[i];
		k += far != 0;
	}
	encode_patched_head(k, out);
	encode_packed(in, n, p->width, p->base, 1, out);
	encode_patches(e, at, value, k, out);
}

/*
 * A dictionary in the making: distinct values in order of appearance.  A slot
 * holds the low half of a value and its entry + 1; only where values are wider
 * than 32 bits is the entry itself looked at.
 */
struct dict {
	uint64_t *value;
	uint64_t *slots; /* 0 if free */
	uint64_t base;
	size_t n, max;
	unsigned bits; /* of the number of slots */
	bool wide;
};

static void
dict_init(struct encoder *e, struct dict *d, uint64_t *value, size_t max,
	  const struct bits_scan *scan)
{
	uint64_t range = (uint64_t)scan->max - (uint64_t)scan->min;

	*d = (struct dict){.value = value,
			   .slots = e->slots,
			   .base = (uint64_t)scan->min,
			   .max = max,
			   .bits = bits_width(max + max / 2),
			   .wide = range > UINT32_MAX};
	memset(d->slots, 0, sizeof(*d->slots) << d->bits);
}

/* The slot of a value, or the free one where it belongs. */
static inline uint64_t *
dict_find(const struct dict *d, uint64_t v, bool wide)
{
	uint64_t x = v - d->base;
	size_t at = (size_t)(x * 0x9e3779b97f4a7c15 >> (64 - d->bits));
	size_t mask = ((size_t)1 << d->bits) - 1;

	for (;; at = (at + 1) & mask) {
		uint64_t slot = d->slots[at];

		if (slot == 0 ||
		    (slot >> 32 == (x & UINT32_MAX) &&
		     (!wide || d->value[(slot & UINT32_MAX) - 1] == v)))
			return &d->slots[at];
	}
}

static inline void
dict_add(struct dict *d, uint64_t *slot, uint64_t v)
{
	d->value[d->n++] = v;
	*slot = (v - d->base) << 32 | d->n;
}

static inline int
dict_fill_as(struct dict *d, const uint64_t *v, size_t n, uint64_t *code,
	     bool wide)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t *slot = dict_find(d, v[i], wide);

		if (!*slot) {
			if (d->n == d->max)
				return -1;
			dict_add(d, slot, v[i]);
		}
		code[i] = (*slot & UINT32_MAX) - 1;
	}
	return 0;
}

/* Codes of all values; -1 if there are more than max. */
static int
dict_fill(struct dict *d, const uint64_t *v, size_t n, uint64_t *code)
{
	return d->wide ? dict_fill_as(d, v, n, code, true)
		       : dict_fill_as(d, v, n, code, false);
}

size_t
encode_distinct(struct encoder *e, const uint64_t *v, size_t n, size_t max,
		uint64_t *value, uint64_t *code)
{
	struct bits_scan scan;
	struct dict d;

	e->ops->scan(v, n, &scan);
	dict_init(e, &d, value, max, &scan);
	return dict_fill(&d, v, n, code) == 0 ? d.n : 0;
}

/* Sorts the entries, for they pack better so, and renumbers the codes. */
static void
dict_sort(struct encoder *e, struct dict *d, unsigned w, uint64_t *code,
	  size_t n)
{
	uint64_t *key = encoder_take(e, d->n), *tmp = encoder_take(e, d->n);
	uint64_t *rank = e->slots; /* not needed any more */

	if (w > 48 || !key || !tmp)
		return;
	for (size_t i = 0; i < d->n; i++)
		key[i] = (d->value[i] - d->base) | (uint64_t)i << 48;
	bits_sort(key, tmp, d->n, w);
	for (size_t i = 0; i < d->n; i++) {
		rank[key[i] >> 48] = i;
		d->value[i] = d->base + (key[i] & (UINT64_MAX >> 16));
	}
	for (size_t i = 0; i < n; i++)
		code[i] = rank[code[i]];
}

static void
keep_codes(struct codes *to, const struct dict *d, const uint64_t *code,
	   size_t n)
{
	to->entries = d->n;
	for (size_t i = 0; i < n; i++)
		to->code[i] = (uint32_t)code[i];
}

/* -1: there are more distinct values than was thought; nothing is written. */
static int
encode_dict(struct encoder *e, const uint64_t *v, size_t n,
	    const struct plan *p, struct codes *codes, struct bytes *out)
{
	uint64_t range = (uint64_t)p->scan.max - (uint64_t)p->scan.min;
	uint64_t *value = encoder_take(e, p->distinct);
	uint64_t *code = encoder_take(e, n);
	size_t start, len;
	struct dict d;

	if (!value || !code)
		return -1;
	dict_init(e, &d, value, p->distinct, &p->scan);
	if (dict_fill(&d, v, n, code) != 0)
		return -1;
	dict_sort(e, &d, bits_width(range), code, n);
	add_u8(out, ENC_DICT);
	add_u32(out, d.n);
	add_u32(out, 0);
	start = out->len;
	encode_any(e, d.value, d.n, out);
	len = out->len - start;
	if (!out->failed)
		memcpy(out->p + start - 4, &(uint32_t){(uint32_t)len}, 4);
	encode_packed(code, n, bits_width(d.n - 1), 0, 1, out);
	if (codes)
		keep_codes(codes, &d, code, n);
	return 0;
}

/* Codes by a table of all possible values, where these are not too many. */
static size_t
escape_near(struct encoder *e, const uint64_t *v, size_t n,
	    const struct plan *p, uint64_t *code, uint64_t *rest)
{
	uint64_t base = (uint64_t)p->scan.min;
	uint8_t *of = (uint8_t *)e->slots;
	size_t k = 0;

	memset(of, (int)p->frequent, (size_t)(p->scan.max - p->scan.min) + 1);
	for (size_t i = 0; i < p->frequent; i++)
		of[p->top[i] - base] = (uint8_t)i;
	for (size_t i = 0; i < n; i++) {
		code[i] = of[v[i] - base];
		rest[k] = v[i];
		k += code[i] == p->frequent;
	}
	return k;
}

static size_t
escape_far(struct encoder *e, const uint64_t *v, size_t n, const struct plan *p,
	   uint64_t *code, uint64_t *rest)
{
	uint64_t top[ENC_ESCAPE_MAX];
	struct dict d;
	size_t k = 0;

	dict_init(e, &d, top, 8 * p->frequent, &p->scan);
	for (size_t i = 0; i < p->frequent; i++)
		dict_add(&d, dict_find(&d, p->top[i], true), p->top[i]);
	for (size_t i = 0; i < n; i++) {
		uint64_t slot = *dict_find(&d, v[i], d.wide);

		code[i] = slot ? (slot & UINT32_MAX) - 1 : d.n;
		rest[k] = v[i];
		k += slot == 0;
	}
	return k;
}

static void
encode_escape(struct encoder *e, const uint64_t *v, size_t n,
	      const struct plan *p, struct bytes *out)
{
	uint64_t *code = encoder_take(e, n), *rest = encoder_take(e, n + 1);
	uint64_t range = (uint64_t)p->scan.max - (uint64_t)p->scan.min;
	size_t k;

	if (!code || !rest) {
		encode_plain(e, v, n, out);
		return;
	}
	if (range < 65536)
		k = escape_near(e, v, n, p, code, rest);
	else
		k = escape_far(e, v, n, p, code, rest);
	add_u8(out, ENC_ESCAPE);
	add_u32(out, p->frequent);
	add_u32(out, k);
	encode_packed(code, n, bits_width(p->frequent), 0, 1, out);
	encode_plain(e, p->top, p->frequent, out);
	encode_any(e, rest, k, out);
}

void
encode_vector(struct encoder *e, const uint64_t *v, size_t n, struct plan *p,
	      struct codes *codes, struct bytes *out)
{
	size_t mark = encoder_mark(e);

	e->depth++;
	if (p->kind == ENC_DICT) {
		int r = encode_dict(e, v, n, p, codes, out);

		encoder_release(e, mark);
		if (r == 0) {
			e->depth--;
			return;
		}
		choose(v, n, false, p);
	}
	switch (p->kind) {
	case ENC_CONST:
		encode_constant((uint64_t)p->scan.min, out);
		break;
	case ENC_RUNS:
		encode_runs(e, v, n, p, out);
		break;
	case ENC_PATCHED:
		encode_patched(e, v, n, p, out);
		break;
	case ENC_DELTA:
		encode_delta(e, v, n, out);
		break;
	case ENC_ESCAPE:
		encode_escape(e, v, n, p, out);
		break;
	default:
		encode_packed(v, n, p->width, (uint64_t)p->scan.min, p->scale,
			      out);
	}
	e->depth--;
	encoder_release(e, mark);
}

void
encode_any(struct encoder *e, const uint64_t *v, size_t n, struct bytes *out)
{
	struct plan p;

	if (n == 0) {
		encode_constant(0, out);
		return;
	}
	/* leaves a level for the parts, and some for what is above */
	if (e->depth >= ENC_DEPTH_MAX - 4) {
		encode_plain(e, v, n, out);
		return;
	}
	encode_plan(e, v, n, &p);
	encode_vector(e, v, n, &p, NULL, out);
}

void
encode_linear(unsigned ref, uint64_t mul, uint64_t div, struct bytes *out)
{
	add_u8(out, ENC_LINEAR);
	add_u8(out, ref & 255);
	add_u8(out, ref >> 8);
	add_u64(out, mul);
	add_u64(out, div);
}

void
encode_map(unsigned ref, size_t entries, struct bytes *out)
{
	add_u8(out, ENC_MAP);
	add_u8(out, ref & 255);
	add_u8(out, ref >> 8);
	add_u32(out, entries);
}
