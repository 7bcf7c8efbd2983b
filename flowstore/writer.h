/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From batches to blocks.
 *
 * Per shape there is one open block, kept in memory as rows until it is full
 * (BATCH_ROWS_MAX).  A commit writes all that came since the last one: whole
 * blocks, and of each open block its new rows as a piece, a small block.  A
 * piece takes in those before it that are not much larger, so pieces are few
 * and a row is rewritten a bounded number of times; the full block replaces
 * them all.
 *
 * Everything that was given before a commit is in it, so a table holds an
 * exact prefix of its input at any time.  Encoding is done before LMDB's
 * transaction begins.
 *
 * A full disk is no failure: what is to be written is kept, and tried again.
 */
#ifndef FLOWSTORE_WRITER_H
#define FLOWSTORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "flowstore/keeper.h"

struct writer;

struct writer_options {
	const char *root, *table;
	struct keeper_options keep;
};

struct writer_stats {
	uint64_t records;    /* committed */
	uint64_t duplicates; /* had come before */
	uint64_t dropped;    /* of too many shapes, or lost by a failure */
	uint64_t blocks;     /* full or closed ones */
	uint64_t pieces;
	uint64_t bytes; /* of blocks and pieces, written */
	uint64_t commits;
	uint64_t segments; /* begun */
	uint64_t removed;  /* segments, by retention or for room */
};

/* Makes the table if it is missing, and locks it. OPTIONS' strings are
 * borrowed as long as the writer lives. NULL: see err. */
struct writer *writer_new(const struct writer_options *, struct err *);
/* What is not committed is lost. */
void writer_free(struct writer *);

/* The _host of records given from now on, borrowed; NULL, as at first, for none
 * but what they have. */
void writer_set_host(struct writer *, const char *host);

/* Takes a batch; it may be forgotten afterwards. */
int writer_add(struct writer *, const struct batch *, struct err *);

/* The shapes of batches given so far are about to be freed. */
void writer_forget_shapes(struct writer *);

/* Commits if it is time to: something has waited long or much waits.  Looks
 * after the table now and then. */
int writer_tick(struct writer *, struct err *);
/* Commits all that was given, now.  1: the disk is full, as err says; a later
 * tick or commit tries again. */
int writer_commit(struct writer *, struct err *);
/* Whether anything that was given is not committed. */
bool writer_waits(const struct writer *);
/* The highest number of a stream that was given, committed or not. */
uint64_t writer_reached(struct writer *, uint64_t stream);
/* Whether to give no more batches until a later tick says otherwise, for want
 * of room on the disk. */
bool writer_holds(const struct writer *);
/* Closes open blocks and commits everything.  1: the disk is full, which was
 * told; to be called again until there is room. */
int writer_finish(struct writer *, struct err *);

const struct writer_stats *writer_stats(const struct writer *);

#endif
