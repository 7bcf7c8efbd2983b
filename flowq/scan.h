/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One stage of a query at work: threads take blocks of a source, filter them
 * and hand what is left to a sink.
 *
 * A sink keeps a state for each thread and joins them at the end.  What it
 * makes of the rows is a source again (or goes out as text).
 */
#ifndef FLOWQ_SCAN_H
#define FLOWQ_SCAN_H

#include <stdatomic.h>

#include "flowq/filter.h"
#include "flowq/source.h"
#include "flowq/spill.h"
#include "flowq/view.h"

struct sink;

struct sink_ops {
	const char *name; /* for explain */
	/* Before all else; THREADS states will be used, of todo blocks. */
	int (*start)(struct sink *, size_t threads, struct err *);
	/* All rows of a block count and its header may do: 1 if it did. May be
	 * NULL. One thread. */
	int (*header)(struct sink *, struct source *, size_t block,
		      struct err *);
	/* Selected rows of an open block, the nth of those to do; may find
	 * none selected.  Sets *stop when no more rows are wanted. */
	int (*block)(struct sink *, size_t thread, struct view *, size_t nth,
		     atomic_bool *stop);
	/* After the last block: 1 if all of them are wanted once more (of a
	 * source that can do that).  May be NULL. */
	int (*again)(struct sink *, struct err *);
	/* After that. One thread. */
	int (*finish)(struct sink *, struct err *);
	/* The i-th expression that it evaluates, NULL past the last. */
	const struct node *(*node)(const struct sink *, size_t i);
	void (*free)(struct sink *);
};

struct sink {
	const struct sink_ops *ops;
	struct source *result; /* of this sink, or NULL */
	struct budget *budget; /* of the query; set before start */
};

/* For who looks on while it runs. */
struct scan_watch {
	atomic_size_t todo, done; /* blocks */
	atomic_uint_fast64_t rows;
};

struct scan {
	struct source *src;
	const struct filter *filter;
	struct sink *sink;
	struct scan_watch *watch; /* may be NULL */
	/* what was done, the last time */
	size_t pruned, from_header, read;
	uint64_t columns_read, overflows;
};

/* How many threads are worth it here. */
size_t scan_threads(void);

/* Fails with EINTR after Ctrl-C. */
int scan_run(struct scan *, struct err *);

static inline void
sink_free(struct sink *s)
{
	if (s)
		s->ops->free(s);
}

#endif
