/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
copy(int from, int to, const char *path, struct err *err)
{
	char buf[65536];

	for (;;) {
		ssize_t n = read(from, buf, sizeof buf);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read %s", path);
		if (n == 0)
			return 0;
		if (write_all(to, buf, (size_t)n))
			return err_sys(err,
				       "cannot keep a copy of %s (set "
				       "TMPDIR to where there is room)",
				       path);
	}
}

/* A copy in a file without a name. */
static int
spool(int fd, const char *path, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char name[4096];
	int to;

	snprintf(name, sizeof name, "%s/flowq.XXXXXX",
		 dir && *dir ? dir : "/tmp");
	to = mkostemp(name, O_CLOEXEC);
	if (to < 0)
		return err_sys(err, "cannot keep a copy of %s in %s", path,
			       name);
	unlink(name);
	if (copy(fd, to, path, err)) {
		close(to);
		return -1;
	}
	return to;
}

int
textfile_open(struct textfile *f, const char *path, struct err *err)
{
	bool in = strcmp(path, "-") == 0;
	struct stat st;
	int fd = in ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
		    : open(path, O_RDONLY | O_CLOEXEC);

	f->fd = -1;
	f->path = in ? "stdin" : path;
	if (fd < 0)
		return err_sys(err, "cannot open %s", f->path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(err, "%s is a directory", f->path);
	}
	if (S_ISREG(st.st_mode) && !in) {
		f->fd = fd;
		return 0;
	}
	f->fd = spool(fd, f->path, err);
	close(fd);
	return f->fd < 0 ? -1 : 0;
}

void
textfile_close(struct textfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int64_t
textfile_read(const struct textfile *f, uint64_t offset, char *p, size_t len,
	      struct err *err)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n =
		    pread(f->fd, p + have, len - have, (off_t)(offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read %s", f->path);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (int64_t)have;
}
