/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An expression of the query language over views.
 *
 * It is parsed once and bound anew for each set of types that the fields it
 * names have; the last few bindings are kept.  It runs over vectors, a window
 * of rows at a time, and reads only the columns that it names.
 *
 * Where the types of a batch do not fit the expression (the address is text in
 * some stranger's rows) its value is null, and that is said, rate-limited.
 */
#ifndef FLOWLOG_PROGRAM_H
#define FLOWLOG_PROGRAM_H

#include "common/err.h"
#include "common/eval.h"
#include "flowlog/view.h"

enum program_kind { PROGRAM_VALUE, PROGRAM_CONDITION };

enum { PROGRAM_WINDOW = 2048 };

struct program;

/*
 * LABEL (static) is what messages call it: "--where".  A condition may also
 * be a flow filter ("src net 10.0.0.0/8 and port 443").  KNOWN: fields are as
 * they come from flowdecode, so what can not fit their types is refused now.
 * NULL: err says why, with the place in the text.
 */
struct program *program_new(const char *label, const char *text,
			    enum program_kind, bool known, struct err *);
void program_free(struct program *);

/* Says, once a stream has ended, which fields no record had. */
void program_finish(const struct program *);

/* Binds for a view, until the view changes. *type is the value's type,
 * TYPE_NULL if it is null throughout. -1: memory is out. */
int program_bind(struct program *, const struct view *, enum expr_type *type,
		 struct err *);

/* A condition that is an `and` has as many parts as that joins, all of which
 * must be true; anything else is one. Of what is bound. */
size_t program_parts(const struct program *);

/* Values of a part for rows [at, at + n) of what the view has left, n at most
 * PROGRAM_WINDOW. Valid until the next call. */
int program_run(struct program *, size_t part, uint32_t at, uint32_t n,
		struct vec *, struct err *);

#endif
