/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/output.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/format.h"
#include "common/record.h"
#include "common/stream.h"

enum { SLICE = 1024 }; /* rows of text that gather */

struct output {
	struct stream_out out;
	struct format *json; /* NULL: a record stream */
	uint64_t batches, unwritten;
};

struct output *
output_new(int fd)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	stream_out_init(&o->out, fd);
	if (!isatty(fd))
		return o;
	o->json = format_new(FORMAT_JSON);
	if (o->json)
		return o;
	output_free(o);
	return NULL;
}

void
output_free(struct output *o)
{
	if (!o)
		return;
	format_free(o->json);
	stream_out_clear(&o->out);
	free(o);
}

uint64_t
output_batches(const struct output *o)
{
	return o->batches;
}

uint64_t
output_unwritten(const struct output *o)
{
	return o->unwritten;
}

void
output_count(struct output *o)
{
	o->batches++;
}

static int
write_text(struct output *o, struct err *e)
{
	size_t len;
	const char *text = format_text(o->json, &len);
	int rc;

	stream_out_refer(&o->out, text, len);
	rc = stream_out_flush(&o->out, e);
	format_clear(o->json);
	return rc;
}

static int
write_json(struct output *o, const struct batch *b, struct err *e)
{
	const char *names[SHAPE_FIELDS_MAX];
	enum col_type types[SHAPE_FIELDS_MAX];
	const struct column *cols[SHAPE_FIELDS_MAX];

	for (size_t i = 0; i < b->shape->n; i++) {
		names[i] = b->shape->fields[i].name;
		types[i] = b->shape->fields[i].type;
		cols[i] = &b->cols[i];
	}
	if (format_columns(o->json, names, types, b->shape->n, e) != 0)
		return -1;
	for (uint32_t at = 0; at < b->rows; at += SLICE) {
		uint32_t to = b->rows - at > SLICE ? at + SLICE : b->rows;

		if (format_rows(o->json, cols, at, to, e) != 0 ||
		    write_text(o, e) != 0)
			return -1;
	}
	return 0;
}

int
output_batch(void *ctx, const struct batch *b, struct err *e)
{
	struct output *o = ctx;

	o->batches++;
	o->unwritten += b->rows;
	return o->json ? write_json(o, b, e) : record_write(&o->out, b, e);
}

int
output_commit(void *ctx, struct err *e)
{
	struct output *o = ctx;

	if (!o->json && stream_out_flush(&o->out, e) != 0)
		return -1;
	o->unwritten = 0;
	return 0;
}
