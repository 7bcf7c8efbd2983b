/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where one query ends and the next begins, in lines of text.
 */
#ifndef FLOWQ_SCRIPT_H
#define FLOWQ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_QUERY_MAX = 16 << 20 }; /* bytes of one query */

/* Whether the text goes on in the next line: it ends in a bar or a backslash,
 * or a string, name or bracket is open. */
bool script_open(const char *, size_t len);
/* Whether there is nothing but blanks and comments. */
bool script_empty(const char *, size_t len);
/* Whether a line goes on with the query before it: it begins with a bar. */
bool script_continues(const char *line, size_t len);
/* One line that means the same, for a history; freed by the caller. */
char *script_one_line(const char *, size_t len);

#endif
