/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <string.h>

#include "common/block_format.h"
#include "common/block_parts.h"

const uint8_t *
source_values(const struct source *s)
{
	const uint8_t *p = s->c->data;

	return s->c->constant ? p : p + s->from * col_type_width(s->type);
}

const uint32_t *
source_load32(const struct source *s, uint32_t *to)
{
	const uint8_t *p = source_values(s);

	switch (col_type_width(s->type)) {
	case 1:
		for (size_t i = 0; i < s->n; i++)
			to[i] = p[i];
		return to;
	case 2:
		for (size_t i = 0; i < s->n; i++)
			to[i] = get16(p + 2 * i);
		return to;
	default:
		if ((uintptr_t)p % sizeof(*to) == 0)
			return (const uint32_t *)p;
		return memcpy(to, p, s->n * sizeof(*to));
	}
}

const uint64_t *
source_load64(const struct source *s, uint64_t *to)
{
	const uint8_t *p = source_values(s);

	switch (col_type_width(s->type)) {
	case 1:
		for (size_t i = 0; i < s->n; i++)
			to[i] = p[i];
		return to;
	case 2:
		for (size_t i = 0; i < s->n; i++)
			to[i] = get16(p + 2 * i);
		return to;
	case 4:
		for (size_t i = 0; i < s->n; i++)
			to[i] = get32(p + 4 * i);
		return to;
	default:
		if ((uintptr_t)p % sizeof(*to) == 0)
			return (const uint64_t *)p;
		return memcpy(to, p, s->n * sizeof(*to));
	}
}

static uint32_t
count_nulls(const struct source *s)
{
	uint32_t nulls = 0;

	if (!s->c->valid)
		return 0;
	if (s->c->constant)
		return column_is_null(s->c, 0) ? s->n : 0;
	for (uint32_t i = 0; i < s->n; i++)
		nulls += column_is_null(s->c, s->from + i);
	return nulls;
}

struct source
source_of(const struct batch *b, size_t col, uint32_t from, uint32_t n)
{
	struct source s = {.c = &b->cols[col],
			   .type = b->shape->fields[col].type,
			   .from = from,
			   .n = n};

	s.nulls = count_nulls(&s);
	return s;
}

struct source
source_part(const struct source *s, uint32_t from, uint32_t n)
{
	struct source p = *s;

	p.from += from;
	p.n = n;
	return p;
}

static uint64_t
value_at(const struct source *s, uint32_t i)
{
	size_t width = col_type_width(s->type);
	uint64_t x = 0;

	memcpy(&x, source_values(s) + (s->c->constant ? 0 : i * width), width);
	return x;
}

static bool
is_signed(enum col_type t)
{
	return t == COL_I64 || t == COL_TIME;
}

static void
stat_value(struct value *v, enum col_type t, uint64_t x)
{
	v->type = t;
	v->u = x;
}

/* Minimum, maximum and sum the slow way, for columns with nulls and numbers
 * near the ends of their range. */
static void
stat_exact(const struct source *s, struct column_stat *st)
{
	uint64_t flip = is_signed(s->type) ? (uint64_t)1 << 63 : 0;
	uint64_t min = UINT64_MAX, max = 0;
	__int128 sum = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t v = value_at(s, i), x = v ^ flip;

		if (column_is_null(s->c, s->from + i))
			continue;
		min = x < min ? x : min;
		max = x > max ? x : max;
		sum += flip ? (__int128)(int64_t)v : (__int128)v;
	}
	st->has_minmax = true;
	stat_value(&st->min, s->type, min ^ flip);
	stat_value(&st->max, s->type, max ^ flip);
	st->has_sum = flip ? sum >= INT64_MIN && sum <= INT64_MAX
			   : sum <= (__int128)UINT64_MAX;
	st->usum = (uint64_t)sum;
}

static void
stat_floats(const struct source *s, struct column_stat *st)
{
	double min = INFINITY, max = -INFINITY;

	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t v = value_at(s, i);
		double x;

		memcpy(&x, &v, sizeof(x));
		if (column_is_null(s->c, s->from + i))
			continue;
		if (isnan(x))
			return;
		min = x < min ? x : min;
		max = x > max ? x : max;
	}
	st->has_minmax = true;
	st->min = (struct value){.type = COL_F64, .f = min};
	st->max = (struct value){.type = COL_F64, .f = max};
}

void
stat_integers(const struct source *s, const struct bits_scan *scan,
	      struct column_stat *st)
{
	const int64_t most =
	    is_summed(s->type) ? INT64_MAX / BATCH_ROWS_MAX : INT64_MAX;
	/* The scan is signed: 2^64 - 1 is -1 to it. */
	const int64_t least = is_signed(s->type) ? -most : 0;

	st->nulls = s->nulls;
	if (s->nulls == s->n)
		return;
	if (s->type == COL_F64) {
		stat_floats(s, st);
		return;
	}
	if (s->nulls > 0 || scan->min < least || scan->max > most) {
		stat_exact(s, st);
	} else {
		st->has_minmax = true;
		stat_value(&st->min, s->type, (uint64_t)scan->min);
		stat_value(&st->max, s->type, (uint64_t)scan->max);
		st->has_sum = true;
		st->usum = scan->sum;
	}
	st->has_sum = st->has_sum && is_summed(s->type);
}

struct address
source_address(const struct source *s, uint32_t i)
{
	const uint8_t *p =
	    source_values(s) + (s->c->constant ? 0 : 16 * (size_t)i);

	return (struct address){__builtin_bswap64(get64(p)),
				__builtin_bswap64(get64(p + 8))};
}

static bool
is_below(struct address a, struct address b)
{
	return a.high != b.high ? a.high < b.high : a.low < b.low;
}

static void
stat_address(struct value *v, struct address a)
{
	v->type = COL_IP;
	put64(v->ip, __builtin_bswap64(a.high));
	put64(v->ip + 8, __builtin_bswap64(a.low));
}

void
stat_addresses(const struct source *s, struct column_stat *st)
{
	struct address min = {UINT64_MAX, UINT64_MAX}, max = {0, 0};
	uint32_t n = s->c->constant ? 1 : s->n;

	st->nulls = s->nulls;
	if (s->nulls == s->n)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct address a = source_address(s, i);

		if (s->nulls > 0 && column_is_null(s->c, s->from + i))
			continue;
		min = is_below(a, min) ? a : min;
		max = is_below(max, a) ? a : max;
	}
	st->has_minmax = true;
	stat_address(&st->min, min);
	stat_address(&st->max, max);
}
