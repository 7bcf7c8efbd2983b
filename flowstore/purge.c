/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore purge: the records of a period go.
 *
 * Segments whose records are all in it are removed, those that it cuts are
 * made anew; each is as it was or as it is to be at any time.  A writer that is
 * at work finishes its newest segment first, and goes on.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/place.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/cut.h"
#include "flowstore/finished.h"
#include "flowstore/lock.h"
#include "flowstore/period.h"
#include "flowstore/progress.h"
#include "flowstore/roll.h"

struct purge {
	const char *name;
	struct period period;
	struct finished segments;
	struct removed gone;
	uint64_t rows;
	struct progress progress;
};

enum part { NOTHING, SOME, ALL };

/* How much of what lies between these times is purged. */
static enum part
part_of(const struct purge *p, int64_t first, int64_t last)
{
	if (first > last || last < p->period.from || first > p->period.to)
		return NOTHING;
	return first >= p->period.from && last <= p->period.to ? ALL : SOME;
}

static enum part
part_of_block(const struct purge *p, const struct block *b)
{
	int c = shape_find(b->shape, "_time");
	const struct column_stat *s = c < 0 ? NULL : &b->stats[c];

	if (!s || !s->has_minmax || s->min.type != COL_TIME)
		return NOTHING;
	return part_of(p, s->min.i, s->max.i);
}

static bool
is_purged(const struct purge *p, const struct column *time, uint32_t row)
{
	struct value v;

	column_value(time, COL_TIME, row, &v);
	return v.type == COL_TIME && v.i >= p->period.from &&
	       v.i <= p->period.to;
}

/* Appends the rows of FROM that stay. */
static int
keep_rows(const struct purge *p, const struct batch *from, struct batch *to,
	  struct err *e)
{
	const struct column *time =
	    &from->cols[shape_find(from->shape, "_time")];
	uint32_t at = 0, end;

	while (at < from->rows) {
		if (is_purged(p, time, at)) {
			at++;
			continue;
		}
		for (end = at + 1; end < from->rows; end++)
			if (is_purged(p, time, end))
				break;
		if (batch_append(to, from, at, end - at, e) != 0)
			return -1;
		at = end;
	}
	return 0;
}

static int
cut_block(struct purge *p, struct cut *c, const struct table *t, size_t i,
	  struct err *e)
{
	const struct block *b = table_block(t, i);
	struct batch *from = batch_new(b->shape), *to = batch_new(b->shape);
	struct table_scratch scratch = {0};
	int r = -1;

	if (!from || !to)
		err_set(e, "out of memory");
	else if (table_batch(t, i, &scratch, from, e) == 0 &&
		 keep_rows(p, from, to, e) == 0)
		r = cut_encode(c, to, e);
	if (r == 0)
		p->rows += b->rows - to->rows;
	table_scratch_clear(&scratch);
	batch_free(from);
	batch_free(to);
	return r;
}

static int
cut_blocks(struct purge *p, struct cut *c, const struct table *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < table_blocks(t) && r == 0; i++) {
		const struct block *b = table_block(t, i);
		enum part part = part_of_block(p, b);
		struct table_raw raw;

		if (part == ALL) {
			p->rows += b->rows;
		} else if (part == SOME) {
			r = cut_block(p, c, t, i, e);
		} else {
			table_block_raw(t, i, &raw);
			r = cut_copy(c, b->first_id, b->rows, &raw, e);
		}
		progress_add(&p->progress, b->bytes);
	}
	return r;
}

/* 1: no record is left. */
static int
cut_segment(struct purge *p, const struct table *t, struct err *e)
{
	struct ledger l;
	struct cut c;
	int r;

	if (cut_ledger(&l, t, e) != 0)
		return -1;
	r = cut_begin(&c, p->segments.dir, table_segment(t, 0), &l, e);
	if (r == 0)
		r = cut_blocks(p, &c, t, e);
	if (r == 0)
		r = cut_end(&c, e);
	cut_clear(&c);
	return r;
}

/* 1: the segment went. */
static int
purge_segment(struct purge *p, size_t i, struct err *e)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t = NULL;
	int r;

	if (!shapes)
		return err_set(e, "out of memory");
	r = table_open_segment(&t, p->segments.dir, p->segments.s[i].number,
			       false, shapes, e);
	if (r == 0) {
		const struct table_segment *s = table_segment(t, 0);
		enum part part = part_of(p, s->first, s->last);

		if (part == SOME)
			r = cut_segment(p, t, e);
		if (part == ALL)
			p->rows += s->rows;
		if (part != SOME)
			progress_add(&p->progress, s->bytes);
		if (part == ALL || r == 1)
			r = finished_remove(&p->segments, i, &p->gone, e) != 0
				? -1
				: 1;
	}
	table_close(t);
	shapes_free(shapes);
	return r;
}

/* Has the newest segment finished if the period touches it. */
static int
finish_newest(const struct purge *p, int lock, struct err *e)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	const char *dir = p->segments.dir;
	struct table *t = NULL;
	uint32_t *numbers = NULL;
	size_t n = 0;
	int r;

	if (!shapes)
		return err_set(e, "out of memory");
	r = place_segments(dir, &numbers, &n, e);
	if (r == 0 && n > 0)
		r = table_open_segment(&t, dir, numbers[n - 1], true, shapes,
				       e);
	if (t && part_of(p, table_segment(t, 0)->first,
			 table_segment(t, 0)->last) == NOTHING)
		n = 0;
	free(numbers);
	table_close(t);
	shapes_free(shapes);
	return r == 0 && n > 0 ? roll_table(lock, dir, e) : r;
}

static int
purge_all(struct purge *p, int lock, struct err *e)
{
	uint64_t bytes = 0;
	int r = 0;

	if (finish_newest(p, lock, e) != 0 ||
	    finished_list(&p->segments, e) != 0)
		return -1;
	for (size_t i = 0; i < p->segments.n; i++)
		bytes += p->segments.s[i].bytes;
	progress_start(&p->progress, "purge", p->name, bytes);
	for (size_t i = 0; i < p->segments.n && r >= 0;) {
		r = purge_segment(p, i, e);
		if (r == 0)
			i++;
	}
	progress_end(&p->progress);
	return r < 0 ? -1 : 0;
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int
purge_run(const struct command_args *a, struct err *e)
{
	struct purge p = {.name = a->words[0]};
	int lock, r;

	if (period_parse(&p.period, a->words[1], a->words[2], now_us(), e))
		cli_usage("flowstore", "%s", e->text);
	if (table_dir(a->root, p.name, p.segments.dir, sizeof(p.segments.dir),
		      e) != 0)
		return -1;
	if (isatty(STDIN_FILENO) &&
	    command_confirm(a, e, "purge %s of all records from %s to %s",
			    p.name, a->words[1], a->words[2]) != 0)
		return -1;
	lock = lock_take(p.segments.dir, LOCK_UPKEEP, e);
	if (lock < 0)
		return -1;
	r = purge_all(&p, lock, e);
	finished_clear(&p.segments);
	close(lock);
	if (r == 0 || p.rows > 0)
		command_say("%s: %" PRIu64 " records purged", p.name, p.rows);
	return r;
}
