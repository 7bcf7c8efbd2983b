/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of a query as batches: how they leave as flow records.
 */
#ifndef FLOWQ_ROWBATCH_H
#define FLOWQ_ROWBATCH_H

#include "flowq/rowset.h"
#include "flowq/sort.h"

struct rowbatch {
	struct shapes *shapes;
	const struct shape *shape;
	size_t *from;	     /* the column behind each field of the shape */
	struct column *cols; /* of a batch over a rowset, borrowed */
	struct batch *batch; /* the rows at hand */
};

/* SKIP, with a NULL at its end: names that are left out, as is what is null
 * throughout. */
int rowbatch_init(struct rowbatch *, const struct columns *,
		  const char *const *skip, struct err *);
void rowbatch_clear(struct rowbatch *);

/* Rows [from, from + n) of a set with these columns first; N is at most
 * BATCH_ROWS_MAX.  Until the next call. NULL: err. */
const struct batch *rowbatch_take(struct rowbatch *, const struct rowset *,
				  uint32_t from, uint32_t n, struct err *);

#endif
