/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans of time, and the one that a time is in: spans are aligned in the local
 * time zone, weeks begin on Monday.
 */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	int64_t us;	 /* of its length, at most SPAN_MAX; 0: it is */
	unsigned months; /* so many months */
};

#define SPAN_MAX (INT64_C(3660) * 86400 * 1000000) /* ten years */

/* "10s", "5m", "1d", "1mon", "1y". -1: it is none. */
int span_parse(const char *, size_t len, struct span *);
/* One that cuts so many seconds into 60 to 200 parts, or the nearest to it. */
struct span span_choose(double seconds);
double span_seconds(const struct span *);

/* Where the span of a time begins, and the one after it. */
int64_t span_start(const struct span *, int64_t us);
int64_t span_next(const struct span *, int64_t start);

#endif
