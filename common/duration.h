/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual field `duration`: how long a flow lasted, end_time - start_time,
 * in seconds as a float (1.5 is a second and a half).  It is in no stream and
 * in no table; whoever is asked for it by name computes it here, unless the
 * records have a field of that name.
 */
#ifndef COMMON_DURATION_H
#define COMMON_DURATION_H

#include "common/batch.h"
#include "common/err.h"

/* Seconds from one time to another, in microseconds; never overflows. */
static inline double
duration_seconds(int64_t start, int64_t end)
{
	int64_t us;

	if (__builtin_sub_overflow(end, start, &us))
		return (double)end / 1e6 - (double)start / 1e6;
	return (double)us / 1e6;
}

/*
 * The durations of ROWS rows, from two columns of COL_TIME, into OUT: an owned
 * column of COL_F64, zeroed or used for this before.  Null where either is.
 */
int duration_column(struct column *out, const struct column *start,
		    const struct column *end, uint32_t rows, struct err *);

#endif
