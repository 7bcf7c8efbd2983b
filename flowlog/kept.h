/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is kept of a logger beside its definition, in the state directory, in
 * files called by its name:
 *
 *	NAME.json	counters and how far it has come, one object
 *	NAME.last	the last record, as JSON
 *	NAME.lock	held (fcntl) by the process that runs it
 *	NAME.log	what that says, if `flowlog start` detached it
 *
 * The counters hold for all batches of the stream up to `number`, so that one
 * that comes again after a kill is not counted again.
 */
#ifndef FLOWLOG_KEPT_H
#define FLOWLOG_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flowlog/logger.h"

struct kept {
	uint64_t logged, filtered, dropped; /* records */
	int64_t last_log, last_start;	    /* NO_TIME: never */
	uint64_t stream, number;
	bool connected; /* to what it reads; of a running one */
};

/* All zero and never if there is nothing. -1: what there is cannot be read. */
int kept_read(struct kept *, const struct dirs *, const char *name,
	      struct err *);
int kept_write(const struct kept *, const struct dirs *, const struct logger *,
	       struct err *);
void kept_remove(const struct dirs *, const char *name);

/* The last record, LEN bytes of text. */
int kept_write_last(const struct dirs *, const char *name, const char *text,
		    size_t len, struct err *);
char *kept_read_last(const struct dirs *, const char *name, size_t *len,
		     struct err *);

/* Where a detached logger writes what it says. */
int kept_log(char path[PATH_MAX], const struct dirs *, const char *name,
	     struct err *);

/* The process that runs it, 0 if there is none, -1: it cannot be known. */
pid_t kept_runner(const struct dirs *, const char *name, struct err *);
/* Takes the lock for the life of this process, of which it must be the only
 * descriptor. -1: another has it. */
int kept_lock(const struct dirs *, const char *name, struct err *);

#endif
