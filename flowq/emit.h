/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink that passes rows on in the source's order: to the output, or, with
 * a limit, to the next stage.  Blocks are made ready by many threads, a few
 * ahead of the one that is next.
 *
 * Rows of a table are to come newest first, though neither a block nor the
 * blocks among each other need be sorted: a row goes out once no block that is
 * left can hold a newer one.
 */
#ifndef FLOWQ_EMIT_H
#define FLOWQ_EMIT_H

#include "flowq/once.h"
#include "flowq/rowset.h"
#include "flowq/sort.h"

struct writer {
	void *ctx;
	/* Rows [from, to) of a set that has the columns first (and perhaps
	 * more). -1: err; code EPIPE ends the query quietly. */
	int (*write)(void *ctx, const struct rowset *, uint32_t from,
		     uint32_t to, struct err *);
};

/* Without a writer the result is a source. */
struct sink *emit_new(struct arena *, struct source *src,
		      const struct columns *, const struct writer *,
		      uint64_t skip, uint64_t limit);

/* The first row of each key; the result is a source. */
struct emit_once {
	struct group_key *keys; /* bound; in the arena */
	size_t nkeys;
	uint64_t limit; /* of rows */
	size_t memory;	/* that keys and rows may take; 0: any */
};
struct sink *emit_once_new(struct arena *, struct source *src,
			   const struct columns *, const struct emit_once *);

#endif
