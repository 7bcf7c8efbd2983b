/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "flowq/stats_state.h"

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

uint32_t
stats_window(struct view *v, uint32_t at)
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
		rows->n = stats_window(e, at);
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
int
stats_add_to_one(const struct stats *s, struct local *l, struct view *v,
		 char *entry)
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
		rows.n = stats_window(v, at);
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

		stats_window(v, at);
		vecs = arguments(s, v, all_aggs(s), place);
		if (!vecs || grouping_fit(&l->groups, v->err) ||
		    grouping_take(&l->groups, v, vecs, place))
			return -1;
	}
	return 0;
}

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
			stats_window(e, at);
			if (view_eval(e, s->plan.keys[k].node, &vec))
				return -1;
		}
	}
	return e->eval.overflows != before;
}

/* Room for an entry per code. */
int
stats_coded_room(const struct stats *s, struct local *l, uint32_t entries,
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
		return stats_oom(err);
	l->coded_cap = entries;
	return 0;
}

/* Codes of the window's rows, in BUF if they do not lie side by side. */
const uint32_t *
stats_window_codes(const struct view *v, const uint32_t *code,
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
		rows.n = stats_window(v, at);
		rows.index = stats_window_codes(v, code, index);
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
				.mark = l->groups.plan->mode == GROUP_DENSE};
	uint64_t mark;

	e->nsel = 0;
	for (uint32_t i = 0; i < e->block.rows; i++) {
		memcpy(&mark, l->coded + i * rows.stride, sizeof mark);
		l->used[e->nsel] = i;
		e->nsel += mark != 0;
	}
	e->sel = l->used;
	for (uint32_t at = 0; at < e->nsel; at += rows.n) {
		rows.n = stats_window(e, at);
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
	if (l->groups.plan->mode == GROUP_DENSE)
		memcpy(entry, &key, sizeof key);
	return stats_add_to_one(s, l, v, entry);
}

/* How keys vary, and for KEYS_CODED a view of the entries: where there are
 * fewer of them than rows. */
int
stats_keys_how(const struct stats *s, struct view *v, size_t *field,
	       struct view **e)
{
	int how = keys_vary(s, v, field, e), over = 0;

	if (how == KEYS_CODED && v->nsel >= (*e)->nsel)
		over = keys_overflow(s, *e);
	else if (how == KEYS_CODED)
		how = KEYS_VARY;
	return over < 0 ? -1 : over ? KEYS_VARY : how;
}

int
stats_group_block(const struct stats *s, struct local *l, struct view *v)
{
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	int how = stats_keys_how(s, v, &field, &e);

	if (how < 0 || grouping_fit(&l->groups, v->err))
		return -1;
	if (how == KEYS_CONSTANT)
		return add_to_group(s, l, v);
	if (how == KEYS_VARY)
		return add_rows(s, l, v);
	l->groups.taken += v->nsel;
	if (stats_coded_room(s, l, e->nsel, v->err) ||
	    view_codes(v, field, &code) || add_by_code(s, l, v, code))
		return -1;
	return merge_codes(s, l, e);
}
