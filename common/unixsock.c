/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) ==
		   (int)UNIXSOCK_PATH_MAX,
	       "the longest path");

static int
fill(struct sockaddr_un *a, const char *path, struct err *e)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(a->sun_path))
		return err_set(e,
			       "'%s': the path of a socket has 1 to %d bytes",
			       path, UNIXSOCK_PATH_MAX - 1);
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, path, len + 1);
	return 0;
}

/* The directory of PATH, locked until it is closed. */
static int
lock_directory(const char *path, struct err *e)
{
	char dir[UNIXSOCK_PATH_MAX];
	char *slash;
	int fd;

	memcpy(dir, path, strlen(path) + 1);
	slash = strrchr(dir, '/');
	if (!slash)
		memcpy(dir, ".", 2);
	else if (slash == dir)
		dir[1] = '\0';
	else
		*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && mkdir(dir, 0755) == 0)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		err_sys(e, "%s: the directory %s", path, dir);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int
in_use(int fd, const char *path, struct err *e)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid)
		err_set(e, "%s: in use by process %d", path, (int)who.pid);
	else
		err_set(e, "%s: in use", path);
	e->code = EADDRINUSE;
	return -1;
}

/* Removes the file of a socket that nobody listens on. */
static int
remove_stale(const struct sockaddr_un *a, struct err *e)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(a->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", a->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, "%s: something else than a socket is there",
			       a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "%s", a->sun_path);
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ||
	    errno == EAGAIN)
		rc = in_use(fd, a->sun_path, e);
	else if (errno != ECONNREFUSED)
		rc = err_sys(e, "%s", a->sun_path);
	else if (unlink(a->sun_path) != 0)
		rc = err_sys(e, "%s: cannot be removed", a->sun_path);
	close(fd);
	return rc;
}

/* Nobody may connect before the permissions are right. */
static int
bind_listen(struct unixsock *s, const struct sockaddr_un *a, mode_t mode,
	    struct err *e)
{
	struct stat st;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_sys(e, "%s", a->sun_path);
	if (bind(s->fd, (const struct sockaddr *)a, sizeof(*a)) != 0)
		return err_sys(e, "%s: cannot bind", a->sun_path);
	memcpy(s->path, a->sun_path, sizeof(s->path));
	if (lstat(s->path, &st) != 0 || chmod(s->path, mode) != 0 ||
	    listen(s->fd, BACKLOG) != 0) {
		err_sys(e, "%s: cannot listen", s->path);
		unlink(s->path);
		return -1;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int
unixsock_listen(struct unixsock *s, const char *path, mode_t mode,
		struct err *e)
{
	struct sockaddr_un a;
	int dir, rc;

	*s = (struct unixsock){.fd = -1};
	if (fill(&a, path, e) != 0)
		return -1;
	dir = lock_directory(path, e);
	if (dir < 0)
		return -1;
	rc = remove_stale(&a, e) == 0 ? bind_listen(s, &a, mode, e) : -1;
	if (rc != 0 && s->fd >= 0)
		close(s->fd);
	if (rc != 0)
		s->fd = -1;
	close(dir);
	return rc;
}

void
unixsock_close(struct unixsock *s)
{
	struct stat st;

	if (s->path[0] == '\0')
		return;
	if (lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct unixsock){.fd = -1};
}

int
unixsock_connect(const char *path, struct err *e)
{
	struct sockaddr_un a;
	int fd;

	if (fill(&a, path, e) != 0)
		return -1;
	/* where too many wait already to be accepted, it would wait, too */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    fcntl(fd, F_SETFL, 0) == 0)
		return fd;
	err_sys(e, "%s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}
