/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The counters of a receiver as text.
 */
#ifndef FLOWRECV_REPORT_H
#define FLOWRECV_REPORT_H

#include <stdbool.h>

#include "flowrecv/receiver.h"

/* Gets a line, without its end. */
typedef void report_line(void *ctx, const char *line);

/* A line for each port, one for all that are closed, and those of exporters:
 * how many are known, and one for each at each port.  Of ONLY if it is not
 * NULL. */
void report_text(struct receiver *, const struct binding *only, report_line *,
		 void *ctx);

/* The same on stderr; without ALL no exporters. */
void report_log(struct receiver *, bool all);

/* Whether the queue or the kernel dropped anything. */
bool report_lost(struct receiver *);

#endif
