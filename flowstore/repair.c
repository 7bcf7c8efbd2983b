/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/repair.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/place.h"
#include "flowstore/cut.h"

/* Ids that may have been given away by commits that nothing is left of. */
#define IDS_UNKNOWN (UINT64_C(1) << 32)

/* ---- the ledger ---- */

/* What another segment of the table says. */
static int
borrow_ledger(struct ledger *l, const char *dir, uint32_t number, struct err *e)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t = NULL;
	struct err why;
	int r = 1;

	if (!shapes)
		return err_set(e, "out of memory");
	if (table_open_segment(&t, dir, number, false, shapes, &why) == 0)
		r = cut_ledger(l, t, e);
	table_close(t);
	shapes_free(shapes);
	return r;
}

/* Of the segment before it or, failing that, any. */
static int
find_ledger(struct ledger *l, const char *dir, uint32_t number, struct err *e)
{
	uint32_t *numbers;
	size_t n;
	int r = 1;

	if (place_segments(dir, &numbers, &n, e) != 0)
		return -1;
	for (size_t i = n; i-- > 0 && r == 1;)
		if (numbers[i] < number)
			r = borrow_ledger(l, dir, numbers[i], e);
	for (size_t i = 0; i < n && r == 1; i++)
		if (numbers[i] > number)
			r = borrow_ledger(l, dir, numbers[i], e);
	free(numbers);
	if (r == 1 && getrandom(&l->table, sizeof(l->table), 0) !=
			  (ssize_t)sizeof(l->table))
		r = err_sys(e, "cannot get random bytes");
	return r < 0 ? -1 : 0;
}

static int
complete_ledger(struct salvage *s, const char *dir, uint32_t number,
		struct err *e)
{
	struct ledger found = {0}, *l = &s->ledger;
	uint64_t next = 1;

	for (size_t i = 0; i < s->n; i++) {
		const struct block *b = &s->blocks[i].in->pub;
		int c = shape_find(b->shape, "_id");

		if (b->stats[c].has_minmax && b->stats[c].max.u >= next)
			next = b->stats[c].max.u + 1;
	}
	if (!s->has_ledger) {
		if (find_ledger(&found, dir, number, e) != 0)
			return -1;
		if (found.next_id > next)
			next = found.next_id;
		next += IDS_UNKNOWN;
		l->table = found.table;
		if (l->streams.n == 0) {
			streams_clear(&l->streams);
			l->streams = found.streams;
		} else {
			streams_clear(&found.streams);
		}
	}
	if (l->next_id < next)
		l->next_id = next;
	return 0;
}

/* ---- blocks ---- */

/* The shape of a block without its damaged columns. */
static int
sound_shape(struct salvage *s, const struct salvage_block *b,
	    const struct shape **out, struct err *e)
{
	const struct shape *from = b->in->pub.shape;
	struct field *f = calloc(from->n, sizeof(*f));
	size_t n = 0;
	int r;

	if (!f)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < from->n; i++)
		if (!b->bad[i])
			f[n++] = from->fields[i];
	r = shapes_get(s->shapes, f, n, out, e);
	free(f);
	return r;
}

static int
keep_sound(struct cut *c, struct salvage *s, const struct salvage_block *b,
	   struct err *e)
{
	const struct shape *shape;
	struct table_scratch scratch = {0};
	struct batch *to;
	int r = 0;

	if (sound_shape(s, b, &shape, e) != 0)
		return -1;
	to = batch_new(shape);
	if (!to)
		return err_set(e, "out of memory");
	for (size_t i = 0, k = 0; i < b->in->pub.shape->n && r == 0; i++)
		if (!b->bad[i])
			r = block_column(b->in, b->body, i, &scratch,
					 &to->cols[k++], e);
	to->rows = b->in->pub.rows;
	if (r == 0)
		r = cut_encode(c, to, e);
	table_scratch_clear(&scratch);
	batch_free(to);
	return r;
}

static int
keep_block(struct repair *r, struct cut *c, struct salvage *s,
	   const struct salvage_block *b, struct err *e)
{
	const struct block *pub = &b->in->pub;
	struct table_raw raw = {.head = b->head,
				.body = b->body,
				.filters = b->filters,
				.head_len = b->head_len,
				.body_len = (size_t)b->in->body,
				.filters_len = b->filters_len};

	if (b->lost) {
		r->lost += pub->rows;
		return 0;
	}
	r->kept += pub->rows;
	if (!b->bad)
		return cut_copy(c, pub->first_id, pub->rows, &raw, e);
	r->partly += pub->rows;
	return keep_sound(c, s, b, e);
}

static int
keep_blocks(struct repair *r, struct cut *c, struct salvage *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct salvage_block *b = &s->blocks[i];

		if (b->in->pub.first_id < r->ceiling &&
		    keep_block(r, c, s, b, e) != 0)
			return -1;
	}
	if (s->rows > r->kept + r->lost)
		r->lost = s->rows - r->kept;
	r->uncertain = s->rows == 0;
	return 0;
}

/* The old file keeps a name, so that nothing is lost by a repair. */
static int
set_aside(const char *dir, uint32_t number, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (place_segment_file(dir, number, "", from, PATH_MAX, e) != 0 ||
	    place_segment_file(dir, number, "-damaged", to, PATH_MAX, e) != 0)
		return -1;
	if (unlink(to) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove %s", to);
	if (link(from, to) != 0)
		return err_sys(e, "cannot set %s aside", from);
	return 0;
}

static int
replace(const char *dir, uint32_t number, struct cut *c, struct err *e)
{
	char path[PATH_MAX];
	int r;

	if (set_aside(dir, number, e) != 0)
		return -1;
	r = cut_end(c, e);
	if (r <= 0)
		return r;
	if (place_segment_file(dir, number, "", path, PATH_MAX, e) != 0)
		return -1;
	return unlink(path) != 0 ? err_sys(e, "cannot remove %s", path) : 0;
}

int
repair_segment(struct repair *r, struct salvage *s, struct err *e)
{
	struct table_segment of = {.number = r->number, .created = s->created};
	char path[PATH_MAX];
	struct stat st;
	struct cut c;
	int rc;

	if (place_segment_file(r->dir, r->number, "", path, PATH_MAX, e) != 0)
		return -1;
	if (stat(path, &st) != 0)
		return err_sys(e, "cannot repair %s", path);
	of.bytes = (uint64_t)st.st_size;
	if (complete_ledger(s, r->dir, r->number, e) != 0)
		return -1;
	/* what is put in its place must not be written by anyone */
	if (r->newest &&
	    segment_make_next(r->dir, r->number, &s->ledger, e) != 0)
		return -1;
	rc = cut_begin(&c, r->dir, &of, &s->ledger, e);
	if (rc == 0)
		rc = keep_blocks(r, &c, s, e);
	if (rc == 0)
		rc = replace(r->dir, r->number, &c, e);
	cut_clear(&c);
	return rc;
}
