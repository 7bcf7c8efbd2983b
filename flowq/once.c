/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/once.h"

#include <stdlib.h>
#include <string.h>

/* A thread's own. */
struct once_seen {
	uint64_t *block; /* by number: the last block + 1 that has the key */
	size_t cap;
	uint64_t *numbers; /* of the block's rows that stay */
	size_t rows;	   /* there is room for */
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for the keys of dedup");
}

int
once_start(struct once *o, const struct source *src, size_t threads,
	   struct err *err)
{
	group_plan_init(&o->plan, src);
	pthread_mutex_init(&o->lock, NULL);
	o->seen = calloc(threads, sizeof(*o->seen));
	if (!o->seen)
		return oom(err);
	o->threads = threads;
	return group_table_init(&o->table, &o->plan, err);
}

void
once_clear(struct once *o)
{
	for (size_t i = 0; i < o->threads; i++) {
		free(o->seen[i].block);
		free(o->seen[i].numbers);
	}
	if (o->seen)
		pthread_mutex_destroy(&o->lock);
	free(o->seen);
	free(o->gone);
	group_table_clear(&o->table);
	arena_free(&o->keep);
}

/* *P has room for WANT items of SIZE, new ones zeroed. */
static int
room(void **p, size_t *cap, size_t want, size_t size, struct err *err)
{
	size_t n = *cap ? *cap : 4096;
	char *q;

	if (want <= *cap)
		return 0;
	while (n < want)
		n *= 2;
	q = realloc(*p, n * size);
	if (!q)
		return oom(err);
	memset(q + *cap * size, 0, (n - *cap) * size);
	*p = q;
	*cap = n;
	return 0;
}

/* The numbers of the window's keys; under lock. */
static int
find(struct once *o, struct once_seen *s, struct view *v, uint32_t *index)
{
	if (group_table_room(&o->table, v->eval.n, v->err) ||
	    group_rows(&o->table, v, &o->keep, index) ||
	    room((void **)&o->gone, &o->cap, o->table.cap, 1, v->err))
		return -1;
	return room((void **)&s->block, &s->cap, o->table.cap,
		    sizeof(*s->block), v->err);
}

/* Marks the rows of the window that stay; under lock. */
static int
mark(struct once *o, struct once_seen *s, struct view *v, size_t nth)
{
	uint32_t index[VIEW_CHUNK];

	if (find(o, s, v, index))
		return -1;
	for (uint32_t i = 0; i < v->eval.n; i++) {
		uint64_t *block = &s->block[index[i]];

		v->mask_buf[v->at + i] =
		    *block != nth + 1 && !o->gone[index[i]];
		*block = nth + 1;
		s->numbers[v->at + i] = index[i];
	}
	return 0;
}

/* What is slow about them is done without the lock. */
static int
read_keys(const struct once *o, struct view *v)
{
	struct vec vec;

	for (size_t k = 0; k < o->plan.nkeys; k++)
		if (view_eval(v, o->plan.keys[k].node, &vec))
			return -1;
	return 0;
}

int
once_block(struct once *o, size_t thread, struct view *v, size_t nth,
	   const uint64_t **numbers)
{
	struct once_seen *s = &o->seen[thread];
	uint32_t n = 0, all = v->nsel;
	int rc = 0;

	if (room((void **)&s->numbers, &s->rows, all, sizeof(*s->numbers),
		 v->err))
		return -1;
	for (uint32_t at = 0; at < all && rc == 0; at += VIEW_CHUNK) {
		view_window(v, at,
			    all - at > VIEW_CHUNK ? VIEW_CHUNK : all - at);
		if (read_keys(o, v))
			return -1;
		pthread_mutex_lock(&o->lock);
		rc = mark(o, s, v, nth);
		pthread_mutex_unlock(&o->lock);
	}
	if (rc)
		return -1;
	for (uint32_t i = 0; i < all; i++)
		if (v->mask_buf[i])
			s->numbers[n++] = s->numbers[i];
	view_select(v, v->mask_buf);
	*numbers = s->numbers;
	return 0;
}

bool
once_goes(struct once *o, uint64_t number)
{
	bool first;

	pthread_mutex_lock(&o->lock);
	first = !o->gone[number];
	o->gone[number] = 1;
	pthread_mutex_unlock(&o->lock);
	return first;
}

size_t
once_bytes(const struct once *o)
{
	size_t sum =
	    o->table.slots_memory.size + o->table.entries_memory.size + o->cap;

	for (size_t i = 0; i < o->threads; i++)
		sum += o->seen[i].cap * sizeof(*o->seen[i].block);
	return sum;
}
