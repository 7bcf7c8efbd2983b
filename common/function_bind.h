/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of functions share: function.c has the table, function_text.c
 * and function_time.c the functions of their kind.
 */
#ifndef COMMON_FUNCTION_BIND_H
#define COMMON_FUNCTION_BIND_H

#include "common/eval.h"

/* "NAME wants WHAT here, not ...", at argument I. Always -1. */
int function_want(struct binder *, const struct node *, const struct expr *,
		  size_t i, const char *what);
/* Makes argument I a T. */
int function_cast(struct binder *, struct node *, size_t i, enum expr_type t);
/* Argument I must be a string in quotes; or -1, with WHAT it is. */
int function_literal(struct binder *, const struct node *, const struct expr *,
		     size_t i, const char *what, struct str *);
/* Argument I must be a whole number; it becomes a signed one. */
int function_whole(struct binder *, struct node *, const struct expr *,
		   size_t i);

/* See struct function. */
typedef int bind_fn(struct binder *, struct node *, const struct expr *);

bind_fn function_bits, function_flags_name, function_match,
    function_number_name, function_replace, function_split;
bind_fn function_date, function_dateadd, function_datediff, function_datepart,
    function_datetrunc, function_str_time;

#endif
