/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "common/csv.h"
#include "flowq/plan.h"
#include "flowq/source_text.h"

struct csvfile_args {
	const char *path;
	char sep; /* 0: as the first line has it */
	bool no_header;
};

static int64_t
csv_record(struct text_row *row, const char *p, size_t len, bool eof,
	   bool *is_row, struct err *err)
{
	const struct text_source *t = row->source;
	char sep = ((const struct csvfile_args *)t->options)->sep;
	struct csv_cell c = {0};
	size_t at = 0;

	for (size_t i = 0; !c.last; i++) {
		int64_t n = csv_read(p + at, len - at, sep, eof, &c);

		if (n < 0)
			return err_set(err, "a quote that is not closed");
		if (n == 0 && !eof)
			return 0;
		at += (size_t)n;
		row->odd |= c.odd || i >= t->nfields;
		if (i < t->nfields)
			row->cells[i] = (struct cell){.p = c.p,
						      .len = (uint32_t)c.len,
						      .bare = true,
						      .escaped = c.escaped,
						      .text = c.odd};
		/* An empty line has nothing to say, or the one value there is.
		 */
		*is_row = i > 0 || c.p || t->nfields == 1;
	}
	return (int64_t)at;
}

/* Only a quote that is not closed is no record, and that is an error. */
static size_t
csv_skip(const char *p, size_t len, bool eof)
{
	(void)p, (void)eof;
	return len;
}

static size_t
csv_cell_text(const struct cell *c, char *out)
{
	return csv_unescape(c->p, c->len, out);
}

static const struct text_format csv_format = {csv_record, csv_skip,
					      csv_cell_text, "record"};

/* Fields by the first line, or as many as it has. */
static int
csv_header(struct text_source *t, struct csvfile_args *a, const char *p,
	   size_t len, struct err *err)
{
	struct csv_cell c = {0};
	char *name = malloc(len + 1);
	size_t at = 0;
	int rc = name ? 0 : err_set(err, "out of memory");

	if (!a->sep)
		a->sep = csv_separator(p, len);
	while (!c.last && rc == 0) {
		int64_t n = csv_read(p + at, len - at, a->sep, true, &c);

		if (n < 0) {
			rc = err_set(err,
				     "%s: line 1: a quote that is not "
				     "closed",
				     t->file.path);
			break;
		}
		at += (size_t)n;
		n = a->no_header || !c.p ? 0 : (int64_t)c.len;
		if (n && c.escaped)
			n = (int64_t)csv_unescape(c.p, c.len, name);
		else if (n)
			memcpy(name, c.p, c.len);
		if (text_source_add(t, name, (size_t)n, err) < 0)
			rc = -1;
	}
	free(name);
	return rc ? -1 : (int)at;
}

static int
csv_open(struct text_source *t, struct csvfile_args *a, struct err *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t start = 0;
	char *buf = malloc(TEXT_HEADER_MAX);
	int64_t n;
	int used = 0;

	if (!buf)
		return err_set(err, "out of memory");
	n = textfile_read(&t->file, 0, buf, TEXT_HEADER_MAX, err);
	if (n >= 3 && !memcmp(buf, bom, 3))
		start = 3;
	if (n == TEXT_HEADER_MAX && !memchr(buf, '\n', (size_t)n))
		n = err_set(err, "%s: the first line is longer than %d bytes",
			    t->file.path, TEXT_HEADER_MAX);
	if (n > (int64_t)start)
		used = csv_header(t, a, buf + start, (size_t)n - start, err);
	for (int i = 0; i < used && !a->no_header; i++)
		t->line += buf[start + (size_t)i] == '\n';
	free(buf);
	if (n < 0 || used < 0)
		return -1;
	if (!a->no_header)
		start += (size_t)used;
	t->options = a;
	return text_source_read(t, start, err);
}

static struct text_source *
open_csv(struct plan *p, struct csvfile_args *a)
{
	struct text_source *t =
	    text_source_new(&csv_format, a->path, p->lexer->err);

	if (t && csv_open(t, a, p->lexer->err)) {
		source_free(&t->src);
		t = NULL;
	}
	if (!t)
		plan_fail(p);
	return t;
}

struct text_source *
csv_source(struct plan *p, const char *path)
{
	struct csvfile_args *a = arena_zalloc(p->arena, sizeof(*a));

	if (!a) {
		plan_oom(p);
		return NULL;
	}
	a->path = path;
	return open_csv(p, a);
}

static int
csvfile_plan(struct plan *p, const struct command *c)
{
	struct text_source *t = open_csv(p, c->args);

	return t ? plan_text(p, t) : -1;
}

static int
csv_option(struct lexer *l, struct csvfile_args *a)
{
	size_t pos;
	bool header;

	for (;;) {
		if (parse_option(l, "header")) {
			if (parse_bool(l, &header))
				return -1;
			a->no_header = !header;
		} else if (parse_option(l, "sep")) {
			struct str s;

			pos = l->tok.pos;
			s = lexer_word(l, "");
			if (s.len != 1 || *s.p == '"' || *s.p == '\n')
				return lexer_fail(l, pos,
						  "expected one character, as "
						  "in sep=\";\"");
			a->sep = *s.p;
		} else {
			return 0;
		}
	}
}

/* ("header" "=" BOOL | "sep" "=" CHARACTER)* PATH */
static int
csvfile_parse(struct lexer *l, void **out)
{
	struct csvfile_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	return csv_option(l, a) || parse_path(l, "the path of a file", &a->path)
		   ? -1
		   : 0;
}

static enum verb_class
csvfile_class(const void *args)
{
	(void)args;
	return VERB_SOURCE;
}

const struct verb verb_csvfile = {
    "csvfile",	   "csvfile [header=f] [sep=C] PATH",
    csvfile_parse, csvfile_plan,
    csvfile_class,
};
