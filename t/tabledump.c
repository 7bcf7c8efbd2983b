/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tabledump ROOT TABLE: every block of a table as a batch of flowrecord(5).
 * tabledump -s ROOT TABLE: a line per column of every block: its statistics
 * and how it is stored.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/record.h"
#include "common/table.h"
#include "common/text.h"

static struct column cols[SHAPE_FIELDS_MAX]; /* used again by each block */
static struct table_scratch scratch;

static int
dump(const struct table *t, size_t i, struct stream_out *out, struct err *e)
{
	const struct block *b = table_block(t, i);
	struct batch batch = {.shape = b->shape, .rows = b->rows, .cols = cols};
	int r = 0;

	for (size_t c = 0; c < b->shape->n && r == 0; c++)
		r = table_column(t, i, c, &scratch, &batch.cols[c], e);
	if (r == 0)
		r = record_write(out, &batch, e);
	if (r == 0)
		r = stream_out_flush(out, e);
	return r;
}

static void
print_value(bool has, const struct value *v)
{
	char text[TEXT_MAX];

	if (has)
		printf(" %.*s", (int)text_value(text, v), text);
	else
		printf(" -");
}

static void
print_stats(const struct block *b)
{
	for (size_t c = 0; c < b->shape->n; c++) {
		const struct column_stat *s = &b->stats[c];
		enum col_type t = b->shape->fields[c].type;

		printf("%llu %u %s %s %u %u", (unsigned long long)b->first_id,
		       (unsigned)b->rows, b->shape->fields[c].name,
		       col_type_name(t), (unsigned)s->stored,
		       (unsigned)s->nulls);
		print_value(s->has_minmax, &s->min);
		print_value(s->has_minmax, &s->max);
		if (!s->has_sum)
			printf(" -\n");
		else if (t == COL_I64)
			printf(" %lld\n", (long long)s->isum);
		else
			printf(" %llu\n", (unsigned long long)s->usum);
	}
}

int
main(int argc, char **argv)
{
	bool stats = argc > 1 && strcmp(argv[1], "-s") == 0;
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct stream_out out;
	struct table *t = NULL;
	struct err e;
	int r = 0;

	if (argc != (stats ? 4 : 3) || !shapes)
		return 2;
	stream_out_init(&out, STDOUT_FILENO);
	if (table_open(&t, argv[argc - 2], argv[argc - 1], shapes, &e) != 0)
		r = -1;
	for (size_t i = 0; r == 0 && i < table_blocks(t); i++) {
		if (stats)
			print_stats(table_block(t, i));
		else
			r = dump(t, i, &out, &e);
	}
	if (r != 0)
		fprintf(stderr, "tabledump: %s\n", e.text);
	for (size_t i = 0; i < SHAPE_FIELDS_MAX; i++)
		column_clear(&cols[i]);
	stream_out_clear(&out);
	table_close(t);
	shapes_free(shapes);
	return r == 0 ? 0 : 1;
}
