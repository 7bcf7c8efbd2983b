/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Those who send to the ports: what came of each, by port and address.
 *
 * Anyone can send from any address, so their number is bounded.  Each may lie
 * in one of a few places; where all of them are taken, one that has been idle
 * for long goes, else the one that has sent least, so that a flood of invented
 * addresses pushes out its own.  One with datagrams on their way stays.
 */
#ifndef FLOWRECV_EXPORTER_H
#define FLOWRECV_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"
#include "common/err.h"
#include "flowrecv/tally.h"

enum { EXPORTERS_MAX = 4096 };

struct binding;

struct exporter {
	struct tally tally;
	struct binding *binding; /* NULL: nobody is here */
	uint8_t addr[16];	 /* IPv4 as ::ffff:a.b.c.d */
	int64_t seen_us;	 /* when the last datagram came */
	bool allowed;		 /* the caller's */
	bool fresh;		 /* new; the caller's to unset */
};

struct exporters {
	struct exporter *all; /* EXPORTERS_MAX */
	uint64_t *hashes;     /* of each, 0: nobody is here */
	struct exporter *last;
	uint64_t seed; /* so that nobody can make hashes collide */
	size_t n;
	uint64_t evicted;
};

int exporters_init(struct exporters *, struct err *);
void exporters_clear(struct exporters *);

/* Who sent D to B: found or new, its tally a part of B's.  It stays until the
 * next call, and as long as its datagrams are queued.  NULL: no place. */
struct exporter *exporters_get(struct exporters *, struct binding *b,
			       const struct datagram *d);

/* B, of whose datagrams none is queued, will be gone. */
void exporters_forget(struct exporters *, const struct binding *b);

#endif
