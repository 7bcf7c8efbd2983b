/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What dedup knows of keys: a number for each that was met, and whether a row
 * of it went out.
 *
 * Threads look at blocks in any order, and rows leave one by one in theirs.  So
 * each block keeps the first row of every key that has not gone out yet; which
 * of those is the first of all shows when they leave.
 */
#ifndef FLOWQ_ONCE_H
#define FLOWQ_ONCE_H

#include <pthread.h>

#include "flowq/group.h"

struct once {
	struct group_plan plan; /* of the keys, which lie in the arena */
	size_t max;		/* bytes of memory; 0: any */
	/* the rest is once_start's, under lock where it changes */
	struct group_table table;
	struct arena keep;
	uint8_t *gone; /* by number */
	size_t cap;    /* of gone */
	struct once_seen *seen;
	size_t threads;
	pthread_mutex_t lock;
};

/* ONCE is in the arena; -1: err says why. */
int once_start(struct once *, const struct source *, size_t threads,
	       struct err *);
/* Zeroed, or started. */
void once_clear(struct once *);

/* Narrows the selection of an open block, the NTH, to the first row of each key
 * of which none went out; *numbers, in the view's sel order, are their keys'.
 * They are good until the thread's next block. */
int once_block(struct once *, size_t thread, struct view *, size_t nth,
	       const uint64_t **numbers);
/* Whether a row of the key is the first to go out, which it then has.  One
 * thread at a time. */
bool once_goes(struct once *, uint64_t number);
/* Memory that it takes. */
size_t once_bytes(const struct once *);

#endif
