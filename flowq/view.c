/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/view.h"

#include <stdlib.h>

#include "common/bits.h"
#include "common/load.h"
#include "flowq/interrupt.h"

static int view_load(void *ctx, int slot, struct vec *out);

int
view_init(struct view *v, struct source *src, struct err *err)
{
	*v = (struct view){.src = src, .err = err};
	v->slots = calloc(src->n ? src->n : 1, sizeof(*v->slots));
	if (!v->slots)
		return err_set(err, "out of memory");
	v->nslots = src->n;
	v->eval = (struct eval){
	    .arena = &v->arena, .err = err, .load = view_load, .ctx = v};
	return 0;
}

void
view_clear(struct view *v)
{
	for (size_t i = 0; i < v->nslots; i++) {
		column_clear(&v->slots[i].own);
		coded_clear(&v->slots[i].coded);
	}
	free(v->slots);
	if (v->entries)
		view_clear(v->entries);
	free(v->entries);
	table_scratch_clear(&v->block.scratch);
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
	v->block.index = block;
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

/* Whether the field is to be had as entries; if so they are there. */
static int
load_entries(struct view *v, size_t field)
{
	struct view_slot *s = &v->slots[field];
	const struct column_stat *stat;
	int r = 0;

	if (s->entries_block == v->block_tick)
		return s->is_coded;
	if (v->src->ops->entries && !v->of_entries) {
		s->type =
		    v->src->ops->peek(v->src, v->block.index, field, &stat);
		r = v->src->ops->entries(v->src, &v->block, field, &s->coded,
					 v->err);
	}
	if (r < 0)
		return -1;
	s->entries_block = v->block_tick;
	s->is_coded = r > 0;
	v->columns_read += s->is_coded;
	return r;
}

/* A view without a block of its own. */
static int
init_entries(struct view *v)
{
	v->entries = calloc(1, sizeof(*v->entries));
	if (!v->entries)
		return err_set(v->err, "out of memory");
	if (view_init(v->entries, v->src, v->err))
		return -1;
	v->entries->of_entries = true;
	return 0;
}

int
view_entries(struct view *v, size_t field, struct view **out)
{
	struct view_slot *s = &v->slots[field], *to;
	int r = load_entries(v, field);
	struct view *e;

	*out = NULL;
	if (r <= 0)
		return r;
	if (!v->entries && init_entries(v))
		return -1;
	e = v->entries;
	e->block.index = v->block.index;
	e->block.rows = s->coded.entries;
	e->block_tick++;
	e->sel = NULL;
	e->nsel = s->coded.entries;
	view_window(e, 0, 0);
	to = &e->slots[field];
	to->block = e->block_tick;
	to->col = &s->coded.values;
	to->type = s->type;
	*out = e;
	return grow_buffers(e);
}

int
view_codes(struct view *v, size_t field, const uint32_t **codes)
{
	struct view_slot *s = &v->slots[field];

	if (s->codes_block != v->block_tick) {
		if (v->src->ops->codes(v->src, &v->block, field, &s->coded,
				       v->err))
			return -1;
		s->codes_block = v->block_tick;
	}
	*codes = s->coded.code;
	return 0;
}

int
view_only_field(const struct node *nd)
{
	int only = nd->kind == NODE_FIELD ? nd->slot : -1;

	for (size_t i = 0; i < nd->n; i++) {
		const struct node *a = nd->args[i];
		int field = view_only_field(a);

		if (a->kind == NODE_LITERAL)
			continue;
		if (field < 0 || (only >= 0 && field != only))
			return -1;
		only = field;
	}
	return only;
}

void
view_select(struct view *v, const uint8_t *mask)
{
	size_t k = bits_ops()->select(mask, v->sel, v->nsel, v->sel_buf);

	if (k == v->nsel)
		return;
	v->sel = v->sel_buf;
	v->nsel = (uint32_t)k;
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
	if (atomic_load_explicit(&interrupted, memory_order_relaxed))
		return interrupt_err(v->err);
	return node_eval(&v->eval, nd, out);
}

/*
 * Columns as vectors of the window's rows.
 */

/* Of entries: codes take the place of rows. */
static int
load_coded(struct view *v, size_t field, struct vec *out)
{
	struct view_slot *s = &v->slots[field];
	const uint32_t *codes, *sel;
	uint32_t *own;

	if (view_codes(v, field, &codes))
		return -1;
	sel = codes + v->at;
	if (v->sel) {
		own = arena_alloc(&v->arena, v->eval.n * sizeof(*own) + 1);
		if (!own)
			return eval_oom(&v->eval);
		for (uint32_t i = 0; i < v->eval.n; i++)
			own[i] = codes[v->sel[v->at + i]];
		sel = own;
	}
	return vec_load(&v->eval, &s->coded.values, s->type, sel, 0, out);
}

static int
load_column(struct view *v, size_t field, struct vec *out)
{
	const struct column *col;
	enum col_type type;

	if (view_column(v, field, &col, &type))
		return -1;
	if (!col || type == COL_NULL) {
		vec_load_null(v->src->fields[field].type, out);
		return 0;
	}
	return vec_load(&v->eval, col, type, v->sel ? v->sel + v->at : NULL,
			v->at, out);
}

static int
view_load(void *ctx, int slot, struct vec *out)
{
	struct view *v = ctx;
	struct view_slot *s = &v->slots[slot];
	size_t field = (size_t)slot;
	int coded = 0;

	if (s->chunk == v->chunk_tick) {
		*out = s->vec;
		return 0;
	}
	if (s->block != v->block_tick)
		coded = load_entries(v, field);
	if (coded < 0 ||
	    (coded ? load_coded(v, field, out) : load_column(v, field, out)))
		return -1;
	if (vec_cast(&v->eval, out, v->src->fields[slot].type))
		return -1;
	s->vec = *out;
	s->chunk = v->chunk_tick;
	return 0;
}
