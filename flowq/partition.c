/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/partition.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	RUN_BYTES = 8 << 10,
	PIECE_BYTES = 4 << 20,
	PIECE_LEAST = 64 << 10,
	PARTS_OF_LIMIT = 8,
	HUGE_PAGE = 2 << 20,
};

/* At the start of its memory. */
struct piece {
	struct piece *next;
};

int
partitions_init(struct partitions *p, size_t size, size_t limit)
{
	size_t run = limit / PARTS_OF_LIMIT / PARTITIONS;

	*p = (struct partitions){.size = size, .piece = PIECE_BYTES};
	if (run > RUN_BYTES)
		run = RUN_BYTES;
	if (run > sizeof(struct run))
		p->room = (run - sizeof(struct run)) / size;
	if (p->room == 0)
		p->room = 1;
	while (p->piece > PIECE_LEAST && p->piece > limit / PARTS_OF_LIMIT)
		p->piece /= 2;
	p->parts = calloc(PARTITIONS, sizeof(*p->parts));
	return p->parts ? 0 : -1;
}

void
partitions_clear(struct partitions *p)
{
	struct piece *next;

	for (struct piece *x = p->pieces; x; x = next) {
		next = x->next;
		free(x);
	}
	free(p->parts);
	*p = (struct partitions){0};
}

/* Memory for a run from the newest piece, or a new one. */
static struct run *
run_new(struct partitions *p)
{
	size_t bytes = sizeof(struct run) + p->room * p->size;
	size_t size = p->piece;
	struct run *r = p->spare;
	struct piece *x;

	if (r) {
		p->spare = r->next;
		return r;
	}
	if ((size_t)(p->left_end - p->left) < bytes) {
		while (size < bytes + sizeof(*x))
			size *= 2;
		x = aligned_alloc(size < HUGE_PAGE ? PIECE_LEAST : HUGE_PAGE,
				  size);
		if (!x)
			return NULL;
		madvise(x, size, MADV_HUGEPAGE);
		x->next = p->pieces;
		p->pieces = x;
		p->left = (char *)(x + 1);
		p->left_end = (char *)x + size;
		p->bytes += size;
	}
	r = (struct run *)p->left;
	p->left += bytes;
	return r;
}

char *
partitions_grow(struct partitions *p, size_t part)
{
	struct partition *c = &p->parts[part];
	struct run *r = run_new(p);

	if (!r)
		return NULL;
	if (c->runs)
		c->runs->n = p->room;
	r->next = c->runs;
	r->n = 0;
	c->runs = r;
	c->at = r->records + p->size;
	c->end = r->records + p->room * p->size;
	return r->records;
}

const struct run *
partitions_runs(struct partitions *p, size_t part)
{
	struct partition *c = &p->parts[part];

	if (c->runs)
		c->runs->n = (size_t)(c->at - c->runs->records) / p->size;
	return c->runs;
}

void
partitions_drop(struct partitions *p, size_t part)
{
	struct partition *c = &p->parts[part];
	struct run *next;

	for (struct run *r = c->runs; r; r = next) {
		next = r->next;
		r->next = p->spare;
		p->spare = r;
	}
	*c = (struct partition){0};
}
