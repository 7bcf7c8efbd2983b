/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A damaged segment made anew from what is whole in it.
 */
#ifndef FLOWSTORE_REPAIR_H
#define FLOWSTORE_REPAIR_H

#include <stdint.h>

#include "flowstore/salvage.h"

struct repair {
	/* which */
	const char *dir;
	uint32_t number;
	bool newest;	  /* no segment comes after it */
	uint64_t ceiling; /* records from here on are in a later segment */
	/* what came of it */
	uint64_t kept, lost; /* records */
	uint64_t partly;     /* records kept without some of their fields */
	bool uncertain;	     /* more may be lost: it is not known how many */
};

/*
 * Puts what was salvaged of a segment in its place.  LOCK_UPKEEP is held, and
 * LOCK_WRITER for the newest, after which one is made.  The old file stays as
 * NNNNNNNN.flow-damaged.
 */
int repair_segment(struct repair *, struct salvage *, struct err *);

#endif
