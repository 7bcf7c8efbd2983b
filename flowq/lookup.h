/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a key says in a file: rows of a CSV file, or of a MaxMind database.
 *
 * A column of the file is an expression over the key.  Where the file's key
 * column holds networks, the longest that has the address is the one.
 */
#ifndef FLOWQ_LOOKUP_H
#define FLOWQ_LOOKUP_H

#include "flowq/plan.h"

/* One file that keys are looked up in; the plan's. */
struct lookup {
	/* The key as the file wants it; NULL: said why. POS is where an error
	 * is shown. */
	struct node *(*key)(struct lookup *, struct plan *, struct node *key,
			    size_t pos);
	/* The value of a column; KEY is what `key` gave. */
	struct node *(*value)(struct lookup *, struct plan *, struct node *key,
			      const char *column, size_t pos);
};

/* COLUMN is the name of the key in the file; if it has none of that name the
 * first is it, unless it was CHOSEN by the query. NULL: said why. */
struct lookup *lookup_csv(struct plan *, const char *path, const char *column,
			  bool chosen, size_t pos);
struct lookup *lookup_maxmind(struct plan *, const char *path);

#endif
