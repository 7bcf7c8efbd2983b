/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a table lies and what things in it are called: flowtable(5).
 *
 *	ROOT/NAME/00000001.flow		an LMDB environment: a segment
 *	ROOT/NAME/00000001.flow-lock	its readers
 *	ROOT/NAME/.lock			held by the writer, with its process id
 *
 * Only the segment with the highest number is written.
 */
#ifndef COMMON_PLACE_H
#define COMMON_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum {
	TABLE_NAME_MAX = 80,			 /* bytes, before encoding */
	PLACE_NAME_MAX = 3 * TABLE_NAME_MAX + 1, /* encoded, with the NUL */
	SEGMENT_NAME_MAX = 16,
	SEGMENT_NUMBER_MAX = 99999999,
};

/* The databases of a segment, and the keys of PLACE_META. */
#define PLACE_META "meta"
#define PLACE_HEADS "heads"
#define PLACE_DATA "data"
#define PLACE_FILTERS "filters"
#define META_VERSION "version" /* u32 */
#define META_TABLE "table"     /* u64: identity of the table */
#define META_NEXT_ID "next_id" /* u64 */
#define META_ROWS "rows"       /* u64: in this segment */
#define META_BLOCKS "blocks"   /* u64 */
#define META_CREATED "created" /* i64: microseconds since 1970 */
#define META_STREAM 's'	       /* then the u64 of the stream */

/* What META_STREAM keeps. */
struct place_stream {
	uint64_t number; /* highest that is stored */
	int64_t time;	 /* when, microseconds since 1970 */
};

/*
 * Encodes a table's name as a directory's: letters, digits and _-.,+=@ stand
 * for themselves (but no '.' first), any other byte is %XX.  -1 if the name is
 * empty, too long or holds a NUL or control byte.
 */
int place_encode(const char *name, char buf[PLACE_NAME_MAX], struct err *);
/* Back. -1 if no name is encoded so. */
int place_decode(const char *dir, char buf[TABLE_NAME_MAX + 1]);

/* ROOT/encoded NAME. */
int place_table(const char *root, const char *name, char *buf, size_t size,
		struct err *);

/* DIR/00000001.flow and TAIL, to BUF. */
int place_segment_file(const char *dir, uint32_t number, const char *tail,
		       char *buf, size_t size, struct err *);

/* "00000001.flow" */
void place_segment(uint32_t number, char buf[SEGMENT_NAME_MAX]);
/* 0 if that is no segment's name. */
uint32_t place_segment_number(const char *file);

/* The numbers of the segments in a table's directory, ascending; to be freed.
 * -1: the directory cannot be read. */
int place_segments(const char *dir, uint32_t **numbers, size_t *n,
		   struct err *);

#endif
