/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of a text file as a source: what csvfile and jsonfile share.
 *
 * The file is read through once to find its fields, their types and where
 * blocks of rows begin, and then block by block as they are asked for, so that
 * no more than a few blocks are in memory.  A field has the narrowest type that
 * all its values are of: boolean, integer, real, address, MAC, time, else text.
 *
 * Files come from strangers: records, fields and depth are bounded, and a
 * record that is none is skipped and counted.
 */
#ifndef FLOWQ_SOURCE_TEXT_H
#define FLOWQ_SOURCE_TEXT_H

#include "flowq/source.h"
#include "flowq/textfile.h"

enum {
	TEXT_RECORD_MAX = 16 << 20, /* bytes */
	TEXT_FIELDS_MAX = SHAPE_FIELDS_MAX,
	TEXT_HEADER_MAX = 1 << 20,
	TEXT_BLOCK_ROWS = 4096,
	TEXT_BAD = -2,
};

/* A value as it stands in the text. */
struct cell {
	const char *p; /* NULL: null */
	uint32_t len;
	uint8_t bare;	 /* it may be of any type, not only what needs quotes */
	uint8_t escaped; /* see text_format.unescape */
	uint8_t text;	 /* it is nothing but text */
};

struct text_source;

/* Where a record goes: one cell a field. */
struct text_row {
	struct text_source *source;
	struct cell *cells; /* source's fields */
	size_t next;	    /* the field that likely comes next */
	bool odd;	    /* something was left out */
};

struct text_format {
	/* The record at P: its length with what ends it; 0 if more is needed,
	 * which it is not at EOF; TEXT_BAD if it is none; -1: err.  *row stays
	 * false for what is no row, such as an empty line. */
	int64_t (*record)(struct text_row *, const char *p, size_t len,
			  bool eof, bool *row, struct err *);
	/* The length of what is at P and is no record, as above. */
	size_t (*skip)(const char *p, size_t len, bool eof);
	/* A cell's text without escapes, into room for its length; the new
	 * length. */
	size_t (*unescape)(const struct cell *, char *);
	const char *record_name; /* "JSON object" */
};

struct text_source {
	struct source src; /* first */
	const struct text_format *format;
	struct textfile file;
	const void *options; /* the format's own */
	struct text_field *fields;
	size_t nfields, cap;
	bool closed; /* no field is added any more */
	struct text_part *parts;
	size_t nparts;
	uint64_t rows, line; /* where reading begins */
	/* what was odd */
	uint64_t skipped, odd, first_line;
};

/* The path is borrowed. NULL: err. Freed with source_free. */
struct text_source *text_source_new(const struct text_format *,
				    const char *path, struct err *);
/* Reads the file from OFFSET on; fields that are there already stay. */
int text_source_read(struct text_source *, uint64_t offset, struct err *);

/* The field called so, added if it is new; -1: err, or it is new and the file
 * is not what it was. */
int text_source_field(struct text_row *, const char *name, size_t len,
		      struct err *);
/* Adds a field whose name is made unlike all others. */
int text_source_add(struct text_source *, const char *name, size_t len,
		    struct err *);

struct plan;
/* Opens it as the plan's source, and hints at what was left out. */
int plan_text(struct plan *, struct text_source *);
/* A CSV file, read as csvfile does. NULL: said why. */
struct text_source *csv_source(struct plan *, const char *path);

#endif
