/* SPDX-License-Identifier: BSD-2-Clause */
/* --eval: a column made by an expression. */
#include <stdlib.h>

#include "flowlog/filter.h"
#include "flowlog/made.h"

struct eval_filter {
	struct filter filter;
	struct made *made;
	char name[FIELD_NAME_MAX];
};

static int
eval_apply(struct filter *filter, struct view *v, struct err *err)
{
	struct eval_filter *f = (struct eval_filter *)filter;
	const struct column *c;
	enum col_type type;

	if (made_run(f->made, v, &type, &c, err))
		return -1;
	view_set(v, f->name, type, c);
	return 0;
}

static void
eval_names(const struct filter *filter, struct names *n)
{
	names_add(n, ((const struct eval_filter *)filter)->name);
}

static void
eval_finish(const struct filter *filter)
{
	made_finish(((const struct eval_filter *)filter)->made);
}

static void
eval_free(struct filter *filter)
{
	made_free(((struct eval_filter *)filter)->made);
	free(filter);
}

struct filter *
eval_filter_new(const char *text, const struct filter_options *o,
		struct err *err)
{
	struct eval_filter *f = calloc(1, sizeof *f);
	const char *expr;

	if (!f) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (filter_name(text, false, f->name, &expr, err) == 0)
		f->made = made_new("--eval", expr, !o->changed, err);
	if (!f->made) {
		free(f);
		return NULL;
	}
	f->filter.apply = eval_apply;
	f->filter.names = eval_names;
	f->filter.finish = eval_finish;
	f->filter.free = eval_free;
	return &f->filter;
}
