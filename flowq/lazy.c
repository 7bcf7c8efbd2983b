/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/lazy.h"

#include <stdlib.h>
#include <string.h>

#include "flowq/interrupt.h"
#include "flowq/rowset.h"

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for rows of a join or union");
}

/*
 * What there is.
 */

/* A column that is nothing but a field of the stage's source, or NULL. */
static const struct source_field *
plain(const struct lazy *l, size_t col)
{
	const struct node *nd = l->nodes[col];

	return nd->kind == NODE_FIELD ? &l->b.src->fields[nd->slot] : NULL;
}

static void
describe(struct lazy *l, size_t i, const char *name)
{
	struct source_field *f = &l->fields[i];
	const struct source_field *from = plain(l, i);

	if (from)
		*f = *from;
	else
		f->nullable = true;
	f->name = name;
	f->hidden = false;
	/* Columns hold durations as seconds. */
	f->type =
	    l->nodes[i]->type == TYPE_DURATION ? TYPE_REAL : l->nodes[i]->type;
}

/* The column that shows a field of the source, made if none does. */
static int
show(struct lazy *l, struct plan *p, int slot)
{
	const struct source_field *f = &l->b.src->fields[slot];
	struct node *nd;

	for (size_t i = 0; i < l->n; i++)
		if (l->nodes[i]->kind == NODE_FIELD &&
		    l->nodes[i]->slot == slot)
			return (int)i;
	nd = node_field(&p->binder, slot, f->type, f->nullable, f->name);
	if (!nd)
		return -1;
	l->nodes[l->n] = nd;
	describe(l, l->n, f->name);
	l->fields[l->n].hidden = true;
	return (int)l->n++;
}

int
lazy_init(struct lazy *l, struct plan *p, const struct branch *b)
{
	*l = (struct lazy){.b = *b, .time_field = -1, .id_field = -1};
	pthread_mutex_init(&l->lock, NULL);
	l->fields = arena_zalloc(p->arena, (b->ncols + 2) * sizeof(*l->fields));
	l->nodes = arena_zalloc(p->arena, (b->ncols + 2) * sizeof(*l->nodes));
	if (!l->fields || !l->nodes)
		return plan_oom(p);
	for (; l->n < b->ncols; l->n++) {
		l->nodes[l->n] = b->cols[l->n].node;
		describe(l, l->n, b->cols[l->n].name);
	}
	if (b->src->time_field >= 0) {
		l->time_field = show(l, p, b->src->time_field);
		l->id_field = show(l, p, b->src->id_field);
		if (l->time_field < 0 || l->id_field < 0)
			return plan_oom(p);
	}
	return 0;
}

int
lazy_prepare(struct lazy *l, struct err *err)
{
	struct source *src = l->b.src;

	if (src->ops->prepare && src->ops->prepare(src, err))
		return -1;
	l->live = malloc((src->blocks + 1) * sizeof(*l->live));
	if (!l->live)
		return oom(err);
	for (size_t i = 0; i < src->blocks; i++)
		if (filter_check(l->b.filter, src, i) != NO_ROW)
			l->live[l->blocks++] = i;
	return 0;
}

void
lazy_clear(struct lazy *l)
{
	struct lazy_block *b;

	free(l->live);

	while ((b = l->spare)) {
		l->spare = b->next;
		view_clear(&b->view);
		free(b);
	}
	pthread_mutex_destroy(&l->lock);
}

/*
 * Blocks.
 */

static struct lazy_block *
take(struct lazy *l, struct err *err)
{
	struct lazy_block *b;

	pthread_mutex_lock(&l->lock);
	b = l->spare;
	if (b)
		l->spare = b->next;
	pthread_mutex_unlock(&l->lock);
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (view_init(&b->view, l->b.src, err)) {
		free(b);
		return NULL;
	}
	return b;
}

static void
give_back(struct lazy *l, struct lazy_block *b)
{
	pthread_mutex_lock(&l->lock);
	b->next = l->spare;
	l->spare = b;
	pthread_mutex_unlock(&l->lock);
}

int
lazy_open(struct lazy *l, size_t block, struct lazy_block **out,
	  struct err *err)
{
	struct lazy_block *b = take(l, err);

	*out = NULL;
	if (!b)
		return -1;
	b->view.err = b->view.eval.err = err;
	if (view_open(&b->view, l->live[block])) {
		give_back(l, b);
		return -1;
	}
	if (filter_run(l->b.filter, &b->view)) {
		lazy_close(l, b);
		return -1;
	}
	*out = b;
	return 0;
}

void
lazy_close(struct lazy *l, struct lazy_block *b)
{
	view_close(&b->view);
	give_back(l, b);
}

enum col_type
lazy_peek(const struct lazy *l, size_t block, size_t col,
	  const struct column_stat **stat)
{
	const struct node *nd = l->nodes[col];
	struct source *src = l->b.src;

	*stat = NULL;
	if (nd->kind != NODE_FIELD)
		return expr_col_type(nd->type);
	/* What holds of all rows holds of those that pass. */
	return src->ops->peek(src, l->live[block], (size_t)nd->slot, stat);
}

/*
 * Columns.
 */

static int
gather_strings(struct column *c, const struct column *from, const uint32_t *sel,
	       uint32_t n, struct err *err)
{
	const uint32_t *offsets = from->data;
	uint32_t *out = c->data;
	uint64_t need = 0;
	size_t at = 0;

	for (uint32_t i = 0; i < n; i++)
		if (sel[i] != UINT32_MAX)
			need += offsets[sel[i] + 1] - offsets[sel[i]];
	if (need > INT32_MAX)
		return err_set(err, "a join makes more than 2 GiB of text of "
				    "one block");
	c->bytes = malloc(need + 1);
	if (!c->bytes)
		return oom(err);
	c->bytes_cap = need + 1;
	out[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (sel[i] != UINT32_MAX) {
			uint32_t o = offsets[sel[i]];
			uint32_t len = offsets[sel[i] + 1] - o;

			if (len)
				memcpy(c->bytes + at, from->bytes + o, len);
			at += len;
		}
		out[i + 1] = (uint32_t)at;
	}
	c->bytes_len = at;
	return 0;
}

static void
gather_fixed(char *out, size_t width, const char *in, const uint32_t *sel,
	     uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, out += width)
		if (sel[i] == UINT32_MAX)
			memset(out, 0, width);
		else
			memcpy(out, in + width * sel[i], width);
}

static int
gather_nulls(struct column *c, const struct column *from, const uint32_t *sel,
	     uint32_t n, struct err *err)
{
	bool any = false;

	for (uint32_t i = 0; i < n && !any; i++)
		any = sel[i] == UINT32_MAX || column_is_null(from, sel[i]);
	if (!any)
		return 0;
	c->valid = calloc(1, n / 8 + 1);
	if (!c->valid)
		return oom(err);
	for (uint32_t i = 0; i < n; i++)
		if (sel[i] != UINT32_MAX && !column_is_null(from, sel[i]))
			c->valid[i >> 3] |= (uint8_t)(1u << (i & 7));
	return 0;
}

int
column_gather(struct column *c, enum col_type type, const struct column *from,
	      const uint32_t *sel, uint32_t n, struct err *err)
{
	size_t width = col_type_width(type);

	column_clear(c);
	if (atomic_load(&interrupted))
		return interrupt_err(err);
	c->cap = (size_t)n + 1;
	c->data = malloc((width ? width : 4) * c->cap);
	if (!c->data)
		return oom(err);
	if (width)
		gather_fixed(c->data, width, from->data, sel, n);
	else if (gather_strings(c, from, sel, n, err))
		return -1;
	return gather_nulls(c, from, sel, n, err);
}

static int
evaluate(struct view *v, const struct node *nd, const uint32_t *sel, uint32_t n,
	 struct column *c)
{
	struct rowset rows = {.n = 1, .types = &nd->type, .cols = c};

	column_clear(c);
	v->sel = sel;
	v->nsel = n;
	for (uint32_t at = 0; at < n; at += VIEW_CHUNK) {
		struct vec vec;

		view_window(v, at, n - at > VIEW_CHUNK ? VIEW_CHUNK : n - at);
		if (view_eval(v, nd, &vec) ||
		    rowset_append(&rows, &vec, v->eval.n, v->err))
			return -1;
	}
	return 0;
}

int
lazy_column(struct lazy *l, struct lazy_block *b, size_t col,
	    struct lazy_rows rows, struct column *c, const struct column **out)
{
	const uint32_t *sel = rows.sel;
	uint32_t n = rows.n;
	const struct node *nd = l->nodes[col];
	enum col_type type;

	*out = NULL;
	if (nd->kind == NODE_FIELD) {
		if (view_column(&b->view, (size_t)nd->slot, out, &type))
			return -1;
		if (!sel || !*out || (*out)->constant)
			return 0;
		if (column_gather(c, type, *out, sel, n, b->view.err))
			return -1;
	} else if (nd->type == TYPE_NULL) {
		return 0;
	} else if (evaluate(&b->view, nd, sel, n, c)) {
		return -1;
	}
	*out = c;
	return 0;
}
