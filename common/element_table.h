/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What element.py generates, for element.c alone.  Elements are sorted by
 * (enterprise, id), aliases by strcmp; aliases are in lower case and hold the
 * canonical names too.
 */
#ifndef COMMON_ELEMENT_TABLE_H
#define COMMON_ELEMENT_TABLE_H

#include "common/element.h"

struct element_alias {
	const char *alias, *name;
	enum element_type type; /* of the first element of that name */
};

extern const struct element element_ipfix[];
extern const size_t element_ipfix_n;
/* Only field types that IPFIX does not have or means something else by. */
extern const struct element element_v9[];
extern const size_t element_v9_n;
extern const struct element_alias element_aliases[];
extern const size_t element_aliases_n;

#endif
