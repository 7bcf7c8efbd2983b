/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/pace.h"

#include <time.h>

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
pace_next(struct pace *p, int64_t time_us)
{
	int64_t now = now_us();
	double due = 0; /* since the begin */

	if (p->n == 0) {
		p->begin_us = now;
		p->first_us = time_us;
	}
	/* as floating point: times of a capture may be anything */
	if (p->speed > 0)
		due = ((double)time_us - (double)p->first_us) / p->speed;
	else if (p->rate > 0)
		due = (double)p->n * 1e6 / p->rate;
	p->n++;
	due -= (double)(now - p->begin_us);
	return due < 1e15 ? (int64_t)due : (int64_t)1e15;
}
