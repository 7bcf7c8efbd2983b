/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "flowq/stats_state.h"

enum { TOP_GROUPS = 1 << 15 }; /* from which on the first few are looked for */

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
		stats_window(v, at);
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
		stats_window(e, at);
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

int
stats_sketch_block(struct stats *s, struct local *l, struct view *v)
{
	uint32_t index[VIEW_CHUNK];
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	struct vec vec;
	int how = stats_keys_how(s, v, &field, &e);

	if (how < 0)
		return -1;
	if (how != KEYS_CODED)
		return sketch_rows(s, l, v);
	if (stats_coded_room(s, l, e->nsel, v->err) ||
	    view_codes(v, field, &code))
		return -1;
	for (uint32_t at = 0; at < v->nsel; at += v->eval.n) {
		stats_window(v, at);
		if (sketch_weights(s, v, &vec))
			return -1;
		add_weights((uint64_t *)l->coded,
			    stats_window_codes(v, code, index), &vec,
			    v->eval.n);
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

		stats_window(v, at);
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
int
stats_pick_block(const struct stats *s, struct view *v)
{
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	int how = stats_keys_how(s, v, &field, &e), any;

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
bool
stats_top_due(struct stats *s, const struct local *l)
{
	double parts = (double)s->src->blocks / (double)l->blocks;

	if (s->top.phase != TOPLIST_WATCH ||
	    l->groups.table.count < TOP_GROUPS || s->plan.mode == GROUP_DENSE)
		return false;
	if (toplist_promises(&s->top, &l->groups.table, l->groups.taken, parts))
		return true;
	s->top.phase = TOPLIST_OFF;
	return false;
}
