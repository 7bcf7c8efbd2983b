/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats.h"

#include <stdlib.h>
#include <string.h>

#include "flowq/rowset.h"

enum {
	PARTITION_BITS = 10,
	PARTITIONS = 1 << PARTITION_BITS,
	PART_FIRST = 1 << 10,	 /* entries of a partition's table, at first */
	TABLE_LARGE = 128 << 20, /* bytes up to which a table grows at first */
	TABLE_SMALL = 1 << 20,	 /* and after it moved out */
	RUN_BYTES = 8 << 10,
	PREFETCH = 8,
	FEW_GROUPS = 1 << 15, /* that one thread merges by itself */
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
	char *one;	/* the only entry, without keys */
	char *coded;	/* entries by code, zero from block to block */
	uint32_t *used; /* codes */
	size_t coded_cap;
	struct run **runs; /* PARTITIONS of them, once it moved */
	struct arena keep; /* what keys and states point to */
	bool overflow;
};

struct stats {
	struct sink sink;
	struct source result;
	struct source *src;
	struct group_plan plan;
	int *fields; /* that keys are made of */
	size_t nfields;
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
	struct run **head =
	    &l->runs[group_hash(p, entry) >> (64 - PARTITION_BITS)];
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

	if (!l->runs)
		l->runs = calloc(PARTITIONS, sizeof(struct run *));
	if (!l->runs)
		return oom(err);
	for (size_t i = 0; l->ready && i <= l->table.mask; i++) {
		const char *e = l->table.entries + i * p->stride;

		if (group_used(p, e) && move_entry(p, l, e))
			return oom(err);
	}
	group_table_clear(&l->table);
	l->ready = false;
	l->moved = true;
	return 0;
}

/* A first table may grow until it holds all groups of most queries.  If it
 * does not, there are so many that a table does best which fits the cache. */
static int
make_room(const struct stats *s, struct local *l, size_t n, struct err *err)
{
	size_t limit = l->moved ? TABLE_SMALL : TABLE_LARGE;

	if (l->ready && !group_table_fits(&l->table, n) &&
	    group_table_next(&l->table) * s->plan.stride > limit &&
	    move_out(s, l, err))
		return -1;
	if (!l->ready) {
		if (group_table_init(&l->table, &s->plan, 4 * VIEW_CHUNK, err))
			return -1;
		l->ready = true;
	}
	while (!group_table_fits(&l->table, n))
		if (group_table_grow(&l->table, err))
			return -1;
	return 0;
}

static int
add_aggregates(const struct stats *s, struct view *v,
	       const struct agg_rows *rows)
{
	struct vec *vecs =
	    arena_alloc(&v->arena, (s->plan.naggs + 1) * sizeof(*vecs));

	if (!vecs)
		return eval_oom(&v->eval);
	for (size_t k = 0; k < s->plan.naggs; k++) {
		const struct agg *a = &s->plan.aggs[k];

		vecs[k] = (struct vec){.type = TYPE_UINT};
		if (a->arg && view_eval(v, a->arg, &vecs[k]))
			return -1;
	}
	if (aggregate_add(s->plan.aggs, s->plan.naggs, rows, vecs))
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

/* All selected rows into the one entry. */
static int
add_to_one(const struct stats *s, struct local *l, struct view *v, char *entry)
{
	struct agg_rows rows = {.base = entry,
				.stride = s->plan.stride,
				.arena = &l->keep,
				.overflow = &l->overflow};

	for (uint32_t at = 0; at < v->nsel; at += rows.n) {
		rows.n = window_at(v, at);
		if (add_aggregates(s, v, &rows))
			return -1;
	}
	return 0;
}

static int
add_rows(const struct stats *s, struct local *l, struct view *v)
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.stride = s->plan.stride,
				.index = index,
				.arena = &l->keep,
				.overflow = &l->overflow,
				.mark = s->plan.mode == GROUP_DENSE};

	for (uint32_t at = 0; at < v->nsel; at += rows.n) {
		rows.n = window_at(v, at);
		if (make_room(s, l, rows.n, v->err) ||
		    group_rows(&l->table, v, &l->keep, index))
			return -1;
		rows.base = l->table.entries;
		if (add_aggregates(s, v, &rows))
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

/* Selected rows into the entries of their codes. */
static int
add_by_code(const struct stats *s, struct local *l, struct view *v,
	    const uint32_t *code)
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.base = l->coded,
				.stride = s->plan.stride,
				.arena = &l->keep,
				.overflow = &l->overflow,
				.mark = true};

	for (uint32_t at = 0; at < v->nsel; at += rows.n) {
		rows.n = window_at(v, at);
		rows.index = code + at;
		if (v->sel) {
			for (uint32_t i = 0; i < rows.n; i++)
				index[i] = code[v->sel[at + i]];
			rows.index = index;
		}
		if (add_aggregates(s, v, &rows))
			return -1;
	}
	return 0;
}

/* Entries by code that were used go to the groups that they belong to, and are
 * zero again. */
static int
merge_codes(const struct stats *s, struct local *l, struct view *e)
{
	uint32_t index[VIEW_CHUNK];
	struct agg_rows rows = {.stride = s->plan.stride,
				.index = index,
				.arena = &l->keep,
				.overflow = &l->overflow,
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
		if (make_room(s, l, rows.n, e->err) ||
		    group_rows(&l->table, e, &l->keep, index))
			return -1;
		rows.base = l->table.entries;
		aggregate_merge(s->plan.aggs, s->plan.naggs, &rows, l->coded,
				l->used + at);
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
	if (make_room(s, l, 1, v->err) ||
	    group_rows(&l->table, v, &l->keep, &index))
		return -1;
	/* They are counted by rows. */
	v->eval.overflows += (v->eval.overflows - overflows) * (v->nsel - 1);
	entry = l->table.entries + index * s->plan.stride;
	key = (uint64_t)index + 1;
	if (s->plan.mode == GROUP_DENSE)
		memcpy(entry, &key, sizeof key);
	return add_to_one(s, l, v, entry);
}

static int
stats_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	    atomic_bool *stop)
{
	struct stats *s = (struct stats *)sink;
	struct local *l = &s->locals[thread];
	const uint32_t *code;
	size_t field = 0;
	struct view *e;
	int how, rc = 1;

	(void)nth, (void)stop;
	if (!s->plan.nkeys)
		return add_to_one(s, l, v, l->one);
	if (!v->nsel)
		return 0;
	how = keys_vary(s, v, &field, &e);
	if (how < 0)
		return -1;
	if (how == KEYS_CONSTANT)
		return add_to_group(s, l, v);
	/* Few rows are looked at one by one. */
	if (how == KEYS_CODED && v->nsel >= e->nsel)
		rc = keys_overflow(s, e);
	if (rc)
		return rc < 0 ? -1 : add_rows(s, l, v);
	if (coded_room(s, l, e->nsel, v->err) || view_codes(v, field, &code) ||
	    add_by_code(s, l, v, code))
		return -1;
	return merge_codes(s, l, e);
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
	size_t groups = 0;

	for (size_t i = 0; i < s->threads; i++) {
		moved |= s->locals[i].moved;
		overflow |= s->locals[i].overflow;
		groups += group_table_count(&s->locals[i].table);
	}
	/* Many groups are merged by all threads, partition by partition. */
	moved |= groups > FEW_GROUPS && s->plan.mode != GROUP_DENSE;
	s->parts = moved ? PARTITIONS : 1;
	s->result.blocks = s->parts;
	if (!s->plan.nkeys) {
		for (size_t i = 1; i < s->threads; i++)
			merge_entry(&s->plan, s->locals[0].one,
				    s->locals[i].one, &overflow);
	} else if (moved) {
		for (size_t i = 0; i < s->threads; i++)
			if (move_out(s, &s->locals[i], err))
				return -1;
	} else if (merge_tables(s, err)) {
		return -1;
	}
	overflow |= s->locals[0].overflow;
	return overflow ? overflow_error(err) : 0;
}

/*
 * The result as a source.
 */

static int
merge_run(struct group_table *t, const struct run *r, bool *overflow,
	  struct err *err)
{
	size_t stride = t->plan->stride;

	for (size_t k = 0; k < r->n; k++) {
		const char *e = r->entries + k * stride;

		if (k + PREFETCH < r->n)
			group_prefetch(t, e + PREFETCH * stride);
		if (insert_entry(t, e, overflow, err))
			return -1;
	}
	return 0;
}

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
	while (size < entries)
		size *= 2;
	rc = group_table_init(t, &s->plan, size, err);
	for (size_t i = 0; i < s->threads; i++) {
		struct run *r, *next;

		for (r = s->locals[i].runs[part]; r; r = next) {
			if (rc == 0)
				rc = merge_run(t, r, &overflow, err);
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
	char **list = malloc((group_table_count(t) + 1) * sizeof(*list));
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
	uint8_t *null = arena_alloc(e->arena, e->n + 1), any = 0;

	if (!data || !null)
		return eval_oom(e);
	for (uint32_t i = 0; i < e->n; i++) {
		null[i] =
		    !a->ops->emit(entries[i] + a->offset, data, i, &overflow);
		any |= null[i];
	}
	*out = (struct vec){a->type, false, any ? null : NULL, data};
	return overflow ? overflow_error(e->err) : 0;
}

/* A partition that is open: its entries, and those columns that were asked
 * for, each a rowset of one column. */
struct part {
	struct group_table table; /* zeroed if another's is used */
	char **entries;
	size_t n;
	struct rowset *cols[];
};

static int
emit_window(struct stats *s, size_t field, char *const *entries, struct eval *e,
	    struct vec *out)
{
	const struct group_plan *p = &s->plan;

	if (field < p->nkeys)
		return group_decode(p, field, entries, e, out);
	return emit_aggregate(&p->aggs[field - p->nkeys], entries, e, out);
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
		rc = emit_window(s, field, part->entries + at, &e, &vec);
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

static void
result_close(struct source *src, struct source_block *b)
{
	struct part *part = b->priv;

	for (size_t i = 0; part && i < src->n; i++)
		rowset_free(part->cols[i]);
	if (part) {
		group_table_clear(&part->table);
		free(part->entries);
	}
	free(part);
	b->priv = NULL;
}

static int
open_entries(struct stats *s, struct part *part, size_t index, struct err *err)
{
	struct group_table *t = &part->table;

	if (!s->plan.nkeys) {
		part->n = 1;
		part->entries = malloc(sizeof(*part->entries));
		if (!part->entries)
			return oom(err);
		part->entries[0] = s->locals[0].one;
		return 0;
	}
	if (s->parts == 1)
		t = &s->locals[0].table;
	else if (merge_runs(s, index, t, err))
		return -1;
	part->n = group_table_count(t);
	part->entries = list_entries(t);
	return part->entries ? 0 : oom(err);
}

static int
result_open(struct source *src, struct source_block *b, struct err *err)
{
	struct part *part =
	    calloc(1, sizeof(*part) + src->n * sizeof(part->cols[0]));

	if (!part)
		return oom(err);
	b->priv = part;
	if (open_entries(stats_of(src), part, b->index, err)) {
		result_close(src, b);
		return -1;
	}
	b->rows = (uint32_t)part->n;
	return 0;
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

static void
free_local(struct local *l)
{
	group_table_clear(&l->table);
	for (size_t p = 0; l->runs && p < PARTITIONS; p++) {
		struct run *next;

		for (struct run *r = l->runs[p]; r; r = next) {
			next = r->next;
			free(r);
		}
	}
	free(l->runs);
	arena_free(&l->keep);
	free(l->coded);
	free(l->used);
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
	s->fields = arena_alloc(a, (src->n + 1) * sizeof(*s->fields));
	if (!s->fields)
		return NULL;
	for (size_t i = 0; i < nkeys; i++)
		add_fields(s, keys[i].node);
	return describe_result(s, a) ? NULL : &s->sink;
}
