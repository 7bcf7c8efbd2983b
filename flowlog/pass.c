/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/pass.h"

#include "flowlog/filter.h"

enum {
	ROWS_GATHER = 4096, /* rows that make a batch at once */
};

static int
process(struct pass *p, const struct batch *b, const char *obj, size_t len,
	struct err *err)
{
	view_start(p->view, b, obj, len);
	if (filters_apply(p->filters, p->view, err))
		return -1;
	p->batches++;
	p->records += b->rows;
	p->passed += p->view->rows;
	if ((p->wanted && !p->wanted(p->ctx, p->view)) || !p->sink)
		return 0;
	p->unwritten += p->view->rows;
	if (sink_put(p->sink, p->view, p->shapes, err) == 0)
		return 0;
	p->failed = true;
	return -1;
}

static bool
is_pending(const struct pass *p)
{
	return p->sink && sink_pending(p->sink);
}

static int
process_rows(struct pass *p, uint32_t min, struct err *err)
{
	const struct batch *b;

	while (!is_pending(p) && (b = record_reader_take(p->reader, min)))
		if (process(p, b, NULL, 0, err))
			return -1;
	return 0;
}

static int
new_reader(struct pass *p, struct err *err)
{
	p->shapes = shapes_new(SHAPES_MAX);
	p->reader = p->shapes ? record_reader_new(p->shapes) : NULL;
	return p->reader ? 0 : err_set(err, "out of memory");
}

/* Batches explain themselves, so shapes met long ago may be forgotten: a
 * stream that runs for months may have more than there is room for.  What
 * waits for a socket stays where it is, so that comes first. */
static int
renew_reader(struct pass *p, struct err *err)
{
	if (!shapes_crowded(p->shapes))
		return 0;
	if (process_rows(p, 1, err) || pass_drained(p, err))
		return -1;
	if (is_pending(p))
		return 0;
	record_reader_free(p->reader);
	shapes_free(p->shapes);
	p->reader = NULL;
	return new_reader(p, err);
}

int
pass_object(struct pass *p, const char *obj, size_t len, struct err *err)
{
	const struct batch *b;
	int rc;

	rc = record_read(p->reader, obj, len, &b, err);
	if (rc < 0)
		return -1;
	rc = rc ? process(p, b, obj, len, err)
		: process_rows(p, ROWS_GATHER, err);
	return rc ? -1 : renew_reader(p, err);
}

int
pass_drained(struct pass *p, struct err *err)
{
	if (!p->sink)
		return 0;
	if (sink_flush(p->sink, err))
		return -1;
	if (!p->failed)
		p->unwritten = 0;
	return 0;
}

int
pass_tick(struct pass *p, struct err *err)
{
	return process_rows(p, 1, err) || pass_drained(p, err) ? -1 : 0;
}

int
pass_finish(struct pass *p, struct err *err)
{
	if (process_rows(p, 1, err))
		return -1;
	return p->sink ? sink_finish(p->sink, err) : 0;
}

/* A table of text has the columns that are known before any record. */
static int
set_columns(struct pass *p, struct err *err)
{
	struct names names;

	filters_names(p->filters, &names);
	return names.n ? sink_columns(p->sink, names.names, names.n, err) : 0;
}

int
pass_init(struct pass *p, const struct settings *settings, struct sink *sink,
	  size_t *bad, struct err *err)
{
	bool text = sink && sink_type(sink) == SINK_TEXT;

	p->sink = sink;
	*bad = settings->n;
	p->view = view_new();
	if (!p->view)
		return err_set(err, "out of memory");
	if (settings_filters(settings, !text, &p->filters, bad, err) ||
	    (sink && set_columns(p, err)))
		return -1;
	return new_reader(p, err);
}

void
pass_clear(struct pass *p)
{
	filters_free(p->filters);
	view_free(p->view);
	sink_free(p->sink);
	record_reader_free(p->reader);
	shapes_free(p->shapes);
}

uint64_t
pass_filtered(const struct pass *p)
{
	return filters_removed(p->filters, false);
}

uint64_t
pass_dropped(const struct pass *p)
{
	return filters_removed(p->filters, true);
}
