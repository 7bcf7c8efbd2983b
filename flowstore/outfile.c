/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0640 };

static volatile sig_atomic_t stopped;

static void
on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* One that is ignored (nohup) stays so. */
static void
catch_signals(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal,
			       .sa_flags = (int)SA_RESETHAND},
			 old;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		if (sigaction(sigs[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
}

static int
is_there(const struct outfile *o, struct err *e)
{
	return err_set(e, "%s is there already (--yes replaces it)", o->path);
}

static int
open_part(struct outfile *o, struct err *e)
{
	mode_t mask = umask(0);

	umask(mask);
	if (snprintf(o->part, sizeof(o->part), "%s.XXXXXX", o->path) >=
	    (int)sizeof(o->part)) {
		o->part[0] = 0;
		return err_set(e, "the path %s is too long", o->path);
	}
	catch_signals();
	o->fd = mkostemp(o->part, O_CLOEXEC);
	if (o->fd < 0) {
		o->part[0] = 0;
		return err_sys(e, "cannot write %s", o->path);
	}
	if (fchmod(o->fd, FILE_MODE & ~mask) != 0)
		return outfile_close(
		    o, err_sys(e, "cannot set the mode of %s", o->part), e);
	return 0;
}

int
outfile_open(struct outfile *o, const char *path, bool replace, struct err *e)
{
	struct stat st;

	*o = (struct outfile){.path = path, .fd = -1, .replace = replace};
	if (strcmp(path, "-") == 0) {
		o->path = "standard output";
		o->fd = STDOUT_FILENO;
		return 0;
	}
	o->named = true;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC);
		return o->fd < 0 ? err_sys(e, "cannot open %s", path) : 0;
	}
	if (!replace && lstat(path, &st) == 0)
		return is_there(o, e);
	return open_part(o, e);
}

int
outfile_may_go_on(const struct outfile *o, struct err *e)
{
	return stopped ? err_set(e, "stopped by a signal: %s is not written",
				 o->path)
		       : 0;
}

int
outfile_write(struct outfile *o, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n;

		if (outfile_may_go_on(o, e) != 0)
			return -1;
		n = write(o->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot write %s", o->path);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The name is on disk, too. */
static int
sync_above(const struct outfile *o, struct err *e)
{
	const char *slash = strrchr(o->path, '/');
	char dir[PATH_MAX] = ".";
	int fd, r;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s",
			 slash > o->path ? (int)(slash - o->path) : 1, o->path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* one that may be written and not be read */
	r = fsync(fd);
	close(fd);
	/* EINVAL: the file system does not do that */
	return r != 0 && errno != EINVAL
		   ? err_sys(e, "cannot sync the directory %s", dir)
		   : 0;
}

static int
take_place(struct outfile *o, struct err *e)
{
	if (!o->replace && link(o->part, o->path) == 0)
		unlink(o->part);
	else if (!o->replace && errno == EEXIST)
		return is_there(o, e);
	else if (rename(o->part, o->path) != 0) /* or there are no links */
		return err_sys(e, "cannot rename %s to %s", o->part, o->path);
	o->part[0] = 0;
	return sync_above(o, e);
}

int
outfile_close(struct outfile *o, int r, struct err *e)
{
	if (!o->named)
		return r;
	if (o->part[0] && r == 0 && fsync(o->fd) != 0)
		r = err_sys(e, "cannot write %s", o->path);
	if (close(o->fd) != 0 && r == 0)
		r = err_sys(e, "cannot write %s", o->path);
	o->fd = -1;
	if (o->part[0] && r == 0)
		r = outfile_may_go_on(o, e);
	if (o->part[0] && r == 0)
		r = take_place(o, e);
	if (o->part[0])
		unlink(o->part);
	o->part[0] = 0;
	return r;
}
