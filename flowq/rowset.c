/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/rowset.h"

#include <pthread.h>
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
	for (size_t i = 0; i < r->n; i++) {
		room_free(r->room, r->cols[i].data);
		room_free(r->room, r->cols[i].valid);
		room_free(r->room, r->cols[i].bytes);
	}
	free(r->cols);
	free(r);
}

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for rows of the answer");
}

/* Strings have one offset more than rows. */
static size_t
data_bytes(size_t width, size_t cap)
{
	return cap == 0 ? 0 : width ? width * cap : 4 * (cap + 1);
}

/* Room for ROWS rows. */
static int
grow(struct rowset *r, struct column *c, enum col_type type, size_t rows,
     struct err *err)
{
	size_t width = col_type_width(type), cap = c->cap ? c->cap : 64;
	void *p;

	if (rows <= c->cap)
		return 0;
	while (cap < rows)
		cap *= 2;
	if (cap > UINT32_MAX)
		return err_set(err, "answer of more than 2^32 rows");
	p = room_grow(r->room, c->data, data_bytes(width, c->cap),
		      data_bytes(width, cap), err);
	if (!p)
		return -1;
	c->data = p;
	if (!width && !c->cap)
		*(uint32_t *)p = 0;
	if (c->valid) {
		uint8_t *v =
		    room_grow(r->room, c->valid, c->cap / 8, cap / 8, err);

		if (!v)
			return -1;
		memset(v + c->cap / 8, 0xff, cap / 8 - c->cap / 8);
		c->valid = v;
	}
	c->cap = cap;
	return 0;
}

static int
append_nulls(struct column *c, const struct vec *v, uint32_t at, uint32_t count,
	     struct rowset *r, struct err *err)
{
	if (!v->null && v->type != TYPE_NULL)
		return 0;
	if (!c->valid) {
		c->valid = room_grow(r->room, NULL, 0, c->cap / 8, err);
		if (!c->valid)
			return -1;
		memset(c->valid, 0xff, c->cap / 8);
	}
	for (uint32_t i = 0; i < count; i++)
		if (v->type == TYPE_NULL || VEC_NULL(*v, i))
			c->valid[(at + i) >> 3] &=
			    (uint8_t) ~(1u << ((at + i) & 7));
	return 0;
}

static int
append_strings(struct rowset *r, struct column *c, const struct vec *v,
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
		char *p = room_grow(r->room, c->bytes, c->bytes_cap, cap, err);

		if (!p)
			return -1;
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
		offsets[r->rows + i + 1] = (uint32_t)len;
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
append_values(struct rowset *r, struct column *c, const struct vec *v,
	      uint32_t count, struct err *err)
{
	uint32_t at = r->rows;

	switch (v->type) {
	case TYPE_STRING:
	case TYPE_BYTES:
		return append_strings(r, c, v, count, err);
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
		if (grow(r, c, type, (size_t)r->rows + count, err) ||
		    append_values(r, c, &vecs[k], count, err) ||
		    append_nulls(c, &vecs[k], r->rows, count, r, err))
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
gather_room(struct rowset *r, const struct row_ref *refs, uint32_t count,
	    size_t k, struct err *err)
{
	struct column *c = &r->cols[k];
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
	p = room_grow(r->room, c->bytes, c->bytes_cap, need + need / 2 + 64,
		      err);
	if (!p)
		return -1;
	c->bytes = p;
	c->bytes_cap = need + need / 2 + 64;
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
		if (grow(r, c, type, (size_t)r->rows + count, err))
			return -1;
		if (!col_type_width(type) &&
		    gather_room(r, refs, count, k, err))
			return -1;
		for (uint32_t i = 0; i < count; i++)
			if (gather_one(c, type, r->rows + i,
				       &refs[i].set->cols[k], refs[i].row) &&
			    append_nulls(c, &null_vec, r->rows + i, 1, r, err))
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

/*
 * Rows in files: of each column {u8 whether there is a value}, then the value,
 * or {u32 length, bytes}.
 */

static int
save_value(const struct column *c, enum col_type type, uint32_t row,
	   struct spill *to, struct err *err)
{
	size_t width = col_type_width(type);
	uint8_t some = !column_is_null(c, row);
	const uint32_t *o = c->data;
	uint32_t len;

	if (spill_put(to, &some, 1, err))
		return -1;
	if (!some)
		return 0;
	if (width)
		return spill_put(to, (const char *)c->data + width * row, width,
				 err);
	len = o[row + 1] - o[row];
	return spill_put(to, &len, sizeof len, err) ||
		       spill_put(to, len ? c->bytes + o[row] : NULL, len, err)
		   ? -1
		   : 0;
}

int
rowset_save(const struct rowset *r, uint32_t row, struct spill *to,
	    struct err *err)
{
	for (size_t k = 0; k < r->n; k++) {
		enum col_type type = expr_col_type(r->types[k]);

		if (type != COL_NULL &&
		    save_value(&r->cols[k], type, row, to, err))
			return -1;
	}
	return 0;
}

static int
load_bytes(struct rowset *r, struct column *c, struct spill_reader *from,
	   struct err *err)
{
	const void *p = spill_take(from, sizeof(uint32_t), err);
	uint32_t len;

	if (!p)
		return -1;
	memcpy(&len, p, sizeof len);
	p = spill_take(from, len, err);
	return p ? column_put_bytes(c, r->rows, p, len, err) : -1;
}

static int
load_value(struct rowset *r, struct column *c, enum col_type type,
	   struct spill_reader *from, struct err *err)
{
	size_t width = col_type_width(type);
	const uint8_t *some = spill_take(from, 1, err);
	const void *p;

	if (!some || grow(r, c, type, (size_t)r->rows + 1, err))
		return -1;
	if (!*some)
		return column_null(c, type, r->rows, err);
	if (!width)
		return load_bytes(r, c, from, err);
	p = spill_take(from, width, err);
	if (!p)
		return -1;
	memcpy((char *)c->data + width * r->rows, p, width);
	if (c->valid)
		c->valid[r->rows >> 3] |= (uint8_t)(1u << (r->rows & 7));
	return 0;
}

int
rowset_load(struct rowset *r, struct spill_reader *from, struct err *err)
{
	for (size_t k = 0; k < r->n; k++) {
		enum col_type type = expr_col_type(r->types[k]);

		if (type != COL_NULL &&
		    load_value(r, &r->cols[k], type, from, err))
			return -1;
	}
	r->rows++;
	return 0;
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
	/* What was promised. */
	struct rowmaker maker;
	uint64_t total;
	uint32_t each;
	size_t made; /* under lock */
	pthread_mutex_t lock;
};

static uint32_t
rs_rows(struct source *s, size_t block)
{
	struct rowsource *r = (struct rowsource *)s;
	uint64_t left = r->total - (uint64_t)block * r->each;

	if (!r->each)
		return r->sets[block]->rows;
	return left < r->each ? (uint32_t)left : r->each;
}

/* Sets up to one. */
static int
make_sets(struct rowsource *r, size_t index, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (r->made <= index && rc == 0) {
		struct rowset *set =
		    r->maker.make(r->maker.ctx, rs_rows(&r->src, r->made), err);

		if (set)
			r->sets[r->made++] = set;
		else
			rc = -1;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

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
	struct rowsource *r = (struct rowsource *)s;

	if (r->each && make_sets(r, b->index, err))
		return -1;
	b->rows = r->sets[b->index]->rows;
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

static void
rs_free(struct source *s)
{
	struct rowsource *r = (struct rowsource *)s;

	for (size_t i = 0; i < s->blocks; i++)
		rowset_free(r->sets[i]);
	free(r->sets);
	pthread_mutex_destroy(&r->lock);
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
	pthread_mutex_init(&r->lock, NULL);
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

int
rowsource_promise(struct source *s, uint64_t rows, uint32_t each,
		  struct rowmaker maker, struct err *err)
{
	struct rowsource *r = (struct rowsource *)s;
	size_t blocks = (size_t)((rows + each - 1) / each);

	r->sets = calloc(blocks + 1, sizeof(struct rowset *));
	if (!r->sets)
		return oom(err);
	r->maker = maker;
	r->total = rows;
	r->each = each;
	s->blocks = blocks;
	return 0;
}
