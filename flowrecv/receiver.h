/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop between the bindings and the output.
 *
 * A socket that becomes readable is emptied at once, so a lone datagram is on
 * its way immediately; then nothing is looked at for a moment (the pause), so
 * that in a flood every wake-up finds a large handful and the cost of waking
 * is shared.  What the reader does not take waits in the queue; a datagram
 * that does not fit there is dropped, counted, and gets no number, so the
 * numbers of a stream have no holes.
 *
 * The first SIGINT or SIGTERM ends reception: what had arrived until then is
 * fetched from the kernel and everything is handed to the reader, however long
 * that takes.  A second one quits at once.  SIGUSR1 reports.
 */
#ifndef FLOWRECV_RECEIVER_H
#define FLOWRECV_RECEIVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowrecv/binding.h"
#include "flowrecv/inbox.h"
#include "flowrecv/outqueue.h"

struct receiver {
	struct event_base *base;
	struct binding *bindings; /* a list; each is the caller's */
	struct inbox inbox;
	struct outqueue out;
	uint64_t stream, number;
	bool lines;   /* JSON lines, not the binary stream */
	bool retried; /* a full queue was written from in this handful */
	bool stopping;
	bool failed;
	int64_t stop_us; /* when the first signal came */
	struct event *writable, *refill, *gone, *watch;
	struct event *sigint, *sigterm, *sigusr1;
	struct err err;
};

/* Everything goes to FD; at most QUEUE bytes may wait for its reader.  From
 * here on signals are caught. */
int receiver_init(struct receiver *, int fd, size_t queue, struct err *);
/* After its bindings were closed. */
void receiver_clear(struct receiver *);

/* B is open and stays where it is until it is closed, after the run. */
int receiver_add(struct receiver *, struct binding *b, struct err *);

/* Runs until a signal ends it.  0: all that was received was handed on. */
int receiver_run(struct receiver *, struct err *);

/* One line per binding on stderr. */
void receiver_report(struct receiver *);
/* Whether the queue or the kernel dropped anything. */
bool receiver_lost(struct receiver *);

/* A new identity for a stream. */
int receiver_identity(uint64_t *stream, struct err *);

#endif
