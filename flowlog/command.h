/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about named loggers.  Texts are those of the console that this
 * program takes over from.
 */
#ifndef FLOWLOG_COMMAND_H
#define FLOWLOG_COMMAND_H

#include "flowlog/kept.h"
#include "flowlog/options.h"

/* All verbs, the last without a name. */
extern const struct verb verbs[];

/* "flowlog: text" and EXIT_FAILED. */
int command_fail(const struct err *);

/* The directories that the options say. */
int command_dirs(const struct options *, struct dirs *, struct err *);

/* For verbs: each returns an exit code. */
int command_create(const struct options *);
int command_update(const struct options *);
int command_list(const struct options *);
int command_show(const struct options *);
int command_remove(const struct options *);
int command_last(const struct options *);
int command_start(const struct options *);
int command_stop(const struct options *);
int command_run(const struct options *);
int command_trace(const struct options *);

/*
 * Starts and stops a logger, as init would if there is systemd (INIT NULL), or
 * as INIT says: "systemd", or "none": detached.
 */
int service_start(const struct dirs *, const struct logger *, const char *init,
		  struct err *);
int service_stop(const struct dirs *, const char *name, const char *init,
		 struct err *);

/*
 * Runs a logger in the foreground until a signal ends it.  *READY is a
 * descriptor that gets a byte when it runs and is closed and -1 then; NULL:
 * none.
 */
int run_logger(const struct dirs *, const struct logger *, const char *metrics,
	       int *ready, struct err *);

#endif
