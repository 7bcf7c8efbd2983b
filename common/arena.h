/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is taken piece by piece and given back all at once: syntax
 * trees, and the vectors of one chunk of rows.  A zeroed struct is ready.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *first, *now;
	size_t used; /* of now */
	size_t total;
};

/* SIZE bytes, aligned to 64, not zeroed; NULL when memory is out. */
void *arena_alloc(struct arena *, size_t size);
/* The same, aligned to 1: for text. */
void *arena_bytes(struct arena *, size_t size);
/* Zeroed. */
void *arena_zalloc(struct arena *, size_t size);
/* LEN bytes and a NUL. */
char *arena_strndup(struct arena *, const char *, size_t len);

/* Forgets all pieces and keeps the memory for the next ones. */
void arena_reset(struct arena *);
void arena_free(struct arena *);

#endif
