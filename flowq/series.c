/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/series.h"

#include <stdlib.h>
#include <string.h>

#include "common/load.h"
#include "flowq/interrupt.h"
#include "flowq/view.h"

enum { CHUNK = 256 }; /* rows that are made at once */

/* A value, or null, of an aggregate over no rows. */
struct nothing {
	_Alignas(16) char value[16];
	uint8_t null;
};

struct making {
	struct series *s;
	struct source *out;
	struct err *err;
	struct arena arena;
	struct nothing *nothing; /* one per aggregate */
	struct vec *cols;	 /* of the chunk */
	uint32_t n;		 /* rows in it */
	uint64_t rows;		 /* in all */
	int64_t last;		 /* where the newest row begins */
	size_t bytes;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for a chart of time");
}

static int
check_memory(const struct series *s, size_t bytes, struct err *err)
{
	if (!s->max || bytes + rowset_bytes(s->rows) <= s->max)
		return 0;
	return err_set(err,
		       "timechart's rows take more than %zu MiB: take a longer "
		       "span= or a smaller limit=, or allow more with --memory",
		       s->max >> 20);
}

int
series_write(void *ctx, const struct rowset *from, uint32_t at, uint32_t to,
	     struct err *err)
{
	struct series *s = ctx;

	return rowset_copy(s->rows, from, at, to, err) ||
		       check_memory(s, 0, err)
		   ? -1
		   : 0;
}

/*
 * The chunk.
 */

/* What each aggregate is where there are no rows. */
static int
make_nothing(struct making *m)
{
	const struct series *s = m->s;

	m->nothing = arena_zalloc(&m->arena, s->naggs * sizeof(*m->nothing));
	if (!m->nothing)
		return oom(m->err);
	for (size_t k = 0; k < s->naggs; k++) {
		struct agg_out out = {m->nothing[k].value, &m->arena, false};
		char *state = arena_zalloc(&m->arena, s->aggs[k].ops->size + 8);
		int some;

		if (!state)
			return oom(m->err);
		some = s->aggs[k].ops->emit(&s->aggs[k], &out, state, 0);
		if (some < 0)
			return oom(m->err);
		m->nothing[k].null = !some;
	}
	return 0;
}

static int
make_columns(struct making *m)
{
	const struct series *s = m->s;

	m->cols = arena_zalloc(&m->arena, s->width * sizeof(*m->cols));
	if (!m->cols)
		return oom(m->err);
	for (size_t k = 0; k < s->width; k++) {
		struct vec *v = &m->cols[k];

		v->type = s->types[k];
		v->data =
		    arena_alloc(&m->arena, CHUNK * expr_type_size(v->type));
		v->null = arena_zalloc(&m->arena, CHUNK);
		if (!v->data || !v->null)
			return oom(m->err);
	}
	return 0;
}

static int
flush(struct making *m)
{
	struct rowset *set;

	if (!m->n)
		return 0;
	set = rowset_new(m->s->width, m->s->types);
	if (!set)
		return oom(m->err);
	if (rowset_append(set, m->cols, m->n, m->err)) {
		rowset_free(set);
		return -1;
	}
	m->n = 0;
	m->bytes += rowset_bytes(set);
	return rowsource_add(m->out, set, m->err) ||
		       check_memory(m->s, m->bytes, m->err)
		   ? -1
		   : 0;
}

static void
put(struct vec *v, uint32_t row, const void *value, bool null)
{
	size_t size = expr_type_size(v->type);

	memcpy((char *)v->data + row * size, value, size);
	((uint8_t *)v->null)[row] = null;
}

static int
too_many(const struct making *m)
{
	return err_set(m->err,
		       "timechart would have more than %d rows: take a longer "
		       "span=, or fill=no",
		       SERIES_ROWS_MAX);
}

/* A row that no group is in yet. */
static int
add_row(struct making *m, int64_t time)
{
	const struct series *s = m->s;

	if (m->n == CHUNK && flush(m))
		return -1;
	if (interrupted)
		return interrupt_err(m->err);
	if (m->rows++ == SERIES_ROWS_MAX)
		return too_many(m);
	put(&m->cols[0], m->n, &time, false);
	for (size_t k = 1; k < s->width; k++) {
		const struct nothing *none = &m->nothing[(k - 1) % s->naggs];

		put(&m->cols[k], m->n, none->value, none->null);
	}
	m->n++;
	m->last = time;
	return 0;
}

/* Rows up to the one that begins at TIME, without it. */
static int
fill_to(struct making *m, int64_t time)
{
	const struct series *s = m->s;
	int64_t at = s->from;

	if (!s->fill || (!m->rows && s->from > s->to))
		return 0;
	if (m->rows)
		at = span_next(s->span, m->last);
	if (((double)time - (double)at) / 1e6 / span_seconds(s->span) >
	    2.0 * SERIES_ROWS_MAX)
		return too_many(m);
	for (; at < time; at = span_next(s->span, at))
		if (add_row(m, at))
			return -1;
	return 0;
}

/*
 * Groups.
 */

static int
load(struct making *m, struct eval *e, uint32_t at, struct vec *vecs)
{
	const struct rowset *r = m->s->rows;

	for (size_t k = 0; k < r->n; k++) {
		enum col_type t = expr_col_type(r->types[k]);

		if (t == COL_NULL)
			vec_load_null(TYPE_NULL, &vecs[k]);
		else if (vec_load(e, &r->cols[k], t, NULL, at, &vecs[k]))
			return -1;
	}
	return 0;
}

static int
take_group(struct making *m, const struct vec *vecs, uint32_t i)
{
	const struct series *s = m->s;
	size_t first = s->split ? 2 : 1, slot = 0;
	int64_t time = VEC_AT(vecs[0], int64_t, i);

	if (VEC_NULL(vecs[0], i))
		return 0;
	if (s->split)
		slot = VEC_AT(vecs[1], uint64_t, i);
	if ((!m->rows || m->last != time) &&
	    (fill_to(m, time) || add_row(m, time)))
		return -1;
	for (size_t k = 0; k < s->naggs && slot < s->slots; k++) {
		const struct vec *v = &vecs[first + k];
		struct vec *to = &m->cols[1 + slot * s->naggs + k];
		size_t size = expr_type_size(to->type);

		if (v->type != TYPE_NULL)
			put(to, m->n - 1,
			    (const char *)v->data +
				(v->constant ? 0 : i * size),
			    VEC_NULL(*v, i));
	}
	return 0;
}

static int
take_groups(struct making *m)
{
	const struct rowset *r = m->s->rows;
	struct vec *vecs = arena_zalloc(&m->arena, r->n * sizeof(*vecs));
	/* What values point to has to stay for a while: it all does. */
	struct eval e = {.arena = &m->arena, .err = m->err};

	if (!vecs)
		return oom(m->err);
	for (uint32_t at = 0; at < r->rows; at += e.n) {
		e.n = r->rows - at > VIEW_CHUNK ? VIEW_CHUNK : r->rows - at;
		if (load(m, &e, at, vecs))
			return -1;
		for (uint32_t i = 0; i < e.n; i++)
			if (take_group(m, vecs, i))
				return -1;
	}
	return 0;
}

int
series_fill(void *ctx, struct source *out, struct err *err)
{
	struct series *s = ctx;
	struct making m = {.s = s, .out = out, .err = err};
	int rc = -1;

	if (s->slots == 0)
		return 0;
	if (make_nothing(&m) == 0 && make_columns(&m) == 0 &&
	    take_groups(&m) == 0) {
		rc = s->from <= s->to ? fill_to(&m, span_next(s->span, s->to))
				      : 0;
		rc = rc || flush(&m) ? -1 : 0;
	}
	arena_free(&m.arena);
	return rc;
}
