/* SPDX-License-Identifier: BSD-2-Clause */
/* Encodings for which values are looked up: dictionaries and escapes. */
#include <string.h>

#include "common/encode_parts.h"

enum {
	ESCAPE_BITS = 12,
	ESCAPE_SLOTS = 1 << ESCAPE_BITS,
};

/* What a dictionary is made of: entries ascending, the code of each row, and
 * for each entry a row that has it. */
struct dict {
	uint32_t *value, *code, *row;
	size_t n;
};

static inline size_t
slot_of(uint32_t x, uint32_t factor)
{
	return x * factor >> (32 - SLOT_BITS);
}

/*
 * For each row another that has the same value, the same for all of these:
 * each row writes its number where its value hashes to, and the last one
 * stays.  The few rows that find another value there try again with another
 * hash.  There is no branch that cannot be foreseen in this.  -1: a few tries
 * were not enough.
 */
static int
find_equals(struct encoder *e, const struct vec *x, uint32_t *equal)
{
	uint16_t *slots = (uint16_t *)e->slots;
	uint32_t *left = encoder_take32(e, x->n + 1), f = e->factors[0];
	const uint32_t *v = x->v;
	size_t k = x->n, m = 0;

	if (!left)
		return -1;
	for (size_t i = 0; i < k; i++)
		slots[slot_of(v[i], f)] = (uint16_t)i;
	for (size_t i = 0; i < k; i++) {
		uint32_t other = slots[slot_of(v[i], f)];

		equal[i] = other;
		left[m] = (uint32_t)i;
		m += v[other] != v[i];
	}
	for (size_t t = 1; m > 0 && t < FACTORS; t++) {
		k = m;
		m = 0;
		f = e->factors[t];
		for (size_t i = 0; i < k; i++)
			slots[slot_of(v[left[i]], f)] = (uint16_t)left[i];
		for (size_t i = 0; i < k; i++) {
			uint32_t row = left[i];
			uint32_t other = slots[slot_of(v[row], f)];

			equal[row] = other;
			left[m] = row;
			m += v[other] != v[row];
		}
	}
	return m == 0 ? 0 : -1;
}

static int
dict_far(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	 struct dict *d)
{
	uint64_t *key = encoder_take(e, x->n + 1);
	uint64_t *tmp = encoder_take(e, x->n);
	uint32_t *entry = (uint32_t *)tmp, *code = d->code, n = 0;

	if (!key || !tmp || find_equals(e, x, code) != 0)
		return -1;
	for (uint32_t i = 0; i < x->n; i++) {
		key[n] = (uint64_t)i << 48 | (x->v[i] - s->min);
		n += code[i] == i;
	}
	bits_sort(key, tmp, n, bits_width(s->max - s->min));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = (uint32_t)(key[i] >> 48);

		d->row[i] = row;
		d->value[i] = (uint32_t)key[i] + s->min;
		entry[row] = i;
	}
	for (size_t i = 0; i < x->n; i++)
		code[i] = entry[code[i]];
	d->n = n;
	return 0;
}

/* The same where a table of all possible values is small. */
static void
dict_near(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	  struct dict *d)
{
	uint32_t range = s->max - s->min;
	uint32_t *of = (uint32_t *)e->slots; /* a row + 1, then the entry */

	memset(of, 0, (range + (size_t)1) * sizeof(*of));
	for (size_t i = 0; i < x->n; i++)
		of[x->v[i] - s->min] = (uint32_t)i + 1;
	d->n = 0;
	for (uint32_t k = 0; k <= range; k++) {
		if (of[k] == 0)
			continue;
		d->value[d->n] = k + s->min;
		d->row[d->n] = of[k] - 1;
		of[k] = (uint32_t)d->n++;
	}
	for (size_t i = 0; i < x->n; i++)
		d->code[i] = of[x->v[i] - s->min];
}

/* Ascending values: by their differences, if that is smaller.  These may be
 * above INT32_MAX, so put_delta would not do. */
static void
put_ascending(struct encoder *e, const struct vec *x, struct bytes *out)
{
	size_t mark = encoder_mark(e);
	uint32_t *step = encoder_take32(e, x->n);
	struct vec steps = {step, x->n - 1, 0, x->scale};
	struct bits_scan32 s;

	for (size_t i = 1; step && i < x->n; i++)
		step[i - 1] = x->v[i] - x->v[i - 1];
	if (step && x->n > 2) {
		e->ops->scan32(step, x->n - 1, &s);
		if (encode_cost(e, &steps, &s) <
		    (double)x->n * bits_width(x->v[x->n - 1] - x->v[0])) {
			encode_u8(out, ENC_DELTA);
			encode_u64(out, x->base + x->scale * x->v[0]);
			e->depth++;
			encode_vec(e, &steps, &s, NULL, out);
			e->depth--;
			encoder_release(e, mark);
			return;
		}
	}
	encoder_release(e, mark);
	encode_plain(e, x, out);
}

/* -1: there are more than MAX distinct values; nothing is written. */
int
encode_dict(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	    size_t max, struct codes *codes, struct bytes *out)
{
	struct dict d = {.value = encoder_take32(e, x->n),
			 .code = codes ? codes->code : encoder_take32(e, x->n),
			 .row = codes ? codes->row : encoder_take32(e, x->n)};
	size_t start, len;

	if (!d.value || !d.code || !d.row)
		return -1;
	if (s->max - s->min < CHOOSE_NEAR)
		dict_near(e, x, s, &d);
	else if (dict_far(e, x, s, &d) != 0)
		return -1;
	if (d.n > max)
		return -1;
	encode_u8(out, ENC_DICT);
	encode_u32(out, d.n);
	encode_u32(out, 0);
	start = out->len;
	put_ascending(e, &(struct vec){d.value, d.n, x->base, x->scale}, out);
	len = out->len - start;
	if (!out->failed)
		memcpy(out->p + start - 4, &(uint32_t){(uint32_t)len}, 4);
	encode_codes(e, d.code, x->n, d.n, out);
	if (codes)
		codes->entries = d.n;
	return 0;
}

/* ---- escapes ---- */

static size_t
escape_near(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	    const struct choice *p, uint32_t *code, uint32_t *rest)
{
	uint8_t *of = (uint8_t *)e->slots;
	size_t k = 0;

	memset(of, (int)p->frequent, s->max - s->min + (size_t)1);
	for (size_t i = 0; i < p->frequent; i++)
		of[p->top[i]] = (uint8_t)i;
	for (size_t i = 0; i < x->n; i++) {
		code[i] = of[x->v[i] - s->min];
		rest[k] = x->v[i];
		k += code[i] == p->frequent;
	}
	return k;
}

/* Frequent values by hash; a few hundred slots hold them. */
static size_t
escape_far(struct encoder *e, const struct vec *x, const struct bits_scan32 *s,
	   const struct choice *p, uint32_t *code, uint32_t *rest)
{
	struct slot {
		uint32_t value, code;
	} *slots = (struct slot *)e->slots, *slot;
	uint32_t f = e->factors[0], none = (uint32_t)p->frequent;
	size_t k = 0, at;

	/* free slots match nothing that escapes */
	for (at = 0; at < ESCAPE_SLOTS; at++)
		slots[at] = (struct slot){(uint32_t)p->top[0] + s->min, none};
	for (uint32_t i = 0; i < none; i++) {
		uint32_t v = (uint32_t)p->top[i] + s->min;

		at = v * f >> (32 - ESCAPE_BITS);
		/* one that finds its slot taken is not that frequent */
		if (slots[at].code == none)
			slots[at] = (struct slot){v, i};
	}
	for (size_t i = 0; i < x->n; i++) {
		slot = &slots[x->v[i] * f >> (32 - ESCAPE_BITS)];
		code[i] = slot->value == x->v[i] ? slot->code : none;
		rest[k] = x->v[i];
		k += code[i] == none;
	}
	return k;
}

void
encode_escape(struct encoder *e, const struct vec *x,
	      const struct bits_scan32 *s, const struct choice *p,
	      struct bytes *out)
{
	uint32_t *code = encoder_take32(e, x->n);
	uint32_t *rest = encoder_take32(e, x->n + 1);
	uint32_t top[ENC_ESCAPE_MAX];
	size_t k;

	if (!code || !rest) {
		encode_plain(e, x, out);
		return;
	}
	if (s->max - s->min < CHOOSE_NEAR)
		k = escape_near(e, x, s, p, code, rest);
	else
		k = escape_far(e, x, s, p, code, rest);
	for (size_t i = 0; i < p->frequent; i++)
		top[i] = (uint32_t)p->top[i] + s->min;
	encode_u8(out, ENC_ESCAPE);
	encode_u32(out, p->frequent);
	encode_u32(out, k);
	encode_codes(e, code, x->n, p->frequent + 1, out);
	encode_plain(e, &(struct vec){top, p->frequent, x->base, x->scale},
		     out);
	encode_part(e, &(struct vec){rest, k, x->base, x->scale}, out);
}
