/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The finished segments of a table, which can be removed as files.  Who
 * removes or replaces one holds LOCK_UPKEEP.
 */
#ifndef FLOWSTORE_FINISHED_H
#define FLOWSTORE_FINISHED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "flowstore/retention.h"

struct finished_segment {
	uint32_t number;
	ino_t inode;
	uint64_t bytes;
	bool known;   /* its last */
	int64_t last; /* greatest _time, microseconds since 1970 */
};

struct finished {
	char dir[PATH_MAX];
	struct finished_segment *s; /* ascending */
	size_t n;
	uint64_t newest_bytes; /* of the segment that is not finished */
};

/* What went. */
struct removed {
	uint64_t segments, bytes;
};

/* A zeroed one with its dir set is ready for use. */
void finished_clear(struct finished *);

/* Looks at the directory (again). */
int finished_list(struct finished *, struct err *);

/* Removes the i-th, with its readers' file. */
int finished_remove(struct finished *, size_t i, struct removed *,
		    struct err *);

/*
 * Removes those whose records are all older than the retention's age at NOW
 * (microseconds), and the oldest until all files together are within its size.
 * At most LOOKS segments are opened to see how old they are; the others are
 * for the next call.  1: some were left so; 0: all is done.
 */
int finished_retain(struct finished *, const struct retention *, int64_t now,
		    size_t looks, struct removed *, struct err *);

#endif
