/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIR_MODE = 0750, LOCK_MODE = 0640 };

static int
make_dir(const char *dir, struct err *e)
{
	if (mkdir(dir, DIR_MODE) == 0 || errno == EEXIST)
		return 0;
	return err_sys(e, "cannot make the directory %s", dir);
}

int
lock_make_dirs(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);
	struct stat st;

	if (len >= sizeof(path))
		return err_set(e, "the path %s is too long", dir);
	memcpy(path, dir, len + 1);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (make_dir(path, e) != 0)
			return -1;
		*p = '/';
	}
	if (make_dir(path, e) != 0)
		return -1;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, "%s is not a directory", path);
	return 0;
}

static int
held(int fd, const char *dir, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
		return err_set(e,
			       "another flowstore (process %ld) writes to %s",
			       (long)l.l_pid, dir);
	return err_set(e, "another flowstore writes to %s", dir);
}

int
lock_take(const char *dir, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX], pid[32];
	int fd, n;

	if (snprintf(path, sizeof(path), "%s/.lock", dir) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
	if (fd < 0)
		return err_sys(e, "cannot open %s", path);
	if (fcntl(fd, F_SETLK, &l) != 0) {
		held(fd, dir, e);
		close(fd);
		return -1;
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* for people only: the lock itself is what counts */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
		err_sys(e, "cannot write %s", path);
		close(fd);
		return -1;
	}
	return fd;
}
