/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What writers have counted, for people and for Prometheus.
 */
#ifndef FLOWSTORE_COUNTS_H
#define FLOWSTORE_COUNTS_H

#include "common/metrics.h"
#include "flowstore/writer.h"

void counts_add(struct writer_stats *sum, const struct writer_stats *);
/* A line on stderr. */
void counts_say(const struct writer_stats *);
void counts_measure(const struct writer_stats *, struct metrics *);

#endif
