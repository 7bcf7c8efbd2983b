/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines on stderr: "TOOL: text\n", one write(2) each, control bytes replaced
 * by '?'.  A stderr that is full or gone never blocks the caller: the line is
 * skipped, and the next one that fits says how many were.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

/* NAME is borrowed for the life of the process. Call it before anything is
 * opened: it also fills the places of standard descriptors that are closed. */
void log_init(const char *name);

void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* At most one line per second and per struct; the next says how many it held
 * back. A zeroed struct is ready for use. */
struct log_limit {
	int64_t next_ms;
	uint64_t held;
};

void log_limited(struct log_limit *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
