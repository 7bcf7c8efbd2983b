/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that a command makes.  It is written beside its place under a name
 * that nothing else has, and takes its place when it is whole and on disk: what
 * was there stays until then, and nothing but this file is ever removed.  A
 * device or a pipe is written where it is.
 *
 * SIGINT, SIGTERM and SIGHUP end the writing of a file in an orderly way; a
 * second one kills.
 */
#ifndef FLOWSTORE_OUTFILE_H
#define FLOWSTORE_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct outfile {
	const char *path;    /* for people */
	char part[PATH_MAX]; /* "" where it is written in its place */
	int fd;
	bool named; /* it is not standard output */
	bool replace;
};

/* "-" is standard output.  A file that is there is an error unless REPLACE. */
int outfile_open(struct outfile *, const char *path, bool replace,
		 struct err *);
/* Writes all of it. */
int outfile_write(struct outfile *, const void *, size_t, struct err *);
/* -1: a signal said to stop. */
int outfile_may_go_on(const struct outfile *, struct err *);
/* R is how the writing went: with 0 the file takes its place, else it is
 * removed.  Gives R, or -1 if that failed. */
int outfile_close(struct outfile *, int r, struct err *);

#endif
