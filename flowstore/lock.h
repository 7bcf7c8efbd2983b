/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may change a table: locks on the file .lock in its directory, which
 * holds the writer's process id for people.
 *
 *	LOCK_WRITER	adds records; one process, as long as it does
 *	LOCK_UPKEEP	removes or replaces finished segments; one process, for
 *			as long as that takes (a writer takes it too)
 *
 * A process has one struct lock per table at most: closing a file drops all
 * locks that the process has on it.
 */
#ifndef FLOWSTORE_LOCK_H
#define FLOWSTORE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

enum lock_part { LOCK_WRITER, LOCK_UPKEEP };

enum {
	DIR_MODE = 0750,
	DATA_MODE = 0640,
	READERS_MODE = 0660, /* of the -lock files, which readers write */
};

/* Makes DIR and what is above it, as far as it is missing. */
int lock_make_dirs(const char *dir, struct err *);

/* Makes PATH, a file without following links, or opens it; mode and owner are
 * as they should be whatever the umask is: root gives it to the owner of the
 * directory it lies in. A file descriptor or -1. */
int lock_make_file(const char *path, mode_t, struct err *);

/*
 * Opens the .lock of the table in DIR, which is there and must be ours, and
 * takes a part.  A file descriptor, to be closed; -1 if another process holds
 * it (the error names it) or the table may not be written.
 */
int lock_take(const char *dir, enum lock_part, struct err *);

/* Takes another part, too. -1 as above; with WAIT only after some seconds. */
int lock_more(int fd, const char *dir, enum lock_part, bool wait, struct err *);
void lock_less(int fd, enum lock_part);

/* Which process holds a part: 0 for none, -1 if that cannot be seen. */
pid_t lock_holder(const char *dir, enum lock_part);

#endif
