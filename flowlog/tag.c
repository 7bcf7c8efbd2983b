/* SPDX-License-Identifier: BSD-2-Clause */
/* --tag: the same text in a field of every record. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowlog/filter.h"

struct tag_filter {
	struct filter filter;
	char name[FIELD_NAME_MAX];
	struct column col;
	uint32_t offsets[2];
	char *text;
};

static int
tag_apply(struct filter *filter, struct view *v, struct err *err)
{
	struct tag_filter *f = (struct tag_filter *)filter;

	(void)err;
	view_set(v, f->name, COL_STRING, &f->col);
	return 0;
}

static void
tag_names(const struct filter *filter, struct names *n)
{
	names_add(n, ((const struct tag_filter *)filter)->name);
}

static void
tag_free(struct filter *filter)
{
	free(((struct tag_filter *)filter)->text);
	free(filter);
}

struct filter *
tag_filter_new(const char *text, const struct filter_options *o,
	       struct err *err)
{
	struct tag_filter *f = calloc(1, sizeof *f);
	const char *value;
	size_t len;

	(void)o;
	if (!f) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (filter_name(text, false, f->name, &value, err))
		goto fail;
	len = strlen(value);
	f->text = strdup(value);
	if (!f->text || len > TAG_MAX || text_utf8(value, len) != len) {
		err_set(err, "%s: a tag is UTF-8 text of up to %d bytes",
			f->name, TAG_MAX);
		goto fail;
	}
	f->offsets[1] = (uint32_t)len;
	f->col = (struct column){.constant = true,
				 .data = f->offsets,
				 .bytes = f->text,
				 .bytes_len = len};
	f->filter.apply = tag_apply;
	f->filter.names = tag_names;
	f->filter.free = tag_free;
	return &f->filter;
fail:
	tag_free(&f->filter);
	return NULL;
}
