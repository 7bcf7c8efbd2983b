/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as people read them: times in the local zone, protocols and TCP flags
 * by name, ports with theirs, real numbers with three decimals, and, on
 * request, large counts with units.
 */
#ifndef FLOWQ_CELL_H
#define FLOWQ_CELL_H

#include "common/batch.h"
#include "flowq/sort.h"

enum look {
	LOOK_PLAIN,
	LOOK_ID, /* a number that counts nothing */
	LOOK_TIME,
	LOOK_PROTOCOL,
	LOOK_PORT,
	LOOK_FLAGS,
};

/* What a column's name and type say. */
enum look look_of(const char *name, enum expr_type);

enum { CELL_ROOM = 128 }; /* fits every value but strings and bytes */

struct cell_buf {
	char *p;
	size_t len, cap;
};

/* The value as text that is safe on a terminal. -1: memory is out. C may be
 * NULL: null. */
int cell_text(struct cell_buf *, enum look, bool units, enum col_type,
	      const struct column *c, uint32_t row);
/* 1.2M, in CELL_ROOM bytes. */
size_t cell_units(char *, double);
void cell_time(char *buf, size_t size, int64_t us);

#endif
