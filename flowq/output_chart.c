/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowq/cell.h"
#include "flowq/glyph.h"
#include "flowq/output_kind.h"

/*
 * A picture of the rows, drawn at the end.  If the first column is a time, each
 * other one with numbers is a curve over it; else there is a bar for each row,
 * as long as the last of its numbers (but a share in percent) is large, with
 * the first column, and all that are no counts, as its label.
 */

enum {
	ROWS_MAX = 100000, /* that are kept; the rest is counted */
	WIDTH = 80,	   /* where there is no terminal */
	LABEL_MAX = 40,
	HEIGHT = 8,
	LOW = 4, /* the height where there are many */
	EIGHTHS = 8,
};

struct chart {
	enum look *looks;
	bool *drawn; /* columns with numbers to draw */
	bool timed;
	size_t bar;	/* the column that bars show */
	double *values; /* rows of columns; NAN: null */
	int64_t *times;
	char **labels;
	size_t n, cap;
	bool utf8;
	struct cell_buf cell;
	unsigned width;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for a chart");
}

static bool
is_number(enum col_type t)
{
	return t >= COL_U8 && t <= COL_F64;
}

static int
chart_begin(struct output *o, struct err *err)
{
	struct chart *c = calloc(1, sizeof(*c));
	size_t n = o->cols->n;

	o->own = c;
	if (!c)
		return oom(err);
	c->utf8 = glyph_utf8() || !screen_width(o->screen);
	c->width = screen_width(o->screen) ? screen_width(o->screen) : WIDTH;
	c->looks = calloc(n + 1, sizeof(*c->looks));
	c->drawn = calloc(n + 1, sizeof(*c->drawn));
	if (!c->looks || !c->drawn)
		return oom(err);
	c->timed = n > 1 && o->cols->types[0] == TYPE_TIME;
	c->bar = n;
	for (size_t k = 0; k < n; k++) {
		c->looks[k] = look_of(o->cols->names[k], o->cols->types[k]);
		c->drawn[k] =
		    is_number(o->types[k]) && c->looks[k] == LOOK_PLAIN;
		if (c->drawn[k] && strcmp(o->cols->names[k], "percent") != 0)
			c->bar = k;
	}
	if (c->bar == n)
		return err_set(err, "a chart needs a column with numbers that "
				    "count something");
	return 0;
}

static double
number(const struct column *col, enum col_type type, uint32_t row)
{
	struct value v = {.type = COL_NULL};

	if (col)
		column_value(col, type, row, &v);
	switch (v.type) {
	case COL_NULL:
		return NAN;
	case COL_F64:
		return isfinite(v.f) ? v.f : NAN;
	case COL_I64:
		return (double)v.i;
	default:
		return (double)v.u;
	}
}

static int
grow(struct output *o, struct err *err)
{
	struct chart *c = o->own;
	size_t cap = c->cap ? 2 * c->cap : 256;
	void *p;

	if (c->n < c->cap)
		return 0;
	p = realloc(c->values, cap * (o->cols->n + 1) * sizeof(*c->values));
	if (!p)
		return oom(err);
	c->values = p;
	p = realloc(c->times, cap * sizeof(*c->times));
	if (!p)
		return oom(err);
	c->times = p;
	p = realloc(c->labels, cap * sizeof(*c->labels));
	if (!p)
		return oom(err);
	c->labels = p;
	c->cap = cap;
	return 0;
}

/* The first column and what is no count, with two blanks between. */
static char *
label(struct output *o, const struct rowset *r, uint32_t row)
{
	struct chart *c = o->own;
	char *text = strdup("");
	size_t len = 0;

	for (size_t k = 0; k < o->cols->n && text; k++) {
		char *more;

		if (k == c->bar || (k && c->drawn[k]))
			continue;
		if (cell_text(&c->cell, c->looks[k], true, o->types[k],
			      output_column(o, r, k), row)) {
			free(text);
			return NULL;
		}
		more = realloc(text, len + c->cell.len + 3);
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
		if (len) {
			memcpy(text + len, "  ", 2);
			len += 2;
		}
		memcpy(text + len, c->cell.p, c->cell.len);
		len += c->cell.len;
		text[len] = 0;
	}
	return text;
}

static int
chart_write(struct output *o, const struct rowset *r, uint32_t from,
	    uint32_t to, struct err *err)
{
	struct chart *c = o->own;

	for (uint32_t i = from; i < to && c->n < ROWS_MAX; i++) {
		double *values;

		if (grow(o, err))
			return -1;
		values = c->values + c->n * o->cols->n;
		for (size_t k = 0; k < o->cols->n; k++)
			values[k] = c->drawn[k] ? number(output_column(o, r, k),
							 o->types[k], i)
						: NAN;
		c->times[c->n] = 0;
		c->labels[c->n] = NULL;
		if (c->timed) {
			struct value v = {.type = COL_NULL};

			column_value(&r->cols[0], COL_TIME, i, &v);
			c->times[c->n] = v.type == COL_TIME ? v.i : 0;
		} else {
			c->labels[c->n] = label(o, r, i);
			if (!c->labels[c->n])
				return oom(err);
		}
		c->n++;
	}
	return 0;
}

static int
put(struct output *o, const char *text, struct err *err)
{
	return screen_write(o->screen, text, strlen(text), err);
}

/*
 * Bars.
 */

/* EIGHTHS of a column to the right, or whole ones. */
static void
bar_text(const struct chart *c, char *buf, size_t size, double eighths)
{
	static const char *const parts[] = {"",
					    "\xe2\x96\x8f",
					    "\xe2\x96\x8e",
					    "\xe2\x96\x8d",
					    "\xe2\x96\x8c",
					    "\xe2\x96\x8b",
					    "\xe2\x96\x8a",
					    "\xe2\x96\x89"};
	size_t n = (size_t)(eighths + 0.5), at = 0;

	for (size_t i = 0; i < n / EIGHTHS && at + 4 < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s",
				       c->utf8 ? "\xe2\x96\x88" : "#");
	snprintf(buf + at, size - at, "%s",
		 c->utf8	   ? parts[n % EIGHTHS]
		 : n % EIGHTHS > 3 ? "#"
				   : "");
}

static int
bar_line(struct output *o, size_t row, unsigned label_width, double max,
	 struct err *err)
{
	struct chart *c = o->own;
	double v = c->values[row * o->cols->n + c->bar];
	unsigned left =
	    c->width > label_width + 12 ? c->width - label_width - 12 : 4;
	char *name = c->labels[row], text[CELL_ROOM] = "null";
	size_t size = strlen(name) + 3 * (size_t)left + 128, n, at;
	char *line = malloc(size);
	unsigned w;
	int rc;

	if (!line)
		return oom(err);
	n = glyph_cut(name, strlen(name), label_width, &w);
	if (!isnan(v))
		text[cell_units(text, v)] = 0;
	at = (size_t)snprintf(line, size, "%.*s%*s %8s ", (int)n, name,
			      (int)(label_width - w), "", text);
	if (v > 0 && max > 0)
		bar_text(c, line + at, size - at, v / max * left * EIGHTHS);
	else
		line[--at] = 0;
	rc = put(o, line, err) || put(o, "\n", err) ? -1 : 0;
	free(line);
	return rc;
}

static int
draw_bars(struct output *o, struct err *err)
{
	struct chart *c = o->own;
	unsigned label_width = 0, most = c->width / 2;
	double max = 0;

	for (size_t i = 0; i < c->n; i++) {
		unsigned w = glyph_width(c->labels[i], strlen(c->labels[i]));
		double v = c->values[i * o->cols->n + c->bar];

		if (w > label_width)
			label_width = w;
		if (v > max)
			max = v;
	}
	if (label_width > most)
		label_width = most;
	if (label_width > LABEL_MAX)
		label_width = LABEL_MAX;
	for (size_t i = 0; i < c->n; i++)
		if (bar_line(o, i, label_width, max, err))
			return -1;
	return 0;
}

/*
 * Curves.
 */

struct curve {
	double lo, hi; /* of the axis */
	unsigned height;
	unsigned columns;
	double *y; /* of each of the columns; NAN: none */
};

/* Each column of the picture shows the largest value of its rows. */
static void
resample(const struct output *o, size_t k, struct curve *v)
{
	const struct chart *c = o->own;

	v->lo = 0;
	v->hi = 0;
	for (unsigned x = 0; x < v->columns; x++) {
		size_t from = x * c->n / v->columns;
		size_t to = (x + 1) * c->n / v->columns;

		v->y[x] = NAN;
		for (size_t i = from; i < to || i == from; i++) {
			double y = c->values[i * o->cols->n + k];

			if (!isnan(y) && !(v->y[x] >= y))
				v->y[x] = y;
		}
		if (v->y[x] > v->hi)
			v->hi = v->y[x];
		if (v->y[x] < v->lo)
			v->lo = v->y[x];
	}
}

/* What stands at a place: LEVEL eighths above the row's lower end. */
static const char *
block(const struct chart *c, double level)
{
	static const char *const blocks[] = {" ",
					     "\xe2\x96\x81",
					     "\xe2\x96\x82",
					     "\xe2\x96\x83",
					     "\xe2\x96\x84",
					     "\xe2\x96\x85",
					     "\xe2\x96\x86",
					     "\xe2\x96\x87",
					     "\xe2\x96\x88"};
	int n = level >= EIGHTHS ? EIGHTHS : level > 0 ? (int)(level + 0.5) : 0;

	if (c->utf8)
		return blocks[n];
	return n > 5 ? "#" : n > 2 ? "=" : n > 0 ? "_" : " ";
}

static int
curve_row(struct output *o, const struct curve *v, unsigned row,
	  struct err *err)
{
	struct chart *c = o->own;
	double span = v->hi - v->lo;
	char axis[CELL_ROOM] = "";
	size_t size = 4 * (size_t)v->columns + 64, at;
	char *line = malloc(size);
	int rc;

	if (!line)
		return oom(err);
	if (row + 1 == v->height)
		axis[cell_units(axis, v->hi)] = 0;
	else if (row == 0)
		axis[cell_units(axis, v->lo)] = 0;
	at = (size_t)snprintf(line, size, "%8s %s", axis,
			      c->utf8 ? "\xe2\x94\x82" : "|");
	for (unsigned x = 0; x < v->columns; x++) {
		double up = span > 0 ? (v->y[x] - v->lo) / span : 0;
		double level = isnan(v->y[x])
				   ? 0
				   : (up * v->height - (double)row) * EIGHTHS;

		/* What is there at all is seen. */
		if (row == 0 && up > 0 && level < 1)
			level = 1;
		at += (size_t)snprintf(line + at, size - at, "%s",
				       block(c, level));
	}
	while (line[at - 1] == ' ')
		at--;
	line[at] = 0;
	rc = put(o, line, err) || put(o, "\n", err) ? -1 : 0;
	free(line);
	return rc;
}

/* The first time, the last, and, if there is room, one between. */
static int
time_axis(struct output *o, unsigned columns, struct err *err)
{
	const struct chart *c = o->own;
	char first[64], last[64], line[256];
	size_t n, m;

	cell_time(first, sizeof first, c->times[0]);
	cell_time(last, sizeof last, c->times[c->n - 1]);
	n = strlen(first);
	m = strlen(last);
	if (c->n == 1 || columns < n + m + 2)
		snprintf(line, sizeof line, "%10s%s%s%s\n", "", first,
			 c->n > 1 ? " - " : "", c->n > 1 ? last : "");
	else
		snprintf(line, sizeof line, "%10s%s%*s\n", "", first,
			 (int)(columns - n), last);
	return put(o, line, err);
}

static int
draw_curve(struct output *o, size_t k, struct curve *v, struct err *err)
{
	const char *name = o->cols->names[k];
	struct chart *c = o->own;
	unsigned w;
	char *copy = strdup(name);
	int rc;

	if (!copy)
		return oom(err);
	copy[glyph_cut(name, strlen(name), c->width, &w)] = 0;
	rc = put(o, copy, err) || put(o, "\n", err);
	free(copy);
	if (rc)
		return -1;
	resample(o, k, v);
	for (unsigned row = v->height; row-- > 0;)
		if (curve_row(o, v, row, err))
			return -1;
	return 0;
}

static int
draw_curves(struct output *o, struct err *err)
{
	struct chart *c = o->own;
	unsigned room = c->width > 20 ? c->width - 10 : 10;
	struct curve v = {.columns = room};
	size_t curves = 0;
	int rc = 0;

	/* Few times are drawn wide, each as wide as the others. */
	if (c->n < room)
		v.columns = (unsigned)(room / c->n * c->n);
	for (size_t k = 1; k < o->cols->n; k++)
		curves += c->drawn[k];
	v.height = curves > 2 ? LOW : HEIGHT;
	v.y = malloc((v.columns + 1) * sizeof(*v.y));
	if (!v.y)
		return oom(err);
	for (size_t k = 1; k < o->cols->n && rc == 0; k++)
		if (c->drawn[k])
			rc = draw_curve(o, k, &v, err);
	free(v.y);
	return rc ? -1 : time_axis(o, v.columns, err);
}

/* Time goes to the right. */
static void
turn_around(struct output *o)
{
	struct chart *c = o->own;
	size_t w = o->cols->n;

	for (size_t i = 0, k = c->n - 1; i < k; i++, k--) {
		int64_t t = c->times[i];

		c->times[i] = c->times[k];
		c->times[k] = t;
		for (size_t j = 0; j < w; j++) {
			double v = c->values[i * w + j];

			c->values[i * w + j] = c->values[k * w + j];
			c->values[k * w + j] = v;
		}
	}
}

static int
chart_end(struct output *o, struct err *err)
{
	struct chart *c = o->own;
	char line[128];

	if (c->n == 0)
		return 0;
	if (c->timed && c->times[0] > c->times[c->n - 1])
		turn_around(o);
	if (c->timed ? draw_curves(o, err) : draw_bars(o, err))
		return -1;
	if (o->rows == c->n)
		return 0;
	snprintf(line, sizeof line, "and %llu rows more\n",
		 (unsigned long long)(o->rows - c->n));
	return put(o, line, err);
}

static void
chart_free(struct output *o)
{
	struct chart *c = o->own;

	for (size_t i = 0; i < c->n; i++)
		free(c->labels[i]);
	free(c->labels);
	free(c->values);
	free(c->times);
	free(c->looks);
	free(c->drawn);
	free(c->cell.p);
	free(c);
}

const struct output_kind output_chart = {
    .begin = chart_begin,
    .write = chart_write,
    .end = chart_end,
    .free = chart_free,
};
