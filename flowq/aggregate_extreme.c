/* SPDX-License-Identifier: BSD-2-Clause */
/* Aggregates that are one of the values, or the distance of two. */
#include "flowq/aggregate_ops.h"

typedef unsigned __int128 u128;

/*
 * min and max of what fits 64 bits: {u64 best, u64 values}.  Values are turned
 * into unsigned ones of the same order, upside down for min, so that the
 * largest is the best and zero is no worse than none.
 */

static inline void
best_put(char *p, uint64_t v, uint64_t n)
{
	if (v > agg_get(p))
		agg_put(p, v);
	agg_more(p + 8, n);
}

static inline int
best_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	 enum agg_turn t, uint64_t flip)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++)
		if (!VEC_NULL(*v, i))
			best_put(agg_state(r, offset, i),
				 agg_turn(VEC_AT(*v, uint64_t, i), t) ^ flip,
				 1);
	return 0;
}

static int
best_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	best_put(into, agg_get(from), agg_get(from + 8));
	return 0;
}

static inline bool
best_header(char *state, uint32_t rows, enum col_type type,
	    const struct column_stat *s, enum agg_turn t, uint64_t flip)
{
	bool is_signed = type == COL_I64 || type == COL_TIME;
	uint64_t v;

	if (type == COL_NULL || (s && s->nulls == rows))
		return true;
	if (!s || !s->has_minmax || type == COL_IP || type == COL_F64 ||
	    t == TURN_REAL || (is_signed && t == TURN_NONE))
		return false;
	v = flip ? s->min.u : s->max.u;
	if (t == TURN_SIGNED && !is_signed && v > INT64_MAX)
		return false;
	best_put(state, agg_turn(v, t) ^ flip, rows - s->nulls);
	return true;
}

#define BEST(name, how, flip)                                                  \
	static int name##_add(const struct agg_rows *r, size_t offset,         \
			      const struct vec *v)                             \
	{                                                                      \
		return best_add(r, offset, v, how, flip);                      \
	}                                                                      \
	static int name##_emit(const struct agg *a, struct agg_out *out,       \
			       const char *state, uint32_t i)                  \
	{                                                                      \
		(void)a;                                                       \
		((uint64_t *)out->data)[i] =                                   \
		    agg_turn_back(agg_get(state) ^ (flip), how);               \
		return agg_get(state + 8) != 0;                                \
	}                                                                      \
	static bool name##_header(char *state, uint32_t rows,                  \
				  enum col_type type,                          \
				  const struct column_stat *s, bool *overflow) \
	{                                                                      \
		(void)overflow;                                                \
		return best_header(state, rows, type, s, how, flip);           \
	}                                                                      \
	static const struct agg_ops name##_ops = {                             \
	    16,	  name##_add, best_merge, name##_emit, name##_header,          \
	    true, NULL,	      NULL};

BEST(min_unsigned, TURN_NONE, UINT64_MAX)
BEST(max_unsigned, TURN_NONE, 0)
BEST(min_signed, TURN_SIGNED, UINT64_MAX)
BEST(max_signed, TURN_SIGNED, 0)
BEST(min_real, TURN_REAL, UINT64_MAX)
BEST(max_real, TURN_REAL, 0)

/*
 * min and max of addresses: {u128 best, u64 values}, as above, and of strings:
 * {pointer, u64 length, u64 values}.
 */

static inline int
best_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	    u128 flip)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = agg_state(r, offset, i);
		u128 ip, best;

		if (VEC_NULL(*v, i))
			continue;
		ip = VEC_AT(*v, u128, i) ^ flip;
		memcpy(&best, p, sizeof best);
		if (ip > best)
			memcpy(p, &ip, sizeof ip);
		agg_more(p + 16, 1);
	}
	return 0;
}

static int
min_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_ip_add(r, offset, v, ~(u128)0);
}

static int
max_ip_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_ip_add(r, offset, v, 0);
}

static int
best_ip_merge(const struct agg_rows *r, char *into, const char *from)
{
	u128 a, b;

	(void)r;
	memcpy(&a, into, sizeof a);
	memcpy(&b, from, sizeof b);
	if (b > a)
		memcpy(into, &b, sizeof b);
	agg_more(into + 16, agg_get(from + 16));
	return 0;
}

static int
wide_emit(const struct agg *a, struct agg_out *out, const char *state,
	  uint32_t i)
{
	(void)a;
	memcpy((u128 *)out->data + i, state, sizeof(u128));
	return agg_get(state + 16) != 0;
}

static int
min_ip_emit(const struct agg *a, struct agg_out *out, const char *state,
	    uint32_t i)
{
	int some = wide_emit(a, out, state, i);

	((u128 *)out->data)[i] = ~((u128 *)out->data)[i];
	return some;
}

static const struct agg_ops min_ip_ops = {
    24, min_ip_add, best_ip_merge, min_ip_emit, NULL, true, NULL, NULL};
static const struct agg_ops max_ip_ops = {
    24, max_ip_add, best_ip_merge, wide_emit, NULL, true, NULL, NULL};

static int
str_order(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool
str_better(const char *state, struct str s, bool max)
{
	struct str best;
	int order;

	if (!agg_get(state + 16))
		return true;
	memcpy(&best, state, sizeof best);
	order = str_order(s, best);
	return max ? order > 0 : order < 0;
}

static inline int
best_str_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	     bool max)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		char *p = agg_state(r, offset, i);
		struct str s;

		if (VEC_NULL(*v, i))
			continue;
		s = VEC_AT(*v, struct str, i);
		if (str_better(p, s, max)) {
			s.p = arena_strndup(r->arena, s.p, s.len);
			if (!s.p)
				return -1;
			memcpy(p, &s, sizeof s);
		}
		agg_more(p + 16, 1);
	}
	return 0;
}

static int
min_str_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_str_add(r, offset, v, false);
}

static int
max_str_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return best_str_add(r, offset, v, true);
}

static inline void
best_str_merge(char *into, const char *from, bool max)
{
	struct str s;

	if (!agg_get(from + 16))
		return;
	memcpy(&s, from, sizeof s);
	if (str_better(into, s, max))
		memcpy(into, &s, sizeof s);
	agg_more(into + 16, agg_get(from + 16));
}

static int
min_str_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	best_str_merge(into, from, false);
	return 0;
}

static int
max_str_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	best_str_merge(into, from, true);
	return 0;
}

static int
best_str_save(const char *state, struct spill *to, struct err *err)
{
	struct str s;

	memcpy(&s, state, sizeof s);
	return agg_get(state + 16) ? spill_put(to, s.p, s.len, err) : 0;
}

/* The text that a str in a state is of, until the next one. */
static int
text_take(const char *state, struct spill_reader *in, struct str *s,
	  struct err *err)
{
	memcpy(s, state, sizeof *s);
	s->p = spill_take(in, s->len, err);
	return s->p ? 0 : -1;
}

static int
text_keep(struct str s, struct arena *a, char *state, struct err *err)
{
	s.p = arena_strndup(a, s.p, s.len);
	if (!s.p)
		return agg_oom(err);
	memcpy(state, &s, sizeof s);
	return 0;
}

static inline int
best_str_load(const struct agg_rows *r, char *into, const char *from,
	      struct spill_reader *in, struct err *err, bool max)
{
	struct str s;

	if (!agg_get(from + 16))
		return 0;
	if (text_take(from, in, &s, err) ||
	    (str_better(into, s, max) && text_keep(s, r->arena, into, err)))
		return -1;
	agg_more(into + 16, agg_get(from + 16));
	return 0;
}

static int
min_str_load(const struct agg_rows *r, char *into, const char *from,
	     struct spill_reader *in, struct err *err)
{
	return best_str_load(r, into, from, in, err, false);
}

static int
max_str_load(const struct agg_rows *r, char *into, const char *from,
	     struct spill_reader *in, struct err *err)
{
	return best_str_load(r, into, from, in, err, true);
}

static const struct agg_ops min_str_ops = {
    24,	  min_str_add, min_str_merge, wide_emit,
    NULL, true,	       best_str_save, min_str_load};
static const struct agg_ops max_str_ops = {
    24,	  max_str_add, max_str_merge, wide_emit,
    NULL, true,	       best_str_save, max_str_load};

const struct agg_ops *
agg_extreme(enum expr_type t, bool max)
{
	switch (t) {
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return max ? &max_signed_ops : &min_signed_ops;
	case TYPE_REAL:
		return max ? &max_real_ops : &min_real_ops;
	case TYPE_IP:
		return max ? &max_ip_ops : &min_ip_ops;
	case TYPE_STRING:
	case TYPE_BYTES:
		return max ? &max_str_ops : &min_str_ops;
	default:
		return max ? &max_unsigned_ops : &min_unsigned_ops;
	}
}

/*
 * range: {u64 least, turned and upside down; u64 greatest, turned; u64 values}
 */

static inline void
range_put(char *p, uint64_t least, uint64_t greatest, uint64_t n)
{
	if (least > agg_get(p))
		agg_put(p, least);
	if (greatest > agg_get(p + 8))
		agg_put(p + 8, greatest);
	agg_more(p + 16, n);
}

static inline int
range_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	  enum agg_turn t)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t x = agg_turn(VEC_AT(*v, uint64_t, i), t);

		if (!VEC_NULL(*v, i))
			range_put(agg_state(r, offset, i), ~x, x, 1);
	}
	return 0;
}

static int
range_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	range_put(into, agg_get(from), agg_get(from + 8), agg_get(from + 16));
	return 0;
}

/* The distance of integers is one of 64 bits without a sign; of times it is a
 * duration, which has one. */
static int
range_emit(const struct agg *a, struct agg_out *out, const char *state,
	   uint32_t i)
{
	uint64_t d = agg_get(state + 8) - ~agg_get(state);

	if (agg_get(state + 16) == 0)
		d = 0;
	if (a->type == TYPE_DURATION && d > INT64_MAX)
		out->overflow = true;
	((uint64_t *)out->data)[i] = d;
	return agg_get(state + 16) != 0;
}

static int
range_real_emit(const struct agg *a, struct agg_out *out, const char *state,
		uint32_t i)
{
	uint64_t least = agg_turn_back(~agg_get(state), TURN_REAL);
	uint64_t greatest = agg_turn_back(agg_get(state + 8), TURN_REAL);
	double x, y;

	(void)a;
	memcpy(&x, &least, sizeof x);
	memcpy(&y, &greatest, sizeof y);
	((double *)out->data)[i] = agg_get(state + 16) ? y - x : 0;
	return agg_get(state + 16) != 0;
}

#define RANGE(name, how, emit)                                         \
	static int name##_add(const struct agg_rows *r, size_t offset, \
			      const struct vec *v)                     \
	{                                                              \
		return range_add(r, offset, v, how);                   \
	}                                                              \
	static const struct agg_ops name##_ops = {                     \
	    24, name##_add, range_merge, emit, NULL, true, NULL, NULL};

RANGE(range_unsigned, TURN_NONE, range_emit)
RANGE(range_signed, TURN_SIGNED, range_emit)
RANGE(range_real, TURN_REAL, range_real_emit)

const struct agg_ops *
agg_range(enum expr_type t, enum expr_type *result)
{
	switch (t) {
	case TYPE_UINT:
	case TYPE_NULL:
		*result = TYPE_UINT;
		return &range_unsigned_ops;
	case TYPE_INT:
		*result = TYPE_UINT;
		return &range_signed_ops;
	case TYPE_TIME:
	case TYPE_DURATION:
		*result = TYPE_DURATION;
		return &range_signed_ops;
	case TYPE_REAL:
		*result = TYPE_REAL;
		return &range_real_ops;
	default:
		return NULL;
	}
}

/*
 * first and last, by the place of the row: {u64 place[2], u128 value, u64
 * values}; places of last are upside down.
 */

/* Whether a row at this place is to be taken. */
static inline bool
place_wins(const char *p, uint64_t high, uint64_t low)
{
	if (!agg_get(p + 32))
		return true;
	return high != agg_get(p) ? high < agg_get(p) : low < agg_get(p + 8);
}

static int
place_value(const struct agg_rows *r, const struct vec *v, uint32_t i,
	    char *out)
{
	u128 value = 0;
	struct str s;

	switch (v->type) {
	case TYPE_BOOL:
		value = VEC_AT(*v, uint8_t, i);
		break;
	case TYPE_STRING:
	case TYPE_BYTES:
		s = VEC_AT(*v, struct str, i);
		s.p = arena_strndup(r->arena, s.p, s.len);
		if (!s.p)
			return -1;
		memcpy(&value, &s, sizeof s);
		break;
	case TYPE_IP:
		value = VEC_AT(*v, u128, i);
		break;
	default:
		value = VEC_AT(*v, uint64_t, i);
	}
	memcpy(out, &value, sizeof value);
	return 0;
}

static inline int
place_add(const struct agg_rows *r, size_t offset, const struct vec *v,
	  uint64_t flip)
{
	if (v->type == TYPE_NULL)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t high = r->place[0][i] ^ flip;
		uint64_t low = r->place[1][i] ^ flip;
		char *p = agg_state(r, offset, i);

		if (VEC_NULL(*v, i) || !place_wins(p, high, low))
			continue;
		if (place_value(r, v, i, p + 16))
			return -1;
		agg_put(p, high);
		agg_put(p + 8, low);
		agg_put(p + 32, 1);
	}
	return 0;
}

static int
first_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return place_add(r, offset, v, 0);
}

static int
last_add(const struct agg_rows *r, size_t offset, const struct vec *v)
{
	return place_add(r, offset, v, UINT64_MAX);
}

static int
place_merge(const struct agg_rows *r, char *into, const char *from)
{
	(void)r;
	if (agg_get(from + 32) &&
	    place_wins(into, agg_get(from), agg_get(from + 8)))
		memcpy(into, from, 40);
	return 0;
}

static int
place_emit(const struct agg *a, struct agg_out *out, const char *state,
	   uint32_t i)
{
	size_t size = expr_type_size(a->type);

	memcpy((char *)out->data + size * i, state + 16, size);
	return agg_get(state + 32) != 0;
}

const struct agg_ops agg_first = {40,	first_add, place_merge, place_emit,
				  NULL, false,	   NULL,	NULL};
const struct agg_ops agg_last = {40,   last_add, place_merge, place_emit,
				 NULL, false,	 NULL,	      NULL};

static int
place_save(const char *state, struct spill *to, struct err *err)
{
	struct str s;

	memcpy(&s, state + 16, sizeof s);
	return agg_get(state + 32) ? spill_put(to, s.p, s.len, err) : 0;
}

static int
place_load(const struct agg_rows *r, char *into, const char *from,
	   struct spill_reader *in, struct err *err)
{
	struct str s;

	if (!agg_get(from + 32))
		return 0;
	if (text_take(from + 16, in, &s, err))
		return -1;
	if (!place_wins(into, agg_get(from), agg_get(from + 8)))
		return 0;
	if (text_keep(s, r->arena, into + 16, err))
		return -1;
	memcpy(into, from, 16);
	agg_put(into + 32, 1);
	return 0;
}

const struct agg_ops agg_first_text = {40,	   first_add, place_merge,
				       place_emit, NULL,      false,
				       place_save, place_load};
const struct agg_ops agg_last_text = {40,   last_add, place_merge, place_emit,
				      NULL, false,    place_save,  place_load};
