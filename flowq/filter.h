/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rows of a block pass: a condition split into conjuncts, the cheap ones
 * first, each either a set of ranges on one field (run on the encoded width,
 * and answered from block statistics where they suffice) or an expression.
 *
 * A row passes if the condition is true; null is not.
 */
#ifndef FLOWQ_FILTER_H
#define FLOWQ_FILTER_H

#include "flowq/view.h"

struct filter;

/* An empty filter, in the arena. */
struct filter *filter_new(struct arena *);

/* Adds a condition that must hold too. */
int filter_add(struct filter *, const struct node *cond, struct err *);
/* field in [lo, hi]. */
int filter_add_range(struct filter *, const struct source *, size_t field,
		     struct range, struct err *);

bool filter_empty(const struct filter *);

enum verdict { NO_ROW, SOME_ROWS, EVERY_ROW };

/* What the statistics say of a block. */
enum verdict filter_check(const struct filter *, struct source *, size_t block);

/* Narrows the view's selection to the rows that pass. */
int filter_run(const struct filter *, struct view *);

/* The i-th conjunct for people; NULL past the last. */
const char *filter_text(const struct filter *, size_t i, char *, size_t size,
			const struct source *);

/* Marks the fields it reads; NODES does so for an expression. */
void filter_fields(const struct filter *, bool *used,
		   void (*nodes)(const struct node *, const struct source *,
				 bool *),
		   const struct source *);

#endif
