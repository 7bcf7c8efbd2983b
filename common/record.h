/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches as they travel between flowdecode, flowlog and flowstore:
 * flowrecord(5).  A reader takes column batches (msgpack arrays) and rows (one
 * msgpack map per record) from one stream, in any mixture.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "common/stream.h"

enum { RECORD_VERSION = 1 }; /* of the format */

/* Appends a batch to OUT. Columns are referred to, not copied: flush before
 * the batch changes. */
int record_write(struct stream_out *, const struct batch *, struct err *);

/* The same records, as one map each. Null fields are left out. */
int record_write_rows(struct stream_out *, const struct batch *, struct err *);

struct record_reader;

/* SHAPES is borrowed and must outlive the reader. */
struct record_reader *record_reader_new(struct shapes *);
void record_reader_free(struct record_reader *);

/*
 * Reads an object that stream_next gave.  For a batch: 1, and *b borrows from
 * the object (valid until the next stream_fill) and from the reader (until its
 * next call).  For a row: 0; it joins an open batch of its shape inside the
 * reader, to be had from record_reader_take.  -1: the object is not valid.
 *
 * What is checked: version, counts, names, types, lengths of every column,
 * string offsets (ascending, within the bytes), UTF-8 is not.
 */
int record_read(struct record_reader *, const char *obj, size_t len,
		const struct batch **b, struct err *);

/*
 * A batch of the rows that have gathered, or NULL: those of the fullest shape
 * when it has MIN rows at least, or when memory or open shapes are at their
 * bound (1 takes all, call by call until NULL).  Call it with 4096 or so after
 * every row, and with 1 on a tick and at the end.  Valid until the next call.
 * stream and number are 0: rows have none.
 */
const struct batch *record_reader_take(struct record_reader *, uint32_t min);

#endif
