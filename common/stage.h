/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of a filter: objects from a file descriptor, a tick, an orderly
 * end.  flowdecode, flowlog and flowstore are filled in here with what they do
 * to an object; what they share is how they stop:
 *
 *  - end of input drains and ends;
 *  - the first SIGINT (Ctrl-C reaches every stage of a shell pipeline) is left
 *    to the source: input goes on until it ends;
 *  - SIGTERM the same, but input that pauses for a second is the end too;
 *  - a second of either kills at once; one that comes after the end of input,
 *    while the caller finishes, counts as the first;
 *  - a reader downstream that is gone (an error with code EPIPE) ends the
 *    stage quietly, as `| head` expects.
 *
 * Input may come from a socket instead, as link.h describes it.  That has no
 * end: where the connection breaks, or nobody listens yet, it is made anew
 * until it holds, and the first signal ends the stage at once, for what it has
 * not acknowledged will come again.
 */
#ifndef COMMON_STAGE_H
#define COMMON_STAGE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/link.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/stream.h"

/* What object, drained and tick return besides 0 and -1: the connection is to
 * be made anew. The error says why. */
enum { STAGE_REJOIN = 1 };

struct stage {
	/* set by the caller */
	void *ctx;
	/* Before all else, and after all else that uses the loop; may be NULL.
	 */
	int (*start)(void *ctx, struct event_base *, struct err *);
	void (*stop)(void *ctx);
	/* Input has ended.  If it returns true the loop goes on without, until
	 * stage_end is called.  May be NULL. */
	bool (*linger)(void *ctx);
	/* One object (see stream_next). -1 ends the stage: fill err. */
	int (*object)(void *ctx, const char *obj, size_t len, struct err *);
	/* The objects of one read were all given and still lie where they were:
	 * the time to flush what refers to them.  Called before the next read
	 * and also when the stream turns out corrupt.  May be NULL. */
	int (*drained)(void *ctx, struct err *);
	/* Every tick_ms; not called if tick_ms is 0. */
	int (*tick)(void *ctx, struct err *);
	int tick_ms;
	/* SIGUSR1; may be NULL. */
	void (*report)(void *ctx);
	/* Where to serve what measure gives, metrics.h; NULL: nowhere. */
	const char *metrics;
	metrics_collect *measure;
	/* for a socket: its path, NULL for none, and what to say there */
	const char *from;
	struct hello hello;
	/* Who is there said hello: sets the number after which to begin.  -1:
	 * not now, try it again. */
	int (*joined)(void *ctx, const struct hello *, uint64_t *number,
		      struct err *);
	/* After joined: the connection is gone.  May be NULL. */
	void (*parted)(void *ctx);
	/* the stage's own */
	struct stream_in in;
	struct event_base *base;
	struct event *input, *timer, *quiet, *again, *signals[3];
	struct metrics *served;
	uint64_t stream; /* that it reads, once joined */
	uint64_t acknowledged;
	int wait_ms; /* before the next attempt to connect */
	bool joined_now, missed, paused, lingers;
	bool refused;  /* the last object was no good, or had no place to go */
	bool stopping; /* a first signal came */
	bool failed;
	struct log_limit log;
	struct err err;
};

/*
 * The first thing that main does: SIGINT and SIGTERM that come before
 * stage_run wait for it, so that a Ctrl-C right after the start does not lose
 * what an earlier stage has received.  SIGUSR1 is ignored outside stage_run,
 * and SIGXFSZ everywhere: a write that fails says so.
 */
void stage_hold_signals(void);

/*
 * Runs until the end of input, an error, or a signal as above.  0: input
 * ended, everything was given to object().  -1: err says why, and where a
 * stream is corrupt it names the offset; what came before was given to
 * object(), so the caller flushes in both cases.
 */
int stage_run(struct stage *, int fd, struct err *);

/* For the calls above, and what is called from the stage's loop: takes no
 * input for a while, with objects that were read already. */
void stage_pause(struct stage *, bool pause);
/* All up to NUMBER is safe; without a connection it is said later. */
void stage_acknowledge(struct stage *, uint64_t number);
/* As STAGE_REJOIN; WHY is said. */
void stage_rejoin(struct stage *, const struct err *why);
/* Ends the loop; stage_run returns -1 if WHY is not NULL. */
void stage_end(struct stage *, const struct err *why);

#endif
