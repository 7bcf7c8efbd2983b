/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink behind `stats`: groups and their aggregates.
 *
 * Each thread has groups of its own (grouping.h).  If there are many, they are
 * merged partition by partition in the next stage's threads, when rows are
 * asked for.  The result has no order.
 */
#ifndef FLOWQ_STATS_H
#define FLOWQ_STATS_H

#include "flowq/group.h"
#include "flowq/scan.h"

/*
 * KEYS and AGGS are bound to SRC and lie in the arena, as does what is made
 * here.  The result's fields are the keys, then the aggregates.
 */
struct sink *stats_new(struct arena *, struct source *src,
		       struct group_key *keys, size_t nkeys, struct agg *aggs,
		       size_t naggs);

/*
 * If a source is what stats makes: no more is wanted of it than the LIMIT
 * groups that are largest by FIELD, and those that are equal to the last.  It
 * may have more.  If it has not all, and TALLY is not NULL, the sum of FIELD
 * over all of them is there.
 */
struct tally;
void stats_want_top(struct source *, size_t field, uint64_t limit,
		    struct tally *);

#endif
