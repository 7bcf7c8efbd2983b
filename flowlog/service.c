/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting and stopping loggers: by systemd, or detached. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "flowlog/command.h"

enum {
	STOP_SECONDS = 30,
	POLL_MS = 20,
	UNIT_MAX = 4 * LINK_NAME_MAX + 32,
	LOG_MODE = 0640,
};

/* Whether systemd is the init: sd_booted(3). */
static bool
uses_systemd(const char *init)
{
	struct stat st;

	if (init)
		return strcmp(init, "systemd") == 0;
	return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

/* flowlog@NAME.service, escaped as systemd-escape(1) does. */
static void
unit_name(const char *name, char unit[UNIT_MAX])
{
	char *p = unit + snprintf(unit, UNIT_MAX, "flowlog@");

	for (const char *s = name; *s; s++) {
		char c = *s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == ':' || c == '_' ||
			     (c == '.' && s > name);

		if (c == '/')
			*p++ = '-';
		else if (plain)
			*p++ = c;
		else
			p += snprintf(p, 5, "\\x%02x", (unsigned char)c);
	}
	memcpy(p, ".service", sizeof ".service");
}

static int
systemctl(const char *verb, const char *name, struct err *e)
{
	char unit[UNIT_MAX];
	char *argv[] = {"systemctl", (char *)(uintptr_t)verb, "--", unit, NULL};
	int status;
	pid_t pid;

	unit_name(name, unit);
	errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno)
		return err_sys(e, "cannot run systemctl");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "systemctl");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e,
			       "systemctl %s %s failed; journalctl -u %s "
			       "says why",
			       verb, unit, unit);
	return 0;
}

/*
 * Detached.
 */

/* The process that runs on: it says what goes wrong through READY until it
 * has begun. */
static void __attribute__((noreturn))
run_detached(const struct dirs *d, const struct logger *l, int log, int ready)
{
	struct err e = {0};
	int null = open("/dev/null", O_RDWR);
	int rc;

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	close(null);
	close(log);
	if (chdir("/") != 0)
		_exit(1);
	/* What a service manager meant for who calls is not for this one. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("LISTEN_FDS");
	rc = run_logger(d, l, NULL, &ready, &e);
	if (rc)
		log_line("%s", e.text);
	if (rc && ready >= 0 && write(ready, e.text, strlen(e.text)) < 0)
		_exit(1);
	_exit(rc != 0);
}

/* "" from the other end of READY if it runs, else why not. */
static int
await_ready(int fd, pid_t pid, struct err *e)
{
	char text[ERR_MAX] = "";
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof text - 1 - len)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len > 0 && text[0] == '\n')
			return 0;
	}
	waitpid(pid, NULL, 0);
	text[len] = '\0';
	return err_set(e, "%s", len ? text : "it ended at once");
}

static int
detach(const struct dirs *d, const struct logger *l, struct err *e)
{
	char path[PATH_MAX];
	int log, ready[2], rc;
	pid_t pid;

	if (dirs_make(d->state, e) || kept_log(path, d, l->name, e))
		return -1;
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);
	if (log < 0)
		return err_sys(e, "cannot write %s", path);
	if (pipe2(ready, O_CLOEXEC) != 0) {
		close(log);
		return err_sys(e, "cannot start");
	}
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		run_detached(d, l, log, ready[1]);
	}
	close(log);
	close(ready[1]);
	rc = pid < 0 ? err_sys(e, "cannot start")
		     : await_ready(ready[0], pid, e);
	close(ready[0]);
	return rc;
}

int
service_start(const struct dirs *d, const struct logger *l, const char *init,
	      struct err *e)
{
	return uses_systemd(init) ? systemctl("start", l->name, e)
				  : detach(d, l, e);
}

static int
end_detached(const struct dirs *d, const char *name, struct err *e)
{
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	pid_t pid = kept_runner(d, name, e), now;

	if (pid < 0)
		return -1;
	if (pid > 0 && kill(pid, SIGTERM) != 0 && errno != ESRCH)
		return err_sys(e, "cannot stop the process %d", (int)pid);
	for (int i = 0; pid > 0 && i < STOP_SECONDS * 1000 / POLL_MS; i++) {
		now = kept_runner(d, name, e);
		if (now != pid)
			return now < 0 ? -1 : 0;
		nanosleep(&pause, NULL);
	}
	return pid == 0 ? 0
			: err_set(e,
				  "the process %d does not end: kill -9 %d "
				  "ends it, and loses nothing",
				  (int)pid, (int)pid);
}

int
service_stop(const struct dirs *d, const char *name, const char *init,
	     struct err *e)
{
	/* One that was started otherwise does not listen to systemctl. */
	if (uses_systemd(init) && systemctl("stop", name, e))
		return -1;
	return end_detached(d, name, e);
}
