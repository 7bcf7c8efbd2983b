/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/labels.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowdecode/reader.h"

enum {
	CHUNK = 64,    /* rows that are looked up at a time */
	SHORT = 24,    /* bytes of a text that needs no memory of its own */
	OVERHEAD = 16, /* of malloc */
};

struct label {
	uint64_t id;
	int64_t since_us;
	union {
		char near[SHORT];
		char *far;
	};
	uint16_t kind; /* enum label_kind and, of applications, the engine */
	uint16_t len;  /* 0: a free slot */
};

static const char *
text_of(const struct label *at)
{
	return at->len <= SHORT ? at->near : at->far;
}

static void
forget(struct label *at)
{
	if (at->len > SHORT)
		free(at->far);
}

void
labels_clear(struct labels *l)
{
	for (size_t i = 0; l->slots && i <= l->mask; i++)
		forget(&l->slots[i]);
	free(l->slots);
	*l = (struct labels){.seed = l->seed};
}

/* Numbers. */

struct key {
	uint64_t id;
	uint16_t kind;
};

/*
 * An application has a classification engine in the first byte and a selector
 * in the others, which may be of another length in options than in records
 * (RFC 6759, 4).
 */
static bool
key_of(enum label_kind kind, const uint8_t *id, size_t len, struct key *k)
{
	*k = (struct key){.kind = kind};
	if (kind == LABEL_APPLICATION && len > 0) {
		k->kind = (uint16_t)(kind | *id++ << 8);
		len--;
	} else if (len == 0) {
		return false;
	}
	if (len > 8)
		return false;
	k->id = len == 4 ? wire_u32(id) : wire_uint(id, len);
	return true;
}

/* Where it is, or the place from which it is to be looked for. */
static size_t
home_of(const struct labels *l, struct key k)
{
	__uint128_t m = (__uint128_t)(k.id ^ l->seed) *
			(0x9e3779b97f4a7c15 + 2 * (uint64_t)k.kind);

	return ((uint64_t)m ^ (uint64_t)(m >> 64)) & l->mask;
}

static size_t
slot_from(const struct labels *l, struct key k, size_t at)
{
	while (l->slots[at].len &&
	       (l->slots[at].id != k.id || l->slots[at].kind != k.kind))
		at = (at + 1) & l->mask;
	return at;
}

static size_t
slot_of(const struct labels *l, struct key k)
{
	return slot_from(l, k, home_of(l, k));
}

static int
grow(struct labels *l)
{
	size_t slots = l->slots ? 2 * (l->mask + 1) : SLOTS_FIRST;
	struct labels bigger = *l;

	bigger.mask = slots - 1;
	bigger.slots = calloc(slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; l->slots && i <= l->mask; i++) {
		const struct label *old = &l->slots[i];
		struct key k = {old->id, old->kind};

		if (old->len)
			bigger.slots[slot_of(&bigger, k)] = *old;
	}
	bigger.bytes +=
	    (slots - (l->slots ? l->mask + 1 : 0)) * sizeof(*l->slots);
	free(l->slots);
	*l = bigger;
	return 0;
}

/* Texts. */

/* The bytes of the character at P, which is of valid UTF-8. */
static size_t
character(const uint8_t *p)
{
	if (*p < 0x80)
		return 1;
	return *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
}

static bool
is_control(const uint8_t *p)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
}

/*
 * Copies text up to its first NUL, without blanks at its end; a control
 * character, and a byte that is no UTF-8, becomes U+FFFD.  Returns the length.
 */
static size_t
clean(char out[LABEL_TEXT], const uint8_t *p, size_t len)
{
	size_t n = 0, good;

	if (len == 0)
		return 0;
	len = strnlen((const char *)p, len);
	good = text_utf8((const char *)p, len);
	while (len > 0 && n + 4 <= LABEL_TEXT) {
		size_t step = good ? character(p) : 1;
		bool plain = good && !is_control(p);

		memcpy(out + n, plain ? (const char *)p : "\xef\xbf\xbd",
		       plain ? step : 3);
		n += plain ? step : 3;
		p += step;
		len -= step;
		good = good ? good - step : text_utf8((const char *)p, len);
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	return n;
}

/* Memory that a text takes beside its slot. */
static size_t
text_size(size_t len)
{
	return len > SHORT ? OVERHEAD + len : 0;
}

static int
replace(struct labels *l, struct label *at, const char *text, size_t len,
	int64_t since_us)
{
	char *copy = NULL;

	if (at->len == len && memcmp(text_of(at), text, len) == 0)
		return 0;
	if (l->bytes + text_size(len) > LABELS_BYTES)
		return -1;
	if (len > SHORT && !(copy = malloc(len)))
		return -1;
	l->bytes += text_size(len) - text_size(at->len);
	forget(at);
	at->len = (uint16_t)len;
	at->since_us = since_us;
	l->changed = true;
	if (copy)
		at->far = copy;
	memcpy(copy ? copy : at->near, text, len);
	return 0;
}

static int
set(struct labels *l, struct key k, const char *text, size_t len,
    struct when when)
{
	struct label *at;
	bool is_new;

	if ((!l->slots || 2 * (l->n + 1) > l->mask + 1) && grow(l) != 0)
		return -1;
	at = &l->slots[slot_of(l, k)];
	is_new = at->len == 0;
	if (is_new && l->n == LABELS_MAX)
		return -1;
	/* what had to wait does not replace what came after it */
	if (!is_new && when.late && when.us < at->since_us)
		return 0;
	if (replace(l, at, text, len, when.us) != 0)
		return -1;
	at->id = k.id;
	at->kind = k.kind;
	l->n += is_new;
	return 0;
}

int
labels_set(struct labels *l, const struct label_set *s)
{
	char cleaned[LABEL_TEXT];
	struct key k;
	size_t len;

	if (!key_of(s->kind, s->id, s->id_len, &k))
		return 0;
	len = clean(cleaned, (const uint8_t *)s->text, s->len);
	if (len == 0)
		return 0;
	if (set(l, k, cleaned, len, s->when) != 0)
		return -1;
	l->flags |= PLAN_INTERFACES << s->kind;
	return 0;
}

unsigned
labels_learn(struct labels *l, const struct plan *p, const uint8_t *base,
	     const struct cell *cells, struct when when)
{
	unsigned lost = 0;

	for (int kind = 0; kind < LABEL_KINDS; kind++) {
		const struct naming *a = &p->namings[kind];
		struct label_set s = {.kind = (enum label_kind)kind,
				      .when = when};
		const uint8_t *text;

		if (a->id == NO_FIELD)
			continue;
		s.id = plan_bytes(p, base, cells, a->id, &s.id_len);
		text = plan_bytes(p, base, cells, a->name, &s.len);
		if (s.len == 0 || text[0] == 0)
			text =
			    plan_bytes(p, base, cells, a->description, &s.len);
		s.text = (const char *)text;
		if (labels_set(l, &s) != 0)
			lost++;
	}
	return lost;
}

/* The number as it may have come: see key_of. */
static size_t
put_id(uint8_t out[LABEL_ID], const struct label *at)
{
	size_t n = 0;

	if ((at->kind & 0xff) == LABEL_APPLICATION)
		out[n++] = (uint8_t)(at->kind >> 8);
	for (int shift = 56; shift >= 0; shift -= 8)
		out[n++] = (uint8_t)(at->id >> shift);
	return n;
}

void
labels_each(const struct labels *l, void (*f)(void *, const struct label_set *),
	    void *ctx)
{
	uint8_t id[LABEL_ID];

	for (size_t i = 0; l->slots && i <= l->mask; i++) {
		const struct label *at = &l->slots[i];
		struct label_set s = {.kind =
					  (enum label_kind)(at->kind & 0xff),
				      .id = id,
				      .text = text_of(at),
				      .len = at->len,
				      .when = {.us = at->since_us}};

		if (at->len == 0)
			continue;
		s.id_len = put_id(id, at);
		f(ctx, &s);
	}
}

/* Records. */

static const struct label none;

static const struct label *
label_at(const struct label *at, struct when when)
{
	return when.late && at->since_us > when.us ? &none : at;
}

/* The field of row I of a copy. */
static const uint8_t *
field_at(const struct copy *c, uint32_t i, size_t *len)
{
	const struct cell *cell;

	*len = c->len;
	if (!c->cells)
		return c->src + i * c->stride;
	cell = c->cells + i * c->step;
	if (c->len == 0)
		*len = cell->len;
	return c->src + cell->off;
}

/* Slots where the names of rows [from, from + n) of a copy may be: their memory
 * is on its way while the others are worked out.  -1: there is no number. */
static void
find_homes(const struct label_copy *lc, uint32_t from, uint32_t n,
	   struct key keys[CHUNK], int64_t homes[CHUNK])
{
	const struct labels *l = lc->labels;

	for (uint32_t i = 0; i < n; i++) {
		size_t len;
		const uint8_t *id = field_at(lc->copy, from + i, &len);

		homes[i] = -1;
		if (!l->slots || !key_of(lc->kind, id, len, &keys[i]))
			continue;
		homes[i] = (int64_t)home_of(l, keys[i]);
		__builtin_prefetch(&l->slots[homes[i]]);
	}
}

/* The names of rows [from, from + n) of a copy. Returns their bytes. */
static size_t
look_up(const struct label_copy *lc, uint32_t from, uint32_t n,
	const struct label *found[CHUNK])
{
	const struct labels *l = lc->labels;
	struct key keys[CHUNK];
	int64_t homes[CHUNK];
	size_t bytes = 0;

	find_homes(lc, from, n, keys, homes);
	for (uint32_t i = 0; i < n; i++) {
		found[i] = &none;
		if (homes[i] < 0)
			continue;
		found[i] =
		    label_at(&l->slots[slot_from(l, keys[i], (size_t)homes[i])],
			     lc->when);
		bytes += found[i]->len;
	}
	return bytes;
}

/* The column has room for N rows, and SHORT bytes more than these take. */
static int
put_rows(struct column *col, uint32_t row, const struct label *found[CHUNK],
	 uint32_t n, struct err *e)
{
	uint32_t *off = col->data;

	for (uint32_t i = 0; i < n; i++, row++) {
		const struct label *at = found[i];
		char *out = col->bytes + col->bytes_len;

		if (at->len == 0) {
			if (column_null(col, COL_STRING, row, e) != 0)
				return -1;
			continue;
		}
		if (at->len <= SHORT)
			memcpy(out, at->near, SHORT);
		else
			memcpy(out, at->far, at->len);
		col->bytes_len += at->len;
		off[row + 1] = (uint32_t)col->bytes_len;
		if (col->valid)
			col->valid[row >> 3] |= (uint8_t)(1u << (row & 7));
	}
	return 0;
}

int
labels_copy(const struct label_copy *lc, struct column *col, uint32_t row,
	    struct err *e)
{
	uint32_t all = lc->copy->n;
	const struct label *found[CHUNK];

	if (row == 0)
		((uint32_t *)col->data)[0] = 0;
	for (uint32_t at = 0; at < all; at += CHUNK) {
		uint32_t n = all - at < CHUNK ? all - at : CHUNK;
		size_t bytes = look_up(lc, at, n, found);

		if (column_reserve_bytes(col, bytes + SHORT, e) != 0 ||
		    put_rows(col, row + at, found, n, e) != 0)
			return -1;
	}
	return 0;
}
