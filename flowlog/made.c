/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/made.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = INT32_MAX };

struct made {
	struct program *program;
	struct column col; /* borrows from what follows */
	enum col_type type;
	uint32_t rows;	 /* of the batch */
	uint32_t filled; /* string offsets that are set */
	void *data;
	uint8_t *valid;
	char *bytes;
	size_t rows_cap, bytes_cap;
};

struct made *
made_new(const char *label, const char *text, bool known, struct err *err)
{
	struct made *m = calloc(1, sizeof *m);

	if (!m) {
		err_set(err, "out of memory");
		return NULL;
	}
	m->program = program_new(label, text, PROGRAM_VALUE, known, err);
	if (m->program)
		return m;
	free(m);
	return NULL;
}

void
made_free(struct made *m)
{
	if (!m)
		return;
	program_free(m->program);
	free(m->data);
	free(m->valid);
	free(m->bytes);
	free(m);
}

bool
made_is_virtual(const char *name)
{
	return strcmp(name, "duration") == 0 || strcmp(name, "bytes") == 0 ||
	       strcmp(name, "packets") == 0;
}

void
made_finish(const struct made *m)
{
	program_finish(m->program);
}

static bool
is_text(enum col_type t)
{
	return t == COL_STRING || t == COL_BYTES;
}

/* Room for ROWS values of any type. */
static int
make_room(struct made *m, uint32_t rows, struct err *err)
{
	void *data;
	uint8_t *valid;

	if (rows <= m->rows_cap && m->data)
		return 0;
	data = realloc(m->data, 16 * ((size_t)rows + 1));
	if (data)
		m->data = data;
	valid = realloc(m->valid, rows / 8 + 1);
	if (valid)
		m->valid = valid;
	if (!data || !valid)
		return err_set(err, "out of memory for a column of %u rows",
			       rows);
	m->rows_cap = rows;
	return 0;
}

/* An empty column of a type: rows that are not set are zero. */
static int
start(struct made *m, enum col_type type, uint32_t rows, bool sparse,
      struct err *err)
{
	if (make_room(m, rows, err))
		return -1;
	m->type = type;
	m->rows = rows;
	m->filled = 0;
	m->col = (struct column){.data = m->data, .bytes = m->bytes};
	if (sparse && !is_text(type))
		memset(m->data, 0, rows * col_type_width(type));
	return 0;
}

/* Row I of the window in the batch. */
struct place {
	const uint32_t *selected; /* from the window's first; NULL: all */
	uint32_t at;
};

static uint32_t
row_of(const struct place *p, uint32_t i)
{
	return p->selected ? p->selected[i] : p->at + i;
}

static int
put_text(struct made *m, uint32_t row, const struct str *s, struct err *err)
{
	uint32_t *offsets = m->data;
	size_t need = m->col.bytes_len + s->len;

	if (need > BYTES_MAX)
		return err_set(err, "a column of more than 2 GiB of text");
	if (need > m->bytes_cap) {
		size_t cap = 2 * need + 64;
		char *p = realloc(m->bytes, cap);

		if (!p)
			return err_set(err, "out of memory for text");
		m->col.bytes = m->bytes = p;
		m->bytes_cap = cap;
	}
	while (m->filled <= row)
		offsets[m->filled++] = (uint32_t)m->col.bytes_len;
	if (s->len)
		memcpy(m->bytes + m->col.bytes_len, s->p, s->len);
	m->col.bytes_len = need;
	return 0;
}

static void
end_text(struct made *m)
{
	uint32_t *offsets = m->data;

	while (m->filled <= m->rows)
		offsets[m->filled++] = (uint32_t)m->col.bytes_len;
}

static void
put_ip(struct made *m, uint32_t row, unsigned __int128 ip)
{
	uint64_t half[2] = {__builtin_bswap64((uint64_t)(ip >> 64)),
			    __builtin_bswap64((uint64_t)ip)};

	memcpy((char *)m->data + 16 * (size_t)row, half, 16);
}

#define PUT(out_type, in_type, value)                                    \
	for (uint32_t i = 0; i < n; i++) {                               \
		in_type x = VEC_AT(*v, in_type, i);                      \
                                                                         \
		((out_type *)m->data)[row_of(p, i)] = (out_type)(value); \
	}

static int
put_values(struct made *m, const struct place *p, const struct vec *v,
	   uint32_t n, struct err *err)
{
	static const struct str none = {"", 0};

	switch (v->type) {
	case TYPE_STRING:
	case TYPE_BYTES:
		for (uint32_t i = 0; i < n; i++)
			if (put_text(m, row_of(p, i),
				     VEC_NULL(*v, i)
					 ? &none
					 : &VEC_AT(*v, struct str, i),
				     err))
				return -1;
		break;
	case TYPE_IP:
		for (uint32_t i = 0; i < n; i++)
			put_ip(m, row_of(p, i),
			       VEC_AT(*v, unsigned __int128, i));
		break;
	case TYPE_BOOL:
		PUT(uint8_t, uint8_t, x)
		break;
	case TYPE_IPV4:
		PUT(uint32_t, uint64_t, x)
		break;
	case TYPE_DURATION:
		PUT(double, int64_t, (double)x / 1e6)
		break;
	default:
		PUT(uint64_t, uint64_t, x)
	}
	return 0;
}

/* The value under a null is zero. */
static void
put_nulls(struct made *m, const struct place *p, const struct vec *v,
	  uint32_t n)
{
	size_t width = col_type_width(m->type);

	if (!v->null)
		return;
	if (!m->col.valid) {
		memset(m->valid, 0xff, m->rows / 8 + 1);
		m->col.valid = m->valid;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = row_of(p, i);

		if (!VEC_NULL(*v, i))
			continue;
		m->valid[row >> 3] &= (uint8_t) ~(1u << (row & 7));
		memset((char *)m->data + width * row, 0, width);
	}
}

static int
put(struct made *m, const struct place *p, const struct vec *v, uint32_t n,
    struct err *err)
{
	if (put_values(m, p, v, n, err))
		return -1;
	put_nulls(m, p, v, n);
	return 0;
}

/* Window by window, into the rows that are left. */
static int
fill(struct made *m, const struct view *v, enum col_type type, struct err *err)
{
	uint32_t rows = v->batch->rows;

	for (uint32_t at = 0; at < v->rows; at += PROGRAM_WINDOW) {
		uint32_t n = v->rows - at;
		struct place p = {v->selected ? v->selected + at : NULL, at};
		struct vec r;

		n = n > PROGRAM_WINDOW ? PROGRAM_WINDOW : n;
		if (program_run(m->program, 0, at, n, &r, err))
			return -1;
		/* One value, of which the others are known to be the same. */
		if (at == 0 && r.constant) {
			p.selected = NULL;
			if (start(m, type, 1, false, err) ||
			    put(m, &p, &r, 1, err))
				return -1;
			m->col.constant = true;
			break;
		}
		if ((at == 0 &&
		     start(m, type, rows, v->selected != NULL, err)) ||
		    put(m, &p, &r, n, err))
			return -1;
	}
	if (is_text(type))
		end_text(m);
	return 0;
}

int
made_run(struct made *m, struct view *v, enum col_type *type,
	 const struct column **col, struct err *err)
{
	enum expr_type t;

	*type = COL_NULL;
	*col = NULL;
	if (program_bind(m->program, v, &t, err))
		return -1;
	if (v->rows == 0 || t == TYPE_NULL)
		return 0;
	*type = expr_col_type(t);
	if (fill(m, v, *type, err))
		return -1;
	v->transient = true;
	*col = &m->col;
	return 0;
}
