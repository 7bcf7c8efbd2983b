/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink behind outputcsv, outputjson and import: rows go somewhere else in
 * the order that they would be shown in, and one row says where and how many.
 */
#ifndef FLOWQ_WRITE_H
#define FLOWQ_WRITE_H

#include "flowq/plan.h"

struct target {
	const char *kind; /* "file": the name of the column with the name */
	const char *name;
	struct writer writer; /* its ctx is this target */
	int (*begin)(struct target *, struct err *);
	/* All was written. */
	int (*end)(struct target *, struct err *);
	/* What was begun and not ended is taken back. Frees it. */
	void (*free)(struct target *);
};

/* Ends the stage: COLUMNS of it go to the target, which is the plan's from now
 * on. */
int plan_write(struct plan *, struct target *, const struct columns *);

/* The columns called so, or all if there are none. NULL: said why. */
struct name_list {
	size_t n;
	struct listed_name {
		const char *name;
		size_t pos;
	} * names;
};
const struct columns *plan_listed(struct plan *, const struct name_list *);
/* [NAME ("," NAME)*] */
int parse_list(struct lexer *, struct name_list *);

#endif
