/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/format.h"
#include "common/log.h"
#include "common/record.h"
#include "common/stream.h"

enum {
	SLICE = 1024, /* rows made into text at a time */
	TEXT_FLUSH = 128 << 10,
};

struct sink {
	enum sink_type type;
	bool socket;
	struct stream_out out;
	struct batch batch; /* what is written of a view */
	struct column cols[SHAPE_FIELDS_MAX];
	/* text only */
	struct format *format;
	bool table; /* csv or tsv: fixed columns below a header */
	bool header_done;
	size_t n; /* columns of the table, 0 until known */
	char **names;
	uint64_t lost; /* values without a column */
};

struct sink *
sink_new(const char *name, int fd, struct err *err)
{
	struct sink *s = calloc(1, sizeof *s);
	int format = format_find(name);

	if (!s) {
		err_set(err, "out of memory");
		return NULL;
	}
	stream_out_init(&s->out, fd);
	if (strcmp(name, "batch") == 0) {
		s->type = SINK_BATCH;
	} else if (strcmp(name, "rows") == 0) {
		s->type = SINK_ROWS;
	} else if (format >= 0) {
		s->type = SINK_TEXT;
		s->table = format == FORMAT_CSV || format == FORMAT_TSV;
		s->format = format_new((enum format_type)format);
	} else {
		err_set(err,
			"no format '%s' (there are batch, rows, json, csv, "
			"tsv, row)",
			name);
		goto fail;
	}
	if (s->type != SINK_TEXT || s->format)
		return s;
	err_set(err, "out of memory");
fail:
	sink_free(s);
	return NULL;
}

void
sink_free(struct sink *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->names[i]);
	free(s->names);
	format_free(s->format);
	stream_out_clear(&s->out);
	free(s);
}

enum sink_type
sink_type(const struct sink *s)
{
	return s->type;
}

int
sink_columns(struct sink *s, const char *const names[], size_t n,
	     struct err *err)
{
	s->names = calloc(n + 1, sizeof *s->names);
	if (!s->names)
		return err_set(err, "out of memory");
	for (; s->n < n; s->n++) {
		s->names[s->n] = strdup(names[s->n]);
		if (!s->names[s->n])
			return err_set(err, "out of memory");
	}
	return 0;
}

void
sink_connect(struct sink *s, int fd)
{
	s->socket = true;
	stream_out_drop(&s->out, fd);
}

bool
sink_pending(const struct sink *s)
{
	return s->out.begun;
}

static int
flush_stream(struct sink *s, struct err *err)
{
	if (!s->socket)
		return stream_out_flush(&s->out, err);
	return stream_out_try(&s->out, err) < 0 ? -1 : 0;
}

/*
 * Batches and rows.
 */

/* The batch that a view has become. */
static int
make_batch(struct sink *s, const struct view *v, struct shapes *shapes,
	   struct err *err)
{
	struct field fields[SHAPE_FIELDS_MAX];
	struct batch *b = &s->batch;
	size_t n = 0;

	for (size_t i = 0; i < v->n && v->rows > 0; i++)
		if (v->cols[i])
			fields[n++] = v->fields[i];
	*b = *v->batch;
	b->rows = v->rows;
	b->cols = s->cols;
	if (shapes_get(shapes, fields, n, &b->shape, err))
		return -1;
	for (size_t i = 0; i < v->n && v->rows > 0; i++)
		if (v->cols[i])
			b->cols[shape_find(b->shape, v->fields[i].name)] =
			    *v->cols[i];
	return 0;
}

static int
put_records(struct sink *s, struct view *v, struct shapes *shapes,
	    struct err *err)
{
	int rc;

	if (s->type == SINK_BATCH && !v->touched && v->object) {
		stream_out_refer(&s->out, v->object, v->object_len);
		return 0;
	}
	/* Only a batch with a number is missed when it does not come. */
	if (v->rows == 0 && (s->type == SINK_ROWS || v->batch->number == 0))
		return 0;
	if (make_batch(s, v, shapes, err))
		return -1;
	rc = s->type == SINK_ROWS ? record_write_rows(&s->out, &s->batch, err)
				  : record_write(&s->out, &s->batch, err);
	if (rc == 0 && v->transient && v->rows > 0)
		rc = flush_stream(s, err);
	return rc;
}

/*
 * Text.
 */

static int
flush_text(struct sink *s, struct err *err)
{
	const char *text;
	size_t len;
	int rc;

	text = format_text(s->format, &len);
	stream_out_refer(&s->out, text, len);
	rc = stream_out_flush(&s->out, err);
	format_clear(s->format);
	return rc;
}

static void
count_lost(struct sink *s, const struct view *v, const char *name)
{
	if (s->lost == 0)
		log_line("a record has the field '%s', which the first one had "
			 "not: the header has no column for it; name the "
			 "columns with --fields",
			 name);
	s->lost += v->rows;
}

/* The columns of the view in the order of the table. */
static int
arrange_table(struct sink *s, struct view *v, const struct column **cols,
	      struct err *err)
{
	enum col_type types[SHAPE_FIELDS_MAX];
	bool used[SHAPE_FIELDS_MAX] = {false};
	const char *names[SHAPE_FIELDS_MAX];

	if (!s->names) {
		for (size_t i = 0; i < v->n; i++)
			names[i] = v->fields[i].name;
		if (sink_columns(s, names, v->n, err))
			return -1;
	}
	for (size_t k = 0; k < s->n; k++) {
		int at = view_find(v, s->names[k]);

		cols[k] = at < 0 ? NULL : v->cols[at];
		types[k] = at < 0 ? COL_NULL : v->fields[at].type;
		if (at >= 0)
			used[at] = true;
	}
	for (size_t i = 0; i < v->n; i++)
		if (!used[i] && v->cols[i])
			count_lost(s, v, v->fields[i].name);
	return format_columns(s->format, (const char *const *)s->names, types,
			      s->n, err);
}

static int
arrange_lines(struct sink *s, struct view *v, const struct column **cols,
	      struct err *err)
{
	enum col_type types[SHAPE_FIELDS_MAX];
	const char *names[SHAPE_FIELDS_MAX];

	for (size_t i = 0; i < v->n; i++) {
		names[i] = v->fields[i].name;
		types[i] = v->fields[i].type;
		cols[i] = v->cols[i];
	}
	return format_columns(s->format, names, types, v->n, err);
}

static int
put_header(struct sink *s, struct err *err)
{
	if (s->header_done || !s->names)
		return 0;
	s->header_done = true;
	return format_header(s->format, err);
}

static int
put_text(struct sink *s, struct view *v, struct err *err)
{
	const struct column *cols[SHAPE_FIELDS_MAX];
	size_t len;

	if (v->rows == 0)
		return 0;
	if (s->table ? arrange_table(s, v, cols, err) || put_header(s, err)
		     : arrange_lines(s, v, cols, err))
		return -1;
	for (uint32_t from = 0; from < v->rows; from += SLICE) {
		uint32_t to = v->rows - from > SLICE ? from + SLICE : v->rows;

		if (format_rows(s->format, cols, from, to, err))
			return -1;
		format_text(s->format, &len);
		if (len >= TEXT_FLUSH && flush_text(s, err))
			return -1;
	}
	return 0;
}

int
sink_put(struct sink *s, struct view *v, struct shapes *shapes, struct err *err)
{
	if (view_settle(v, err))
		return -1;
	if (s->type == SINK_TEXT)
		return put_text(s, v, err);
	return put_records(s, v, shapes, err);
}

int
sink_flush(struct sink *s, struct err *err)
{
	if (s->type == SINK_TEXT)
		return flush_text(s, err);
	return flush_stream(s, err);
}

int
sink_finish(struct sink *s, struct err *err)
{
	int rc = 0;

	if (s->table) {
		if (!s->header_done && s->names)
			rc = format_columns(
				 s->format, (const char *const *)s->names,
				 (enum col_type[SHAPE_FIELDS_MAX]){0}, s->n,
				 err) ||
			     put_header(s, err);
		if (s->lost)
			log_line("%" PRIu64 " values had no column and are "
				 "not in the output; name the columns with "
				 "--fields",
				 s->lost);
	}
	return rc ? -1 : sink_flush(s, err);
}
