/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/sort_merge.h"

#include <stdlib.h>
#include <string.h>

enum { READ_LEAST = 4 << 10, READ_MOST = 256 << 10 };

struct cursor {
	const struct spill *file;
	uint64_t range[2];
	struct spill_reader in;
	uint8_t *key; /* of the row that is next */
	uint32_t len, cap;
};

struct merge {
	size_t ncols;
	const enum expr_type *types;
	size_t n, cap, nheap;
	struct cursor *cursors;
	struct cursor **heap; /* the first key first */
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for sorting");
}

int
merge_put(struct spill *to, const uint8_t *key, uint32_t len,
	  const struct rowset *set, uint32_t row, struct err *err)
{
	return spill_put(to, &len, sizeof len, err) ||
		       spill_put(to, key, len, err)
		   ? -1
		   : rowset_save(set, row, to, err);
}

struct merge *
merge_new(size_t n, const enum expr_type *types)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (m) {
		m->ncols = n;
		m->types = types;
	}
	return m;
}

void
merge_free(struct merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		spill_reader_clear(&m->cursors[i].in);
		free(m->cursors[i].key);
	}
	free(m->cursors);
	free(m->heap);
	free(m);
}

int
merge_add(struct merge *m, const struct spill *file, const uint64_t range[2],
	  struct err *err)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 16;
		struct cursor *p = realloc(m->cursors, cap * sizeof(*p));

		if (!p)
			return oom(err);
		m->cursors = p;
		m->cap = cap;
	}
	m->cursors[m->n++] =
	    (struct cursor){.file = file, .range = {range[0], range[1]}};
	return 0;
}

/* The key of the next record: 0, or 1 if there is none. */
static int
advance(struct cursor *c, struct err *err)
{
	const void *p;

	if (spill_reader_done(&c->in))
		return 1;
	p = spill_take(&c->in, sizeof c->len, err);
	if (!p)
		return -1;
	memcpy(&c->len, p, sizeof c->len);
	if (c->len > c->cap) {
		uint8_t *key = realloc(c->key, c->len);

		if (!key)
			return oom(err);
		c->key = key;
		c->cap = c->len;
	}
	p = spill_take(&c->in, c->len, err);
	if (!p)
		return -1;
	memcpy(c->key, p, c->len);
	return 0;
}

static bool
before(const struct cursor *a, const struct cursor *b)
{
	uint32_t n = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->key, b->key, n);

	return order ? order < 0 : a->len < b->len;
}

/* Puts the cursor at AT where it belongs among those behind it. */
static void
sift(struct merge *m, size_t at)
{
	struct cursor *c = m->heap[at];
	size_t next;

	for (; (next = 2 * at + 1) < m->nheap; at = next) {
		if (next + 1 < m->nheap &&
		    before(m->heap[next + 1], m->heap[next]))
			next++;
		if (!before(m->heap[next], c))
			break;
		m->heap[at] = m->heap[next];
	}
	m->heap[at] = c;
}

int
merge_start(struct merge *m, size_t bytes, struct err *err)
{
	size_t each = bytes / (m->n + 1);

	if (each > READ_MOST)
		each = READ_MOST;
	if (each < READ_LEAST)
		each = READ_LEAST;
	m->heap = calloc(m->n + 1, sizeof(struct cursor *));
	if (!m->heap)
		return oom(err);
	for (size_t i = 0; i < m->n; i++) {
		struct cursor *c = &m->cursors[i];

		if (spill_reader_init(&c->in, c->file, c->range, each, err) ||
		    advance(c, err))
			return -1;
		m->heap[m->nheap++] = c;
	}
	for (size_t i = m->nheap / 2; i-- > 0;)
		sift(m, i);
	return 0;
}

struct rowset *
merge_take(struct merge *m, uint32_t rows, struct err *err)
{
	struct rowset *set = rowset_new(m->ncols, m->types);
	int rc = set ? 0 : oom(err);

	for (uint32_t i = 0; i < rows && rc == 0; i++) {
		struct cursor *c = m->heap[0];

		rc = rowset_load(set, &c->in, err);
		if (rc == 0)
			rc = advance(c, err);
		if (rc > 0) {
			m->heap[0] = m->heap[--m->nheap];
			rc = 0;
		}
		if (rc == 0 && m->nheap)
			sift(m, 0);
	}
	if (rc) {
		rowset_free(set);
		return NULL;
	}
	return set;
}
