/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define FILE_NAME "bindings"
#define NEW_NAME "bindings.new"

enum { LINES_MAX = 65536 };

static int
open_directory(struct state *s, const char *dir, struct err *e)
{
	if (snprintf(s->path, sizeof(s->path), "%s/%s", dir, FILE_NAME) >=
	    (int)sizeof(s->path))
		return err_set(e, "--state %s: the path is too long", dir);
	s->made = mkdir(dir, 0750) == 0;
	if (!s->made && errno != EEXIST)
		return err_sys(e, "--state %s: cannot make it", dir);
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(e, "--state %s", dir);
	if (flock(s->dir, LOCK_EX | LOCK_NB) != 0)
		return err_set(e, "--state %s: another flowrecv has it", dir);
	return 0;
}

/* Puts B at the end. */
static int
append(struct state *s, const struct binding *b, struct err *e)
{
	struct saved **at = &s->list;

	while (*at)
		at = &(*at)->next;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return err_set(e, "out of memory");
	memcpy((*at)->name, b->name, sizeof((*at)->name));
	where_argument(&b->where, (*at)->where);
	return 0;
}

static int
read_line(struct state *s, char *line, unsigned number, struct err *e)
{
	struct binding *b;
	struct err why;
	int rc = 0;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	b = binding_new(line, &why);
	if (!b)
		log_line("%s, line %u: %s", s->path, number, why.text);
	else if (state_has(s, b->name))
		log_line("%s, line %u: %s is there twice", s->path, number,
			 b->name);
	else
		rc = append(s, b, e);
	binding_free(b);
	return rc;
}

static int
read_file(struct state *s, struct err *e)
{
	int fd = openat(s->dir, FILE_NAME, O_RDONLY | O_CLOEXEC);
	char *line = NULL;
	size_t size = 0;
	unsigned n = 0;
	FILE *f;
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!f)
		return err_sys(e, "%s", s->path);
	while (rc == 0 && n < LINES_MAX && getline(&line, &size, f) >= 0)
		rc = read_line(s, line, ++n, e);
	if (rc == 0 && ferror(f))
		rc = err_sys(e, "%s", s->path);
	free(line);
	fclose(f);
	return rc;
}

int
state_open(struct state *s, const char *dir, struct err *e)
{
	*s = STATE_NONE;
	if (open_directory(s, dir, e) != 0 || read_file(s, e) != 0)
		return -1;
	return 0;
}

void
state_close(struct state *s)
{
	struct saved *next;

	for (; s->list; s->list = next) {
		next = s->list->next;
		free(s->list);
	}
	if (s->dir >= 0)
		close(s->dir);
	*s = STATE_NONE;
}

int
state_own(struct state *s, uid_t uid, gid_t gid, struct err *e)
{
	if (s->made && fchown(s->dir, uid, gid) != 0)
		return err_sys(e, "%s: cannot be given to the user", s->path);
	return 0;
}

int
state_check(const struct state *s, struct err *e)
{
	if (s->dir >= 0 &&
	    faccessat(s->dir, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return err_sys(e, "%s: the directory", s->path);
	return 0;
}

bool
state_has(const struct state *s, const char *name)
{
	for (const struct saved *x = s->list; x; x = x->next)
		if (strcmp(x->name, name) == 0)
			return true;
	return false;
}

static int
write_list(const struct state *s, FILE *f)
{
	fprintf(f, "# ports that were opened while flowrecv ran\n");
	for (const struct saved *x = s->list; x; x = x->next)
		fprintf(f, "%s=%s\n", x->name, x->where);
	return fflush(f) == 0 && fdatasync(fileno(f)) == 0 ? 0 : -1;
}

/* On the disk before it takes the old one's place. */
static int
write_file(const struct state *s, struct err *e)
{
	int fd = openat(s->dir, NEW_NAME,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int rc;

	if (!f)
		return err_sys(e, "%s: cannot write", s->path);
	rc = write_list(s, f);
	if (rc != 0)
		err_sys(e, "%s: cannot write", s->path);
	fclose(f);
	if (rc == 0 && renameat(s->dir, NEW_NAME, s->dir, FILE_NAME) != 0)
		rc = err_sys(e, "%s: cannot write", s->path);
	if (rc != 0)
		unlinkat(s->dir, NEW_NAME, 0);
	return rc;
}

/* Takes the entry of NAME out of the list; NULL: there is none. */
static struct saved *
take_out(struct state *s, const char *name)
{
	struct saved **at = &s->list, *x;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	x = *at;
	if (x)
		*at = x->next;
	return x;
}

int
state_add(struct state *s, const struct binding *b, struct err *e)
{
	struct saved *old;
	int rc;

	if (s->dir < 0)
		return 0;
	old = take_out(s, b->name);
	rc = append(s, b, e);
	if (rc == 0 && write_file(s, e) != 0) {
		free(take_out(s, b->name));
		rc = -1;
	}
	if (rc != 0 && old) {
		old->next = s->list;
		s->list = old;
		return rc;
	}
	free(old);
	return rc;
}

int
state_remove(struct state *s, const char *name, struct err *e)
{
	struct saved *x = take_out(s, name);

	if (!x)
		return 0;
	if (write_file(s, e) == 0) {
		free(x);
		return 0;
	}
	x->next = s->list;
	s->list = x;
	return -1;
}
