/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON objects, one after another (mostly one a line), or in one array.  The
 * members of an object inside are members with a dot in their name (a.b), and
 * an array is its text.  Names are cut to what a field's may have, and fit for
 * a terminal.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_BAD = -2 };

/* A value as it stands in the text. */
struct json_value {
	const char *p; /* NULL: null */
	uint32_t len;
	bool bare;    /* a number, true or false: without quotes */
	bool escaped; /* see json_unescape */
	bool text;    /* an array */
};

struct json_visit {
	void *ctx;
	/* A member; name and value are borrowed until the return. */
	int (*member)(void *ctx, const char *name, size_t len,
		      const struct json_value *);
};

/*
 * What is at P: an object, whose members are given away (*is_object is set), or
 * what is around objects.  Its length; 0 if more is needed, which it is not at
 * EOF; JSON_BAD if it is neither; -1 if member() returned that.
 */
int64_t json_read(const char *p, size_t len, bool eof,
		  const struct json_visit *, bool *is_object);
/* The length of what is at P and is no object, to the end of its line. */
size_t json_skip(const char *p, size_t len, bool eof);

/* A string without escapes, into room for its length; the new length. */
size_t json_unescape(const char *p, size_t len, char *out);

/* The value of a member of the object at P, as it stands there; -1: there is
 * none, or it is null. */
int json_member(const char *p, size_t len, const char *name, const char **value,
		size_t *value_len);

#endif
