/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of one origin, counted: an exporter at a port, a port, all ports.
 *
 * A tally is part of the next larger one, and what is counted in it is counted
 * there too.  At any moment received = refused + dropped + queued + sent.
 */
#ifndef FLOWRECV_TALLY_H
#define FLOWRECV_TALLY_H

#include <stdint.h>

struct tally {
	struct tally *of;  /* what it is part of; NULL: it is the largest */
	uint64_t received; /* taken from the kernel */
	uint64_t refused;  /* of exporters that are not allowed */
	uint64_t dropped;  /* for want of room in the queue, or of readers */
	uint64_t queued;   /* on their way to the reader */
	uint64_t sent;
};

static inline void
tally_received(struct tally *t)
{
	for (; t; t = t->of)
		t->received++;
}

static inline void
tally_refused(struct tally *t)
{
	for (; t; t = t->of)
		t->refused++;
}

static inline void
tally_dropped(struct tally *t)
{
	for (; t; t = t->of)
		t->dropped++;
}

static inline void
tally_queued(struct tally *t)
{
	for (; t; t = t->of)
		t->queued++;
}

/* What was queued is sent. */
static inline void
tally_sent(struct tally *t)
{
	for (; t; t = t->of) {
		t->queued--;
		t->sent++;
	}
}

/* What was queued went without a reader. */
static inline void
tally_passed(struct tally *t)
{
	for (; t; t = t->of) {
		t->queued--;
		t->dropped++;
	}
}

#endif
