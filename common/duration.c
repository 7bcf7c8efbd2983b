/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/duration.h"

#include <stdlib.h>
#include <string.h>

static int
reserve(struct column *c, uint32_t rows, struct err *err)
{
	size_t cap = (size_t)rows + 1; /* above 0: that is borrowed */

	if (c->cap >= cap)
		return 0;
	column_clear(c);
	c->data = calloc(cap, sizeof(double));
	if (!c->data)
		return err_set(err, "out of memory for %u durations", rows);
	c->cap = cap;
	return 0;
}

static int64_t
time_at(const struct column *c, uint32_t row)
{
	int64_t us;

	if (c->constant)
		row = 0;
	memcpy(&us, (const char *)c->data + sizeof us * row, sizeof us);
	return us;
}

/* Bytes of bitmap that a column has none of count as all ones. */
static uint8_t
valid_byte(const struct column *c, size_t i)
{
	if (!c->valid)
		return 0xff;
	if (c->constant)
		return c->valid[0] & 1 ? 0xff : 0;
	return c->valid[i];
}

int
duration_column(struct column *out, const struct column *start,
		const struct column *end, uint32_t rows, struct err *err)
{
	double *d;

	if (reserve(out, rows, err))
		return -1;
	d = out->data;
	for (uint32_t i = 0; i < rows; i++)
		d[i] = duration_seconds(time_at(start, i), time_at(end, i));
	free(out->valid);
	out->valid = NULL;
	if (!start->valid && !end->valid)
		return 0;
	out->valid = malloc(out->cap / 8 + 1);
	if (!out->valid)
		return err_set(err, "out of memory for %u durations", rows);
	for (size_t i = 0; i < (rows + 7) / 8; i++)
		out->valid[i] = valid_byte(start, i) & valid_byte(end, i);
	/* The value under a null is zero. */
	for (uint32_t i = 0; i < rows; i++)
		if (column_is_null(out, i))
			d[i] = 0;
	return 0;
}
