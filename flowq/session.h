/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One query after another: from its text to its answer on stdout, or an error
 * on stderr.
 */
#ifndef FLOWQ_SESSION_H
#define FLOWQ_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "flowq/site.h"

struct settings {
	struct site site;
	int format; /* enum output_format; -1: by what stdout is */
	bool footer;
	bool quiet;    /* no hints */
	bool units;    /* in tables */
	bool no_pager; /* though stdout is a terminal */
	bool profile;  /* what was read and how long it took, on stderr */
	bool console;  /* Ctrl-C ends queries only */
};

/* What ends a program that Ctrl-C has ended. */
enum { EXIT_INTERRUPTED = 130 };

/* The exit code. */
int session_ask(const struct settings *, const char *text, size_t len);

/* The fields that rows have behind the query TEXT, or behind its source if it
 * is no whole query; freed one by one, as is the list. */
void session_columns(const struct settings *, const char *text, size_t len,
		     char ***names, size_t *n);

#endif
