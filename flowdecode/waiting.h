/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of data that came before their template, kept until it comes.
 *
 * Bounded in bytes (what keeping a set costs counts, too) and in time, for all
 * exporters together.  When the bytes are used up, the exporter that holds the
 * most gives up its oldest, and among those on trial (see exporter.h) if they
 * hold more than half: so who floods, from one address or from invented ones,
 * pushes out its own.
 *
 * The ledger of the exporter says what became of a set: it is waiting as long
 * as it is here, and expired when it was given up.
 */
#ifndef FLOWDECODE_WAITING_H
#define FLOWDECODE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowdecode/bounds.h"
#include "flowdecode/columns.h"
#include "flowdecode/ledger.h"

enum {
	WAIT_BYTES = 64 << 20,
	WAIT_MS = 30 * 60 * 1000,
};

struct waiter;
struct queue;

/* A set, and what of its datagram it takes to decode it. */
struct held {
	/* set by the caller */
	int64_t time_us;
	struct clock clock;
	const void *body;
	const char *binding;
	uint16_t id; /* of the template */
	uint16_t port;
	uint16_t len;
	uint16_t binding_len;
	/* the list of all, of the exporter and of the template */
	int64_t held_ms;
	uint64_t number;
	bool saved; /* in a state, too */
	struct waiter *waiter;
	struct queue *queue;
	struct held *newer, *older;
	struct held *next, *prev; /* of the exporter: newer, older */
	struct held *behind;	  /* of the template: the next newer */
};

/* An exporter's part: zeroed, but for the ledger. */
struct waiter {
	struct ledger *ledger;
	uint8_t class; /* 1: not on trial */
	size_t n, bytes;
	size_t place; /* in a heap */
	struct held *oldest, *newest;
};

struct waiting;

struct waiting *waiting_new(void);
/* Waiters are gone by then, or not looked at. */
void waiting_free(struct waiting *);

/* BYTES 0: nothing waits. */
void waiting_limit(struct waiting *, size_t bytes, int64_t ms);

/* Whether the exporter is past its trial. */
void waiting_settle(struct waiting *, struct waiter *, bool settled);

/* Keeps a copy, or counts it as expired if that cannot be. */
void waiting_hold(struct waiting *, struct waiter *, const struct held *);

/* The oldest set for a template, or NULL.  It waits no more: the caller counts
 * what becomes of it, and gives it to waiting_done. */
struct held *waiting_take(struct waiting *, struct waiter *, uint16_t id);
void waiting_done(struct held *);

/* Gives up what waits for a template. */
void waiting_give_up(struct waiting *, struct waiter *, uint16_t id);
/* All of an exporter. */
void waiting_clear(struct waiting *, struct waiter *);

/* The time from here on (monotonic, in milliseconds); what is too old goes. */
void waiting_tick(struct waiting *, int64_t now_ms);

size_t waiting_bytes(const struct waiting *);
int64_t waiting_now(const struct waiting *);

/* A set from a state, with its number and when it was held: they are given in
 * the order of their numbers. */
void waiting_restore(struct waiting *, struct waiter *, const struct held *);

/* The oldest that is not saved, or of ALL: newer ones follow. */
struct held *waiting_unsaved(const struct waiting *, bool all);
/* Those that were saved and are here no more, from the first call on and since
 * the last: their numbers.  -1 if it lost count. */
int waiting_journal(struct waiting *, const uint64_t **, size_t *n);
/* All is saved. */
void waiting_saved(struct waiting *);

#endif
