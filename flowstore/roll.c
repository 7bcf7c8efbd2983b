/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/roll.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "flowstore/lock.h"
#include "flowstore/segment.h"

enum {
	WAIT_MS = 10,
	WAIT_LOOKS = 6000, /* a minute */
};

/* Any will do: the next writer opens it with its own. */
#define SEGMENT_SIZE (UINT64_C(1) << 30)

static int
path_of(const char *dir, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/.roll", dir) < PATH_MAX ? 0 : -1;
}

bool
roll_is_wished(const char *dir)
{
	char path[PATH_MAX];

	return path_of(dir, path) == 0 && access(path, F_OK) == 0;
}

void
roll_done(const char *dir)
{
	char path[PATH_MAX];

	if (path_of(dir, path) == 0)
		unlink(path);
}

/* We are the writer. */
static int
roll_ourselves(const char *dir, struct err *e)
{
	struct ledger l = {0};
	struct segment s;
	int r = segment_open(&s, dir, SEGMENT_SIZE, &l, e);

	if (r == 0 && s.rows > 0)
		r = segment_roll(&s, &l, e);
	segment_close(&s);
	streams_clear(&l.streams);
	roll_done(dir);
	return r;
}

static int
wish(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	if (path_of(dir, path) != 0)
		return err_set(e, "the path %s is too long", dir);
	fd = lock_make_file(path, DATA_MODE, e);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int
roll_table(int lock, const char *dir, struct err *e)
{
	struct timespec pause = {.tv_nsec = WAIT_MS * 1000000};
	bool wished = false;

	for (int i = 0; i < WAIT_LOOKS; i++) {
		/* the writer may end or begin meanwhile */
		if (lock_more(lock, dir, LOCK_WRITER, false, e) == 0) {
			int r = roll_ourselves(dir, e);

			lock_less(lock, LOCK_WRITER);
			return r;
		}
		if (wished && !roll_is_wished(dir))
			return 0;
		if (!wished && wish(dir, e) != 0)
			return -1;
		wished = true;
		nanosleep(&pause, NULL);
	}
	roll_done(dir);
	return err_prefix(e, "it does not begin a new segment");
}
