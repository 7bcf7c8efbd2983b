/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore import: records from a file into a table.
 *
 * CSV and JSON are made into the rows of flowrecord(5) first; then all go the
 * way of a record stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/csv.h"
#include "common/element.h"
#include "common/json.h"
#include "common/log.h"
#include "common/record.h"
#include "common/text.h"
#include "flowstore/command.h"
#include "flowstore/nfdump.h"
#include "flowstore/progress.h"
#include "flowstore/textrow.h"
#include "flowstore/writer.h"

enum {
	READ = 1 << 20,
	RECORD_MAX = 16 << 20, /* bytes of a record of text */
	ROWS_GATHER = 4096,
	HOLD_MS = 100,
	COLUMNS_MAX = 4096, /* of CSV; each record has values in some */
};

struct import {
	const char *table, *path;
	int fd;
	struct writer *writer;
	struct shapes *shapes;
	struct record_reader *reader;
	struct progress progress;
	/* text */
	char *buf;
	size_t start, end, cap;
	bool eof;
	bool last;	 /* no more comes behind what is looked at */
	uint64_t record; /* that is read, from 1 */
	struct textrow row;
	char **names; /* of CSV columns */
	size_t nnames;
	char separator;
	bool is_nfdump, ended;
	uint64_t skipped, first_skipped;
	struct err why; /* of the first that was skipped */
};

/* ---- records ---- */

/* Waits while the disk is too full. */
static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int
tick(struct import *im, struct err *e)
{
	if (writer_tick(im->writer, e) != 0)
		return -1;
	while (writer_holds(im->writer)) {
		pause_ms(HOLD_MS);
		if (writer_tick(im->writer, e) != 0)
			return -1;
	}
	return 0;
}

static int
finish(struct import *im, struct err *e)
{
	int r;

	while ((r = writer_finish(im->writer, e)) == 1)
		pause_ms(HOLD_MS);
	return r;
}

static int
store_rows(struct import *im, uint32_t min, struct err *e)
{
	const struct batch *b;

	while ((b = record_reader_take(im->reader, min)))
		if (writer_add(im->writer, b, e) != 0)
			return -1;
	return tick(im, e);
}

static int
renew_reader(struct import *im, struct err *e)
{
	if (im->reader) {
		if (!shapes_crowded(im->shapes))
			return 0;
		if (store_rows(im, 1, e) != 0)
			return -1;
		writer_forget_shapes(im->writer);
	}
	record_reader_free(im->reader);
	shapes_free(im->shapes);
	im->reader = NULL;
	im->shapes = shapes_new(SHAPES_MAX);
	if (im->shapes)
		im->reader = record_reader_new(im->shapes);
	return im->reader ? 0 : err_set(e, "out of memory");
}

/* 1: it is no record, and why. */
static int
take_object(struct import *im, const char *obj, size_t len, struct err *why,
	    struct err *e)
{
	const struct batch *b;
	int r;

	if (renew_reader(im, e) != 0)
		return -1;
	r = record_read(im->reader, obj, len, &b, why);
	if (r < 0)
		return 1;
	if (r == 0)
		return store_rows(im, ROWS_GATHER, e);
	return writer_add(im->writer, b, e) != 0 ? -1 : tick(im, e);
}

/* ---- msgpack ---- */

static int
import_stream(struct import *im, struct err *e)
{
	struct stream_in in;
	const char *obj;
	size_t len;
	int r;

	if (stream_in_init(&in, im->fd, 0, e) != 0)
		return -1;
	do {
		uint64_t before = in.offset;

		r = stream_fill(&in, e);
		while (r >= 0 && (r = stream_next(&in, &obj, &len, e)) == 1) {
			r = take_object(im, obj, len, e, e);
			if (r != 0) {
				err_prefix(e, "%s at offset %" PRIu64, im->path,
					   in.offset - len);
				r = -1;
			}
		}
		progress_add(&im->progress, in.offset - before);
	} while (r >= 0 && !in.eof);
	stream_in_clear(&in);
	return r < 0 ? -1 : 0;
}

/* ---- text ---- */

static int
fill(struct import *im, struct err *e)
{
	ssize_t n;

	if (im->start > 0) {
		memmove(im->buf, im->buf + im->start, im->end - im->start);
		im->end -= im->start;
		im->start = 0;
	}
	if (im->cap - im->end < READ) {
		char *p = realloc(im->buf, im->cap + 2 * (size_t)READ);

		if (!p)
			return err_set(e, "out of memory");
		im->buf = p;
		im->cap += 2 * (size_t)READ;
	}
	do
		n = read(im->fd, im->buf + im->end, READ);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "cannot read %s", im->path);
	im->eof = n == 0;
	im->end += (size_t)n;
	progress_add(&im->progress, (uint64_t)n);
	return 0;
}

static void
skip(struct import *im, const struct err *why)
{
	if (im->skipped++ > 0)
		return;
	im->first_skipped = im->record;
	im->why = *why;
}

static int
take_row(struct import *im, struct err *e)
{
	struct err why;
	size_t len;
	const char *obj = textrow_end(&im->row, &len);
	int r;

	if (!obj)
		return err_set(e, "out of memory");
	if (im->row.fields == 0) {
		err_set(&why, "it has no values");
		skip(im, &why);
		return 0;
	}
	r = take_object(im, obj, len, &why, e);
	if (r == 1)
		skip(im, &why);
	return r < 0 ? -1 : 0;
}

/* A line's value without escapes, as long as the scratch. */
static const char *
plain_csv(struct import *im, const struct csv_cell *c, size_t *len)
{
	char *to;

	*len = c->len;
	if (!c->escaped)
		return c->p;
	to = textrow_scratch(&im->row, c->len);
	if (to)
		*len = csv_unescape(c->p, c->len, to);
	return to;
}

/* What every record of the file would fail of. */
static int
check_name(const struct import *im, const char *p, size_t len, struct err *e)
{
	if (im->nnames == COLUMNS_MAX)
		return err_set(e, "%s: there are more than %d columns",
			       im->path, COLUMNS_MAX);
	if (len >= FIELD_NAME_MAX)
		return err_set(e,
			       "%s: the name of column %zu is longer than %d "
			       "bytes",
			       im->path, im->nnames + 1, FIELD_NAME_MAX - 1);
	if (text_utf8(p, len) != len || text_control(p, len))
		return err_set(e,
			       "%s: the name of column %zu has a control byte "
			       "or is not UTF-8",
			       im->path, im->nnames + 1);
	return 0;
}

/* Several names may mean one field. */
static int
check_names(const struct import *im, struct err *e)
{
	const char *fields[COLUMNS_MAX];

	for (size_t i = 0; i < im->nnames && !im->is_nfdump; i++) {
		fields[i] = element_canonical(im->names[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(fields[i], fields[k]) == 0)
				return err_set(e,
					       "%s: columns %zu (%s) and %zu "
					       "(%s) are the same field",
					       im->path, k + 1, im->names[k],
					       i + 1, im->names[i]);
	}
	return 0;
}

static int
add_name(struct import *im, const char *p, size_t len, struct err *e)
{
	char **names = realloc(im->names, (im->nnames + 1) * sizeof(*names));
	char made[32];

	if (!names)
		return err_set(e, "out of memory");
	im->names = names;
	if (len == 0) {
		snprintf(made, sizeof(made), "column_%zu", im->nnames + 1);
		p = made;
		len = strlen(made);
	}
	if (check_name(im, p, len, e) != 0)
		return -1;
	names[im->nnames] = strndup(p, len);
	if (!names[im->nnames])
		return err_set(e, "out of memory");
	im->nnames++;
	return 0;
}

static void
forget_names(struct import *im)
{
	while (im->nnames > 0)
		free(im->names[--im->nnames]);
}

static int
add_cell(struct import *im, size_t i, const struct csv_cell *c, struct err *e)
{
	size_t len;
	const char *p = c->p ? plain_csv(im, c, &len) : NULL;

	if (c->p && !p)
		return err_set(e, "out of memory");
	if (im->record == 1)
		return add_name(im, p ? p : "", p ? len : 0, e);
	if (!p || i >= im->nnames)
		return 0;
	if (im->is_nfdump)
		nfdump_add(&im->row, im->names[i], p, len);
	else
		textrow_add(&im->row, im->names[i], p, len, false);
	return 0;
}

/* The record at P: its length, 0 if more is needed. */
static int64_t
import_csv(struct import *im, const char *p, size_t len, struct err *e)
{
	struct csv_cell c = {0};
	size_t at = 0, cells = 0;
	struct err why;

	if (im->record == 1)
		im->separator = csv_separator(p, len);
	if (im->record == 1 && !memchr(p, '\n', len) && !im->last)
		return 0;
	if (im->record == 1)
		im->is_nfdump = nfdump_is_header(p, len);
	else if (im->is_nfdump && nfdump_is_end(p, len))
		im->ended = true;
	textrow_begin(&im->row);
	if (im->record == 1)
		forget_names(im); /* of when not all of the line was there */
	for (; !c.last; cells++) {
		int64_t n =
		    csv_read(p + at, len - at, im->separator, im->last, &c);

		if (n < 0)
			return err_set(e,
				       "%s: record %" PRIu64
				       " has a quote that is not closed",
				       im->path, im->record);
		if (n == 0 && !im->last)
			return 0;
		at += (size_t)n;
		if (add_cell(im, cells, &c, e) != 0)
			return -1;
	}
	if (im->record == 1 && check_names(im, e) != 0)
		return -1;
	if (im->record == 1 || im->ended || (cells == 1 && !c.p))
		return (int64_t)at; /* a blank line is none either */
	if (cells != im->nnames) {
		err_set(&why, "it has %zu values, not %zu", cells, im->nnames);
		skip(im, &why);
	} else if (take_row(im, e) != 0) {
		return -1;
	}
	return (int64_t)at;
}

static int
add_member(void *ctx, const char *name, size_t len, const struct json_value *v)
{
	struct import *im = ctx;
	char key[FIELD_NAME_MAX];
	const char *p = v->p;
	size_t n = v->len;

	if (!p || len == 0 || len >= sizeof(key))
		return 0;
	memcpy(key, name, len);
	key[len] = 0;
	if (v->escaped) {
		char *to = textrow_scratch(&im->row, n);

		if (!to)
			return -1;
		n = json_unescape(p, n, to);
		p = to;
	}
	textrow_add(&im->row, key, p, n, !v->bare);
	return 0;
}

static int64_t
import_json(struct import *im, const char *p, size_t len, struct err *e)
{
	struct json_visit visit = {im, add_member};
	bool is_object = false;
	struct err why;
	int64_t n;

	textrow_begin(&im->row);
	n = json_read(p, len, im->last, &visit, &is_object);
	if (n == -1)
		return err_set(e, "out of memory");
	if (n == JSON_BAD) {
		n = (int64_t)json_skip(p, len, im->last);
		if (n > 0) {
			err_set(&why, "it is no JSON object");
			skip(im, &why);
		}
	} else if (is_object && take_row(im, e) != 0) {
		return -1;
	}
	im->record -= n > 0 && !is_object && n != JSON_BAD;
	return n;
}

/* A long record is looked at again only when there is twice as much. */
static int
fill_more(struct import *im, struct err *e)
{
	size_t len = im->end - im->start, enough = len < READ ? 0 : 2 * len;

	do
		if (fill(im, e) != 0)
			return -1;
	while (!im->eof && im->end - im->start < enough);
	return 0;
}

static int
import_text(struct import *im,
	    int64_t (*record)(struct import *, const char *, size_t,
			      struct err *),
	    struct err *e)
{
	im->record = 1;
	while (!im->ended) {
		size_t all = im->end - im->start;
		size_t len = all < RECORD_MAX ? all : RECORD_MAX;
		int64_t n;

		im->last = im->eof && len == all;
		n = len == 0 ? 0 : record(im, im->buf + im->start, len, e);
		if (n < 0)
			return -1;
		if (n > 0) {
			im->start += (size_t)n;
			im->record++;
			continue;
		}
		if (im->last)
			return 0;
		if (len == RECORD_MAX)
			return err_set(
			    e, "%s: record %" PRIu64 " is longer than %d bytes",
			    im->path, im->record, RECORD_MAX);
		if (fill_more(im, e) != 0)
			return -1;
	}
	return 0;
}

/* ---- the command ---- */

/* Text that begins with a bracket is JSON. */
static enum form
form_of_text(const struct import *im)
{
	size_t i = im->start;

	while (i < im->end && strchr(" \t\r\n", im->buf[i]))
		i++;
	return i < im->end && strchr("{[", im->buf[i]) ? FORM_JSON : FORM_CSV;
}

/* By the name of the file, else by its first bytes. */
static enum form
guess_form(const struct import *im)
{
	const char *dot = strrchr(im->path, '.');

	if (dot && (strcmp(dot, ".msgpack") == 0 || strcmp(dot, ".mp") == 0))
		return FORM_MSGPACK;
	return FORM_UNKNOWN;
}

static int
import_all(struct import *im, enum form form, struct err *e)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (renew_reader(im, e) != 0)
		return -1;
	if (form == FORM_UNKNOWN)
		form = guess_form(im);
	if (form == FORM_MSGPACK)
		return import_stream(im, e);
	if (fill(im, e) != 0)
		return -1;
	if (im->end >= 3 && memcmp(im->buf, bom, 3) == 0)
		im->start = 3;
	if (form == FORM_UNKNOWN && im->end > 0 && im->buf[0] & 0x80 &&
	    text_utf8(im->buf, im->end) < im->end / 2)
		return err_set(e, "%s is no text: is it --format msgpack?",
			       im->path);
	if (form == FORM_UNKNOWN)
		form = form_of_text(im);
	return import_text(im, form == FORM_CSV ? import_csv : import_json, e);
}

static int
open_input(struct import *im, struct err *e)
{
	struct stat st;

	im->fd = STDIN_FILENO;
	if (strcmp(im->path, "-") != 0)
		im->fd = open(im->path, O_RDONLY | O_CLOEXEC);
	if (im->fd < 0 || fstat(im->fd, &st) != 0)
		return err_sys(e, "cannot open %s", im->path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, "%s is a directory", im->path);
	progress_start(&im->progress, "import", im->table,
		       S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	return 0;
}

static void
clear(struct import *im)
{
	writer_free(im->writer);
	record_reader_free(im->reader);
	shapes_free(im->shapes);
	textrow_clear(&im->row);
	forget_names(im);
	free(im->names);
	free(im->buf);
	if (im->fd > STDIN_FILENO)
		close(im->fd);
}

/* What came before a fault is kept. */
static int
run(struct import *im, enum form form, struct err *e)
{
	struct err later, *e2;
	int r = import_all(im, form, e);

	progress_end(&im->progress);
	e2 = r == 0 ? e : &later;
	if (im->reader && store_rows(im, 1, e2) != 0)
		return -1;
	return finish(im, e2) != 0 ? -1 : r;
}

static void
say(const struct import *im)
{
	const struct writer_stats *s = writer_stats(im->writer);

	command_say("%s: %" PRIu64 " records imported", im->table, s->records);
	if (s->duplicates > 0)
		log_line("%" PRIu64 " records were there already",
			 s->duplicates);
	if (s->dropped > 0)
		log_line("%" PRIu64 " records were dropped", s->dropped);
	if (im->skipped > 0)
		log_line("%s: %" PRIu64 " records skipped, the first is record "
			 "%" PRIu64 ": %s",
			 im->path, im->skipped, im->first_skipped,
			 im->why.text);
}

int
import_run(const struct command_args *a, struct err *e)
{
	struct import im = {.table = a->words[0],
			    .path = a->n > 1 ? a->words[1] : "-",
			    .fd = -1};
	struct writer_options o = {
	    .root = a->root, .table = im.table, .keep = KEEPER_DEFAULTS};
	int r;

	if (command_is_verb(im.table))
		return err_set(e, "'%s' is a command, no table's name",
			       im.table);
	textrow_init(&im.row);
	r = open_input(&im, e);
	if (r == 0)
		im.writer = writer_new(&o, e);
	if (im.writer)
		writer_set_host(im.writer, a->host);
	r = im.writer ? run(&im, a->form, e) : -1;
	if (im.writer)
		say(&im);
	r = r == 0 && (im.skipped > 0 || writer_stats(im.writer)->dropped > 0)
		? 1
		: r;
	clear(&im);
	return r;
}
