/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/view.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 };

struct view *
view_new(void)
{
	return calloc(1, sizeof(struct view));
}

void
view_free(struct view *v)
{
	if (!v)
		return;
	free(v->selection);
	free(v->memory);
	free(v);
}

void
view_start(struct view *v, const struct batch *b, const char *object,
	   size_t len)
{
	v->batch = b;
	v->object = object;
	v->object_len = len;
	v->rows = b->rows;
	v->selected = NULL;
	v->n = b->shape->n;
	v->touched = false;
	v->transient = object == NULL;
	for (size_t i = 0; i < v->n; i++) {
		v->fields[i] = b->shape->fields[i];
		v->cols[i] = &b->cols[i];
	}
}

int
view_find(const struct view *v, const char *name)
{
	if (!v->touched)
		return shape_find(v->batch->shape, name);
	for (size_t i = 0; i < v->n; i++)
		if (v->cols[i] && strcmp(v->fields[i].name, name) == 0)
			return (int)i;
	return -1;
}

void
view_set(struct view *v, const char *name, enum col_type type,
	 const struct column *c)
{
	int at = view_find(v, name);

	if (at < 0 && (!c || v->n == SHAPE_FIELDS_MAX))
		return;
	if (at < 0)
		at = (int)v->n++;
	v->fields[at] = (struct field){name, c ? type : COL_NULL};
	v->cols[at] = c;
	v->touched = true;
}

void
view_rename(struct view *v, size_t at, const char *name)
{
	int other = view_find(v, name);

	v->touched = true;
	v->fields[at].name = name;
	if (other < 0 || (size_t)other == at)
		return;
	v->n--;
	for (size_t i = (size_t)other; i < v->n; i++) {
		v->fields[i] = v->fields[i + 1];
		v->cols[i] = v->cols[i + 1];
	}
}

int
view_selection(struct view *v, struct err *err)
{
	uint32_t *p;

	if (v->rows <= v->selection_cap && v->selection)
		return 0;
	p = realloc(v->selection, (v->rows + 1) * sizeof *p);
	if (!p)
		return err_set(err, "out of memory for a selection of %u rows",
			       v->rows);
	if (v->selected)
		v->selected = p;
	v->selection = p;
	v->selection_cap = v->rows;
	return 0;
}

/* The rows of a former selection lie where the new one is written, which never
 * gets ahead of them. */
uint32_t
view_keep(struct view *v, uint32_t at, uint32_t n, const uint8_t *pass,
	  uint32_t kept)
{
	uint32_t *out = v->selection;

	for (uint32_t i = 0; i < n;) {
		uint64_t eight;

		/* Eight rows that all fail are the common case. */
		if (i + 8 <= n) {
			memcpy(&eight, pass + i, 8);
			if (!eight) {
				i += 8;
				continue;
			}
		}
		for (uint32_t end = i + 8 < n ? i + 8 : n; i < end; i++) {
			out[kept] = v->selected ? v->selected[at + i] : at + i;
			kept += pass[i];
		}
	}
	return kept;
}

void
view_select(struct view *v, uint32_t kept)
{
	if (kept == v->rows)
		return;
	v->selected = v->selection;
	v->rows = kept;
	v->touched = true;
}

void
view_drop(struct view *v)
{
	v->selected = NULL;
	v->rows = 0;
	v->touched = true;
}

/*
 * Copying selected rows.
 */

static bool
is_bytes(enum col_type type)
{
	return type == COL_STRING || type == COL_BYTES;
}

/* Bytes of memory that a column's copy may need. */
static size_t
copy_room(const struct column *c, enum col_type type, uint32_t rows)
{
	size_t room = rows / 8 + 1 + ALIGN;

	if (!is_bytes(type))
		return room + rows * col_type_width(type) + ALIGN;
	return room + (rows + 1) * sizeof(uint32_t) + c->bytes_len + 2 * ALIGN;
}

static void *
carve(char **at, size_t size)
{
	char *p = *at;

	*at += (size + ALIGN - 1) / ALIGN * ALIGN;
	return p;
}

/* Inlined, so that each width has a loop with a copy of its own. */
static inline void
copy_rows(char *to, const char *from, size_t width, const uint32_t *rows,
	  uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		memcpy(to + width * i, from + width * rows[i], width);
}

static void
copy_fixed(char *to, const char *from, size_t width, const uint32_t *rows,
	   uint32_t n)
{
	switch (width) {
	case 1:
		copy_rows(to, from, 1, rows, n);
		break;
	case 2:
		copy_rows(to, from, 2, rows, n);
		break;
	case 4:
		copy_rows(to, from, 4, rows, n);
		break;
	case 8:
		copy_rows(to, from, 8, rows, n);
		break;
	default:
		copy_rows(to, from, width, rows, n);
	}
}

static void
copy_strings(struct column *to, const struct column *from, const uint32_t *rows,
	     uint32_t n)
{
	uint32_t *offsets = to->data, at[2];
	size_t len = 0;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(at, (const char *)from->data + 4 * (size_t)rows[i],
		       sizeof at);
		offsets[i] = (uint32_t)len;
		memcpy(to->bytes + len, from->bytes + at[0], at[1] - at[0]);
		len += at[1] - at[0];
	}
	offsets[n] = (uint32_t)len;
	to->bytes_len = len;
}

static void
copy_valid(uint8_t *to, const uint8_t *from, const uint32_t *rows, uint32_t n)
{
	memset(to, 0, n / 8 + 1);
	for (uint32_t i = 0; i < n; i++)
		to[i >> 3] |=
		    (uint8_t)((from[rows[i] >> 3] >> (rows[i] & 7) & 1)
			      << (i & 7));
}

static void
copy_column(struct view *v, size_t i, char **at)
{
	const struct column *from = v->cols[i];
	enum col_type type = v->fields[i].type;
	struct column *to = &v->own[i];
	size_t width = col_type_width(type);

	*to = (struct column){0};
	if (is_bytes(type)) {
		to->data = carve(at, (v->rows + 1) * sizeof(uint32_t));
		to->bytes = carve(at, from->bytes_len);
		copy_strings(to, from, v->selected, v->rows);
	} else {
		to->data = carve(at, v->rows * width);
		copy_fixed(to->data, from->data, width, v->selected, v->rows);
	}
	if (from->valid) {
		to->valid = carve(at, v->rows / 8 + 1);
		copy_valid(to->valid, from->valid, v->selected, v->rows);
	}
	v->cols[i] = to;
}

static bool
must_copy(const struct view *v, size_t i)
{
	return v->cols[i] && !v->cols[i]->constant;
}

int
view_settle(struct view *v, struct err *err)
{
	size_t need = 0;
	char *at;

	if (!v->selected)
		return 0;
	for (size_t i = 0; i < v->n; i++)
		if (must_copy(v, i))
			need +=
			    copy_room(v->cols[i], v->fields[i].type, v->rows);
	if (need > v->memory_cap) {
		free(v->memory);
		v->memory_cap = 0;
		v->memory = malloc(need);
		if (!v->memory)
			return err_set(err, "out of memory for %u records",
				       v->rows);
		v->memory_cap = need;
	}
	at = v->memory;
	for (size_t i = 0; i < v->n; i++)
		if (must_copy(v, i))
			copy_column(v, i, &at);
	v->selected = NULL;
	v->transient = true;
	return 0;
}
