/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where batches go: a record stream, or JSON lines where people look on.  A
 * sink of the decoder.
 */
#ifndef FLOWDECODE_OUTPUT_H
#define FLOWDECODE_OUTPUT_H

#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

struct output;

/* NULL when memory is out. The fd stays the caller's. */
struct output *output_new(int fd);
void output_free(struct output *);

/* These take the output as void, as struct sink wants. */
int output_batch(void *, const struct batch *, struct err *);
int output_commit(void *, struct err *);

uint64_t output_batches(const struct output *);
/* Records since the last commit that worked. */
uint64_t output_unwritten(const struct output *);
/* One that went elsewhere. */
void output_count(struct output *);

#endif
