/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large pieces of memory: in huge pages, which spare most TLB misses of what is
 * hit all over, and grown in place.  Fresh memory is dear; what is not touched
 * costs nothing.
 */
#ifndef FLOWQ_MEMORY_H
#define FLOWQ_MEMORY_H

#include <stddef.h>

struct memory {
	char *p;
	size_t size;
};

/* At least SIZE bytes; what there was stays, what is new is zero. -1: memory is
 * out, and it is as before. */
int memory_grow(struct memory *, size_t size);
void memory_free(struct memory *); /* a zeroed one is fine */

#endif
