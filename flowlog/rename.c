/* SPDX-License-Identifier: BSD-2-Clause */
/* --rename: a field under another name, which takes the place of any field
 * that has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/log.h"
#include "flowlog/filter.h"

struct rename_filter {
	struct filter filter;
	char old[FIELD_NAME_MAX], new[FIELD_NAME_MAX];
	bool seen;
};

static int
rename_apply(struct filter *filter, struct view *v, struct err *err)
{
	struct rename_filter *f = (struct rename_filter *)filter;
	int at = view_find(v, f->old);

	(void)err;
	if (at < 0 || !v->cols[at])
		return 0;
	f->seen = true;
	view_rename(v, (size_t)at, f->new);
	return 0;
}

static void
rename_names(const struct filter *filter, struct names *n)
{
	const struct rename_filter *f = (const struct rename_filter *)filter;
	size_t at = 0;

	while (at < n->n && strcmp(n->names[at], f->old) != 0)
		at++;
	if (at == n->n)
		return;
	n->names[at] = ""; /* no field's name: keeps the place */
	names_drop(n, f->new);
	for (at = 0; *n->names[at];)
		at++;
	n->names[at] = f->new;
}

static void
rename_finish(const struct filter *filter)
{
	const struct rename_filter *f = (const struct rename_filter *)filter;

	if (!f->seen)
		log_line("--rename: no record had a field '%s'", f->old);
}

static void
rename_free(struct filter *filter)
{
	free(filter);
}

struct filter *
rename_filter_new(const char *text, const struct filter_options *o,
		  struct err *err)
{
	struct rename_filter *f = calloc(1, sizeof *f);
	char pair[2 * FIELD_NAME_MAX + 2];
	const char *new, *rest;

	(void)o;
	if (!f) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (filter_name(text, true, f->old, &new, err))
		goto fail;
	/* The new name is checked as the old one is. */
	if (strlen(new) >= FIELD_NAME_MAX || strchr(new, '=')) {
		err_set(err, "'%.200s' is no field name", new);
		goto fail;
	}
	snprintf(pair, sizeof pair, "%s=", new);
	if (filter_name(pair, false, f->new, &rest, err))
		goto fail;
	f->filter.apply = rename_apply;
	f->filter.names = rename_names;
	f->filter.finish = rename_finish;
	f->filter.free = rename_free;
	return &f->filter;
fail:
	free(f);
	return NULL;
}
