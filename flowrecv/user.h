/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who the process is, once it has opened what takes root to open.
 */
#ifndef FLOWRECV_USER_H
#define FLOWRECV_USER_H

#include <sys/types.h>

#include "common/err.h"

struct user {
	const char *name; /* borrowed */
	uid_t uid;
	gid_t gid;
};

/* The user NAME, who the process can become: it is root, or that user. */
int user_find(struct user *, const char *name, struct err *);

/* Becomes that user, with all groups of theirs, for good. */
int user_become(const struct user *, struct err *);

#endif
