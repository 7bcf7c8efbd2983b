/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans of time, and the one that a time is in: spans are aligned in the local
 * time zone, weeks begin on Monday.
 */
#ifndef FLOWQ_BUCKET_H
#define FLOWQ_BUCKET_H

#include "common/eval.h"

struct span {
	int64_t us;	 /* of its length; 0: it is */
	unsigned months; /* so many months */
};

/* "10s", "5m", "1d", "1mon", "1y". -1: it is none. */
int span_parse(const char *, size_t len, struct span *);
/* One that cuts so many seconds into 60 to 200 parts, or the nearest to it. */
struct span span_choose(double seconds);
double span_seconds(const struct span *);

/* Where the bucket of a time begins, and the one after it. */
int64_t span_start(const struct span *, int64_t us);
int64_t span_next(const struct span *, int64_t start);

/* The node for the bucket of a time, which SPAN outlives. NULL: memory is
 * out. */
struct node *bucket_node(struct binder *, struct node *time,
			 const struct span *);
/* Whether a node is such a one. */
bool node_is_bucket(const struct node *);

#endif
