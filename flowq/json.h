/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON objects, one after another (mostly one a line), or in one array.  The
 * members of an object inside are fields with a dot in their name (a.b), and
 * an array is its text.
 */
#ifndef FLOWQ_JSON_H
#define FLOWQ_JSON_H

#include "flowq/source_text.h"

extern const struct text_format json_format;

/* The value of a member of the object at P, as it stands there; -1: there is
 * none, or it is null. */
int json_member(const char *p, size_t len, const char *name, const char **value,
		size_t *value_len);

#endif
