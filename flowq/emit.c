/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/emit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AHEAD = 4, WAIT_NS = 20000000 };

struct slot {
	bool ready;
	struct rowset *rows; /* NULL: none of that block */
	size_t block;
};

struct emit {
	struct sink sink;
	struct source *src;
	const struct columns *cols;
	const struct writer *writer;
	uint64_t skip, limit;
	struct once *once; /* of dedup: sets have one more column, */
	bool ordered;	   /* and two more if rows come by time */
	size_t width;	   /* of sets */
	enum expr_type *types;
	const struct node *time_node, *id_node;
	size_t bytes; /* of the result */
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct slot *slots;
	size_t nslots, next;	/* the block that is to go out */
	struct rowset *pending; /* ordered rows that may have to wait */
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for rows of the answer");
}

static int
emit_start(struct sink *sink, size_t threads, struct err *err)
{
	struct emit *e = (struct emit *)sink;

	e->nslots = AHEAD * threads;
	e->slots = calloc(e->nslots, sizeof(*e->slots));
	if (!e->slots)
		return oom(err);
	return e->once ? once_start(e->once, e->src, threads, err) : 0;
}

/*
 * A block's rows, in order.
 */

struct stamp {
	int64_t time;
	uint64_t id;
	/* Rows with one id, as joins make them, stay in their order. */
	uint32_t tie;
	uint32_t row;
};

static int
by_stamp(const void *a, const void *b)
{
	const struct stamp *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->tie > y->tie) - (x->tie < y->tie);
}

static uint64_t
column_u64(const struct column *c, uint32_t row)
{
	uint64_t v = 0;

	if (c)
		memcpy(&v, (const char *)c->data + (c->constant ? 0 : 8 * row),
		       8);
	return v;
}

/* The selection in order of time and id. */
static int
order_rows(const struct emit *e, struct view *v)
{
	const struct column *time, *id;
	enum col_type time_type, id_type;
	bool sorted = true;
	struct stamp *s;

	if (view_column(v, (size_t)e->src->time_field, &time, &time_type) ||
	    view_column(v, (size_t)e->src->id_field, &id, &id_type))
		return -1;
	if ((time && time_type != COL_TIME) || (id && id_type != COL_U64))
		return err_set(v->err, "a block's _time or _id has a type "
				       "that it can not have");
	s = malloc((v->nsel + 1) * sizeof(*s));
	if (!s)
		return oom(v->err);
	for (uint32_t i = 0; i < v->nsel; i++) {
		s[i].row = v->sel ? v->sel[i] : i;
		s[i].tie = e->src->ascending ? s[i].row : ~s[i].row;
		s[i].time = (int64_t)column_u64(time, s[i].row);
		s[i].id = column_u64(id, s[i].row);
		sorted = sorted && (!i || by_stamp(&s[i - 1], &s[i]) <= 0);
	}
	if (!sorted)
		qsort(s, v->nsel, sizeof(*s), by_stamp);
	for (uint32_t i = 0; i < v->nsel; i++)
		v->sel_buf[i] = s[e->src->ascending ? i : v->nsel - 1 - i].row;
	v->sel = v->sel_buf;
	free(s);
	return 0;
}

/* The columns of the window; NUMBERS are the keys' of the selection. */
static int
take_window(const struct emit *e, struct view *v, const uint64_t *numbers,
	    struct vec *vecs)
{
	size_t n = e->cols->n;

	for (size_t k = 0; k < n; k++)
		if (view_eval(v, e->cols->nodes[k], &vecs[k]))
			return -1;
	if (e->once)
		vecs[n++] =
		    (struct vec){TYPE_UINT, false, NULL, numbers + v->at};
	return e->ordered && (view_eval(v, e->time_node, &vecs[n]) ||
			      view_eval(v, e->id_node, &vecs[n + 1]))
		   ? -1
		   : 0;
}

static struct rowset *
take_rows(const struct emit *e, struct view *v, const uint64_t *numbers)
{
	struct rowset *rows = rowset_new(e->width, e->types);
	struct vec *vecs = calloc(e->width + 1, sizeof(*vecs));
	int rc = rows && vecs ? 0 : oom(v->err);

	for (uint32_t at = 0; at < v->nsel && rc == 0; at += VIEW_CHUNK) {
		uint32_t left = v->nsel - at;

		view_window(v, at, left > VIEW_CHUNK ? VIEW_CHUNK : left);
		rc = take_window(e, v, numbers, vecs);
		if (rc == 0)
			rc = rowset_append(rows, vecs, v->eval.n, v->err);
	}
	free(vecs);
	if (rc) {
		rowset_free(rows);
		return NULL;
	}
	return rows;
}

/*
 * Rows that leave, under the lock.
 */

/* Rows to the result. */
static int
add_result(struct emit *e, const struct row_ref *refs, uint32_t n,
	   struct err *err)
{
	struct rowset *copy = rowset_new(e->width, e->types);

	if (!copy)
		return oom(err);
	if (rowset_gather(copy, refs, n, err)) {
		rowset_free(copy);
		return -1;
	}
	e->bytes += rowset_bytes(copy);
	return rowsource_add(e->sink.result, copy, err);
}

static int
check_memory(const struct emit *e, struct err *err)
{
	if (!e->once->max || e->bytes + once_bytes(e->once) <= e->once->max)
		return 0;
	return err_set(err,
		       "the rows and keys of dedup take more than %zu MiB: "
		       "keep fewer fields or rows before it, or allow more "
		       "with --memory",
		       e->once->max >> 20);
}

/* Rows [from, to) of a set that are the first of their key. */
static int
pass_once(struct emit *e, const struct rowset *rows, uint32_t from, uint32_t to,
	  struct err *err)
{
	const uint64_t *numbers = rows->cols[e->cols->n].data;
	struct row_ref *refs = malloc(((size_t)to - from + 1) * sizeof(*refs));
	uint32_t n = 0;
	int rc;

	if (!refs)
		return oom(err);
	for (; from < to && n < e->limit; from++)
		if (once_goes(e->once, numbers[from]))
			refs[n++] = (struct row_ref){rows, from};
	e->limit -= n;
	rc = n ? add_result(e, refs, n, err) : 0;
	free(refs);
	return rc ? -1 : check_memory(e, err);
}

/* Rows [from, to) of a set, less what is skipped and beyond the limit. */
static int
pass(struct emit *e, const struct rowset *rows, uint32_t from, uint32_t to,
     struct err *err)
{
	uint32_t n = to - from;
	struct row_ref *refs;
	int rc;

	if (e->once)
		return pass_once(e, rows, from, to, err);
	if (e->skip >= n) {
		e->skip -= n;
		return 0;
	}
	from += (uint32_t)e->skip;
	e->skip = 0;
	n = to - from;
	if (n > e->limit)
		n = (uint32_t)e->limit;
	e->limit -= n;
	if (!n)
		return 0;
	if (e->writer)
		return e->writer->write(e->writer->ctx, rows, from, from + n,
					err);
	refs = malloc(n * sizeof(*refs));
	if (!refs)
		return oom(err);
	for (uint32_t i = 0; i < n; i++)
		refs[i] = (struct row_ref){rows, from + i};
	rc = add_result(e, refs, n, err);
	free(refs);
	return rc;
}

static struct stamp
stamp_at(const struct rowset *r, uint32_t row)
{
	return (struct stamp){(int64_t)column_u64(&r->cols[r->n - 2], row),
			      column_u64(&r->cols[r->n - 1], row), 0, row};
}

/* Whether A goes out before B. */
static bool
before(const struct emit *e, struct stamp a, struct stamp b)
{
	int order = by_stamp(&a, &b);

	return e->src->ascending ? order < 0 : order > 0;
}

/* Pending and fresh rows as one ordered set, which is then pending. */
static int
merge(struct emit *e, struct rowset *fresh, struct err *err)
{
	struct rowset *old = e->pending, *all;
	uint32_t i = 0, k = 0, n = 0;
	struct row_ref *refs;
	int rc = -1;

	if (!old || !old->rows) {
		rowset_free(old);
		e->pending = fresh;
		return 0;
	}
	refs = malloc(((size_t)old->rows + fresh->rows) * sizeof(*refs));
	all = rowset_new(fresh->n, e->types);
	if (!refs || !all) {
		oom(err);
		goto out;
	}
	while (i < old->rows || k < fresh->rows) {
		bool first = k == fresh->rows ||
			     (i < old->rows &&
			      before(e, stamp_at(old, i), stamp_at(fresh, k)));

		refs[n].set = first ? old : fresh;
		refs[n++].row = first ? i++ : k++;
	}
	rc = rowset_gather(all, refs, n, err);
out:
	free(refs);
	rowset_free(fresh);
	if (rc) {
		rowset_free(all);
		return -1;
	}
	rowset_free(old);
	e->pending = all;
	return 0;
}

/* The time up to which no block after BLOCK has rows; false: any time. */
static bool
frontier(const struct emit *e, size_t block, int64_t *time)
{
	const struct column_stat *stat = NULL;

	if (block + 1 >= e->src->blocks)
		return false;
	e->src->ops->peek(e->src, block + 1, (size_t)e->src->time_field, &stat);
	if (!stat || !stat->has_minmax)
		*time = e->src->ascending ? INT64_MIN : INT64_MAX;
	else
		*time = e->src->ascending ? stat->min.i : stat->max.i;
	return true;
}

/* Passes those pending rows that nothing can come before any more. */
static int
drain(struct emit *e, bool all, int64_t time, struct err *err)
{
	struct rowset *p = e->pending, *rest;
	struct row_ref *refs;
	uint32_t n = 0;
	int rc;

	if (!p)
		return 0;
	while (n < p->rows) {
		int64_t t = stamp_at(p, n).time;

		if (!all && (e->src->ascending ? t >= time : t <= time))
			break;
		n++;
	}
	if (pass(e, p, 0, n, err))
		return -1;
	e->pending = NULL;
	if (n == p->rows) {
		rowset_free(p);
		return 0;
	}
	rest = rowset_new(p->n, e->types);
	refs = malloc((p->rows - n) * sizeof(*refs));
	rc = rest && refs ? 0 : oom(err);
	for (uint32_t i = n; i < p->rows && rc == 0; i++)
		refs[i - n] = (struct row_ref){p, i};
	if (rc == 0)
		rc = rowset_gather(rest, refs, p->rows - n, err);
	free(refs);
	rowset_free(p);
	e->pending = rest;
	return rc;
}

static int
consume(struct emit *e, struct rowset *rows, size_t block, struct err *err)
{
	int64_t time = 0;
	bool more;
	int rc;

	if (!e->ordered) {
		rc = rows ? pass(e, rows, 0, rows->rows, err) : 0;
		rowset_free(rows);
		return rc;
	}
	if (rows && merge(e, rows, err))
		return -1;
	more = frontier(e, block, &time);
	return drain(e, !more, time, err);
}

/* Waits until the block is near enough to the next; false: no need to. */
static bool
await(struct emit *e, size_t nth, atomic_bool *stop)
{
	while (nth >= e->next + e->nslots && !atomic_load(stop)) {
		struct timespec t;

		/* A failure elsewhere sets stop without a signal. */
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += WAIT_NS;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&e->moved, &e->lock, &t);
	}
	return !atomic_load(stop);
}

/* Puts a block's rows in its slot and passes on all that are next. */
static int
hand_over(struct emit *e, size_t nth, struct slot slot, atomic_bool *stop,
	  struct err *err)
{
	struct slot *s = &e->slots[nth % e->nslots];
	int rc = 0;

	*s = slot;
	for (;;) {
		s = &e->slots[e->next % e->nslots];
		if (!s->ready || rc)
			break;
		s->ready = false;
		rc = consume(e, s->rows, s->block, err);
		s->rows = NULL;
		e->next++;
		if (e->limit == 0) {
			atomic_store(stop, true);
			break;
		}
	}
	pthread_cond_broadcast(&e->moved);
	return rc;
}

/* What is wanted of a block; NULL in *ROWS: nothing. */
static int
read_block(struct emit *e, size_t thread, struct view *v, size_t nth,
	   struct rowset **rows)
{
	const uint64_t *numbers = NULL;

	if (v->nsel && e->ordered && order_rows(e, v))
		return -1;
	if (v->nsel && e->once && once_block(e->once, thread, v, nth, &numbers))
		return -1;
	/* skip and limit only shrink, under the lock; these are first's. */
	pthread_mutex_lock(&e->lock);
	if (!e->once && e->limit < UINT32_MAX && e->skip < UINT32_MAX &&
	    v->nsel > e->skip + e->limit)
		v->nsel = (uint32_t)(e->skip + e->limit);
	pthread_mutex_unlock(&e->lock);
	if (v->nsel) {
		*rows = take_rows(e, v, numbers);
		if (!*rows)
			return -1;
	}
	return 0;
}

static int
emit_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	   atomic_bool *stop)
{
	struct emit *e = (struct emit *)sink;
	struct slot slot = {.ready = true, .block = v->block.index};
	int rc = 0;

	if (read_block(e, thread, v, nth, &slot.rows))
		return -1;
	pthread_mutex_lock(&e->lock);
	if (await(e, nth, stop))
		rc = hand_over(e, nth, slot, stop, v->err);
	else
		rowset_free(slot.rows);
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static int
emit_finish(struct sink *sink, struct err *err)
{
	struct emit *e = (struct emit *)sink;

	return drain(e, true, 0, err);
}

static const struct node *
emit_node(const struct sink *sink, size_t i)
{
	const struct emit *e = (const struct emit *)sink;

	if (i < e->cols->n)
		return e->cols->nodes[i];
	i -= e->cols->n;
	if (e->once && i < e->once->plan.nkeys)
		return e->once->plan.keys[i].node;
	i -= e->once ? e->once->plan.nkeys : 0;
	return !e->ordered || i > 1 ? NULL : i ? e->id_node : e->time_node;
}

static void
emit_free(struct sink *sink)
{
	struct emit *e = (struct emit *)sink;

	for (size_t i = 0; i < e->nslots && e->slots; i++)
		rowset_free(e->slots[i].rows);
	free(e->slots);
	rowset_free(e->pending);
	if (e->once)
		once_clear(e->once);
	source_free(sink->result);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->moved);
}

static const struct sink_ops emit_ops = {
    .name = "rows",
    .start = emit_start,
    .block = emit_block,
    .finish = emit_finish,
    .node = emit_node,
    .free = emit_free,
};

static const struct sink_ops once_ops = {
    .name = "dedup",
    .start = emit_start,
    .block = emit_block,
    .finish = emit_finish,
    .node = emit_node,
    .free = emit_free,
};

/* The columns of sets. */
static int
set_columns(struct emit *e, struct arena *a, const struct source *src)
{
	struct err err;
	struct binder b = {.arena = a, .err = &err};

	e->types = arena_alloc(a, (e->cols->n + 3) * sizeof(*e->types));
	if (!e->types)
		return -1;
	memcpy(e->types, e->cols->types, e->cols->n * sizeof(*e->types));
	e->width = e->cols->n;
	if (e->once)
		e->types[e->width++] = TYPE_UINT;
	e->ordered = src->time_field >= 0;
	if (!e->ordered)
		return 0;
	e->types[e->width++] = TYPE_TIME;
	e->types[e->width++] = TYPE_UINT;
	e->time_node =
	    node_field(&b, src->time_field, TYPE_TIME, false, "_time");
	e->id_node = node_field(&b, src->id_field, TYPE_UINT, false, "_id");
	return e->time_node && e->id_node ? 0 : -1;
}

/* The rest is as set: NULL when memory is out. */
static struct sink *
init(struct emit *e, struct arena *a)
{
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->moved, NULL);
	if (set_columns(e, a, e->src))
		return NULL;
	if (!e->writer) {
		e->sink.result =
		    rowsource_new(e->cols->n, e->cols->names, e->cols->types);
		if (!e->sink.result)
			return NULL;
	}
	return &e->sink;
}

struct sink *
emit_new(struct arena *a, struct source *src, const struct columns *cols,
	 const struct writer *writer, uint64_t skip, uint64_t limit)
{
	struct emit *e = arena_zalloc(a, sizeof(*e));

	if (!e)
		return NULL;
	e->sink.ops = &emit_ops;
	e->src = src;
	e->cols = cols;
	e->writer = writer;
	e->skip = skip;
	e->limit = limit;
	return init(e, a);
}

struct sink *
emit_once_new(struct arena *a, struct source *src, const struct columns *cols,
	      const struct emit_once *how)
{
	struct emit *e = arena_zalloc(a, sizeof(*e));

	if (!e)
		return NULL;
	e->once = arena_zalloc(a, sizeof(*e->once));
	if (!e->once)
		return NULL;
	e->sink.ops = &once_ops;
	e->src = src;
	e->cols = cols;
	e->limit = how->limit;
	e->once->max = how->memory;
	e->once->plan =
	    (struct group_plan){.nkeys = how->nkeys, .keys = how->keys};
	return init(e, a);
}
