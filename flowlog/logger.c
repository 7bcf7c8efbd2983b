/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/logger.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nearest.h"
#include "common/place.h"
#include "common/text.h"

#define SUFFIX ".conf"

enum { DEFINITION_MAX = 1 << 20 };

static const char *const text_names[LOGGER_TEXTS] = {
    [LOGGER_DESCRIPTION] = "description",
    [LOGGER_TABLE] = "table",
    [LOGGER_HOST] = "host",
    [LOGGER_FROM] = "from",
    [LOGGER_TO] = "to",
};

const char *
logger_text_name(enum logger_text t)
{
	return text_names[t];
}

void
logger_clear(struct logger *l)
{
	for (int i = 0; i < LOGGER_TEXTS; i++)
		free(l->texts[i]);
	settings_clear(&l->steps);
	*l = (struct logger){0};
}

int
logger_check_name(const char *name, struct err *e)
{
	char file[PLACE_NAME_MAX];
	size_t len = strlen(name);

	if (len == 0 || len >= LINK_NAME_MAX || text_control(name, len) ||
	    text_utf8(name, len) != len)
		return err_set(e,
			       "'%.80s': a logger's name is UTF-8 text of 1 "
			       "to %d bytes without control characters",
			       name, LINK_NAME_MAX - 1);
	return place_encode(name, file, e);
}

/* No control characters, one line, not too long. */
static int
check_text(enum logger_text t, const char *text, struct err *e)
{
	char file[PLACE_NAME_MAX];
	size_t len = strlen(text);
	struct err why;

	if (len >= LINK_TABLE_MAX || text_control(text, len) ||
	    text_utf8(text, len) != len)
		return err_set(e,
			       "%s: it is UTF-8 text of up to %d bytes "
			       "without control characters",
			       text_names[t], LINK_TABLE_MAX - 1);
	if (t == LOGGER_TABLE && place_encode(text, file, &why))
		return err_set(e, "table: %s", why.text);
	if ((t == LOGGER_FROM || t == LOGGER_TO) &&
	    (!link_path(text) || len - 5 >= UNIXSOCK_PATH_MAX))
		return err_set(e,
			       "%s: '%s' is no socket (unix:PATH, of up to %d "
			       "bytes)",
			       text_names[t], text, UNIXSOCK_PATH_MAX - 1);
	return 0;
}

int
logger_set_text(struct logger *l, enum logger_text t, const char *text,
		struct err *e)
{
	char *copy = NULL;

	if (*text) {
		if (check_text(t, text, e))
			return -1;
		copy = strdup(text);
		if (!copy)
			return err_set(e, "out of memory");
	}
	free(l->texts[t]);
	l->texts[t] = copy;
	return 0;
}

int
logger_path(const struct logger *l, enum logger_text which, const char *run,
	    char path[UNIXSOCK_PATH_MAX], struct err *e)
{
	const char *said = l->texts[which], *usual = "flowdecode.sock";
	int n;

	if (which == LOGGER_TO)
		usual = "flowstore.sock";
	if (said)
		n = snprintf(path, UNIXSOCK_PATH_MAX, "%s", link_path(said));
	else
		n = snprintf(path, UNIXSOCK_PATH_MAX, "%s/%s", run, usual);
	return n < UNIXSOCK_PATH_MAX
		   ? 0
		   : err_set(e, "%s: too long for a socket's path", run);
}

static int
try_steps(const struct logger *l, size_t *bad, struct err *e)
{
	struct filter *filters = NULL;
	int rc = settings_filters(&l->steps, true, &filters, bad, e);

	filters_free(filters);
	return rc;
}

int
logger_check_steps(const struct logger *l, struct err *e)
{
	size_t bad;

	for (size_t i = 0; i < l->steps.n; i++)
		if (strpbrk(l->steps.list[i].text, "\r\n"))
			return err_set(e, "%s: it is one line of text",
				       setting_name(l->steps.list[i].kind));
	return try_steps(l, &bad, e);
}

/*
 * Reading.
 */

/* A file being read. */
struct reading {
	struct logger *logger;
	const char *path;
	unsigned line;
	unsigned step_lines[STEPS_MAX];
};

static int
bad_key(const struct reading *r, const char *key, struct err *e)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, key, strlen(key));
	for (int i = 0; i < SETTINGS; i++)
		nearest_try(&near, setting_name((enum setting_kind)i));
	for (int i = 0; i < LOGGER_TEXTS; i++)
		nearest_try(&near, text_names[i]);
	return err_set(e, "%s:%u: there is no setting '%.60s'%s", r->path,
		       r->line, key, nearest_hint(&near, hint, sizeof hint));
}

static int
take_step(struct reading *r, int kind, const char *value, struct err *e)
{
	struct settings *s = &r->logger->steps;

	if (settings_add(s, (enum setting_kind)kind, value, e))
		return -1;
	r->step_lines[s->n - 1] = r->line;
	return 0;
}

static int
take_text(struct reading *r, const char *key, const char *value, struct err *e)
{
	int i = 0;

	while (i < LOGGER_TEXTS && strcmp(text_names[i], key) != 0)
		i++;
	if (i == LOGGER_TEXTS)
		return bad_key(r, key, e);
	if (r->logger->texts[i])
		return err_set(e, "%s:%u: %s is there twice", r->path, r->line,
			       key);
	if (logger_set_text(r->logger, (enum logger_text)i, value, e))
		return err_prefix(e, "%s:%u", r->path, r->line);
	return 0;
}

static char *
trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	for (len = strlen(s); len && strchr(" \t\r", s[len - 1]);)
		s[--len] = '\0';
	return s;
}

/* KEY = VALUE, a comment, or nothing. */
static int
take_line(struct reading *r, char *line, struct err *e)
{
	char *key = trim(line), *equals, *value;
	int kind;

	if (*key == '\0' || *key == '#')
		return 0;
	equals = strchr(key, '=');
	if (!equals)
		return err_set(e, "%s:%u: '%.60s' is no KEY = VALUE", r->path,
			       r->line, key);
	*equals = '\0';
	key = trim(key);
	value = trim(equals + 1);
	kind = setting_find(key);
	if (kind < 0)
		return take_text(r, key, value, e);
	if (take_step(r, kind, value, e))
		return err_prefix(e, "%s:%u", r->path, r->line);
	return 0;
}

static int
take_lines(struct reading *r, char *text, size_t len, struct err *e)
{
	char *line = text, *end, *stop = text + len;

	if (memchr(text, '\0', len))
		return err_set(e, "%s: a NUL byte in it", r->path);
	for (; line < stop; line = end + 1) {
		end = memchr(line, '\n', (size_t)(stop - line));
		if (!end)
			end = stop;
		*end = '\0';
		r->line++;
		if (take_line(r, line, e))
			return -1;
	}
	return 0;
}

static int
read_file(struct reading *r, struct err *e)
{
	size_t len, bad;
	char *text = dirs_read(r->path, DEFINITION_MAX, &len, e);
	int rc;

	if (!text)
		return -1;
	rc = take_lines(r, text, len, e);
	free(text);
	if (rc == 0 && try_steps(r->logger, &bad, e))
		rc = err_prefix(e, "%s:%u", r->path, r->step_lines[bad]);
	return rc;
}

static int
no_such(const struct dirs *d, const char *name, struct err *e)
{
	char hint[NEAREST_HINT] = "", **names;
	struct nearest near;
	struct err ignored;
	size_t n;

	if (logger_names(d, &names, &n, &ignored) == 0) {
		nearest_init(&near, name, strlen(name));
		for (size_t i = 0; i < n; i++)
			nearest_try(&near, names[i]);
		nearest_hint(&near, hint, sizeof hint);
		for (size_t i = 0; i < n; i++)
			free(names[i]);
		free(names);
	}
	return err_set(e,
		       "there is no logger %s in %s%s; flowlog list shows "
		       "those that there are",
		       name, d->config, hint);
}

int
logger_read(struct logger *l, const struct dirs *d, const char *name,
	    struct err *e)
{
	char path[PATH_MAX];
	struct reading r = {.logger = l, .path = path};

	*l = (struct logger){0};
	if (logger_check_name(name, e) ||
	    dirs_file(path, d->config, name, SUFFIX, e))
		return -1;
	memcpy(l->name, name, strlen(name) + 1);
	e->code = 0;
	if (read_file(&r, e) == 0)
		return 0;
	if (e->code == ENOENT)
		no_such(d, name, e);
	logger_clear(l);
	return -1;
}

/*
 * Writing.
 */

int
logger_write(const struct logger *l, const struct dirs *d, bool fresh,
	     struct err *e)
{
	char path[PATH_MAX], *text = NULL;
	size_t size;
	FILE *f;
	int rc;

	if (dirs_make(d->config, e) ||
	    dirs_file(path, d->config, l->name, SUFFIX, e))
		return -1;
	if (fresh && access(path, F_OK) == 0)
		return err_set(e, "there is a logger %s already", l->name);
	f = open_memstream(&text, &size);
	if (!f)
		return err_sys(e, "cannot write %s", path);
	fprintf(f, "# logger %s: see flowlog(1)\n", l->name);
	for (int i = 0; i < LOGGER_TEXTS; i++)
		if (l->texts[i])
			fprintf(f, "%s = %s\n", text_names[i], l->texts[i]);
	for (size_t i = 0; i < l->steps.n; i++)
		fprintf(f, "%s = %s\n", setting_name(l->steps.list[i].kind),
			l->steps.list[i].text);
	rc = fclose(f) ? err_sys(e, "cannot write %s", path)
		       : dirs_replace(path, text, size, e);
	free(text);
	return rc;
}

int
logger_remove(const struct dirs *d, const char *name, struct err *e)
{
	char path[PATH_MAX];

	if (dirs_file(path, d->config, name, SUFFIX, e))
		return -1;
	if (unlink(path) == 0)
		return 0;
	return errno == ENOENT ? no_such(d, name, e)
			       : err_sys(e, "cannot remove %s", path);
}

/*
 * All of them.
 */

static int
is_definition(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, SUFFIX) == 0;
}

/* The name that a file's stands for, to be freed; NULL: it is none. */
static char *
name_of(const char *file)
{
	char dir[PLACE_NAME_MAX], name[TABLE_NAME_MAX + 1];
	size_t len = strlen(file) - strlen(SUFFIX);

	if (len >= sizeof dir)
		return NULL;
	memcpy(dir, file, len);
	dir[len] = '\0';
	return place_decode(dir, name) == 0 && strlen(name) < LINK_NAME_MAX
		   ? strdup(name)
		   : NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
logger_names(const struct dirs *d, char ***names, size_t *n, struct err *e)
{
	struct dirent **files = NULL;
	int count = scandir(d->config, &files, is_definition, NULL);

	*n = 0;
	*names = NULL;
	if (count < 0 && errno == ENOENT)
		return 0;
	if (count < 0)
		return err_sys(e, "cannot read %s", d->config);
	*names = calloc((size_t)count + 1, sizeof **names);
	for (int i = 0; i < count; i++) {
		char *name = *names ? name_of(files[i]->d_name) : NULL;

		if (name)
			(*names)[(*n)++] = name;
		else
			log_line("%s/%s: left out: a logger's file is called "
				 "by its name, with %%XX for what is no "
				 "letter, digit or one of _-.,+=@",
				 d->config, files[i]->d_name);
		free(files[i]);
	}
	free(files);
	if (!*names)
		return err_set(e, "out of memory");
	qsort(*names, *n, sizeof **names, by_name);
	return 0;
}
