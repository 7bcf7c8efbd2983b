/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What timechart makes of its groups: a row for each span of time, with a
 * column for each aggregate of each value that splits them, and rows for the
 * spans in between that have no group.
 */
#ifndef FLOWQ_SERIES_H
#define FLOWQ_SERIES_H

#include "flowq/aggregate.h"
#include "flowq/bucket.h"
#include "flowq/rowset.h"

enum { SERIES_ROWS_MAX = 1 << 20 };

struct series {
	const struct span *span;
	bool fill; /* rows between others, */
	/* and from the span that begins at FROM to that at TO; from > to:
	 * no more than between */
	int64_t from, to;
	const struct agg *aggs;
	size_t naggs;
	bool split;   /* rows have a slot, of which there are so many; else 1 */
	size_t slots; /* 0: there will be no row */
	/* In order of time and slot: _time, the slot if split, the
	 * aggregates. */
	struct rowset *rows;
	size_t max; /* bytes that the rows and the result may take; 0: any */
	/* Of the result: _time, then the aggregates of each slot. */
	size_t width;
	enum expr_type *types;
};

/* A struct writer's, of such rows. CTX is the series. */
int series_write(void *ctx, const struct rowset *from, uint32_t at, uint32_t to,
		 struct err *);
/* What rowsource_later takes. */
int series_fill(void *ctx, struct source *, struct err *);

#endif
