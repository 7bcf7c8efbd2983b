/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/quantity.h"
#include "flowstore/lock.h"

static const char file[] = ".retention", newborn[] = ".retention.new";

static int
path_of(const char *dir, const char *name, char path[PATH_MAX], struct err *e)
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	return 0;
}

int64_t
retention_before(const struct retention *r, int64_t now)
{
	int64_t age, before;

	if (r->age == 0 || __builtin_mul_overflow(r->age, 1000000, &age) ||
	    __builtin_sub_overflow(now, age, &before))
		return INT64_MIN;
	return before;
}

int
retention_parse(struct retention *r, const char *text, struct err *e)
{
	uint64_t x;

	if (strcmp(text, "none") == 0) {
		*r = (struct retention){0};
		return 0;
	}
	if (quantity_age(text, &x) == 0) {
		r->age = (int64_t)x;
		return 0;
	}
	if (quantity_size(text, &x) == 0) {
		r->size = x;
		return 0;
	}
	return err_set(e,
		       "'%s' is no age (30d, 12h, 52w), no size (10G, 500M) "
		       "and not none",
		       text);
}

const char *
retention_text(const struct retention *r, char buf[RETENTION_TEXT_MAX])
{
	char age[QUANTITY_MAX] = "", size[QUANTITY_MAX] = "";

	if (r->age)
		quantity_age_text(age, (uint64_t)r->age);
	if (r->size)
		quantity_size_text(size, r->size);
	snprintf(buf, RETENTION_TEXT_MAX, "%s%s%s", age,
		 *age && *size ? " " : "", *age || *size ? size : "none");
	return buf;
}

/* "age SECONDS" and "size BYTES", a line each. */
static int
parse_file(struct retention *r, char *text, const char *path, struct err *e)
{
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		uint64_t x;
		char *space = strchr(line, ' ');

		if (!space || quantity_plain(space + 1, &x) != 0 ||
		    x > INT64_MAX)
			return err_set(e, "%s has a bad line", path);
		*space = 0;
		if (strcmp(line, "age") == 0)
			r->age = (int64_t)x;
		else if (strcmp(line, "size") == 0)
			r->size = x;
		else
			return err_set(e, "%s has a bad line", path);
	}
	return 0;
}

int
retention_read(struct retention *r, const char *dir, struct err *e)
{
	char path[PATH_MAX], text[256];
	ssize_t n;
	int fd;

	*r = (struct retention){0};
	if (path_of(dir, file, path, e) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "cannot open %s", path);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		err_sys(e, "cannot read %s", path);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	return parse_file(r, text, path, e);
}

static int
write_all(int fd, const struct retention *r, const char *path, struct err *e)
{
	char text[128];
	int n =
	    snprintf(text, sizeof(text), "age %" PRId64 "\nsize %" PRIu64 "\n",
		     r->age, r->size);

	if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)n) != n ||
	    fsync(fd) != 0)
		return err_sys(e, "cannot write %s", path);
	return 0;
}

int
retention_write(const struct retention *r, const char *dir, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];
	int fd, rc;

	if (path_of(dir, newborn, from, e) != 0 ||
	    path_of(dir, file, to, e) != 0)
		return -1;
	if (!r->age && !r->size) {
		if (unlink(to) != 0 && errno != ENOENT)
			return err_sys(e, "cannot remove %s", to);
		return 0;
	}
	fd = lock_make_file(from, DATA_MODE, e);
	if (fd < 0)
		return -1;
	rc = write_all(fd, r, from, e);
	close(fd);
	if (rc == 0 && rename(from, to) != 0)
		rc = err_sys(e, "cannot rename %s", from);
	if (rc != 0)
		unlink(from);
	return rc;
}
