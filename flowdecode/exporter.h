/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of those who send: one struct exporter per address, version
 * and source id.  The port is no part of it (RFC 7011, 8: it may change),
 * unless asked for: behind a NAT it tells exporters apart.
 *
 * Anyone can send from any address, so their number is bounded and the idle
 * are evicted.  New ones are on trial: an exporter that has sent for a while
 * is not evicted as long as one on trial is left, so a flood of invented
 * addresses pushes out its own.
 */
#ifndef FLOWDECODE_EXPORTER_H
#define FLOWDECODE_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowdecode/bounds.h"
#include "flowdecode/labels.h"
#include "flowdecode/ledger.h"
#include "flowdecode/plan.h"
#include "flowdecode/sampling.h"
#include "flowdecode/template.h"
#include "flowdecode/waiting.h"

struct exporter_key {
	uint8_t addr[16]; /* v4 as mapped */
	uint32_t source_id;
	uint16_t version; /* 0: no NetFlow */
	uint16_t port;	  /* 0: any */
};

enum { SEQUENCE_GAPS = 8 };

/*
 * Where the next sequence number is expected, and the last gaps before it, so
 * that one that comes late is told from one that comes twice.
 */
struct sequence {
	uint32_t next, late;
	bool known;
	uint8_t late_n; /* in a row, of which each follows the other */
	uint8_t gap;	/* the oldest, next to be forgotten */
	struct gap {
		uint32_t from, n;
	} gaps[SEQUENCE_GAPS];
};

struct exporter {
	struct exporter_key key;
	uint64_t hash;
	struct exporter *newer, *older;
	bool settled;
	bool changed; /* these and init_ms, since a state was saved */
	struct templates templates;
	struct sampling sampling;
	struct labels labels;
	size_t bytes;	  /* of the three, as counted for all */
	int64_t init_ms;  /* when its uptime began, since 1970; 0: not known */
	int64_t seen_us;  /* when its last datagram came, since 1970 */
	int64_t ahead_us; /* how far its clock was ahead of ours then */
	bool kept;	  /* its ledger is in a state */
	uint64_t kept_print;
	struct sequence sequence;
	struct ledger ledger;
	struct waiter waiter;
};

struct exporters;

/* Both are borrowed. */
struct exporters *exporters_new(struct plans *, struct waiting *);
void exporters_free(struct exporters *);

/* Finds or makes; it may be evicted by the next call. NULL when memory is out.
 */
struct exporter *exporters_get(struct exporters *, const struct exporter_key *);

/* Counts the memory of SPARE, which has learned something, and evicts others
 * until that of all is within its bound. */
void exporters_trim(struct exporters *, struct exporter *spare);

/* Counts of all, evicted ones too. */
void exporters_total(const struct exporters *, struct ledger *);
/* Counts of some that are not known. */
void exporters_add(struct exporters *, const struct ledger *);
size_t exporters_count(const struct exporters *);
uint64_t exporters_evicted(const struct exporters *);

/* Ends its trial. */
void exporters_settle(struct exporters *, struct exporter *);

/* One after another: NULL begins and ends. */
struct exporter *exporters_next(const struct exporters *, struct exporter *);

/* Of those evicted, from the first call of exporters_journal on and since the
 * last: their keys.  -1 if it lost count. */
int exporters_journal(struct exporters *, const struct exporter_key **,
		      size_t *n);
void exporters_journal_done(struct exporters *);

/* Calls F for each, the last used first. */
void exporters_each(const struct exporters *,
		    void (*f)(void *ctx, const struct exporter *), void *ctx);

/* Checks a sequence number that counts UNITS up to the next datagram, and
 * counts gaps. */
void exporter_sequence(struct exporter *, uint32_t number, uint32_t units);

#endif
