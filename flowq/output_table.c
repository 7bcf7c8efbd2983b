/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flowq/cell.h"
#include "flowq/glyph.h"
#include "flowq/output_kind.h"

/*
 * Aligned columns.  The first rows set the widths, so they are held: a
 * thousand, or those of the first moment.
 */

enum { HOLD = 1000, HOLD_MS = 500, CELL_MAX = 60 };

/* A cell: the bytes, and columns as a terminal shows them. */
struct shown {
	char *text;
	size_t len;
	unsigned width;
};

struct table {
	enum look *looks;
	unsigned *widths;
	struct shown *held; /* HOLD rows */
	size_t nheld;
	int64_t since; /* ms; of the first of them */
	bool header;   /* is out */
	bool utf8;
	struct cell_buf cell;
	char *line;
	size_t len, cap;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for the answer's text");
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
table_begin(struct output *o, struct err *err)
{
	struct table *t = calloc(1, sizeof(*t));
	size_t n = o->cols->n;

	o->own = t;
	if (!t)
		return oom(err);
	/* A file or a pipe may go anywhere. */
	t->utf8 = glyph_utf8() || !screen_width(o->screen);
	t->looks = calloc(n + 1, sizeof(*t->looks));
	t->widths = calloc(n + 1, sizeof(*t->widths));
	t->held = calloc(HOLD * n + 1, sizeof(*t->held));
	if (!t->looks || !t->widths || !t->held)
		return oom(err);
	for (size_t k = 0; k < n; k++)
		t->looks[k] = look_of(o->cols->names[k], o->cols->types[k]);
	return 0;
}

/* Numbers stand to the right, all else to the left. */
static bool
to_the_right(const struct output *o, size_t k)
{
	const struct table *t = o->own;

	return o->types[k] >= COL_U8 && o->types[k] <= COL_F64 &&
	       (t->looks[k] == LOOK_PLAIN || t->looks[k] == LOOK_ID);
}

/* At most CELL_MAX columns, with a sign that it was cut. */
static int
set_shown(const struct table *t, struct shown *c, const char *s, size_t len)
{
	size_t cut = glyph_cut(s, len, CELL_MAX, &c->width);

	free(c->text); /* left by a write that failed */
	c->text = malloc(cut + 4);
	if (!c->text)
		return -1;
	if (cut < len) {
		const char *sign = t->utf8 ? "\xe2\x80\xa6" : "~";

		cut = glyph_cut(s, len, CELL_MAX - 1, &c->width);
		memcpy(c->text + cut, sign, strlen(sign));
		c->len = cut + strlen(sign);
		c->width++;
	} else {
		c->len = len;
	}
	memcpy(c->text, s, cut);
	return 0;
}

static int
line_put(struct table *t, const char *s, size_t len, size_t pad)
{
	if (t->len + len + pad + 8 > t->cap) {
		size_t cap = 2 * (t->len + len + pad) + 1024;
		char *p = realloc(t->line, cap);

		if (!p)
			return -1;
		t->line = p;
		t->cap = cap;
	}
	memset(t->line + t->len, ' ', pad);
	memcpy(t->line + t->len + pad, s, len);
	t->len += len + pad;
	return 0;
}

static int
put_cell(struct output *o, size_t k, const struct shown *c)
{
	struct table *t = o->own;
	unsigned pad = t->widths[k] > c->width ? t->widths[k] - c->width : 0;
	bool right = to_the_right(o, k);

	if (line_put(t, c->text, c->len, right ? pad : 0))
		return -1;
	if (k + 1 == o->cols->n)
		return 0;
	return line_put(t, "", 0, (right ? 0 : pad) + 2);
}

/* Ends the line: the terminal's width, and no blanks at its end. */
static int
end_line(struct output *o, struct err *err)
{
	struct table *t = o->own;
	unsigned max = screen_width(o->screen), width;
	int rc;

	if (max)
		t->len = glyph_cut(t->line, t->len, max, &width);
	while (t->len && t->line[t->len - 1] == ' ')
		t->len--;
	if (line_put(t, "\n", 1, 0))
		return oom(err);
	rc = screen_write(o->screen, t->line, t->len, err);
	t->len = 0;
	return rc;
}

static int
put_header(struct output *o, struct err *err)
{
	struct table *t = o->own;
	int rc = 0;

	for (size_t k = 0; k < o->cols->n && rc == 0; k++) {
		const char *name = o->cols->names[k];
		struct shown c = {0};

		rc = set_shown(t, &c, name, strlen(name));
		if (rc == 0)
			rc = put_cell(o, k, &c);
		free(c.text);
	}
	return rc ? oom(err) : end_line(o, err);
}

/* Writes a row of cells and frees them. */
static int
put_row(struct output *o, struct shown *cells, struct err *err)
{
	int rc = 0;

	for (size_t k = 0; k < o->cols->n; k++) {
		if (rc == 0)
			rc = put_cell(o, k, &cells[k]);
		free(cells[k].text);
		cells[k].text = NULL;
	}
	return rc ? oom(err) : end_line(o, err);
}

static void
set_widths(struct output *o)
{
	struct table *t = o->own;
	size_t n = o->cols->n;

	for (size_t k = 0; k < n; k++) {
		const char *name = o->cols->names[k];
		unsigned w = glyph_width(name, strlen(name));

		w = w > CELL_MAX ? CELL_MAX : w;
		for (size_t i = 0; i < t->nheld; i++)
			if (t->held[i * n + k].width > w)
				w = t->held[i * n + k].width;
		t->widths[k] = w;
	}
}

/* Sets the widths by the rows held so far, and lets them go. */
static int
release(struct output *o, struct err *err)
{
	struct table *t = o->own;
	size_t n = t->nheld;

	if (!t->header) {
		set_widths(o);
		t->header = true;
		if (put_header(o, err))
			return -1;
	}
	t->nheld = 0;
	for (size_t i = 0; i < n; i++)
		if (put_row(o, t->held + i * o->cols->n, err))
			return -1;
	return 0;
}

static int
take_row(struct output *o, const struct rowset *r, uint32_t row,
	 struct err *err)
{
	struct table *t = o->own;
	struct shown *cells = t->held + t->nheld * o->cols->n;

	for (size_t k = 0; k < o->cols->n; k++)
		if (cell_text(&t->cell, t->looks[k], o->style.units,
			      o->types[k], output_column(o, r, k), row) ||
		    set_shown(t, &cells[k], t->cell.p, t->cell.len))
			return oom(err);
	t->nheld++;
	return 0;
}

static int
table_write(struct output *o, const struct rowset *r, uint32_t from,
	    uint32_t to, struct err *err)
{
	struct table *t = o->own;

	if (!t->nheld && !t->header)
		t->since = now_ms();
	for (uint32_t i = from; i < to; i++) {
		if (take_row(o, r, i, err))
			return -1;
		if ((t->header || t->nheld == HOLD) && release(o, err))
			return -1;
	}
	return 0;
}

/* How many columns the terminal did not show whole. */
static size_t
columns_cut(const struct output *o)
{
	const struct table *t = o->own;
	unsigned max = screen_width(o->screen), end = 0;
	size_t k = 0;

	for (; max && k < o->cols->n; k++, end += 2) {
		end += t->widths[k];
		if (end > max)
			break;
	}
	return max ? o->cols->n - k : 0;
}

/* Who does not see a column may think that there is none. */
static int
tell_cut(struct output *o, struct err *err)
{
	struct table *t = o->own;
	size_t cut = columns_cut(o);
	char text[96];
	int n;

	if (cut == 0)
		return 0;
	n = snprintf(text, sizeof(text),
		     "columns cut: %zu (fields A, B chooses; --format row)",
		     cut);
	return line_put(t, text, (size_t)n, 0) ? oom(err) : end_line(o, err);
}

static int
table_end(struct output *o, struct err *err)
{
	if (!o->rows)
		return 0;
	return release(o, err) ? -1 : tell_cut(o, err);
}

static int
table_tick(struct output *o, struct err *err)
{
	struct table *t = o->own;

	return t->nheld && now_ms() - t->since > HOLD_MS ? release(o, err) : 0;
}

static void
table_free(struct output *o)
{
	struct table *t = o->own;

	for (size_t i = 0; t->held && i < HOLD * o->cols->n; i++)
		free(t->held[i].text);
	free(t->held);
	free(t->looks);
	free(t->widths);
	free(t->cell.p);
	free(t->line);
	free(t);
}

const struct output_kind output_table = {
    .begin = table_begin,
    .write = table_write,
    .end = table_end,
    .tick = table_tick,
    .free = table_free,
};
