/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Piles: one growing batch per shape, and what every record has besides its
 * own fields.
 *
 * Rows are written in two steps: pile_begin makes room for some and stamps
 * them (receive time, exporter ... equal for all records of a set), the caller
 * fills the columns of the record's own fields, pile_end counts them in.  A
 * batch goes to the sink when it has PILE_ROWS rows or grows past a bound in
 * bytes, PILE_AGE_MS after its first row, or when too many piles are open.
 */
#ifndef FLOWDECODE_PILE_H
#define FLOWDECODE_PILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "flowdecode/bounds.h"

enum { PILE_AGE_MS = 100 };

/* Where full batches go. */
struct sink {
	void *ctx;
	/* May refer to the batch until the commit that follows. */
	int (*batch)(void *ctx, const struct batch *, struct err *);
	int (*commit)(void *ctx, struct err *);
};

/* The columns that are stamped. */
enum stamp_column {
	STAMP_TIME,
	STAMP_EXPORTER,
	STAMP_PORT,
	STAMP_BINDING,
	STAMP_SOURCE_ID,
	STAMP_VERSION,
	STAMP_RATE,
	STAMP_RATE_SOURCE,
	STAMP_COLUMNS
};

enum rate_source { RATE_UNKNOWN, RATE_ANNOUNCED, RATE_CONFIGURED };

/* Their values for the records of one set. */
struct stamp {
	int64_t time_us;
	uint8_t addr[16]; /* v4 as mapped */
	uint32_t addr_v4;
	uint32_t source_id;
	uint32_t rate;
	uint16_t port;
	uint8_t version;
	enum rate_source rate_source;
	const char *binding; /* borrowed */
	size_t binding_len;
};

/* The name and type of a stamped column; the exporter's type is by family. */
struct field stamp_field(enum stamp_column, bool v6);

struct pile {
	const struct shape *shape;
	struct batch *batch; /* NULL if closed */
	uint32_t cap;	     /* rows that its columns have room for */
	uint32_t rows_max;
	size_t wire;	   /* bytes that came for its rows */
	size_t wire_mark;  /* of wire, at which mem is counted anew */
	size_t mem;	   /* bytes it holds */
	int64_t opened_ms; /* when the first row came */
	struct pile *newer, *older;
	uint16_t stamps[STAMP_COLUMNS];
};

struct piles;

/* STREAM is the identity that batches carry. */
struct piles *piles_new(uint64_t stream, const struct sink *);
/* Batches go on with the number after NUMBER. For one that has given none. */
void piles_continue(struct piles *, uint64_t stream, uint64_t number);
/* What is still open is lost: call piles_flush before. */
void piles_free(struct piles *);

/*
 * The pile of a shape with N fields; -1 if shapes_get refuses them.  Where a
 * bound of shapes is reached all piles go to the sink, shapes start anew and
 * the generation rises: strangers who use up shapes cost the others no record.
 * A pile lives as long as its generation.
 */
int piles_get(struct piles *, const struct field *, size_t n, struct pile **,
	      struct err *);

/*
 * Room for up to N rows, stamped: returns how many (above 0), which are rows
 * [batch->rows, batch->rows + result).  -1: memory or the sink.
 */
int64_t pile_begin(struct piles *, struct pile *, uint32_t n,
		   const struct stamp *, struct err *);
/* N rows are filled; they took WIRE bytes. */
int pile_end(struct piles *, struct pile *, uint32_t n, size_t wire,
	     struct err *);

/* The time from here on, and out with batches that are old. */
int piles_tick(struct piles *, int64_t now_ms, struct err *);
/* Out with all. */
int piles_flush(struct piles *, struct err *);

size_t piles_shapes(const struct piles *);
/* Of the piles that piles_get gives, from 1. */
uint64_t piles_generation(const struct piles *);

#endif
