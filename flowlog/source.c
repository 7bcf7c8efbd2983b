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

enum { WINDOW = 1024, FEW = 8 };

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
is_number(enum col_type type)
{
	return type >= COL_U8 && type <= COL_I64;
}

/* Rows of a column: those in ROWS, or from AT on. */
struct window {
	const struct column *col;
	enum col_type type;
	const uint32_t *rows;
	uint32_t at, n;
};

static uint32_t
row_of(const struct window *w, uint32_t i)
{
	return w->rows ? w->rows[i] : w->at + i;
}

/* Inlined, so that each width has a loop of its own. */
static inline void
read_rows(const struct window *w, size_t width, uint64_t *out)
{
	const char *in = w->col->data;

	memset(out, 0, w->n * sizeof *out);
	if (w->rows)
		for (uint32_t i = 0; i < w->n; i++)
			memcpy(&out[i], in + width * w->rows[i], width);
	else
		for (uint32_t i = 0; i < w->n; i++)
			memcpy(&out[i], in + width * (w->at + i), width);
}

static void
read_ids(const struct window *w, uint64_t *out)
{
	switch (col_type_width(w->type)) {
	case 1:
		read_rows(w, 1, out);
		break;
	case 2:
		read_rows(w, 2, out);
		break;
	case 4:
		read_rows(w, 4, out);
		break;
	default:
		read_rows(w, 8, out);
	}
}

static void
find_ids(const struct source_filter *s, const uint64_t *ids, uint32_t n,
	 uint8_t *pass)
{
	memset(pass, 0, n);
	if (s->n > FEW) {
		for (uint32_t i = 0; i < n; i++)
			pass[i] = bsearch(&ids[i], s->ids, s->n, sizeof *s->ids,
					  compare) != NULL;
		return;
	}
	for (size_t k = 0; k < s->n; k++)
		for (uint32_t i = 0; i < n; i++)
			pass[i] |= ids[i] == s->ids[k];
}

/* Which rows pass: neither null nor negative ones. */
static void
judge(const struct source_filter *s, const struct window *w, uint8_t *pass)
{
	uint64_t ids[WINDOW];

	read_ids(w, ids);
	find_ids(s, ids, w->n, pass);
	if (w->type == COL_I64)
		for (uint32_t i = 0; i < w->n; i++)
			pass[i] &= ids[i] <= INT64_MAX;
	if (w->col->valid)
		for (uint32_t i = 0; i < w->n; i++)
			pass[i] &= !column_is_null(w->col, row_of(w, i));
}

static int
select_rows(const struct source_filter *s, struct view *v, struct window *w,
	    struct err *err)
{
	uint8_t pass[WINDOW];
	uint32_t kept = 0;

	if (view_selection(v, err))
		return -1;
	for (; w->at < v->rows; w->at += WINDOW) {
		w->n = v->rows - w->at;
		w->n = w->n > WINDOW ? WINDOW : w->n;
		w->rows = v->selected ? v->selected + w->at : NULL;
		judge(s, w, pass);
		kept = view_keep(v, w->at, w->n, pass, kept);
	}
	view_select(v, kept);
	return 0;
}

static int
source_apply(struct filter *f, struct view *v, struct err *err)
{
	const struct source_filter *s = (const struct source_filter *)f;
	int at = view_find(v, "source_id");
	struct window w = {.n = 1};
	uint8_t pass = 0;

	if (v->rows == 0)
		return 0;
	if (at >= 0 && v->cols[at] && is_number(v->fields[at].type)) {
		w.col = v->cols[at];
		w.type = v->fields[at].type;
		if (!w.col->constant)
			return select_rows(s, v, &w, err);
		judge(s, &w, &pass);
	}
	if (!pass)
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
