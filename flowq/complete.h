/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may stand next in a query: commands, tables, the fields that rows have
 * there, functions.
 */
#ifndef FLOWQ_COMPLETE_H
#define FLOWQ_COMPLETE_H

#include <stddef.h>

#include "flowq/session.h"

struct complete;

/* Settings are borrowed. NULL: memory is out, and nothing is completed. */
struct complete *complete_new(const struct settings *);
void complete_free(struct complete *);

/* The lines of the query before the one that is edited; borrowed. */
void complete_before(struct complete *, const char *text, size_t len);

/* An editor_words. */
char **complete_words(void *complete, const char *line, size_t start,
		      size_t end, char *append);

#endif
