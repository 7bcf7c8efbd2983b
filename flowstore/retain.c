/* SPDX-License-Identifier: BSD-2-Clause */
/* flowstore retention: how long records are kept. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/place.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/finished.h"
#include "flowstore/listing.h"
#include "flowstore/lock.h"
#include "flowstore/roll.h"

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The greatest _time of the newest segment. */
static int
newest_time(const char *dir, int64_t *last, struct err *e)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t = NULL;
	uint32_t *numbers = NULL;
	size_t n = 0;
	int r = 0;

	*last = INT64_MAX;
	if (!shapes)
		return err_set(e, "out of memory");
	r = place_segments(dir, &numbers, &n, e);
	if (r == 0 && n > 0)
		r = table_open_segment(&t, dir, numbers[n - 1], true, shapes,
				       e);
	if (t && table_segment(t, 0)->rows > 0)
		*last = table_segment(t, 0)->last;
	free(numbers);
	table_close(t);
	shapes_free(shapes);
	return r;
}

/* A table that nobody writes to has old records in its newest segment, too:
 * that is finished, so that it can go. */
static int
finish_newest(int lock, const char *dir, const struct retention *keep,
	      struct err *e)
{
	struct err busy;
	int64_t last;
	int r;

	if (!keep->age || lock_more(lock, dir, LOCK_WRITER, false, &busy) != 0)
		return 0;
	r = newest_time(dir, &last, e);
	if (r == 0 && last < retention_before(keep, now_us()))
		r = roll_table(lock, dir, e);
	lock_less(lock, LOCK_WRITER);
	return r;
}

static int
apply(const struct command_args *a, const char *name, struct err *e)
{
	struct retention keep;
	struct removed gone = {0};
	struct finished f = {0};
	char bytes[16];
	int lock, r;

	if (table_dir(a->root, name, f.dir, sizeof(f.dir), e) != 0 ||
	    retention_read(&keep, f.dir, e) != 0)
		return -1;
	if (!keep.age && !keep.size)
		return 0;
	lock = lock_take(f.dir, LOCK_UPKEEP, e);
	if (lock < 0)
		return -1;
	r = finish_newest(lock, f.dir, &keep, e);
	if (r == 0)
		r = finished_list(&f, e);
	if (r == 0)
		r = finished_retain(&f, &keep, now_us(), SIZE_MAX, &gone, e);
	finished_clear(&f);
	close(lock);
	if (gone.segments > 0)
		command_say("%s: %" PRIu64 " segment%s removed, %s", name,
			    gone.segments, gone.segments == 1 ? "" : "s",
			    listing_bytes(bytes, gone.bytes));
	return r;
}

static int
apply_all(const struct command_args *a, struct err *e)
{
	char **names;
	size_t n;
	int r = 0;

	if (table_names(a->root, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = apply(a, names[i], e);
	table_names_free(names, n);
	return r;
}

static int
set(const struct command_args *a, const char *dir, struct retention *keep,
    struct err *e)
{
	int lock, r;

	*keep = (struct retention){0};
	for (int i = 1; i < a->n; i++)
		if (retention_parse(keep, a->words[i], e) != 0)
			cli_usage("flowstore", "%s", e->text);
	lock = lock_take(dir, LOCK_UPKEEP, e);
	if (lock < 0)
		return -1;
	r = retention_write(keep, dir, e);
	close(lock);
	return r;
}

int
retention_run(const struct command_args *a, struct err *e)
{
	char dir[PATH_MAX], text[RETENTION_TEXT_MAX];
	struct retention keep;

	if (a->apply && a->n > 1)
		cli_usage("flowstore", "--apply goes with a table at most");
	if (a->apply)
		return a->n == 0 ? apply_all(a, e) : apply(a, a->words[0], e);
	if (a->n == 0)
		cli_usage("flowstore", "retention of which table? flowstore "
				       "retention TABLE [AGE|SIZE|none]");
	if (table_dir(a->root, a->words[0], dir, sizeof(dir), e) != 0 ||
	    (a->n == 1 ? retention_read(&keep, dir, e)
		       : set(a, dir, &keep, e)) != 0)
		return -1;
	command_say("%s: %s", a->words[0], retention_text(&keep, text));
	return 0;
}
