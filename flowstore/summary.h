/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a table holds, in numbers.
 */
#ifndef FLOWSTORE_SUMMARY_H
#define FLOWSTORE_SUMMARY_H

#include <stdint.h>

#include "common/table.h"
#include "flowstore/retention.h"

struct summary {
	uint64_t rows, blocks, segments;
	uint64_t bytes;	     /* of files */
	int64_t first, last; /* _time; first > last if there is none */
	struct retention retention;
};

int summary_of(struct summary *, const struct table *, const char *dir,
	       struct err *);

#endif
