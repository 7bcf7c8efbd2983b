/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch as it came, seen as the table has it: with _id, with _time even
 * where it was missing, with _host if one was given.
 */
#ifndef FLOWSTORE_ADAPT_H
#define FLOWSTORE_ADAPT_H

#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

/* How the columns of one shape become those of another. */
struct route {
	const struct shape *from; /* of the reader */
	const struct shape *to;	  /* of the table; NULL if there is no room */
	int *source; /* per column of TO: a column of FROM, or enum made */
};

/* HOST may be NULL. The shape is interned in SHAPES. -1 only if memory is
 * out; a shape that does not fit has to == NULL and why in err. */
int route_init(struct route *, const struct shape *from, struct shapes *,
	       const char *host, struct err *);
void route_clear(struct route *);

/* Columns that the table adds, and the view that has them. */
struct adapt {
	struct batch view;
	size_t cap;	/* of view.cols */
	uint64_t *ids;	/* BATCH_ROWS_MAX of them */
	int64_t now;	/* microseconds: for records without _time */
	int64_t *times; /* _time with its nulls filled */
	uint32_t host_at[2];
	char *host; /* borrowed; NULL for none */
};

int adapt_init(struct adapt *, struct err *);
void adapt_clear(struct adapt *);
/* Of views from now on: borrowed; NULL for none. */
void adapt_set_host(struct adapt *, const char *host);

/* B as ROUTE says, ids from FIRST_ID on. Valid until the next call or as long
 * as B. NULL when memory is out. */
const struct batch *adapt_view(struct adapt *, const struct route *,
			       const struct batch *b, uint64_t first_id,
			       int64_t now);

#endif
