/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flowq/write.h"

/*
 * outputcsv and outputjson.  A file is written beside the one that it is to
 * be, and takes its place when it is whole.
 */

struct output_args {
	const char *path;
	bool overwrite;
	struct name_list list;
};

struct file_target {
	struct target target;
	enum output_format format;
	const struct columns *cols;
	struct screen *screen;
	struct output *out;
	int fd;
	bool overwrite;
	char *part; /* the path while it is not whole, or NULL */
};

static int
exists(const char *path, struct err *err)
{
	return err_set(err, "%s is there already (overwrite=t replaces it)",
		       path);
}

/* Whether the path is a pipe or device, which is written to as it is. */
static bool
is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
	       !S_ISDIR(st.st_mode);
}

static int
open_part(struct file_target *f, struct err *err)
{
	const char *path = f->target.name;
	size_t len = strlen(path) + 8;
	mode_t mask = umask(0);

	umask(mask);
	f->part = malloc(len);
	if (!f->part)
		return err_set(err, "out of memory");
	snprintf(f->part, len, "%s.XXXXXX", path);
	f->fd = mkostemp(f->part, O_CLOEXEC);
	if (f->fd < 0) {
		free(f->part);
		f->part = NULL;
		return err_sys(err, "cannot write %s", path);
	}
	/* As open(2) would have made it. */
	if (fchmod(f->fd, 0666 & ~mask))
		return err_sys(err, "%s", path);
	return 0;
}

static int
file_begin(struct target *t, struct err *err)
{
	struct file_target *f = (struct file_target *)t;
	const struct output_style style = {.format = f->format};

	if (is_special(t->name)) {
		f->fd = open(t->name, O_WRONLY | O_CLOEXEC);
		if (f->fd < 0)
			return err_sys(err, "cannot write %s", t->name);
	} else if (!f->overwrite && access(t->name, F_OK) == 0) {
		return exists(t->name, err);
	} else if (open_part(f, err)) {
		return -1;
	}
	f->screen = screen_new(f->fd, false);
	if (f->screen)
		f->out = output_new(f->screen, &style);
	if (!f->out)
		return err_set(err, "out of memory");
	return output_columns(f->out, f->cols, err);
}

static int
file_write(void *ctx, const struct rowset *r, uint32_t from, uint32_t to,
	   struct err *err)
{
	struct file_target *f = ctx;

	if (output_write(f->out, r, from, to, err) == 0)
		return 0;
	err_prefix(err, "%s", f->target.name);
	err->code = 0; /* a pipe's reader that is gone is an error here */
	return -1;
}

static int
file_end(struct target *t, struct err *err)
{
	struct file_target *f = (struct file_target *)t;
	int rc = output_end(f->out, -1, err), fd = f->fd;

	f->fd = -1;
	if (close(fd) && rc == 0)
		rc = err_sys(err, "writing %s", t->name);
	if (rc || !f->part)
		return rc;
	if (!f->overwrite && link(f->part, t->name) == 0)
		rc = unlink(f->part);
	else if (!f->overwrite && errno == EEXIST)
		return exists(t->name, err);
	else /* wanted so, or a file system without links */
		rc = rename(f->part, t->name);
	if (rc)
		return err_sys(err, "cannot write %s", t->name);
	free(f->part);
	f->part = NULL;
	return 0;
}

static void
file_free(struct target *t)
{
	struct file_target *f = (struct file_target *)t;

	output_free(f->out);
	screen_free(f->screen);
	if (f->fd >= 0)
		close(f->fd);
	if (f->part)
		unlink(f->part);
	free(f->part);
	free(f);
}

static int
plan_file(struct plan *p, const struct output_args *a, enum output_format form)
{
	const struct columns *cols = plan_listed(p, &a->list);
	struct file_target *f;

	if (!cols)
		return -1;
	f = calloc(1, sizeof(*f));
	if (!f)
		return plan_oom(p);
	f->target = (struct target){"file",	a->path,  {f, file_write},
				    file_begin, file_end, file_free};
	f->format = form;
	f->cols = cols;
	f->overwrite = a->overwrite;
	f->fd = -1;
	return plan_write(p, &f->target, cols);
}

/* ["overwrite" "=" BOOL] PATH [NAME ("," NAME)*] */
static int
output_parse(struct lexer *l, void **out)
{
	struct output_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	if (parse_option(l, "overwrite") && parse_bool(l, &a->overwrite))
		return -1;
	if (parse_path(l, "the path of a file", &a->path))
		return -1;
	return parse_list(l, &a->list);
}

static int
outputcsv_plan(struct plan *p, const struct command *c)
{
	return plan_file(p, c->args, OUTPUT_CSV);
}

static int
outputjson_plan(struct plan *p, const struct command *c)
{
	return plan_file(p, c->args, OUTPUT_JSON);
}

static enum verb_class
output_class(const void *args)
{
	(void)args;
	return VERB_WRITES;
}

const struct verb verb_outputcsv = {
    "outputcsv",  "outputcsv [overwrite=t] PATH [F, ...]",
    output_parse, outputcsv_plan,
    output_class,
};

const struct verb verb_outputjson = {
    "outputjson", "outputjson [overwrite=t] PATH [F, ...]",
    output_parse, outputjson_plan,
    output_class,
};
