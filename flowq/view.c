/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/view.h"

#include <stdlib.h>
#include <string.h>

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
 * Columns as vectors: of the window's rows, each type at its width there.
 */

struct load {
	const struct column *col;
	const uint32_t *sel; /* of the window; NULL: rows from AT on */
	uint32_t at, n;
};

#define WIDEN(fname, type)                                        \
	static void fname(const struct load *l, uint64_t *out)    \
	{                                                         \
		const type *in = l->col->data;                    \
                                                                  \
		if (l->sel)                                       \
			for (uint32_t i = 0; i < l->n; i++)       \
				out[i] = (uint64_t)in[l->sel[i]]; \
		else                                              \
			for (uint32_t i = 0; i < l->n; i++)       \
				out[i] = (uint64_t)in[l->at + i]; \
	}

WIDEN(widen8, uint8_t)
WIDEN(widen16, uint16_t)
WIDEN(widen32, uint32_t)
WIDEN(widen64, uint64_t)

static uint32_t
load_row(const struct load *l, uint32_t i)
{
	return l->sel ? l->sel[i] : l->at + i;
}

static void
load_bool(const struct load *l, uint8_t *out)
{
	const uint8_t *in = l->col->data;

	for (uint32_t i = 0; i < l->n; i++)
		out[i] = in[load_row(l, i)] != 0;
}

static void
load_ip(const struct load *l, unsigned __int128 *out)
{
	const char *in = l->col->data;

	for (uint32_t i = 0; i < l->n; i++) {
		uint64_t hi, lo;

		memcpy(&hi, in + 16 * (size_t)load_row(l, i), 8);
		memcpy(&lo, in + 16 * (size_t)load_row(l, i) + 8, 8);
		out[i] = (unsigned __int128)__builtin_bswap64(hi) << 64 |
			 __builtin_bswap64(lo);
	}
}

static void
load_str(const struct load *l, struct str *out)
{
	const uint32_t *offsets = l->col->data;

	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t row = load_row(l, i);

		out[i] = (struct str){
		    l->col->bytes ? l->col->bytes + offsets[row] : "",
		    offsets[row + 1] - offsets[row]};
	}
}

static void
load_values(const struct load *l, enum col_type type, void *out)
{
	switch (type) {
	case COL_BOOL:
		load_bool(l, out);
		break;
	case COL_U8:
		widen8(l, out);
		break;
	case COL_U16:
		widen16(l, out);
		break;
	case COL_U32:
	case COL_IPV4:
		widen32(l, out);
		break;
	case COL_IP:
		load_ip(l, out);
		break;
	case COL_STRING:
	case COL_BYTES:
		load_str(l, out);
		break;
	default:
		widen64(l, out);
	}
}

static int
load_nulls(struct view *v, const struct load *l, struct vec *out)
{
	const uint8_t *valid = l->col->valid;
	uint8_t *null, any = 0;

	if (!valid)
		return 0;
	null = arena_alloc(&v->arena, l->n + 1);
	if (!null)
		return eval_oom(&v->eval);
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t row = load_row(l, i);

		null[i] = !(valid[row >> 3] >> (row & 7) & 1);
		any |= null[i];
	}
	out->null = any ? null : NULL;
	return 0;
}

static int
load_vec(struct view *v, const struct column *col, enum col_type type,
	 struct vec *out)
{
	struct load l = {col, v->sel ? v->sel + v->at : NULL, v->at, v->eval.n};
	void *data;

	*out = (struct vec){.type = expr_type_of(type)};
	if (col->constant) {
		l = (struct load){col, NULL, 0, 1};
		out->constant = true;
	}
	if (!l.sel && col_type_width(type) == 8 && type != COL_IP) {
		out->data = (const uint64_t *)col->data + l.at;
		return load_nulls(v, &l, out);
	}
	data =
	    arena_alloc(&v->arena, expr_type_size(out->type) * (size_t)l.n + 1);
	if (!data)
		return eval_oom(&v->eval);
	load_values(&l, type, data);
	out->data = data;
	return load_nulls(v, &l, out);
}

static int
view_load(void *ctx, int slot, struct vec *out)
{
	static const uint8_t null = 1;
	static const unsigned __int128 zero;
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
		*out =
		    (struct vec){v->src->fields[slot].type, true, &null, &zero};
	else if (load_vec(v, col, type, out) ||
		 vec_cast(&v->eval, out, v->src->fields[slot].type))
		return -1;
	s->vec = *out;
	s->chunk = v->chunk_tick;
	return 0;
}
