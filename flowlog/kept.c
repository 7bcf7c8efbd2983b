/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "flowlog/facts.h"

enum { STATE_MAX = 64 << 10, LAST_MAX = 16 << 20, LOCK_MODE = 0644 };

int
kept_read(struct kept *k, const struct dirs *d, const char *name, struct err *e)
{
	char path[PATH_MAX], *json;
	size_t len;

	*k = (struct kept){.last_log = NO_TIME, .last_start = NO_TIME};
	if (dirs_file(path, d->state, name, ".json", e))
		return -1;
	e->code = 0;
	json = dirs_read(path, STATE_MAX, &len, e);
	if (!json)
		return e->code == ENOENT ? 0 : -1;
	facts_find_number(json, "log_count", &k->logged);
	facts_find_number(json, "filter_count", &k->filtered);
	facts_find_number(json, "drop_count", &k->dropped);
	facts_find_number(json, "stream", &k->stream);
	facts_find_number(json, "number", &k->number);
	facts_find_time(json, "last_log", &k->last_log);
	facts_find_time(json, "last_start", &k->last_start);
	k->connected = strstr(json, "\"connected\":true") != NULL;
	free(json);
	return 0;
}

int
kept_write(const struct kept *k, const struct dirs *d, const struct logger *l,
	   struct err *e)
{
	struct facts f = {.n = 0};
	char path[PATH_MAX], *json;
	size_t len;
	int rc;

	facts_text(&f, "name", l->name);
	facts_text(&f, "table", l->texts[LOGGER_TABLE]);
	facts_text(&f, "host", l->texts[LOGGER_HOST]);
	facts_bool(&f, "connected", k->connected);
	facts_number(&f, "log_count", k->logged);
	facts_number(&f, "filter_count", k->filtered);
	facts_number(&f, "drop_count", k->dropped);
	facts_time(&f, "last_log", k->last_log);
	facts_time(&f, "last_start", k->last_start);
	facts_number(&f, "stream", k->stream);
	facts_number(&f, "number", k->number);
	json = facts_json(&f, &len, e);
	if (!json)
		return -1;
	rc = dirs_file(path, d->state, l->name, ".json", e) ||
	     dirs_replace(path, json, len, e);
	free(json);
	return rc ? -1 : 0;
}

void
kept_remove(const struct dirs *d, const char *name)
{
	static const char *const suffixes[] = {".json", ".last", ".lock",
					       ".log"};
	char path[PATH_MAX];
	struct err e;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (dirs_file(path, d->state, name, suffixes[i], &e) == 0)
			unlink(path);
}

int
kept_write_last(const struct dirs *d, const char *name, const char *text,
		size_t len, struct err *e)
{
	char path[PATH_MAX];

	if (dirs_file(path, d->state, name, ".last", e))
		return -1;
	return dirs_replace(path, text, len, e);
}

char *
kept_read_last(const struct dirs *d, const char *name, size_t *len,
	       struct err *e)
{
	char path[PATH_MAX];

	if (dirs_file(path, d->state, name, ".last", e))
		return NULL;
	return dirs_read(path, LAST_MAX, len, e);
}

int
kept_log(char path[PATH_MAX], const struct dirs *d, const char *name,
	 struct err *e)
{
	return dirs_file(path, d->state, name, ".log", e);
}

pid_t
kept_runner(const struct dirs *d, const char *name, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int fd;

	if (dirs_file(path, d->state, name, ".lock", e))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0) {
		err_sys(e, "%s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int
kept_lock(const struct dirs *d, const char *name, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int fd;

	if (dirs_make(d->state, e) ||
	    dirs_file(path, d->state, name, ".lock", e))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
	if (fd < 0)
		return err_sys(e, "cannot lock %s", path);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0; /* stays open */
	close(fd);
	return err_set(e, "the logger %s runs already", name);
}
