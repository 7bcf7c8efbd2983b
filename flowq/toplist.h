/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups that may be among the largest, without all the others: for a
 * query that wants the first few by a sum or a count and has many groups.
 *
 * Rows are read twice.  The first time what each adds goes to one of many
 * buckets, by the hash of its group.  No group is larger than its bucket, so
 * that the second time only rows of large buckets are grouped.  If the last
 * group that is wanted turns out no smaller than the smallest of these buckets,
 * no other group can be before it, and the answer is exact; else the bar is
 * lowered to that group, and rows are read again.
 */
#ifndef FLOWQ_TOPLIST_H
#define FLOWQ_TOPLIST_H

#include <stdatomic.h>
#include <stdbool.h>

#include "flowq/group.h"

enum { TOPLIST_BITS = 17, TOPLIST_BUCKETS = 1 << TOPLIST_BITS };

enum toplist_phase {
	TOPLIST_OFF,	/* all groups are made */
	TOPLIST_WATCH,	/* that too, as long as there are not many */
	TOPLIST_SKETCH, /* rows go to buckets */
	TOPLIST_PICK,	/* rows of large buckets are grouped */
};

struct toplist {
	_Atomic enum toplist_phase phase;
	size_t agg;		 /* of the plan: by what groups are wanted, */
	uint64_t limit;		 /* and how many */
	struct memory *sketches; /* one per thread */
	size_t threads;
	struct memory picked; /* a bit for each bucket */
	double sum;	      /* of all buckets, once they were chosen from */
	uint64_t bar;
};

/* The first LIMIT groups by aggregate AGG, which is a number. */
void toplist_want(struct toplist *, size_t agg, uint64_t limit);
int toplist_start(struct toplist *, size_t threads, struct err *);
void toplist_clear(struct toplist *);

/*
 * Whether it is worth while to begin: T is what one thread has grouped of TAKEN
 * rows, which were one part in PARTS of all.
 */
bool toplist_promises(const struct toplist *t, const struct group_table *g,
		      uint64_t taken, double parts);

/* Adds N rows. */
void toplist_add(struct toplist *, size_t thread, const uint64_t *hash,
		 const uint64_t *weight, uint32_t n);

/* After all rows were added: chooses buckets. False if too many would have to
 * be. */
bool toplist_pick(struct toplist *);

/* Sets the mask of groups by whether they are in such buckets: 0 if none is. */
uint8_t toplist_mask(const struct toplist *, const uint64_t *hash, uint32_t n,
		     uint8_t *mask);

/*
 * After rows of these buckets were grouped into T: 1 if the groups that are
 * wanted are there; 0 if others have to be picked, which was done; -1 if these
 * would be too many.
 */
int toplist_check(struct toplist *t, const struct group_table *g);

#endif
