/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile text into the readers of CSV and JSON, and what they give on its way
 * to a record: values, rows, columns.  Text that comes a piece at a time must
 * give what it gives as a whole.
 *
 * The first byte says what it is read as, and the second how much comes first.
 */
#include <stdlib.h>
#include <string.h>

#include "common/csv.h"
#include "common/json.h"
#include "common/record.h"
#include "flowstore/nfdump.h"
#include "flowstore/textrow.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { AS_JSON = 1, AS_NFDUMP = 2, COLUMNS = 64 };

struct reading {
	struct textrow row;
	struct shapes *shapes;
	struct record_reader *reader;
	uint64_t seen; /* a hash of all that came */
	bool nfdump;
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
see(struct reading *r, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		r->seen = (r->seen ^ (uint8_t)p[i]) * UINT64_C(1099511628211);
	r->seen = (r->seen ^ len) * UINT64_C(1099511628211);
}

static void
end_row(struct reading *r)
{
	const struct batch *b;
	size_t len;
	const char *obj = textrow_end(&r->row, &len);
	struct err e;

	must(obj != NULL);
	see(r, obj, len);
	if (record_read(r->reader, obj, len, &b, &e) < 0)
		must(e.text[0]);
	while ((b = record_reader_take(r->reader, 16)))
		must(b->rows > 0);
	textrow_begin(&r->row);
}

/* ---- CSV ---- */

static void
add_cell(struct reading *r, size_t i, const struct csv_cell *c)
{
	static const char *const names[] = {"sa",
					    "pr",
					    "flg",
					    "sp",
					    "eng",
					    "mpls1",
					    "cl",
					    "_time",
					    "src_addr",
					    "interface_name",
					    "e9_1",
					    "x",
					    "dst_mac_address"};
	const char *name = names[i % (sizeof(names) / sizeof(*names))];
	const char *p = c->p;
	size_t len = c->len;
	char *to;

	if (!p)
		return;
	if (c->escaped) {
		to = textrow_scratch(&r->row, len);
		must(to != NULL);
		len = csv_unescape(p, len, to);
		must(len <= c->len);
		p = to;
	}
	if (r->nfdump)
		nfdump_add(&r->row, name, p, len);
	else
		textrow_add(&r->row, name, p, len, false);
}

/* One record: its length; 0: it needs more, or there is none. */
static size_t
csv_record(struct reading *r, const char *p, size_t len, char sep, bool eof)
{
	struct csv_cell c = {0};
	size_t at = 0;

	textrow_begin(&r->row);
	for (size_t i = 0; !c.last; i++) {
		int64_t n = csv_read(p + at, len - at, sep, eof, &c);

		if (n < 0 || (n == 0 && !eof))
			return 0;
		must((size_t)n <= len - at);
		at += (size_t)n;
		if (c.p)
			must(c.p >= p && c.p + c.len <= p + at);
		if (i < COLUMNS)
			add_cell(r, i, &c);
	}
	end_row(r);
	return at;
}

/* ---- JSON ---- */

static int
add_member(void *ctx, const char *name, size_t len, const struct json_value *v)
{
	struct reading *r = ctx;
	char key[FIELD_NAME_MAX], *to;
	const char *p = v->p;
	size_t n = v->len;

	must(len < sizeof(key));
	memcpy(key, name, len);
	key[len] = 0;
	if (!p)
		return 0;
	if (v->escaped) {
		to = textrow_scratch(&r->row, n);
		must(to != NULL);
		n = json_unescape(p, n, to);
		must(n <= v->len);
		p = to;
	}
	textrow_add(&r->row, key, p, n, !v->bare);
	return 0;
}

static size_t
json_record(struct reading *r, const char *p, size_t len, char sep, bool eof)
{
	struct json_visit visit = {r, add_member};
	bool is_object = false;
	int64_t n;

	(void)sep;
	textrow_begin(&r->row);
	n = json_read(p, len, eof, &visit, &is_object);
	must(n >= 0 || n == JSON_BAD);
	if (n == JSON_BAD)
		n = (int64_t)json_skip(p, len, eof);
	else if (is_object)
		end_row(r);
	must((size_t)n <= len);
	return (size_t)n;
}

/* ---- both ---- */

static uint64_t
read_all(const char *p, size_t len, size_t first, int as)
{
	struct reading r = {.nfdump = as & AS_NFDUMP};
	char sep = csv_separator(p, len);
	size_t at = 0, n;

	textrow_init(&r.row);
	r.shapes = shapes_new(SHAPES_MAX);
	r.reader = r.shapes ? record_reader_new(r.shapes) : NULL;
	must(r.reader != NULL);
	for (int whole = first >= len; whole < 2; whole++) {
		size_t end = whole ? len : first;

		while (at < end) {
			n = as & AS_JSON
				? json_record(&r, p + at, end - at, sep, whole)
				: csv_record(&r, p + at, end - at, sep, whole);
			if (n == 0)
				break;
			at += n;
		}
	}
	record_reader_free(r.reader);
	shapes_free(r.shapes);
	textrow_clear(&r.row);
	return r.seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int as = size > 0 ? data[0] : 0;
	size_t first = size > 1 ? data[1] : 0, len;
	char *text;

	if (size < 3)
		return 0;
	len = size - 2;
	/* of its own, so that a byte too far is seen */
	text = malloc(len);
	must(text != NULL);
	memcpy(text, data + 2, len);
	must(read_all(text, len, len, as) == read_all(text, len, first, as));
	free(text);
	return 0;
}
