/* SPDX-License-Identifier: BSD-2-Clause */
/* --source-id: rows by the number that the exporter gave itself. */
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/text.h"
#include "flowlog/filter.h"

struct source_filter {
	struct filter filter;
	size_t n;
	uint64_t ids[]; /* sorted */
};

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
is_listed(const struct source_filter *s, uint64_t id)
{
	if (s->n > 8)
		return bsearch(&id, s->ids, s->n, sizeof id, compare);
	for (size_t i = 0; i < s->n; i++)
		if (s->ids[i] == id)
			return true;
	return false;
}

static bool
is_number(enum col_type type)
{
	return type >= COL_U8 && type <= COL_I64;
}

static bool
row_passes(const struct source_filter *s, const struct column *c,
	   enum col_type type, uint32_t row)
{
	size_t width = col_type_width(type);
	uint64_t id = 0;

	if (column_is_null(c, row))
		return false;
	memcpy(&id, (const char *)c->data + width * row, width);
	if (type == COL_I64 && id > INT64_MAX) /* negative */
		return false;
	return is_listed(s, id);
}

static int
select_rows(const struct source_filter *s, struct view *v,
	    const struct column *c, enum col_type type, struct err *err)
{
	uint32_t *out = view_selection(v, v->rows, err), n = 0;

	if (!out)
		return -1;
	for (uint32_t i = 0; i < v->rows; i++) {
		uint32_t row = v->selected ? v->selected[i] : i;

		out[n] = row;
		n += row_passes(s, c, type, row);
	}
	if (n < v->rows)
		view_select(v, n);
	return 0;
}

static int
source_apply(struct filter *f, struct view *v, struct err *err)
{
	const struct source_filter *s = (const struct source_filter *)f;
	int at = view_find(v, "source_id");
	const struct column *c = at < 0 ? NULL : v->cols[at];
	enum col_type type;

	if (v->rows == 0)
		return 0;
	if (!c || !is_number(v->fields[at].type)) {
		view_drop(v);
		return 0;
	}
	type = v->fields[at].type;
	if (!c->constant)
		return select_rows(s, v, c, type, err);
	if (!row_passes(s, c, type, 0))
		view_drop(v);
	return 0;
}

static void
source_free(struct filter *f)
{
	free(f);
}

struct filter *
source_filter_new(const char *text, const struct filter_options *o,
		  struct err *err)
{
	struct source_filter *s = NULL;
	size_t n = 0;
	char **words = cli_list(text, &n);

	(void)o;
	if (words)
		s = calloc(1, sizeof *s + n * sizeof *s->ids);
	if (!s) {
		err_set(err, "out of memory");
		goto fail;
	}
	for (; s->n < n; s->n++)
		if (text_read_u64(words[s->n], strlen(words[s->n]),
				  &s->ids[s->n])) {
			err_set(err, "'%.200s' is no number", words[s->n]);
			goto fail;
		}
	qsort(s->ids, n, sizeof *s->ids, compare);
	s->filter.apply = source_apply;
	s->filter.free = source_free;
	free(words);
	return &s->filter;
fail:
	free(words);
	free(s);
	return NULL;
}
