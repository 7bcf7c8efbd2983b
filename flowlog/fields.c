/* SPDX-License-Identifier: BSD-2-Clause */
/* --fields: columns by name. */
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/element.h"
#include "common/function.h"
#include "common/log.h"
#include "flowlog/filter.h"
#include "flowlog/made.h"

struct word {
	const char *name;
	bool drops;
	bool pattern;
	bool implied;	   /* not asked for by the user */
	bool seen;	   /* in any batch */
	struct made *made; /* a field that follows from others */
};

struct fields_filter {
	struct filter filter;
	char **texts; /* what names point into */
	size_t n;
	struct word *words;
	bool known; /* the names are those of the words: no patterns */
};

/* What is left, being put together. */
struct result {
	size_t n;
	struct field fields[SHAPE_FIELDS_MAX];
	const struct column *cols[SHAPE_FIELDS_MAX];
};

static bool
matches(const struct word *w, const char *name)
{
	if (!w->pattern)
		return strcmp(w->name, name) == 0;
	return wildcard_match((struct str){w->name, strlen(w->name)},
			      (struct str){name, strlen(name)});
}

static bool
has(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->fields[i].name, name) == 0)
			return true;
	return false;
}

static void
push(struct result *r, const char *name, enum col_type type,
     const struct column *c)
{
	r->fields[r->n] = (struct field){name, type};
	r->cols[r->n++] = c;
}

static void
add(struct result *r, const char *name, enum col_type type,
    const struct column *c)
{
	if (r->n < SHAPE_FIELDS_MAX && !has(r, name))
		push(r, name, type, c);
}

static void
drop(struct word *w, struct result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (matches(w, r->fields[i].name)) {
			w->seen = true;
			continue;
		}
		r->fields[n] = r->fields[i];
		r->cols[n++] = r->cols[i];
	}
	r->n = n;
}

static void
keep_matching(struct word *w, const struct view *v, struct result *r)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->cols[i] && matches(w, v->fields[i].name)) {
			w->seen = true;
			add(r, v->fields[i].name, v->fields[i].type,
			    v->cols[i]);
		}
}

/* A field that is missing, or follows from others, has its place. */
static int
keep(struct word *w, struct view *v, struct result *r, struct err *err)
{
	const struct column *c = NULL;
	enum col_type type = COL_NULL;
	int at = view_find(v, w->name);

	if (at >= 0) {
		type = v->fields[at].type;
		c = v->cols[at];
	} else if (w->made && made_run(w->made, v, &type, &c, err)) {
		return -1;
	}
	w->seen |= at >= 0 || type != COL_NULL;
	add(r, w->name, type, c);
	return 0;
}

static int
fields_apply(struct filter *filter, struct view *v, struct err *err)
{
	struct fields_filter *f = (struct fields_filter *)filter;
	bool all = f->words[0].drops;
	struct result r;

	r.n = 0;
	for (size_t i = 0; i < v->n && all; i++)
		if (v->cols[i])
			push(&r, v->fields[i].name, v->fields[i].type,
			     v->cols[i]);
	for (size_t k = 0; k < f->n; k++) {
		struct word *w = &f->words[k];

		if (w->drops)
			drop(w, &r);
		else if (w->pattern)
			keep_matching(w, v, &r);
		else if (keep(w, v, &r, err))
			return -1;
	}
	if (all && r.n == v->n)
		return 0; /* nothing was there to drop */
	memcpy(v->fields, r.fields, r.n * sizeof *r.fields);
	memcpy(v->cols, r.cols, r.n * sizeof(*r.cols));
	v->n = r.n;
	v->touched = true;
	return 0;
}

static void
fields_names(const struct filter *filter, struct names *n)
{
	const struct fields_filter *f = (const struct fields_filter *)filter;

	if (!f->words[0].drops)
		n->n = 0;
	for (size_t k = 0; k < f->n && (f->known || f->words[0].drops); k++) {
		const struct word *w = &f->words[k];

		if (!w->drops && n->n == 0 && !f->words[0].drops)
			n->names[n->n++] = w->name;
		else if (!w->drops)
			names_add(n, w->name);
		else if (!w->pattern)
			names_drop(n, w->name);
		else
			n->n = 0;
	}
}

static void
fields_finish(const struct filter *filter)
{
	const struct fields_filter *f = (const struct fields_filter *)filter;

	for (size_t k = 0; k < f->n; k++)
		if (!f->words[k].seen && !f->words[k].implied)
			log_line("--fields: no record had a field '%s'",
				 f->words[k].name);
}

static void
fields_free(struct filter *filter)
{
	struct fields_filter *f = (struct fields_filter *)filter;

	for (size_t k = 0; k < f->n; k++)
		made_free(f->words[k].made);
	free(f->words);
	free(f->texts);
	free(f);
}

static int
add_word(struct fields_filter *f, const char *text, struct err *err)
{
	struct word *w = &f->words[f->n];

	w->drops = text[0] == '-';
	text += w->drops;
	if (!*text || strlen(text) >= FIELD_NAME_MAX)
		return err_set(err, "'%.200s' is no field name", text);
	w->pattern = strchr(text, '*') != NULL;
	f->known &= !w->pattern;
	w->name = w->pattern ? text : element_canonical(text);
	f->n++;
	if (w->drops || w->pattern || !made_is_virtual(w->name))
		return 0;
	w->made = made_new("--fields", w->name, false, err);
	return w->made ? 0 : -1;
}

struct filter *
fields_filter_new(const char *text, const struct filter_options *o,
		  struct err *err)
{
	struct fields_filter *f = calloc(1, sizeof *f);
	size_t n = 0;

	if (f)
		f->texts = cli_list(text, &n);
	if (f && n < SHAPE_FIELDS_MAX)
		f->words = calloc(n + 1, sizeof *f->words);
	if (!f || !f->texts || !f->words) {
		err_set(err, n < SHAPE_FIELDS_MAX ? "out of memory"
						  : "too many fields");
		goto fail;
	}
	f->known = true;
	for (size_t i = 0; i < n; i++)
		if (add_word(f, f->texts[i], err))
			goto fail;
	if (n == 0) {
		err_set(err, "no field is named");
		goto fail;
	}
	if (o->keep_time && !f->words[0].drops)
		f->words[f->n++] =
		    (struct word){.name = "_time", .implied = true};
	f->filter.apply = fields_apply;
	f->filter.names = fields_names;
	f->filter.finish = fields_finish;
	f->filter.free = fields_free;
	return &f->filter;
fail:
	if (f)
		fields_free(&f->filter);
	return NULL;
}
