/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
cli_version(const char *tool)
{
	printf("%s (flow) %s\n", tool, FLOW_VERSION);
	exit(fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED);
}

void
cli_help(const char *usage)
{
	fputs(usage, stdout);
	exit(fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED);
}

void
cli_usage(const char *tool, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	fprintf(stderr, "%s: %s\nsee %s --help\n", tool, text, tool);
	exit(EXIT_USAGE);
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
		if (*word)
			list[(*n)++] = word;
	}
	return list;
}
