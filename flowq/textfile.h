/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of text that is read more than once, piece by piece; what cannot be
 * (a pipe, "-" for stdin) is copied to an unnamed file in $TMPDIR first.
 */
#ifndef FLOWQ_TEXTFILE_H
#define FLOWQ_TEXTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct textfile {
	int fd;
	const char *path; /* borrowed */
};

int textfile_open(struct textfile *, const char *path, struct err *);
void textfile_close(struct textfile *);
/* Up to LEN bytes from OFFSET on, fewer only at the end: how many, or -1. */
int64_t textfile_read(const struct textfile *, uint64_t offset, char *,
		      size_t len, struct err *);

#endif
