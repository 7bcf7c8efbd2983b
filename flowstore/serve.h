/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore serve: takes record streams from loggers on a Unix socket
 * (common/link.h) and appends each to the table that its hello names.
 *
 * A table has one writer, however many loggers write to it, and is let go a
 * while after the last of them has gone.  What a logger is told is safe is
 * committed.  Where a table cannot be written its loggers are sent away; what
 * was not committed they have, and bring again.
 */
#ifndef FLOWSTORE_SERVE_H
#define FLOWSTORE_SERVE_H

#include <stdbool.h>

#include "common/err.h"
#include "flowstore/writer.h"

enum { SERVE_LOGGERS = 256 }; /* connections at a time */

struct serve_options {
	const char *path;	      /* of the socket */
	const char *metrics;	      /* where to serve them; NULL: nowhere */
	bool verbose;		      /* counters on stderr at the end */
	struct writer_options writer; /* of each table, but for its name */
};

/* Until SIGINT or SIGTERM, which may be blocked before; then everything that
 * was read is committed. */
int serve_run(const struct serve_options *, struct err *);

#endif
