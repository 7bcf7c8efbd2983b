/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters over HTTP, for Prometheus: its text format, version 0.0.4, at
 * http://ADDRESS:PORT/metrics.
 *
 * Whoever has counters is asked for them at each scrape and names a family,
 * then its samples, then the next family.  What they are called and how many
 * labels there may be is bounded by whoever has them; values of labels may be
 * any text.
 *
 * Clients are bounded: 32 at a time, 30 seconds each; while that many are there
 * those that stay make room for the next within a moment.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct metrics;

struct metrics_label {
	const char *name, *value;
};

/* Called at each scrape. */
typedef void metrics_collect(void *ctx, struct metrics *);

/* Serves on BASE's loop, at its lowest priority.  WHERE is "ADDRESS:PORT",
 * "[ADDRESS]:PORT" or a port of 127.0.0.1. */
struct metrics *metrics_new(struct event_base *base, const char *where,
			    metrics_collect *, void *ctx, struct err *);
/* Takes NULL.  Before the base is freed. */
void metrics_free(struct metrics *);

/* Samples that follow only grow, or are at a moment what they are. */
void metrics_counter(struct metrics *, const char *name, const char *help);
void metrics_gauge(struct metrics *, const char *name, const char *help);

/* A sample of the family, with N labels. */
void metrics_sample(struct metrics *, uint64_t value,
		    const struct metrics_label *, size_t n);
/* The same of a time, in microseconds. */
void metrics_sample_time(struct metrics *, int64_t us,
			 const struct metrics_label *, size_t n);
/* The only one of a family, without labels. */
void metrics_value(struct metrics *, uint64_t value);

#endif
