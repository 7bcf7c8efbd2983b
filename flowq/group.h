/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: keys packed into as few bits as the values of a query need, and flat
 * tables from a key to the states of its aggregates.
 *
 * A key is packed by value: an integer of any width, and an IPv4 address inside
 * an IPv6 column, give the same bits.  Where all parts are on a scale (see
 * range.h) and their bounds together take at most 16, 63 or 127 bits, the key
 * is one integer, stored plus one so that zero is an empty entry; else it is a
 * string of bytes outside the entry.
 */
#ifndef FLOWQ_GROUP_H
#define FLOWQ_GROUP_H

#include "common/eval.h"
#include "flowq/aggregate.h"
#include "flowq/view.h"

enum group_mode {
	GROUP_DENSE, /* the key is the index */
	GROUP_64,
	GROUP_128,
	GROUP_BYTES, /* {u64 hash, pointer, u64 length} */
};

struct group_key {
	const char *name;
	const struct node *node;
	scale_t base; /* of its bounds */
	unsigned bits, shift;
};

struct group_plan {
	size_t nkeys, naggs;
	struct group_key *keys;
	struct agg *aggs;
	enum group_mode mode;
	unsigned bits;
	size_t key_size, stride; /* of an entry */
};

/* Chooses mode, widths and offsets. Keys and aggregates are bound. */
void group_plan_init(struct group_plan *, const struct source *);

struct group_table {
	const struct group_plan *plan;
	char *entries; /* plan->stride each; zeroed key: empty */
	size_t mask;   /* entries - 1 */
	size_t count;  /* of used ones; not of GROUP_DENSE */
};

/* ENTRIES: a power of two; ignored by GROUP_DENSE. */
int group_table_init(struct group_table *, const struct group_plan *,
		     size_t entries, struct err *);
void group_table_clear(struct group_table *);
/* More entries, and how many those will be. */
int group_table_grow(struct group_table *, struct err *);
size_t group_table_next(const struct group_table *);
/* Used entries. */
size_t group_table_count(const struct group_table *);

/* Whether N more groups leave it so empty that they are found soon. */
static inline bool
group_table_fits(const struct group_table *t, size_t n)
{
	return t->plan->mode == GROUP_DENSE ||
	       (t->count + n) * 8 <= (t->mask + 1) * 5;
}

/*
 * The entry of each row of the view's window, made if there is none: there
 * must be room.  Byte keys of new groups go to KEEP.  Entries of GROUP_DENSE
 * are made by who marks them: see agg_rows.
 */
int group_rows(struct group_table *, struct view *, struct arena *keep,
	       uint32_t *index);

/* The entry with the same key as FROM, an entry of another table; its states
 * are zero if it is new. */
char *group_entry(struct group_table *, const char *from);

/* Gets that entry's place on its way into the cache. */
void group_prefetch(const struct group_table *, const char *from);

/* Of an occupied entry; its top bits spread entries over partitions. */
uint64_t group_hash(const struct group_plan *, const char *entry);
bool group_used(const struct group_plan *, const char *entry);

/* Key K of the entries, as a vector of N values of the key's type. */
int group_decode(const struct group_plan *, size_t k, char *const *entries,
		 struct eval *, struct vec *out);

#endif
