/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/grouping.h"

#include <stdlib.h>
#include <string.h>

enum {
	TABLE_LARGE = 96 << 20,	 /* bytes up to which a table grows */
	TABLE_TRIED = 4 << 20,	 /* bytes at which its use is judged, */
	TABLE_WORTH = 2,	 /* which is this many rows to a group */
	TABLE_SMALL = 768 << 10, /* bytes that fit a cache */
	BATCH = 256,
	READ_BYTES = 256 << 10,
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for groups");
}

int
grouping_init(struct grouping *g, const struct group_plan *p, struct budget *b,
	      size_t share, struct err *err)
{
	*g = (struct grouping){.plan = p, .share = share};
	spill_init(&g->file, b);
	return group_table_init(&g->table, p, err);
}

void
grouping_clear(struct grouping *g)
{
	struct spilled *next;

	for (struct spilled *s = g->spilled; s; s = next) {
		next = s->next;
		free(s);
	}
	spill_clear(&g->file);
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

/* The entries of a dense table become those of another one. */
static void
widen(struct grouping *g)
{
	if (g->plan->mode != GROUP_DENSE)
		return;
	group_table_pack(&g->table);
	g->wide = *g->plan;
	g->wide.mode = GROUP_64;
	g->plan = &g->wide;
}

int
grouping_spread(struct grouping *g, struct err *err)
{
	bool dense = g->plan->mode == GROUP_DENSE;
	const struct group_plan *p;

	widen(g);
	p = g->plan;
	if (!g->states.parts &&
	    partitions_init(&g->states, p->stride, g->share))
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
	g->table.count = 0;
	if (!dense) {
		group_table_reset(&g->table);
		return 0;
	}
	group_table_clear(&g->table);
	return group_table_init(&g->table, p, err);
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

/* What is the less of a usual size and of a part of the share. */
static size_t
at_most(const struct grouping *g, size_t usual, size_t part)
{
	return g->share / part < usual ? g->share / part : usual;
}

int
grouping_room(struct grouping *g, size_t n, struct err *err)
{
	size_t count = g->table.count;
	size_t bytes = group_table_bytes(g->plan, 2 * g->table.cap);

	if (g->plan->mode == GROUP_DENSE || count + n <= g->table.cap)
		return 0;
	if (g->spills && bytes > at_most(g, TABLE_SMALL, 4) && count > 0 &&
	    grouping_spread(g, err))
		return -1;
	if (!g->spills && g->plan->row_size &&
	    bytes > at_most(g, TABLE_TRIED, 8) &&
	    g->taken < TABLE_WORTH * count) {
		g->scatters = true;
		if (shrink(g, err))
			return -1;
	}
	if (!g->spills && bytes > at_most(g, TABLE_LARGE, 2) && shrink(g, err))
		return -1;
	return group_table_room(&g->table, n, err);
}

/*
 * To the file.
 */

/* An entry, and what it points to: a key's text, then that of its states. */
static int
put_entry(struct grouping *g, const char *e, struct err *err)
{
	const struct group_plan *p = g->plan;
	const char *text;
	size_t len = group_key_text(p, e, &text);

	if (spill_put(&g->file, e, p->stride, err) ||
	    spill_put(&g->file, text, len, err))
		return -1;
	for (size_t k = 0; k < p->naggs; k++)
		if (p->aggs[k].ops->save &&
		    p->aggs[k].ops->save(e + p->aggs[k].offset, &g->file, err))
			return -1;
	return 0;
}

static int
put_run(struct grouping *g, const struct run *r, size_t size, bool points,
	struct err *err)
{
	if (!points)
		return spill_put(&g->file, r->records, r->n * size, err);
	for (size_t i = 0; i < r->n; i++)
		if (put_entry(g, r->records + i * size, err))
			return -1;
	return 0;
}

static int
put_partitions(struct grouping *g, struct partitions *from, bool rows,
	       struct err *err)
{
	bool points = !rows && g->plan->points;
	struct spilled *s;

	if (!from->parts)
		return 0;
	s = malloc(sizeof(*s));
	if (!s)
		return oom(err);
	s->rows = rows;
	s->next = g->spilled;
	g->spilled = s;
	for (size_t i = 0; i < PARTITIONS; i++) {
		s->at[i] = spill_at(&g->file);
		for (const struct run *r = partitions_runs(from, i); r;
		     r = r->next)
			if (put_run(g, r, from->size, points, err))
				return -1;
	}
	s->at[PARTITIONS] = spill_at(&g->file);
	partitions_clear(from);
	return spill_flush(&g->file, err);
}

int
grouping_fit(struct grouping *g, struct err *err)
{
	size_t bytes = g->table.entries_memory.size +
		       g->table.slots_memory.size + g->states.bytes +
		       g->rows.bytes + g->keep.total;

	if (bytes <= g->share)
		return 0;
	if (grouping_spread(g, err) ||
	    put_partitions(g, &g->states, false, err) ||
	    put_partitions(g, &g->rows, true, err))
		return -1;
	arena_free(&g->keep);
	return 0;
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

	if (!g->rows.parts && partitions_init(&g->rows, p->row_size, g->share))
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

/*
 * From the file.
 */

static int
check_most(const struct group_target *to, struct err *err)
{
	return to->keep->total > to->most
		   ? budget_exceeded(err, "the values of a group", to->most)
		   : 0;
}

/* An entry as put_entry wrote it; there is room for it in ENTRY. */
static int
take_entry(struct spill_reader *in, char *entry, const struct group_target *to,
	   struct err *err)
{
	struct group_table *t = to->table;
	const struct group_plan *p = t->plan;
	struct agg_rows rows = {.stride = p->stride,
				.n = 1,
				.arena = to->keep,
				.overflow = to->overflow};
	const char *text = spill_take(in, p->stride, err);
	uint32_t index;
	int rc = 0;

	if (!text)
		return -1;
	memcpy(entry, text, p->stride);
	text = spill_take(in, group_key_text(p, entry, &text), err);
	if (!text)
		return -1;
	group_key_set(p, entry, text);
	if (group_add(t, entry, to->keep, &index, err))
		return -1;
	rows.base = t->entries + index * p->stride;
	for (size_t k = 0; k < p->naggs && rc == 0; k++) {
		size_t at = p->aggs[k].offset;
		const struct agg_ops *ops = p->aggs[k].ops;

		if (ops->load)
			rc = ops->load(&rows, rows.base + at, entry + at, in,
				       err);
		else if (ops->merge(&rows, rows.base + at, entry + at))
			rc = oom(err);
	}
	return rc;
}

static int
take_entries(struct spill_reader *in, const struct group_target *to,
	     struct err *err)
{
	char *entry = malloc(to->table->plan->stride);
	int rc = entry ? 0 : oom(err);

	while (rc == 0 && !spill_reader_done(in)) {
		rc = take_entry(in, entry, to, err);
		if (rc == 0)
			rc = check_most(to, err);
	}
	free(entry);
	return rc;
}

/* Records that point to nothing. */
static int
take_records(struct spill_reader *in, bool rows, const struct group_target *to,
	     struct err *err)
{
	const struct group_plan *p = to->table->plan;
	size_t size = rows ? p->row_size : p->stride;
	int rc = 0;

	while (rc == 0 && !spill_reader_done(in)) {
		uint64_t left = (in->len - in->pos + in->end - in->at) / size;
		size_t n = left < BATCH ? (size_t)left : BATCH;
		const char *records = spill_take(in, n * size, err);

		if (!records)
			return -1;
		rc = rows ? merge_rows(records, n, to, err)
			  : merge_states(records, n, to, err);
	}
	return rc;
}

static int
merge_spilled(struct grouping *g, const struct spilled *s, size_t part,
	      const struct group_target *to, struct err *err)
{
	uint64_t bytes = s->at[part + 1] - s->at[part];
	struct spill_reader in;
	int rc;

	if (bytes == 0)
		return 0;
	if (spill_reader_init(&in, &g->file, &s->at[part],
			      bytes < READ_BYTES ? (size_t)bytes : READ_BYTES,
			      err))
		return -1;
	rc = !s->rows && g->plan->points ? take_entries(&in, to, err)
					 : take_records(&in, s->rows, to, err);
	spill_reader_clear(&in);
	return rc;
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
	for (const struct spilled *s = g->spilled; s && rc == 0; s = s->next)
		rc = merge_spilled(g, s, part, to, err);
	return rc;
}

int
grouping_merge_table(const struct group_table *from,
		     const struct group_target *to, struct err *err)
{
	return merge_states(from->entries, from->count, to, err);
}
