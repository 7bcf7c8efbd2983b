/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/adapt.h"

#include <stdlib.h>
#include <string.h>

enum made { MADE_ID = -1, MADE_TIME = -2, MADE_HOST = -3 };

/* Fields that the table makes itself, whatever the records say. */
static bool
is_own(const struct field *f, const char *host)
{
	if (strcmp(f->name, "_id") == 0 || strcmp(f->name, "_table") == 0)
		return true;
	if (strcmp(f->name, "_time") == 0)
		return f->type != COL_TIME;
	if (strcmp(f->name, "_host") == 0)
		return host || f->type != COL_STRING;
	return false;
}

static size_t
wanted_fields(const struct shape *from, const char *host, struct field *f)
{
	bool timed = false;
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		if (is_own(&from->fields[i], host))
			continue;
		timed |= strcmp(from->fields[i].name, "_time") == 0;
		f[n++] = from->fields[i];
	}
	f[n++] = (struct field){"_id", COL_U64};
	if (!timed)
		f[n++] = (struct field){"_time", COL_TIME};
	if (host)
		f[n++] = (struct field){"_host", COL_STRING};
	return n;
}

static int
source_of(const struct shape *from, const struct field *f, const char *host)
{
	int i = shape_find(from, f->name);

	if (i >= 0 && !is_own(&from->fields[i], host))
		return i;
	if (strcmp(f->name, "_id") == 0)
		return MADE_ID;
	return strcmp(f->name, "_time") == 0 ? MADE_TIME : MADE_HOST;
}

int
route_init(struct route *r, const struct shape *from, struct shapes *shapes,
	   const char *host, struct err *e)
{
	struct field *f = calloc(from->n + 3, sizeof(*f));
	size_t n;

	*r = (struct route){.from = from};
	if (!f)
		return err_sys(e, "cannot take a new kind of record");
	n = wanted_fields(from, host, f);
	if (shapes_get(shapes, f, n, &r->to, e) != 0)
		r->to = NULL;
	free(f);
	if (!r->to)
		return 0;
	r->source = calloc(r->to->n, sizeof(*r->source));
	if (!r->source)
		return err_sys(e, "cannot take a new kind of record");
	for (size_t i = 0; i < r->to->n; i++)
		r->source[i] = source_of(from, &r->to->fields[i], host);
	return 0;
}

void
route_clear(struct route *r)
{
	free(r->source);
	*r = (struct route){0};
}

int
adapt_init(struct adapt *a, struct err *e)
{
	*a = (struct adapt){0};
	a->ids = malloc(BATCH_ROWS_MAX * sizeof(*a->ids));
	a->times = malloc(BATCH_ROWS_MAX * sizeof(*a->times));
	if (!a->ids || !a->times) {
		adapt_clear(a);
		return err_sys(e, "cannot start");
	}
	return 0;
}

void
adapt_set_host(struct adapt *a, const char *host)
{
	a->host = (char *)(uintptr_t)host;
	a->host_at[1] = host ? (uint32_t)strlen(host) : 0;
}

void
adapt_clear(struct adapt *a)
{
	free(a->view.cols);
	free(a->ids);
	free(a->times);
	*a = (struct adapt){0};
}

static struct column
made(struct adapt *a, int what)
{
	switch (what) {
	case MADE_ID:
		return (struct column){.data = a->ids};
	case MADE_TIME:
		return (struct column){.constant = true, .data = &a->now};
	default:
		return (struct column){.constant = true,
				       .data = a->host_at,
				       .bytes = a->host,
				       .bytes_len = a->host_at[1]};
	}
}

/* Records from scripts may have a _time that is null. */
static struct column
filled_time(struct adapt *a, const struct column *c, uint32_t rows)
{
	for (uint32_t i = 0; i < rows; i++) {
		struct value v;

		column_value(c, COL_TIME, i, &v);
		a->times[i] = v.type == COL_NULL ? a->now : v.i;
	}
	return (struct column){.data = a->times};
}

const struct batch *
adapt_view(struct adapt *a, const struct route *r, const struct batch *b,
	   uint64_t first_id, int64_t now)
{
	if (a->cap < r->to->n) {
		struct column *p = realloc(a->view.cols, r->to->n * sizeof(*p));

		if (!p)
			return NULL;
		a->view.cols = p;
		a->cap = r->to->n;
	}
	a->now = now;
	a->view.shape = r->to;
	a->view.rows = b->rows;
	for (uint32_t i = 0; i < b->rows; i++)
		a->ids[i] = first_id + i;
	for (size_t i = 0; i < r->to->n; i++) {
		int from = r->source[i];

		if (from < 0)
			a->view.cols[i] = made(a, from);
		else if (b->cols[from].valid &&
			 strcmp(r->to->fields[i].name, "_time") == 0)
			a->view.cols[i] =
			    filled_time(a, &b->cols[from], b->rows);
		else
			a->view.cols[i] = b->cols[from];
	}
	return &a->view;
}
