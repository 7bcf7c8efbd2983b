/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregates: count, sum ... over rows of one group or of many.
 *
 * An aggregate's state lies in an entry of a group table.  All zeros is the
 * state over no rows, states are moved with memcpy, and two of them merge into
 * one; what a state points to lives until the answer is out.
 */
#ifndef FLOWQ_AGGREGATE_H
#define FLOWQ_AGGREGATE_H

#include "common/eval.h"
#include "common/table.h"
#include "flowq/spill.h"

/* Rows to be added: row i goes to the entry at base + stride * index[i], or
 * all of them to the one at base if index is NULL. */
struct agg_rows {
	char *base;
	size_t stride;
	const uint32_t *index;
	uint32_t n;
	struct arena *arena; /* what states may point to */
	bool *overflow;	     /* set when a sum leaves its 64 bits */
	/* With index: also set the entry's first 8 bytes to its index + 1. */
	bool mark;
	/* Where each row has its place in the order of all, for those that
	 * want to know: two words, the more significant first. */
	const uint64_t *place[2];
};

struct agg;

/* A column of results. */
struct agg_out {
	void *data; /* of the aggregate's type */
	struct arena *arena;
	bool overflow;
};

struct agg_ops {
	size_t size; /* of the state, a multiple of 8 */
	/* V has one value a row and may have nulls; of the type that bind
	 * chose. -1: memory is out. */
	int (*add)(const struct agg_rows *, size_t offset, const struct vec *v);
	/* INTO and FROM are states, of which FROM is not used any more; arena
	 * and overflow as above. */
	int (*merge)(const struct agg_rows *, char *into, const char *from);
	/* Value I of the column: 1; 0: it is null; -1: memory is out. */
	int (*emit)(const struct agg *, struct agg_out *, const char *state,
		    uint32_t i);
	/* What a block's header says, if all its rows count; false: it does
	 * not say enough. */
	bool (*header)(char *state, uint32_t rows, enum col_type,
		       const struct column_stat *, bool *overflow);
	/* It makes no difference how often a value comes. */
	bool once;
	/* Of a state that points to something: writes that, and adds to INTO
	 * what was written of FROM, whose pointers tell only whether there was
	 * something.  NULL: a state is all there is. */
	int (*save)(const char *state, struct spill *, struct err *);
	int (*load)(const struct agg_rows *, char *into, const char *from,
		    struct spill_reader *, struct err *);
};

struct agg {
	const char *name;	/* of the result */
	const struct node *arg; /* NULL: count of rows */
	enum expr_type type;	/* of the result */
	size_t offset;		/* of its state in an entry */
	const struct agg_ops *ops;
	double param; /* of a percentile; of a rate, the units of time */
};

/* Whether there is an aggregate of that name. */
bool aggregate_exists(const char *name);
/* Their names, for error texts. */
const char *aggregate_names(void);

/* Chooses ops and type for NAME(arg). SECONDS: what rates are of, 0 if that is
 * not known.  -1: err and err_pos say why. */
int aggregate_bind(struct binder *, const char *name, const struct expr *call,
		   double seconds, struct agg *);

/* Whether it wants to know the places of rows. */
bool aggregate_wants_place(const struct agg *);

/* Adds rows to the states of N aggregates; VECS has what each is of. */
int aggregate_add(const struct agg *, size_t n, const struct agg_rows *,
		  const struct vec *vecs);

/* Whether it is a count of rows or a sum of unsigned values. */
bool aggregate_is_number(const struct agg *);

/*
 * Adds states: row i is the entry at FROM + stride * FROM_INDEX[i] (NULL: i),
 * whose states lie as they do in those that they are added to.
 */
int aggregate_merge(const struct agg *, size_t n, const struct agg_rows *,
		    const char *from, const uint32_t *from_index);

#endif
