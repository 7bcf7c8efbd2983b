/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps that a batch goes through, in a list.  A step narrows the view or
 * adds to it: it selects rows, or drops, names or makes columns.
 *
 * Adding one: a constructor here, a file of its own, a line in setting.c.
 */
#ifndef FLOWLOG_FILTER_H
#define FLOWLOG_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowlog/view.h"

enum { TAG_MAX = 65535 }; /* bytes of a tag's text */

/* The fields that records have after a step, for the header of a table of
 * text: n is 0 while they are whatever comes. */
struct names {
	size_t n;
	const char *names[SHAPE_FIELDS_MAX];
};

struct filter {
	struct filter *next;
	uint64_t removed; /* rows, counted by filters_apply */
	bool drops;	  /* they count as dropped, not as filtered */
	int (*apply)(struct filter *, struct view *, struct err *);
	/* What becomes of the names; they live as long as the filter. May be
	 * NULL. */
	void (*names)(const struct filter *, struct names *);
	/* At the end of the stream, to say what was never seen. May be NULL. */
	void (*finish)(const struct filter *);
	void (*free)(struct filter *);
};

/* Applies each in turn, to the last: also with no row left there are fields to
 * be seen. */
int filters_apply(struct filter *list, struct view *, struct err *);
void filters_finish(const struct filter *list);
void filters_free(struct filter *list);
void filters_add(struct filter **list, struct filter *);
void filters_names(const struct filter *list, struct names *);
/* Rows that were removed, as filtered or as dropped. */
uint64_t filters_removed(const struct filter *list, bool dropped);

/* Adds NAME, or does nothing if it is there or the names are not known. */
void names_add(struct names *, const char *name);
/* Takes it out. */
void names_drop(struct names *, const char *name);

/*
 * Constructors take a setting's text and give NULL, with the reason, if it is
 * not what the setting wants.
 */

struct filter_options {
	bool keep_time; /* --fields keeps _time where it is not named: without
			   it flowstore would put the time of reading there */
	bool changed;	/* fields may be other than flowdecode's */
	bool invert;	/* of --match */
};

/* 71,106: records of these source ids; of none, all. */
struct filter *source_filter_new(const char *text,
				 const struct filter_options *, struct err *);
/* 10.0.0.0/8,2001:db8::1: records of these exporters. */
struct filter *exporter_filter_new(const char *text,
				   const struct filter_options *, struct err *);
/* a,b*: these fields, in this order; -a,-b*: all but these. */
struct filter *fields_filter_new(const char *text,
				 const struct filter_options *, struct err *);
/* An expression, or a flow filter. */
struct filter *where_filter_new(const char *text, const struct filter_options *,
				struct err *);
/* name=regular expression: others are dropped. */
struct filter *match_filter_new(const char *text, const struct filter_options *,
				struct err *);
/* name = expression */
struct filter *eval_filter_new(const char *text, const struct filter_options *,
			       struct err *);
/* name=text */
struct filter *tag_filter_new(const char *text, const struct filter_options *,
			      struct err *);
/* old=new */
struct filter *rename_filter_new(const char *text,
				 const struct filter_options *, struct err *);

/* Splits "name = value": the name, canonical if ALIAS, into NAME, and where
 * the value begins. -1: that is no name. */
int filter_name(const char *text, bool alias, char name[FIELD_NAME_MAX],
		const char **value, struct err *);

#endif
