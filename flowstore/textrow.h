/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A record out of text (CSV, JSON) as a msgpack map, the row of flowrecord(5):
 * from there on it is as if another program had made it.
 */
#ifndef FLOWSTORE_TEXTROW_H
#define FLOWSTORE_TEXTROW_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/batch.h"

enum textrow_kind { TEXTROW_ANY, TEXTROW_TEXT, TEXTROW_BYTES };

struct textrow {
	msgpack_sbuffer buf;
	msgpack_packer pk;
	uint32_t fields;
	char *scratch; /* for what has escapes */
	size_t cap;
	/* what names say of values, by the place of the field in the row */
	struct textrow_known {
		char name[FIELD_NAME_MAX];
		enum textrow_kind kind;
	} known[SHAPE_FIELDS_MAX];
};

void textrow_init(struct textrow *);
void textrow_clear(struct textrow *);

void textrow_begin(struct textrow *);
/* The map; until the next begin. NULL when memory was out. */
const char *textrow_end(struct textrow *, size_t *len);

/*
 * A field, by what its text can be: a boolean, an integer, a float, else text;
 * QUOTED is text.  Bytes are hex where the field's name says that it has bytes.
 */
void textrow_add(struct textrow *, const char *name, const char *value,
		 size_t len, bool quoted);
/* What is known to be of a type. */
void textrow_text(struct textrow *, const char *name, const char *value,
		  size_t len);
void textrow_number(struct textrow *, const char *name, uint64_t);
void textrow_bytes(struct textrow *, const char *name, const void *, size_t);

/* Room for so many bytes, until the next call; NULL when memory is out. */
char *textrow_scratch(struct textrow *, size_t len);

#endif
