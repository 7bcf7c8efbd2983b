/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/finished.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/place.h"
#include "common/table.h"

void
finished_clear(struct finished *f)
{
	free(f->s);
	f->s = NULL;
	f->n = 0;
}

/* What was known of a segment is kept as long as it is the same file. */
static void
remember(const struct finished *f, struct finished_segment *s)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->s[i].number == s->number && f->s[i].inode == s->inode) {
			s->known = f->s[i].known;
			s->last = f->s[i].last;
		}
}

int
finished_list(struct finished *f, struct err *e)
{
	struct finished_segment *s;
	char path[PATH_MAX];
	uint32_t *numbers;
	size_t n, k = 0;
	struct stat st;

	if (place_segments(f->dir, &numbers, &n, e) != 0)
		return -1;
	s = calloc(n + 1, sizeof(*s));
	if (!s) {
		free(numbers);
		return err_sys(e, "cannot list the segments of %s", f->dir);
	}
	f->newest_bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (place_segment_file(f->dir, numbers[i], "", path, PATH_MAX,
				       e) != 0 ||
		    lstat(path, &st) != 0)
			continue;
		if (i + 1 == n) {
			f->newest_bytes = (uint64_t)st.st_size;
			break;
		}
		s[k] = (struct finished_segment){.number = numbers[i],
						 .inode = st.st_ino,
						 .bytes = (uint64_t)st.st_size};
		remember(f, &s[k++]);
	}
	free(numbers);
	free(f->s);
	f->s = s;
	f->n = k;
	return 0;
}

int
finished_remove(struct finished *f, size_t i, struct removed *r, struct err *e)
{
	char path[PATH_MAX];

	if (place_segment_file(f->dir, f->s[i].number, "", path, PATH_MAX, e) !=
	    0)
		return -1;
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove %s", path);
	r->segments++;
	r->bytes += f->s[i].bytes;
	if (place_segment_file(f->dir, f->s[i].number, "-lock", path, PATH_MAX,
			       e) != 0)
		return -1;
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove %s", path);
	memmove(&f->s[i], &f->s[i + 1], (--f->n - i) * sizeof(*f->s));
	return 0;
}

/* How old the youngest record is; of a segment that cannot be read, the file.
 */
static void
know(struct finished *f, struct finished_segment *s)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t = NULL;
	char path[PATH_MAX];
	struct stat st;
	struct err e;

	s->last = INT64_MAX;
	if (shapes &&
	    table_open_segment(&t, f->dir, s->number, false, shapes, &e) == 0)
		s->last = table_segment(t, 0)->last;
	else if (place_segment_file(f->dir, s->number, "", path, PATH_MAX,
				    &e) == 0 &&
		 stat(path, &st) == 0)
		s->last = (int64_t)st.st_mtime * 1000000;
	s->known = true;
	table_close(t);
	shapes_free(shapes);
}

static int
retain_age(struct finished *f, int64_t before, size_t looks, struct removed *r,
	   struct err *e)
{
	bool left = false;

	for (size_t i = 0; i < f->n;) {
		struct finished_segment *s = &f->s[i];

		if (!s->known && looks > 0) {
			know(f, s);
			looks--;
		}
		left |= !s->known;
		if (!s->known || s->last >= before)
			i++;
		else if (finished_remove(f, i, r, e) != 0)
			return -1;
	}
	return left;
}

static int
retain_size(struct finished *f, uint64_t max, struct removed *r, struct err *e)
{
	uint64_t sum = f->newest_bytes;

	for (size_t i = 0; i < f->n; i++)
		sum += f->s[i].bytes;
	while (f->n > 0 && sum > max) {
		sum -= f->s[0].bytes;
		if (finished_remove(f, 0, r, e) != 0)
			return -1;
	}
	return 0;
}

int
finished_retain(struct finished *f, const struct retention *keep, int64_t now,
		size_t looks, struct removed *r, struct err *e)
{
	int left = 0;

	if (keep->age)
		left = retain_age(f, retention_before(keep, now), looks, r, e);
	if (left < 0 || (keep->size && retain_size(f, keep->size, r, e) != 0))
		return -1;
	return left;
}
