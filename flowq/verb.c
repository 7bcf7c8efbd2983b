/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/verb.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct verb *const verbs[] = {
    &verb_eval,	  &verb_fields, &verb_limit, &verb_rename,
    &verb_search, &verb_sort,	&verb_stats, &verb_where,
};

const struct verb *
verb_find(const char *name, unsigned long len)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strlen(verbs[i]->name) == len &&
		    !strncasecmp(verbs[i]->name, name, len))
			return verbs[i];
	return NULL;
}

const char *
verb_names(void)
{
	return "eval, fields, limit, rename, search, sort, stats, where";
}
