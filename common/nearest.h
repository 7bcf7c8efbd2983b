/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of some names a misspelt one was most likely meant to be: the one that
 * is the fewest edits away, few for its length, else the one that begins with
 * the most of the same characters.
 */
#ifndef COMMON_NEAREST_H
#define COMMON_NEAREST_H

#include <stddef.h>

enum { NEAREST_MAX = 64 }; /* longer names are near to nothing */

struct nearest {
	const char *name; /* the misspelt one, borrowed */
	size_t len;
	const char *close, *longest;
	size_t edits, start;
};

void nearest_init(struct nearest *, const char *name, size_t len);
/* One that it may be; borrowed. */
void nearest_try(struct nearest *, const char *candidate);
/* The best of them, or NULL if none is near. */
const char *nearest_name(const struct nearest *);

/* " (did you mean NAME?)" or "", in BUF: for the end of an error. */
enum { NEAREST_HINT = NEAREST_MAX + 24 };
const char *nearest_hint(const struct nearest *, char *buf, size_t size);

#endif
