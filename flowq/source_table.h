/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables as a source: the blocks of one or several tables that may hold rows
 * of a time range, newest first.
 *
 * Fields are those of all shapes in these tables, and _time, _table, _id,
 * _host.
 */
#ifndef FLOWQ_SOURCE_TABLE_H
#define FLOWQ_SOURCE_TABLE_H

#include "flowq/source.h"

struct table_name {
	const char *name; /* may have * in it */
	bool optional;	  /* may be absent */
	size_t pos;	  /* in the query */
};

struct table_spec {
	size_t n;
	struct table_name *names;
	int64_t from, to; /* microseconds; [from, to) */
	bool ascending;
};

int table_source_new(const char *root, const struct table_spec *,
		     struct source **, struct err *);

/* What there is in all, before the time range: for explain. */
size_t table_source_blocks(const struct source *);
/* Whether a source is one of tables. */
bool source_is_table(const struct source *);

#endif
