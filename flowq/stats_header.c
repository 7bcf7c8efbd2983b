/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that are answered from their headers: without keys, or where the keys
 * are the same in all rows, as an exporter is, or the minute of a time.
 */
#include <stdlib.h>
#include <string.h>

#include "flowq/bucket.h"
#include "flowq/stats_state.h"

/*
 * The keys: a view of two rows that have the least and the greatest value of
 * each field.
 */

static int
start_head(struct stats *s, struct err *err)
{
	if (s->head.view.slots)
		return 0;
	if (view_init(&s->head.view, s->src, err))
		return -1;
	s->head.view.of_entries = true;
	return 0;
}

/* Puts a field's least and greatest value in the view; false: they are not
 * known. */
static bool
set_bounds(struct stats *s, struct source *src, size_t block, size_t field)
{
	struct view_slot *slot = &s->head.view.slots[field];
	struct column *c = &s->head.cols[field];
	char *out = s->head.values[field];
	const struct column_stat *stat;
	size_t width;

	slot->type = src->ops->peek(src, block, field, &stat);
	slot->block = s->head.view.block_tick;
	slot->col = NULL;
	if (slot->type == COL_NULL)
		return true;
	width = col_type_width(slot->type);
	if (!stat || stat->nulls || !stat->has_minmax || !width)
		return false;
	memcpy(out, width == 16 ? (const void *)stat->min.ip : &stat->min.u,
	       width);
	memcpy(out + width,
	       width == 16 ? (const void *)stat->max.ip : &stat->max.u, width);
	*c = (struct column){.data = out};
	slot->col = c;
	return true;
}

/* Whether greater values give greater ones: so what two have in common, those
 * in between have too. */
static bool
is_monotone(const struct node *nd)
{
	if (nd->kind == NODE_FIELD)
		return true;
	if (nd->kind == NODE_CALL && nd->name && nd->n == 2 &&
	    strcmp(nd->name, "datetrunc") == 0)
		return is_monotone(nd->args[0]) &&
		       nd->args[1]->kind == NODE_LITERAL;
	return node_is_bucket(nd) && is_monotone(nd->args[0]);
}

/* Whether the fields of an expression have one value each. */
static bool
is_constant(const struct stats *s, const struct node *nd)
{
	const struct view_slot *slot;
	size_t width;

	if (nd->kind == NODE_FIELD) {
		slot = &s->head.view.slots[nd->slot];
		width = slot->col ? col_type_width(slot->type) : 0;
		return memcmp(s->head.values[nd->slot],
			      s->head.values[nd->slot] + width, width) == 0;
	}
	for (size_t i = 0; i < nd->n; i++)
		if (!is_constant(s, nd->args[i]))
			return false;
	return true;
}

/* 1 if a key is the same in both rows of the view. */
static int
is_same(struct stats *s, const struct node *nd)
{
	size_t size = expr_type_size(nd->type);
	const char *p;
	struct vec vec;

	if (is_constant(s, nd))
		return 1;
	if (!is_monotone(nd))
		return 0;
	if (view_eval(&s->head.view, nd, &vec))
		return -1;
	if (vec.constant)
		return 1;
	p = vec.data;
	return (!vec.null || (!vec.null[0] && !vec.null[1])) &&
	       memcmp(p, p + size, size) == 0;
}

/* The entry of the group that all rows of the block are in: *out, or NULL. */
static int
find_group(struct stats *s, struct source *src, size_t block, char **out,
	   struct err *err)
{
	struct grouping *g = &s->locals[0].groups;
	struct view *v = &s->head.view;
	uint32_t index;
	uint64_t key;
	int rc = 1;

	*out = NULL;
	if (s->top.phase == TOPLIST_SKETCH || s->top.phase == TOPLIST_PICK)
		return 0;
	if (start_head(s, err))
		return -1;
	v->err = v->eval.err = err;
	v->block.index = block;
	v->block.rows = v->nsel = 2;
	v->block_tick++;
	for (size_t i = 0; i < s->nfields; i++)
		if (!set_bounds(s, src, block, (size_t)s->fields[i]))
			return 0;
	view_window(v, 0, 2);
	for (size_t i = 0; i < s->plan.nkeys && rc > 0; i++)
		rc = is_same(s, s->plan.keys[i].node);
	if (rc <= 0)
		return rc;
	view_window(v, 0, 1);
	if (grouping_room(g, 1, err) ||
	    group_rows(&g->table, v, &g->keep, &index))
		return -1;
	*out = g->table.entries + index * s->plan.stride;
	key = (uint64_t)index + 1;
	if (s->plan.mode == GROUP_DENSE)
		memcpy(*out, &key, sizeof key);
	return 0;
}

/* Whether headers may say what all aggregates want. */
static bool
may_know(const struct stats *s)
{
	for (size_t k = 0; k < s->plan.naggs; k++) {
		const struct agg *a = &s->plan.aggs[k];

		if (!a->ops->header || (a->arg && a->arg->kind != NODE_FIELD))
			return false;
	}
	return true;
}

/* Adds a block to states; false if its header does not say enough. */
static bool
add_header(struct stats *s, struct source *src, size_t block, char *entry)
{
	uint32_t rows = src->ops->rows(src, block);

	for (size_t k = 0; k < s->plan.naggs; k++) {
		const struct agg *a = &s->plan.aggs[k];
		const struct column_stat *stat = NULL;
		enum col_type type = COL_U64;

		if (a->arg)
			type = src->ops->peek(src, block, (size_t)a->arg->slot,
					      &stat);
		if (a->arg && !stat && type != COL_NULL)
			return false;
		if (!a->ops->header(entry + a->offset, rows, type, stat,
				    &s->locals[0].groups.overflow))
			return false;
	}
	return true;
}

int
stats_header(struct sink *sink, struct source *src, size_t block,
	     struct err *err)
{
	struct stats *s = (struct stats *)sink;
	char *entry = s->locals[0].one, *trial = s->locals[0].trial;
	int rc = 0;

	if (!may_know(s))
		return 0;
	/* A group is made only if there is something to add. */
	memset(trial, 0, s->plan.stride);
	if (!add_header(s, src, block, trial))
		return 0;
	if (s->plan.nkeys)
		rc = find_group(s, src, block, &entry, err);
	if (rc || !entry)
		return rc;
	add_header(s, src, block, entry);
	return 1;
}
