/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch: n flow records of one shape, as typed columns.
 *
 * A shape is a set of (name, type), kept sorted by name (bytewise); its id is
 * a hash of that sorted list, so two programs agree on it.  Shapes are
 * interned: within one struct shapes, equal shapes are one pointer.  The
 * number of shapes is bounded, because templates come from strangers.
 *
 * A batch has one column per field of its shape, in the shape's order.
 *
 * A column holds rows packed values of its type, little-endian in host memory
 * (the code runs on little-endian machines only), or, if `constant`, a single
 * value that stands for all rows.  A validity bitmap (bit i of byte i/8 from
 * the least significant) says which rows are not null; NULL means all are
 * valid.  A constant column's bitmap has one bit.  The value under a null is
 * zero (an empty string).
 *
 * Owned and borrowed.  A column whose cap is 0 borrows its memory: data may be
 * unaligned (read it with memcpy), must not be written, and ends with what it
 * was borrowed from (record_read says when).  Else the column owns malloc'ed,
 * aligned memory with room for cap rows.
 *
 * This file knows nothing of msgpack, LMDB or NetFlow.
 */
#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Numbers are part of flowtable(5): never renumber. */
enum col_type {
	COL_NULL = 0, /* no type: only in struct value */
	COL_BOOL = 1, /* uint8_t, 0 or 1 */
	COL_U8 = 2,
	COL_U16 = 3,
	COL_U32 = 4,
	COL_U64 = 5,
	COL_I64 = 6,
	COL_F64 = 7,
	COL_TIME = 8,	 /* int64_t, microseconds since 1970 UTC */
	COL_IPV4 = 9,	 /* uint32_t, host order: 10.0.0.1 is 0x0a000001 */
	COL_IP = 10,	 /* 16 bytes, network order; ::ffff:a.b.c.d is the IPv4
			    address a.b.c.d and is shown and compared as such */
	COL_MAC = 11,	 /* uint64_t: 00:11:22:33:44:55 is 0x001122334455 */
	COL_STRING = 12, /* uint32_t offsets[rows+1], then the bytes: UTF-8 */
	COL_BYTES = 13,	 /* the same, any bytes */
	COL_TYPES
};

enum {
	BATCH_ROWS_MAX = 65536,
	SHAPE_FIELDS_MAX = 1024,
	FIELD_NAME_MAX = 64, /* with the final NUL */
	SHAPES_MAX = 4096,   /* default bound of a struct shapes */
	SHAPES_SPARE = 16,   /* see shapes_crowded */
	SHAPES_BYTES = 32 << 20,
};

/* Bytes of one value; 0 for COL_STRING and COL_BYTES. */
size_t col_type_width(enum col_type);
/* "u8", "time", "ipv4", "string" ... as in flowrecord(5). */
const char *col_type_name(enum col_type);
/* COL_NULL if there is no such name. */
enum col_type col_type_find(const char *name, size_t len);

struct field {
	const char *name;
	enum col_type type;
};

struct shape {
	uint64_t id;
	size_t n;
	struct field fields[];
};

struct shapes;

struct shapes *shapes_new(size_t max);
void shapes_free(struct shapes *);

/*
 * The interned shape of n fields in any order; names are copied.  Lives as
 * long as the struct shapes.  -1 if a name comes twice, is empty, too long or
 * holds a control byte, n is above SHAPE_FIELDS_MAX, or the bound is reached.
 */
int shapes_get(struct shapes *, const struct field *, size_t n,
	       const struct shape **, struct err *);

/* How many shapes there are, and the memory that they take. */
size_t shapes_count(const struct shapes *);
size_t shapes_bytes(const struct shapes *);
/* Whether who reads a stream had better begin with new ones: there is room for
 * fewer than SHAPES_SPARE, or they take more than SHAPES_BYTES. */
bool shapes_crowded(const struct shapes *);

/* Index of the field NAME in the shape, or -1. Logarithmic. */
int shape_find(const struct shape *, const char *name);

struct column {
	bool constant;
	void *data;	/* values, or offsets for strings and bytes */
	uint8_t *valid; /* bitmap or NULL */
	char *bytes;	/* what offsets point into */
	size_t bytes_len;
	/* zero when borrowed */
	size_t cap; /* rows that fit data and valid */
	size_t bytes_cap;
};

struct batch {
	const struct shape *shape;
	uint64_t stream; /* identity of the stream it was made in */
	uint64_t number; /* its number in that stream, from 1 */
	uint32_t rows;
	struct column *cols; /* shape->n of them */
};

/* An empty batch of a shape that owns its columns; memory for rows is taken as
 * they come. NULL when memory is out. */
struct batch *batch_new(const struct shape *);
void batch_free(struct batch *);
/* Rows to 0; the memory and the shape stay. */
void batch_clear(struct batch *);

/* Room for at least ROWS rows in every column that is not constant. */
int batch_reserve(struct batch *, uint32_t rows, struct err *);

/*
 * Appends rows [from, from+n) of SRC, which has the same shape and may borrow.
 * A column that is constant in both with the same value stays constant.  -1 if
 * memory is out or BATCH_ROWS_MAX would be passed; DST is then as before.
 */
int batch_append(struct batch *dst, const struct batch *src, uint32_t from,
		 uint32_t n, struct err *);

/* Bytes of memory that the columns hold. */
size_t batch_bytes(const struct batch *);

/*
 * For those who fill an owned column row by row or set by set.
 *
 * column_set_constant: all rows [0, rows) have this value (of col_type_width
 * bytes); only while rows is 0 or the value is the one it has already.
 * column_expand: makes a constant column an ordinary one of ROWS equal rows
 * (room for cap rows is taken).
 * column_null: marks row as null (takes a bitmap of cap bits at need).
 * column_put_bytes: sets row (which must be the next one) of a string or bytes
 * column; the total is bounded by 2^31 bytes, past which it returns -1.
 * column_reserve_bytes: room for so many more bytes of such a column.
 */
int column_set_constant(struct column *, enum col_type, const void *value,
			struct err *);
int column_expand(struct column *, enum col_type, uint32_t rows, uint32_t cap,
		  struct err *);
int column_null(struct column *, enum col_type, uint32_t row, struct err *);
int column_put_bytes(struct column *, uint32_t row, const void *, size_t len,
		     struct err *);
int column_reserve_bytes(struct column *, size_t more, struct err *);

static inline bool
column_is_null(const struct column *c, uint32_t row)
{
	if (c->constant)
		row = 0;
	return c->valid && !(c->valid[row >> 3] >> (row & 7) & 1);
}

/* Frees what an owned column holds and zeroes it; NULL and zeroed are fine. */
void column_clear(struct column *);

/* One value, for edges where speed does not matter. */
struct value {
	enum col_type type; /* COL_NULL if null */
	union {
		uint64_t u; /* BOOL, U8..U64, IPV4, MAC */
		int64_t i;  /* I64, TIME */
		double f;
		uint8_t ip[16];
		struct {
			const char *s; /* borrowed, no NUL at the end */
			size_t len;
		};
	};
};

/* The value of a row; strings are borrowed from the column. */
void column_value(const struct column *, enum col_type, uint32_t row,
		  struct value *);

/* Sets row (the next one: row == rows so far) of an owned column that is not
 * constant; the value's type must be the column's or null. */
int column_put(struct column *, enum col_type, uint32_t row,
	       const struct value *, struct err *);

#endif
