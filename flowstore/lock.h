/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table has one writer: it holds a lock on the file .lock in the table's
 * directory, in which its process id is written.
 */
#ifndef FLOWSTORE_LOCK_H
#define FLOWSTORE_LOCK_H

#include "common/err.h"

/* Makes DIR and what is above it, as far as it is missing. */
int lock_make_dirs(const char *dir, struct err *);

/* Takes the lock of the table in DIR: a file descriptor, to be closed. -1 if
 * another process holds it: the error names it. */
int lock_take(const char *dir, struct err *);

#endif
