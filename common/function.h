/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scalar functions of expressions.
 */
#ifndef COMMON_FUNCTION_H
#define COMMON_FUNCTION_H

#include "common/eval.h"

struct function {
	const char *name;
	const char *usage;
	size_t min, max; /* arguments */
	/* Types the call (whose arguments are bound) and sets fn. -1: fails. */
	int (*bind)(struct binder *, struct node *, const struct expr *);
};

/* NULL if there is no such function. */
const struct function *function_find(const char *name);
/* All of them, the last with a NULL name. */
extern const struct function functions[];

/* Whether text matches a pattern in which * stands for any text. */
bool wildcard_match(struct str pattern, struct str text);

#endif
