/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a table keeps records: a small file .retention in its directory
 * (flowtable(5)), which the writer looks at while it runs.
 */
#ifndef FLOWSTORE_RETENTION_H
#define FLOWSTORE_RETENTION_H

#include <stdint.h>

#include "common/err.h"

struct retention {
	int64_t age;   /* seconds; 0: of any age */
	uint64_t size; /* bytes of all files; 0: of any size */
};

enum { RETENTION_TEXT_MAX = 64 };

/* Records from before this time are too old at NOW, both in microseconds since
 * 1970. */
int64_t retention_before(const struct retention *, int64_t now);

/* "30d", "12h", "10G", "none": sets what it names and leaves the other.  -1 if
 * it is none of these. */
int retention_parse(struct retention *, const char *text, struct err *);
/* "30d", "10G", "30d 10G" or "none". */
const char *retention_text(const struct retention *,
			   char buf[RETENTION_TEXT_MAX]);

/* None where there is no file. */
int retention_read(struct retention *, const char *dir, struct err *);
/* Replaces the file, or removes it. */
int retention_write(const struct retention *, const char *dir, struct err *);

#endif
