/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/verb.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct verb *const sources[] = {
    &verb_table, &verb_csvfile, &verb_jsonfile, &verb_system, NULL,
};

static const struct verb *const verbs[] = {
    &verb_dedup,  &verb_eval,	   &verb_fields,
    &verb_import, &verb_join,	   &verb_limit,
    &verb_lookup, &verb_outputcsv, &verb_outputjson,
    &verb_rename, &verb_search,	   &verb_sort,
    &verb_stats,  &verb_timechart, &verb_top,
    &verb_union,  &verb_where,	   NULL,
};

const struct verb *
verb_find(bool first, const char *name, size_t len)
{
	for (const struct verb *const *v = first ? sources : verbs; *v; v++)
		if (strlen((*v)->name) == len &&
		    !strncasecmp((*v)->name, name, len))
			return *v;
	return NULL;
}

const char *
verb_name(bool first, size_t i)
{
	const struct verb *v = (first ? sources : verbs)[i];

	return v ? v->name : NULL;
}

void
verb_names(bool first, char *buf, size_t size)
{
	const char *name;
	size_t len = 0;

	*buf = 0;
	for (size_t i = 0; (name = verb_name(first, i)) && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					i ? ", " : "", name);
}
