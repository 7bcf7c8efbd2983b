/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans of time as keys: a node for where the span that a time is in begins.
 */
#ifndef FLOWQ_BUCKET_H
#define FLOWQ_BUCKET_H

#include "common/eval.h"
#include "common/span.h"

/* SPAN outlives it. NULL: memory is out. */
struct node *bucket_node(struct binder *, struct node *time,
			 const struct span *);
/* Whether a node is such a one. */
bool node_is_bucket(const struct node *);

#endif
