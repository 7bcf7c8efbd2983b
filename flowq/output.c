/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/format.h"

enum {
	SLICE = 1024, /* rows turned to text at once */
	HOLD = 1000,  /* rows of a table that set its widths */
	CELL_MAX = 60,
};

/* A cell: columns as a terminal shows them, and the bytes. */
struct cell {
	char *text;
	unsigned width;
};

struct output {
	int fd;
	enum output_format format;
	unsigned term;
	const struct columns *cols;
	enum col_type *types;
	struct format *text;
	bool header; /* is out */
	uint64_t rows;
	/* a table's */
	struct cell *held; /* HOLD rows of cells */
	size_t nheld;
	unsigned *widths;
	char *line;
	size_t line_len, line_cap;
};

int
output_find(const char *name)
{
	if (strcmp(name, "table") == 0)
		return OUTPUT_TABLE;
	return format_find(name);
}

struct output *
output_new(int fd, enum output_format format, unsigned width)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->fd = fd;
	o->format = format;
	o->term = width;
	o->text = format_new(format == OUTPUT_TABLE ? FORMAT_TSV
						    : (enum format_type)format);
	if (!o->text) {
		free(o);
		return NULL;
	}
	return o;
}

void
output_free(struct output *o)
{
	if (!o)
		return;
	for (size_t i = 0; o->held && i < HOLD * o->cols->n; i++)
		free(o->held[i].text);
	free(o->held);
	free(o->types);
	free(o->widths);
	free(o->line);
	format_free(o->text);
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
	o->cols = cols;
	o->types = calloc(cols->n + 1, sizeof(*o->types));
	o->widths = calloc(cols->n + 1, sizeof(*o->widths));
	if (!o->types || !o->widths)
		return oom(err);
	for (size_t i = 0; i < cols->n; i++)
		o->types[i] = expr_col_type(cols->types[i]);
	if (o->format != OUTPUT_TABLE)
		return format_columns(o->text, cols->names, o->types, cols->n,
				      err);
	o->held = calloc(HOLD * cols->n + 1, sizeof(*o->held));
	return o->held ? 0 : oom(err);
}

static int
write_all(struct output *o, const char *p, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t n = write(o->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "writing the answer");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
flush_text(struct output *o, struct err *err)
{
	size_t len;
	const char *p = format_text(o->text, &len);
	int rc = write_all(o, p, len, err);

	format_clear(o->text);
	return rc;
}

/*
 * Tables.
 */

static bool
is_number(enum col_type t)
{
	return t >= COL_U8 && t <= COL_F64;
}

/* Columns that a terminal needs: one a code point. */
static unsigned
text_width(const char *s, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* At most MAX columns of S, with a sign that it was cut. */
static void
put_cut(struct cell *c, const char *s, size_t len, unsigned max)
{
	size_t at = 0;
	unsigned n = 0;

	c->width = text_width(s, len);
	c->text = malloc(len + 4);
	if (!c->text)
		return;
	if (c->width <= max) {
		memcpy(c->text, s, len);
		c->text[len] = 0;
		return;
	}
	while (at < len && n < max) {
		n += ((unsigned char)s[at] & 0xc0) != 0x80;
		if (n == max)
			break;
		at++;
	}
	memcpy(c->text, s, at);
	memcpy(c->text + at, "\xe2\x80\xa6", 4); /* an ellipsis */
	c->width = max;
}

/* The text of one value, by way of a one-column format. */
static int
cell_text(struct output *o, size_t k, const struct column *col, uint32_t row,
	  struct cell *c)
{
	static const char *const name[] = {""};
	struct err err;
	const char *p;
	size_t len;

	if (!col || column_is_null(col, row)) {
		put_cut(c, "null", 4, CELL_MAX);
		return c->text ? 0 : -1;
	}
	if (format_columns(o->text, name, &o->types[k], 1, &err) ||
	    format_rows(o->text, &col, row, row + 1, &err))
		return -1;
	p = format_text(o->text, &len);
	put_cut(c, p, len ? len - 1 : 0, CELL_MAX); /* less the newline */
	format_clear(o->text);
	return c->text ? 0 : -1;
}

static int
line_put(struct output *o, const char *s, size_t len, size_t pad)
{
	if (o->line_len + len + pad + 2 > o->line_cap) {
		size_t cap = 2 * (o->line_len + len + pad) + 1024;
		char *p = realloc(o->line, cap);

		if (!p)
			return -1;
		o->line = p;
		o->line_cap = cap;
	}
	memset(o->line + o->line_len, ' ', pad);
	memcpy(o->line + o->line_len + pad, s, len);
	o->line_len += len + pad;
	return 0;
}

/* Numbers to the right, all else to the left. */
static int
put_cell(struct output *o, size_t k, const char *s, unsigned width)
{
	unsigned pad = o->widths[k] > width ? o->widths[k] - width : 0;
	bool last = k + 1 == o->cols->n;

	if (is_number(o->types[k])) {
		if (line_put(o, s, strlen(s), pad))
			return -1;
		pad = 0;
	} else if (line_put(o, s, strlen(s), 0)) {
		return -1;
	}
	return last ? 0 : line_put(o, "", 0, pad + 2);
}

/* Ends the line: the terminal's width, and no blanks at its end. */
static int
end_line(struct output *o, struct err *err)
{
	size_t at = 0;
	unsigned n = 0;

	while (o->term && at < o->line_len) {
		n += ((unsigned char)o->line[at] & 0xc0) != 0x80;
		if (n > o->term)
			break;
		at++;
	}
	if (o->term)
		o->line_len = at;
	while (o->line_len && o->line[o->line_len - 1] == ' ')
		o->line_len--;
	if (line_put(o, "\n", 1, 0))
		return oom(err);
	return 0;
}

static int
flush_line(struct output *o, struct err *err)
{
	int rc = write_all(o, o->line, o->line_len, err);

	o->line_len = 0;
	return rc;
}

static int
table_header(struct output *o, struct err *err)
{
	for (size_t k = 0; k < o->cols->n; k++) {
		struct cell c = {0};
		int rc;

		put_cut(&c, o->cols->names[k], strlen(o->cols->names[k]),
			CELL_MAX);
		if (!c.text)
			return oom(err);
		rc = put_cell(o, k, c.text, c.width);
		free(c.text);
		if (rc)
			return oom(err);
	}
	return end_line(o, err) || flush_line(o, err) ? -1 : 0;
}

/* Writes a row of cells and frees them. */
static int
table_row(struct output *o, struct cell *cells, struct err *err)
{
	int rc = 0;

	for (size_t k = 0; k < o->cols->n; k++) {
		if (rc == 0)
			rc = put_cell(o, k, cells[k].text, cells[k].width);
		free(cells[k].text);
		cells[k].text = NULL;
	}
	if (rc)
		return oom(err);
	return end_line(o, err) || flush_line(o, err) ? -1 : 0;
}

/* Sets the widths by the rows held so far and lets them go. */
static int
table_release(struct output *o, struct err *err)
{
	size_t n = o->cols->n;

	if (!o->header) {
		for (size_t k = 0; k < n; k++) {
			const char *name = o->cols->names[k];
			unsigned w = text_width(name, strlen(name));

			w = w > CELL_MAX ? CELL_MAX : w;
			for (size_t i = 0; i < o->nheld; i++)
				if (o->held[i * n + k].width > w)
					w = o->held[i * n + k].width;
			o->widths[k] = w;
		}
		o->header = true;
		if (table_header(o, err))
			return -1;
	}
	for (size_t i = 0; i < o->nheld; i++)
		if (table_row(o, o->held + i * n, err))
			return -1;
	o->nheld = 0;
	return 0;
}

static int
table_write(struct output *o, const struct rowset *r, uint32_t from,
	    uint32_t to, struct err *err)
{
	for (uint32_t i = from; i < to; i++) {
		struct cell *cells = o->held + o->nheld * o->cols->n;

		for (size_t k = 0; k < o->cols->n; k++)
			if (cell_text(o, k,
				      o->types[k] == COL_NULL ? NULL
							      : &r->cols[k],
				      i, &cells[k]))
				return oom(err);
		o->nheld++;
		if ((o->header || o->nheld == HOLD) && table_release(o, err))
			return -1;
	}
	return 0;
}

/*
 * All formats.
 */

static int
put_header(struct output *o, struct err *err)
{
	if (o->header)
		return 0;
	o->header = true;
	return format_header(o->text, err);
}

int
output_write(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
	     struct err *err)
{
	struct output *o = ctx;
	const struct column **cols;
	int rc = 0;

	o->rows += to - from;
	if (o->format == OUTPUT_TABLE)
		return table_write(o, r, from, to, err);
	cols = calloc(o->cols->n + 1, sizeof(*cols));
	if (!cols)
		return oom(err);
	for (size_t k = 0; k < o->cols->n; k++)
		cols[k] = o->types[k] == COL_NULL ? NULL : &r->cols[k];
	rc = put_header(o, err);
	while (from < to && rc == 0) {
		uint32_t end = to - from > SLICE ? from + SLICE : to;

		rc = format_rows(o->text, cols, from, end, err);
		if (rc == 0)
			rc = flush_text(o, err);
		from = end;
	}
	free(cols);
	return rc;
}

int
output_end(struct output *o, double elapsed, struct err *err)
{
	char line[128];
	int n;

	if (o->format == OUTPUT_TABLE) {
		if (o->rows && table_release(o, err))
			return -1;
	} else if (put_header(o, err) || flush_text(o, err)) {
		return -1;
	}
	if (elapsed < 0)
		return 0;
	n = snprintf(line, sizeof line, "total %llu rows, elapsed %.1fs\n",
		     (unsigned long long)o->rows, elapsed);
	return write_all(o, line, (size_t)n, err);
}
