/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/text.h"
#include "flowlog/facts.h"

#define FACTORY "local\\netflow"

enum {
	TIME_TEXT = 32,
	ANSWER_MS = 3000,
};

const struct verb verbs[] = {
    {"create", true, TAKES_STEPS | TAKES_DIRS, command_create},
    {"last", true, TAKES_DIRS, command_last},
    {"list", false, TAKES_DIRS | TAKES_JSON, command_list},
    {"remove", true, TAKES_DIRS | TAKES_INIT, command_remove},
    {"run", true, TAKES_DIRS | TAKES_METRICS, command_run},
    {"show", true, TAKES_DIRS | TAKES_JSON, command_show},
    {"start", true, TAKES_DIRS | TAKES_INIT, command_start},
    {"stop", true, TAKES_DIRS | TAKES_INIT, command_stop},
    {"trace", true, TAKES_DIRS | TAKES_FORMAT, command_trace},
    {"update", true, TAKES_STEPS | TAKES_DIRS, command_update},
    {0},
};

int
command_fail(const struct err *e)
{
	log_line("%s", e->text);
	return EXIT_FAILED;
}

int
command_dirs(const struct options *o, struct dirs *d, struct err *e)
{
	return dirs_find(d, o->config, o->state, e);
}

/* To stdout, fit for a terminal. */
static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	for (char *p = text; *p; p += strcspn(p, "\n") ? strcspn(p, "\n") : 1)
		text_defuse(p, strcspn(p, "\n"));
	fwrite(text, 1, (size_t)len, stdout);
	free(text);
}

/* What was said may have found no reader. */
static int
end_command(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	log_line("cannot write: %m");
	return EXIT_FAILED;
}

/* As the old console showed times; NEVER if there was none. */
static const char *
time_text(char buf[TIME_TEXT], int64_t us, const char *never)
{
	time_t t = (time_t)(us / 1000000 - (us % 1000000 < 0));
	struct tm tm;

	if (us == NO_TIME || !localtime_r(&t, &tm) ||
	    strftime(buf, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return never;
	return buf;
}

/*
 * create, update, remove
 */

/* What options say over what there is. Exits on what they cannot be. */
static void
apply(const struct options *o, struct logger *l)
{
	struct err e;

	for (int i = 0; i < LOGGER_TEXTS; i++)
		if (o->texts[i] &&
		    logger_set_text(l, (enum logger_text)i, o->texts[i], &e))
			cli_usage("flowlog", "--%s", e.text);
	if (o->steps.n > 0) {
		settings_clear(&l->steps);
		for (size_t i = 0; i < o->steps.n; i++)
			if (settings_add(&l->steps, o->steps.list[i].kind,
					 o->steps.list[i].text, &e))
				cli_usage("flowlog", "--%s", e.text);
	}
	if (logger_check_steps(l, &e))
		cli_usage("flowlog", "--%s", e.text);
	if (!l->texts[LOGGER_TABLE] && !o->texts[LOGGER_TABLE] &&
	    (o->texts[LOGGER_TO] || o->texts[LOGGER_HOST]) &&
	    logger_set_text(l, LOGGER_TABLE, l->name, &e))
		cli_usage("flowlog", "--%s", e.text);
	if (!l->texts[LOGGER_TABLE] &&
	    (l->texts[LOGGER_TO] || l->texts[LOGGER_HOST]))
		cli_usage("flowlog",
			  "--%s goes with --table: a logger without a table "
			  "only counts",
			  l->texts[LOGGER_TO] ? "to" : "host");
}

static int
create(const struct options *o, struct logger *l, struct err *e)
{
	struct dirs d;

	if (command_dirs(o, &d, e))
		return -1;
	memcpy(l->name, o->logger, strlen(o->logger) + 1);
	apply(o, l);
	if (logger_write(l, &d, true, e))
		return -1;
	kept_remove(&d, l->name); /* of one that was called so before */
	say("logger created: name=%s, factory=" FACTORY
	    ", status=stopped (passive), log count=0, last start=null, "
	    "last run=null, last log=null\n",
	    l->name);
	return 0;
}

int
command_create(const struct options *o)
{
	struct logger l = {0};
	struct err e;
	int rc;

	if (logger_check_name(o->logger, &e))
		cli_usage("flowlog", "%s", e.text);
	rc = create(o, &l, &e);
	logger_clear(&l);
	return rc ? command_fail(&e) : end_command();
}

static int
update(const struct options *o, struct logger *l, struct err *e)
{
	struct dirs d;
	pid_t pid;

	if (command_dirs(o, &d, e) || logger_read(l, &d, o->logger, e))
		return -1;
	pid = kept_runner(&d, l->name, e);
	if (pid < 0)
		return -1;
	if (pid > 0)
		return err_set(e,
			       "the logger %s is running: stop it before you "
			       "change it",
			       l->name);
	apply(o, l);
	if (logger_write(l, &d, false, e))
		return -1;
	say("logger updated\n");
	return 0;
}

int
command_update(const struct options *o)
{
	struct logger l = {0};
	struct err e;
	int rc = update(o, &l, &e);

	logger_clear(&l);
	return rc ? command_fail(&e) : end_command();
}

/* flowdecode keeps nothing for it any more.  One that has never been connected
 * has nothing there. */
static void
free_reader(const struct dirs *d, const char *name)
{
	struct hello mine = {.role = LINK_RECORDS, .forget = true}, theirs;
	char path[UNIXSOCK_PATH_MAX];
	struct logger l = {0};
	struct kept kept;
	struct err e, ignored;
	int fd = -1;

	(void)logger_read(&l, d, name, &e);
	snprintf(mine.name, sizeof mine.name, "%s", name);
	if (logger_path(&l, LOGGER_FROM, d->run, path, &e) == 0)
		fd = link_join(path, &mine, &theirs, ANSWER_MS, &e);
	if (fd >= 0)
		close(fd);
	else if (kept_read(&kept, d, name, &ignored) == 0 && kept.stream)
		log_line("flowdecode may keep records for %s: %s; to free "
			 "them, create and remove a logger of that name while "
			 "it runs",
			 name, e.text);
	logger_clear(&l);
}

/* A definition that is wrong can be removed too. */
static int
remove_logger(const struct options *o, struct err *e)
{
	struct dirs d;
	pid_t pid;

	if (logger_check_name(o->logger, e) || command_dirs(o, &d, e))
		return -1;
	pid = kept_runner(&d, o->logger, e);
	if (pid < 0 || (pid > 0 && service_stop(&d, o->logger, o->init, e)))
		return -1;
	free_reader(&d, o->logger);
	if (logger_remove(&d, o->logger, e))
		return -1;
	kept_remove(&d, o->logger);
	say("logger removed\n");
	return 0;
}

int
command_remove(const struct options *o)
{
	struct err e;

	return remove_logger(o, &e) ? command_fail(&e) : end_command();
}

/*
 * list, show, last
 */

/* All that is known of a logger. */
struct status {
	struct logger logger;
	struct kept kept;
	pid_t pid; /* 0: it does not run */
};

static int
status_read(struct status *s, const struct dirs *d, const char *name,
	    struct err *e)
{
	if (logger_read(&s->logger, d, name, e))
		return -1;
	s->pid = kept_runner(d, name, e);
	if (s->pid >= 0 && kept_read(&s->kept, d, name, e) == 0)
		return 0;
	logger_clear(&s->logger);
	return -1;
}

/* The steps as the definition has them, to be freed. */
static char *
steps_text(const struct settings *s)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		fprintf(f, "%s%s = %s", i ? "\n" : "",
			setting_name(s->list[i].kind), s->list[i].text);
	fclose(f);
	return text;
}

static int
status_json(const struct status *s, struct err *e)
{
	const struct logger *l = &s->logger;
	char *line, *steps = steps_text(&l->steps);
	struct facts f = {.n = 0};
	size_t len;

	facts_text(&f, "name", l->name);
	facts_text(&f, "factory", FACTORY);
	facts_text(&f, "status", s->pid ? "running" : "stopped");
	facts_bool(&f, "connected", s->pid && s->kept.connected);
	if (s->pid)
		facts_number(&f, "pid", (uint64_t)s->pid);
	facts_number(&f, "log_count", s->kept.logged);
	facts_number(&f, "drop_count", s->kept.dropped);
	facts_number(&f, "filter_count", s->kept.filtered);
	facts_time(&f, "last_log", s->kept.last_log);
	facts_time(&f, "last_start", s->kept.last_start);
	for (int i = 0; i < LOGGER_TEXTS; i++)
		facts_text(&f, logger_text_name((enum logger_text)i),
			   l->texts[i]);
	facts_text(&f, "steps", steps);
	line = facts_json(&f, &len, e);
	free(steps);
	if (!line)
		return -1;
	fwrite(line, 1, len, stdout);
	free(line);
	return 0;
}

static void
status_line(const struct status *s)
{
	char start[TIME_TEXT], last[TIME_TEXT];

	say("name=%s, factory=" FACTORY
	    ", status=%s (passive), log count=%" PRIu64
	    ", last start=%s, last run=null, last log=%s\n",
	    s->logger.name, s->pid ? "running" : "stopped", s->kept.logged,
	    time_text(start, s->kept.last_start, "null"),
	    time_text(last, s->kept.last_log, "null"));
}

/* One that cannot be read is told of, and the others are shown. */
static int
list_one(const struct options *o, const struct dirs *d, const char *name)
{
	struct status s;
	struct err e;
	int rc = status_read(&s, d, name, &e);

	if (rc == 0) {
		if (o->json)
			rc = status_json(&s, &e);
		else
			status_line(&s);
		logger_clear(&s.logger);
	}
	if (rc)
		log_line("%s", e.text);
	return rc;
}

int
command_list(const struct options *o)
{
	struct dirs d;
	struct err e;
	char **names;
	size_t n;
	int rc = 0;

	if (command_dirs(o, &d, &e) || logger_names(&d, &names, &n, &e))
		return command_fail(&e);
	if (!o->json)
		say("Loggers\n-------\n");
	for (size_t i = 0; i < n; i++) {
		rc |= list_one(o, &d, names[i]);
		free(names[i]);
	}
	free(names);
	return end_command() || rc ? EXIT_FAILED : EXIT_DONE;
}

/* One that runs and waits for the other programs logs nothing. */
static const char *
status_word(const struct status *s)
{
	if (!s->pid)
		return "Stopped";
	return s->kept.connected ? "Running" : "Running (not connected)";
}

static void
status_page(const struct status *s)
{
	const struct logger *l = &s->logger;
	const char *about = l->texts[LOGGER_DESCRIPTION];
	char last[TIME_TEXT];

	say("Logger [%s]\n"
	    "* Description: %s\n"
	    "* Logger Factory: " FACTORY "\n"
	    "* Status: %s\n"
	    "* Interval: 0ms\n"
	    "* Last Log: %s\n"
	    "* Last Run: N/A\n"
	    "* Log Count: %" PRIu64 "\n"
	    "* Drop Count: %" PRIu64 "\n"
	    "Configuration\n",
	    l->name, about ? about : "null", status_word(s),
	    time_text(last, s->kept.last_log, "N/A"), s->kept.logged,
	    s->kept.dropped);
	for (int i = LOGGER_TABLE; i < LOGGER_TEXTS; i++)
		if (l->texts[i])
			say("* %s: %s\n", logger_text_name((enum logger_text)i),
			    l->texts[i]);
	for (size_t i = 0; i < l->steps.n; i++)
		say("* %s: %s\n", setting_name(l->steps.list[i].kind),
		    l->steps.list[i].text);
}

int
command_show(const struct options *o)
{
	struct dirs d;
	struct status s;
	struct err e;
	int rc;

	if (command_dirs(o, &d, &e) || status_read(&s, &d, o->logger, &e))
		return command_fail(&e);
	rc = 0;
	if (o->json)
		rc = status_json(&s, &e);
	else
		status_page(&s);
	logger_clear(&s.logger);
	return rc ? command_fail(&e) : end_command();
}

int
command_last(const struct options *o)
{
	struct logger l = {0};
	struct dirs d;
	struct err e;
	char *text;
	size_t len;

	if (command_dirs(o, &d, &e) || logger_read(&l, &d, o->logger, &e))
		return command_fail(&e);
	logger_clear(&l);
	e.code = 0;
	text = kept_read_last(&d, o->logger, &len, &e);
	if (!text && e.code == ENOENT)
		err_set(&e, "the logger %s has logged nothing yet", o->logger);
	if (!text)
		return command_fail(&e);
	fwrite(text, 1, len, stdout);
	free(text);
	return end_command();
}

/*
 * start, stop, run
 */

int
command_start(const struct options *o)
{
	struct logger l = {0};
	struct dirs d;
	struct err e;
	pid_t pid;
	int rc = -1;

	if (command_dirs(o, &d, &e) || logger_read(&l, &d, o->logger, &e))
		return command_fail(&e);
	pid = kept_runner(&d, l.name, &e);
	if (pid > 0)
		err_set(&e, "the logger %s runs already", l.name);
	else if (pid == 0)
		rc = service_start(&d, &l, o->init, &e);
	if (rc == 0)
		say("logger started\n");
	logger_clear(&l);
	return rc ? command_fail(&e) : end_command();
}

int
command_stop(const struct options *o)
{
	struct logger l = {0};
	struct dirs d;
	struct err e;
	pid_t pid;

	if (logger_check_name(o->logger, &e) || command_dirs(o, &d, &e))
		return command_fail(&e);
	pid = kept_runner(&d, o->logger, &e);
	if (pid == 0 && logger_read(&l, &d, o->logger, &e) == 0)
		err_set(&e, "the logger %s is not running", o->logger);
	logger_clear(&l);
	if (pid <= 0 || service_stop(&d, o->logger, o->init, &e))
		return command_fail(&e);
	say("logger stopped\n");
	return end_command();
}

int
command_run(const struct options *o)
{
	struct logger l = {0};
	struct dirs d;
	struct err e;
	int rc;

	if (command_dirs(o, &d, &e) || logger_read(&l, &d, o->logger, &e))
		return command_fail(&e);
	rc = run_logger(&d, &l, o->metrics, NULL, &e);
	logger_clear(&l);
	return rc ? command_fail(&e) : EXIT_DONE;
}
