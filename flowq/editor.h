/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines from a terminal: edited, remembered and completed by libedit where it
 * is there, else as the terminal itself has it.
 */
#ifndef FLOWQ_EDITOR_H
#define FLOWQ_EDITOR_H

#include <stddef.h>

enum editor_result { EDITOR_LINE, EDITOR_INTERRUPT, EDITOR_END };

/*
 * What may stand at LINE[start, end): words in a list that ends with NULL,
 * freed word by word, or NULL for names of files.  *append is what follows a
 * word that is the only one.
 */
typedef char **editor_words(void *ctx, const char *line, size_t start,
			    size_t end, char *append);

/* The history is kept in $XDG_STATE_HOME/NAME/history, by default below
 * ~/.local/state. */
void editor_open(const char *name, editor_words *, void *ctx);
void editor_close(void);

/* *line is valid until the next call. */
enum editor_result editor_line(const char *prompt, const char **line);
void editor_remember(const char *line);

#endif
