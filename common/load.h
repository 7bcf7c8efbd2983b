/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From columns to vectors: the rows of a batch that an expression looks at,
 * each value at the width that common/eval.h gives its type.
 */
#ifndef COMMON_LOAD_H
#define COMMON_LOAD_H

#include "common/eval.h"

/*
 * E->n rows of a column of type T: rows SEL[0], SEL[1] ..., or, if SEL is
 * NULL, from row AT on.  The column may borrow unaligned memory.  The vector
 * lives in E's arena or is the column's own memory; its type is
 * expr_type_of(T).
 */
int vec_load(struct eval *e, const struct column *, enum col_type t,
	     const uint32_t *sel, uint32_t at, struct vec *out);

/* All rows are null. */
void vec_load_null(enum expr_type, struct vec *out);

#endif
