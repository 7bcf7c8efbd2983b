/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads of blocks, written and read. */
#include "common/block.h"

#include <stdlib.h>
#include <string.h>

#include "common/block_format.h"
#include "common/checksum.h"

/* ---- writing ---- */

static void
add_section(struct bytes *out, unsigned type, const struct bytes *body)
{
	uint8_t head[SECTION_SIZE] = {0};

	put16(head, type);
	put32(head + 4, (uint32_t)body->len);
	bytes_add(out, head, sizeof(head));
	bytes_add(out, body->p, body->len);
}

static void
add_shape(struct bytes *out, const struct shape *s)
{
	struct bytes b = {0};

	for (size_t i = 0; i < s->n; i++) {
		size_t len = strlen(s->fields[i].name);
		uint8_t head[2] = {(uint8_t)s->fields[i].type, (uint8_t)len};

		bytes_add(&b, head, 2);
		bytes_add(&b, s->fields[i].name, len);
	}
	out->failed |= b.failed;
	add_section(out, SECTION_SHAPE, &b);
	bytes_clear(&b);
}

static void
stat_bytes(uint8_t out[16], const struct value *v)
{
	if (v->type == COL_IP)
		memcpy(out, v->ip, 16);
	else
		put64(out, v->u);
}

static void
add_columns(struct block_out *out, size_t n, const struct column_stat *stats,
	    const uint32_t *offset)
{
	struct bytes b = {0};
	const uint8_t *body = out->body.p;

	for (size_t i = 0; i < n; i++) {
		const struct column_stat *st = &stats[i];
		uint8_t e[ENTRY_SIZE] = {0};

		e[0] = (uint8_t)((st->has_minmax ? ENTRY_MINMAX : 0) |
				 (st->has_sum ? ENTRY_SUM : 0));
		put32(e + 4, st->nulls);
		put32(e + 8, offset[i]);
		put32(e + 12, st->stored);
		put64(e + 16, checksum(body + offset[i], st->stored));
		if (st->has_sum)
			put64(e + 24, st->usum);
		if (st->has_minmax) {
			stat_bytes(e + 32, &st->min);
			stat_bytes(e + 48, &st->max);
		}
		bytes_add(&b, e, sizeof(e));
	}
	out->head.failed |= b.failed;
	add_section(&out->head, SECTION_COLUMNS, &b);
	bytes_clear(&b);
}

int
block_head(struct block_out *out, const struct block *b, const uint32_t *offset,
	   struct err *e)
{
	uint8_t head[HEAD_SIZE] = {0}, *p;

	bytes_add(&out->head, head, sizeof(head));
	add_shape(&out->head, b->shape);
	if (!out->body.failed)
		add_columns(out, b->shape->n, b->stats, offset);
	if (out->head.failed || out->body.failed)
		return err_set(e, "cannot encode a block: out of memory");
	p = out->head.p;
	put32(p, BLOCK_MAGIC);
	put16(p + 4, BLOCK_VERSION);
	put16(p + 6, (unsigned)b->shape->n);
	put64(p + 16, b->first_id);
	put64(p + 24, out->body.len);
	put32(p + 32, b->rows);
	put64(p + 8, checksum(p + HEAD_SUMMED, out->head.len - HEAD_SUMMED));
	return 0;
}

void
block_out_clear(struct block_out *out)
{
	bytes_clear(&out->head);
	bytes_clear(&out->body);
	bytes_clear(&out->filters);
}

/* ---- reading ---- */

static int
check_head(const uint8_t *p, size_t len, struct err *e)
{
	if (len < HEAD_SIZE)
		return err_set(e, "head of %zu bytes", len);
	if (get32(p) != BLOCK_MAGIC)
		return err_set(e, "head does not begin with its mark");
	if (get16(p + 4) != BLOCK_VERSION)
		return err_set(e, "block version %u (this program reads %d)",
			       get16(p + 4), BLOCK_VERSION);
	if (checksum(p + HEAD_SUMMED, len - HEAD_SUMMED) != get64(p + 8))
		return err_set(e, "head does not match its checksum");
	if (get32(p + 32) == 0 || get32(p + 32) > BATCH_ROWS_MAX)
		return err_set(e, "%u rows", (unsigned)get32(p + 32));
	if (get16(p + 6) == 0 || get16(p + 6) > SHAPE_FIELDS_MAX)
		return err_set(e, "%u columns", get16(p + 6));
	return 0;
}

/* Finds a section; NULL if there is none or the sections are damaged. */
static const uint8_t *
find_section(const uint8_t *p, size_t len, unsigned type, size_t *size)
{
	const uint8_t *end = p + len;

	p += HEAD_SIZE;
	while (end - p >= SECTION_SIZE) {
		size_t n = get32(p + 4);

		if (n > (size_t)(end - p - SECTION_SIZE))
			return NULL;
		if (get16(p) == type) {
			*size = n;
			return p + SECTION_SIZE;
		}
		p += SECTION_SIZE + n;
	}
	return NULL;
}

/* Names are copied to BUF, for they have no NUL in the head. */
static int
read_fields(const uint8_t *p, size_t len, struct field *f, size_t n, char *buf)
{
	const uint8_t *end = p + len;

	for (size_t i = 0; i < n; i++) {
		size_t k;

		if (end - p < 2)
			return -1;
		k = p[1];
		if (k >= FIELD_NAME_MAX || k > (size_t)(end - p - 2))
			return -1;
		memcpy(buf, p + 2, k);
		buf[k] = 0;
		f[i].name = buf;
		f[i].type = (enum col_type)p[0];
		/* the shape's order is the columns' order */
		if (strlen(buf) != k ||
		    (i > 0 && strcmp(f[i - 1].name, buf) >= 0))
			return -1;
		buf += k + 1;
		p += 2 + k;
	}
	return p == end ? 0 : -1;
}

static int
read_shape(const uint8_t *s, size_t size, size_t n, struct shapes *shapes,
	   const struct shape **shape, struct err *e)
{
	struct field *f = NULL;
	char *names = NULL;
	int r = -1;

	f = calloc(n, sizeof(*f));
	names = malloc(n * FIELD_NAME_MAX);
	if (!f || !names)
		err_sys(e, "cannot read a head");
	else if (read_fields(s, size, f, n, names) != 0)
		err_set(e, "head with a damaged shape");
	else
		r = shapes_get(shapes, f, n, shape, e);
	free(names);
	free(f);
	return r;
}

static void
read_value(struct value *v, enum col_type t, const uint8_t *p)
{
	v->type = t;
	if (t == COL_IP)
		memcpy(v->ip, p, 16);
	else
		v->u = get64(p);
}

static int
read_entry(struct block_in *b, size_t i, const uint8_t *p)
{
	struct column_stat *st = (struct column_stat *)&b->pub.stats[i];
	enum col_type t = b->pub.shape->fields[i].type;
	struct block_place *at = &b->places[i];

	st->nulls = get32(p + 4);
	st->has_minmax = p[0] & ENTRY_MINMAX;
	st->has_sum = p[0] & ENTRY_SUM;
	at->offset = get32(p + 8);
	st->stored = at->stored = get32(p + 12);
	at->checksum = get64(p + 16);
	st->usum = get64(p + 24);
	if (st->has_minmax) {
		read_value(&st->min, t, p + 32);
		read_value(&st->max, t, p + 48);
	}
	return st->nulls <= b->pub.rows && at->offset <= b->body &&
		       at->stored <= b->body - at->offset &&
		       (!st->has_sum || is_summed(t)) &&
		       (!st->has_minmax || col_type_width(t) > 0)
		   ? 0
		   : -1;
}

static struct block_in *
block_in_new(size_t n)
{
	struct block_in *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->places = calloc(n, sizeof(*b->places));
	b->pub.stats = calloc(n, sizeof(*b->pub.stats));
	if (b->places && b->pub.stats)
		return b;
	block_in_free(b);
	return NULL;
}

void
block_in_free(struct block_in *b)
{
	if (!b)
		return;
	free(b->places);
	free((void *)b->pub.stats);
	free(b);
}

/* Whether a shape is written as that of a block which was read. */
static bool
is_like(const struct block_in *b, const uint8_t *s, size_t size, size_t n)
{
	return b && b->shape_len == size && b->pub.shape->n == n &&
	       memcmp(b->shape, s, size) == 0;
}

int
block_parse(const void *head, size_t len, struct shapes *shapes,
	    struct block_in **out, struct err *e)
{
	return block_parse_like(head, len, shapes, NULL, out, e);
}

int
block_parse_like(const void *head, size_t len, struct shapes *shapes,
		 const struct block_in *like, struct block_in **out,
		 struct err *e)
{
	const uint8_t *p = head, *cols, *s;
	const struct shape *shape;
	struct block_in *b;
	size_t size, shape_len;
	int id;

	if (check_head(p, len, e) != 0)
		return -1;
	s = find_section(p, len, SECTION_SHAPE, &shape_len);
	if (!s)
		return err_set(e, "head without a shape");
	if (is_like(like, s, shape_len, get16(p + 6)))
		shape = like->pub.shape;
	else if (read_shape(s, shape_len, get16(p + 6), shapes, &shape, e) != 0)
		return -1;
	cols = find_section(p, len, SECTION_COLUMNS, &size);
	if (!cols || size != shape->n * ENTRY_SIZE)
		return err_set(e, "head without its columns");
	id = shape_find(shape, "_id");
	if (id < 0 || shape->fields[id].type != COL_U64)
		return err_set(e, "block without a column _id");
	b = block_in_new(shape->n);
	if (!b)
		return err_sys(e, "cannot read a head");
	b->pub.first_id = get64(p + 16);
	b->pub.rows = get32(p + 32);
	b->pub.shape = shape;
	b->body = get64(p + 24);
	b->shape = s;
	b->shape_len = shape_len;
	b->pub.bytes = len + b->body;
	for (size_t i = 0; i < shape->n; i++) {
		if (read_entry(b, i, cols + i * ENTRY_SIZE) == 0)
			continue;
		block_in_free(b);
		return err_set(e, "column %s has an impossible entry",
			       shape->fields[i].name);
	}
	*out = b;
	return 0;
}
