/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queries one after another: from a terminal, with a line editor, a history
 * and completion, or from a file or pipe.
 */
#ifndef FLOWQ_CONSOLE_H
#define FLOWQ_CONSOLE_H

#include "flowq/session.h"

/* Until \q or the end of input. The exit code. */
int console_run(const struct settings *);
/* Until one fails: its exit code; 2 if there is no query at all. */
int console_script(const struct settings *, int fd);

#endif
