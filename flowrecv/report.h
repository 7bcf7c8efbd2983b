/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The counters of a receiver, row by row, and rows as text.
 */
#ifndef FLOWRECV_REPORT_H
#define FLOWRECV_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/metrics.h"
#include "flowrecv/receiver.h"

enum { REPORT_LINE_MAX = 320 };

/* Of a port, or of an exporter at a port. */
struct report_row {
	const char *port;     /* NULL: all that are closed */
	const char *exporter; /* its address as text; NULL: all */
	const struct tally *tally;
	uint64_t kernel_drops; /* of the port */
};

/* What is called for each row; it may keep nothing of it. */
typedef void report_take(void *ctx, const struct report_row *);

/* The ports, in the order of opening; then the closed ones, if there is
 * anything to say.  Of ONLY if it is not NULL. */
void report_ports(struct receiver *, const struct binding *only, report_take *,
		  void *ctx);
void report_exporters(struct receiver *, const struct binding *only,
		      report_take *, void *ctx);

/* Each target of --tee. */
typedef void report_target(void *ctx, const struct target *);
void report_tee(struct receiver *, report_target *, void *ctx);
void report_target_text(const struct target *, char line[REPORT_LINE_MAX]);
void report_target_json(const struct target *, char line[REPORT_LINE_MAX]);

/* Each reader of --serve that has a name, and then all without one, as one
 * whose name is "". */
typedef void report_reader(void *ctx, const struct outlet_reader *);
void report_readers(struct receiver *, report_reader *, void *ctx);
void report_reader_text(const struct outlet_reader *,
			char line[REPORT_LINE_MAX]);
void report_reader_json(const struct outlet_reader *,
			char line[REPORT_LINE_MAX]);

/* A row as a line, without its end: text, or JSON. */
void report_text(const struct report_row *, char line[REPORT_LINE_MAX]);
void report_json(const struct report_row *, char line[REPORT_LINE_MAX]);

/* Lines on stderr: ports, and with ALL how many exporters are known, and each
 * of them. */
void report_log(struct receiver *, bool all);

/* The same for Prometheus. */
void report_metrics(struct receiver *, struct metrics *);

/* Whether the queue or the kernel dropped anything, or a copy failed. */
bool report_lost(struct receiver *);

#endif
