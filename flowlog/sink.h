/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where views go: stdout, in the format asked for.
 *
 * Batches that nothing touched are written from where they were read, so
 * sink_flush must be called before the next read.
 */
#ifndef FLOWLOG_SINK_H
#define FLOWLOG_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "flowlog/view.h"

enum sink_type { SINK_BATCH, SINK_ROWS, SINK_TEXT };

struct sink;

/* FORMAT is one of "batch", "rows", "json", "csv", "tsv", "row". */
struct sink *sink_new(const char *format, int fd, struct err *);
void sink_free(struct sink *);

enum sink_type sink_type(const struct sink *);

/* The columns of csv and tsv; else they are those of the first view. The
 * names are copied. */
int sink_columns(struct sink *, const char *const names[], size_t n,
		 struct err *);

/*
 * From now on batches and rows go to a socket that does not block, -1 for none
 * yet, and what waited for another is forgotten.  A flush, also the one that
 * sink_put may do, then leaves what the socket does not take, and while that is
 * pending nothing may be put and what was put must stay.
 */
void sink_connect(struct sink *, int fd);
bool sink_pending(const struct sink *);

/* SHAPES is what the views' batches were read with. */
int sink_put(struct sink *, struct view *, struct shapes *, struct err *);
int sink_flush(struct sink *, struct err *);

/* Writes a header that no record has brought about, says what did not fit
 * under it, and flushes. */
int sink_finish(struct sink *, struct err *);

#endif
