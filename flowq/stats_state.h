/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of stats share: stats*.c and no others.
 */
#ifndef FLOWQ_STATS_STATE_H
#define FLOWQ_STATS_STATE_H

#include <pthread.h>

#include "flowq/grouping.h"
#include "flowq/stats.h"
#include "flowq/toplist.h"

enum { STATS_RESULT_ROWS = 1 << 16 }; /* of a block of few groups */

struct local {
	struct grouping groups;
	char *one;	  /* the only entry, without keys */
	char *trial;	  /* one that does not count */
	struct agg *rest; /* those that must look at rows */
	char *coded;	  /* entries by code, zero from block to block */
	uint32_t *used;	  /* codes */
	size_t coded_cap;
	size_t blocks; /* that were done */
};

struct stats {
	struct sink sink;
	struct source result;
	struct source *src;
	struct group_plan plan;
	int *fields; /* that keys are made of */
	size_t nfields;
	bool placed; /* an aggregate wants to know the places of rows, */
	struct node place[2]; /* which these say, of rows that have times */
	/* What a header says of the keys: see stats_header.c. */
	struct {
		struct view view;
		struct column *cols; /* one per field of the source */
		char (*values)[32];
	} head;
	size_t threads;
	size_t share; /* bytes that one thread may take */
	struct local *locals;
	enum expr_type *types;
	struct toplist top;
	struct tally *tally; /* of what it wants; may be NULL */
	atomic_bool top_due;
	bool spread;	    /* the result comes by partitions */
	struct part *spare; /* under lock */
	pthread_mutex_t lock;
};

/* "out of memory", "a sum is above ...": -1. */
int stats_oom(struct err *);
int stats_overflow(struct err *);

/*
 * stats_rows.c: rows into groups.
 */

/*
 * How keys vary in a block: not at all, or with the entries of one field, of
 * which *e is a view then.
 */
enum { KEYS_VARY, KEYS_CONSTANT, KEYS_CODED };

/* For KEYS_CODED with a view of the entries: where there are fewer of them than
 * rows. -1: err says why. */
int stats_keys_how(const struct stats *, struct view *, size_t *field,
		   struct view **e);
/* Sets the window that begins there; its rows. */
uint32_t stats_window(struct view *, uint32_t at);
/* Codes of the window's rows, in BUF if they do not lie side by side. */
const uint32_t *stats_window_codes(const struct view *, const uint32_t *code,
				   uint32_t buf[VIEW_CHUNK]);
/* Room for an entry per code. */
int stats_coded_room(const struct stats *, struct local *, uint32_t entries,
		     struct err *);
/* The selected rows of a block: to one entry, to their groups. */
int stats_add_to_one(const struct stats *, struct local *, struct view *,
		     char *entry);
int stats_group_block(const struct stats *, struct local *, struct view *);

/*
 * stats_top.c: the first groups of many, see toplist.h.
 */

/* Whether there are so many groups that the first of them are looked for. */
bool stats_top_due(struct stats *, const struct local *);
int stats_sketch_block(struct stats *, struct local *, struct view *);
/* Narrows the selection to rows whose groups may be wanted. */
int stats_pick_block(const struct stats *, struct view *);

/*
 * stats_header.c: what needs no rows.
 */

int stats_header(struct sink *, struct source *, size_t block, struct err *);

/*
 * stats_result.c: the groups as a source.
 */

int stats_describe(struct stats *, struct arena *);
/* NULL if it is none of stats. */
struct stats *stats_of(struct source *);
void stats_free_parts(struct stats *);

#endif
