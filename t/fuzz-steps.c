/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any lines as the steps of a logger, KIND=TEXT each, over batches of all
 * types, of which the first rows are null, and over rows of other types.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flowlog/setting.h"
#include "flowlog/sink.h"

enum { ROWS = 20, LINES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct field fields[] = {
    {"_time", COL_TIME},       {"src_addr", COL_IPV4}, {"dst_addr", COL_IP},
    {"dst_port", COL_U16},     {"src_port", COL_U16},  {"octet_count", COL_U64},
    {"packet_count", COL_U32}, {"protocol", COL_U8},   {"tcp_flags", COL_U8},
    {"delta", COL_I64},	       {"ratio", COL_F64},     {"sampled", COL_BOOL},
    {"mac", COL_MAC},	       {"name", COL_STRING},   {"raw", COL_BYTES},
    {"start_time", COL_TIME},  {"end_time", COL_TIME}, {"source_id", COL_U32},
    {"exporter", COL_IPV4},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static struct value
value_of(enum col_type type, uint32_t row)
{
	static const char *const texts[] = {"", "eth0", "a\"\n\xff*", "x=y",
					    "zürich"};
	struct value v = {.type = type};

	switch (type) {
	case COL_STRING:
	case COL_BYTES:
		v.s = texts[row % 5];
		v.len = strlen(v.s);
		break;
	case COL_F64:
		v.f = row == 7 ? 1.0 / 0.0 : (double)row / 3;
		break;
	case COL_IP:
		memset(v.ip, (int)row, 16);
		break;
	default:
		v.u = row % 4 == 3 ? UINT64_MAX : row;
		if (col_type_width(type) < 8)
			v.u &= (UINT64_C(1) << 8 * col_type_width(type)) - 1;
		if (type == COL_BOOL)
			v.u &= 1;
	}
	return v;
}

static struct batch *
some_rows(struct shapes *shapes, const struct field *list, size_t n)
{
	const struct shape *shape;
	struct batch *b;
	struct err err;

	if (shapes_get(shapes, list, n, &shape, &err) ||
	    !(b = batch_new(shape)) || batch_reserve(b, ROWS, &err))
		abort();
	for (size_t i = 0; i < shape->n; i++)
		for (uint32_t row = 0; row < ROWS; row++) {
			enum col_type type = shape->fields[i].type;
			struct value v = value_of(type, row);

			if (row < 2 && i % 3)
				v = (struct value){.type = COL_NULL};
			if (column_put(&b->cols[i], type, row, &v, &err))
				abort();
		}
	b->rows = ROWS;
	return b;
}

/* The same names, and the types of a stranger. */
static struct batch *
odd_rows(struct shapes *shapes)
{
	struct field odd[FIELDS];

	for (size_t i = 0; i < FIELDS; i++)
		odd[i] = (struct field){fields[i].name,
					fields[(i + 5) % FIELDS].type};
	return some_rows(shapes, odd, FIELDS);
}

static void
run(struct filter *filters, struct shapes *shapes, const struct batch *b,
    struct sink *sink)
{
	struct view *v = view_new();
	struct err err;

	if (!v)
		abort();
	view_start(v, b, NULL, 0);
	if (filters_apply(filters, v, &err) == 0) {
		if (v->rows > b->rows || v->n > SHAPE_FIELDS_MAX)
			abort();
		if (sink_put(sink, v, shapes, &err) == 0)
			sink_flush(sink, &err);
	}
	view_free(v);
}

static void
run_all(const struct settings *s, const char *format)
{
	static int null = -1;
	struct shapes *shapes = shapes_new(64);
	struct batch *b = some_rows(shapes, fields, FIELDS);
	struct batch *odd = odd_rows(shapes);
	struct filter *filters = NULL;
	struct err err;
	size_t bad;

	if (null < 0)
		null = open("/dev/null", O_WRONLY);
	if (settings_filters(s, true, &filters, &bad, &err) == 0) {
		struct sink *sink = sink_new(format, null, &err);

		run(filters, shapes, b, sink);
		run(filters, shapes, odd, sink);
		run(filters, shapes, b, sink);
		sink_free(sink);
	}
	filters_free(filters);
	batch_free(odd);
	batch_free(b);
	shapes_free(shapes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *line = text, *end;
	struct settings s = {0};
	struct err err;

	for (int n = 0; line && *line && n < LINES; n++, line = end) {
		char *equals = strchr(line, '=');
		int kind;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (!equals || (end && equals > end))
			continue;
		*equals = '\0';
		kind = setting_find(line);
		if (kind >= 0)
			settings_add(&s, (enum setting_kind)kind, equals + 1,
				     &err);
	}
	run_all(&s, size % 2 ? "json" : "batch");
	settings_clear(&s);
	free(text);
	return 0;
}
