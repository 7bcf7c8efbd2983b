/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, CHUNK = 256 << 10 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ALIGN) char bytes[];
};

static struct arena_chunk *
chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *c;

	if (size < CHUNK)
		size = CHUNK;
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	c = aligned_alloc(ALIGN, sizeof(*c) + size);
	if (!c)
		return NULL;
	c->size = size;
	a->total += size;
	return c;
}

/* Makes room for SIZE bytes in a->now. */
static int
arena_grow(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->now ? a->now->next : a->first;

	if (!c || c->size < size) {
		struct arena_chunk *fresh = chunk_new(a, size);

		if (!fresh)
			return -1;
		fresh->next = c;
		c = fresh;
		if (a->now)
			a->now->next = c;
		else
			a->first = c;
	}
	a->now = c;
	a->used = 0;
	return 0;
}

static void *
take(struct arena *a, size_t size, size_t align)
{
	size_t at = (a->used + align - 1) & ~(align - 1);

	if (!a->now || at > a->now->size || a->now->size - at < size) {
		if (arena_grow(a, size))
			return NULL;
		at = 0;
	}
	a->used = at + size;
	return a->now->bytes + at;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	return take(a, size, ALIGN);
}

void *
arena_bytes(struct arena *a, size_t size)
{
	return take(a, size, 1);
}

void *
arena_zalloc(struct arena *a, size_t size)
{
	void *p = take(a, size, ALIGN);

	if (p)
		memset(p, 0, size);
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_bytes(a, len + 1);

	if (p) {
		memcpy(p, s, len);
		p[len] = 0;
	}
	return p;
}

void
arena_reset(struct arena *a)
{
	a->now = a->first;
	a->used = 0;
}

void
arena_free(struct arena *a)
{
	struct arena_chunk *c, *next;

	for (c = a->first; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){0};
}
