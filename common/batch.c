/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum {
	BYTES_MAX = 1u << 31, /* of the strings of one column */
	ROWS_FIRST = 64,
};

static const struct {
	const char *name;
	size_t width;
} types[COL_TYPES] = {
    [COL_NULL] = {"null", 0},	  [COL_BOOL] = {"bool", 1},
    [COL_U8] = {"u8", 1},	  [COL_U16] = {"u16", 2},
    [COL_U32] = {"u32", 4},	  [COL_U64] = {"u64", 8},
    [COL_I64] = {"i64", 8},	  [COL_F64] = {"f64", 8},
    [COL_TIME] = {"time", 8},	  [COL_IPV4] = {"ipv4", 4},
    [COL_IP] = {"ip", 16},	  [COL_MAC] = {"mac", 8},
    [COL_STRING] = {"string", 0}, [COL_BYTES] = {"bytes", 0},
};

size_t
col_type_width(enum col_type t)
{
	return types[t].width;
}

const char *
col_type_name(enum col_type t)
{
	return types[t].name;
}

enum col_type
col_type_find(const char *name, size_t len)
{
	for (int t = COL_BOOL; t < COL_TYPES; t++)
		if (strlen(types[t].name) == len &&
		    memcmp(types[t].name, name, len) == 0)
			return (enum col_type)t;
	return COL_NULL;
}

static bool
has_bytes(enum col_type t)
{
	return t == COL_STRING || t == COL_BYTES;
}

/* An open-addressing table of pointers, at most half full. */
struct shapes {
	struct shape **slots;
	size_t n, mask, max, bytes;
};

struct shapes *
shapes_new(size_t max)
{
	struct shapes *s = calloc(1, sizeof(*s));
	size_t slots = 16;

	while (slots < 2 * max)
		slots *= 2;
	if (!s)
		return NULL;
	s->slots = calloc(slots, sizeof(*s->slots));
	s->mask = slots - 1;
	s->max = max;
	if (!s->slots) {
		free(s);
		return NULL;
	}
	return s;
}

void
shapes_free(struct shapes *s)
{
	if (!s)
		return;
	for (size_t i = 0; i <= s->mask; i++)
		free(s->slots[i]);
	free(s->slots);
	free(s);
}

size_t
shapes_count(const struct shapes *s)
{
	return s->n;
}

size_t
shapes_bytes(const struct shapes *s)
{
	return s->bytes;
}

bool
shapes_crowded(const struct shapes *s)
{
	return s->n + SHAPES_SPARE > s->max || s->bytes > SHAPES_BYTES;
}

static int
by_name(const void *a, const void *b)
{
	const struct field *f = a, *g = b;

	return strcmp(f->name, g->name);
}

/* FNV-1a over each name with its NUL and its type. */
static uint64_t
shape_hash(const struct field *f, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++) {
		for (const char *p = f[i].name;; p++) {
			h = (h ^ (uint8_t)*p) * 0x100000001b3;
			if (!*p)
				break;
		}
		h = (h ^ (uint8_t)f[i].type) * 0x100000001b3;
	}
	return h;
}

static int
check_fields(const struct field *f, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(f[i].name);

		if (len == 0 || len >= FIELD_NAME_MAX)
			return err_set(
			    e, "field name of %zu bytes (1 to %d may be)", len,
			    FIELD_NAME_MAX - 1);
		if (text_control(f[i].name, len))
			return err_set(e, "field name with a control byte");
		if (text_utf8(f[i].name, len) != len)
			return err_set(e, "field name that is not UTF-8");
		if (f[i].type <= COL_NULL || f[i].type >= COL_TYPES)
			return err_set(e, "field %s has type %d", f[i].name,
				       (int)f[i].type);
		if (i > 0 && strcmp(f[i].name, f[i - 1].name) == 0)
			return err_set(e, "field %s comes twice", f[i].name);
	}
	return 0;
}

static bool
shape_is(const struct shape *s, uint64_t id, const struct field *f, size_t n)
{
	if (s->id != id || s->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s->fields[i].type != f[i].type ||
		    strcmp(s->fields[i].name, f[i].name) != 0)
			return false;
	return true;
}

/* The shape and its names in one block. */
static struct shape *
shape_new(struct shapes *shapes, uint64_t id, const struct field *f, size_t n)
{
	size_t names = 0, at = 0;
	struct shape *s;
	char *text;

	for (size_t i = 0; i < n; i++)
		names += strlen(f[i].name) + 1;
	s = malloc(sizeof(*s) + n * sizeof(*f) + names);
	if (!s)
		return NULL;
	shapes->bytes += sizeof(*s) + n * sizeof(*f) + names;
	s->id = id;
	s->n = n;
	text = (char *)(s->fields + n);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(f[i].name) + 1;

		memcpy(text + at, f[i].name, len);
		s->fields[i] = (struct field){text + at, f[i].type};
		at += len;
	}
	return s;
}

static int
intern(struct shapes *s, const struct field *f, size_t n,
       const struct shape **out, struct err *e)
{
	uint64_t id = shape_hash(f, n);
	size_t at = id & s->mask;

	for (; s->slots[at]; at = (at + 1) & s->mask)
		if (shape_is(s->slots[at], id, f, n)) {
			*out = s->slots[at];
			return 0;
		}
	if (s->n == s->max)
		return err_set(e, "more than %zu shapes of record", s->max);
	s->slots[at] = shape_new(s, id, f, n);
	if (!s->slots[at])
		return err_set(e, "out of memory for a shape");
	s->n++;
	*out = s->slots[at];
	return 0;
}

int
shapes_get(struct shapes *s, const struct field *fields, size_t n,
	   const struct shape **out, struct err *e)
{
	struct field *sorted;
	int rc;

	if (n > SHAPE_FIELDS_MAX)
		return err_set(e, "record of %zu fields (%d may be)", n,
			       SHAPE_FIELDS_MAX);
	sorted = malloc((n + 1) * sizeof(*sorted));
	if (!sorted)
		return err_set(e, "out of memory for a shape");
	if (n > 0)
		memcpy(sorted, fields, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_name);
	rc = check_fields(sorted, n, e);
	if (rc == 0)
		rc = intern(s, sorted, n, out, e);
	free(sorted);
	return rc;
}

int
shape_find(const struct shape *s, const char *name)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(s->fields[mid].name, name);

		if (c == 0)
			return (int)mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* Columns. */

static int
no_memory(struct err *e)
{
	return err_set(e, "out of memory for records");
}

void
column_clear(struct column *c)
{
	if (!c)
		return;
	if (c->cap) {
		free(c->data);
		free(c->valid);
	}
	if (c->bytes_cap)
		free(c->bytes);
	*c = (struct column){0};
}

/* Bytes of data for n rows of a type: strings have one offset more. */
static size_t
data_size(enum col_type t, size_t n)
{
	return has_bytes(t) ? (n + 1) * sizeof(uint32_t)
			    : n * col_type_width(t);
}

/* Room for n rows in data and, where there is one, the bitmap. */
static int
column_reserve(struct column *c, enum col_type t, uint32_t n, struct err *e)
{
	size_t cap = c->cap ? c->cap : ROWS_FIRST;
	void *p;

	if (n <= c->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	if (c->valid) {
		p = realloc(c->valid, (cap + 7) / 8);
		if (!p)
			return no_memory(e);
		c->valid = p;
	}
	p = realloc(c->data, data_size(t, cap));
	if (!p)
		return no_memory(e);
	if (has_bytes(t) && !c->data)
		memset(p, 0, sizeof(uint32_t));
	c->data = p;
	c->cap = cap;
	return 0;
}

int
column_reserve_bytes(struct column *c, size_t more, struct err *e)
{
	size_t cap = c->bytes_cap ? c->bytes_cap : 256;
	char *p;

	if (more > BYTES_MAX - c->bytes_len)
		return err_set(e, "strings of one column above %u bytes",
			       (unsigned)BYTES_MAX);
	if (c->bytes_len + more <= c->bytes_cap)
		return 0;
	while (cap < c->bytes_len + more)
		cap *= 2;
	p = realloc(c->bytes, cap);
	if (!p)
		return no_memory(e);
	c->bytes = p;
	c->bytes_cap = cap;
	return 0;
}

static uint32_t
offset_at(const struct column *c, size_t i)
{
	uint32_t v;

	memcpy(&v, (const char *)c->data + i * sizeof(v), sizeof(v));
	return v;
}

static bool
bit_get(const uint8_t *bits, size_t i)
{
	return bits[i >> 3] >> (i & 7) & 1;
}

static void
bit_put(uint8_t *bits, size_t i, bool on)
{
	uint8_t mask = (uint8_t)(1u << (i & 7));

	bits[i >> 3] =
	    (uint8_t)(on ? bits[i >> 3] | mask : bits[i >> 3] & ~mask);
}

/* A bitmap that says the first n rows are valid. */
static int
need_valid(struct column *c, uint32_t n, struct err *e)
{
	if (c->valid)
		return 0;
	c->valid = calloc((c->cap + 7) / 8, 1);
	if (!c->valid)
		return no_memory(e);
	memset(c->valid, 0xff, (n + 7) / 8);
	return 0;
}

int
column_set_constant(struct column *c, enum col_type t, const void *value,
		    struct err *e)
{
	if (column_reserve(c, t, 1, e) != 0)
		return -1;
	memcpy(c->data, value, col_type_width(t));
	c->constant = true;
	return 0;
}

static void
fill_values(char *data, size_t width, uint32_t from, uint32_t to)
{
	switch (width) {
	case 1:
		memset(data + from, data[0], to - from);
		return;
	case 2:
		for (uint32_t i = from; i < to; i++)
			memcpy(data + i * 2u, data, 2);
		return;
	case 4:
		for (uint32_t i = from; i < to; i++)
			memcpy(data + i * 4u, data, 4);
		return;
	case 8:
		for (uint32_t i = from; i < to; i++)
			memcpy(data + i * 8u, data, 8);
		return;
	default:
		for (uint32_t i = from; i < to; i++)
			memcpy(data + i * width, data, width);
	}
}

/* Rows 1 .. rows-1 of a string column repeat row 0. */
static int
repeat_bytes(struct column *c, uint32_t rows, struct err *e)
{
	uint32_t *off = c->data;
	size_t len = rows ? off[1] : 0;

	if (rows == 0) {
		off[0] = 0;
		c->bytes_len = 0;
		return 0;
	}
	if (len > BYTES_MAX / rows)
		return err_set(e, "strings of one column above %u bytes",
			       (unsigned)BYTES_MAX);
	if (column_reserve_bytes(c, len * (rows - 1), e) != 0)
		return -1;
	for (uint32_t i = 1; i < rows; i++) {
		if (len > 0)
			memcpy(c->bytes + i * len, c->bytes, len);
		off[i + 1] = (uint32_t)((i + 1) * len);
	}
	c->bytes_len = rows * len;
	return 0;
}

int
column_expand(struct column *c, enum col_type t, uint32_t rows, uint32_t cap,
	      struct err *e)
{
	bool null = c->valid && !bit_get(c->valid, 0);

	if (column_reserve(c, t, cap > rows ? cap : rows + 1, e) != 0)
		return -1;
	if (has_bytes(t)) {
		if (repeat_bytes(c, rows, e) != 0)
			return -1;
	} else if (rows > 0) {
		fill_values(c->data, col_type_width(t), 1, rows);
	}
	if (c->valid)
		memset(c->valid, null ? 0 : 0xff, (rows + 7) / 8);
	c->constant = false;
	return 0;
}

int
column_null(struct column *c, enum col_type t, uint32_t row, struct err *e)
{
	size_t w = col_type_width(t);

	if (column_reserve(c, t, row + 1, e) != 0 || need_valid(c, row, e) != 0)
		return -1;
	bit_put(c->valid, row, false);
	if (has_bytes(t))
		((uint32_t *)c->data)[row + 1] = (uint32_t)c->bytes_len;
	else
		memset((char *)c->data + row * w, 0, w);
	return 0;
}

int
column_put_bytes(struct column *c, uint32_t row, const void *p, size_t len,
		 struct err *e)
{
	if (column_reserve(c, COL_BYTES, row + 1, e) != 0 ||
	    column_reserve_bytes(c, len, e) != 0)
		return -1;
	if (row == 0)
		((uint32_t *)c->data)[0] = 0;
	if (len > 0)
		memcpy(c->bytes + c->bytes_len, p, len);
	c->bytes_len += len;
	((uint32_t *)c->data)[row + 1] = (uint32_t)c->bytes_len;
	if (c->valid)
		bit_put(c->valid, row, true);
	return 0;
}

/* Batches. */

struct batch *
batch_new(const struct shape *s)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->shape = s;
	b->cols = calloc(s->n ? s->n : 1, sizeof(*b->cols));
	if (!b->cols) {
		free(b);
		return NULL;
	}
	return b;
}

void
batch_free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->shape->n; i++)
		column_clear(&b->cols[i]);
	free(b->cols);
	free(b);
}

void
batch_clear(struct batch *b)
{
	b->rows = 0;
	for (size_t i = 0; i < b->shape->n; i++) {
		struct column *c = &b->cols[i];

		c->constant = false;
		c->bytes_len = 0;
		free(c->valid);
		c->valid = NULL;
	}
}

int
batch_reserve(struct batch *b, uint32_t rows, struct err *e)
{
	for (size_t i = 0; i < b->shape->n; i++)
		if (!b->cols[i].constant &&
		    column_reserve(&b->cols[i], b->shape->fields[i].type, rows,
				   e) != 0)
			return -1;
	return 0;
}

/* Whether SRC's constant is what DST has, or may become. */
static bool
same_constant(const struct column *dst, const struct column *src,
	      enum col_type t)
{
	uint32_t len;

	if (!dst->constant || !src->constant ||
	    column_is_null(dst, 0) != column_is_null(src, 0))
		return false;
	if (!has_bytes(t))
		return memcmp(dst->data, src->data, col_type_width(t)) == 0;
	len = offset_at(src, 1) - offset_at(src, 0);
	return offset_at(dst, 1) == len &&
	       (len == 0 ||
		memcmp(dst->bytes, src->bytes + offset_at(src, 0), len) == 0);
}

static int
append_bytes(struct column *dst, uint32_t rows, const struct column *src,
	     uint32_t from, uint32_t n, struct err *e)
{
	uint32_t base, len, *off = dst->data;

	if (src->constant) {
		base = offset_at(src, 0);
		len = offset_at(src, 1) - base;
		/* there may be no bytes at all */
		for (uint32_t i = 0; i < n; i++)
			if (column_put_bytes(dst, rows + i,
					     len ? src->bytes + base : NULL,
					     len, e) != 0)
				return -1;
		return 0;
	}
	base = offset_at(src, from);
	len = offset_at(src, from + n) - base;
	if (column_reserve_bytes(dst, len, e) != 0)
		return -1;
	if (len > 0)
		memcpy(dst->bytes + dst->bytes_len, src->bytes + base, len);
	off[0] = 0;
	for (uint32_t i = 0; i < n; i++)
		off[rows + i + 1] = (uint32_t)dst->bytes_len +
				    offset_at(src, from + i + 1) - base;
	dst->bytes_len += len;
	return 0;
}

static void
append_values(struct column *dst, uint32_t rows, const struct column *src,
	      uint32_t from, uint32_t n, size_t width)
{
	char *to = (char *)dst->data + rows * width;

	if (!src->constant) {
		memcpy(to, (const char *)src->data + from * width, n * width);
		return;
	}
	memcpy(to, src->data, width);
	fill_values(to, width, 1, n);
}

/* Takes rows over from src's bitmap; memory for dst's is there. */
static void
append_valid(struct column *dst, uint32_t rows, const struct column *src,
	     uint32_t from, uint32_t n)
{
	if (!dst->valid)
		return;
	for (uint32_t i = 0; i < n; i++)
		bit_put(dst->valid, rows + i, !column_is_null(src, from + i));
}

static int
append_column(struct batch *b, size_t i, const struct column *src,
	      uint32_t from, uint32_t n, struct err *e)
{
	enum col_type t = b->shape->fields[i].type;
	struct column *dst = &b->cols[i];

	if (same_constant(dst, src, t))
		return 0;
	if (b->rows == 0 && src->constant) {
		dst->constant = true;
		from = 0;
		n = 1;
	} else if (dst->constant &&
		   column_expand(dst, t, b->rows, b->rows + n, e) != 0) {
		return -1;
	}
	if (column_reserve(dst, t, b->rows + n, e) != 0)
		return -1;
	if (src->valid && need_valid(dst, b->rows, e) != 0)
		return -1;
	if (!has_bytes(t))
		append_values(dst, b->rows, src, from, n, col_type_width(t));
	else if (append_bytes(dst, b->rows, src, from, n, e) != 0)
		return -1;
	append_valid(dst, b->rows, src, from, n);
	return 0;
}

/* What a failed append left in the columns before the one that failed. */
static void
undo_append(struct batch *b, size_t cols)
{
	for (size_t i = 0; i < cols; i++) {
		struct column *c = &b->cols[i];

		if (b->rows == 0)
			c->constant = false;
		if (has_bytes(b->shape->fields[i].type) && c->data &&
		    !c->constant)
			c->bytes_len = b->rows ? offset_at(c, b->rows) : 0;
	}
}

int
batch_append(struct batch *dst, const struct batch *src, uint32_t from,
	     uint32_t n, struct err *e)
{
	if (n == 0)
		return 0;
	if (n > BATCH_ROWS_MAX - dst->rows)
		return err_set(e, "batch above %d rows", BATCH_ROWS_MAX);
	for (size_t i = 0; i < dst->shape->n; i++)
		if (append_column(dst, i, &src->cols[i], from, n, e) != 0) {
			undo_append(dst, i + 1);
			return -1;
		}
	dst->rows += n;
	return 0;
}

size_t
batch_bytes(const struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->shape->n; i++) {
		const struct column *c = &b->cols[i];

		n += data_size(b->shape->fields[i].type, c->cap) +
		     c->bytes_cap + (c->valid ? c->cap / 8 : 0);
	}
	return n;
}

/* Values one by one. */

void
column_value(const struct column *c, enum col_type t, uint32_t row,
	     struct value *v)
{
	const char *p;

	*v = (struct value){.type = COL_NULL};
	if (column_is_null(c, row))
		return;
	if (c->constant)
		row = 0;
	v->type = t;
	if (has_bytes(t)) {
		/* no bytes at all: nothing to point into */
		v->s = c->bytes ? c->bytes + offset_at(c, row) : "";
		v->len = offset_at(c, row + 1) - offset_at(c, row);
		return;
	}
	p = (const char *)c->data + row * col_type_width(t);
	/* little-endian: the low bytes of the union come first */
	memcpy(v->ip, p, col_type_width(t));
}

int
column_put(struct column *c, enum col_type t, uint32_t row,
	   const struct value *v, struct err *e)
{
	size_t w = col_type_width(t);

	if (v->type == COL_NULL)
		return column_null(c, t, row, e);
	if (has_bytes(t))
		return column_put_bytes(c, row, v->s, v->len, e);
	if (column_reserve(c, t, row + 1, e) != 0)
		return -1;
	memcpy((char *)c->data + row * w, v->ip, w);
	if (c->valid)
		bit_put(c->valid, row, true);
	return 0;
}
