/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pass whose records come from a socket, go to one, or both (common/link.h).
 *
 * Numbers.  What comes is acknowledged when it is safe: when flowstore says so,
 * or, without --to, when it has been written and, if someone counts it, the
 * counters are on disk (relay.counted).  Both connections stand and fall
 * together: where one breaks, both are made anew, and what was not safe comes
 * again; what the store has it tells in its hello, and that is not sent to it
 * again.
 *
 * Nothing waits: while the store takes no more, no more is read, and flowdecode
 * keeps it.
 */
#ifndef FLOWLOG_RELAY_H
#define FLOWLOG_RELAY_H

#include "common/stage.h"
#include "flowlog/pass.h"

struct relay {
	/* set by the caller */
	struct pass *pass;
	const char *from;   /* paths; NULL: stdin */
	const char *to;	    /* NULL: the sink's own descriptor */
	struct hello hello; /* name, table and host */
	bool from_now;	    /* not what was there before */
	/* For one who counts: after which number of the stream it wants to
	 * begin at the latest. May be NULL. */
	uint64_t (*counted)(void *ctx, uint64_t stream);
	/* Whether a connection is there, each time that changes. May be NULL.
	 */
	void (*connected)(void *ctx, bool yes);
	/* As in struct pass, and of the stage. */
	bool (*wanted)(void *ctx, const struct view *);
	int (*tick)(void *ctx, struct err *);
	void *ctx;
	struct stage stage; /* report, metrics and measure */
	/* its own */
	int fd; /* to the store */
	struct event *marks, *writable, *patience;
	struct mail mail;
	uint64_t stream;
	uint64_t reached; /* by the store, of that */
	uint64_t given;	  /* number of the last batch */
	uint64_t sent;	  /* that the sink has got rid of */
	uint64_t safe;	  /* that need not come again, for the store */
	uint64_t acknowledged;
	bool said_end; /* to the store */
};

/* Until the end of input or a signal. */
int relay_run(struct relay *, struct err *);

#endif
