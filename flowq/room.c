/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/room.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 256 << 10 }; /* from which on an array may be mapped */

struct room_map {
	void *p;
	size_t size;
	uint64_t at; /* in the file */
};

void
room_init(struct room *r, struct budget *b)
{
	*r = (struct room){.share = budget_share(b, 1)};
	spill_init(&r->file, b);
}

void
room_clear(struct room *r)
{
	spill_clear(&r->file);
	free(r->maps);
	*r = (struct room){0};
}

static struct room_map *
find_map(const struct room *r, const void *p)
{
	for (size_t i = 0; p && i < r->nmaps; i++)
		if (r->maps[i].p == p)
			return &r->maps[i];
	return NULL;
}

static void
unmap(struct room *r, struct room_map *m)
{
	munmap(m->p, m->size);
	/* Where that is not to be had, the disk has it a while longer. */
	(void)fallocate(r->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)m->at, (off_t)m->size);
	*m = r->maps[--r->nmaps];
}

/* A new place for what is at P, with room to grow. */
static void *
move(struct room *r, void *p, size_t old, size_t size, struct err *err)
{
	struct room_map *maps =
	    realloc(r->maps, (r->nmaps + 1) * sizeof(*maps));
	size_t more = size + size / 2;
	void *to;

	if (!maps) {
		err_set(err, "out of memory");
		return NULL;
	}
	r->maps = maps;
	to = spill_map(&r->file, more, err);
	if (!to)
		return NULL;
	if (old)
		memcpy(to, p, old);
	room_free(r, p);
	r->maps[r->nmaps++] = (struct room_map){to, more, r->file.end - more};
	return to;
}

void *
room_grow(struct room *r, void *p, size_t old, size_t size, struct err *err)
{
	struct room_map *m = r ? find_map(r, p) : NULL;
	void *to;

	if (m && size <= m->size)
		return p;
	if (m || (r && size >= LARGE && r->used - old + size > r->share)) {
		to = move(r, p, old, size, err);
		if (to && !m)
			r->used -= old;
		return to;
	}
	to = realloc(p, size);
	if (!to)
		err_set(err, "out of memory");
	else if (r)
		r->used += size - old;
	return to;
}

void
room_free(struct room *r, void *p)
{
	struct room_map *m = r ? find_map(r, p) : NULL;

	if (m)
		unmap(r, m);
	else
		free(p);
}
