/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a query: parsed, planned, and run over a few rows of all types.
 */
#include <stdlib.h>
#include <string.h>

#include "flowq/output.h"
#include "flowq/parse.h"
#include "flowq/plan.h"

enum { FIELDS = 12, ROWS = 3 };

static const char *const names[FIELDS] = {
    "_time", "_id",	 "src_addr", "dst_addr", "dst_port",   "delta",
    "ratio", "protocol", "sampled",  "mac",	 "start_time", "name",
};
static const enum expr_type types[FIELDS] = {
    TYPE_TIME, TYPE_UINT, TYPE_IPV4, TYPE_IP,  TYPE_UINT, TYPE_INT,
    TYPE_REAL, TYPE_UINT, TYPE_BOOL, TYPE_MAC, TYPE_TIME, TYPE_STRING,
};

/* Rows of zeros, ones and the largest values; the first has nulls. */
static struct rowset *
some_rows(void)
{
	static const struct str strings[ROWS] = {
	    {"", 0}, {"eth0", 4}, {"a\"\n\xff*", 5}};
	static const uint8_t bools[ROWS] = {0, 1, 1}, nulls[ROWS] = {1, 0, 0};
	static const uint64_t words[ROWS] = {0, 1, INT64_MAX};
	static const unsigned __int128 ips[ROWS] = {0, 1,
						    ~(unsigned __int128)0};
	struct rowset *r = rowset_new(FIELDS, types);
	struct vec vecs[FIELDS];
	struct err err;

	for (int i = 0; i < FIELDS; i++) {
		const void *data = words;

		if (types[i] == TYPE_STRING)
			data = strings;
		else if (types[i] == TYPE_BOOL)
			data = bools;
		else if (types[i] == TYPE_IP)
			data = ips;
		vecs[i] =
		    (struct vec){types[i], false, i > 1 ? nulls : NULL, data};
	}
	if (rowset_append(r, vecs, ROWS, &err))
		abort();
	return r;
}

static int
drop(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
     struct err *err)
{
	(void)ctx, (void)r, (void)err;
	if (from > to || to > r->rows)
		abort();
	return 0;
}

static int
run(struct plan *p)
{
	for (struct stage *s = p->first; s; s = s->next) {
		struct scan scan = {
		    .src = s->src, .filter = s->filter, .sink = s->sink};

		if (!s->done && scan_run(&scan, p->lexer->err))
			return -1;
		s->done = true;
	}
	return 0;
}

/* A site's: no query touches a file. */
static int
open_rows(struct source **src, struct err *err)
{
	*src = rowsource_new(FIELDS, names, types);
	if (!*src || rowsource_add(*src, some_rows(), err))
		abort();
	(*src)->time_field = 0;
	(*src)->id_field = 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct site site = {.open = open_rows};
	static const struct output_style style = {.format = OUTPUT_ROW};
	struct screen *screen = screen_new(1, false);
	struct output *out = screen ? output_new(screen, &style) : NULL;
	struct writer writer = {.write = drop};
	struct arena arena = {0};
	struct lexer lexer;
	struct query query;
	struct plan plan = {
	    .arena = &arena, .lexer = &lexer, .site = &site, .run = run};
	struct err err = {0};

	if (!out)
		abort();
	lexer_init(&lexer, (const char *)data, size, &arena, &err);
	lexer.now = 1795428000000000;
	if (query_parse(&lexer, &query) == 0) {
		if (plan_make(&plan, &query, out, &writer) == 0)
			run(&plan);
		plan_clear(&plan);
	} else if (!err.text[0] || lexer.err_pos > size) {
		abort(); /* an error says what and where */
	}
	output_free(out);
	screen_free(screen);
	arena_free(&arena);
	return 0;
}
