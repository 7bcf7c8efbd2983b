/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger as text, for people, as JSON and for Prometheus, for programs: the
 * same figures.
 */
#ifndef FLOWDECODE_REPORT_H
#define FLOWDECODE_REPORT_H

#include <stddef.h>

#include "common/err.h"
#include "common/metrics.h"
#include "common/ring.h"
#include "flowdecode/decoder.h"
#include "flowdecode/output.h"

enum { EXPORTER_NAME_MAX = 128 };

/* "10.0.0.1 version 9 source 0", cut to SIZE with the NUL. */
void report_name(const struct exporter *, char *buf, size_t size);

/* What it is about. */
struct report {
	const struct decoder *decoder;
	const struct output *output;
	const struct ring *ring; /* NULL: none */
};

/* A line on stderr for each exporter, and for all. */
void report_text(const struct report *);

/* Writes the file PATH anew: who reads it sees the old or the new one, whole.
 */
int report_json(const struct report *, const char *path, struct err *);

/* Totals, and the ledgers of the exporters that sent last, so many at most. */
enum { REPORT_METRICS_EXPORTERS = 512 };
void report_metrics(const struct report *, struct metrics *);

#endif
