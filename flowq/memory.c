/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	LARGE = 1 << 20, /* from which on it is the system's business */
};

static void *
map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* From malloc's memory to pages. */
static char *
move(const struct memory *m, size_t size)
{
	char *p = map(size);

	if (p && m->size)
		memcpy(p, m->p, m->size);
	if (p)
		free(m->p);
	return p;
}

int
memory_grow(struct memory *m, size_t size)
{
	char *p;

	if (size <= m->size)
		return 0;
	if (size < LARGE) {
		p = realloc(m->p, size);
		if (p)
			memset(p + m->size, 0, size - m->size);
	} else {
		size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
		p = m->size < LARGE
			? move(m, size)
			: mremap(m->p, m->size, size, MREMAP_MAYMOVE);
		if (p == MAP_FAILED)
			p = NULL;
		if (p)
			madvise(p, size, MADV_HUGEPAGE);
	}
	if (!p)
		return -1;
	m->p = p;
	m->size = size;
	return 0;
}

void
memory_free(struct memory *m)
{
	if (m->size < LARGE)
		free(m->p);
	else
		munmap(m->p, m->size);
	*m = (struct memory){0};
}
