/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	TRIES = 20,	   /* of a table that is dropped and made meanwhile */
	WAIT_MS = 10,	   /* between looks at a lock that is held */
	WAIT_LOOKS = 3000, /* as long as an upkeep of some size may take */
};

/* What the directory that PATH lies in is like. */
static int
stat_above(const char *path, struct stat *st)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= sizeof(dir))
		return -1;
	memcpy(dir, path, len);
	dir[len] = 0;
	return stat(len ? dir : slash ? "/" : ".", st);
}

/* Whose a file is to be that root makes: that of the directory's owner. */
static bool
is_for_other(const char *path, struct stat *above)
{
	return geteuid() == 0 && stat_above(path, above) == 0 &&
	       above->st_uid != 0;
}

static int
make_dir(const char *dir, struct err *e)
{
	struct stat above;

	if (mkdir(dir, DIR_MODE) != 0)
		return errno == EEXIST
			   ? 0
			   : err_sys(e, "cannot make the directory %s", dir);
	/* whatever the umask is */
	if (chmod(dir, DIR_MODE) != 0)
		return err_sys(e, "cannot set the mode of %s", dir);
	if (is_for_other(dir, &above) &&
	    chown(dir, above.st_uid, above.st_gid) != 0)
		return err_sys(e, "cannot give %s to the tables' owner", dir);
	return 0;
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

int
lock_make_file(const char *path, mode_t mode, struct err *e)
{
	int fd = open(
	    path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
	struct stat st, above;

	if (fd < 0 && errno == ELOOP)
		return err_set(e, "%s is a symbolic link: it is not followed",
			       path);
	if (fd < 0)
		return err_sys(e, "cannot open %s", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, "%s: it is no file", path);
	}
	if (st.st_uid != geteuid())
		return fd; /* made by its owner before */
	if (is_for_other(path, &above) &&
	    fchown(fd, above.st_uid, above.st_gid) != 0) {
		close(fd);
		return err_sys(e, "cannot give %s to its table's owner", path);
	}
	if ((st.st_mode & 0777) != mode && fchmod(fd, mode) != 0) {
		close(fd);
		return err_sys(e, "cannot set the mode of %s", path);
	}
	return fd;
}

/* "it belongs to the user flow" is more help than "permission denied". */
static int
denied(const char *dir, const char *path, struct err *e)
{
	const struct passwd *pw;
	struct stat st;

	if (e->code != EACCES || stat(dir, &st) != 0 || st.st_uid == geteuid())
		return -1;
	pw = getpwuid(st.st_uid);
	err_set(e,
		"the table in %s belongs to user %s (%ld): only that user may "
		"write it (cannot open %s)",
		dir, pw ? pw->pw_name : "?", (long)st.st_uid, path);
	e->code = EACCES;
	return -1;
}

static struct flock
part_of(enum lock_part part, short type)
{
	return (struct flock){
	    .l_type = type, .l_whence = SEEK_SET, .l_start = part, .l_len = 1};
}

static int
held(int fd, const char *dir, enum lock_part part, struct err *e)
{
	struct flock l = part_of(part, F_WRLCK);
	const char *does = part == LOCK_WRITER ? "writes to" : "tidies";

	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0)
		return err_set(e, "another flowstore (process %ld) %s %s",
			       (long)l.l_pid, does, dir);
	return err_set(e, "another flowstore %s %s", does, dir);
}

static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

int
lock_more(int fd, const char *dir, enum lock_part part, bool wait,
	  struct err *e)
{
	struct flock l = part_of(part, F_WRLCK);

	for (int i = 0; fcntl(fd, F_SETLK, &l) != 0; i++) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_sys(e, "cannot lock %s/.lock", dir);
		if (!wait || i == WAIT_LOOKS)
			return held(fd, dir, part, e);
		pause_ms(WAIT_MS);
	}
	return 0;
}

void
lock_less(int fd, enum lock_part part)
{
	struct flock l = part_of(part, F_UNLCK);

	fcntl(fd, F_SETLK, &l);
}

/* For people only: the lock itself is what counts. */
static int
write_pid(int fd, const char *path, struct err *e)
{
	char pid[32];
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return err_sys(e, "cannot write %s", path);
	return 0;
}

/* Whether the file is still the table's, which may have been dropped between
 * opening and locking it. */
static bool
is_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int
lock_take(const char *dir, enum lock_part part, struct err *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/.lock", dir) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	for (int i = 0; i < TRIES; i++) {
		int fd = lock_make_file(path, DATA_MODE, e), r;

		if (fd < 0)
			return denied(dir, path, e);
		r = lock_more(fd, dir, part, part == LOCK_UPKEEP, e);
		if (r == 0 && !is_there(fd, path)) {
			close(fd);
			continue;
		}
		if (r == 0 && part == LOCK_WRITER)
			r = write_pid(fd, path, e);
		if (r == 0)
			return fd;
		close(fd);
		return -1;
	}
	return err_set(e, "%s is being dropped", dir);
}

pid_t
lock_holder(const char *dir, enum lock_part part)
{
	struct flock l = part_of(part, F_WRLCK);
	char path[PATH_MAX];
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/.lock", dir) >= PATH_MAX)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	r = fcntl(fd, F_GETLK, &l);
	close(fd);
	if (r != 0)
		return -1;
	return l.l_type == F_UNLCK ? 0 : l.l_pid;
}
