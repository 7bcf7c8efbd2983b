/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/distinct.h"

#include <string.h>
#include <xxhash.h>

enum {
	FEW = 8, /* entries that are looked at one by one */
	AHEAD = 10,
	BATCH = 256,
};

static inline uint64_t
get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t
mix(uint64_t h)
{
	h *= UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 29;
}

size_t
distinct_size(enum distinct_kind k)
{
	return k == DISTINCT_64 ? 8 : k == DISTINCT_TEXT ? 24 : 16;
}

uint64_t
distinct_hash(enum distinct_kind k, const void *value)
{
	const struct str *s = value;

	switch (k) {
	case DISTINCT_TEXT:
		return XXH3_64bits(s->p ? s->p : "", s->len);
	case DISTINCT_128:
		return mix(get64(value) ^ mix(get64((const char *)value + 8)));
	default:
		return mix(get64(value));
	}
}

/* Of an entry, which for text keeps it. */
static inline uint64_t
entry_hash(enum distinct_kind k, const char *e)
{
	return k == DISTINCT_TEXT ? get64(e) : distinct_hash(k, e);
}

static inline bool
is_equal(enum distinct_kind k, const char *e, uint64_t hash, const void *value)
{
	const struct str *s = value;
	struct str t;

	switch (k) {
	case DISTINCT_TEXT:
		memcpy(&t, e + 8, sizeof t);
		return get64(e) == hash && t.len == s->len &&
		       (s->len == 0 || !memcmp(t.p, s->p, s->len));
	case DISTINCT_128:
		return get64(e) == get64(value) &&
		       get64(e + 8) == get64((const char *)value + 8);
	default:
		return get64(e) == get64(value);
	}
}

static int
make_slots(struct distinct *d, enum distinct_kind k, struct arena *a)
{
	size_t slots = 2 * (size_t)d->cap, size = distinct_size(k);
	uint32_t *p = arena_alloc(a, slots * sizeof(*p));

	if (!p)
		return -1;
	memset(p, 0, slots * sizeof(*p));
	d->slots = p;
	d->mask = (uint32_t)(slots - 1);
	for (uint32_t i = 0; i < d->n; i++) {
		size_t at = entry_hash(k, d->entries + i * size) & d->mask;

		while (p[at])
			at = (at + 1) & d->mask;
		p[at] = i + 1;
	}
	return 0;
}

/* Room for one more. Slots are twice as many. */
static int
grow(struct distinct *d, enum distinct_kind k, struct arena *a)
{
	size_t cap = d->cap ? 4 * (size_t)d->cap : 4, size = distinct_size(k);
	char *p;

	if (cap > UINT32_MAX / 8)
		return -1;
	p = arena_alloc(a, cap * size);
	if (!p)
		return -1;
	if (d->n)
		memcpy(p, d->entries, d->n * size);
	d->entries = p;
	d->cap = (uint32_t)cap;
	return cap > FEW ? make_slots(d, k, a) : 0;
}

static char *
put_new(struct distinct *d, enum distinct_kind k, uint64_t hash,
	const void *value, struct arena *a)
{
	size_t size = distinct_size(k), at;
	char *e;

	if (d->n == d->cap && grow(d, k, a))
		return NULL;
	e = d->entries + d->n * size;
	if (k == DISTINCT_TEXT) {
		memcpy(e, &hash, 8);
		memcpy(e + 8, value, sizeof(struct str));
	} else if (k == DISTINCT_COUNT) {
		memcpy(e, value, 8);
		memset(e + 8, 0, 8);
	} else {
		memcpy(e, value, size);
	}
	d->n++;
	if (!d->slots)
		return e;
	for (at = hash & d->mask; d->slots[at];)
		at = (at + 1) & d->mask;
	d->slots[at] = d->n;
	return e;
}

static inline char *
find(struct distinct *d, enum distinct_kind k, uint64_t hash, const void *value)
{
	size_t size = distinct_size(k), at;
	uint32_t e;

	if (!d->slots) {
		for (uint32_t i = 0; i < d->n; i++)
			if (is_equal(k, d->entries + i * size, hash, value))
				return d->entries + i * size;
		return NULL;
	}
	for (at = hash & d->mask; (e = d->slots[at]); at = (at + 1) & d->mask)
		if (is_equal(k, d->entries + (e - 1) * size, hash, value))
			return d->entries + (e - 1) * size;
	return NULL;
}

static inline char *
entry(struct distinct *d, enum distinct_kind k, uint64_t hash,
      const void *value, struct arena *a)
{
	char *e = find(d, k, hash, value);

	return e ? e : put_new(d, k, hash, value, a);
}

char *
distinct_entry(struct distinct *d, enum distinct_kind k, const void *value,
	       struct arena *a)
{
	return entry(d, k, distinct_hash(k, value), value, a);
}

/* A text that is new is copied. */
static int
add_text(struct distinct *d, uint64_t hash, const struct str *s,
	 struct arena *a)
{
	struct str own = *s;

	if (find(d, DISTINCT_TEXT, hash, s))
		return 0;
	own.p = arena_strndup(a, s->p, s->len);
	return own.p && put_new(d, DISTINCT_TEXT, hash, &own, a) ? 0 : -1;
}

/* Gets slots, and what they stand for, on their way into the cache. */
static inline void
ahead(const struct distinct *d, size_t size, const uint64_t *hash, uint32_t n)
{
	if (n > 2 * AHEAD)
		__builtin_prefetch(d->slots + (hash[2 * AHEAD] & d->mask));
	if (n > AHEAD) {
		uint32_t e = d->slots[hash[AHEAD] & d->mask];

		__builtin_prefetch(d->entries + (e ? e - 1 : 0) * size);
	}
}

static int
add_batch(struct distinct *d, enum distinct_kind k, const char *values,
	  const uint8_t *nulls, uint32_t n, struct arena *a)
{
	size_t size = k == DISTINCT_128 || k == DISTINCT_TEXT ? 16 : 8;
	uint64_t hash[BATCH];

	for (uint32_t i = 0; i < n; i++)
		hash[i] =
		    nulls && nulls[i] ? 0 : distinct_hash(k, values + i * size);
	for (uint32_t i = 0; i < n; i++) {
		const char *v = values + i * size;

		if (d->slots)
			ahead(d, distinct_size(k), hash + i, n - i);
		if (nulls && nulls[i])
			continue;
		if (k == DISTINCT_TEXT) {
			if (add_text(d, hash[i], (const struct str *)v, a))
				return -1;
		} else if (!entry(d, k, hash[i], v, a)) {
			return -1;
		}
	}
	return 0;
}

int
distinct_add(struct distinct *d, enum distinct_kind k, const void *values,
	     const uint8_t *nulls, uint32_t n, struct arena *a)
{
	size_t size = k == DISTINCT_128 || k == DISTINCT_TEXT ? 16 : 8;

	for (uint32_t at = 0; at < n; at += BATCH)
		if (add_batch(d, k, (const char *)values + at * size,
			      nulls ? nulls + at : NULL,
			      n - at < BATCH ? n - at : BATCH, a))
			return -1;
	return 0;
}

int
distinct_merge(struct distinct *into, enum distinct_kind k,
	       const struct distinct *from, struct arena *a)
{
	size_t size = distinct_size(k);

	for (uint32_t i = 0; i < from->n; i++) {
		const char *e = from->entries + i * size;
		const char *value = k == DISTINCT_TEXT ? e + 8 : e;
		uint64_t count;
		char *to = entry(into, k, entry_hash(k, e), value, a);

		if (!to)
			return -1;
		if (k == DISTINCT_COUNT) {
			count = get64(to + 8) + get64(e + 8);
			memcpy(to + 8, &count, 8);
		}
	}
	return 0;
}

/*
 * In files: {u32 n}, then entries; or {u32 length, text} of each.
 */

int
distinct_save(const struct distinct *d, enum distinct_kind k, struct spill *to,
	      struct err *err)
{
	size_t size = distinct_size(k);
	struct str s;
	uint32_t len;

	if (spill_put(to, &d->n, 4, err))
		return -1;
	if (k != DISTINCT_TEXT)
		return spill_put(to, d->entries, d->n * size, err);
	for (uint32_t i = 0; i < d->n; i++) {
		memcpy(&s, d->entries + i * size + 8, sizeof s);
		len = (uint32_t)s.len;
		if (spill_put(to, &len, 4, err) ||
		    spill_put(to, s.p, s.len, err))
			return -1;
	}
	return 0;
}

static int
load_text(struct distinct *d, struct spill_reader *from, struct arena *a,
	  struct err *err)
{
	const void *p = spill_take(from, 4, err);
	struct str s;
	uint32_t len;

	if (!p)
		return -1;
	memcpy(&len, p, 4);
	s = (struct str){spill_take(from, len, err), len};
	if (!s.p)
		return -1;
	return add_text(d, distinct_hash(DISTINCT_TEXT, &s), &s, a)
		   ? err_set(err, "out of memory for values")
		   : 0;
}

static int
load_value(struct distinct *d, enum distinct_kind k, struct spill_reader *from,
	   struct arena *a, struct err *err)
{
	const char *p = spill_take(from, distinct_size(k), err);
	uint64_t count;
	char *e;

	if (!p)
		return -1;
	e = distinct_entry(d, k, p, a);
	if (!e)
		return err_set(err, "out of memory for values");
	if (k == DISTINCT_COUNT) {
		count = get64(e + 8) + get64(p + 8);
		memcpy(e + 8, &count, 8);
	}
	return 0;
}

int
distinct_load(struct distinct *into, enum distinct_kind k,
	      struct spill_reader *from, struct arena *a, struct err *err)
{
	const void *p = spill_take(from, 4, err);
	uint32_t n;
	int rc = 0;

	if (!p)
		return -1;
	memcpy(&n, p, 4);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = k == DISTINCT_TEXT ? load_text(into, from, a, err)
					: load_value(into, k, from, a, err);
	return rc;
}
