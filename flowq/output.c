/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/output.h"

#include <stdlib.h>
#include <string.h>

#include "common/format.h"
#include "common/record.h"
#include "flowq/output_kind.h"
#include "flowq/rowbatch.h"

enum { SLICE = 1024 }; /* rows turned to text at once */

static const char *const more_names[] = {"table", "msgpack", "chart"};
const char output_names[] = "row, table, json, csv, tsv, msgpack, chart";

int
output_find(const char *name)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(name, more_names[i]) == 0)
			return OUTPUT_TABLE + i;
	return format_find(name);
}

static const struct output_kind *
kind_of(enum output_format f)
{
	switch (f) {
	case OUTPUT_TABLE:
		return &output_table;
	case OUTPUT_MSGPACK:
		return &output_msgpack;
	case OUTPUT_CHART:
		return &output_chart;
	default:
		return &output_text;
	}
}

struct output *
output_new(struct screen *screen, const struct output_style *style)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->screen = screen;
	o->style = *style;
	o->kind = kind_of(style->format);
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

void
output_free(struct output *o)
{
	if (!o)
		return;
	if (o->own)
		o->kind->free(o);
	free(o->types);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

uint64_t
output_rows(const struct output *o)
{
	return o->rows;
}

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for the answer's text");
}

int
output_columns(struct output *o, const struct columns *cols, struct err *err)
{
	int rc;

	o->cols = cols;
	o->types = calloc(cols->n + 1, sizeof(*o->types));
	if (!o->types)
		return oom(err);
	for (size_t i = 0; i < cols->n; i++)
		o->types[i] = expr_col_type(cols->types[i]);
	/* output_tick may be at work. */
	pthread_mutex_lock(&o->lock);
	rc = o->kind->begin(o, err);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

int
output_write(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
	     struct err *err)
{
	struct output *o = ctx;
	int rc;

	pthread_mutex_lock(&o->lock);
	o->rows += to - from;
	rc = o->kind->write(o, r, from, to, err);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

void
output_tick(struct output *o)
{
	struct err err;

	pthread_mutex_lock(&o->lock);
	if (o->own && o->kind->tick)
		o->kind->tick(o, &err); /* the next write fails as well */
	pthread_mutex_unlock(&o->lock);
	screen_tick(o->screen);
}

int
output_end(struct output *o, double elapsed, struct err *err)
{
	char line[128];
	int n, rc;

	pthread_mutex_lock(&o->lock);
	rc = o->kind->end(o, err);
	pthread_mutex_unlock(&o->lock);
	if (rc)
		return -1;
	if (elapsed >= 0) {
		n = snprintf(line, sizeof line,
			     "total %llu rows, elapsed %.1fs\n",
			     (unsigned long long)o->rows, elapsed);
		if (screen_write(o->screen, line, (size_t)n, err))
			return -1;
	}
	return screen_end(o->screen, err);
}

/*
 * json, csv, tsv, row.
 */

struct text {
	struct format *format;
	bool header; /* is out */
	const struct column **cols;
};

static int
text_begin(struct output *o, struct err *err)
{
	struct text *t = calloc(1, sizeof(*t));

	o->own = t;
	if (!t)
		return oom(err);
	t->format = format_new((enum format_type)o->style.format);
	t->cols = calloc(o->cols->n + 1, sizeof(*t->cols));
	if (!t->format || !t->cols)
		return oom(err);
	return format_columns(t->format, o->cols->names, o->types, o->cols->n,
			      err);
}

static int
text_flush(struct output *o, struct err *err)
{
	struct text *t = o->own;
	size_t len;
	const char *p = format_text(t->format, &len);
	int rc = screen_write(o->screen, p, len, err);

	format_clear(t->format);
	return rc;
}

static int
text_header(struct text *t, struct err *err)
{
	if (t->header)
		return 0;
	t->header = true;
	return format_header(t->format, err);
}

static int
text_write(struct output *o, const struct rowset *r, uint32_t from, uint32_t to,
	   struct err *err)
{
	struct text *t = o->own;
	int rc = text_header(t, err);

	for (size_t k = 0; k < o->cols->n; k++)
		t->cols[k] = output_column(o, r, k);
	while (from < to && rc == 0) {
		uint32_t end = to - from > SLICE ? from + SLICE : to;

		rc = format_rows(t->format, t->cols, from, end, err);
		if (rc == 0)
			rc = text_flush(o, err);
		from = end;
	}
	return rc;
}

static int
text_end(struct output *o, struct err *err)
{
	return text_header(o->own, err) ? -1 : text_flush(o, err);
}

static void
text_free(struct output *o)
{
	struct text *t = o->own;

	format_free(t->format);
	free(t->cols);
	free(t);
}

const struct output_kind output_text = {
    .begin = text_begin,
    .write = text_write,
    .end = text_end,
    .free = text_free,
};

/*
 * msgpack: a map for each row, as flowrecord(5) has them.
 */

struct maps {
	struct rowbatch batch;
	struct stream_out out;
};

static int
msgpack_begin(struct output *o, struct err *err)
{
	static const char *const skip[] = {NULL};
	struct maps *m = calloc(1, sizeof(*m));

	o->own = m;
	if (!m)
		return oom(err);
	if (screen_width(o->screen))
		return err_set(err, "msgpack is not for a terminal");
	stream_out_init(&m->out, screen_fd(o->screen));
	return rowbatch_init(&m->batch, o->cols, skip, err);
}

static int
msgpack_write(struct output *o, const struct rowset *r, uint32_t from,
	      uint32_t to, struct err *err)
{
	struct maps *m = o->own;

	while (from < to) {
		uint32_t n = to - from > SLICE ? SLICE : to - from;
		const struct batch *b =
		    rowbatch_take(&m->batch, r, from, n, err);

		if (!b || record_write_rows(&m->out, b, err) ||
		    stream_out_flush(&m->out, err))
			return -1;
		from += n;
	}
	return 0;
}

static int
msgpack_end(struct output *o, struct err *err)
{
	(void)o, (void)err;
	return 0;
}

static void
msgpack_free(struct output *o)
{
	struct maps *m = o->own;

	rowbatch_clear(&m->batch);
	stream_out_clear(&m->out);
	free(m);
}

const struct output_kind output_msgpack = {
    .begin = msgpack_begin,
    .write = msgpack_write,
    .end = msgpack_end,
    .free = msgpack_free,
};
