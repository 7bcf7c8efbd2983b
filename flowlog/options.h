/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: flowlog [option]..., or flowlog VERB [option]... [NAME].
 */
#ifndef FLOWLOG_OPTIONS_H
#define FLOWLOG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "flowlog/logger.h"

struct verb;

struct options {
	struct settings steps;
	const char *texts[LOGGER_TEXTS]; /* NULL: not said */
	const char *format, *metrics, *name, *config, *state, *init;
	bool json, verbose;
	const struct verb *verb; /* NULL: a filter */
	const char *logger;	 /* that the verb is about */
};

/* Options by what takes them. */
enum {
	TAKES_STEPS = 1, /* and --description, --table, --host, --from, --to */
	TAKES_FORMAT = 2,
	TAKES_METRICS = 4,
	TAKES_FILTER = 8, /* --name, --verbose */
	TAKES_DIRS = 16,
	TAKES_JSON = 32,
	TAKES_INIT = 64,
};

struct verb {
	const char *name;
	bool named; /* takes a NAME */
	unsigned takes;
	/* An exit code. */
	int (*run)(const struct options *);
};

/* Exits on wrong usage, --help and --version. */
void options_parse(struct options *, int argc, char **argv);
void options_clear(struct options *);

#endif
