/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/write.h"

#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"

struct write {
	struct sink sink;
	struct sink *emit; /* calls the counter, which calls the target */
	struct target *target;
	struct writer counter;
	const char *names[2];
	uint64_t rows;
};

static const enum expr_type result_types[] = {TYPE_STRING, TYPE_UINT};

/* A struct writer's. */
static int
count_rows(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
	   struct err *err)
{
	struct write *w = ctx;

	w->rows += to - from;
	return w->target->writer.write(w->target->writer.ctx, r, from, to, err);
}

static int
write_start(struct sink *sink, size_t threads, struct err *err)
{
	struct write *w = (struct write *)sink;

	if (w->target->begin(w->target, err))
		return -1;
	return w->emit->ops->start(w->emit, threads, err);
}

static int
write_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	    atomic_bool *stop)
{
	struct write *w = (struct write *)sink;

	return w->emit->ops->block(w->emit, thread, v, nth, stop);
}

static int
write_finish(struct sink *sink, struct err *err)
{
	struct write *w = (struct write *)sink;
	const struct str name = {w->target->name, strlen(w->target->name)};
	const struct vec row[] = {
	    {.type = TYPE_STRING, .constant = true, .data = &name},
	    {.type = TYPE_UINT, .constant = true, .data = &w->rows},
	};
	struct rowset *r;

	if (w->emit->ops->finish(w->emit, err) ||
	    w->target->end(w->target, err))
		return -1;
	r = rowset_new(2, result_types);
	if (!r)
		return err_set(err, "out of memory");
	if (rowset_append(r, row, 1, err)) {
		rowset_free(r);
		return -1;
	}
	return rowsource_add(sink->result, r, err);
}

static const struct node *
write_node(const struct sink *sink, size_t i)
{
	const struct write *w = (const struct write *)sink;

	return w->emit->ops->node(w->emit, i);
}

static void
write_free(struct sink *sink)
{
	struct write *w = (struct write *)sink;

	sink_free(w->emit);
	source_free(sink->result);
}

static const struct sink_ops write_ops = {
    .name = "rows, written out",
    .start = write_start,
    .block = write_block,
    .finish = write_finish,
    .node = write_node,
    .free = write_free,
};

static void
free_target(void *target)
{
	struct target *t = target;

	t->free(t);
}

int
plan_write(struct plan *p, struct target *t, const struct columns *cols)
{
	struct write *w = arena_zalloc(p->arena, sizeof(*w));

	if (plan_own(p, t, free_target))
		return -1;
	if (!w)
		return plan_oom(p);
	if (p->site->open) {
		err_set(p->lexer->err, "nothing can be written here");
		return plan_fail(p);
	}
	w->sink.ops = &write_ops;
	w->target = t;
	w->counter = (struct writer){w, count_rows};
	w->names[0] = t->kind;
	w->names[1] = "rows";
	w->emit = emit_new(p->arena, p->src, cols, &w->counter, 0, UINT64_MAX);
	if (!w->emit)
		return plan_oom(p);
	w->sink.result = rowsource_new(2, w->names, result_types);
	if (!w->sink.result) {
		sink_free(w->emit);
		return plan_oom(p);
	}
	return plan_stage(p, &w->sink);
}

/*
 * Lists of columns.
 */

int
parse_list(struct lexer *l, struct name_list *list)
{
	if (l->tok.type != TOKEN_NAME)
		return 0;
	do {
		struct listed_name *n =
		    parse_grow(l, list->names, list->n, sizeof(*n));

		if (!n)
			return -1;
		list->names = n;
		n += list->n++;
		n->pos = l->tok.pos;
		if (parse_name(l, &n->name))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

static int
no_column(struct plan *p, const struct listed_name *n)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, n->name, strlen(n->name));
	for (size_t i = 0; i < p->ncols; i++)
		nearest_try(&near, p->cols[i].name);
	return lexer_fail(p->lexer, n->pos, "no row has a field %.*s%s",
			  NEAREST_MAX, n->name,
			  nearest_hint(&near, hint, sizeof hint));
}

const struct columns *
plan_listed(struct plan *p, const struct name_list *list)
{
	struct branch b = {.ncols = list->n};

	if (list->n == 0)
		return plan_columns(p);
	b.cols = arena_alloc(p->arena, list->n * sizeof(*b.cols));
	if (!b.cols) {
		plan_oom(p);
		return NULL;
	}
	for (size_t i = 0; i < list->n; i++) {
		const struct column_def *c = plan_find(p, list->names[i].name);

		if (!c) {
			no_column(p, &list->names[i]);
			return NULL;
		}
		b.cols[i] = *c;
	}
	return branch_columns(p, &b);
}
