/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups of one thread while rows come.
 *
 * They are in a table as long as that is of use.  When it grows large, either
 * most rows are a group of their own, and from then on rows go to partitions
 * as they are; or its groups go there, and it starts anew at a size that fits
 * the cache.  When all of it takes more than its share of memory, partitions
 * go to a file.  In the end they are merged one by one.
 */
#ifndef FLOWQ_GROUPING_H
#define FLOWQ_GROUPING_H

#include "flowq/group.h"
#include "flowq/partition.h"

/* A time when partitions went to the file: that of number p is
 * [at[p], at[p + 1]). */
struct spilled {
	struct spilled *next;
	bool rows; /* and not states */
	uint64_t at[PARTITIONS + 1];
};

struct grouping {
	const struct group_plan *plan;
	struct group_plan wide; /* it, where GROUP_DENSE had to be given up */
	struct group_table table;
	bool spills;	/* a small table, whose entries go to STATES */
	bool scatters;	/* rows go to ROWS */
	uint64_t taken; /* rows */
	struct partitions states;
	struct partitions rows;
	struct arena keep; /* what keys and states point to */
	bool overflow;
	size_t share; /* bytes */
	struct spill file;
	struct spilled *spilled; /* the latest first */
};

/* SHARE: bytes of memory that it may take. */
int grouping_init(struct grouping *, const struct group_plan *, struct budget *,
		  size_t share, struct err *);
void grouping_clear(struct grouping *);

/* Whether groups are in partitions. */
bool grouping_is_spread(const struct grouping *);
/* Moves those that are not there. */
int grouping_spread(struct grouping *, struct err *);

/* Goes to the file if it takes more than its share.  Nothing but its own groups
 * may point to what they keep. */
int grouping_fit(struct grouping *, struct err *);

/* Room in the table for N groups more, which may empty it. */
int grouping_room(struct grouping *, size_t n, struct err *);

/* Takes the rows of the view's window, after grouping_fit; VECS has what each
 * aggregate is of, and PLACE where rows are (see agg_rows). */
int grouping_take(struct grouping *, struct view *, const struct vec *vecs,
		  const uint64_t *const place[2]);

/* Where groups are merged: a table, and what its states point to. */
struct group_target {
	struct group_table *table; /* gets the room that it needs */
	struct arena *keep;
	bool *overflow;
	size_t most; /* bytes that states may point to */
};

/* Adds what is in a partition.  Different partitions may be merged at the same
 * time. */
int grouping_merge(struct grouping *, size_t part, const struct group_target *,
		   struct err *);
/* Adds a table's entries; one of GROUP_DENSE is packed. */
int grouping_merge_table(const struct group_table *from,
			 const struct group_target *, struct err *);

#endif
