/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/cut.h"

#include <stdlib.h>

int
cut_ledger(struct ledger *l, const struct table *t, struct err *e)
{
	const struct table_segment *of = table_segment(t, 0);
	struct table_stream *s;
	size_t n;
	int r = 0;

	*l = (struct ledger){.table = of->table, .next_id = of->next_id};
	if (table_streams(t, &s, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = streams_set(&l->streams, s[i].id, s[i].number, s[i].time,
				false);
	free(s);
	if (r == 0)
		return 0;
	streams_clear(&l->streams);
	return err_set(e, "out of memory");
}

int
cut_begin(struct cut *c, const char *dir, const struct table_segment *of,
	  struct ledger *l, struct err *e)
{
	*c = (struct cut){.ledger = *l};
	*l = (struct ledger){0};
	c->encoder = encoder_new();
	if (!c->encoder)
		return err_set(e, "out of memory");
	return segment_cut_begin(&c->segment, dir, of, &c->ledger, e);
}

int
cut_flush(struct cut *c, struct err *e)
{
	size_t n = c->n;

	c->n = 0;
	return n == 0
		   ? 0
		   : segment_commit(&c->segment, c->changes, n, &c->ledger, e);
}

static int
add(struct cut *c, uint64_t first_id, uint32_t rows, struct block_out *b,
    struct err *e)
{
	c->changes[c->n++] = (struct change){first_id, rows, b};
	c->rows += rows;
	return c->n == CUT_BATCH ? cut_flush(c, e) : 0;
}

int
cut_copy(struct cut *c, uint64_t first_id, uint32_t rows,
	 const struct table_raw *raw, struct err *e)
{
	struct block_out *b = &c->blocks[c->n];

	*b = (struct block_out){
	    .head = {.p = (uint8_t *)raw->head, .len = raw->head_len},
	    .body = {.p = (uint8_t *)raw->body, .len = raw->body_len},
	    .filters = {.p = (uint8_t *)raw->filters, .len = raw->filters_len}};
	return add(c, first_id, rows, b, e);
}

int
cut_encode(struct cut *c, const struct batch *b, struct err *e)
{
	struct block_out *out = &c->made[c->n];
	struct value id;

	if (b->rows == 0)
		return 0;
	out->with_filters = true;
	if (block_encode(c->encoder, b, 0, b->rows, out, e) != 0)
		return -1;
	column_value(&b->cols[shape_find(b->shape, "_id")], COL_U64, 0, &id);
	return add(c, id.u, b->rows, out, e);
}

int
cut_end(struct cut *c, struct err *e)
{
	if (cut_flush(c, e) != 0)
		return -1;
	if (c->rows == 0)
		return 1;
	return segment_cut_end(&c->segment, e);
}

void
cut_clear(struct cut *c)
{
	if (c->segment.env)
		segment_cut_abort(&c->segment);
	for (size_t i = 0; i < CUT_BATCH; i++) {
		block_out_clear(&c->made[i]);
	}
	encoder_free(c->encoder);
	streams_clear(&c->ledger.streams);
}
