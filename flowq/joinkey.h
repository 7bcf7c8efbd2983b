/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows found by key: those in the brackets of a join, or of a lookup's file.
 *
 * A key is bytes that are equal if its values are, each as the type that both
 * sides agree on; one that has a null is equal to nothing.
 */
#ifndef FLOWQ_JOINKEY_H
#define FLOWQ_JOINKEY_H

#include "common/eval.h"
#include "flowq/room.h"

struct joinkey {
	size_t n;
	const enum expr_type *types; /* of the parts; borrowed */
	uint32_t rows;
	/* The bytes of row i are bytes[at[i], at[i + 1]); none: a null. */
	uint64_t *at;
	char *bytes;
	size_t len, cap;
	char *key; /* of the row that is added */
	size_t key_cap;
	/* Chains of rows with one hash, the first row first; UINT32_MAX. */
	uint32_t *head, *next;
	size_t mask;
	struct room *room; /* where its memory is from; NULL, or borrowed */
};

void joinkey_init(struct joinkey *, size_t n, const enum expr_type *types);
void joinkey_clear(struct joinkey *);

/* Adds rows: COUNT values of n vectors, which have the key's types. */
int joinkey_add(struct joinkey *, const struct vec *, uint32_t count,
		struct err *);
/* After the last. */
int joinkey_finish(struct joinkey *, struct err *);

/* The key of value I of the vectors, in *BUF, which grows. Its length, 0 if it
 * has a null; SIZE_MAX when memory is out. */
size_t joinkey_bytes(const struct joinkey *, const struct vec *, uint32_t i,
		     char **buf, size_t *cap);
/* The first row with that key, and the next after ROW; UINT32_MAX: none. */
uint32_t joinkey_first(const struct joinkey *, const char *key, size_t len);
uint32_t joinkey_next(const struct joinkey *, uint32_t row, const char *key,
		      size_t len);
/* What it takes. */
size_t joinkey_memory(const struct joinkey *);

#endif
