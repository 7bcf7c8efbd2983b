/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/json.h"

#include <assert.h>

#include "common/json.h"

struct member {
	struct text_row *row;
	struct err *err;
};

static int
on_member(void *ctx, const char *name, size_t len, const struct json_value *v)
{
	const struct member *m = ctx;
	int i = text_source_field(m->row, name, len, m->err);

	if (i < 0)
		return -1;
	m->row->cells[i] = (struct cell){.p = v->p,
					 .len = v->len,
					 .bare = v->bare,
					 .escaped = v->escaped,
					 .text = v->text};
	return 0;
}

static int64_t
json_record(struct text_row *row, const char *p, size_t len, bool eof,
	    bool *is_row, struct err *err)
{
	struct member m = {row, err};

	return json_read(p, len, eof, &(struct json_visit){&m, on_member},
			 is_row);
}

static size_t
json_cell_text(const struct cell *c, char *out)
{
	return json_unescape(c->p, c->len, out);
}

static_assert((int)JSON_BAD == (int)TEXT_BAD, "handed on as it is");

const struct text_format json_format = {json_record, json_skip, json_cell_text,
					"JSON object"};
