/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/place.h"

enum { DIR_MODE = 0755, FILE_MODE = 0644 };

static int
set(char to[PATH_MAX], const char *what, const char *dir, const char *more,
    struct err *e)
{
	if (!dir || !*dir)
		return err_set(e, "no home directory: say %s", what);
	if (snprintf(to, PATH_MAX, "%s%s", dir, more) >= PATH_MAX / 2)
		return err_set(e, "%s: the path is too long", what);
	return 0;
}

/* A directory of the user's own: $VARIABLE, or USUAL in the home directory. */
struct own {
	const char *what; /* the option that says another */
	const char *variable, *usual, *tail;
};

static int
set_own(char to[PATH_MAX], const struct own *own, const char *home,
	struct err *e)
{
	const char *dir = getenv(own->variable);
	char base[PATH_MAX];

	if (dir && *dir)
		return set(to, own->what, dir, own->tail, e);
	if (set(base, own->what, home, own->usual, e))
		return -1;
	return set(to, own->what, base, own->tail, e);
}

/* Who it is: root or the service's user, and the home directory. */
static const char *
home(bool *service)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *dir = getenv("HOME");

	*service = geteuid() == 0 || (pw && strcmp(pw->pw_name, "flow") == 0);
	if (dir && *dir)
		return dir;
	return pw ? pw->pw_dir : NULL;
}

static int
find_run(struct dirs *d, bool service, struct err *e)
{
	const char *run = getenv("FLOW_RUN");
	const char *own = getenv("XDG_RUNTIME_DIR");

	if (run && *run)
		return set(d->run, "$FLOW_RUN", run, "", e);
	if (!service && own && *own)
		return set(d->run, "$XDG_RUNTIME_DIR", own, "/flow", e);
	return set(d->run, "$FLOW_RUN", "/run/flow", "", e);
}

int
dirs_find(struct dirs *d, const char *config, const char *state, struct err *e)
{
	static const struct own own_config = {"--config", "XDG_CONFIG_HOME",
					      "/.config", "/flow/loggers"};
	static const struct own own_state = {"--state", "XDG_STATE_HOME",
					     "/.local/state", "/flowlog"};
	bool service;
	const char *dir = home(&service);

	if (!state || !*state)
		state = getenv("FLOW_LOGGERS");
	if (!config && service)
		config = "/etc/flow/loggers";
	if ((!state || !*state) && service)
		state = "/var/lib/flowlog";
	if (config ? set(d->config, "--config", config, "", e)
		   : set_own(d->config, &own_config, dir, e))
		return -1;
	if (state && *state ? set(d->state, "--state", state, "", e)
			    : set_own(d->state, &own_state, dir, e))
		return -1;
	return find_run(d, service, e);
}

int
dirs_make(const char *dir, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", dir);
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, DIR_MODE);
			*p = '/';
		}
	if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
		return err_sys(e, "cannot make the directory %s", dir);
	return 0;
}

int
dirs_file(char path[PATH_MAX], const char *dir, const char *name,
	  const char *suffix, struct err *e)
{
	char file[PLACE_NAME_MAX];

	if (place_encode(name, file, e))
		return -1;
	if (snprintf(path, PATH_MAX, "%s/%s%s", dir, file, suffix) >= PATH_MAX)
		return err_set(e, "%s: the path is too long", dir);
	return 0;
}

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int
dirs_replace(const char *path, const char *text, size_t len, struct err *e)
{
	char new[PATH_MAX + 8];
	int fd, rc;

	snprintf(new, sizeof new, "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return err_sys(e, "cannot write %s", path);
	rc = write_all(fd, text, len);
	if (rc)
		err_sys(e, "cannot write %s", path);
	close(fd);
	if (rc == 0 && rename(new, path) != 0)
		rc = err_sys(e, "cannot write %s", path);
	if (rc)
		unlink(new);
	return rc;
}

char *
dirs_read(const char *path, size_t max, size_t *len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = malloc(max + 2);
	ssize_t n = 1;

	*len = 0;
	if (fd < 0 || !text) {
		err_sys(e, "cannot read %s", path);
		n = -1;
	}
	while (n > 0 && *len <= max) {
		n = read(fd, text + *len, max + 1 - *len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			err_sys(e, "cannot read %s", path);
		else
			*len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (n == 0 && *len <= max) {
		text[*len] = '\0';
		return text;
	}
	if (n >= 0)
		err_set(e, "%s is larger than %zu bytes", path, max);
	free(text);
	return NULL;
}
