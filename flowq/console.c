/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/console.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/text.h"
#include "flowq/complete.h"
#include "flowq/editor.h"
#include "flowq/help.h"
#include "flowq/output.h"
#include "flowq/script.h"

struct console {
	struct settings set;
	bool done;
	bool seen; /* some query came */
};

/* The lines of a query so far. */
struct lines {
	char *text;
	size_t len, cap;
};

static int
add(struct lines *l, const char *p, size_t len)
{
	if (l->len + len > SCRIPT_QUERY_MAX) {
		log_line("a query of more than %d MiB", SCRIPT_QUERY_MAX >> 20);
		return -1;
	}
	if (l->len + len + 1 > l->cap) {
		size_t cap = 2 * (l->len + len) + 256;
		char *more = realloc(l->text, cap);

		if (!more) {
			log_line("out of memory");
			return -1;
		}
		l->text = more;
		l->cap = cap;
	}
	memcpy(l->text + l->len, p, len);
	l->len += len;
	l->text[l->len] = 0;
	return 0;
}

/*
 * What is no query.
 */

struct word {
	const char *p;
	size_t len;
};

/* The next word of *P, which goes on behind it. */
static struct word
next_word(const char **p)
{
	struct word w;

	while (**p == ' ' || **p == '\t' || **p == '\n')
		++*p;
	w.p = *p;
	while (**p && **p != ' ' && **p != '\t' && **p != '\n')
		++*p;
	w.len = (size_t)(*p - w.p);
	return w;
}

static bool
is(struct word w, const char *text)
{
	return w.len == strlen(text) && !strncasecmp(w.p, text, w.len);
}

static void
say(const char *what, bool on)
{
	printf("%s is %s\n", what, on ? "on" : "off");
	fflush(stdout);
}

/* "on", "off", or the other of what it is. */
static void
toggle(const char *what, bool *v, struct word w)
{
	*v = is(w, "on") ? true : is(w, "off") ? false : !*v;
	say(what, *v);
}

static int
set_format(struct console *c, struct word w)
{
	char name[16];
	int f = -1;

	if (w.len == 0) {
		printf("%s\n", output_names);
		fflush(stdout);
		return EXIT_DONE;
	}
	if (w.len < sizeof name) {
		memcpy(name, w.p, w.len);
		name[w.len] = 0;
		f = output_find(name);
	}
	if (f < 0) {
		log_line("unknown format %.*s (%s)",
			 (int)(w.len > 40 ? 40 : w.len), w.p, output_names);
		return EXIT_USAGE;
	}
	c->set.format = f;
	return EXIT_DONE;
}

static int
backslash(struct console *c, struct word command, struct word arg)
{
	static const char tables[] = "system tables";
	bool pager = !c->set.no_pager;

	if (is(command, "\\q") || is(command, "\\quit"))
		c->done = true;
	else if (is(command, "\\format"))
		return set_format(c, arg);
	else if (is(command, "\\units"))
		toggle("units", &c->set.units, arg);
	else if (is(command, "\\timing"))
		toggle("timing", &c->set.footer, arg);
	else if (is(command, "\\profile"))
		toggle("profile", &c->set.profile, arg);
	else if (is(command, "\\pager"))
		toggle("pager", &pager, arg);
	else if (is(command, "\\tables"))
		return session_ask(&c->set, tables, sizeof tables - 1);
	else if (is(command, "\\help") || is(command, "\\h") ||
		 is(command, "\\?"))
		help_print(stdout, arg.p, arg.len);
	else {
		log_line("there is no %.*s (\\? tells what there is)",
			 (int)(command.len > 40 ? 40 : command.len), command.p);
		return EXIT_USAGE;
	}
	c->set.no_pager = !pager;
	fflush(stdout);
	return EXIT_DONE;
}

/* A query, or something of the console's own. */
static int
answer(struct console *c, const char *text, size_t len)
{
	const char *p = text;
	struct word first = next_word(&p), second = next_word(&p);

	if (script_empty(text, len))
		return EXIT_DONE;
	c->seen = true;
	if (*first.p == '\\')
		return backslash(c, first, second);
	if (is(first, "help") || is(first, "?")) {
		int rc = help_print(stdout, second.p, second.len);

		fflush(stdout);
		return rc ? EXIT_USAGE : EXIT_DONE;
	}
	if ((is(first, "quit") || is(first, "exit")) && second.len == 0) {
		c->done = true;
		return EXIT_DONE;
	}
	return session_ask(&c->set, text, len);
}

/*
 * A terminal.
 */

int
console_run(const struct settings *set)
{
	struct console c = {.set = *set};
	struct lines l = {0};
	struct complete *complete = complete_new(&c.set);
	const char *line;

	c.set.console = true;
	c.set.footer = true;
	editor_open("flowq", complete_words, complete);
	printf("flowq %s: a query, help, or \\q\n", FLOW_VERSION);
	while (!c.done) {
		enum editor_result got =
		    editor_line(l.len ? "    -> " : "flowq> ", &line);

		if (got == EDITOR_END) {
			printf("\n");
			break;
		}
		/* Ctrl-C, or an empty line, gives up what was begun. */
		if (got == EDITOR_INTERRUPT || (l.len && !*line)) {
			if (got != EDITOR_INTERRUPT && l.len)
				answer(&c, l.text, l.len);
			l.len = 0;
			continue;
		}
		if (add(&l, line, strlen(line)) || add(&l, "\n", 1)) {
			l.len = 0;
			continue;
		}
		complete_before(complete, l.text, l.len);
		if (*l.text != '\\' && script_open(l.text, l.len))
			continue;
		if (!script_empty(l.text, l.len)) {
			char *one = script_one_line(l.text, l.len);

			if (one && strncmp(one, "\\q", 2) != 0)
				editor_remember(one);
			free(one);
		}
		answer(&c, l.text, l.len);
		l.len = 0;
		complete_before(complete, "", 0);
	}
	editor_close();
	complete_free(complete);
	free(l.text);
	return EXIT_DONE;
}

/*
 * A file or pipe.
 */

/* Answers what there is of a query. */
static int
finish(struct console *c, struct lines *l)
{
	int rc = l->len ? answer(c, l->text, l->len) : EXIT_DONE;

	l->len = 0;
	return rc;
}

int
console_script(const struct settings *set, int fd)
{
	struct console c = {.set = *set};
	struct lines l = {0};
	FILE *f = fdopen(fd, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = EXIT_DONE;

	if (!f)
		return EXIT_FAILED;
	while (rc == EXIT_DONE && !c.done &&
	       (n = getline(&line, &cap, f)) > 0) {
		/* What was whole may still go on. */
		if (l.len && !script_open(l.text, l.len) &&
		    !script_continues(line, (size_t)n) &&
		    !script_empty(line, (size_t)n))
			rc = finish(&c, &l);
		if (rc == EXIT_DONE && add(&l, line, (size_t)n))
			rc = EXIT_FAILED;
	}
	if (rc == EXIT_DONE && !c.done)
		rc = finish(&c, &l);
	if (rc == EXIT_DONE && !c.seen) {
		log_line("no query (see flowq --help)");
		rc = EXIT_USAGE;
	}
	free(line);
	free(l.text);
	fclose(f);
	return rc;
}
