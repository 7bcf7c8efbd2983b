/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/element.h"

#include <stdlib.h>
#include <string.h>

#include "common/element_table.h"

enum { ALIAS_MAX = 64 };

static int
by_number(const void *a, const void *b)
{
	const struct element *e = a, *f = b;

	if (e->enterprise != f->enterprise)
		return e->enterprise < f->enterprise ? -1 : 1;
	return (int)e->id - (int)f->id;
}

const struct element *
element_find(bool v9, uint32_t enterprise, uint16_t id)
{
	struct element key = {.enterprise = enterprise, .id = id};
	const struct element *e = NULL;

	if (v9)
		e = bsearch(&key, element_v9, element_v9_n, sizeof(key),
			    by_number);
	if (!e)
		e = bsearch(&key, element_ipfix, element_ipfix_n, sizeof(key),
			    by_number);
	return e;
}

static int
by_alias(const void *a, const void *b)
{
	const struct element_alias *x = a, *y = b;

	return strcmp(x->alias, y->alias);
}

static const struct element_alias *
find_alias(const char *name)
{
	char lower[ALIAS_MAX];
	struct element_alias key = {.alias = lower};
	size_t i;

	for (i = 0; name[i]; i++) {
		if (i == sizeof(lower) - 1)
			return NULL;
		lower[i] = name[i] >= 'A' && name[i] <= 'Z'
			       ? (char)(name[i] - 'A' + 'a')
			       : name[i];
	}
	lower[i] = '\0';
	return bsearch(&key, element_aliases, element_aliases_n, sizeof(key),
		       by_alias);
}

const char *
element_canonical(const char *name)
{
	const struct element_alias *found = find_alias(name);

	return found ? found->name : name;
}

int
element_type_of(const char *name)
{
	const struct element_alias *found = find_alias(name);

	return found ? (int)found->type : -1;
}
