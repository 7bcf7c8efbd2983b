/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports that were opened at run time, so that they are opened again at the
 * next start: DIR/bindings, a line for each, as on the command line.
 *
 * The file is written anew as a whole; who reads it sees the old or the new
 * one.  One process at a time has the directory.
 */
#ifndef FLOWRECV_STATE_H
#define FLOWRECV_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "flowrecv/binding.h"

struct saved {
	struct saved *next;
	char name[BINDING_NAME_MAX];
	char where[WHERE_TEXT_MAX]; /* [ADDRESS:]PORT */
};

struct state {
	int dir;   /* -1: nothing is kept */
	bool made; /* it was */
	char path[PATH_MAX];
	struct saved *list; /* in the order of opening */
};

#define STATE_NONE ((struct state){.dir = -1})

/* Makes DIR if it is missing and reads what is there; lines that are wrong are
 * told of and left out. */
int state_open(struct state *, const char *dir, struct err *);
/* Takes STATE_NONE. */
void state_close(struct state *);

/* The directory, if it was made, becomes theirs. */
int state_own(struct state *, uid_t, gid_t, struct err *);
/* Whether this process can write there. */
int state_check(const struct state *, struct err *);

/* These write the file.  -1: what was there is there still, here and in the
 * file.  Without a directory they do nothing. */
int state_add(struct state *, const struct binding *, struct err *);
int state_remove(struct state *, const char *name, struct err *);

bool state_has(const struct state *, const char *name);

#endif
