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
#include <stdint.h>

#include "common/err.h"

/* What must hold before mdb_env_open. */
int pages_check_start(const char *path, struct err *);

/*
 * The trees of the snapshot with this transaction id; 0 for the newest.
 * WITH_FREE: the list of free pages as well, which only a writer uses.
 * 1: that snapshot is no longer what the file begins with, as the writer has
 * gone on: begin another transaction.
 */
int pages_check(const char *path, uint64_t txn, bool with_free, struct err *);

#endif
