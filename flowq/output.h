/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answer as text on stdout.
 */
#ifndef FLOWQ_OUTPUT_H
#define FLOWQ_OUTPUT_H

#include <stdio.h>

#include "flowq/emit.h"

enum output_format {
	OUTPUT_JSON, /* as enum format_type */
	OUTPUT_CSV,
	OUTPUT_TSV,
	OUTPUT_ROW,
	OUTPUT_TABLE,
};

/* The format called NAME, or -1. */
int output_find(const char *name);

struct output;

/* WIDTH of the terminal, for tables; 0: not cut. */
struct output *output_new(int fd, enum output_format, unsigned width);
void output_free(struct output *);

/* The columns of what is written; borrowed. */
int output_columns(struct output *, const struct columns *, struct err *);
/* A struct writer's. CTX is the output. */
int output_write(void *ctx, const struct rowset *, uint32_t from, uint32_t to,
		 struct err *);
/* What is still held back; then a footer if ELAPSED is not negative. */
int output_end(struct output *, double elapsed, struct err *);

uint64_t output_rows(const struct output *);

#endif
