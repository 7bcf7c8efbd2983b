/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "flowq/grouping.h"
#include "flowq/rowset.h"
#include "flowq/toplist.h"

enum {
	TOP_GROUPS = 1 << 15, /* from which on the first few are looked for */
	FEW_GROUPS = 1 << 20, /* that one thread merges by itself */
	TOP_LIMIT = 10000,    /* of how many at most */
	RESULT_ROWS = 1 << 16,
};

struct local {
	struct grouping groups;
	char *one;	  /* the only entry, without keys */
	struct agg *rest; /* those that must look at rows */
	char *coded;	  /* entries by code, zero from block to block */
	uint32_t *used;	  /* codes */
	size_t coded_cap;
	size_t blocks; /* that were done */
};

struct stats {
	struct sink sink;
	struct source result;
	struct source *src;
	struct group_plan plan;
	int *fields; /* that keys are made of */
	size_t nfields;
	bool placed; /* an aggregate wants to know the places of rows, */
	struct node place[2]; /* which these say, of rows that have times */
	size_t threads;
	struct local *locals;
	enum expr_type *types;
	struct toplist top;
	atomic_bool top_due;
	bool spread;	    /* the result comes by partitions */
	struct part *spare; /* under lock */
	pthread_mutex_t lock;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for groups");
}

/*
 * Taking rows.
 */

static int
stats_start(struct sink *sink, size_t threads, struct err *err)
{
	struct stats *s = (struct stats *)sink;

	/* Bounds of fields are known by now, and so are widths. */
	group_plan_init(&s->plan, s->src);
	s->locals = calloc(threads, sizeof(*s->locals));
	if (!s->locals)
		return oom(err);
	s->threads = threads;
	for (size_t i = 0; i < threads; i++) {
		s->locals[i].one = calloc(1, s->plan.stride);
		s->locals[i].rest =
		    malloc((s->plan.naggs + 1) * sizeof(struct agg));
		if (!s->locals[i].one || !s->locals[i].rest ||
		    (s->plan.nkeys &&
		     grouping_init(&s->locals[i].groups, &s->plan, err)))
			return oom(err);
	}
	return 0;
}

/*
 * The places of the window's rows in the order that the source shows: by time
 * and id if it has that, else by block and row.
 */
static int
places(const struct stats *s, struct view *v, const uint64_t *out[2])
{
	const uint64_t top = UINT64_C(1) << 63;
	bool by_time = s->src->time_field >= 0;
	uint64_t flip = by_time && !s->src->ascending ? UINT64_MAX : 0;
	uint32_t n = v->eval.n;
	uint64_t *p = arena_alloc(&v->arena, 2 * n * sizeof(*p) + 1);
	struct vec time = {.type = TYPE_NULL}, id = time;

	if (!p)
		return eval_oom(&v->eval);
	if (by_time && (view_eval(v, &s->place[0], &time) ||
			view_eval(v, &s->place[1], &id)))
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		p[i] = v->block.index;
		p[n + i] = v->sel ? v->sel[v->at + i] : v->at + i;
		if (!by_time)
			continue;
		p[i] = VEC_NULL(time, i)
			   ? 0
			   : (VEC_AT(time, uint64_t, i) ^ top) ^ flip;
		p[n + i] = VEC_NULL(id, i) ? 0 : VEC_AT(id, uint64_t, i) ^ flip;
	}
	out[0] = p;
	out[1] = p + n;
	return 0;
}

struct aggs {
	const struct agg *first;
	size_t n;
};

static struct aggs
all_aggs(const struct stats *s)
{
	return (struct aggs){s->plan.aggs, s->plan.naggs};
}

/* What each aggregate is of, in the window, and the places of rows if one of
 * them wants those. */
static struct vec *
arguments(const struct stats *s, struct view *v, struct aggs aggs,
	  const uint64_t *place[2])
{
	struct vec *vecs = arena_alloc(&v->arena, (aggs.n + 1) * sizeof(*vecs));

	if (!vecs)
		eval_oom(&v->eval);
	if (vecs && s->placed && places(s, v, place))
		return NULL;
	for (size_t k = 0; vecs && k < aggs.n; k++) {
		const struct node *arg = aggs.first[k].arg;

		vecs[k] = (struct vec){.type = TYPE_UINT};
		if (arg && view_eval(v, arg, &vecs[k]))
			return NULL;
	}
	return vecs;
}

static int
add_aggregates(const struct stats *s, struct view *v, struct aggs aggs,
	       struct agg_rows *rows)
{
	struct vec *vecs = arguments(s, v, aggs, rows->place);

	if (!vecs)
		return -1;
	if (aggregate_add(aggs.first, aggs.n, rows, vecs))
		return eval_oom(&v->eval);
	return 0;
}

static uint32_t
window_at(struct view *v, uint32_t at)
{
	uint32_t left = v->nsel - at;

	view_window(v, at, left > VIEW_CHUNK ? VIEW_CHUNK : left);
	return v->eval.n;
}

/* Selects the entries that some selected row has. */
static int
select_codes(struct view *v, size_t field, struct view *e)
{
	uint8_t *used = e->mask_buf;
	const uint32_t *code, *sel = v->sel;

	if (view_codes(v, field, &code))
		return -1;
	memset(used, 0, e->nsel);
	if (sel)
		for (uint32_t i = 0; i < v->nsel; i++)
			used[code[sel[i]]] = 1;
	else
		for (uint32_t i = 0; i < v->nsel; i++)
			used[code[i]] = 1;
	view_select(e, used);
	return 0;
}

/*
 * What needs to see a value but once sees entries instead of rows: the entry of
 * the aggregate; 1 if that was done.
 */
static int
add_entries(struct view *v, const struct agg *a, struct agg_rows *rows)
{
	int field = a->ops->once ? view_only_field(a->arg) : -1;
	uint64_t overflows;
	struct view *e;
	struct vec vec;

	if (field < 0)
		return 0;
	if (view_entries(v, (size_t)field, &e))
		return -1;
	if (!e || e->nsel > v->nsel)
		return 0;
	if (select_codes(v, (size_t)field, e))
		return -1;
	overflows = e->eval.overflows;
	for (uint32_t at = 0; at < e->nsel; at += rows->n) {
		rows->n = window_at(e, at);
		if (view_eval(e, a->arg, &vec))
			return -1;
		/* They are counted by rows. */
		if (e->eval.overflows != overflows)
			return 0;
		if (a->ops->add(rows, a->offset, &vec))
			return eval_oom(&e->eval);
	}
	return 1;
}

/* All selected rows into the one entry. */
static int
add_to_one(const struct stats *s, struct local *l, struct view *v, char *entry)
{
	struct agg_rows rows = {.base = entry,
				.stride = s->plan.stride,
				.arena = &l->groups.keep,
				.overflow = &l->groups.overflow};
	struct aggs rest = {l->rest, 0};

	for (size_t k = 0; k < s->plan.naggs && v->nsel; k++) {
		int rc = add_entries(v, &s->plan.aggs[k], &rows);

		if (rc < 0)
			return -1;
		if (rc == 0)
			l->rest[rest.n++] = s->plan.aggs[k];
	}
	for (uint32_t at = 0; rest.n && at < v->nsel; at += rows.n) {
		rows.n = window_at(v, at);
		if (add_aggregates(s, v, rest, &rows))
			return -1;
	}
	return 0;
}

static int
add_rows(const struct stats *s, struct local *l, struct view *v)
{
	for (uint32_t at = 0; at < v->nsel; at += v->eval.n) {
		const uint64_t *place[2] = {0};
		struct vec *vecs;

		window_at(v, at);
		vecs = arguments(s, v, all_aggs(s), place);
		if (!vecs || grouping_take(&l->groups, v, vecs, place))
			return -1;
	}
	return 0;
}

/*
 * How keys vary in a block: not at all, or with the entries of one field, of
 * which *e is a view then.
 */
enum { KEYS_VARY, KEYS_CONSTANT, KEYS_CODED };

static int
keys_vary(const struct stats *s, struct view *v, size_t *field, struct view **e)
{
	int how = KEYS_CONSTANT;

	*e = NULL;
	for (size_t i = 0; i < s->nfields; i++) {
		size_t f = (size_t)s->fields[i];
		const struct column *col;
		enum col_type type;
		struct view *entries;

		if (view_entries(v, f, &entries))
			return -1;
		if (entries && how == KEYS_CONSTANT) {
			*field = f;
			*e = entries;
			how = KEYS_CODED;
			continue;
		}
		if (entries)
			return KEYS_VARY;
		if (view_column(v, f, &col, &type))
			return -1;
		if (col && !col->constant)
			return KEYS_VARY;
	}
	return how;
}

/* Whether a key overflows in some entry: that is counted by rows. */
static int
keys_overflow(const struct stats *s, struct view *e)
{
	uint64_t before = e->eval.overflows;
	struct vec vec;

	for (size_t k = 0; k < s->plan.nkeys; k++) {
		if (s->plan.keys[k].node->kind == NODE_FIELD)
			continue;
		for (uint32_t at = 0; at < e->nsel; at += e->eval.n) {
			window_at(e, at);
			if (view_eval(e, s->plan.keys[k].node, &vec))
				return -1;
		}
	}
	return e->eval.overflows != before;
}

/* Room for an entry per code. */
static int
coded_room(const struct stats *s, struct local *l, uint32_t entries,
	   struct err *err)
{
	if (entries <= l->coded_cap)
		return 0;
	free(l->coded);
	free(l->used);
	l->coded_cap = 0;
	l->coded = calloc(entries, s->plan.stride);
	l->used = malloc((entries + 1) * sizeof(*l->used));
	if (!l->coded || !l->used)
		return oom(err);
	l->coded_cap = entries;
	return 0;
}

/* Codes of the window's rows, in BUF if they do not lie side by side. */
static const uint32_t *
window_codes(const struct view *v, const uint32_t *code,
	     uint32_t buf[VIEW_CHUNK])
{
	const uint32_t *sel = v->sel;

	if (!sel)
		return code + v->at;
	for (uint32_t i = 0; i < v->eval.n; i++)
		buf[i] = code[sel[v->at + i]];
	return buf;
}

/* Selected rows into the entries of their codes. */
static int
add_by_code(const struct stats *s, struct local *l, struct view *v,
	    const uint32_t *code)
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.base = l->coded,
				.stride = s->plan.stride,
				.arena = &l->groups.keep,
				.overflow = &l->groups.overflow,
				.mark = true};

	for (uint32_t at = 0; at < v->nsel; at += rows.n) {
		rows.n = window_at(v, at);
		rows.index = window_codes(v, code, index);
		if (add_aggregates(s, v, all_aggs(s), &rows))
			return -1;
	}
	return 0;
}

/* Entries by code that were used go to the groups that they belong to. */
static int
merge_codes(const struct stats *s, struct local *l, struct view *e)
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.stride = s->plan.stride,
				.index = index,
				.arena = &l->groups.keep,
				.overflow = &l->groups.overflow,
				.mark = s->plan.mode == GROUP_DENSE};
	uint64_t mark;

	e->nsel = 0;
	for (uint32_t i = 0; i < e->block.rows; i++) {
		memcpy(&mark, l->coded + i * rows.stride, sizeof mark);
		l->used[e->nsel] = i;
		e->nsel += mark != 0;
	}
	e->sel = l->used;
	for (uint32_t at = 0; at < e->nsel; at += rows.n) {
		rows.n = window_at(e, at);
		if (grouping_room(&l->groups, rows.n, e->err) ||
		    group_rows(&l->groups.table, e, &l->groups.keep, index))
			return -1;
		rows.base = l->groups.table.entries;
		if (aggregate_merge(s->plan.aggs, s->plan.naggs, &rows,
				    l->coded, l->used + at))
			return eval_oom(&e->eval);
	}
	for (uint32_t i = 0; i < e->nsel; i++)
		memset(l->coded + l->used[i] * rows.stride, 0, rows.stride);
	return 0;
}

/* All selected rows are of one group. */
static int
add_to_group(const struct stats *s, struct local *l, struct view *v)
{
	uint64_t overflows = v->eval.overflows, key;
	uint32_t index;
	char *entry;

	view_window(v, 0, 1);
	if (grouping_room(&l->groups, 1, v->err) ||
	    group_rows(&l->groups.table, v, &l->groups.keep, &index))
		return -1;
	/* They are counted by rows. */
	v->eval.overflows += (v->eval.overflows - overflows) * (v->nsel - 1);
	entry = l->groups.table.entries + index * s->plan.stride;
	key = (uint64_t)index + 1;
	if (s->plan.mode == GROUP_DENSE)
		memcpy(entry, &key, sizeof key);
	return add_to_one(s, l, v, entry);
}

/* How keys vary, and for KEYS_CODED a view of the entries: where there are
 * fewer of them than rows. */
static int
keys_how(const struct stats *s, struct view *v, size_t *field, struct view **e)
{
	int how = keys_vary(s, v, field, e), over = 0;

	if (how == KEYS_CODED && v->nsel >= (*e)->nsel)
		over = keys_overflow(s, *e);
	else if (how == KEYS_CODED)
		how = KEYS_VARY;
	return over < 0 ? -1 : over ? KEYS_VARY : how;
}

static int
group_block(const struct stats *s, struct local *l, struct view *v)
{
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	int how = keys_how(s, v, &field, &e);

	if (how < 0)
		return -1;
	if (how == KEYS_CONSTANT)
		return add_to_group(s, l, v);
	if (how == KEYS_VARY)
		return add_rows(s, l, v);
	l->groups.taken += v->nsel;
	if (coded_room(s, l, e->nsel, v->err) || view_codes(v, field, &code) ||
	    add_by_code(s, l, v, code))
		return -1;
	return merge_codes(s, l, e);
}

/*
 * The first groups of many: see toplist.h.
 */

/* What the aggregate is of, in the window: a count is of ones. */
static int
sketch_weights(const struct stats *s, struct view *v, struct vec *out)
{
	static const uint64_t one = 1;
	const struct node *arg = s->plan.aggs[s->top.agg].arg;

	*out = (struct vec){TYPE_UINT, true, NULL, &one};
	return arg ? view_eval(v, arg, out) : 0;
}

static inline uint64_t
weight_at(const struct vec *w, uint32_t i)
{
	return VEC_NULL(*w, i) ? 0 : VEC_AT(*w, uint64_t, i);
}

static int
sketch_rows(struct stats *s, struct local *l, struct view *v)
{
	uint64_t weight[VIEW_CHUNK];
	const uint64_t *hash;
	struct vec vec;

	for (uint32_t at = 0; at < v->nsel; at += v->eval.n) {
		window_at(v, at);
		if (sketch_weights(s, v, &vec) ||
		    group_row_hashes(&s->plan, v, &hash))
			return -1;
		for (uint32_t i = 0; i < v->eval.n; i++)
			weight[i] = weight_at(&vec, i);
		toplist_add(&s->top, (size_t)(l - s->locals), hash, weight,
			    v->eval.n);
	}
	return 0;
}

/* By entries: SUMS has one for each, zero from block to block. */
static int
sketch_codes(struct stats *s, struct local *l, struct view *e)
{
	uint64_t *sums = (uint64_t *)l->coded;
	const uint64_t *hash;

	for (uint32_t at = 0; at < e->nsel; at += e->eval.n) {
		window_at(e, at);
		if (group_row_hashes(&s->plan, e, &hash))
			return -1;
		toplist_add(&s->top, (size_t)(l - s->locals), hash, sums + at,
			    e->eval.n);
	}
	memset(sums, 0, e->nsel * sizeof(*sums));
	return 0;
}

static void
add_weights(uint64_t *restrict sums, const uint32_t *restrict code,
	    const struct vec *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *sum = &sums[code[i]];

		if (__builtin_add_overflow(*sum, weight_at(w, i), sum))
			*sum = UINT64_MAX;
	}
}

static int
sketch_block(struct stats *s, struct local *l, struct view *v)
{
	uint32_t index[VIEW_CHUNK];
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	struct vec vec;
	int how = keys_how(s, v, &field, &e);

	if (how < 0)
		return -1;
	if (how != KEYS_CODED)
		return sketch_rows(s, l, v);
	if (coded_room(s, l, e->nsel, v->err) || view_codes(v, field, &code))
		return -1;
	for (uint32_t at = 0; at < v->nsel; at += v->eval.n) {
		window_at(v, at);
		if (sketch_weights(s, v, &vec))
			return -1;
		add_weights((uint64_t *)l->coded, window_codes(v, code, index),
			    &vec, v->eval.n);
	}
	return sketch_codes(s, l, e);
}

/* Sets the mask of a view's rows by whether their groups may be wanted: 0 if
 * none is. */
static int
pick_rows(const struct stats *s, struct view *v)
{
	const uint64_t *hash;
	uint8_t any = 0;

	for (uint32_t at = 0; at < v->nsel; at += v->eval.n) {
		uint8_t *restrict mask = v->mask_buf + at;

		window_at(v, at);
		if (group_row_hashes(&s->plan, v, &hash))
			return -1;
		any |= toplist_mask(&s->top, hash, v->eval.n, mask);
	}
	return any;
}

/* The mask of rows by that of their entries. */
static void
spread_mask(struct view *v, const uint32_t *restrict code,
	    const uint8_t *restrict entries)
{
	uint8_t *restrict mask = v->mask_buf;
	const uint32_t *sel = v->sel;
	uint32_t n = v->nsel;

	if (sel)
		for (uint32_t i = 0; i < n; i++)
			mask[i] = entries[code[sel[i]]];
	else
		for (uint32_t i = 0; i < n; i++)
			mask[i] = entries[code[i]];
}

/* Narrows the selection to rows whose groups may be wanted. */
static int
pick_block(const struct stats *s, struct view *v)
{
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	int how = keys_how(s, v, &field, &e), any;

	if (how < 0)
		return -1;
	any = pick_rows(s, how == KEYS_CODED ? e : v);
	if (any <= 0) {
		v->nsel = 0;
		return any;
	}
	if (how == KEYS_CODED) {
		if (view_codes(v, field, &code))
			return -1;
		spread_mask(v, code, e->mask_buf);
	}
	view_select(v, v->mask_buf);
	return 0;
}

/* Whether there are so many groups that the first of them are looked for. */
static bool
is_top_due(struct stats *s, const struct local *l)
{
	double parts = (double)s->src->blocks / (double)l->blocks;

	if (s->top.phase != TOPLIST_WATCH || l->groups.table.count < TOP_GROUPS)
		return false;
	if (toplist_promises(&s->top, &l->groups.table, l->groups.taken, parts))
		return true;
	s->top.phase = TOPLIST_OFF;
	return false;
}

static int
stats_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	    atomic_bool *stop)
{
	struct stats *s = (struct stats *)sink;
	struct local *l = &s->locals[thread];

	(void)nth;
	if (!s->plan.nkeys)
		return add_to_one(s, l, v, l->one);
	if (s->top.phase == TOPLIST_SKETCH)
		return v->nsel ? sketch_block(s, l, v) : 0;
	if (s->top.phase == TOPLIST_PICK && v->nsel && pick_block(s, v))
		return -1;
	if (v->nsel && group_block(s, l, v))
		return -1;
	l->blocks++;
	if (is_top_due(s, l)) {
		s->top_due = true;
		*stop = true;
	}
	return 0;
}

/* Whether the block's header answers all aggregates; if so, adds them. */
static int
stats_header(struct sink *sink, struct source *src, size_t block,
	     struct err *err)
{
	struct stats *s = (struct stats *)sink;
	struct local *l = &s->locals[0];
	char *trial;
	int rc = 1;

	if (s->plan.nkeys)
		return 0;
	trial = malloc(s->plan.stride);
	if (!trial)
		return oom(err);
	memcpy(trial, l->one, s->plan.stride);
	for (size_t k = 0; k < s->plan.naggs && rc; k++) {
		const struct agg *a = &s->plan.aggs[k];
		const struct column_stat *stat = NULL;
		enum col_type type = COL_U64;

		if (a->arg && a->arg->kind != NODE_FIELD)
			rc = 0;
		else if (a->arg)
			type = src->ops->peek(src, block, (size_t)a->arg->slot,
					      &stat);
		if (a->arg && !stat && type != COL_NULL)
			rc = 0;
		if (rc && (!a->ops->header ||
			   !a->ops->header(trial + a->offset,
					   src->ops->rows(src, block), type,
					   stat, &l->groups.overflow)))
			rc = 0;
	}
	if (rc)
		memcpy(l->one, trial, s->plan.stride);
	free(trial);
	return rc;
}

/*
 * Joining the threads' states.
 */

static int
overflow_error(struct err *err)
{
	return err_set(err, "a sum is above what 64 bits hold; sum(double(x)) "
			    "gives it as a real number");
}

static int
merge_ones(struct stats *s, bool *overflow)
{
	struct agg_rows rows = {.base = s->locals[0].one,
				.stride = s->plan.stride,
				.index = (uint32_t[]){0},
				.n = 1,
				.arena = &s->locals[0].groups.keep,
				.overflow = overflow};

	for (size_t i = 1; i < s->threads; i++)
		if (aggregate_merge(s->plan.aggs, s->plan.naggs, &rows,
				    s->locals[i].one, NULL))
			return -1;
	return 0;
}

/* Few groups end up in the first thread's table. */
static int
merge_tables(struct stats *s, bool *overflow, struct err *err)
{
	struct group_table *table = &s->locals[0].groups.table;
	struct group_target to = {table, &s->locals[0].groups.keep, overflow};

	for (size_t i = 1; i < s->threads; i++) {
		struct group_table *from = &s->locals[i].groups.table;

		if (!from->plan) /* it was done before */
			continue;
		group_table_pack(from);
		if (grouping_merge_table(from, &to, err))
			return -1;
		group_table_clear(from);
	}
	group_table_pack(table);
	return 0;
}

/* Forgets all groups. */
static int
start_over(struct stats *s, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->threads && rc == 0; i++) {
		grouping_clear(&s->locals[i].groups);
		rc = grouping_init(&s->locals[i].groups, &s->plan, err);
	}
	s->top_due = false;
	return rc ? -1 : 1;
}

/* Whether the groups that were picked are in the first thread's table. */
static int
join_picked(struct stats *s, struct err *err)
{
	bool overflow = false;

	for (size_t i = 0; i < s->threads; i++)
		if (grouping_is_spread(&s->locals[i].groups))
			return 0;
	if (merge_tables(s, &overflow, err))
		return -1;
	s->locals[0].groups.overflow |= overflow;
	return 1;
}

static int
stats_again(struct sink *sink, struct err *err)
{
	struct stats *s = (struct stats *)sink;
	int rc;

	switch (s->top.phase) {
	case TOPLIST_WATCH:
		if (!s->top_due)
			return 0;
		if (toplist_start(&s->top, s->threads, err))
			return -1;
		break;
	case TOPLIST_SKETCH:
		s->top.phase =
		    toplist_pick(&s->top) ? TOPLIST_PICK : TOPLIST_OFF;
		break;
	case TOPLIST_PICK:
		rc = join_picked(s, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			rc = toplist_check(&s->top, &s->locals[0].groups.table);
		else
			rc = -1;
		if (rc > 0)
			return 0;
		if (rc < 0)
			s->top.phase = TOPLIST_OFF;
		break;
	default:
		return 0;
	}
	if (s->top.phase == TOPLIST_OFF)
		toplist_clear(&s->top);
	return start_over(s, err);
}

static int
stats_finish(struct sink *sink, struct err *err)
{
	struct stats *s = (struct stats *)sink;
	bool overflow = false;
	size_t groups = 0;
	int rc = 0;

	for (size_t i = 0; i < s->threads; i++) {
		s->spread |= grouping_is_spread(&s->locals[i].groups);
		overflow |= s->locals[i].groups.overflow;
		if (i > 0)
			groups += s->locals[i].groups.table.count;
	}
	/* Many groups are merged by all threads, partition by partition. */
	s->spread |= groups > FEW_GROUPS;
	s->result.blocks = s->spread ? PARTITIONS : 1;
	if (!s->plan.nkeys) {
		rc = merge_ones(s, &overflow) ? oom(err) : 0;
	} else if (s->spread) {
		for (size_t i = 0; i < s->threads && rc == 0; i++) {
			rc = grouping_spread(&s->locals[i].groups, err);
			group_table_clear(&s->locals[i].groups.table);
		}
	} else {
		rc = merge_tables(s, &overflow, err);
		groups = s->locals[0].groups.table.count;
		s->result.blocks = (groups + RESULT_ROWS - 1) / RESULT_ROWS;
	}
	return rc == 0 && overflow ? overflow_error(err) : rc;
}

/*
 * The result as a source.
 */

static int
emit_aggregate(const struct group_plan *p, const struct agg *a,
	       const char *entries, struct eval *e, struct vec *out)
{
	struct agg_out to = {.arena = e->arena};
	uint8_t *null = arena_alloc(e->arena, e->n + 1), any = 0;

	to.data = arena_alloc(e->arena, expr_type_size(a->type) * e->n + 1);
	if (!to.data || !null)
		return eval_oom(e);
	for (uint32_t i = 0; i < e->n; i++) {
		const char *state = entries + i * p->stride + a->offset;
		int some = a->ops->emit(a, &to, state, i);

		if (some < 0)
			return eval_oom(e);
		null[i] = !some;
		any |= null[i];
	}
	*out = (struct vec){a->type, false, any ? null : NULL, to.data};
	return to.overflow ? overflow_error(e->err) : 0;
}

/* A partition that is open: its entries, and those columns that were asked
 * for, each a rowset of one column. */
struct part {
	struct part *next;	  /* that is spare */
	struct group_table table; /* unless entries are another's */
	struct arena keep;	  /* what its states point to */
	const char *entries;
	size_t n;
	struct rowset *cols[];
};

static int
emit_window(struct stats *s, size_t field, const char *entries, struct eval *e,
	    struct vec *out)
{
	const struct group_plan *p = &s->plan;

	if (field < p->nkeys)
		return group_decode(p, field, entries, e, out);
	return emit_aggregate(p, &p->aggs[field - p->nkeys], entries, e, out);
}

static struct rowset *
emit_column(struct stats *s, const struct part *part, size_t field,
	    struct err *err)
{
	struct rowset *rows = rowset_new(1, &s->types[field]);
	struct arena arena = {0};
	int rc = rows ? 0 : oom(err);

	for (size_t at = 0; at < part->n && rc == 0; at += VIEW_CHUNK) {
		struct eval e = {.n = VIEW_CHUNK, .arena = &arena, .err = err};
		struct vec vec;

		if (part->n - at < VIEW_CHUNK)
			e.n = (uint32_t)(part->n - at);
		arena_reset(&arena);
		rc = emit_window(s, field, part->entries + at * s->plan.stride,
				 &e, &vec);
		if (rc == 0)
			rc = rowset_append(rows, &vec, e.n, err);
	}
	arena_free(&arena);
	if (rc) {
		rowset_free(rows);
		return NULL;
	}
	return rows;
}

static struct stats *
stats_of(struct source *src)
{
	return (struct stats *)((char *)src - offsetof(struct stats, result));
}

/* Tables of partitions are used again. */
static struct part *
part_get(struct stats *s)
{
	struct part *part;

	pthread_mutex_lock(&s->lock);
	part = s->spare;
	if (part)
		s->spare = part->next;
	pthread_mutex_unlock(&s->lock);
	if (!part)
		part = calloc(1, sizeof(*part) +
				     s->result.n * sizeof(part->cols[0]));
	return part;
}

static void
result_close(struct source *src, struct source_block *b)
{
	struct stats *s = stats_of(src);
	struct part *part = b->priv;

	b->priv = NULL;
	if (!part)
		return;
	for (size_t i = 0; i < src->n; i++) {
		rowset_free(part->cols[i]);
		part->cols[i] = NULL;
	}
	group_table_reset(&part->table);
	arena_reset(&part->keep);
	pthread_mutex_lock(&s->lock);
	part->next = s->spare;
	s->spare = part;
	pthread_mutex_unlock(&s->lock);
}

static int
open_part(struct stats *s, struct part *part, size_t index, struct err *err)
{
	bool overflow = false;
	struct group_target to = {&part->table, &part->keep, &overflow};

	if (!part->table.plan && group_table_init(&part->table, &s->plan, err))
		return -1;
	for (size_t i = 0; i < s->threads; i++)
		if (grouping_merge(&s->locals[i].groups, index, &to, err))
			return -1;
	part->entries = part->table.entries;
	part->n = part->table.count;
	return overflow ? overflow_error(err) : 0;
}

static int
result_open(struct source *src, struct source_block *b, struct err *err)
{
	struct stats *s = stats_of(src);
	struct part *part = part_get(s);
	int rc = 0;

	if (!part)
		return oom(err);
	b->priv = part;
	if (s->spread) {
		rc = open_part(s, part, b->index, err);
	} else if (s->plan.nkeys) {
		const struct group_table *t = &s->locals[0].groups.table;
		size_t from = b->index * RESULT_ROWS;

		part->entries = t->entries + from * s->plan.stride;
		part->n = t->count - from;
		if (part->n > RESULT_ROWS)
			part->n = RESULT_ROWS;
	} else {
		part->entries = s->locals[0].one;
		part->n = 1;
	}
	b->rows = (uint32_t)part->n;
	if (rc)
		result_close(src, b);
	return rc;
}

static enum col_type
result_peek(struct source *src, size_t block, size_t field,
	    const struct column_stat **stat)
{
	(void)block;
	*stat = NULL;
	return expr_col_type(src->fields[field].type);
}

static int
result_column(struct source *src, struct source_block *b, size_t field,
	      struct column *c, const struct column **out, struct err *err)
{
	struct part *part = b->priv;

	(void)c;
	*out = NULL;
	if (src->fields[field].type == TYPE_NULL)
		return 0;
	if (!part->cols[field])
		part->cols[field] =
		    emit_column(stats_of(src), part, field, err);
	if (!part->cols[field])
		return -1;
	*out = part->cols[field]->cols;
	return 0;
}

static uint32_t
result_rows(struct source *src, size_t block)
{
	(void)src, (void)block;
	return UINT32_MAX; /* not known before it is open */
}

static void
result_free(struct source *src)
{
	(void)src; /* the sink's */
}

static const struct source_ops result_ops = {
    .open = result_open,
    .close = result_close,
    .peek = result_peek,
    .column = result_column,
    .rows = result_rows,
    .free = result_free,
};

static const struct node *
stats_node(const struct sink *sink, size_t i)
{
	const struct group_plan *p = &((const struct stats *)sink)->plan;

	if (i < p->nkeys)
		return p->keys[i].node;
	for (size_t k = 0; k < p->naggs; k++)
		if (p->aggs[k].arg && i-- == p->nkeys)
			return p->aggs[k].arg;
	return NULL;
}

static void
stats_free(struct sink *sink)
{
	struct stats *s = (struct stats *)sink;
	struct part *next;

	for (size_t i = 0; i < s->threads; i++) {
		grouping_clear(&s->locals[i].groups);
		free(s->locals[i].coded);
		free(s->locals[i].used);
		free(s->locals[i].one);
		free(s->locals[i].rest);
	}
	free(s->locals);
	toplist_clear(&s->top);
	for (struct part *part = s->spare; part; part = next) {
		next = part->next;
		group_table_clear(&part->table);
		arena_free(&part->keep);
		free(part);
	}
	pthread_mutex_destroy(&s->lock);
}

static const struct sink_ops stats_ops = {
    .name = "stats",
    .start = stats_start,
    .header = stats_header,
    .block = stats_block,
    .again = stats_again,
    .finish = stats_finish,
    .node = stats_node,
    .free = stats_free,
};

static int
describe_result(struct stats *s, struct arena *a)
{
	const struct group_plan *p = &s->plan;
	size_t n = p->nkeys + p->naggs;

	s->result = (struct source){.ops = &result_ops,
				    .n = n,
				    .lazy = true,
				    .time_field = -1,
				    .id_field = -1};
	s->result.fields = arena_zalloc(a, n * sizeof(*s->result.fields) + 1);
	s->types = arena_zalloc(a, n * sizeof(*s->types) + 1);
	if (!s->result.fields || !s->types)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bool key = i < p->nkeys;
		struct source_field *f = &s->result.fields[i];

		f->name = key ? p->keys[i].name : p->aggs[i - p->nkeys].name;
		f->type =
		    key ? p->keys[i].node->type : p->aggs[i - p->nkeys].type;
		f->nullable = true;
		s->types[i] = f->type;
		/* Columns hold durations as seconds. */
		if (f->type == TYPE_DURATION)
			f->type = TYPE_REAL;
	}
	return 0;
}

/* Adds the fields of an expression to the list. */
static void
add_fields(struct stats *s, const struct node *nd)
{
	size_t i = 0;

	for (; nd->kind == NODE_FIELD && i < s->nfields; i++)
		if (s->fields[i] == nd->slot)
			break;
	if (nd->kind == NODE_FIELD && i == s->nfields)
		s->fields[s->nfields++] = nd->slot;
	for (size_t k = 0; k < nd->n; k++)
		add_fields(s, nd->args[k]);
}

/* Whether nothing in an expression is more than a field. */
static bool
is_plain(const struct node *nd)
{
	return !nd || nd->kind == NODE_FIELD;
}

void
stats_want_top(struct source *src, size_t field, uint64_t limit)
{
	struct stats *s;
	size_t agg;

	if (src->ops != &result_ops || limit == 0 || limit > TOP_LIMIT)
		return;
	s = stats_of(src);
	if (field < s->plan.nkeys || !s->src->again)
		return;
	agg = field - s->plan.nkeys;
	/* What overflows is counted, once a row: so nothing may. */
	for (size_t i = 0; i < s->plan.nkeys; i++)
		if (!is_plain(s->plan.keys[i].node))
			return;
	for (size_t i = 0; i < s->plan.naggs; i++)
		if (!is_plain(s->plan.aggs[i].arg))
			return;
	if (s->plan.nkeys && aggregate_is_number(&s->plan.aggs[agg]))
		toplist_want(&s->top, agg, limit);
}

struct sink *
stats_new(struct arena *a, struct source *src, struct group_key *keys,
	  size_t nkeys, struct agg *aggs, size_t naggs)
{
	struct stats *s = arena_zalloc(a, sizeof(*s));

	if (!s)
		return NULL;
	s->sink = (struct sink){&stats_ops, &s->result};
	s->src = src;
	pthread_mutex_init(&s->lock, NULL);
	s->plan = (struct group_plan){
	    .nkeys = nkeys, .naggs = naggs, .keys = keys, .aggs = aggs};
	s->fields = arena_alloc(a, (src->n + 1) * sizeof(*s->fields));
	if (!s->fields)
		return NULL;
	for (size_t i = 0; i < nkeys; i++)
		add_fields(s, keys[i].node);
	for (size_t i = 0; i < naggs; i++)
		s->placed |= aggregate_wants_place(&aggs[i]);
	if (src->time_field >= 0)
		for (int i = 0; i < 2; i++) {
			int slot = i ? src->id_field : src->time_field;

			s->place[i] =
			    (struct node){.kind = NODE_FIELD,
					  .slot = slot,
					  .type = src->fields[slot].type};
		}
	return describe_result(s, a) ? NULL : &s->sink;
}
