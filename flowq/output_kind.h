/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kinds of output share; behind output.h.
 */
#ifndef FLOWQ_OUTPUT_KIND_H
#define FLOWQ_OUTPUT_KIND_H

#include <pthread.h>

#include "flowq/output.h"

struct output_kind {
	/* The columns are there. Sets o->own. */
	int (*begin)(struct output *, struct err *);
	int (*write)(struct output *, const struct rowset *, uint32_t from,
		     uint32_t to, struct err *);
	int (*end)(struct output *, struct err *);
	/* May be NULL. */
	int (*tick)(struct output *, struct err *);
	void (*free)(struct output *);
};

struct output {
	struct screen *screen;
	struct output_style style;
	const struct output_kind *kind;
	const struct columns *cols;
	enum col_type *types; /* of them */
	uint64_t rows;
	pthread_mutex_t lock;
	void *own; /* the kind's */
};

extern const struct output_kind output_text, output_msgpack, output_table,
    output_chart;

/* A column of a set, or NULL for one that is null throughout. */
static inline const struct column *
output_column(const struct output *o, const struct rowset *r, size_t k)
{
	return o->types[k] == COL_NULL ? NULL : &r->cols[k];
}

#endif
