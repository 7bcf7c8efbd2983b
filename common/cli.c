/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

static void __attribute__((noreturn)) end_output(void)
{
	if (fflush(stdout) == 0)
		exit(EXIT_DONE);
	log_line("cannot write: %m");
	exit(EXIT_FAILED);
}

void
cli_version(const char *tool)
{
	printf("%s (flow) %s\n", tool, FLOW_VERSION);
	end_output();
}

void
cli_help(const char *usage)
{
	fputs(usage, stdout);
	end_output();
}

void
cli_usage(const char *tool, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_defuse(text, strlen(text));
	fprintf(stderr, "%s: %s\nsee %s --help\n", tool, text, tool);
	exit(EXIT_USAGE);
}

void
cli_refuse_terminal(const char *tool, const char *what, const char *command)
{
	if (isatty(STDIN_FILENO))
		cli_usage(tool,
			  "%s come through a pipe, not from a terminal: %s",
			  what, command);
}

void
cli_bad_option(const char *tool, char **argv)
{
	const char *at = argv[optind - 1];

	if (strncmp(at, "--", 2) != 0 && optopt > 0 && optopt < 256)
		cli_usage(tool, "unknown option -%c", optopt);
	if (optopt == 0)
		cli_usage(tool, "unknown option %s", at);
	if (strchr(at, '='))
		cli_usage(tool, "%s: the option takes no value", at);
	cli_usage(tool, "%s: a value is missing", at);
}

static char *
trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	for (len = strlen(s); len && strchr(" \t", s[len - 1]);)
		s[--len] = '\0';
	return s;
}

char **
cli_list(const char *s, size_t *n)
{
	size_t commas = 0, len = strlen(s);
	char **list, *copy, *word, *next;

	for (size_t i = 0; i < len; i++)
		commas += s[i] == ',';
	list = malloc((commas + 1) * sizeof(*list) + len + 1);
	if (!list)
		return NULL;
	copy = (char *)(list + commas + 1);
	memcpy(copy, s, len + 1);
	*n = 0;
	for (word = copy; word; word = next) {
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		word = trim(word);
		if (*word)
			list[(*n)++] = word;
	}
	return list;
}
