/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef unsigned __int128 u128;

enum {
	LARGE = 4 << 20, /* bytes of a table that gets memory of its own */
	PREFETCH = 12,
};

static inline uint64_t
get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void
put64(char *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline uint64_t
mix(uint64_t h)
{
	h *= UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 29;
}

static inline uint64_t
mix128(u128 k)
{
	return mix((uint64_t)k ^ mix((uint64_t)(k >> 64)));
}

static uint64_t
mix_bytes(const uint8_t *p, size_t len)
{
	uint64_t h = len, v;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		h = mix(h ^ v);
	}
	v = 0;
	memcpy(&v, p, len);
	h = mix(h ^ v);
	return h ? h : 1; /* zero is an empty entry */
}

/*
 * The plan.
 */

static unsigned
bits_of(scale_t span)
{
	uint64_t hi = (uint64_t)(span >> 64), lo = (uint64_t)span;

	if (hi)
		return 128 - (unsigned)__builtin_clzll(hi);
	return lo ? 64 - (unsigned)__builtin_clzll(lo) : 0;
}

static struct range
type_bounds(enum expr_type t)
{
	switch (t) {
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return (struct range){SCALE_ZERO - ((scale_t)1 << 63),
				      SCALE_ZERO + INT64_MAX};
	case TYPE_IPV4:
		return (struct range){SCALE_IPV4, SCALE_IPV4 | UINT32_MAX};
	case TYPE_IP:
		return (struct range){0, ~(scale_t)0};
	case TYPE_BOOL:
		return (struct range){SCALE_ZERO, SCALE_ZERO + 1};
	default:
		return (struct range){SCALE_ZERO, SCALE_ZERO + UINT64_MAX};
	}
}

/* Bits of one part; above 128 if it is on no scale. Null is 0, and values
 * count from 1, where there can be nulls. */
static unsigned
key_bits(struct group_key *k, const struct source *src)
{
	const struct node *nd = k->node;
	struct range r = type_bounds(nd->type);
	scale_t span;

	if (!scale_has(nd->type) && nd->type != TYPE_BOOL)
		return 1000;
	if (nd->kind == NODE_FIELD && src->fields[nd->slot].bounded)
		r = src->fields[nd->slot].bounds;
	k->base = r.lo;
	span = r.hi - r.lo;
	if (nd->nullable) {
		if (span == ~(scale_t)0)
			return 1000;
		k->base--; /* the first value is 1 */
		span++;
	}
	return bits_of(span);
}

void
group_plan_init(struct group_plan *p, const struct source *src)
{
	unsigned bits = 0;

	for (size_t i = p->nkeys; i-- > 0;) {
		struct group_key *k = &p->keys[i];

		k->shift = bits;
		k->bits = key_bits(k, src);
		bits += k->bits;
		if (bits > 1000)
			bits = 1000;
	}
	p->bits = bits;
	p->mode = bits <= 16	? GROUP_DENSE
		  : bits <= 63	? GROUP_64
		  : bits <= 127 ? GROUP_128
				: GROUP_BYTES;
	p->key_size = p->mode == GROUP_BYTES ? 24
		      : p->mode == GROUP_128 ? 16
					     : 8;
	p->stride = p->key_size;
	for (size_t i = 0; i < p->naggs; i++) {
		p->aggs[i].offset = p->stride;
		p->stride += p->aggs[i].ops->size;
	}
}

/*
 * Tables.
 */

/*
 * Zeroed memory.  Large tables are hit all over: huge pages spare most TLB
 * misses.  They are had at once, for a page that is read before it is written
 * is mapped twice, and the second time interrupts the other cores.
 */
static char *
table_memory(size_t bytes)
{
	char *p;

	if (bytes < LARGE)
		return calloc(1, bytes);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	madvise(p, bytes, MADV_POPULATE_WRITE);
	return p;
}

static size_t
table_bytes(const struct group_table *t)
{
	return (t->mask + 1) * t->plan->stride;
}

int
group_table_init(struct group_table *t, const struct group_plan *plan,
		 size_t entries, struct err *err)
{
	if (plan->mode == GROUP_DENSE)
		entries = (size_t)1 << plan->bits;
	*t = (struct group_table){.plan = plan, .mask = entries - 1};
	if (entries > SIZE_MAX / plan->stride / 2)
		return err_set(err, "out of memory for %zu groups", entries);
	t->entries = table_memory(entries * plan->stride);
	if (!t->entries)
		return err_set(err, "out of memory for %zu groups", entries);
	return 0;
}

void
group_table_clear(struct group_table *t)
{
	if (t->entries && table_bytes(t) >= LARGE)
		munmap(t->entries, table_bytes(t));
	else
		free(t->entries);
	*t = (struct group_table){0};
}

size_t
group_table_count(const struct group_table *t)
{
	size_t n = 0;

	if (!t->entries || t->plan->mode != GROUP_DENSE)
		return t->count;
	for (size_t i = 0; i <= t->mask; i++)
		n += get64(t->entries + i * t->plan->stride) != 0;
	return n;
}

uint64_t
group_hash(const struct group_plan *p, const char *entry)
{
	u128 k;

	switch (p->mode) {
	case GROUP_BYTES:
		return get64(entry);
	case GROUP_128:
		memcpy(&k, entry, sizeof k);
		return mix128(k);
	default:
		return mix(get64(entry));
	}
}

bool
group_used(const struct group_plan *p, const char *entry)
{
	if (p->mode == GROUP_128)
		return get64(entry) | get64(entry + 8);
	return get64(entry) != 0;
}

static inline void
prefetch(const struct group_table *t, uint64_t hash)
{
	__builtin_prefetch(t->entries + (hash & t->mask) * t->plan->stride, 1);
}

void
group_prefetch(const struct group_table *t, const char *from)
{
	prefetch(t, group_hash(t->plan, from));
}

static inline size_t
find64(struct group_table *t, uint64_t key, uint64_t hash)
{
	size_t i = hash & t->mask;

	for (;; i = (i + 1) & t->mask) {
		char *e = t->entries + i * t->plan->stride;
		uint64_t k = get64(e);

		if (k == key)
			return i;
		if (!k) {
			put64(e, key);
			t->count++;
			return i;
		}
	}
}

static inline size_t
find128(struct group_table *t, u128 key, uint64_t hash)
{
	size_t i = hash & t->mask;

	for (;; i = (i + 1) & t->mask) {
		char *e = t->entries + i * t->plan->stride;
		u128 k;

		memcpy(&k, e, sizeof k);
		if (k == key)
			return i;
		if (!k) {
			memcpy(e, &key, sizeof key);
			t->count++;
			return i;
		}
	}
}

struct bytes_key {
	uint64_t hash;
	const uint8_t *p;
	uint64_t len;
};

static inline size_t
find_bytes(struct group_table *t, const struct bytes_key *key)
{
	size_t i = key->hash & t->mask;

	for (;; i = (i + 1) & t->mask) {
		char *e = t->entries + i * t->plan->stride;
		struct bytes_key k;

		memcpy(&k, e, sizeof k);
		if (k.hash == key->hash && k.len == key->len &&
		    !memcmp(k.p, key->p, k.len))
			return i;
		if (!k.hash) {
			memcpy(e, key, sizeof *key);
			t->count++;
			return i;
		}
	}
}

char *
group_entry(struct group_table *t, const char *from)
{
	struct bytes_key key;
	u128 wide;
	size_t i;

	switch (t->plan->mode) {
	case GROUP_DENSE:
		i = get64(from) - 1;
		put64(t->entries + i * t->plan->stride, i + 1);
		break;
	case GROUP_64:
		i = find64(t, get64(from), mix(get64(from)));
		break;
	case GROUP_128:
		memcpy(&wide, from, sizeof wide);
		i = find128(t, wide, mix128(wide));
		break;
	default:
		memcpy(&key, from, sizeof key);
		i = find_bytes(t, &key);
	}
	return t->entries + i * t->plan->stride;
}

size_t
group_table_next(const struct group_table *t)
{
	size_t entries = t->mask + 1;

	return entries * t->plan->stride < LARGE ? 4 * entries : 2 * entries;
}

int
group_table_grow(struct group_table *t, struct err *err)
{
	struct group_table big;
	size_t stride = t->plan->stride, key = t->plan->key_size;

	if (group_table_init(&big, t->plan, group_table_next(t), err))
		return -1;
	for (size_t i = 0; i <= t->mask; i++) {
		const char *e = t->entries + i * stride;

		if (group_used(t->plan, e))
			memcpy(group_entry(&big, e) + key, e + key,
			       stride - key);
	}
	group_table_clear(t);
	*t = big;
	return 0;
}

/*
 * Keys of rows.
 */

/* Value I of a vector on its scale, less the key's base. */
static inline scale_t
scale_at(const struct vec *v, uint32_t i, scale_t base)
{
	switch (v->type) {
	case TYPE_BOOL:
		return SCALE_ZERO + VEC_AT(*v, uint8_t, i) - base;
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return SCALE_ZERO + (scale_t)(__int128)VEC_AT(*v, int64_t, i) -
		       base;
	case TYPE_IPV4:
		return (SCALE_IPV4 | VEC_AT(*v, uint64_t, i)) - base;
	case TYPE_IP:
		return VEC_AT(*v, u128, i) - base;
	default:
		return SCALE_ZERO + VEC_AT(*v, uint64_t, i) - base;
	}
}

/* A value out of the bounds that the headers promise. */
static int
out_of_bounds(const struct group_key *k, struct err *err)
{
	return err_set(err,
		       "%s: a block holds values outside its header's bounds; "
		       "flowstore check says which",
		       k->name);
}

/* Parts of values that are 64 bits wide, whose scale is theirs but for BASE:
 * what is set in any of them. */
static inline uint64_t
pack_plain(const struct group_key *k, const uint64_t *in, uint64_t base,
	   uint32_t n, uint64_t *keys)
{
	uint64_t any = 0;
	unsigned shift = k->shift;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t part = in[i] - base;

		any |= part;
		keys[i] += part << shift;
	}
	return any;
}

static uint64_t
pack_any(const struct group_key *k, const struct vec *v, uint64_t base,
	 uint32_t n, uint64_t *keys)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t part = 0;

		if (v->type == TYPE_BOOL)
			part = VEC_AT(*v, uint8_t, i) - base;
		else if (v->type == TYPE_IP)
			part = (uint64_t)(VEC_AT(*v, u128, i) - k->base);
		else
			part = VEC_AT(*v, uint64_t, i) - base;
		if (VEC_NULL(*v, i))
			part = 0;
		any |= part;
		keys[i] += part << k->shift;
	}
	return any;
}

/* Adds one part to keys of 64 bits: the usual widths. */
static int
pack64(const struct group_key *k, const struct vec *v, uint32_t n,
       uint64_t *keys, struct err *err)
{
	uint64_t base = (uint64_t)k->base, any;
	uint64_t limit =
	    k->bits < 64 ? (UINT64_C(1) << k->bits) - 1 : UINT64_MAX;

	/* Scales agree modulo 2^64, IPv4's 0xffff apart. */
	if (v->type == TYPE_IPV4)
		base = (uint64_t)(k->base - SCALE_IPV4);
	if (v->null || v->constant || v->type == TYPE_BOOL ||
	    v->type == TYPE_IP)
		any = pack_any(k, v, base, n, keys);
	else
		any = pack_plain(k, v->data, base, n, keys);
	return any & ~limit ? out_of_bounds(k, err) : 0;
}

static int
pack128(const struct group_key *k, const struct vec *v, uint32_t n, u128 *keys,
	struct err *err)
{
	scale_t over = 0, limit = ((scale_t)1 << k->bits) - 1;

	for (uint32_t i = 0; i < n; i++) {
		scale_t part = VEC_NULL(*v, i) ? 0 : scale_at(v, i, k->base);

		over |= part & ~limit;
		keys[i] += part << k->shift;
	}
	return over ? out_of_bounds(k, err) : 0;
}

/* {null byte, then the value: strings as u32 length and bytes} of each part */
static size_t
bytes_size(const struct group_plan *p, const struct vec *vecs, uint32_t i)
{
	size_t n = 0;

	for (size_t k = 0; k < p->nkeys; k++) {
		const struct vec *v = &vecs[k];

		n++;
		if (v->type == TYPE_NULL || VEC_NULL(*v, i))
			continue;
		if (v->type == TYPE_STRING || v->type == TYPE_BYTES)
			n += 4 + VEC_AT(*v, struct str, i).len;
		else
			n += expr_type_size(v->type);
	}
	return n;
}

static void
bytes_put(const struct group_plan *p, const struct vec *vecs, uint32_t i,
	  uint8_t *out)
{
	for (size_t k = 0; k < p->nkeys; k++) {
		const struct vec *v = &vecs[k];
		size_t size = expr_type_size(v->type);

		*out = v->type != TYPE_NULL && !VEC_NULL(*v, i);
		if (!*out++)
			continue;
		if (v->type == TYPE_STRING || v->type == TYPE_BYTES) {
			struct str s = VEC_AT(*v, struct str, i);
			uint32_t len = (uint32_t)s.len;

			memcpy(out, &len, 4);
			if (len)
				memcpy(out + 4, s.p, len);
			out += 4 + len;
			continue;
		}
		memcpy(out,
		       (const char *)v->data + size * (v->constant ? 0 : i),
		       size);
		out += size;
	}
}

static int
group_bytes(struct group_table *t, struct view *v, const struct vec *vecs,
	    struct arena *keep, uint32_t *index)
{
	uint32_t n = v->eval.n;

	for (uint32_t i = 0; i < n; i++) {
		struct bytes_key key;
		size_t before = t->count;
		uint8_t *p;

		key.len = bytes_size(t->plan, vecs, i);
		p = arena_bytes(&v->arena, key.len);
		if (!p)
			return eval_oom(&v->eval);
		bytes_put(t->plan, vecs, i, p);
		key.p = p;
		key.hash = mix_bytes(p, key.len);
		index[i] = (uint32_t)find_bytes(t, &key);
		if (t->count == before)
			continue;
		key.p = (uint8_t *)arena_strndup(keep, (char *)p, key.len);
		if (!key.p)
			return eval_oom(&v->eval);
		memcpy(t->entries + index[i] * t->plan->stride, &key,
		       sizeof key);
	}
	return 0;
}

static int
group_64(struct group_table *t, struct view *v, const struct vec *vecs,
	 uint32_t *index)
{
	uint32_t n = v->eval.n;
	uint64_t *keys = arena_alloc(&v->arena, n * sizeof(*keys) + 1);
	uint64_t *hash = arena_alloc(&v->arena, n * sizeof(*hash) + 1);

	if (!keys || !hash)
		return eval_oom(&v->eval);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = 1;
	for (size_t k = 0; k < t->plan->nkeys; k++)
		if (pack64(&t->plan->keys[k], &vecs[k], n, keys, v->err))
			return -1;
	if (t->plan->mode == GROUP_DENSE) {
		for (uint32_t i = 0; i < n; i++)
			index[i] = (uint32_t)keys[i] - 1;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		hash[i] = mix(keys[i]);
	for (uint32_t i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			prefetch(t, hash[i + PREFETCH]);
		index[i] = (uint32_t)find64(t, keys[i], hash[i]);
	}
	return 0;
}

static int
group_128(struct group_table *t, struct view *v, const struct vec *vecs,
	  uint32_t *index)
{
	uint32_t n = v->eval.n;
	u128 *keys = arena_alloc(&v->arena, n * sizeof(*keys) + 1);
	uint64_t *hash = arena_alloc(&v->arena, n * sizeof(*hash) + 1);

	if (!keys || !hash)
		return eval_oom(&v->eval);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = 1;
	for (size_t k = 0; k < t->plan->nkeys; k++)
		if (pack128(&t->plan->keys[k], &vecs[k], n, keys, v->err))
			return -1;
	for (uint32_t i = 0; i < n; i++)
		hash[i] = mix128(keys[i]);
	for (uint32_t i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			prefetch(t, hash[i + PREFETCH]);
		index[i] = (uint32_t)find128(t, keys[i], hash[i]);
	}
	return 0;
}

/* Reals are keys by their bits: one for both zeros, and one for all that is
 * not a number. */
static int
unite_reals(struct view *v, struct vec *x)
{
	uint32_t n = x->constant ? 1 : v->eval.n;
	double *out;

	if (x->type != TYPE_REAL)
		return 0;
	out = arena_alloc(&v->arena, n * sizeof(*out) + 1);
	if (!out)
		return eval_oom(&v->eval);
	for (uint32_t i = 0; i < n; i++) {
		double d = VEC_AT(*x, double, i);

		out[i] = isnan(d) ? (double)NAN : d == 0 ? 0 : d;
	}
	x->data = out;
	return 0;
}

int
group_rows(struct group_table *t, struct view *v, struct arena *keep,
	   uint32_t *index)
{
	struct vec *vecs =
	    arena_alloc(&v->arena, (t->plan->nkeys + 1) * sizeof(*vecs));

	if (!vecs)
		return eval_oom(&v->eval);
	for (size_t k = 0; k < t->plan->nkeys; k++)
		if (view_eval(v, t->plan->keys[k].node, &vecs[k]) ||
		    unite_reals(v, &vecs[k]))
			return -1;
	switch (t->plan->mode) {
	case GROUP_BYTES:
		return group_bytes(t, v, vecs, keep, index);
	case GROUP_128:
		return group_128(t, v, vecs, index);
	default:
		return group_64(t, v, vecs, index);
	}
}

/*
 * Keys back to values.
 */

static const uint8_t *
bytes_part(const struct group_plan *p, size_t k, const uint8_t *at)
{
	for (size_t i = 0; i < k; i++) {
		enum expr_type t = p->keys[i].node->type;

		if (!*at++)
			continue;
		if (t == TYPE_STRING || t == TYPE_BYTES) {
			uint32_t len;

			memcpy(&len, at, 4);
			at += 4 + len;
		} else {
			at += expr_type_size(t);
		}
	}
	return at;
}

static bool
decode_bytes(const struct group_plan *p, size_t k, const char *entry, void *out)
{
	enum expr_type t = p->keys[k].node->type;
	struct bytes_key key;
	const uint8_t *at;

	memcpy(&key, entry, sizeof key);
	at = bytes_part(p, k, key.p);
	memset(out, 0, expr_type_size(t));
	if (!*at++)
		return false;
	if (t == TYPE_STRING || t == TYPE_BYTES) {
		uint32_t len;

		memcpy(&len, at, 4);
		*(struct str *)out = (struct str){(const char *)at + 4, len};
	} else {
		memcpy(out, at, expr_type_size(t));
	}
	return true;
}

static bool
decode_packed(const struct group_plan *p, size_t k, const char *entry,
	      void *out)
{
	const struct group_key *key = &p->keys[k];
	u128 packed = get64(entry);
	scale_t v;

	if (p->mode == GROUP_128)
		memcpy(&packed, entry, sizeof packed);
	v = (packed - 1) >> key->shift & (((scale_t)1 << key->bits) - 1);
	memset(out, 0, expr_type_size(key->node->type));
	if (key->node->nullable && v == 0)
		return false;
	v += key->base;
	switch (key->node->type) {
	case TYPE_IP:
		memcpy(out, &v, 16);
		break;
	case TYPE_IPV4:
		v &= UINT32_MAX;
		memcpy(out, &v, 8);
		break;
	case TYPE_BOOL:
		*(uint8_t *)out = v != SCALE_ZERO;
		break;
	default:
		v -= SCALE_ZERO;
		memcpy(out, &v, 8);
	}
	return true;
}

int
group_decode(const struct group_plan *p, size_t k, char *const *entries,
	     struct eval *e, struct vec *out)
{
	enum expr_type t = p->keys[k].node->type;
	size_t size = expr_type_size(t);
	char *data = arena_alloc(e->arena, size * e->n + 1);
	uint8_t *null = arena_alloc(e->arena, e->n + 1), any = 0;

	if (!data || !null)
		return eval_oom(e);
	for (uint32_t i = 0; i < e->n; i++) {
		char *at = data + size * i;

		null[i] = p->mode == GROUP_BYTES
			      ? !decode_bytes(p, k, entries[i], at)
			      : !decode_packed(p, k, entries[i], at);
		any |= null[i];
	}
	*out = (struct vec){t, false, any ? null : NULL, data};
	return 0;
}
