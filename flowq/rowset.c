/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/rowset.h"

#include <stdlib.h>
#include <string.h>

struct rowset *
rowset_new(size_t n, const enum expr_type *types)
{
	struct rowset *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->cols = calloc(n ? n : 1, sizeof(*r->cols));
	if (!r->cols) {
		free(r);
		return NULL;
	}
	r->n = n;
	r->types = types;
	return r;
}

void
rowset_free(struct rowset *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		column_clear(&r->cols[i]);
	free(r->cols);
	free(r);
}

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for rows of the answer");
}

/* Room for ROWS rows; strings have one offset more. */
static int
grow(struct column *c, enum col_type type, size_t rows, struct err *err)
{
	size_t width = col_type_width(type), cap = c->cap ? c->cap : 64;
	void *p;

	if (rows <= c->cap)
		return 0;
	while (cap < rows)
		cap *= 2;
	if (cap > UINT32_MAX)
		return err_set(err, "answer of more than 2^32 rows");
	p = realloc(c->data, width ? width * cap : 4 * (cap + 1));
	if (!p)
		return oom(err);
	c->data = p;
	if (!width && !c->cap)
		*(uint32_t *)p = 0;
	if (c->valid) {
		uint8_t *v = realloc(c->valid, cap / 8);

		if (!v)
			return oom(err);
		memset(v + c->cap / 8, 0xff, cap / 8 - c->cap / 8);
		c->valid = v;
	}
	c->cap = cap;
	return 0;
}

static int
append_nulls(struct column *c, const struct vec *v, uint32_t at, uint32_t count,
	     struct err *err)
{
	if (!v->null && v->type != TYPE_NULL)
		return 0;
	if (!c->valid) {
		c->valid = malloc(c->cap / 8);
		if (!c->valid)
			return oom(err);
		memset(c->valid, 0xff, c->cap / 8);
	}
	for (uint32_t i = 0; i < count; i++)
		if (v->type == TYPE_NULL || VEC_NULL(*v, i))
			c->valid[(at + i) >> 3] &=
			    (uint8_t) ~(1u << ((at + i) & 7));
	return 0;
}

static int
append_strings(struct column *c, const struct vec *v, uint32_t at,
	       uint32_t count, struct err *err)
{
	uint32_t *offsets = c->data;
	size_t len = c->bytes_len, need = len;

	for (uint32_t i = 0; i < count; i++)
		if (!VEC_NULL(*v, i))
			need += VEC_AT(*v, struct str, i).len;
	if (need > INT32_MAX)
		return err_set(err, "answer of more than 2 GiB of text");
	if (need > c->bytes_cap) {
		size_t cap = need + need / 2 + 64;
		char *p = realloc(c->bytes, cap);

		if (!p)
			return oom(err);
		c->bytes = p;
		c->bytes_cap = cap;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!VEC_NULL(*v, i)) {
			struct str s = VEC_AT(*v, struct str, i);

			if (s.len)
				memcpy(c->bytes + len, s.p, s.len);
			len += s.len;
		}
		offsets[at + i + 1] = (uint32_t)len;
	}
	c->bytes_len = len;
	return 0;
}

static void
append_ips(struct column *c, const struct vec *v, uint32_t at, uint32_t count)
{
	uint8_t *out = (uint8_t *)c->data + 16 * (size_t)at;

	for (uint32_t i = 0; i < count; i++, out += 16) {
		unsigned __int128 ip = VEC_AT(*v, unsigned __int128, i);
		uint64_t hi = __builtin_bswap64((uint64_t)(ip >> 64));
		uint64_t lo = __builtin_bswap64((uint64_t)ip);

		memcpy(out, &hi, 8);
		memcpy(out + 8, &lo, 8);
	}
}

static int
append_values(struct column *c, const struct vec *v, uint32_t at,
	      uint32_t count, struct err *err)
{
	switch (v->type) {
	case TYPE_STRING:
	case TYPE_BYTES:
		return append_strings(c, v, at, count, err);
	case TYPE_IP:
		append_ips(c, v, at, count);
		break;
	case TYPE_BOOL:
		for (uint32_t i = 0; i < count; i++)
			((uint8_t *)c->data)[at + i] = VEC_AT(*v, uint8_t, i);
		break;
	case TYPE_IPV4:
		for (uint32_t i = 0; i < count; i++)
			((uint32_t *)c->data)[at + i] =
			    (uint32_t)VEC_AT(*v, uint64_t, i);
		break;
	case TYPE_DURATION:
		for (uint32_t i = 0; i < count; i++)
			((double *)c->data)[at + i] =
			    (double)VEC_AT(*v, int64_t, i) / 1e6;
		break;
	default:
		for (uint32_t i = 0; i < count; i++)
			((uint64_t *)c->data)[at + i] = VEC_AT(*v, uint64_t, i);
	}
	return 0;
}

int
rowset_append(struct rowset *r, const struct vec *vecs, uint32_t count,
	      struct err *err)
{
	for (size_t k = 0; k < r->n; k++) {
		enum col_type type = expr_col_type(r->types[k]);
		struct column *c = &r->cols[k];

		if (type == COL_NULL)
			continue;
		if (grow(c, type, (size_t)r->rows + count, err) ||
		    append_values(c, &vecs[k], r->rows, count, err) ||
		    append_nulls(c, &vecs[k], r->rows, count, err))
			return -1;
	}
	r->rows += count;
	return 0;
}

static int
gather_one(struct column *c, enum col_type type, uint32_t at,
	   const struct column *from, uint32_t row)
{
	size_t width = col_type_width(type);

	if (width) {
		memcpy((char *)c->data + width * at,
		       (const char *)from->data + width * row, width);
	} else {
		const uint32_t *o = from->data;
		uint32_t len = o[row + 1] - o[row];

		if (len)
			memcpy(c->bytes + c->bytes_len, from->bytes + o[row],
			       len);
		c->bytes_len += len;
		((uint32_t *)c->data)[at + 1] = (uint32_t)c->bytes_len;
	}
	return column_is_null(from, row);
}

static int
gather_room(struct column *c, const struct row_ref *refs, uint32_t count,
	    size_t k, struct err *err)
{
	size_t need = c->bytes_len;
	char *p;

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t *o = refs[i].set->cols[k].data;

		need += o[refs[i].row + 1] - o[refs[i].row];
	}
	if (need > INT32_MAX)
		return err_set(err, "answer of more than 2 GiB of text");
	if (need <= c->bytes_cap)
		return 0;
	p = realloc(c->bytes, need + 64);
	if (!p)
		return oom(err);
	c->bytes = p;
	c->bytes_cap = need + 64;
	return 0;
}

int
rowset_gather(struct rowset *r, const struct row_ref *refs, uint32_t count,
	      struct err *err)
{
	static const struct vec null_vec = {.type = TYPE_NULL};

	for (size_t k = 0; k < r->n; k++) {
		enum col_type type = expr_col_type(r->types[k]);
		struct column *c = &r->cols[k];

		if (type == COL_NULL)
			continue;
		if (grow(c, type, (size_t)r->rows + count, err))
			return -1;
		if (!col_type_width(type) &&
		    gather_room(c, refs, count, k, err))
			return -1;
		for (uint32_t i = 0; i < count; i++)
			if (gather_one(c, type, r->rows + i,
				       &refs[i].set->cols[k], refs[i].row) &&
			    append_nulls(c, &null_vec, r->rows + i, 1, err))
				return -1;
	}
	r->rows += count;
	return 0;
}

int
rowset_copy(struct rowset *r, const struct rowset *from, uint32_t at,
	    uint32_t to, struct err *err)
{
	uint32_t n = to - at;
	struct row_ref *refs = malloc(((size_t)n + 1) * sizeof(*refs));
	int rc;

	if (!refs)
		return oom(err);
	for (uint32_t i = 0; i < n; i++)
		refs[i] = (struct row_ref){from, at + i};
	rc = rowset_gather(r, refs, n, err);
	free(refs);
	return rc;
}

size_t
rowset_bytes(const struct rowset *r)
{
	size_t sum = 0;

	for (size_t k = 0; k < r->n; k++) {
		const struct column *c = &r->cols[k];
		size_t width = col_type_width(expr_col_type(r->types[k]));

		sum += c->cap * (width ? width : 4) + c->bytes_cap;
	}
	return sum;
}

/*
 * The source.
 */

struct rowsource {
	struct source src;
	struct rowset **sets; /* src.blocks of them */
	size_t cap;
	int (*fill)(void *ctx, struct source *, struct err *);
	void *ctx;
};

static int
rs_prepare(struct source *s, struct err *err)
{
	struct rowsource *r = (struct rowsource *)s;
	int (*fill)(void *, struct source *, struct err *) = r->fill;

	r->fill = NULL;
	return fill ? fill(r->ctx, s, err) : 0;
}

static int
rs_open(struct source *s, struct source_block *b, struct err *err)
{
	(void)err;
	b->rows = ((struct rowsource *)s)->sets[b->index]->rows;
	return 0;
}

/* Mostly a block is read once: its memory goes early. */
static void
rs_close(struct source *s, struct source_block *b)
{
	struct rowsource *r = (struct rowsource *)s;

	if (s->again)
		return;
	rowset_free(r->sets[b->index]);
	r->sets[b->index] = NULL;
}

static enum col_type
rs_peek(struct source *s, size_t block, size_t field,
	const struct column_stat **stat)
{
	(void)block;
	*stat = NULL;
	return expr_col_type(s->fields[field].type);
}

static int
rs_column(struct source *s, struct source_block *b, size_t field,
	  struct column *c, const struct column **out, struct err *err)
{
	const struct rowset *set = ((struct rowsource *)s)->sets[b->index];

	(void)c, (void)err;
	*out = s->fields[field].type == TYPE_NULL ? NULL : &set->cols[field];
	return 0;
}

static uint32_t
rs_rows(struct source *s, size_t block)
{
	return ((struct rowsource *)s)->sets[block]->rows;
}

static void
rs_free(struct source *s)
{
	struct rowsource *r = (struct rowsource *)s;

	for (size_t i = 0; i < s->blocks; i++)
		rowset_free(r->sets[i]);
	free(r->sets);
	free(s->fields);
	free(r);
}

static const struct source_ops rowsource_ops = {
    .prepare = rs_prepare,
    .open = rs_open,
    .close = rs_close,
    .peek = rs_peek,
    .column = rs_column,
    .rows = rs_rows,
    .free = rs_free,
};

struct source *
rowsource_new(size_t n, const char *const *names, const enum expr_type *types)
{
	struct rowsource *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->src = (struct source){
	    .ops = &rowsource_ops, .n = n, .time_field = -1, .id_field = -1};
	r->src.fields = calloc(n ? n : 1, sizeof(*r->src.fields));
	if (!r->src.fields) {
		free(r);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		r->src.fields[i] = (struct source_field){
		    .name = names[i], .type = types[i], .nullable = true};
	/* Columns hold durations as seconds. */
	for (size_t i = 0; i < n; i++)
		if (types[i] == TYPE_DURATION)
			r->src.fields[i].type = TYPE_REAL;
	return &r->src;
}

int
rowsource_add(struct source *s, struct rowset *set, struct err *err)
{
	struct rowsource *r = (struct rowsource *)s;

	if (s->blocks == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct rowset **p = realloc(r->sets, cap * sizeof(*p));

		if (!p) {
			rowset_free(set);
			return oom(err);
		}
		r->sets = p;
		r->cap = cap;
	}
	r->sets[s->blocks++] = set;
	return 0;
}

void
rowsource_later(struct source *s,
		int (*fill)(void *ctx, struct source *, struct err *),
		void *ctx)
{
	struct rowsource *r = (struct rowsource *)s;

	r->fill = fill;
	r->ctx = ctx;
}

void
rowsource_keep(struct source *s)
{
	s->again = true;
}
