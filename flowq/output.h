/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answer, as text or msgpack, on a screen or in a file.
 */
#ifndef FLOWQ_OUTPUT_H
#define FLOWQ_OUTPUT_H

#include <stdio.h>

#include "flowq/emit.h"
#include "flowq/screen.h"

enum output_format {
	OUTPUT_JSON, /* as enum format_type */
	OUTPUT_CSV,
	OUTPUT_TSV,
	OUTPUT_ROW,
	OUTPUT_TABLE,
	OUTPUT_MSGPACK,
	OUTPUT_CHART,
};

struct output_style {
	enum output_format format;
	bool units; /* large numbers of a table as 1.2M */
};

/* The format called NAME, or -1. */
int output_find(const char *name);
/* "row, table, ...": for people. */
extern const char output_names[];

struct output;

/* The screen is borrowed. */
struct output *output_new(struct screen *, const struct output_style *);
void output_free(struct output *);

/* The columns of what is written; borrowed. */
int output_columns(struct output *, const struct columns *, struct err *);
/* A struct writer's. CTX is the output. */
int output_write(void *ctx, const struct rowset *, uint32_t from, uint32_t to,
		 struct err *);
/* What is still held back; then a footer if ELAPSED is not negative. */
int output_end(struct output *, double elapsed, struct err *);
/* Now and then, from any thread: rows that wait for others come out. */
void output_tick(struct output *);

uint64_t output_rows(const struct output *);

#endif
