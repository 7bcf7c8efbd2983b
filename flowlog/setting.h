/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a logger is asked to do with records, step by step, as it was written:
 * on the command line, or in a definition.
 */
#ifndef FLOWLOG_SETTING_H
#define FLOWLOG_SETTING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "flowlog/filter.h"

enum setting_kind {
	SETTING_SOURCE_ID,
	SETTING_EXPORTER,
	SETTING_FIELDS,
	SETTING_WHERE,
	SETTING_TAG,
	SETTING_RENAME,
	SETTING_EVAL,
	SETTING_MATCH,
	SETTING_MATCH_NOT,
	SETTINGS
};

/* "source-id" ...: the option's name without its dashes. */
const char *setting_name(enum setting_kind);
/* -1 if there is none of that name. */
int setting_find(const char *name);

enum { STEPS_MAX = 256, STEP_TEXT_MAX = 64 << 10 };

struct setting {
	enum setting_kind kind;
	char *text;
};

struct settings {
	size_t n;
	struct setting *list;
};

void settings_clear(struct settings *);
/* TEXT is copied. -1: too many, too long, or memory is out. */
int settings_add(struct settings *, enum setting_kind, const char *text,
		 struct err *);
/* --invert: the match before it drops what matches. -1: there is none. */
int settings_invert(struct settings *, struct err *);

/*
 * The filters, in order.  KEEP_TIME as in struct filter_options.  -1: the error
 * begins with the setting's name, and *BAD is its place.
 */
int settings_filters(const struct settings *, bool keep_time,
		     struct filter **list, size_t *bad, struct err *);

#endif
