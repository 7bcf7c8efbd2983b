/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps that a batch goes through, in a list.  A filter narrows the view:
 * it selects rows, or drops or adds columns.
 *
 * Adding one: a constructor here, a file of its own, an option in flowlog.c.
 */
#ifndef FLOWLOG_FILTER_H
#define FLOWLOG_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowlog/view.h"

struct filter {
	struct filter *next;
	int (*apply)(struct filter *, struct view *, struct err *);
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

/* Records whose source_id is one of the N numbers (copied). */
struct filter *source_filter_new(const uint64_t *ids, size_t n);

/*
 * Keeps the fields of LIST, comma separated, in that order; or, if each has a
 * '-' before it, drops them and keeps the others.  KEEP_TIME keeps _time too
 * where it is not named, without which flowstore would put the time of reading
 * in its place.  NULL with a reason if LIST is not such a list.
 */
struct filter *fields_filter_new(const char *list, bool keep_time,
				 struct err *);

/* The names of a list that keeps, for a header; *n is 0 if it drops. */
const char *const *fields_filter_names(const struct filter *, size_t *n);

#endif
