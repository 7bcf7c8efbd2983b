/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/command.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/nearest.h"
#include "common/table.h"
#include "common/text.h"

static const struct command commands[] = {
    {"backup", "TABLE [FILE]", "y", 1, 2, backup_run},
    {"check", "TABLE|FILE ...", "br", 1, INT_MAX, check_run},
    {"create", "TABLE ...", "", 1, INT_MAX, create_run},
    {"drop", "TABLE ...", "y", 1, INT_MAX, drop_run},
    {"export", "TABLE [FILE]", "fy", 1, 2, export_run},
    {"import", "TABLE [FILE]", "fH", 1, 2, import_run},
    {"info", "TABLE", "j", 1, 1, info_run},
    {"purge", "TABLE FROM TO", "y", 3, 3, purge_run},
    {"restore", "TABLE [FILE]", "", 1, 2, restore_run},
    {"retention", "TABLE [AGE|SIZE|none]", "a", 0, 3, retention_run},
    {"tables", "", "j", 0, 0, tables_run},
};

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

bool
command_is_verb(const char *name)
{
	return strcmp(name, "serve") == 0 || find(name) != NULL;
}

const struct command *
command_find(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0)
			i++;
		else if (strncmp(argv[i], "--root=", 7) != 0)
			return find(argv[i]);
	}
	return NULL;
}

/* Options that some commands take, as --help shows them. */
static const struct {
	char letter;
	const char *text;
} options[] = {
    {'a', " [--apply]"},     {'b', " [--backup]"}, {'f', " [--format FORMAT]"},
    {'H', " [--host NAME]"}, {'j', " [--json]"},   {'r', " [--repair]"},
    {'y', " [--yes]"},
};

/* "NAME OPTIONS WORDS" as a line. */
static size_t
synopsis(const struct command *c, char *text, size_t size)
{
	size_t n = (size_t)snprintf(text, size, "%s", c->name);

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (strchr(c->options, options[i].letter))
			n += (size_t)snprintf(text + n, size - n, "%s",
					      options[i].text);
	return n + (size_t)snprintf(text + n, size - n, "%s%s\n",
				    *c->words ? " " : "", c->words);
}

static void __attribute__((noreturn)) usage(const struct command *c)
{
	char text[256];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "usage: flowstore [--root DIR] ");

	synopsis(c, text + n, sizeof(text) - n);
	cli_help(text);
}

static enum form
form_by_name(const char *name)
{
	static const char *const names[] = {[FORM_CSV] = "csv",
					    [FORM_JSON] = "json",
					    [FORM_MSGPACK] = "msgpack"};

	for (int i = FORM_CSV; i <= FORM_MSGPACK; i++)
		if (strcmp(names[i], name) == 0)
			return (enum form)i;
	cli_usage("flowstore", "no format '%s': csv, json or msgpack", name);
}

void
command_synopses(char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		n += (size_t)snprintf(text + n, size - n, "       flowstore ");
		n += synopsis(&commands[i], text + n, size - n);
	}
}

const char *
command_hint(const char *name, char *buf, size_t size)
{
	struct nearest near;

	nearest_init(&near, name, strlen(name));
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		nearest_try(&near, commands[i].name);
	nearest_try(&near, "serve");
	return nearest_hint(&near, buf, size);
}

static void
check_words(const struct command *c, const struct command_args *a)
{
	if (a->n < c->min)
		cli_usage("flowstore", "%s what? flowstore %s %s", c->name,
			  c->name, c->words);
	if (a->n > c->max)
		cli_usage("flowstore", "'%s' is too much: flowstore %s%s%s",
			  a->words[c->max], c->name, *c->words ? " " : "",
			  c->words);
}

static void
parse(const struct command *c, int argc, char **argv, struct command_args *a)
{
	enum { ROOT = 256 };
	static const struct option longs[] = {
	    {"root", required_argument, NULL, ROOT},
	    {"apply", no_argument, NULL, 'a'},
	    {"backup", no_argument, NULL, 'b'},
	    {"format", required_argument, NULL, 'f'},
	    {"host", required_argument, NULL, 'H'},
	    {"json", no_argument, NULL, 'j'},
	    {"repair", no_argument, NULL, 'r'},
	    {"yes", no_argument, NULL, 'y'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "hyV", longs, NULL)) != -1) {
		if (o < 256 && !strchr("hV?:", o) && !strchr(c->options, o))
			cli_usage("flowstore", "%s does not take %s", c->name,
				  argv[optind - 1]);
		switch (o) {
		case ROOT:
			a->root = optarg;
			break;
		case 'a':
			a->apply = true;
			break;
		case 'b':
			a->backup = true;
			break;
		case 'f':
			a->form = form_by_name(optarg);
			break;
		case 'H':
			a->host = optarg;
			break;
		case 'j':
			a->json = true;
			break;
		case 'r':
			a->repair = true;
			break;
		case 'y':
			a->yes = true;
			break;
		case 'h':
			usage(c);
		case 'V':
			cli_version("flowstore");
		default:
			cli_bad_option("flowstore", argv);
		}
	}
	/* the first word is the verb */
	a->n = argc - optind - 1;
	a->words = argv + optind + 1;
	check_words(c, a);
}

int
command_main(const struct command *c, int argc, char **argv)
{
	struct command_args a = {0};
	char root[PATH_MAX];
	struct err err = {0};
	int r;

	parse(c, argc, argv, &a);
	r = table_root(a.root, root, sizeof(root), &err);
	a.root = root;
	if (r == 0)
		r = c->run(&a, &err);
	if (r >= 0 && fflush(stdout) != 0)
		r = err_sys(&err, "cannot write");
	if (r < 0)
		log_line("%s", err.text);
	return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

int
command_confirm(const struct command_args *a, struct err *e, const char *fmt,
		...)
{
	char text[ERR_MAX], answer[16];
	va_list ap;

	if (a->yes)
		return 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_defuse(text, strlen(text));
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return err_set(e,
			       "%s? Say so with --yes, as there is no "
			       "terminal to ask on",
			       text);
	fprintf(stderr, "%s? [y/N] ", text);
	if (fgets(answer, sizeof(answer), stdin) &&
	    (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	return err_set(e, "nothing was done");
}

void
command_say(const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_defuse(text, strlen(text));
	puts(text);
}
