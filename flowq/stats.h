/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink behind `stats`: groups and their aggregates.
 *
 * Each thread has a table small enough for its cache.  When it is full, its
 * entries move, by hash, to one of 256 partitions; in the end each partition is
 * merged by itself, in the next stage's threads, when its rows are asked for.
 * The result has no order.
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

#endif
