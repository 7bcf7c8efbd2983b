/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink behind `sort`: rows in order, all of them or the first few.
 *
 * Keys are encoded into bytes that compare like the values.  With a limit,
 * each thread keeps little more than that many rows, and a row that is behind
 * the last of them is dropped before its other columns are looked at.
 */
#ifndef FLOWQ_SORT_H
#define FLOWQ_SORT_H

#include "flowq/scan.h"

struct sort_key {
	const struct node *node;
	bool descending;
};

/* The sum of a number over all rows that a sort is given, those too that it
 * drops. */
struct tally {
	const struct node *node;
	double sum; /* once it ran; NAN before, and where it is not known */
};

/* Columns of rows that leave a stage. */
struct columns {
	size_t n;
	const char **names;
	const struct node **nodes;
	enum expr_type *types;
};

/*
 * Rows that are equal by all keys keep the source's order.  LIMIT: SIZE_MAX
 * for all.  All lies in the arena; NULL when memory is out.
 */
struct sink *sort_new(struct arena *, const struct columns *,
		      const struct sort_key *keys, size_t nkeys, size_t limit);
/* Has it take that sum, unless that is known when it ends. */
void sort_tally(struct sink *, struct tally *);

#endif
