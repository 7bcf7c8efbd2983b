/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tabledump ROOT TABLE: every block of a table as a batch of flowrecord(5).
 * tabledump -s ROOT TABLE: a line per column of every block: its statistics
 * and how it is stored.
 * tabledump -c ROOT TABLE: how many records there are, and a sum over them that
 * is the same whatever their order, which tells whether two tables have the
 * same ones.  What differs each time that they are sent is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/err.h"
#include "common/record.h"
#include "common/table.h"
#include "common/text.h"

static struct column cols[SHAPE_FIELDS_MAX]; /* used again by each block */
static struct table_scratch scratch;
static uint64_t hashes[BATCH_ROWS_MAX];

struct sum {
	uint64_t rows, records;
};

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

static bool
is_fleeting(const char *name)
{
	static const char *const names[] = {"_id", "_time", "exporter",
					    "exporter_port", "binding"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static uint64_t
hash_value(const struct value *v, uint64_t seed)
{
	if (v->type == COL_NULL)
		return checksum_seeded(NULL, 0, seed);
	if (v->type == COL_IP)
		return checksum_seeded(v->ip, sizeof(v->ip), seed);
	if (v->type == COL_STRING || v->type == COL_BYTES)
		return checksum_seeded(v->s, v->len, seed);
	return checksum_seeded(&v->u, sizeof(v->u), seed);
}

static void
hash_column(const struct field *f, const struct column *c, uint32_t rows)
{
	uint64_t seed = checksum(f->name, strlen(f->name));
	struct value v;

	for (uint32_t i = 0; i < rows; i++) {
		column_value(c, f->type, i, &v);
		hashes[i] += hash_value(&v, seed);
	}
}

static int
sum_block(const struct table *t, size_t i, struct sum *sum, struct err *e)
{
	const struct block *b = table_block(t, i);

	memset(hashes, 0, sizeof(hashes));
	for (size_t c = 0; c < b->shape->n; c++) {
		const struct field *f = &b->shape->fields[c];

		if (is_fleeting(f->name))
			continue;
		if (table_column(t, i, c, &scratch, &cols[c], e) != 0)
			return -1;
		hash_column(f, &cols[c], b->rows);
	}
	sum->rows += b->rows;
	for (uint32_t k = 0; k < b->rows; k++)
		sum->records += checksum(&hashes[k], sizeof(hashes[k]));
	return 0;
}

static int
show_block(const struct table *t, size_t i, char how, struct sum *sum,
	   struct stream_out *out, struct err *e)
{
	if (how == 'c')
		return sum_block(t, i, sum, e);
	if (how != 's')
		return dump(t, i, out, e);
	print_stats(table_block(t, i));
	return 0;
}

int
main(int argc, char **argv)
{
	char how = argc == 4 && argv[1][0] == '-' ? argv[1][1] : '\0';
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct stream_out out;
	struct table *t = NULL;
	struct sum sum = {0};
	struct err e;
	int r = 0;

	if (argc != (how ? 4 : 3) || !shapes)
		return 2;
	stream_out_init(&out, STDOUT_FILENO);
	if (table_open(&t, argv[argc - 2], argv[argc - 1], shapes, &e) != 0)
		r = -1;
	for (size_t i = 0; r == 0 && i < table_blocks(t); i++)
		r = show_block(t, i, how, &sum, &out, &e);
	if (r == 0 && how == 'c')
		printf("%llu %016llx\n", (unsigned long long)sum.rows,
		       (unsigned long long)sum.records);
	if (r != 0)
		fprintf(stderr, "tabledump: %s\n", e.text);
	for (size_t i = 0; i < SHAPE_FIELDS_MAX; i++)
		column_clear(&cols[i]);
	stream_out_clear(&out);
	table_close(t);
	shapes_free(shapes);
	return r == 0 ? 0 : 1;
}
