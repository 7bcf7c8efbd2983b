/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading tables: flowtable(5).
 *
 * A table is a directory of segments, each an LMDB environment of blocks; a
 * block holds up to BATCH_ROWS_MAX records of one shape, every column encoded
 * by itself.  A table opened for reading is a snapshot: what is committed
 * later is not in it, and the writer is never held up.
 *
 * Besides the fields that flowlog passed on, every block has the columns _time
 * (COL_TIME), _id (COL_U64) and, where given, _host (COL_STRING).
 *
 * Everything in a table may be hostile or damaged: each call checks what it
 * reads and says what is wrong and where.
 */
#ifndef COMMON_TABLE_H
#define COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

enum { TABLE_VERSION = 1 }; /* of the format */

/*
 * Where tables are: DIR if not NULL, else $FLOW_ROOT, else /var/lib/flow for
 * root and the user `flow`, else ~/.local/share/flow.  Writes to BUF.
 */
int table_root(const char *dir, char *buf, size_t size, struct err *);

/* The directory of a table, to BUF.  A missing table is an error that names
 * the tables there are. */
int table_dir(const char *root, const char *name, char *buf, size_t size,
	      struct err *);

/* Names of the tables below ROOT, sorted, decoded; freed by the caller with
 * table_names_free. */
int table_names(const char *root, char ***names, size_t *n, struct err *);
void table_names_free(char **names, size_t n);

struct table; /* an open snapshot */
struct table_scratch;

/*
 * Statistics of one column of a block.  min, max and sum are over the valid
 * rows, of the types below; has_minmax is false where all are null and for
 * COL_STRING, COL_BYTES.
 */
struct column_stat {
	uint32_t nulls;
	bool has_minmax;
	bool has_sum; /* integers only: U8 .. U64, I64 and no overflow */
	struct value min, max; /* of the column's type */
	union {
		uint64_t usum; /* of unsigned columns */
		int64_t isum;  /* of I64 */
	};
	uint32_t stored; /* bytes of the encoded column */
};

struct block {
	uint64_t first_id; /* smallest _id in it; ascending over a table */
	uint32_t rows;
	const struct shape *shape; /* of the struct shapes given at opening */
	const struct column_stat *stats; /* one per field of the shape */
	uint64_t bytes;			 /* stored, all columns and header */
};

/* A missing table is an error as in table_dir. */
int table_open(struct table **, const char *root, const char *name,
	       struct shapes *, struct err *);
/* Only one segment of the table in DIR.  NEWEST: it may be written meanwhile.
 * A segment that is not there is an error with the code ENOENT. */
int table_open_segment(struct table **, const char *dir, uint32_t number,
		       bool newest, struct shapes *, struct err *);
void table_close(struct table *);

/* Blocks of the snapshot in storage order (ascending first_id). Headers are
 * read at opening. */
size_t table_blocks(const struct table *);
const struct block *table_block(const struct table *, size_t i);

/* Segments of the snapshot, ascending. */
struct table_segment {
	uint32_t number;
	uint64_t bytes;	  /* of its file */
	uint64_t table;	  /* identity of the table */
	uint64_t next_id; /* of the record after it */
	int64_t created;  /* microseconds since 1970 */
	size_t block, n;  /* its first block, and how many */
	uint64_t rows;
	uint64_t counted_rows, counted_blocks; /* by its writer */
	int64_t first, last; /* least and greatest _time; first > last if
				there is none */
};
size_t table_segments(const struct table *);
const struct table_segment *table_segment(const struct table *, size_t i);

/* What the table knows of a stream. */
struct table_stream {
	uint64_t id, number; /* the highest number stored */
	int64_t time;	     /* when it was */
};
/* To be freed. */
int table_streams(const struct table *, struct table_stream **, size_t *n,
		  struct err *);

/* A process that reads the newest segment, which it holds up the reuse of
 * pages in. */
struct table_reader {
	long pid;
	uint64_t behind; /* commits made since its snapshot */
};
/* Other processes than this one; those that died are taken out of the list
 * before.  To be freed. */
int table_readers(const struct table *, struct table_reader **, size_t *n,
		  struct err *);

/* Whether some row of an address column may have an address with this hash
 * (sieve.h): false if surely none has. */
bool table_may_hold(const struct table *, size_t i, size_t col, uint64_t hash);
/* Looks over the block's filters; having none is fine. */
int table_check_filters(const struct table *, size_t i, struct err *);

/* How a column is encoded: a static text; NULL if it is damaged. */
const char *table_encoding(const struct table *, size_t i, size_t col,
			   struct table_scratch *);

/* Block I as it is stored, as long as the table is open. */
struct table_raw {
	const void *head, *body, *filters; /* filters: NULL for none */
	size_t head_len, body_len, filters_len;
};
void table_block_raw(const struct table *, size_t i, struct table_raw *);

/* What decoding works in: one per thread.  A zeroed one is ready, and is freed
 * by table_scratch_clear. */
struct table_scratch {
	uint8_t *p;
	size_t size;
};
void table_scratch_clear(struct table_scratch *);

/*
 * Decodes column COL of block I into C, an owned column (zeroed or used before
 * for the same or another column; freed with column_clear).  A column of one
 * value comes back constant.  Safe to call from several threads on one table,
 * each with its own C and scratch.  Verifies the checksum.
 */
int table_column(const struct table *, size_t i, size_t col,
		 struct table_scratch *, struct column *c, struct err *);

/* All columns of block I into TO, a batch of its shape from batch_new. */
int table_batch(const struct table *, size_t i, struct table_scratch *,
		struct batch *to, struct err *);

/*
 * A column as entries, and for each row one of them.  Most blocks keep
 * addresses and others that repeat so, and much can be said of few entries
 * rather than of many rows.  Entries may be equal to one another, and there
 * may be some that no row has.  A zeroed one is ready; freed with coded_clear.
 */
struct coded {
	uint32_t entries;
	struct column values; /* of the entries */
	uint32_t *code;	      /* one per row, below entries */
	size_t cap;	      /* rows that fit code */
};
void coded_clear(struct coded *);

/*
 * The entries of a column, if it is so stored and there is one for two rows at
 * most: 1, or 0 if it is not (or some of its rows are null).  Then, if wanted,
 * its codes.  As above otherwise.
 */
int table_entries(const struct table *, size_t i, size_t col,
		  struct table_scratch *, struct coded *, struct err *);
int table_codes(const struct table *, size_t i, size_t col,
		struct table_scratch *, struct coded *, struct err *);

#endif
