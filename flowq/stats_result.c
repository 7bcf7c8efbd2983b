/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups as a source. */
#include <stddef.h>
#include <stdlib.h>

#include "flowq/rowset.h"
#include "flowq/stats_state.h"

static struct stats *
from_result(struct source *src)
{
	return (struct stats *)((char *)src - offsetof(struct stats, result));
}

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
	return to.overflow ? stats_overflow(e->err) : 0;
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
	int rc = rows ? 0 : stats_oom(err);

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
	struct stats *s = from_result(src);
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
	struct group_target to = {&part->table, &part->keep, &overflow,
				  budget_share(s->sink.budget, 1)};

	if (!part->table.plan && group_table_init(&part->table, &s->plan, err))
		return -1;
	for (size_t i = 0; i < s->threads; i++)
		if (grouping_merge(&s->locals[i].groups, index, &to, err))
			return -1;
	part->entries = part->table.entries;
	part->n = part->table.count;
	return overflow ? stats_overflow(err) : 0;
}

static int
result_open(struct source *src, struct source_block *b, struct err *err)
{
	struct stats *s = from_result(src);
	struct part *part = part_get(s);
	int rc = 0;

	if (!part)
		return stats_oom(err);
	b->priv = part;
	if (s->spread) {
		rc = open_part(s, part, b->index, err);
	} else if (s->plan.nkeys) {
		const struct group_table *t = &s->locals[0].groups.table;
		size_t from = b->index * STATS_RESULT_ROWS;

		part->entries = t->entries + from * s->plan.stride;
		part->n = t->count - from;
		if (part->n > STATS_RESULT_ROWS)
			part->n = STATS_RESULT_ROWS;
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
		    emit_column(from_result(src), part, field, err);
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

void
stats_free_parts(struct stats *s)
{
	struct part *next;

	for (struct part *part = s->spare; part; part = next) {
		next = part->next;
		group_table_clear(&part->table);
		arena_free(&part->keep);
		free(part);
	}
	s->spare = NULL;
}

static void
result_free(struct source *src)
{
	(void)src; /* the sink's */
}

static const struct source_ops stats_result_ops = {
    .open = result_open,
    .close = result_close,
    .peek = result_peek,
    .column = result_column,
    .rows = result_rows,
    .free = result_free,
};

struct stats *
stats_of(struct source *src)
{
	return src->ops == &stats_result_ops ? from_result(src) : NULL;
}

int
stats_describe(struct stats *s, struct arena *a)
{
	const struct group_plan *p = &s->plan;
	size_t n = p->nkeys + p->naggs;

	s->result = (struct source){.ops = &stats_result_ops,
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
