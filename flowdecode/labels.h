/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that an exporter announced in options data for what its records
 * have as numbers: interfaces, applications and VRFs.
 *
 * A name holds from its announcement on, which matters for sets that had to
 * wait; announcing again replaces.  The text is clean once it is here: UTF-8
 * without control characters, LABEL_TEXT bytes at most.  Bounded: past the
 * bounds new numbers are not kept.
 */
#ifndef FLOWDECODE_LABELS_H
#define FLOWDECODE_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "flowdecode/bounds.h"
#include "flowdecode/columns.h"
#include "flowdecode/plan.h"

enum {
	LABEL_TEXT = 255, /* bytes of one */
	LABEL_ID = 9,	  /* bytes of a number, on the wire */
};

struct label;

/* Open addressing, at most half full.  All zero but the seed is empty. */
struct labels {
	struct label *slots;
	size_t n, mask;
	size_t bytes;	/* of memory */
	uint32_t flags; /* PLAN_INTERFACES ...: what kinds there are */
	bool changed;	/* since a state was saved */
	uint64_t seed;	/* so that nobody can make hashes collide */
};

/* The seed stays. */
void labels_clear(struct labels *);

/* A name as it came: the number as on the wire, and what it is called. */
struct label_set {
	enum label_kind kind;
	const uint8_t *id;
	size_t id_len;
	const char *text;
	size_t len;
	struct when when;
};

/* Takes in a name; empty ones are passed over.  -1 if it is not kept: a bound,
 * or out of memory. */
int labels_set(struct labels *, const struct label_set *);

/* Takes in an options record of PLAN; BASE and CELLS as for plan_uint. Returns
 * how many names were not kept. */
unsigned labels_learn(struct labels *, const struct plan *, const uint8_t *base,
		      const struct cell *cells, struct when);

/* Calls F for each, in the form that labels_set takes. */
void labels_each(const struct labels *,
		 void (*f)(void *ctx, const struct label_set *), void *ctx);

/* Names for the numbers that a copy is about, in a set that came when. */
struct label_copy {
	const struct labels *labels;
	enum label_kind kind;
	const struct copy *copy;
	struct when when;
};

/* Rows [row, row + n) of a string column, the next ones, become the names, and
 * null where there is none.  The column has room for the rows. */
int labels_copy(const struct label_copy *, struct column *, uint32_t row,
		struct err *);

#endif
