/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of distinct values, from a few to millions, in an arena: the values one
 * after another, found by way of slots once they are more than a few.  Entries
 * begin with the value, of 8 or 16 bytes or text, and may have a count behind.
 */
#ifndef FLOWQ_DISTINCT_H
#define FLOWQ_DISTINCT_H

#include "common/arena.h"
#include "common/token.h"
#include "flowq/spill.h"

struct distinct {
	uint32_t n, cap;
	uint32_t mask;	 /* slots - 1; 0: there are none */
	uint32_t *slots; /* number of an entry + 1, or 0 */
	char *entries;
};

enum distinct_kind {
	DISTINCT_64,	/* {u64} */
	DISTINCT_COUNT, /* {u64, u64 count} */
	DISTINCT_128,	/* {u64[2]} */
	DISTINCT_TEXT,	/* {u64 hash, struct str} */
};

/* Sizes of an entry. */
size_t distinct_size(enum distinct_kind);

/* Adds N values: u64, u64[2], or struct str, of which the text is copied.
 * NULLS may be NULL. -1: memory is out. */
int distinct_add(struct distinct *, enum distinct_kind, const void *values,
		 const uint8_t *nulls, uint32_t n, struct arena *);

/* The entry with that value, made if there is none (a count is 0 then, a text
 * as in VALUE). NULL: memory is out. */
char *distinct_entry(struct distinct *, enum distinct_kind, const void *value,
		     struct arena *);

int distinct_merge(struct distinct *into, enum distinct_kind,
		   const struct distinct *from, struct arena *);

/* Writes values, and adds those that were written. */
int distinct_save(const struct distinct *, enum distinct_kind, struct spill *,
		  struct err *);
int distinct_load(struct distinct *into, enum distinct_kind,
		  struct spill_reader *, struct arena *, struct err *);

/* What spreads values evenly. */
uint64_t distinct_hash(enum distinct_kind, const void *value);

#endif
