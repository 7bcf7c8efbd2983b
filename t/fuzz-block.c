/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile bytes as a block: a head of u16 length, then a body.  Checksums are
 * made right, so that what they protect is reached.  What is accepted is read
 * to the last value.
 */
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { SUM_AT = 8, SUMMED = 16 };

/* Touches every value; the sum keeps the compiler from leaving it out. */
static uint64_t
touch(const struct column *c, enum col_type type, uint32_t rows)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rows; i++) {
		struct value v;

		column_value(c, type, i, &v);
		if (v.type == COL_STRING || v.type == COL_BYTES)
			for (size_t k = 0; k < v.len; k++)
				sum += (uint8_t)v.s[k];
		else if (v.type != COL_NULL)
			sum += v.ip[0];
	}
	return sum;
}

static uint64_t
read_columns(struct block_in *in, const uint8_t *body)
{
	struct table_scratch scratch = {0};
	struct column c = {0};
	struct coded coded = {0};
	uint64_t sum = 0;
	struct err e;

	for (size_t i = 0; i < in->pub.shape->n; i++) {
		struct block_place *at = &in->places[i];

		at->checksum = checksum(body + at->offset, at->stored);
	}
	for (size_t i = 0; i < in->pub.shape->n; i++) {
		if (block_column(in, body, i, &scratch, &c, &e) == 0)
			sum += touch(&c, in->pub.shape->fields[i].type,
				     in->pub.rows);
		if (block_entries(in, body, i, &scratch, &coded, &e) > 0 &&
		    block_codes(in, body, i, &scratch, &coded, &e) == 0)
			for (uint32_t k = 0; k < in->pub.rows; k++)
				if (coded.code[k] >= coded.entries)
					abort();
	}
	coded_clear(&coded);
	column_clear(&c);
	table_scratch_clear(&scratch);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile uint64_t sink;
	size_t len = size < 2 ? 0 : data[0] | (size_t)data[1] << 8;
	struct shapes *shapes;
	struct block_in *in;
	uint8_t *head, *body;
	struct err e;

	if (len < SUMMED || len > size - 2)
		return 0;
	/* copies of their own, so that the sanitizer sees every step aside */
	head = malloc(len);
	body = malloc(size - 2 - len + 1);
	shapes = shapes_new(4);
	if (!head || !body || !shapes)
		abort();
	memcpy(head, data + 2, len);
	memcpy(body, data + 2 + len, size - 2 - len);
	memcpy(head + SUM_AT,
	       &(uint64_t){checksum(head + SUMMED, len - SUMMED)}, 8);
	if (block_parse(head, len, shapes, &in, &e) == 0) {
		if (in->body == size - 2 - len)
			sink += read_columns(in, body);
		block_in_free(in);
	}
	free(head);
	free(body);
	shapes_free(shapes);
	(void)sink;
	return 0;
}
