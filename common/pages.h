/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LMDB trusts its file.  Before a segment is read its pages are looked over
 * here, so that a damaged or hostile file is an error and not a fault: every
 * page of the trees must be what its place says, and every node and every
 * value must lie within the file.
 *
 * This knows the layout of LMDB 0.9 files (data version 1), which is settled.
 */
#ifndef COMMON_PAGES_H
#define COMMON_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Bytes in a file. */
struct pages_data {
	const void *p;
	size_t len;
};

struct pages; /* a segment's file, mapped */

/* Checks what must hold before mdb_env_open.  NULL: see err (its code is that
 * of the system where the file cannot be opened). */
struct pages *pages_open(const char *path, struct err *);
/* The same for an open file, which stays the caller's. */
struct pages *pages_open_fd(int fd, struct err *);
/* Of a file that may be damaged: one of its two heads is enough. */
struct pages *pages_open_damaged(const char *path, struct err *);
void pages_close(struct pages *);

/*
 * The trees of the snapshot with this transaction id; 0 for the newest.
 * WITH_FREE: the list of free pages as well, which only a writer uses.
 * 1: that snapshot is no longer what the file begins with, as the writer has
 * gone on: begin another transaction.
 */
int pages_check(const struct pages *, uint64_t txn, bool with_free,
		struct err *);

/* Who is told what a file holds. */
struct pages_visit {
	void *ctx;
	/* A value of a named database, as long as the pages are open. -1 ends
	 * the walk. */
	int (*value)(void *ctx, const char *db, const struct pages_data *key,
		     const struct pages_data *value);
	/* What is damaged is told and passed over. */
	void (*damage)(void *ctx, uint64_t page, const char *why);
};

/* The ids of the snapshots that a file has, the newest first; 0 for an empty
 * one and for one whose head is damaged.  No page of the second was written
 * again by the first. */
void pages_snapshots(const struct pages *, uint64_t txn[2]);
/* Whether one of the two heads is damaged. */
bool pages_lacks_head(const struct pages *);

/* All values that can be reached, in the order of keys within a database.
 * Returns as pages_check does; -1 only if value() did. */
int pages_walk(const struct pages *, uint64_t txn, const struct pages_visit *);

#endif
