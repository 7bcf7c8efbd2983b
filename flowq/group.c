/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/group.h"

#include <math.h>
#include <string.h>

typedef unsigned __int128 u128;

enum {
	FIRST = 1024, /* entries there is room for at first */
	PREFETCH = 8,
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
mix_words(uint64_t low, uint64_t high)
{
	return mix(low ^ mix(high));
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

/* How rows are packed, if all aggregates are counts and sums of unsigned
 * values. */
static void
plan_rows(struct group_plan *p, const struct source *src)
{
	static const scale_t narrow = SCALE_ZERO + UINT32_MAX;
	size_t size = p->key_size;

	p->row_size = p->nargs = 0;
	if (p->mode == GROUP_BYTES || p->naggs > GROUP_ARGS_MAX)
		return;
	for (size_t i = 0; i < p->naggs; i++) {
		const struct node *nd = p->aggs[i].arg;
		struct group_arg *a = &p->args[p->nargs];
		const struct source_field *f;

		if (!aggregate_is_number(&p->aggs[i]))
			return;
		if (!nd)
			continue;
		f = nd->kind == NODE_FIELD ? &src->fields[nd->slot] : NULL;
		*a = (struct group_arg){i, size, true};
		if (f && f->bounded && f->bounds.hi <= narrow)
			a->wide = false;
		size += a->wide ? 8 : 4;
		p->nargs++;
	}
	p->row_size = (size + 7) & ~(size_t)7;
}

/* Puts parts one after another. */
static void
lay_in_turn(struct group_plan *p)
{
	unsigned at = 0;

	for (size_t i = 0; i < p->nkeys; i++) {
		p->keys[i].shift = p->keys[i].bits ? at : 0;
		at += p->keys[i].bits;
	}
}

/* Puts each part in one of two words; false if they do not fit that way. */
static bool
lay_in_words(struct group_plan *p)
{
	unsigned used[2] = {0};

	for (size_t i = 0; i < p->nkeys; i++) {
		struct group_key *k = &p->keys[i];
		unsigned word = used[0] + k->bits > 64;

		if (used[word] + k->bits > 64)
			return false;
		k->shift = k->bits ? 64 * word + used[word] : 0;
		used[word] += k->bits;
	}
	return true;
}

void
group_plan_init(struct group_plan *p, const struct source *src)
{
	unsigned bits = 0;

	for (size_t i = 0; i < p->nkeys; i++) {
		struct group_key *k = &p->keys[i];

		k->bits = key_bits(k, src);
		bits += k->bits;
		if (bits > 1000)
			bits = 1000;
	}
	p->bits = bits;
	if (bits <= 64 || !lay_in_words(p))
		lay_in_turn(p);
	p->mode = bits <= 16	? GROUP_DENSE
		  : bits <= 64	? GROUP_64
		  : bits <= 128 ? GROUP_128
				: GROUP_BYTES;
	p->key_size = p->mode == GROUP_BYTES ? 24
		      : p->mode == GROUP_128 ? 16
					     : 8;
	p->stride = p->key_size;
	for (size_t i = 0; i < p->naggs; i++) {
		p->aggs[i].offset = p->stride;
		p->stride += p->aggs[i].ops->size;
	}
	p->points = p->mode == GROUP_BYTES;
	for (size_t i = 0; i < p->naggs; i++)
		p->points |= p->aggs[i].ops->save != NULL;
	plan_rows(p, src);
}

/*
 * Tables.
 */

static int
no_room(size_t entries, struct err *err)
{
	return err_set(err, "out of memory for %zu groups", entries);
}

int
group_table_init(struct group_table *t, const struct group_plan *plan,
		 struct err *err)
{
	*t = (struct group_table){.plan = plan};
	if (plan->mode != GROUP_DENSE)
		return 0;
	t->cap = (size_t)1 << plan->bits;
	if (memory_grow(&t->entries_memory, t->cap * plan->stride))
		return no_room(t->cap, err);
	t->entries = t->entries_memory.p;
	return 0;
}

void
group_table_clear(struct group_table *t)
{
	memory_free(&t->slots_memory);
	memory_free(&t->entries_memory);
	*t = (struct group_table){0};
}

void
group_table_reset(struct group_table *t)
{
	if (t->slots)
		memset(t->slots, 0, (t->mask + 1) * sizeof(*t->slots));
	t->count = 0;
}

static inline uint64_t
key_hash(enum group_mode mode, const char *key)
{
	switch (mode) {
	case GROUP_BYTES:
		return get64(key);
	case GROUP_128:
		return mix_words(get64(key), get64(key + 8));
	default:
		return mix(get64(key));
	}
}

uint64_t
group_hash(const struct group_plan *p, const char *entry)
{
	return key_hash(p->mode, entry);
}

/* Slots for as many entries as there is room for, twice over. */
static int
make_slots(struct group_table *t, size_t slots)
{
	size_t stride = t->plan->stride;
	struct memory m = {0};
	uint32_t *p;

	if (memory_grow(&m, slots * sizeof(*p)))
		return -1;
	memory_free(&t->slots_memory);
	t->slots_memory = m;
	t->slots = p = (uint32_t *)m.p;
	t->mask = slots - 1;
	for (size_t i = 0; i < t->count; i++) {
		size_t at = group_hash(t->plan, t->entries + i * stride);

		for (at &= t->mask; p[at];)
			at = (at + 1) & t->mask;
		p[at] = (uint32_t)i + 1;
	}
	return 0;
}

int
group_table_room(struct group_table *t, size_t n, struct err *err)
{
	size_t cap = t->cap ? t->cap : FIRST, stride = t->plan->stride;

	if (t->plan->mode == GROUP_DENSE || t->count + n <= t->cap)
		return 0;
	while (cap < t->count + n)
		cap *= 2;
	if (cap > UINT32_MAX / 2 || cap > SIZE_MAX / stride ||
	    memory_grow(&t->entries_memory, cap * stride))
		return no_room(cap, err);
	t->entries = t->entries_memory.p;
	if (make_slots(t, 2 * cap))
		return no_room(cap, err);
	t->cap = cap;
	return 0;
}

size_t
group_table_bytes(const struct group_plan *p, size_t entries)
{
	return entries * (p->stride + 2 * sizeof(uint32_t));
}

/* {hash, where they are, length} of keys that are strings of bytes. */
struct bytes_key {
	uint64_t hash;
	const uint8_t *p;
	uint64_t len;
};

static inline bool
is_key(enum group_mode mode, const char *entry, const char *key)
{
	struct bytes_key a, b;

	switch (mode) {
	case GROUP_BYTES:
		memcpy(&a, entry, sizeof a);
		memcpy(&b, key, sizeof b);
		return a.hash == b.hash && a.len == b.len &&
		       !memcmp(a.p, b.p, a.len);
	case GROUP_128:
		return get64(entry) == get64(key) &&
		       get64(entry + 8) == get64(key + 8);
	default:
		return get64(entry) == get64(key);
	}
}

static inline void
put_new(struct group_table *t, size_t slot, const char *key)
{
	size_t size = t->plan->key_size, stride = t->plan->stride;
	char *e = t->entries + t->count * stride;

	for (size_t i = 0; i < size; i += 8)
		put64(e + i, get64(key + i));
	for (size_t i = size; i < stride; i += 8)
		put64(e + i, 0);
	t->slots[slot] = (uint32_t)++t->count;
}

static inline uint32_t
find(struct group_table *t, enum group_mode mode, const char *key,
     uint64_t hash)
{
	size_t slot = hash & t->mask;
	uint32_t e;

	while ((e = t->slots[slot]) != 0) {
		if (is_key(mode, t->entries + (e - 1) * t->plan->stride, key))
			return e - 1;
		slot = (slot + 1) & t->mask;
	}
	put_new(t, slot, key);
	return (uint32_t)t->count - 1;
}

static inline __attribute__((always_inline)) void
find_all(struct group_table *t, enum group_mode mode,
	 const struct group_keys *k, uint32_t *index)
{
	size_t stride = t->plan->stride;

	for (uint32_t i = 0; i < k->n; i++) {
		uint32_t e;

		if (i + 2 * PREFETCH < k->n)
			__builtin_prefetch(
			    t->slots + (k->hash[i + 2 * PREFETCH] & t->mask));
		if (i + PREFETCH < k->n) {
			e = t->slots[k->hash[i + PREFETCH] & t->mask];
			__builtin_prefetch(t->entries + e * stride - stride, 1);
		}
		index[i] = find(t, mode, k->keys + i * k->stride, k->hash[i]);
	}
}

void
group_find(struct group_table *t, const struct group_keys *k, uint32_t *index)
{
	switch (t->plan->mode) {
	case GROUP_BYTES:
		find_all(t, GROUP_BYTES, k, index);
		break;
	case GROUP_128:
		find_all(t, GROUP_128, k, index);
		break;
	case GROUP_64:
		find_all(t, GROUP_64, k, index);
		break;
	default:
		for (uint32_t i = 0; i < k->n; i++)
			index[i] = (uint32_t)get64(k->keys + i * k->stride);
	}
}

void
group_hashes(const struct group_plan *p, const char *entries, size_t stride,
	     uint32_t n, uint64_t *hash)
{
	for (uint32_t i = 0; i < n; i++)
		hash[i] = key_hash(p->mode, entries + i * stride);
}

void
group_table_pack(struct group_table *t)
{
	size_t stride = t->plan->stride, n = 0;

	if (t->plan->mode != GROUP_DENSE || !t->entries)
		return;
	for (size_t i = 0; i < t->cap; i++) {
		char *from = t->entries + i * stride;

		if (!get64(from))
			continue;
		memmove(t->entries + n * stride, from, stride);
		put64(t->entries + n++ * stride, i);
	}
	t->count = n;
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

int
group_out_of_bounds(const char *name, struct err *err)
{
	return err_set(err,
		       "%s: a block holds values outside its header's bounds; "
		       "flowstore check says which",
		       name);
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

/* The same of any values: whether one is out of bounds. */
static bool
pack_any(const struct group_key *k, const struct vec *v, uint32_t n,
	 uint64_t *keys)
{
	bool over = false;

	for (uint32_t i = 0; i < n; i++) {
		scale_t part = VEC_NULL(*v, i) ? 0 : scale_at(v, i, k->base);

		over |= k->bits < 128 && part >> k->bits;
		keys[i] += (uint64_t)part << k->shift;
	}
	return over;
}

/* Adds one part to keys of 64 bits: the usual widths. */
static int
pack64(const struct group_key *k, const struct vec *v, uint32_t n,
       uint64_t *keys, struct err *err)
{
	uint64_t base = (uint64_t)k->base, any;
	bool over;

	/* Scales agree modulo 2^64, IPv4's 0xffff apart. */
	if (v->type == TYPE_IPV4)
		base = (uint64_t)(k->base - SCALE_IPV4);
	if (v->null || v->constant || v->type == TYPE_BOOL ||
	    v->type == TYPE_IP) {
		over = pack_any(k, v, n, keys);
	} else {
		any = pack_plain(k, v->data, base, n, keys);
		over = k->bits < 64 && any >> k->bits;
	}
	return over ? group_out_of_bounds(k->name, err) : 0;
}

static int
pack128(const struct group_key *k, const struct vec *v, uint32_t n, u128 *keys,
	struct err *err)
{
	scale_t over = 0, limit = ~(scale_t)0;

	if (k->bits < 128)
		limit = ((scale_t)1 << k->bits) - 1;
	for (uint32_t i = 0; i < n; i++) {
		scale_t part = VEC_NULL(*v, i) ? 0 : scale_at(v, i, k->base);

		over |= part & ~limit;
		keys[i] += part << k->shift;
	}
	return over ? group_out_of_bounds(k->name, err) : 0;
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
keys_bytes(const struct group_plan *p, struct view *v, const struct vec *vecs,
	   struct bytes_key *keys)
{
	for (uint32_t i = 0; i < v->eval.n; i++) {
		size_t len = bytes_size(p, vecs, i);
		uint8_t *at = arena_bytes(&v->arena, len);

		if (!at)
			return eval_oom(&v->eval);
		bytes_put(p, vecs, i, at);
		keys[i] = (struct bytes_key){mix_bytes(at, len), at, len};
	}
	return 0;
}

static int
keys_64(const struct group_plan *p, struct view *v, const struct vec *vecs,
	uint64_t *keys)
{
	memset(keys, 0, v->eval.n * sizeof(*keys));
	for (size_t k = 0; k < p->nkeys; k++)
		if (pack64(&p->keys[k], &vecs[k], v->eval.n, keys, v->err))
			return -1;
	return 0;
}

/* Words of keys of 128 bits: where a part lies in both, it is taken apart. */
static int
words_128(const struct group_plan *p, struct view *v, const struct vec *vecs,
	  uint64_t *word[2])
{
	uint32_t n = v->eval.n;
	u128 *wide = NULL;

	for (int h = 0; h < 2; h++) {
		word[h] = arena_zalloc(&v->arena, n * sizeof(**word) + 1);
		if (!word[h])
			return eval_oom(&v->eval);
	}
	for (size_t k = 0; k < p->nkeys; k++) {
		struct group_key key = p->keys[k];
		int rc;

		if (key.shift % 64 + key.bits <= 64) {
			key.shift %= 64;
			rc = pack64(&key, &vecs[k], n,
				    word[p->keys[k].shift / 64], v->err);
		} else {
			wide = arena_zalloc(&v->arena, n * sizeof(*wide) + 1);
			if (!wide)
				return eval_oom(&v->eval);
			rc = pack128(&key, &vecs[k], n, wide, v->err);
		}
		if (rc)
			return -1;
		for (uint32_t i = 0; wide && i < n; i++) {
			word[0][i] += (uint64_t)wide[i];
			word[1][i] += (uint64_t)(wide[i] >> 64);
		}
		wide = NULL;
	}
	return 0;
}

static int
keys_128(const struct group_plan *p, struct view *v, const struct vec *vecs,
	 uint64_t *keys)
{
	uint64_t *word[2];

	if (words_128(p, v, vecs, word))
		return -1;
	for (uint32_t i = 0; i < v->eval.n; i++) {
		keys[2 * i] = word[0][i];
		keys[2 * i + 1] = word[1][i];
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

/* The parts of keys, in the view's arena. */
static struct vec *
key_parts(const struct group_plan *p, struct view *v)
{
	struct vec *vecs =
	    arena_alloc(&v->arena, (p->nkeys + 1) * sizeof(*vecs));

	if (!vecs)
		eval_oom(&v->eval);
	for (size_t k = 0; vecs && k < p->nkeys; k++)
		if (view_eval(v, p->keys[k].node, &vecs[k]) ||
		    unite_reals(v, &vecs[k]))
			return NULL;
	return vecs;
}

int
group_keys(const struct group_plan *p, struct view *v, struct group_keys *out)
{
	uint32_t n = v->eval.n;
	struct vec *vecs = key_parts(p, v);
	uint64_t *hash = arena_alloc(&v->arena, n * sizeof(*hash) + 1);
	void *keys = arena_alloc(&v->arena, n * p->key_size + 1);
	int rc;

	if (!vecs)
		return -1;
	if (!hash || !keys)
		return eval_oom(&v->eval);
	if (p->mode == GROUP_BYTES)
		rc = keys_bytes(p, v, vecs, keys);
	else if (p->mode == GROUP_128)
		rc = keys_128(p, v, vecs, keys);
	else
		rc = keys_64(p, v, vecs, keys);
	*out = (struct group_keys){n, keys, p->key_size, hash};
	if (rc == 0 && p->mode != GROUP_DENSE)
		group_hashes(p, keys, p->key_size, n, hash);
	return rc;
}

int
group_row_hashes(const struct group_plan *p, struct view *v,
		 const uint64_t **out)
{
	uint32_t n = v->eval.n;
	struct group_keys keys;
	uint64_t *hash, *word[2];
	struct vec *vecs;

	if (p->mode != GROUP_128) {
		if (group_keys(p, v, &keys))
			return -1;
		*out = keys.hash;
		return 0;
	}
	vecs = key_parts(p, v);
	hash = arena_alloc(&v->arena, n * sizeof(*hash) + 1);
	if (!vecs)
		return -1;
	if (!hash)
		return eval_oom(&v->eval);
	if (words_128(p, v, vecs, word))
		return -1;
	for (uint32_t i = 0; i < n; i++)
		hash[i] = mix_words(word[0][i], word[1][i]);
	*out = hash;
	return 0;
}

/* Byte keys of entries from FROM on, which are new, move to KEEP. */
static int
keep_keys(struct group_table *t, size_t from, struct arena *keep)
{
	for (size_t i = from; i < t->count; i++) {
		char *e = t->entries + i * t->plan->stride;
		struct bytes_key key;

		memcpy(&key, e, sizeof key);
		key.p = (uint8_t *)arena_strndup(keep, (const char *)key.p,
						 key.len);
		if (!key.p)
			return -1;
		memcpy(e, &key, sizeof key);
	}
	return 0;
}

size_t
group_key_text(const struct group_plan *p, const char *key, const char **text)
{
	struct bytes_key k = {0};

	if (p->mode == GROUP_BYTES)
		memcpy(&k, key, sizeof k);
	*text = (const char *)k.p;
	return k.len;
}

void
group_key_set(const struct group_plan *p, char *key, const char *text)
{
	struct bytes_key k;

	if (p->mode != GROUP_BYTES)
		return;
	memcpy(&k, key, sizeof k);
	k.p = (const uint8_t *)text;
	memcpy(key, &k, sizeof k);
}

int
group_add(struct group_table *t, const char *key, struct arena *keep,
	  uint32_t *index, struct err *err)
{
	uint64_t hash = group_hash(t->plan, key);
	size_t before = t->count;

	if (group_table_room(t, 1, err))
		return -1;
	group_find(t, &(struct group_keys){1, key, 0, &hash}, index);
	if (t->plan->mode == GROUP_BYTES && keep_keys(t, before, keep))
		return no_room(t->count, err);
	return 0;
}

int
group_rows(struct group_table *t, struct view *v, struct arena *keep,
	   uint32_t *index)
{
	size_t before = t->count;
	struct group_keys keys;

	if (group_keys(t->plan, v, &keys))
		return -1;
	group_find(t, &keys, index);
	if (t->plan->mode == GROUP_BYTES && keep_keys(t, before, keep))
		return eval_oom(&v->eval);
	return 0;
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
	v = packed >> key->shift;
	if (key->bits < 128)
		v &= ((scale_t)1 << key->bits) - 1;
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
group_decode(const struct group_plan *p, size_t k, const char *entries,
	     struct eval *e, struct vec *out)
{
	enum expr_type t = p->keys[k].node->type;
	size_t size = expr_type_size(t);
	char *data = arena_alloc(e->arena, size * e->n + 1);
	uint8_t *null = arena_alloc(e->arena, e->n + 1), any = 0;

	if (!data || !null)
		return eval_oom(e);
	for (uint32_t i = 0; i < e->n; i++) {
		const char *entry = entries + i * p->stride;
		char *at = data + size * i;

		null[i] = p->mode == GROUP_BYTES
			      ? !decode_bytes(p, k, entry, at)
			      : !decode_packed(p, k, entry, at);
		any |= null[i];
	}
	*out = (struct vec){t, false, any ? null : NULL, data};
	return 0;
}
