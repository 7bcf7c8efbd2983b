/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From when to when, as people write it: days or times, both ends inclusive.
 */
#ifndef FLOWSTORE_PERIOD_H
#define FLOWSTORE_PERIOD_H

#include <stdint.h>

#include "common/err.h"

struct period {
	int64_t from, to; /* microseconds since 1970; both are in it */
};

/*
 * yyyy, yyyyMM, yyyyMMdd ... yyyyMMddHHmmss (local time), ISO 8601, now, and
 * now-1h.  TO includes all of the year, month, day, hour, minute or second that
 * it names.  NOW is in microseconds.
 */
int period_parse(struct period *, const char *from, const char *to, int64_t now,
		 struct err *);

#endif
