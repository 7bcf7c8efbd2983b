/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/rowbatch.h"

#include <stdlib.h>
#include <string.h>

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for rows of the answer");
}

static bool
skipped(const char *name, const char *const *skip)
{
	for (; *skip; skip++)
		if (strcmp(*skip, name) == 0)
			return true;
	return false;
}

static int
choose_fields(struct rowbatch *b, const struct columns *cols,
	      const char *const *skip, struct field *fields, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < cols->n; i++) {
		enum col_type type = expr_col_type(cols->types[i]);

		if (type != COL_NULL && !skipped(cols->names[i], skip))
			fields[n++] = (struct field){cols->names[i], type};
	}
	if (shapes_get(b->shapes, fields, n, &b->shape, err))
		return -1;
	for (size_t k = 0; k < b->shape->n; k++)
		for (size_t i = 0; i < cols->n; i++)
			if (strcmp(cols->names[i], b->shape->fields[k].name) ==
			    0)
				b->from[k] = i;
	return 0;
}

int
rowbatch_init(struct rowbatch *b, const struct columns *cols,
	      const char *const *skip, struct err *err)
{
	struct field *fields = calloc(cols->n + 1, sizeof(*fields));
	int rc;

	*b = (struct rowbatch){.shapes = shapes_new(1)};
	b->from = calloc(cols->n + 1, sizeof(*b->from));
	b->cols = calloc(cols->n + 1, sizeof(*b->cols));
	if (!fields || !b->shapes || !b->from || !b->cols)
		rc = oom(err);
	else
		rc = choose_fields(b, cols, skip, fields, err);
	free(fields);
	if (rc == 0)
		b->batch = batch_new(b->shape);
	return rc || b->batch ? rc : oom(err);
}

void
rowbatch_clear(struct rowbatch *b)
{
	batch_free(b->batch);
	free(b->from);
	free(b->cols);
	shapes_free(b->shapes);
	*b = (struct rowbatch){0};
}

const struct batch *
rowbatch_take(struct rowbatch *b, const struct rowset *rows, uint32_t from,
	      uint32_t n, struct err *err)
{
	struct batch all = {
	    .shape = b->shape, .rows = rows->rows, .cols = b->cols};

	for (size_t k = 0; k < b->shape->n; k++) {
		b->cols[k] = rows->cols[b->from[k]];
		b->cols[k].cap = b->cols[k].bytes_cap = 0;
	}
	batch_clear(b->batch);
	return batch_append(b->batch, &all, from, n, err) ? NULL : b->batch;
}
