/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays that grow and are looked at all over, as a join's are: in memory up
 * to a share, and above it mapped from a file, from where the system takes
 * pages out of memory and back as it needs.
 */
#ifndef FLOWQ_ROOM_H
#define FLOWQ_ROOM_H

#include "flowq/spill.h"

struct room_map;

struct room {
	size_t share, used; /* bytes */
	struct spill file;
	struct room_map *maps;
	size_t nmaps;
};

void room_init(struct room *, struct budget *);
/* After its arrays were freed. */
void room_clear(struct room *);

/* As realloc; R may be NULL. OLD: what P has.  NULL: err says why, and P is as
 * before. */
void *room_grow(struct room *, void *p, size_t old, size_t size, struct err *);
void room_free(struct room *, void *p);

#endif
