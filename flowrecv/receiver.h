/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop between the bindings and the output.
 *
 * A socket that becomes readable is emptied at once, so a lone datagram is on
 * its way immediately; then nothing is looked at for a moment (the pause), so
 * that in a flood every wake-up finds a large handful and the cost of waking
 * is shared.  What the readers do not take waits in the ring; a datagram that
 * has no room there is dropped, counted, and gets no number, so the numbers of
 * a stream have no holes.
 *
 * The first SIGINT or SIGTERM ends reception: what had arrived until then is
 * fetched from the kernel and, where it would be lost with the process,
 * everything is handed to the reader, however long that takes.  A second one
 * quits at once.  SIGUSR1 reports.
 */
#ifndef FLOWRECV_RECEIVER_H
#define FLOWRECV_RECEIVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowrecv/allow.h"
#include "flowrecv/binding.h"
#include "flowrecv/exporter.h"
#include "flowrecv/inbox.h"
#include "flowrecv/output.h"
#include "flowrecv/tee.h"

/* Of events: signals and output have the middle one, which libevent gives, so
 * that a flood does not hold them up. */
enum { RECEIVER_PRIORITIES = 3, RECEIVER_PRIORITY_INPUT = 2 };

struct receiver {
	struct event_base *base;
	struct binding *bindings; /* open; a list, in the order of opening */
	struct binding *leaving;  /* closed; some of theirs is still queued */
	struct tally total;	  /* of all that ever were */
	uint64_t kernel_drops;	  /* of those that are closed */
	struct exporters exporters;
	const struct allow *allow; /* the caller's; NULL: everyone */
	struct tee *tee;	   /* the caller's; NULL: no copies */
	struct log_limit refuse_log;
	struct inbox inbox;
	struct output out;
	struct binding **slots; /* by number; NULL: free */
	uint32_t nslots;
	struct tally restored; /* of what an earlier process left queued */
	bool lines;	       /* JSON lines, not the binary stream */
	bool retried; /* a full queue was written from in this handful */
	bool behind;  /* much waits in the kernel */
	bool stopping;
	bool failed;
	int64_t stop_us; /* when the first signal came */
	struct event *watch;
	struct event *sigint, *sigterm, *sigusr1;
	struct err err;
};

/* From here on signals are caught. */
int receiver_init(struct receiver *, const struct output_options *,
		  struct err *);
/* Frees its bindings too. */
void receiver_clear(struct receiver *);

/* Takes B, which is open, over; if it fails B stays the caller's. */
int receiver_add(struct receiver *, struct binding *b, struct err *);
/* Takes what has arrived for B until now. */
void receiver_drain(struct receiver *, struct binding *b);
/* Closes B, and frees it when all that came from it is sent. */
void receiver_remove(struct receiver *, struct binding *b);
/* The open one of that name; NULL: none. */
struct binding *receiver_find(struct receiver *, const char *name);

/* Runs until a signal ends it.  0: all that was received was handed on. */
int receiver_run(struct receiver *, struct err *);

/* A new identity for a stream. */
int receiver_identity(uint64_t *stream, struct err *);

#endif
