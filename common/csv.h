/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 4180 and what else is called CSV: separated by commas, semicolons, bars
 * or tabs; lines may end in CR LF; quoted values may hold separators, newlines
 * and doubled quotes.  An empty value is null and "" is empty text.
 */
#ifndef COMMON_CSV_H
#define COMMON_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct csv_cell {
	const char *p; /* NULL: null */
	size_t len;
	bool escaped; /* quotes in it are doubled */
	bool odd;     /* text behind the closing quote: as it stands */
	bool last;    /* of its record */
};

/* The value at P up to and with what ends it: the length; 0 if more is needed;
 * -1 for a quote that is not closed at EOF, where no more comes. */
int64_t csv_read(const char *p, size_t len, char sep, bool eof,
		 struct csv_cell *);

/* Without doubled quotes, in OUT, which has room for the length. */
size_t csv_unescape(const char *p, size_t len, char *out);

/* What separates the values of a line. */
char csv_separator(const char *line, size_t len);

#endif
