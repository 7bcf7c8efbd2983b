/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that works on finished segments asks the table's writer to finish
 * the newest one, too: it makes a file .roll in the table's directory, and the
 * writer removes it when it has begun the next segment.
 */
#ifndef FLOWSTORE_ROLL_H
#define FLOWSTORE_ROLL_H

#include <stdbool.h>

#include "common/err.h"

/* For the writer. */
bool roll_is_wished(const char *dir);
void roll_done(const char *dir);

/*
 * Has all records of the table in DIR in finished segments: asks its writer,
 * or begins a segment itself if none is at work.  Call it with LOCK_UPKEEP
 * held; LOCK is its file.  Waits for a writer that is slow, not for ever.
 */
int roll_table(int lock, const char *dir, struct err *);

#endif
