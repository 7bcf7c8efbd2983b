/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "flowq/glyph.h"
#include "flowq/interrupt.h"

enum {
	HOLD_MS = 700,
	WAIT_MS = 200,
	KEPT_MAX = 1 << 20, /* of what a pager got, if it can not be started */
	NOT_FOUND = 126, /* a shell's exit for what it can not run, and + 1 */
};

struct screen {
	int fd;
	bool terminal, pager; /* it may have one */
	bool waits;	      /* for a reader: it is no file */
	unsigned width, height;
	void (*before)(void *);
	void *before_ctx;
	pthread_mutex_t lock;
	char *held;
	size_t len, cap;
	unsigned lines, column; /* that it takes on the screen */
	bool direct;		/* nothing is held any more */
	bool gone;		/* the reader has enough */
	int64_t since;		/* ms; when the first was held */
	pid_t pid;		/* of the pager */
	int pipe;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct screen *
screen_new(int fd, bool pager)
{
	struct screen *s = calloc(1, sizeof(*s));
	struct winsize w;
	struct stat st;

	if (!s)
		return NULL;
	s->fd = fd;
	s->pipe = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->terminal = isatty(fd);
	s->waits = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
	if (s->terminal && ioctl(fd, TIOCGWINSZ, &w) == 0) {
		s->width = w.ws_col;
		s->height = w.ws_row;
	}
	s->pager = pager && s->terminal && s->height > 1;
	s->direct = !s->pager;
	return s;
}

void
screen_before(struct screen *s, void (*before)(void *), void *ctx)
{
	s->before = before;
	s->before_ctx = ctx;
}

unsigned
screen_width(const struct screen *s)
{
	return s->width;
}

int
screen_fd(const struct screen *s)
{
	return s->fd;
}

/* Waits until a pipe or terminal takes a piece: no signal wakes a thread from
 * write(2) for sure, as another may get it. */
static int
wait_room(int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	while (poll(&p, 1, WAIT_MS) <= 0)
		if (atomic_load(&interrupted))
			return interrupt_err(err);
	return 0;
}

static int
write_all(int fd, bool waits, const char *p, size_t len, struct err *err)
{
	while (len > 0) {
		size_t piece = waits && len > PIPE_BUF ? PIPE_BUF : len;
		ssize_t n;

		if (waits && wait_room(fd, err))
			return -1;
		n = write(fd, p, piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "writing the answer");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
put(struct screen *s, const char *p, size_t len, struct err *err)
{
	if (s->pid)
		return write_all(s->pipe, true, p, len, err);
	if (s->terminal && s->before)
		s->before(s->before_ctx);
	return write_all(s->fd, s->waits, p, len, err);
}

/*
 * The pager.
 */

static int
spawn(struct screen *s, int in)
{
	const char *pager = getenv("PAGER");
	char *argv[] = {"sh", "-c", (char *)pager, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	if (!pager || !*pager)
		argv[2] = "less -SFRX";
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGINT);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, s->fd, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(&s->pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (rc)
		s->pid = 0;
	return rc ? -1 : 0;
}

static void
start_pager(struct screen *s)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return;
	if (s->before)
		s->before(s->before_ctx);
	if (spawn(s, fds[0])) {
		close(fds[1]);
	} else {
		s->pipe = fds[1];
		interrupt_keep();
	}
	close(fds[0]);
}

/* Waits for it: whether it could be run. */
static bool
reap(struct screen *s)
{
	int status = 0;

	close(s->pipe);
	s->pipe = -1;
	/* Ctrl-C is its own affair. */
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
	return !WIFEXITED(status) || WEXITSTATUS(status) < NOT_FOUND ||
	       WEXITSTATUS(status) > NOT_FOUND + 1;
}

static int
gone(struct err *err)
{
	err_set(err, "the pager has ended");
	err->code = EPIPE;
	return -1;
}

/* A pager that is gone: all that it had is written without one if it was never
 * there; else the reader has enough. */
static int
pager_gone(struct screen *s, struct err *err)
{
	if (reap(s)) {
		s->gone = true;
		return gone(err);
	}
	if (s->len > KEPT_MAX)
		return err_set(err, "the pager could not be run");
	return put(s, s->held, s->len, err);
}

/*
 * What is held.
 */

static int
hold(struct screen *s, const char *p, size_t len, struct err *err)
{
	if (s->len + len > s->cap) {
		size_t cap = 2 * (s->len + len) + 4096;
		char *more = realloc(s->held, cap);

		if (!more)
			return err_set(err,
				       "out of memory for the answer's text");
		s->held = more;
		s->cap = cap;
	}
	memcpy(s->held + s->len, p, len);
	s->len += len;
	return 0;
}

static void
count_lines(struct screen *s, const char *p, size_t len)
{
	while (len > 0 && s->lines < s->height) {
		const char *nl = memchr(p, '\n', len);
		size_t n = nl ? (size_t)(nl - p) : len;
		unsigned w = s->column + glyph_width(p, n);

		s->lines += s->width && w ? (w - 1) / s->width : 0;
		s->column = nl ? 0 : w % (s->width ? s->width : UINT_MAX);
		s->lines += nl != NULL;
		n += nl != NULL;
		p += n;
		len -= n;
	}
}

static int
release(struct screen *s, struct err *err)
{
	size_t len = s->len;

	s->direct = true;
	s->len = 0;
	return put(s, s->held, len, err);
}

static int
write_locked(struct screen *s, const char *p, size_t len, struct err *err)
{
	if (s->gone)
		return gone(err);
	if (s->direct && s->pid) {
		if (s->len <= KEPT_MAX && hold(s, p, len, err))
			return -1;
		if (put(s, p, len, err) == 0)
			return 0;
		return err->code == EPIPE ? pager_gone(s, err) : -1;
	}
	if (s->direct)
		return put(s, p, len, err);
	if (s->len == 0)
		s->since = now_ms();
	if (hold(s, p, len, err))
		return -1;
	count_lines(s, p, len);
	/* The last line is for the prompt. */
	if (s->lines + 1 < s->height)
		return 0;
	s->direct = true;
	start_pager(s);
	if (!s->pid)
		return release(s, err);
	if (put(s, s->held, s->len, err) == 0)
		return 0;
	return err->code == EPIPE ? pager_gone(s, err) : -1;
}

int
screen_write(struct screen *s, const char *p, size_t len, struct err *err)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = write_locked(s, p, len, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
screen_end(struct screen *s, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->direct)
		rc = release(s, err);
	else if (s->pid && !reap(s) && s->len <= KEPT_MAX)
		rc = put(s, s->held, s->len, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
screen_tick(struct screen *s)
{
	struct err err;

	pthread_mutex_lock(&s->lock);
	if (!s->direct && s->len && now_ms() - s->since > HOLD_MS)
		release(s, &err); /* the next write fails as well */
	pthread_mutex_unlock(&s->lock);
}

void
screen_free(struct screen *s)
{
	if (!s)
		return;
	if (s->pid)
		reap(s);
	pthread_mutex_destroy(&s->lock);
	free(s->held);
	free(s);
}
