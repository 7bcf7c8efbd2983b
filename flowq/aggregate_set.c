/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregates that look at all values: {pointer to what there is of them}, which
 * lies in the arena, NULL for none.
 */
#include "flowq/aggregate_ops.h"

#include <math.h>
#include <stdlib.h>

#include "common/text.h"
#include "flowq/distinct.h"

typedef unsigned __int128 u128;

/* What the state points to, made at need; NULL: memory is out. */
static void *
object(char *state, size_t size, struct arena *a)
{
	void *p = (void *)(uintptr_t)agg_get(state);

	if (p)
		return p;
	p = arena_zalloc(a, size);
	agg_put(state, (uint64_t)(uintptr_t)p);
	return p;
}

static const void *
pointer(const char *state)
{
	return (const void *)(uintptr_t)agg_get(state);
}

static inline enum distinct_kind
kind_of(enum expr_type t)
{
	return t == TYPE_IP			     ? DISTINCT_128
	       : t == TYPE_STRING || t == TYPE_BYTES ? DISTINCT_TEXT
						     : DISTINCT_64;
}

/*
 * dc
 */

static int
distinct_rows(const struct agg_rows *r, size_t offset, const struct vec *v,
	      enum distinct_kind k)
{
	size_t size = k == DISTINCT_64 ? 8 : 16;
	struct distinct *d;

	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t at = v->constant ? 0 : i;
		/* One group, or one value, is done at once. */
		uint32_t n = !r->index && !v->constant ? r->n : 1;

		d = object(agg_state(r, offset, i), sizeof(*d), r->arena);
		if (!d ||
		    distinct_add(d, k, (const char *)v->data + size * at,
				 v->null ? v->null + at : NULL, n, r->arena))
			return -1;
		if (!r->index)
			break;
	}
	return 0;
}

/* Two zeros are one value, and so is all that is no number. */
static int
distinct_reals(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	for (uint32_t i = 0; i < r->n && v->type != TYPE_NULL; i++) {
		double x = VEC_AT(*v, double, i);
		struct distinct *d;

		if (VEC_NULL(*v, i))
			continue;
		x = isnan(x) ? (double)NAN : x == 0 ? 0 : x;
		d = object(agg_state(r, offset, i), sizeof(*d), r->arena);
		if (!d || !distinct_entry(d, DISTINCT_64, &x, r->arena))
			return -1;
	}
	return 0;
}

static inline int
distinct_join(const struct agg_rows *r, char *into, const char *from,
	      enum distinct_kind k)
{
	const struct distinct *b = pointer(from);
	struct distinct *a;

	if (!b)
		return 0;
	if (!agg_get(into)) {
		agg_put(into, agg_get(from));
		return 0;
	}
	a = object(into, sizeof(*a), r->arena);
	return distinct_merge(a, k, b, r->arena);
}

static inline int
distinct_store(const char *state, enum distinct_kind k, struct spill *to,
	       struct err *err)
{
	const struct distinct *d = pointer(state);

	return d ? distinct_save(d, k, to, err) : 0;
}

static inline int
distinct_fetch(const struct agg_rows *r, char *into, struct spill_reader *in,
	       enum distinct_kind k, struct err *err)
{
	struct distinct *d = object(into, sizeof(*d), r->arena);

	return d ? distinct_load(d, k, in, r->arena, err) : agg_oom(err);
}

#define DISTINCT_FILE(name, kind)                                             \
	static int name##_save(const char *state, struct spill *to,           \
			       struct err *err)                               \
	{                                                                     \
		return distinct_store(state, kind, to, err);                  \
	}                                                                     \
	static int name##_load(const struct agg_rows *r, char *into,          \
			       const char *from, struct spill_reader *in,     \
			       struct err *err)                               \
	{                                                                     \
		return agg_get(from) ? distinct_fetch(r, into, in, kind, err) \
				     : 0;                                     \
	}

static int
distinct_emit(const struct agg *a, struct agg_out *out, const char *state,
	      uint32_t i)
{
	const struct distinct *d = pointer(state);

	(void)a;
	((uint64_t *)out->data)[i] = d ? d->n : 0;
	return 1;
}

#define DISTINCT(name, kind)                                           \
	static int name##_add(const struct agg_rows *r, size_t offset, \
			      const struct vec *v)                     \
	{                                                              \
		return distinct_rows(r, offset, v, kind);              \
	}                                                              \
	static int name##_merge(const struct agg_rows *r, char *into,  \
				const char *from)                      \
	{                                                              \
		return distinct_join(r, into, from, kind);             \
	}                                                              \
	DISTINCT_FILE(name, kind)                                      \
	static const struct agg_ops name##_ops = {                     \
	    8,	  name##_add, name##_merge, distinct_emit,             \
	    NULL, true,	      name##_save,  name##_load};

DISTINCT(distinct_64, DISTINCT_64)
DISTINCT(distinct_128, DISTINCT_128)
DISTINCT(distinct_text, DISTINCT_TEXT)

static const struct agg_ops distinct_real_ops = {
    8,	  distinct_reals, distinct_64_merge, distinct_emit,
    NULL, true,		  distinct_64_save,  distinct_64_load};

const struct agg_ops *
agg_distinct(enum expr_type t)
{
	if (t == TYPE_REAL)
		return &distinct_real_ops;
	return kind_of(t) == DISTINCT_128    ? &distinct_128_ops
	       : kind_of(t) == DISTINCT_TEXT ? &distinct_text_ops
					     : &distinct_64_ops;
}

/*
 * estdc: HyperLogLog of 2^14 registers, whose error is 0.8 %; exact as long as
 * hashes are few.
 */

enum { REGISTER_BITS = 14, REGISTERS = 1 << REGISTER_BITS, EXACT = 1024 };

struct estimate {
	struct distinct hashes;
	uint8_t *registers; /* once there are more */
};

static void
register_put(uint8_t *registers, uint64_t hash)
{
	uint64_t rest = hash << REGISTER_BITS;
	uint8_t *r = &registers[hash >> (64 - REGISTER_BITS)];
	uint8_t zeros =
	    rest ? (uint8_t)__builtin_clzll(rest) : 64 - REGISTER_BITS;

	if (zeros + 1 > *r)
		*r = zeros + 1;
}

static int
use_registers(struct estimate *e, struct arena *a)
{
	if (e->registers)
		return 0;
	e->registers = arena_zalloc(a, REGISTERS);
	if (!e->registers)
		return -1;
	for (uint32_t i = 0; i < e->hashes.n; i++)
		register_put(e->registers, agg_get(e->hashes.entries + 8 * i));
	return 0;
}

static int
estimate_put(struct estimate *e, uint64_t hash, struct arena *a)
{
	if (!e->registers) {
		if (!distinct_entry(&e->hashes, DISTINCT_64, &hash, a))
			return -1;
		if (e->hashes.n <= EXACT)
			return 0;
		return use_registers(e, a);
	}
	register_put(e->registers, hash);
	return 0;
}

static inline int
estimate_rows(const struct agg_rows *r, size_t offset, const struct vec *v,
	      enum distinct_kind k)
{
	size_t size = k == DISTINCT_64 ? 8 : 16;

	for (uint32_t i = 0; i < r->n && v->type != TYPE_NULL; i++) {
		uint32_t at = v->constant ? 0 : i;
		struct estimate *e;
		uint64_t hash;

		if (VEC_NULL(*v, i))
			continue;
		hash = distinct_hash(k, (const char *)v->data + size * at);
		e = object(agg_state(r, offset, i), sizeof(*e), r->arena);
		if (!e || estimate_put(e, hash, r->arena))
			return -1;
	}
	return 0;
}

static int
estimate_64_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return estimate_rows(r, offset, v, DISTINCT_64);
}

static int
estimate_128_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return estimate_rows(r, offset, v, DISTINCT_128);
}

static int
estimate_text_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return estimate_rows(r, offset, v, DISTINCT_TEXT);
}

static int
estimate_merge(const struct agg_rows *r, char *into, const char *from)
{
	const struct estimate *b = pointer(from);
	struct estimate *a;

	if (!b)
		return 0;
	a = object(into, sizeof(*a), r->arena);
	if (!a)
		return -1;
	for (uint32_t i = 0; i < b->hashes.n && !b->registers; i++)
		if (estimate_put(a, agg_get(b->hashes.entries + 8 * i),
				 r->arena))
			return -1;
	if (!b->registers)
		return 0;
	if (use_registers(a, r->arena))
		return -1;
	for (size_t i = 0; i < REGISTERS; i++)
		if (b->registers[i] > a->registers[i])
			a->registers[i] = b->registers[i];
	return 0;
}

static double
estimate(const uint8_t *registers)
{
	double sum = 0, m = REGISTERS, e;
	size_t empty = 0;

	for (size_t i = 0; i < REGISTERS; i++) {
		sum += ldexp(1, -registers[i]);
		empty += registers[i] == 0;
	}
	e = 0.7213 / (1 + 1.079 / m) * m * m / sum;
	return e < 2.5 * m && empty ? m * log(m / (double)empty) : e;
}

static int
estimate_emit(const struct agg *a, struct agg_out *out, const char *state,
	      uint32_t i)
{
	const struct estimate *e = pointer(state);
	uint64_t n = e ? e->hashes.n : 0;

	(void)a;
	if (e && e->registers)
		n = (uint64_t)(estimate(e->registers) + 0.5);
	((uint64_t *)out->data)[i] = n;
	return 1;
}

/* {u32 hashes; EXACT + 1 if there are registers}, then those or these. */
static int
estimate_save(const char *state, struct spill *to, struct err *err)
{
	const struct estimate *e = pointer(state);
	uint32_t n;

	if (!e)
		return 0;
	n = e->registers ? EXACT + 1 : e->hashes.n;
	if (spill_put(to, &n, 4, err))
		return -1;
	return e->registers
		   ? spill_put(to, e->registers, REGISTERS, err)
		   : spill_put(to, e->hashes.entries, 8 * (size_t)n, err);
}

static int
load_registers(struct estimate *e, struct spill_reader *in, struct arena *a,
	       struct err *err)
{
	const uint8_t *p = spill_take(in, REGISTERS, err);

	if (!p)
		return -1;
	if (use_registers(e, a))
		return agg_oom(err);
	for (size_t i = 0; i < REGISTERS; i++)
		if (p[i] > e->registers[i])
			e->registers[i] = p[i];
	return 0;
}

static int
estimate_load(const struct agg_rows *r, char *into, const char *from,
	      struct spill_reader *in, struct err *err)
{
	struct estimate *e;
	const char *p;
	uint32_t n;

	if (!agg_get(from))
		return 0;
	p = spill_take(in, 4, err);
	if (!p)
		return -1;
	memcpy(&n, p, 4);
	e = object(into, sizeof(*e), r->arena);
	if (!e)
		return agg_oom(err);
	if (n > EXACT)
		return load_registers(e, in, r->arena, err);
	p = spill_take(in, 8 * (size_t)n, err);
	if (!p)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		if (estimate_put(e, agg_get(p + 8 * (size_t)i), r->arena))
			return agg_oom(err);
	return 0;
}

static const struct agg_ops estimate_64_ops = {
    8,	  estimate_64_add, estimate_merge, estimate_emit, NULL,
    true, estimate_save,   estimate_load};
static const struct agg_ops estimate_128_ops = {
    8,	  estimate_128_add, estimate_merge, estimate_emit, NULL,
    true, estimate_save,    estimate_load};
static const struct agg_ops estimate_text_ops = {
    8,	  estimate_text_add, estimate_merge, estimate_emit, NULL,
    true, estimate_save,     estimate_load};

const struct agg_ops *
agg_estimate(enum expr_type t)
{
	return kind_of(t) == DISTINCT_128    ? &estimate_128_ops
	       : kind_of(t) == DISTINCT_TEXT ? &estimate_text_ops
					     : &estimate_64_ops;
}

/*
 * median and percentile: how often each value comes, by values turned into
 * unsigned ones of the same order.
 */

static inline int
tally_rows(const struct agg_rows *r, size_t offset, const struct vec *v,
	   enum agg_turn t)
{
	for (uint32_t i = 0; i < r->n && v->type != TYPE_NULL; i++) {
		uint64_t x = agg_turn(VEC_AT(*v, uint64_t, i), t);
		struct distinct *d;
		char *e;

		if (VEC_NULL(*v, i))
			continue;
		d = object(agg_state(r, offset, i), sizeof(*d), r->arena);
		e = d ? distinct_entry(d, DISTINCT_COUNT, &x, r->arena) : NULL;
		if (!e)
			return -1;
		agg_more(e + 8, 1);
	}
	return 0;
}

static int
tally_merge(const struct agg_rows *r, char *into, const char *from)
{
	return distinct_join(r, into, from, DISTINCT_COUNT);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = agg_get(a), y = agg_get(b);

	return (x > y) - (x < y);
}

/* The least value that so many percent of all are not above. */
static uint64_t
tally_at(char *sorted, uint32_t n, double percent)
{
	uint64_t all = 0, seen = 0, want;

	for (uint32_t i = 0; i < n; i++)
		all += agg_get(sorted + 16 * i + 8);
	want = (uint64_t)ceil(percent / 100 * (double)all);
	for (uint32_t i = 0; i < n; i++) {
		seen += agg_get(sorted + 16 * i + 8);
		if (seen >= want && seen)
			return agg_get(sorted + 16 * i);
	}
	return agg_get(sorted + 16 * (n - 1));
}

static int
tally_emit(const struct agg *a, struct agg_out *out, const char *state,
	   uint32_t i)
{
	const struct distinct *d = pointer(state);
	uint64_t *v = (uint64_t *)out->data + i;
	char *sorted;

	*v = 0;
	if (!d || !d->n)
		return 0;
	sorted = malloc(16 * (size_t)d->n);
	if (!sorted)
		return -1;
	memcpy(sorted, d->entries, 16 * (size_t)d->n);
	qsort(sorted, d->n, 16, by_value);
	*v = agg_turn_back(tally_at(sorted, d->n, a->param),
			   agg_turn_of(a->type));
	free(sorted);
	return 1;
}

DISTINCT_FILE(tally, DISTINCT_COUNT)

#define TALLY(name, how)                                               \
	static int name##_add(const struct agg_rows *r, size_t offset, \
			      const struct vec *v)                     \
	{                                                              \
		return tally_rows(r, offset, v, how);                  \
	}                                                              \
	static const struct agg_ops name##_ops = {                     \
	    8,	  name##_add, tally_merge, tally_emit,                 \
	    NULL, false,      tally_save,  tally_load};

TALLY(tally_unsigned, TURN_NONE)
TALLY(tally_signed, TURN_SIGNED)
TALLY(tally_real, TURN_REAL)

const struct agg_ops *
agg_percentile(enum expr_type t)
{
	switch (t) {
	case TYPE_UINT:
	case TYPE_NULL:
		return &tally_unsigned_ops;
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return &tally_signed_ops;
	case TYPE_REAL:
		return &tally_real_ops;
	default:
		return NULL;
	}
}

/*
 * values: the first so many in their order, sorted.
 */

enum { VALUES_MAX = 100 };

struct values {
	enum expr_type type;
	uint32_t n, cap;
	u128 *v;
};

static int
text_order(const u128 *a, const u128 *b)
{
	struct str s, t;
	size_t n;
	int order;

	memcpy(&s, a, sizeof s);
	memcpy(&t, b, sizeof t);
	n = s.len < t.len ? s.len : t.len;
	order = n ? memcmp(s.p, t.p, n) : 0;
	return order ? order : (s.len > t.len) - (s.len < t.len);
}

/* IPv4 addresses before others. */
static int
ip_order(u128 a, u128 b)
{
	bool x = a >> 32 != 0xffff, y = b >> 32 != 0xffff;

	return x != y ? x - y : (a > b) - (a < b);
}

static int
value_order(enum expr_type t, const u128 *a, const u128 *b)
{
	enum agg_turn how = agg_turn_of(t);
	uint64_t x, y;

	if (kind_of(t) == DISTINCT_TEXT)
		return text_order(a, b);
	if (t == TYPE_IP)
		return ip_order(*a, *b);
	x = agg_turn((uint64_t)*a, how);
	y = agg_turn((uint64_t)*b, how);
	return (x > y) - (x < y);
}

static void
value_get(const struct vec *v, uint32_t i, u128 *out)
{
	*out = 0;
	if (v->type == TYPE_BOOL)
		*out = VEC_AT(*v, uint8_t, i);
	else if (expr_type_size(v->type) == 16)
		memcpy(out, (const u128 *)v->data + (v->constant ? 0 : i), 16);
	else
		*out = VEC_AT(*v, uint64_t, i);
}

static int
values_grow(struct values *s, struct arena *a)
{
	uint32_t cap = s->cap ? 4 * s->cap : 4;
	u128 *v;

	if (s->n < s->cap)
		return 0;
	/* The last one is pushed out after the new one is in. */
	cap = cap > VALUES_MAX ? VALUES_MAX + 1 : cap;
	v = arena_alloc(a, cap * sizeof(*v));
	if (!v)
		return -1;
	if (s->n)
		memcpy(v, s->v, s->n * sizeof(*v));
	s->v = v;
	s->cap = cap;
	return 0;
}

/* COPY: text is the row's. */
static int
values_put(struct values *s, const u128 *value, bool copy, struct arena *a)
{
	uint32_t lo = 0, hi = s->n;
	u128 own = *value;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int order = value_order(s->type, &s->v[mid], value);

		if (order == 0)
			return 0;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == VALUES_MAX)
		return 0;
	if (values_grow(s, a))
		return -1;
	if (copy && kind_of(s->type) == DISTINCT_TEXT) {
		struct str t;

		memcpy(&t, value, sizeof t);
		t.p = arena_strndup(a, t.p, t.len);
		if (!t.p)
			return -1;
		memcpy(&own, &t, sizeof t);
	}
	memmove(&s->v[lo + 1], &s->v[lo], (s->n - lo) * sizeof(s->v[0]));
	s->v[lo] = own;
	s->n += s->n < VALUES_MAX;
	return 0;
}

static int
values_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	for (uint32_t i = 0; i < r->n && v->type != TYPE_NULL; i++) {
		struct values *s;
		u128 value;

		if (VEC_NULL(*v, i))
			continue;
		s = object(agg_state(r, offset, i), sizeof(*s), r->arena);
		if (!s)
			return -1;
		s->type = v->type;
		value_get(v, i, &value);
		if (values_put(s, &value, true, r->arena))
			return -1;
	}
	return 0;
}

static int
values_merge(const struct agg_rows *r, char *into, const char *from)
{
	const struct values *b = pointer(from);
	struct values *a;

	if (!b)
		return 0;
	a = object(into, sizeof(*a), r->arena);
	if (!a)
		return -1;
	a->type = b->type;
	for (uint32_t i = 0; i < b->n; i++)
		if (values_put(a, &b->v[i], false, r->arena))
			return -1;
	return 0;
}

/* Text of value I of a set; returns its length. */
static size_t
value_text(const struct values *s, uint32_t i, char *out)
{
	struct vec v = {s->type, true, NULL, &s->v[i]};
	struct value value;

	vec_value(&v, 0, &value);
	return text_value(out, &value);
}

static int
values_emit(const struct agg *a, struct agg_out *out, const char *state,
	    uint32_t i)
{
	const struct values *s = pointer(state);
	struct str *to = (struct str *)out->data + i, t;
	size_t room = 0, len = 0;
	char *p;

	(void)a;
	*to = (struct str){"", 0};
	if (!s || !s->n)
		return 0;
	for (uint32_t k = 0; k < s->n; k++) {
		memcpy(&t, &s->v[k], sizeof t);
		room +=
		    2 + (kind_of(s->type) == DISTINCT_TEXT ? t.len : TEXT_MAX);
	}
	p = arena_bytes(out->arena, room);
	if (!p)
		return -1;
	for (uint32_t k = 0; k < s->n; k++) {
		if (k)
			memcpy(p + len, ", ", 2);
		len += k ? 2 : 0;
		memcpy(&t, &s->v[k], sizeof t);
		if (kind_of(s->type) != DISTINCT_TEXT) {
			len += value_text(s, k, p + len);
			continue;
		}
		if (t.len)
			memcpy(p + len, t.p, t.len);
		len += t.len;
	}
	*to = (struct str){p, len};
	return 1;
}

/* {u32 type, u32 n}, then values, with text behind those that are such. */
static int
values_save(const char *state, struct spill *to, struct err *err)
{
	const struct values *s = pointer(state);
	uint32_t head[2];

	if (!s)
		return 0;
	head[0] = s->type;
	head[1] = s->n;
	if (spill_put(to, head, sizeof head, err) ||
	    spill_put(to, s->v, s->n * sizeof(u128), err))
		return -1;
	for (uint32_t i = 0; i < s->n; i++) {
		struct str t;

		memcpy(&t, &s->v[i], sizeof t);
		if (kind_of(s->type) == DISTINCT_TEXT &&
		    spill_put(to, t.p, t.len, err))
			return -1;
	}
	return 0;
}

static int
load_values(struct values *s, u128 v[VALUES_MAX], uint32_t n,
	    const struct agg_rows *r, struct spill_reader *in, struct err *err)
{
	for (uint32_t i = 0; i < n; i++) {
		if (kind_of(s->type) == DISTINCT_TEXT) {
			struct str t;

			memcpy(&t, &v[i], sizeof t);
			t.p = spill_take(in, t.len, err);
			if (!t.p)
				return -1;
			memcpy(&v[i], &t, sizeof t);
		}
		if (values_put(s, &v[i], true, r->arena))
			return agg_oom(err);
	}
	return 0;
}

static int
values_load(const struct agg_rows *r, char *into, const char *from,
	    struct spill_reader *in, struct err *err)
{
	u128 v[VALUES_MAX];
	struct values *s;
	uint32_t head[2];
	const void *p;

	if (!agg_get(from))
		return 0;
	p = spill_take(in, sizeof head, err);
	if (!p)
		return -1;
	memcpy(head, p, sizeof head);
	s = object(into, sizeof(*s), r->arena);
	if (!s)
		return agg_oom(err);
	s->type = (enum expr_type)head[0];
	p = spill_take(in, head[1] * sizeof(u128), err);
	if (!p)
		return -1;
	memcpy(v, p, head[1] * sizeof(u128));
	return load_values(s, v, head[1], r, in, err);
}

const struct agg_ops agg_values = {8,	 values_add, values_merge, values_emit,
				   NULL, true,	     values_save,  values_load};
