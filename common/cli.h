/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every tool's command line shares.
 */
#ifndef COMMON_CLI_H
#define COMMON_CLI_H

#include <stddef.h>

/* Exit codes. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* "-V": prints "TOOL (flow) VERSION" to stdout and exits 0. */
void cli_version(const char *tool) __attribute__((noreturn));

/* Prints USAGE to stdout and exits 0. */
void cli_help(const char *usage) __attribute__((noreturn));

/* "TOOL: text" and "see TOOL --help" on stderr, control bytes replaced by '?';
 * exits 2. */
void cli_usage(const char *tool, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/*
 * Exits 2 if standard input is a terminal: nobody types what a filter reads.
 * WHAT it reads and COMMAND, a line that gives it that, are said.
 */
void cli_refuse_terminal(const char *tool, const char *what,
			 const char *command);

/*
 * What getopt_long's '?' means, where it was told to be silent with
 * opterr = 0; exits 2.
 */
void cli_bad_option(const char *tool, char **argv) __attribute__((noreturn));

/*
 * Splits "a,b,c" at commas.  The result is one malloc'ed block: an array of
 * *n strings, freed with free().  Blanks around an element are dropped, and so
 * is an empty one.  NULL when memory is out.
 */
char **cli_list(const char *, size_t *n);

#endif
