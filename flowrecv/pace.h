/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the datagrams of a capture are due, if they are sent on.
 */
#ifndef FLOWRECV_PACE_H
#define FLOWRECV_PACE_H

#include <stdint.h>

struct pace {
	double rate;  /* datagrams a second; 0: as fast as it goes */
	double speed; /* times the capture's own; 0: rate counts */
	uint64_t n;   /* so many were asked for */
	int64_t begin_us, first_us;
};

/* Microseconds from now until the next one is due, which was captured at
 * TIME_US; 0 or less: now. */
int64_t pace_next(struct pace *, int64_t time_us);

#endif
