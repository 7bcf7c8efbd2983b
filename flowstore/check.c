/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore check: whether a table is sound, and what is to be saved if not.
 *
 * Each segment is read as flowq reads it, every column of every block.  One
 * that is damaged is then walked page by page, to tell all that is.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/pages.h"
#include "common/place.h"
#include "common/table.h"
#include "flowstore/backup.h"
#include "flowstore/command.h"
#include "flowstore/finished.h"
#include "flowstore/lock.h"
#include "flowstore/progress.h"
#include "flowstore/repair.h"
#include "flowstore/salvage.h"

enum { TOLD_MAX = 100 }; /* problems of a segment, a line each */

struct check {
	const char *name;
	char dir[PATH_MAX];
	bool repair;
	int lock;	   /* when repairing */
	bool written;	   /* another process writes the newest segment */
	struct err writer; /* which, when repairing */
	/* the segment at hand */
	char file[SEGMENT_NAME_MAX];
	bool newest;
	uint64_t problems, told;
	uint64_t last_id; /* of the segments before */
	/* the table */
	uint64_t segments, blocks, rows;
	uint64_t damaged, repaired; /* segments */
	struct progress progress;
};

static void __attribute__((format(printf, 2, 3)))
problem(struct check *c, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	c->problems++;
	if (c->told == TOLD_MAX)
		return;
	progress_end(&c->progress);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line("%s%s", text,
		 ++c->told == TOLD_MAX ? "; and so on: no more is told" : "");
}

/* ---- as a reader reads it ---- */

/* Ids ascend within a block, and are above those of the segments before. */
static void
check_ids(struct check *c, const struct table *t, size_t i,
	  const struct column *ids)
{
	const struct block *b = table_block(t, i);
	uint64_t last = 0;

	for (uint32_t row = 0; row < b->rows; row++) {
		struct value v;

		column_value(ids, COL_U64, row, &v);
		if (v.type != COL_U64 || (row == 0 && v.u != b->first_id) ||
		    v.u <= last || v.u <= c->last_id ||
		    v.u >= table_segment(t, 0)->next_id) {
			problem(c,
				"table %s, %s, block %" PRIu64
				": the _id of row %u is out of order",
				c->name, c->file, b->first_id, (unsigned)row);
			return;
		}
		last = v.u;
	}
}

static void
check_block(struct check *c, const struct table *t, size_t i,
	    struct table_scratch *scratch, struct column *col)
{
	const struct block *b = table_block(t, i);
	struct err e;

	for (size_t k = 0; k < b->shape->n; k++) {
		if (table_column(t, i, k, scratch, col, &e) != 0)
			problem(c, "%s", e.text);
		else if (strcmp(b->shape->fields[k].name, "_id") == 0)
			check_ids(c, t, i, col);
	}
	if (table_check_filters(t, i, &e) != 0)
		problem(c, "%s", e.text);
	progress_add(&c->progress, b->bytes);
}

static void
check_counts(struct check *c, const struct table *t)
{
	const struct table_segment *s = table_segment(t, 0);

	if (s->rows == s->counted_rows && s->n == s->counted_blocks)
		return;
	problem(c,
		"table %s, %s: it has %" PRIu64 " records in %zu blocks, its "
		"counts say %" PRIu64 " in %" PRIu64,
		c->name, c->file, s->rows, s->n, s->counted_rows,
		s->counted_blocks);
}

static void
check_blocks(struct check *c, const struct table *t)
{
	struct table_scratch scratch = {0};
	struct column col = {0};
	uint64_t last = c->last_id;

	for (size_t i = 0; i < table_blocks(t); i++) {
		const struct block *b = table_block(t, i);
		const struct column_stat *ids =
		    &b->stats[shape_find(b->shape, "_id")];

		check_block(c, t, i, &scratch, &col);
		if (ids->has_minmax && ids->max.u > last)
			last = ids->max.u;
	}
	c->last_id = last;
	check_counts(c, t);
	column_clear(&col);
	table_scratch_clear(&scratch);
}

/* What only a writer would stumble over. */
static void
check_free_pages(struct check *c, const char *path)
{
	struct err e;
	struct pages *p = pages_open(path, &e);

	if (!p || pages_check(p, 0, true, &e) != 0)
		problem(c, "table %s, %s: %s", c->name, c->file, e.text);
	pages_close(p);
}

/* 1: it cannot be opened, why says so. */
static int
check_segment(struct check *c, uint32_t number, const char *path,
	      struct err *why)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t = NULL;
	int r = 0;

	if (!shapes) {
		err_set(why, "out of memory");
		return 1;
	}
	if (table_open_segment(&t, c->dir, number, c->newest, shapes, why) ==
	    0) {
		check_blocks(c, t);
		if (c->newest && !c->written)
			check_free_pages(c, path);
		c->rows += table_segment(t, 0)->rows;
		c->blocks += table_blocks(t);
	} else {
		r = 1;
	}
	table_close(t);
	shapes_free(shapes);
	return r;
}

/* ---- damage ---- */

static void
on_damage(void *ctx, const char *text)
{
	struct check *c = ctx;

	problem(c, "table %s, %s: %s", c->name, c->file, text);
}

static void
ignore(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static void
say_repaired(const struct check *c, const struct repair *r)
{
	log_line(
	    "table %s, %s: repaired: %" PRIu64 " records kept, %s%" PRIu64
	    " lost, %" PRIu64
	    " kept without some of their fields; what it was is %s-damaged",
	    c->name, c->file, r->kept, r->uncertain ? "at least " : "", r->lost,
	    r->partly, c->file);
}

/* The least id of later segments: what they have is not kept twice. */
static uint64_t
ceiling_of(const struct check *c, const uint32_t *numbers, size_t n, size_t i)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	uint64_t least = UINT64_MAX;

	for (i++; shapes && i < n && least == UINT64_MAX; i++) {
		struct table *t = NULL;
		struct err e;

		if (table_open_segment(&t, c->dir, numbers[i], i + 1 == n,
				       shapes, &e) == 0 &&
		    table_blocks(t) > 0)
			least = table_block(t, 0)->first_id;
		table_close(t);
	}
	shapes_free(shapes);
	return least;
}

/* Tells what is damaged, if that was not done, and repairs it if wished. */
static int
look_closer(struct check *c, const uint32_t *numbers, size_t n, size_t i,
	    const struct err *why)
{
	char path[PATH_MAX];
	struct salvage s = {0};
	struct repair r;
	struct err e2, *e = &e2;
	int rc;

	rc = place_segment_file(c->dir, numbers[i], "", path, PATH_MAX, e);
	if (rc == 0)
		rc = salvage_open(&s, path, why ? on_damage : ignore, c, e);
	if (rc == 0 && why && s.damages == 0)
		problem(c, "%s", why->text);
	if (rc == 0 && c->repair) {
		r = (struct repair){.dir = c->dir,
				    .number = numbers[i],
				    .newest = c->newest,
				    .ceiling = ceiling_of(c, numbers, n, i)};
		rc = repair_segment(&r, &s, e);
		if (rc == 0) {
			say_repaired(c, &r);
			c->repaired++;
			c->rows += why ? r.kept : 0;
		}
	}
	salvage_close(&s);
	if (rc != 0)
		problem(c, "table %s, %s: %s", c->name, c->file, e->text);
	return rc;
}

static void
check_one(struct check *c, const uint32_t *numbers, size_t n, size_t i)
{
	char path[PATH_MAX];
	struct err why;
	int unread;

	place_segment(numbers[i], c->file);
	if (place_segment_file(c->dir, numbers[i], "", path, PATH_MAX, &why))
		return;
	c->newest = i + 1 == n;
	c->problems = c->told = 0;
	why.code = 0;
	unread = check_segment(c, numbers[i], path, &why);
	if (unread && why.code == ENOENT)
		return; /* it went meanwhile */
	c->segments++;
	if (!unread && c->problems == 0)
		return;
	c->damaged++;
	if (!(c->newest && c->written))
		look_closer(c, numbers, n, i, unread ? &why : NULL);
	else if (unread)
		problem(c, "%s", why.text);
	if (c->repair && c->newest && c->written)
		log_line("table %s, %s is not repaired: %s", c->name, c->file,
			 c->writer.text);
}

static int
check_all(struct check *c, struct err *e)
{
	struct finished f = {0};
	uint32_t *numbers;
	uint64_t bytes;
	size_t n;

	snprintf(f.dir, sizeof(f.dir), "%s", c->dir);
	if (finished_list(&f, e) != 0)
		return -1;
	bytes = f.newest_bytes;
	for (size_t i = 0; i < f.n; i++)
		bytes += f.s[i].bytes;
	finished_clear(&f);
	if (place_segments(c->dir, &numbers, &n, e) != 0)
		return -1;
	progress_start(&c->progress, "check", c->name, bytes);
	for (size_t i = 0; i < n; i++)
		check_one(c, numbers, n, i);
	progress_end(&c->progress);
	free(numbers);
	return 0;
}

/* ---- the command ---- */

static int
take_locks(struct check *c, struct err *e)
{
	if (!c->repair) {
		c->written = lock_holder(c->dir, LOCK_WRITER) != 0;
		return 0;
	}
	c->lock = lock_take(c->dir, LOCK_UPKEEP, e);
	if (c->lock < 0)
		return -1;
	c->written =
	    lock_more(c->lock, c->dir, LOCK_WRITER, false, &c->writer) != 0;
	return 0;
}

static int
check_table(const struct command_args *a, const char *name, struct err *e)
{
	struct check c = {.name = name, .repair = a->repair, .lock = -1};
	int r;

	if (table_dir(a->root, name, c.dir, sizeof(c.dir), e) != 0 ||
	    take_locks(&c, e) != 0)
		return -1;
	r = check_all(&c, e);
	if (c.lock >= 0)
		close(c.lock);
	if (r != 0)
		return -1;
	if (c.damaged == 0)
		command_say("%s: %" PRIu64 " segments, %" PRIu64
			    " blocks, %" PRIu64 " records: sound",
			    name, c.segments, c.blocks, c.rows);
	else
		command_say("%s: %" PRIu64 " of %" PRIu64
			    " segments damaged, %" PRIu64 " repaired",
			    name, c.damaged, c.segments, c.repaired);
	return c.damaged > c.repaired;
}

int
check_dir(const char *dir, const char *name, struct err *e)
{
	struct check c = {.name = name, .lock = -1};

	if (snprintf(c.dir, sizeof(c.dir), "%s", dir) >= (int)sizeof(c.dir))
		return err_set(e, "the path %s is too long", dir);
	if (check_all(&c, e) != 0)
		return -1;
	return c.damaged == 0
		   ? 0
		   : err_set(e,
			     "%" PRIu64 " of its %" PRIu64 " segments are "
			     "damaged",
			     c.damaged, c.segments);
}

int
check_run(const struct command_args *a, struct err *e)
{
	int bad = 0;

	if (a->backup && a->repair)
		return err_set(e, "a backup is not repaired: restore what it "
				  "is of, or make another");
	for (int i = 0; i < a->n; i++) {
		int r = a->backup ? restore_check(a->words[i], e)
				  : check_table(a, a->words[i], e);

		if (r < 0)
			return -1;
		bad |= r;
	}
	return bad;
}
