/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unix stream sockets by path.
 *
 * A socket file that a dead process left behind is replaced; one that somebody
 * listens on is not, and who that is is said.  Of two that start at once one
 * gets it.
 */
#ifndef COMMON_UNIXSOCK_H
#define COMMON_UNIXSOCK_H

#include <sys/types.h>

#include "common/err.h"

enum { UNIXSOCK_PATH_MAX = 108 }; /* with the NUL */

struct unixsock {
	int fd; /* listens, does not block; -1: none */
	char path[UNIXSOCK_PATH_MAX];
	dev_t dev; /* of the file, so that nobody else's is removed */
	ino_t ino;
};

/* Listens at PATH, whose file gets the permissions MODE; makes the directory
 * that it is in if that is all that is missing. */
int unixsock_listen(struct unixsock *, const char *path, mode_t mode,
		    struct err *);
/* Removes the file and closes; takes one that is zeroed, closed or {-1}. */
void unixsock_close(struct unixsock *);

/* A blocking connection to whoever listens at PATH, at once; -1: err has the
 * errno. */
int unixsock_connect(const char *path, struct err *);

#endif
