/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: keys packed into as few bits as the values of a query need, and flat
 * tables from a key to the states of its aggregates.
 *
 * A key is packed by value: an integer of any width, and an IPv4 address inside
 * an IPv6 column, give the same bits.  Where all parts are on a scale (see
 * range.h) and their bounds together take at most 16, 64 or 128 bits, the key
 * is one integer; else it is a string of bytes outside the entry.
 *
 * Entries lie one after another in the order in which they were made, found by
 * way of slots that are four bytes each: what is hit all over is small, and
 * nothing that is not in use takes memory.
 */
#ifndef FLOWQ_GROUP_H
#define FLOWQ_GROUP_H

#include "common/eval.h"
#include "flowq/aggregate.h"
#include "flowq/memory.h"
#include "flowq/view.h"

enum group_mode {
	GROUP_DENSE, /* the key is the index; unused entries begin with 0, used
			ones with the index + 1, until group_table_pack, and
			then as those of GROUP_64 */
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

enum { GROUP_ARGS_MAX = 8 };

/* What an aggregate is of, in a row that was packed. */
struct group_arg {
	size_t agg, at;
	bool wide; /* 8 bytes, not 4 */
};

struct group_plan {
	size_t nkeys, naggs;
	struct group_key *keys;
	struct agg *aggs;
	enum group_mode mode;
	unsigned bits;
	size_t key_size, stride; /* of an entry */
	bool points;		 /* keys or states point to something */
	/* Rows as they are packed, the key first: 0 if they can not be. */
	size_t row_size;
	size_t nargs;
	struct group_arg args[GROUP_ARGS_MAX];
};

/* Chooses mode, widths and offsets. Keys and aggregates are bound. */
void group_plan_init(struct group_plan *, const struct source *);

struct group_table {
	const struct group_plan *plan;
	uint32_t *slots; /* number of an entry + 1, or 0 */
	size_t mask;	 /* slots - 1 */
	char *entries;	 /* plan->stride each */
	struct memory slots_memory, entries_memory;
	size_t count; /* of entries in use; not of GROUP_DENSE */
	size_t cap;   /* of entries there is room for */
};

int group_table_init(struct group_table *, const struct group_plan *,
		     struct err *);
void group_table_clear(struct group_table *);
/* Empties it and keeps the memory; not of GROUP_DENSE. */
void group_table_reset(struct group_table *);
/* Room for N entries more. */
int group_table_room(struct group_table *, size_t n, struct err *);
/* Memory of a table that has room for so many. */
size_t group_table_bytes(const struct group_plan *, size_t entries);
/* The last thing that happens to a table: entries in use lie one after
 * another, count of them. */
void group_table_pack(struct group_table *);

/* Bytes that a key points to, and that it points to others from now on. */
size_t group_key_text(const struct group_plan *, const char *key,
		      const char **text);
void group_key_set(const struct group_plan *, char *key, const char *text);

/* Keys of N rows or records: at KEYS, each STRIDE bytes after the last. */
struct group_keys {
	uint32_t n;
	const char *keys;
	size_t stride;
	const uint64_t *hash; /* not of GROUP_DENSE */
};

/* A value of what is called NAME is out of the bounds that headers promise. */
int group_out_of_bounds(const char *name, struct err *);

/* Keys of the view's window, in its arena. */
int group_keys(const struct group_plan *, struct view *, struct group_keys *);
/* The hashes of these keys, and nothing else. */
int group_row_hashes(const struct group_plan *, struct view *,
		     const uint64_t **hash);
/* Hashes of keys that begin entries or records: the top bits spread them over
 * partitions. */
void group_hashes(const struct group_plan *, const char *entries, size_t stride,
		  uint32_t n, uint64_t *hash);
uint64_t group_hash(const struct group_plan *, const char *entry);

/* Numbers of the entries with these keys, made if there are none: there must be
 * room.  Entries of GROUP_DENSE are made by who marks them: see agg_rows. */
void group_find(struct group_table *, const struct group_keys *,
		uint32_t *index);
/* The same for one key. What it points to goes to KEEP if it is new. */
int group_add(struct group_table *, const char *key, struct arena *keep,
	      uint32_t *index, struct err *);
/* The same for the rows of the view's window.  Byte keys of new groups go to
 * KEEP. */
int group_rows(struct group_table *, struct view *, struct arena *keep,
	       uint32_t *index);

/* Key K of E->n entries that lie one after another. */
int group_decode(const struct group_plan *, size_t k, const char *entries,
		 struct eval *, struct vec *out);

#endif
