/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the decoder knows, kept on disk: templates, sampling rates, names, and
 * sets that wait.  A directory with
 *
 *	state	an LMDB environment (see saved.h), replaced as a whole at the
 *		start and then written by transactions that are synced
 *	.lock	held by the process that uses it
 *
 * What is read was looked over first (common/pages.h), and what is written is
 * a file made by this process, so a damaged one does no harm: it is set aside
 * as state.damaged-TIME, and what could be read of it is kept.
 */
#ifndef FLOWDECODE_STATE_H
#define FLOWDECODE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowdecode/saved.h"

enum { STATE_VERSION = 1 };

struct state;

/* How far input and output have come, written with the rest.  All 0: it is not
 * known. */
struct position {
	uint64_t in_stream, in_number;
	uint64_t out_stream, out_number;
};

/*
 * Opens the state in DIR (made if it is missing), takes in what it has, and
 * begins a new file with that.  ROOM is the bytes of sets that may wait.
 * REAL_US is the time; the decoder must have been told its own.  If a damaged
 * file was set aside NOTE says so, else it is empty.  NULL: err says why.
 */
struct state *state_open(const char *dir, const struct known *, size_t room,
			 int64_t real_us, struct err *note, struct err *);

/* What was read, and what the next commit writes. */
const struct position *state_position(const struct state *);
void state_reach(struct state *, const struct position *);
/* From now on commits outlive the process, not the machine, and cost little. */
void state_relax(struct state *);

/* Writes what has changed, if anything has.  After -1 the next call tries
 * again. */
int state_commit(struct state *, int64_t real_us, struct err *);

/* Does not commit. NULL is fine. */
void state_free(struct state *);

#endif
