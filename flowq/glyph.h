/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How wide text is on a terminal.
 */
#ifndef FLOWQ_GLYPH_H
#define FLOWQ_GLYPH_H

#include <stdbool.h>
#include <stddef.h>

/* Columns of LEN bytes of UTF-8. */
unsigned glyph_width(const char *, size_t len);
/* The longest beginning of at most MAX columns: its length, and *width. */
size_t glyph_cut(const char *, size_t len, unsigned max, unsigned *width);
/* Makes what turns the direction of text around '?', as many as its bytes. */
void glyph_defuse(char *, size_t len);
/* Whether the terminal shows more than ASCII, by the locale's name. */
bool glyph_utf8(void);

#endif
