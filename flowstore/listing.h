/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers of commands: rows of named values, as aligned text for people or one
 * JSON object a line.
 */
#ifndef FLOWSTORE_LISTING_H
#define FLOWSTORE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum cell_type {
	CELL_TEXT,
	CELL_NUMBER, /* in text 1,234,567 */
	CELL_ID,     /* 1234567 in text, too */
	CELL_BYTES,  /* in text 1.2M */
	CELL_REAL,   /* one digit after the point */
	CELL_TIME,   /* microseconds since 1970 */
};

struct cell_name {
	const char *name;
	enum cell_type type;
};

struct cell {
	bool null;
	union {
		const char *text; /* copied */
		uint64_t number;
		double real;
		int64_t time;
	};
};

struct listing;

/* NAMES is borrowed. NULL when memory is out. */
struct listing *listing_new(const struct cell_name *names, size_t n);
void listing_free(struct listing *);

/* Adds a row of n cells. A row that has no room in memory shows at the print.
 */
void listing_add(struct listing *, const struct cell *);

/* To stdout.  KIND, if not NULL, is the first member of each JSON object. */
int listing_print(const struct listing *, bool json, const char *kind,
		  struct err *);

/* The first row, a line for each of its values. */
void listing_print_card(const struct listing *);

/* "1.2M" to TO, which has room for 16. */
const char *listing_bytes(char *to, uint64_t bytes);

#endif
