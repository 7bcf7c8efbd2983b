/* SPDX-License-Identifier: BSD-2-Clause */
/* --where, --exporter and --match: rows for which a condition is true. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/cli.h"
#include "common/regex.h"
#include "flowlog/filter.h"
#include "flowlog/program.h"

struct where_filter {
	struct filter filter;
	struct program *program;
	bool invert; /* rows for which it is not true */
};

/* Whether each row passes: its value is true, or with INVERT is not. */
static void
judge(const struct vec *r, uint32_t n, bool invert, uint8_t *pass)
{
	const uint8_t *in = r->data;

	if (r->null)
		for (uint32_t i = 0; i < n; i++)
			pass[i] = (uint8_t)((in[i] & !r->null[i]) ^ invert);
	else
		for (uint32_t i = 0; i < n; i++)
			pass[i] = in[i] ^ invert;
}

static bool
is_true(const struct vec *r)
{
	return r->type == TYPE_BOOL && !VEC_NULL(*r, 0) &&
	       VEC_AT(*r, uint8_t, 0);
}

/* The rows for which part I of the condition is true. */
static int
select_rows(struct where_filter *w, size_t i, struct view *v, struct err *err)
{
	uint8_t pass[PROGRAM_WINDOW];
	uint32_t kept = 0;

	if (view_selection(v, err))
		return -1;
	for (uint32_t at = 0; at < v->rows; at += PROGRAM_WINDOW) {
		uint32_t n = v->rows - at;
		struct vec r;

		n = n > PROGRAM_WINDOW ? PROGRAM_WINDOW : n;
		if (program_run(w->program, i, at, n, &r, err))
			return -1;
		if (r.constant && is_true(&r) != w->invert && at == 0)
			return 0;
		if (r.constant)
			memset(pass, is_true(&r) != w->invert, n);
		else
			judge(&r, n, w->invert, pass);
		kept = view_keep(v, at, n, pass, kept);
	}
	view_select(v, kept);
	return 0;
}

static int
where_apply(struct filter *f, struct view *v, struct err *err)
{
	struct where_filter *w = (struct where_filter *)f;
	enum expr_type type;

	if (program_bind(w->program, v, &type, err))
		return -1;
	if (v->rows == 0)
		return 0;
	if (type == TYPE_NULL) {
		if (!w->invert)
			view_drop(v);
		return 0;
	}
	/* All parts must be true: each looks at what those before have left. */
	for (size_t i = 0; i < program_parts(w->program) && v->rows; i++)
		if (select_rows(w, i, v, err))
			return -1;
	return 0;
}

static void
where_finish(const struct filter *f)
{
	program_finish(((const struct where_filter *)f)->program);
}

static void
where_free(struct filter *f)
{
	program_free(((struct where_filter *)f)->program);
	free(f);
}

/* TEXT is freed. */
static struct filter *
where_new(const char *label, char *text, const struct filter_options *o,
	  struct err *err)
{
	struct where_filter *w = calloc(1, sizeof *w);

	if (w && text)
		w->program = program_new(label, text, PROGRAM_CONDITION,
					 !o->changed, err);
	else
		err_set(err, "out of memory");
	free(text);
	if (!w || !w->program) {
		free(w);
		return NULL;
	}
	w->filter.apply = where_apply;
	w->filter.finish = where_finish;
	w->filter.free = where_free;
	return &w->filter;
}

struct filter *
where_filter_new(const char *text, const struct filter_options *o,
		 struct err *err)
{
	return where_new("--where", strdup(text), o, err);
}

/* An address, or a network with its prefix. */
static bool
is_network(const char *word)
{
	struct literal lit;
	unsigned __int128 ip;

	return literal_ip(word, strlen(word), &ip) == 0 ||
	       literal_cidr(word, strlen(word), &lit) == 0;
}

/* "exporter in (10.0.0.0/8, ...)"; to be freed. */
static char *
exporter_condition(char *const *words, size_t n, struct err *err)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f) {
		err_sys(err, "cannot make a filter");
		return NULL;
	}
	fputs("exporter in (", f);
	for (size_t i = 0; i < n; i++) {
		if (!is_network(words[i])) {
			err_set(err,
				"'%.200s' is no address and no network "
				"(10.0.0.1, 10.0.0.0/8, 2001:db8::/32)",
				words[i]);
			fclose(f);
			free(text);
			return NULL;
		}
		fprintf(f, "%s%s", i ? ", " : "", words[i]);
	}
	fputc(')', f);
	fclose(f);
	return text;
}

struct filter *
exporter_filter_new(const char *text, const struct filter_options *o,
		    struct err *err)
{
	size_t n = 0;
	char **words = cli_list(text, &n);
	char *condition;

	if (!words) {
		err_set(err, "out of memory");
		return NULL;
	}
	condition = exporter_condition(words, n, err);
	free(words);
	return condition ? where_new("--exporter", condition, o, err) : NULL;
}

/* match(str(`name`), "pattern"); to be freed. */
static char *
match_condition(const char *name, const char *pattern)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "match(str(`%s`), \"", name);
	for (; *pattern; pattern++) {
		if (*pattern == '"' || *pattern == '\\')
			fputc('\\', f);
		fputc(*pattern, f);
	}
	fputs("\")", f);
	fclose(f);
	return text;
}

/* Asked before it is part of an expression, which nobody typed. */
static bool
is_pattern(const char *pattern, struct err *err)
{
	struct arena arena = {0};
	bool good = regex_new(&arena, pattern, strlen(pattern), err) != NULL;

	arena_free(&arena);
	return good;
}

struct filter *
match_filter_new(const char *text, const struct filter_options *o,
		 struct err *err)
{
	char name[FIELD_NAME_MAX];
	const char *pattern;
	struct where_filter *w;

	if (filter_name(text, true, name, &pattern, err))
		return NULL;
	if (strchr(name, '`')) {
		err_set(err, "'%s' is no field name", name);
		return NULL;
	}
	if (!is_pattern(pattern, err))
		return NULL;
	w = (struct where_filter *)where_new(
	    "--match", match_condition(name, pattern), o, err);
	if (!w)
		return NULL;
	w->invert = o->invert;
	w->filter.drops = true;
	return &w->filter;
}
