/* SPDX-License-Identifier: BSD-2-Clause */
/* --fields: columns by name. */
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/duration.h"
#include "common/element.h"
#include "common/log.h"
#include "flowlog/filter.h"

struct name {
	const char *name;
	bool seen;    /* in any batch */
	bool implied; /* not asked for by the user */
};

struct fields_filter {
	struct filter filter;
	char **words; /* what names point into */
	bool drops;
	size_t n;
	struct name *names;
	const char **texts; /* the names alone */
	struct column duration;
};

static bool
is_time(const struct view *v, int at)
{
	return at >= 0 && v->cols[at] && v->fields[at].type == COL_TIME;
}

/* Field K of the view becomes `duration`. */
static int
add_duration(struct fields_filter *f, struct view *v, size_t k, struct err *err)
{
	int start = view_find(v, "start_time"), end = view_find(v, "end_time");

	if (!is_time(v, start) || !is_time(v, end))
		return 0;
	if (duration_column(&f->duration, v->cols[start], v->cols[end],
			    v->batch->rows, err))
		return -1;
	f->names[k].seen = true;
	v->transient = true;
	return 1;
}

/* The columns to keep are looked up before any of them moves. */
static int
keep(struct fields_filter *f, struct view *v, struct err *err)
{
	const struct column *cols[SHAPE_FIELDS_MAX];
	struct field fields[SHAPE_FIELDS_MAX];

	for (size_t k = 0; k < f->n; k++) {
		int at = view_find(v, f->names[k].name);

		fields[k] = (struct field){f->names[k].name, COL_NULL};
		cols[k] = NULL;
		if (at >= 0) {
			fields[k].type = v->fields[at].type;
			cols[k] = v->cols[at];
			f->names[k].seen = true;
		} else if (strcmp(f->names[k].name, "duration") == 0) {
			int rc = add_duration(f, v, k, err);

			if (rc < 0)
				return -1;
			if (rc == 0)
				continue;
			fields[k].type = COL_F64;
			cols[k] = &f->duration;
		}
	}
	memcpy(v->fields, fields, f->n * sizeof *fields);
	memcpy(v->cols, cols, f->n * sizeof *cols);
	v->n = f->n;
	v->touched = true;
	return 0;
}

static int
drop(struct fields_filter *f, struct view *v)
{
	size_t n = 0;

	for (size_t k = 0; k < f->n; k++) {
		int at = view_find(v, f->names[k].name);

		if (at < 0)
			continue;
		f->names[k].seen = true;
		v->cols[at] = NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		if (!v->cols[i])
			continue;
		v->fields[n] = v->fields[i];
		v->cols[n++] = v->cols[i];
	}
	v->touched |= n < v->n;
	v->n = n;
	return 0;
}

static int
fields_apply(struct filter *filter, struct view *v, struct err *err)
{
	struct fields_filter *f = (struct fields_filter *)filter;

	return f->drops ? drop(f, v) : keep(f, v, err);
}

static void
fields_finish(const struct filter *filter)
{
	const struct fields_filter *f = (const struct fields_filter *)filter;

	for (size_t k = 0; k < f->n; k++)
		if (!f->names[k].seen && !f->names[k].implied)
			log_line("--fields: no record had a field '%s'",
				 f->names[k].name);
}

static void
fields_free(struct filter *filter)
{
	struct fields_filter *f = (struct fields_filter *)filter;

	column_clear(&f->duration);
	free(f->words);
	free(f->names);
	free(f->texts);
	free(f);
}

static bool
has_name(const struct fields_filter *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->names[i].name, name) == 0)
			return true;
	return false;
}

static void
add_name(struct fields_filter *f, const char *name, bool implied)
{
	if (has_name(f, name))
		return;
	f->names[f->n].name = name;
	f->names[f->n].implied = implied;
	f->texts[f->n++] = name;
}

static int
add_words(struct fields_filter *f, size_t n, struct err *err)
{
	f->drops = n > 0 && f->words[0][0] == '-';
	for (size_t i = 0; i < n; i++) {
		const char *word = f->words[i];

		if ((word[0] == '-') != f->drops)
			return err_set(err,
				       "name the fields to keep or, with '-', "
				       "those to drop, not both");
		word += f->drops;
		if (!*word || strlen(word) >= FIELD_NAME_MAX)
			return err_set(err, "'%s' is no field name", word);
		add_name(f, element_canonical(word), false);
	}
	return n ? 0 : err_set(err, "no field is named");
}

struct filter *
fields_filter_new(const char *list, bool keep_time, struct err *err)
{
	struct fields_filter *f = calloc(1, sizeof *f);
	size_t n = 0;

	if (f)
		f->words = cli_list(list, &n);
	if (f && n < SHAPE_FIELDS_MAX) {
		f->names = calloc(n + 1, sizeof *f->names);
		f->texts = calloc(n + 1, sizeof *f->texts);
	}
	if (!f || !f->words || !f->names || !f->texts) {
		err_set(err, n < SHAPE_FIELDS_MAX ? "out of memory"
						  : "too many fields");
		goto fail;
	}
	if (add_words(f, n, err))
		goto fail;
	if (keep_time && !f->drops)
		add_name(f, "_time", true);
	f->filter.apply = fields_apply;
	f->filter.finish = fields_finish;
	f->filter.free = fields_free;
	return &f->filter;
fail:
	if (f)
		fields_free(&f->filter);
	return NULL;
}

const char *const *
fields_filter_names(const struct filter *filter, size_t *n)
{
	const struct fields_filter *f = (const struct fields_filter *)filter;

	*n = f->drops ? 0 : f->n;
	return f->texts;
}
