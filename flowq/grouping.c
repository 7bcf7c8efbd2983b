/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/grouping.h"

#include <string.h>

enum {
	TABLE_LARGE = 96 << 20,	 /* bytes up to which a table grows */
	TABLE_TRIED = 4 << 20,	 /* bytes at which its use is judged, */
	TABLE_WORTH = 2,	 /* which is this many rows to a group */
	TABLE_SMALL = 768 << 10, /* bytes that fit a cache */
	BATCH = 256,
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for groups");
}

int
grouping_init(struct grouping *g, const struct group_plan *p, struct err *err)
{
	*g = (struct grouping){.plan = p};
	return group_table_init(&g->table, p, err);
}

void
grouping_clear(struct grouping *g)
{
	group_table_clear(&g->table);
	partitions_clear(&g->states);
	partitions_clear(&g->rows);
	arena_free(&g->keep);
	*g = (struct grouping){0};
}

bool
grouping_is_spread(const struct grouping *g)
{
	return g->spills || g->scatters;
}

int
grouping_spread(struct grouping *g, struct err *err)
{
	const struct group_plan *p = g->plan;

	if (!g->states.parts && partitions_init(&g->states, p->stride))
		return oom(err);
	for (size_t i = 0; i < g->table.count; i++) {
		const char *e = g->table.entries + i * p->stride;
		char *to =
		    partitions_put(&g->states, partition_of(group_hash(p, e)));

		if (!to)
			return oom(err);
		memcpy(to, e, p->stride);
	}
	g->spills = true;
	group_table_reset(&g->table);
	return 0;
}

/* Starts anew with a table of the small size. */
static int
shrink(struct grouping *g, struct err *err)
{
	if (grouping_spread(g, err))
		return -1;
	group_table_clear(&g->table);
	return group_table_init(&g->table, g->plan, err);
}

int
grouping_room(struct grouping *g, size_t n, struct err *err)
{
	size_t count = g->table.count;
	size_t bytes = group_table_bytes(g->plan, 2 * g->table.cap);

	if (g->plan->mode == GROUP_DENSE || count + n <= g->table.cap)
		return 0;
	if (g->spills && bytes > TABLE_SMALL && count > 0 &&
	    grouping_spread(g, err))
		return -1;
	if (!g->spills && g->plan->row_size && bytes > TABLE_TRIED &&
	    g->taken < TABLE_WORTH * count) {
		g->scatters = true;
		if (shrink(g, err))
			return -1;
	}
	if (!g->spills && bytes > TABLE_LARGE && shrink(g, err))
		return -1;
	return group_table_room(&g->table, n, err);
}

/*
 * Rows as they are: the key, then what is summed, in 4 or 8 bytes each.
 */

static inline void
put_args(const struct group_plan *p, char *to, const struct vec *vecs,
	 uint32_t i)
{
	for (size_t k = 0; k < p->nargs; k++) {
		const struct group_arg *a = &p->args[k];
		uint64_t v = VEC_AT(vecs[a->agg], uint64_t, i);

		if (VEC_NULL(vecs[a->agg], i))
			v = 0;
		memcpy(to + a->at, &v, a->wide ? 8 : 4);
	}
}

/* What is written in 4 bytes has to fit them. */
static int
check_args(const struct group_plan *p, const struct vec *vecs, uint32_t n,
	   struct err *err)
{
	for (size_t k = 0; k < p->nargs; k++) {
		const struct vec *v = &vecs[p->args[k].agg];
		uint64_t any = 0;

		if (p->args[k].wide)
			continue;
		for (uint32_t i = 0; i < (v->constant ? 1 : n); i++)
			any |= ((const uint64_t *)v->data)[i];
		if (any > UINT32_MAX)
			return group_out_of_bounds(p->aggs[p->args[k].agg].name,
						   err);
	}
	return 0;
}

static int
scatter(struct grouping *g, struct view *v, const struct vec *vecs)
{
	const struct group_plan *p = g->plan;
	struct group_keys keys;

	if (!g->rows.parts && partitions_init(&g->rows, p->row_size))
		return oom(v->err);
	if (group_keys(p, v, &keys) || check_args(p, vecs, keys.n, v->err))
		return -1;
	for (uint32_t i = 0; i < keys.n; i++) {
		char *to = partitions_put(&g->rows, partition_of(keys.hash[i]));
		const char *key = keys.keys + i * keys.stride;

		if (!to)
			return oom(v->err);
		for (size_t b = 0; b < keys.stride; b += 8)
			memcpy(to + b, key + b, 8);
		put_args(p, to, vecs, i);
	}
	return 0;
}

int
grouping_take(struct grouping *g, struct view *v, const struct vec *vecs,
	      const uint64_t *const place[2])
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.stride = g->plan->stride,
				.index = index,
				.n = v->eval.n,
				.arena = &g->keep,
				.overflow = &g->overflow,
				.mark = g->plan->mode == GROUP_DENSE,
				.place = {place[0], place[1]}};

	g->taken += rows.n;
	if (g->scatters)
		return scatter(g, v, vecs);
	if (grouping_room(g, rows.n, v->err) ||
	    group_rows(&g->table, v, &g->keep, index))
		return -1;
	rows.base = g->table.entries;
	if (aggregate_add(g->plan->aggs, g->plan->naggs, &rows, vecs))
		return eval_oom(&v->eval);
	return 0;
}

/*
 * Merging.
 */

static int
merge_states(const char *entries, size_t n, const struct group_target *to,
	     struct err *err)
{
	struct group_table *t = to->table;
	const struct group_plan *p = t->plan;
	uint32_t index[BATCH];
	uint64_t hash[BATCH];
	struct agg_rows rows = {.stride = p->stride,
				.index = index,
				.arena = to->keep,
				.overflow = to->overflow,
				.mark = p->mode == GROUP_DENSE};

	for (size_t at = 0; at < n; at += rows.n) {
		const char *from = entries + at * p->stride;

		rows.n = n - at < BATCH ? (uint32_t)(n - at) : BATCH;
		if (group_table_room(t, rows.n, err))
			return -1;
		group_hashes(p, from, p->stride, rows.n, hash);
		group_find(t,
			   &(struct group_keys){rows.n, from, p->stride, hash},
			   index);
		rows.base = t->entries;
		if (aggregate_merge(p->aggs, p->naggs, &rows, from, NULL))
			return oom(err);
	}
	return 0;
}

/* Values of one argument that lie in rows. */
static void
get_arg(const struct group_arg *a, const char *rows, size_t size, uint32_t n,
	uint64_t *out)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t v = 0;

		memcpy(&v, rows + i * size + a->at, a->wide ? 8 : 4);
		out[i] = v;
	}
}

static int
merge_rows(const char *records, size_t n, const struct group_target *to,
	   struct err *err)
{
	struct group_table *t = to->table;
	const struct group_plan *p = t->plan;
	uint32_t index[BATCH];
	uint64_t hash[BATCH], values[GROUP_ARGS_MAX][BATCH];
	struct vec vecs[GROUP_ARGS_MAX];
	struct agg_rows rows = {.stride = p->stride,
				.index = index,
				.arena = to->keep,
				.overflow = to->overflow};

	for (size_t k = 0; k < p->naggs; k++)
		vecs[k] = (struct vec){.type = TYPE_UINT};
	for (size_t k = 0; k < p->nargs; k++)
		vecs[p->args[k].agg].data = values[k];
	for (size_t at = 0; at < n; at += rows.n) {
		const char *from = records + at * p->row_size;

		rows.n = n - at < BATCH ? (uint32_t)(n - at) : BATCH;
		if (group_table_room(t, rows.n, err))
			return -1;
		group_hashes(p, from, p->row_size, rows.n, hash);
		group_find(
		    t, &(struct group_keys){rows.n, from, p->row_size, hash},
		    index);
		rows.base = t->entries;
		for (size_t k = 0; k < p->nargs; k++)
			get_arg(&p->args[k], from, p->row_size, rows.n,
				values[k]);
		if (aggregate_add(p->aggs, p->naggs, &rows, vecs))
			return oom(err);
	}
	return 0;
}

int
grouping_merge(struct grouping *g, size_t part, const struct group_target *to,
	       struct err *err)
{
	int rc = 0;

	if (g->states.parts)
		for (const struct run *r = partitions_runs(&g->states, part);
		     r && rc == 0; r = r->next)
			rc = merge_states(r->records, r->n, to, err);
	if (g->rows.parts)
		for (const struct run *r = partitions_runs(&g->rows, part);
		     r && rc == 0; r = r->next)
			rc = merge_rows(r->records, r->n, to, err);
	return rc;
}

int
grouping_merge_table(const struct group_table *from,
		     const struct group_target *to, struct err *err)
{
	return merge_states(from->entries, from->count, to, err);
}
