/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore export: all records of a table as text or as a record stream.
 *
 * One snapshot is read, block by block.  As CSV has one line of names, its
 * columns are those of all blocks.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/format.h"
#include "common/record.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/outfile.h"
#include "flowstore/progress.h"

enum { SLICE = 4096 };

struct exporting {
	struct outfile file;
	struct shapes *shapes;
	struct table *table;
	struct table_scratch scratch;
	struct progress progress;
	uint64_t rows;
	bool csv;
	/* text */
	struct format *format;
	const char **names; /* of the columns that are written */
	size_t n;
	const struct shape *shape; /* that the format was told of */
	/* msgpack */
	struct stream_out out;
	bool streams;
};

/* ---- columns ---- */

/* The table's own first. */
static int
by_name(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	if ((*x == '_') != (*y == '_'))
		return *x == '_' ? -1 : 1;
	return strcmp(x, y);
}

static int
by_place(const void *a, const void *b)
{
	const struct shape *x = *(const struct shape *const *)a;
	const struct shape *y = *(const struct shape *const *)b;

	return (x > y) - (x < y);
}

/* The shapes of all blocks, each once; to be freed. */
static const struct shape **
shapes_of(const struct exporting *x, size_t *n)
{
	size_t blocks = table_blocks(x->table);
	const struct shape **all = calloc(blocks + 1, sizeof(*all));

	*n = 0;
	if (!all)
		return NULL;
	for (size_t i = 0; i < blocks; i++)
		all[i] = table_block(x->table, i)->shape;
	if (blocks > 1)
		qsort(all, blocks, sizeof(*all), by_place);
	for (size_t i = 0; i < blocks; i++)
		if (*n == 0 || all[*n - 1] != all[i])
			all[(*n)++] = all[i];
	return all;
}

/* The names of some shapes, each once. */
static int
set_names(struct exporting *x, const struct shape *const *s, size_t shapes,
	  struct err *e)
{
	size_t all = 0, n = 0;

	for (size_t i = 0; i < shapes; i++)
		all += s[i]->n;
	free(x->names);
	x->n = 0;
	x->names = calloc(all + 1, sizeof(*x->names));
	if (!x->names)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < shapes; i++)
		for (size_t k = 0; k < s[i]->n; k++)
			x->names[n++] = s[i]->fields[k].name;
	if (n > 1)
		qsort(x->names, n, sizeof(*x->names), by_name);
	for (size_t i = 0; i < n; i++)
		if (x->n == 0 || strcmp(x->names[x->n - 1], x->names[i]) != 0)
			x->names[x->n++] = x->names[i];
	return 0;
}

/* Tells the format of a shape's types. */
static int
tell_shape(struct exporting *x, const struct shape *s, struct err *e)
{
	enum col_type *types;
	int r;

	if (s == x->shape)
		return 0;
	if (!x->csv && set_names(x, &s, 1, e) != 0)
		return -1;
	types = calloc(x->n + 1, sizeof(*types));
	if (!types)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < x->n; i++) {
		int at = shape_find(s, x->names[i]);

		types[i] = at < 0 ? COL_STRING : s->fields[at].type;
	}
	r = format_columns(x->format, x->names, types, x->n, e);
	free(types);
	x->shape = s;
	return r;
}

/* ---- output ---- */

static int
flush(struct exporting *x, struct err *e)
{
	size_t len;
	const char *p = format_text(x->format, &len);

	if (outfile_write(&x->file, p, len, e) != 0)
		return -1;
	format_clear(x->format);
	return 0;
}

static int
write_text(struct exporting *x, const struct batch *b, struct err *e)
{
	const struct column **cols;
	int r = 0;

	if (tell_shape(x, b->shape, e) != 0)
		return -1;
	cols = calloc(x->n + 1, sizeof(*cols));
	if (!cols)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < x->n; i++) {
		int at = shape_find(b->shape, x->names[i]);

		cols[i] = at < 0 ? NULL : &b->cols[at];
	}
	for (uint32_t from = 0; from < b->rows && r == 0; from += SLICE) {
		uint32_t to = b->rows - from > SLICE ? from + SLICE : b->rows;

		r = format_rows(x->format, cols, from, to, e);
		if (r == 0)
			r = flush(x, e);
	}
	free(cols);
	return r;
}

static int
write_batch(struct exporting *x, const struct batch *b, struct err *e)
{
	if (!x->streams)
		return write_text(x, b, e);
	if (record_write(&x->out, b, e) != 0 ||
	    stream_out_flush(&x->out, e) != 0)
		return err_prefix(e, "cannot write %s", x->file.path);
	return 0;
}

static int
export_blocks(struct exporting *x, struct err *e)
{
	struct batch *b = NULL;
	int r = 0;

	for (size_t i = 0; i < table_blocks(x->table) && r == 0; i++) {
		const struct block *block = table_block(x->table, i);

		if (!b || b->shape != block->shape) {
			batch_free(b);
			b = batch_new(block->shape);
			if (!b)
				return err_set(e, "out of memory");
		}
		r = outfile_may_go_on(&x->file, e);
		if (r == 0)
			r = table_batch(x->table, i, &x->scratch, b, e);
		if (r == 0)
			r = write_batch(x, b, e);
		x->rows += b->rows;
		progress_add(&x->progress, block->bytes);
	}
	batch_free(b);
	return r;
}

/* The line of names. */
static int
write_header(struct exporting *x, struct err *e)
{
	enum col_type *types;
	size_t n;
	const struct shape **s = shapes_of(x, &n);
	int r = s ? set_names(x, s, n, e) : err_set(e, "out of memory");

	free(s);
	if (r != 0 || x->n == 0)
		return r;
	types = calloc(x->n, sizeof(*types));
	r = types ? format_columns(x->format, x->names, types, x->n, e)
		  : err_set(e, "out of memory");
	free(types);
	if (r == 0)
		r = format_header(x->format, e);
	return r == 0 ? flush(x, e) : r;
}

static int
export_all(struct exporting *x, struct err *e)
{
	uint64_t bytes = 0;
	int r;

	for (size_t i = 0; i < table_blocks(x->table); i++)
		bytes += table_block(x->table, i)->bytes;
	progress_start(&x->progress, "export", x->file.path, bytes);
	r = x->csv ? write_header(x, e) : 0;
	if (r == 0)
		r = export_blocks(x, e);
	progress_end(&x->progress);
	return r;
}

/* ---- the command ---- */

static int
set_form(struct exporting *x, enum form form, struct err *e)
{
	x->streams = form == FORM_MSGPACK;
	x->csv = form == FORM_CSV;
	if (x->streams && isatty(x->file.fd))
		return err_set(e, "msgpack is no text for a terminal: name a "
				  "file");
	if (x->streams) {
		stream_out_init(&x->out, x->file.fd);
		return 0;
	}
	x->format = format_new(x->csv ? FORMAT_CSV : FORMAT_JSON);
	return x->format ? 0 : err_set(e, "out of memory");
}

/* By the file's name. */
static enum form
guess_form(const char *path)
{
	static const struct {
		const char *tail;
		enum form form;
	} tails[] = {{".json", FORM_JSON},
		     {".jsonl", FORM_JSON},
		     {".ndjson", FORM_JSON},
		     {".mp", FORM_MSGPACK},
		     {".msgpack", FORM_MSGPACK}};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(tails) / sizeof(*tails); i++)
		if (strcmp(dot, tails[i].tail) == 0)
			return tails[i].form;
	return FORM_CSV;
}

static void
clear(struct exporting *x)
{
	table_scratch_clear(&x->scratch);
	table_close(x->table);
	shapes_free(x->shapes);
	format_free(x->format);
	free(x->names);
	if (x->streams)
		stream_out_clear(&x->out);
}

int
export_run(const struct command_args *a, struct err *e)
{
	const char *path = a->n > 1 ? a->words[1] : "-";
	struct exporting x = {0};
	int r = -1;

	x.shapes = shapes_new(SHAPES_MAX);
	if (!x.shapes)
		return err_set(e, "out of memory");
	if (table_open(&x.table, a->root, a->words[0], x.shapes, e) == 0 &&
	    outfile_open(&x.file, path, a->yes, e) == 0) {
		r = set_form(&x, a->form ? a->form : guess_form(path), e);
		if (r == 0)
			r = export_all(&x, e);
		r = outfile_close(&x.file, r, e);
		if (r == 0 && x.file.named)
			command_say("%s: %" PRIu64 " records exported",
				    a->words[0], x.rows);
	}
	clear(&x);
	return r;
}
