/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A column that an expression makes.
 */
#ifndef FLOWLOG_MADE_H
#define FLOWLOG_MADE_H

#include "flowlog/program.h"

struct made;

/* See program_new. */
struct made *made_new(const char *label, const char *text, bool known,
		      struct err *);
void made_free(struct made *);

/* Whether NAME is a field that follows from others (common/field.h). */
bool made_is_virtual(const char *name);

/*
 * The column for a view, with as many rows as its batch, of which those count
 * that the view has left.  NULL and COL_NULL if it is null throughout.  Valid
 * until the next call; the view becomes transient.  -1: memory is out.
 */
int made_run(struct made *, struct view *, enum col_type *,
	     const struct column **, struct err *);

void made_finish(const struct made *);

#endif
