/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Columns as lines of text: JSON, CSV, TSV and the rows of flowq.
 *
 *	json	one object a line, in the order of the columns; always valid:
 *		numbers plain at any size, null and non-finite floats null, all
 *		else strings, control bytes as \u00xx, bytes that are no UTF-8
 *		as U+FFFD
 *	csv	RFC 4180 with bare newlines; null is empty, an empty string is
 *		""; control bytes but tab, CR and LF, and what is no UTF-8, are
 *		U+FFFD
 *	tsv	tab, newline, CR and backslash as \t \n \r \\, other control
 *		bytes and what is no UTF-8 as \xhh; null is empty
 *	row	{key=value, key=value}, keys sorted bytewise, null is null;
 *		control bytes as \n \t \r or \xhh, what is no UTF-8 as U+FFFD
 *
 * Values are as in common/text.h.  Nothing that a terminal would act on gets
 * through, tab and newline in csv apart.
 *
 * Use: format_columns once per shape; format_header where a header is wanted;
 * format_rows for each batch, in slices of a thousand rows or so, because the
 * text gathers in memory until format_clear.
 */
#ifndef COMMON_FORMAT_H
#define COMMON_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

enum format_type {
	FORMAT_JSON,
	FORMAT_CSV,
	FORMAT_TSV,
	FORMAT_ROW,
	FORMAT_TYPES
};

/* The format called NAME ("json" ...), or -1. */
int format_find(const char *name);

struct format;

/* NULL when memory is out. */
struct format *format_new(enum format_type);
void format_free(struct format *);

/* The columns of the rows that follow. Names are copied. Writes nothing. */
int format_columns(struct format *, const char *const names[],
		   const enum col_type types[], size_t n, struct err *);

/* Appends the line of names; nothing for json and row, which have none. */
int format_header(struct format *, struct err *);

/*
 * Appends rows [from, to) of the columns given to format_columns, in that
 * order.  They may be constant and may borrow; NULL stands for a column that
 * is null throughout.  -1 when memory is out: the text ends with a whole row.
 */
int format_rows(struct format *, const struct column *const cols[],
		uint32_t from, uint32_t to, struct err *);

/* The text so far; until the next call that appends. */
const char *format_text(const struct format *, size_t *len);
/* Forgets the text; columns and memory stay. */
void format_clear(struct format *);

#endif
