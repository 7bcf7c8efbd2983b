/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/view.h"

#include "common/load.h"
#include <stdlib.h>

static int view_load(void *ctx, int slot, struct vec *out);

int
view_init(struct view *v, struct source *src, struct err *err)
{
	*v = (struct view){.src = src, .err = err};
	v->slots = calloc(src->n ? src->n : 1, sizeof(*v->slots));
	if (!v->slots)
		return err_set(err, "out of memory");
	v->eval = (struct eval){
	    .arena = &v->arena, .err = err, .load = view_load, .ctx = v};
	return 0;
}

void
view_clear(struct view *v)
{
	for (size_t i = 0; v->slots && i < v->src->n; i++)
		column_clear(&v->slots[i].own);
	free(v->slots);
	free(v->sel_buf);
	free(v->mask_buf);
	arena_free(&v->arena);
	*v = (struct view){0};
}

static int
grow_buffers(struct view *v)
{
	size_t rows = v->block.rows;

	if (rows <= v->buf_rows)
		return 0;
	free(v->sel_buf);
	free(v->mask_buf);
	v->buf_rows = 0;
	v->sel_buf = malloc((rows + 64) * sizeof(*v->sel_buf));
	v->mask_buf = aligned_alloc(64, (rows + 128) & ~(size_t)63);
	if (!v->sel_buf || !v->mask_buf)
		return err_set(v->err, "out of memory");
	v->buf_rows = rows;
	return 0;
}

int
view_open(struct view *v, size_t block)
{
	v->block = (struct source_block){.index = block};
	if (v->src->ops->open(v->src, &v->block, v->err))
		return -1;
	v->block_tick++;
	v->sel = NULL;
	v->nsel = v->block.rows;
	view_window(v, 0, 0);
	return grow_buffers(v);
}

void
view_close(struct view *v)
{
	v->src->ops->close(v->src, &v->block);
}

int
view_column(struct view *v, size_t field, const struct column **col,
	    enum col_type *type)
{
	struct view_slot *s = &v->slots[field];
	const struct column_stat *stat;

	if (s->block != v->block_tick) {
		s->type =
		    v->src->ops->peek(v->src, v->block.index, field, &stat);
		if (v->src->ops->column(v->src, &v->block, field, &s->own,
					&s->col, v->err))
			return -1;
		s->block = v->block_tick;
		v->columns_read += s->col != NULL;
	}
	*col = s->col;
	*type = s->type;
	return 0;
}

void
view_window(struct view *v, uint32_t at, uint32_t n)
{
	arena_reset(&v->arena);
	v->at = at;
	v->eval.n = n;
	v->chunk_tick++;
}

int
view_eval(struct view *v, const struct node *nd, struct vec *out)
{
	return node_eval(&v->eval, nd, out);
}

/*
 * Columns as vectors of the window's rows.
 */

static int
load_column(struct view *v, const struct column *col, enum col_type type,
	    struct vec *out)
{
	return vec_load(&v->eval, col, type, v->sel ? v->sel + v->at : NULL,
			v->at, out);
}

static int
view_load(void *ctx, int slot, struct vec *out)
{
	struct view *v = ctx;
	struct view_slot *s = &v->slots[slot];
	const struct column *col;
	enum col_type type;

	if (s->chunk == v->chunk_tick) {
		*out = s->vec;
		return 0;
	}
	if (view_column(v, (size_t)slot, &col, &type))
		return -1;
	if (!col || type == COL_NULL)
		vec_load_null(v->src->fields[slot].type, out);
	else if (load_column(v, col, type, out) ||
		 vec_cast(&v->eval, out, v->src->fields[slot].type))
		return -1;
	s->vec = *out;
	s->chunk = v->chunk_tick;
	return 0;
}
