/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of a record stream through the steps of a logger to its sink.
 */
#ifndef FLOWLOG_PASS_H
#define FLOWLOG_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/record.h"
#include "flowlog/setting.h"
#include "flowlog/sink.h"
#include "flowlog/view.h"

struct pass {
	/* Asked of what the steps have left of each batch whether it goes to
	 * the sink; NULL: it does. */
	bool (*wanted)(void *ctx, const struct view *);
	void *ctx;
	/* its own */
	struct shapes *shapes;
	struct record_reader *reader;
	struct filter *filters;
	struct view *view;
	struct sink *sink; /* NULL: nothing goes anywhere */
	uint64_t batches, records, passed;
	uint64_t unwritten; /* of those, since the last flush that worked */
	bool failed;	    /* no more will be written */
};

/* SINK becomes the pass's own, also when this fails; it may be NULL. -1: *BAD
 * is the place of a setting that is wrong, or settings->n. */
int pass_init(struct pass *, const struct settings *, struct sink *,
	      size_t *bad, struct err *);
void pass_clear(struct pass *);

/* See stage.object, drained and tick. */
int pass_object(struct pass *, const char *obj, size_t len, struct err *);
int pass_drained(struct pass *, struct err *);
int pass_tick(struct pass *, struct err *);
/* Rows that gathered and what the sink has to say at its end. */
int pass_finish(struct pass *, struct err *);

uint64_t pass_filtered(const struct pass *);
uint64_t pass_dropped(const struct pass *);

#endif
