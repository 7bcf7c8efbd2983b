/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/record.h"
#include "flowq/rowbatch.h"
#include "flowq/write.h"

/*
 * Rows go to a flowstore that is started for them, as flow records: one
 * program writes tables.
 */

enum { PATH_ROOM = 4096 };

struct import {
	struct target target;
	const char *root;
	const struct columns *cols;
	struct rowbatch batch;
	struct stream_out out;
	pid_t pid; /* 0: none */
};

/* The flowstore beside this program, installed or built, else that in PATH. */
static void
find_flowstore(char *path, size_t size)
{
	static const char *const places[] = {"flowstore",
					     "../flowstore/flowstore"};
	char self[PATH_ROOM], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n < 0 ? 0 : n] = 0;
	slash = strrchr(self, '/');
	for (int i = 0; i < 2 && slash; i++) {
		snprintf(path, size, "%.*s/%s", (int)(slash - self), self,
			 places[i]);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, size, "flowstore");
}

static int
spawn(struct import *im, int in, struct err *err)
{
	char path[2 * PATH_ROOM];
	char *argv[] = {"flowstore",
			"--root",
			(char *)im->root,
			"--",
			(char *)im->target.name,
			NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t pipe;
	int rc;

	find_flowstore(path, sizeof path);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	/* What it prints is no part of the answer. */
	posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &pipe);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(&im->pid, path, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (rc == 0)
		return 0;
	im->pid = 0;
	errno = rc;
	return err_sys(err, "cannot start %s, which writes tables", path);
}

static int
import_begin(struct target *t, struct err *err)
{
	static const char *const skip[] = {"_id", "_table", NULL};
	struct import *im = (struct import *)t;
	int fds[2], rc;

	if (rowbatch_init(&im->batch, im->cols, skip, err))
		return -1;
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	rc = spawn(im, fds[0], err);
	close(fds[0]);
	if (rc) {
		close(fds[1]);
		return -1;
	}
	stream_out_init(&im->out, fds[1]);
	return 0;
}

static int
import_write(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
	     struct err *err)
{
	struct import *im = ctx;

	while (from < to) {
		uint32_t n =
		    to - from > BATCH_ROWS_MAX ? BATCH_ROWS_MAX : to - from;
		const struct batch *b =
		    rowbatch_take(&im->batch, r, from, n, err);

		if (!b || record_write(&im->out, b, err))
			return -1;
		if (stream_out_flush(&im->out, err)) {
			err->code = 0;
			return -1;
		}
		from += n;
	}
	return 0;
}

/* Ends its input and waits for it. */
static int
reap(struct import *im)
{
	int status = -1;

	if (im->pid == 0)
		return 0;
	close(im->out.fd);
	while (waitpid(im->pid, &status, 0) < 0 && errno == EINTR)
		;
	im->pid = 0;
	return status;
}

static int
import_end(struct target *t, struct err *err)
{
	struct import *im = (struct import *)t;

	if (reap(im))
		return err_set(err, "flowstore could not store all in %s",
			       t->name);
	return 0;
}

static void
import_free(struct target *t)
{
	struct import *im = (struct import *)t;

	reap(im);
	stream_out_clear(&im->out);
	rowbatch_clear(&im->batch);
	free(im);
}

static int
import_plan(struct plan *p, const struct command *c)
{
	struct import *im = calloc(1, sizeof(*im));

	if (!im)
		return plan_oom(p);
	im->target =
	    (struct target){"table",	  c->args,    {im, import_write},
			    import_begin, import_end, import_free};
	im->root = p->site->root;
	im->cols = plan_columns(p);
	if (!im->cols) {
		free(im);
		return plan_oom(p);
	}
	return plan_write(p, &im->target, im->cols);
}

/* NAME */
static int
import_parse(struct lexer *l, void **out)
{
	return parse_path(l, "the name of a table", (const char **)out);
}

static enum verb_class
import_class(const void *args)
{
	(void)args;
	return VERB_WRITES;
}

const struct verb verb_import = {
    "import", "import TABLE", import_parse, import_plan, import_class,
};
