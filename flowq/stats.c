/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats.h"

#include <stdlib.h>
#include <string.h>

#include "flowq/rowset.h"

enum {
	PARTITIONS = 256,
	PART_FIRST = 1 << 10,  /* entries of a partition's table, at first */
	TABLE_BYTES = 1 << 20, /* a full table moves out at about this size */
	RUN_BYTES = 16 << 10,
};

/* Entries that moved out, in pieces. */
struct run {
	struct run *next;
	size_t n; /* entries */
	char entries[];
};

struct local {
	struct group_table table;
	bool ready, moved;
	char *one; /* the only entry, without keys */
	struct run *runs[PARTITIONS];
	struct arena keep; /* what keys and states point to */
	bool overflow;
};

struct stats {
	struct sink sink;
	struct source result;
	struct source *src;
	struct group_plan plan;
	size_t threads;
	struct local *locals;
	size_t parts; /* partitions of the result: 1 or PARTITIONS */
	enum expr_type *types;
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
		if (!s->locals[i].one)
			return oom(err);
	}
	return 0;
}

/* An entry of the thread's table moves to the partition of its hash. */
static int
move_entry(const struct group_plan *p, struct local *l, const char *entry)
{
	struct run **head = &l->runs[group_hash(p, entry) >> 56];
	size_t room = RUN_BYTES / p->stride;
	struct run *r = *head;

	if (!r || r->n == room) {
		r = malloc(sizeof(*r) + room * p->stride);
		if (!r)
			return -1;
		r->next = *head;
		r->n = 0;
		*head = r;
	}
	memcpy(r->entries + r->n * p->stride, entry, p->stride);
	r->n++;
	return 0;
}

static int
move_out(const struct stats *s, struct local *l, struct err *err)
{
	const struct group_plan *p = &s->plan;

	for (size_t i = 0; l->ready && i <= l->table.mask; i++) {
		const char *e = l->table.entries + i * p->stride;

		if (group_used(p, e) && move_entry(p, l, e))
			return oom(err);
	}
	if (l->ready)
		group_table_reset(&l->table);
	l->moved = true;
	return 0;
}

static int
make_room(const struct stats *s, struct local *l, size_t n, struct err *err)
{
	if (!l->ready) {
		if (group_table_init(&l->table, &s->plan, 4 * VIEW_CHUNK, err))
			return -1;
		l->ready = true;
	}
	while (!group_table_fits(&l->table, n)) {
		size_t size = (l->table.mask + 1) * s->plan.stride;

		if (size * 4 > TABLE_BYTES)
			return move_out(s, l, err);
		if (group_table_grow(&l->table, err))
			return -1;
	}
	return 0;
}

static int
add_aggregates(struct stats *s, struct local *l, struct view *v,
	       const struct agg_rows *rows)
{
	for (size_t k = 0; k < s->plan.naggs; k++) {
		const struct agg *a = &s->plan.aggs[k];
		struct vec vec = {.type = TYPE_UINT};

		if (a->arg && view_eval(v, a->arg, &vec))
			return -1;
		if (a->ops->add(rows, a->offset, &vec))
			return eval_oom(&v->eval);
	}
	(void)l;
	return 0;
}

static int
stats_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	    atomic_bool *stop)
{
	struct stats *s = (struct stats *)sink;
	struct local *l = &s->locals[thread];
	uint32_t index[VIEW_CHUNK];

	(void)nth, (void)stop;
	for (uint32_t at = 0; at < v->nsel; at += VIEW_CHUNK) {
		uint32_t left = v->nsel - at;
		struct agg_rows rows = {l->one, s->plan.stride, NULL,
					left,	&l->keep,	&l->overflow};

		if (left > VIEW_CHUNK)
			rows.n = VIEW_CHUNK;
		view_window(v, at, rows.n);
		if (s->plan.nkeys) {
			if (make_room(s, l, rows.n, v->err) ||
			    group_rows(&l->table, v, &l->keep, index))
				return -1;
			rows.base = l->table.entries;
			rows.index = index;
		}
		if (add_aggregates(s, l, v, &rows))
			return -1;
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
					   stat, &l->overflow)))
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

static void
merge_entry(const struct group_plan *p, char *into, const char *from,
	    bool *overflow)
{
	for (size_t k = 0; k < p->naggs; k++)
		p->aggs[k].ops->merge(into + p->aggs[k].offset,
				      from + p->aggs[k].offset, overflow);
}

static int
insert_entry(struct group_table *t, const char *from, bool *overflow,
	     struct err *err)
{
	if (!group_table_fits(t, 1) && group_table_grow(t, err))
		return -1;
	merge_entry(t->plan, group_entry(t, from), from, overflow);
	return 0;
}

static int
merge_tables(struct stats *s, struct err *err)
{
	struct local *to = &s->locals[0];
	size_t stride = s->plan.stride;

	if (make_room(s, to, 0, err))
		return -1;
	for (size_t i = 1; i < s->threads; i++) {
		struct local *l = &s->locals[i];

		for (size_t k = 0; l->ready && k <= l->table.mask; k++) {
			const char *e = l->table.entries + k * stride;

			if (group_used(&s->plan, e) &&
			    insert_entry(&to->table, e, &to->overflow, err))
				return -1;
		}
	}
	return 0;
}

static int
overflow_error(struct err *err)
{
	return err_set(err, "a sum is above what 64 bits hold; sum(double(x)) "
			    "gives it as a real number");
}

static int
stats_finish(struct sink *sink, struct err *err)
{
	struct stats *s = (struct stats *)sink;
	bool moved = false, overflow = false;

	for (size_t i = 0; i < s->threads; i++) {
		moved |= s->locals[i].moved;
		overflow |= s->locals[i].overflow;
	}
	s->parts = moved ? PARTITIONS : 1;
	s->result.blocks = s->parts;
	if (!s->plan.nkeys) {
		for (size_t i = 1; i < s->threads; i++)
			merge_entry(&s->plan, s->locals[0].one,
				    s->locals[i].one, &overflow);
	} else if (moved) {
		for (size_t i = 0; i < s->threads; i++) {
			if (move_out(s, &s->locals[i], err))
				return -1;
			group_table_clear(&s->locals[i].table);
			s->locals[i].ready = false;
		}
	} else if (merge_tables(s, err)) {
		return -1;
	}
	overflow |= s->locals[0].overflow;
	return overflow ? overflow_error(err) : 0;
}

/*
 * The result as a source.
 */

/* Merges a partition's runs of all threads and frees them. */
static int
merge_runs(struct stats *s, size_t part, struct group_table *t, struct err *err)
{
	bool overflow = false;
	size_t entries = 0, size = PART_FIRST;
	int rc;

	for (size_t i = 0; i < s->threads; i++)
		for (struct run *r = s->locals[i].runs[part]; r; r = r->next)
			entries += r->n;
	/* Few groups may be behind many entries: grow at need, but not far. */
	while (size < entries / 4)
		size *= 2;
	rc = group_table_init(t, &s->plan, size, err);
	for (size_t i = 0; i < s->threads; i++) {
		struct run *r, *next;

		for (r = s->locals[i].runs[part]; r; r = next) {
			for (size_t k = 0; k < r->n && rc == 0; k++)
				rc = insert_entry(
				    t, r->entries + k * s->plan.stride,
				    &overflow, err);
			next = r->next;
			free(r);
		}
		s->locals[i].runs[part] = NULL;
	}
	if (rc == 0 && overflow)
		rc = overflow_error(err);
	return rc;
}

/* The occupied entries, in a malloc'ed array. */
static char **
list_entries(const struct group_table *t)
{
	char **list = malloc((t->count + 1) * sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; list && i <= t->mask; i++) {
		char *e = t->entries + i * t->plan->stride;

		if (group_used(t->plan, e))
			list[n++] = e;
	}
	return list;
}

static int
emit_aggregate(const struct agg *a, char *const *entries, struct eval *e,
	       struct vec *out)
{
	bool overflow = false;
	char *data = arena_alloc(e->arena, expr_type_size(a->type) * e->n + 1);
	uint8_t *null = arena_alloc(e->arena, e->n + 1);

	if (!data || !null)
		return eval_oom(e);
	for (uint32_t i = 0; i < e->n; i++)
		null[i] =
		    !a->ops->emit(entries[i] + a->offset, data, i, &overflow);
	*out = (struct vec){a->type, false, null, data};
	return overflow ? overflow_error(e->err) : 0;
}

static int
emit_entries(struct stats *s, char *const *entries, size_t n,
	     struct rowset *rows, struct err *err)
{
	const struct group_plan *p = &s->plan;
	struct vec *vecs = calloc(p->nkeys + p->naggs, sizeof(*vecs));
	struct arena arena = {0};
	int rc = vecs ? 0 : oom(err);

	for (size_t at = 0; at < n && rc == 0; at += VIEW_CHUNK) {
		struct eval e = {.n = VIEW_CHUNK, .arena = &arena, .err = err};

		if (n - at < VIEW_CHUNK)
			e.n = (uint32_t)(n - at);
		arena_reset(&arena);
		for (size_t k = 0; k < p->nkeys && rc == 0; k++)
			rc = group_decode(p, k, entries + at, &e, &vecs[k]);
		for (size_t k = 0; k < p->naggs && rc == 0; k++)
			rc = emit_aggregate(&p->aggs[k], entries + at, &e,
					    &vecs[p->nkeys + k]);
		if (rc == 0)
			rc = rowset_append(rows, vecs, e.n, err);
	}
	arena_free(&arena);
	free(vecs);
	return rc;
}

static int
result_open(struct source *src, struct source_block *b, struct err *err)
{
	struct stats *s =
	    (struct stats *)((char *)src - offsetof(struct stats, result));
	struct rowset *rows = rowset_new(src->n, s->types);
	struct group_table table = {0};
	struct group_table *t = &table;
	char **entries = NULL, *one = s->locals[0].one;
	int rc = 0;

	if (!rows)
		return oom(err);
	if (!s->plan.nkeys) {
		rc = emit_entries(s, &one, 1, rows, err);
	} else {
		if (s->parts == 1)
			t = &s->locals[0].table;
		else
			rc = merge_runs(s, b->index, t, err);
		entries = rc == 0 ? list_entries(t) : NULL;
		if (rc == 0)
			rc = entries
				 ? emit_entries(s, entries, t->count, rows, err)
				 : oom(err);
	}
	free(entries);
	group_table_clear(&table);
	if (rc) {
		rowset_free(rows);
		return -1;
	}
	b->rows = rows->rows;
	b->priv = rows;
	return 0;
}

static void
result_close(struct source *src, struct source_block *b)
{
	(void)src;
	rowset_free(b->priv);
	b->priv = NULL;
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
	const struct rowset *rows = b->priv;

	(void)c, (void)err;
	*out = src->fields[field].type == TYPE_NULL ? NULL : &rows->cols[field];
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
    result_open,   result_close, result_peek,
    result_column, result_rows,	 result_free,
};

static void
free_local(struct local *l)
{
	group_table_clear(&l->table);
	for (size_t p = 0; p < PARTITIONS; p++) {
		struct run *next;

		for (struct run *r = l->runs[p]; r; r = next) {
			next = r->next;
			free(r);
		}
	}
	arena_free(&l->keep);
	free(l->one);
}

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

	for (size_t i = 0; i < s->threads; i++)
		free_local(&s->locals[i]);
	free(s->locals);
}

static const struct sink_ops stats_ops = {
    "stats",	  stats_start, stats_header, stats_block,
    stats_finish, stats_node,  stats_free,
};

static int
describe_result(struct stats *s, struct arena *a)
{
	const struct group_plan *p = &s->plan;
	size_t n = p->nkeys + p->naggs;

	s->result = (struct source){
	    .ops = &result_ops, .n = n, .time_field = -1, .id_field = -1};
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

struct sink *
stats_new(struct arena *a, struct source *src, struct group_key *keys,
	  size_t nkeys, struct agg *aggs, size_t naggs)
{
	struct stats *s = arena_zalloc(a, sizeof(*s));

	if (!s)
		return NULL;
	s->sink = (struct sink){&stats_ops, &s->result};
	s->src = src;
	s->plan = (struct group_plan){
	    .nkeys = nkeys, .naggs = naggs, .keys = keys, .aggs = aggs};
	return describe_result(s, a) ? NULL : &s->sink;
}
