/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of a stage that is open, without a sink: what joins and unions read.
 * A block is one of the stage's source, filtered when it is opened; its columns
 * are worked out one by one, when they are asked for.
 */
#ifndef FLOWQ_LAZY_H
#define FLOWQ_LAZY_H

#include <pthread.h>

#include "flowq/plan.h"
#include "flowq/view.h"

struct lazy {
	struct branch b; /* its parts live in the plan */
	size_t n;	 /* columns; those that order rows may come last */
	struct source_field *fields;
	const struct node **nodes;
	/* The blocks that the filter may pass rows of: from lazy_prepare on. */
	size_t blocks;
	size_t *live;
	/* _time and _id of a source in order of time, else -1; hidden where
	 * the branch does not show them. */
	int time_field, id_field;
	struct lazy_block *spare; /* under lock */
	pthread_mutex_t lock;
};

/* An open block: the view's selection are its rows. */
struct lazy_block {
	struct view view;
	struct lazy_block *next;
};

int lazy_init(struct lazy *, struct plan *, const struct branch *);
void lazy_clear(struct lazy *);
int lazy_prepare(struct lazy *, struct err *);

int lazy_open(struct lazy *, size_t block, struct lazy_block **, struct err *);
void lazy_close(struct lazy *, struct lazy_block *);

/* As a source's. */
enum col_type lazy_peek(const struct lazy *, size_t block, size_t col,
			const struct column_stat **);
/* Rows of a block: sel[0] to sel[n - 1], in any order and as often as one
 * likes; NULL: the first n. */
struct lazy_rows {
	const uint32_t *sel;
	uint32_t n;
};

/* A column of those rows.  *out is borrowed until the close, or C. */
int lazy_column(struct lazy *, struct lazy_block *, size_t col,
		struct lazy_rows, struct column *c, const struct column **out);

/* Rows SEL[0] to SEL[n - 1] of a column in C; UINT32_MAX: null. */
int column_gather(struct column *c, enum col_type, const struct column *from,
		  const uint32_t *sel, uint32_t n, struct err *);

#endif
