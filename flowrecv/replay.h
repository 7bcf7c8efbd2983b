/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a capture to the output, waiting for the reader as long as it takes; or
 * to another collector, when each datagram is due.
 *
 * Here nothing can be lost by waiting, so there is no queue and no loop of
 * events: a plain read, a plain write.  The first SIGINT or SIGTERM ends the
 * reading, a second one the process.
 */
#ifndef FLOWRECV_REPLAY_H
#define FLOWRECV_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/stream.h"
#include "flowrecv/capture.h"
#include "flowrecv/pace.h"
#include "flowrecv/target.h"

struct replay {
	/* set by the caller, and borrowed */
	const char *binding;
	const uint8_t *ports; /* as in struct capture */
	struct target *to;    /* NULL: the output */
	struct pace pace;     /* if so */
	/* its own */
	struct capture capture;
	struct stream_out out;
	uint64_t stream, number, written; /* datagrams that were handed on */
	bool lines;
	size_t pending; /* bytes since the last flush */
	bool failed;
	struct err err;
};

/* What the caller sets is set, the rest is zero.  PATH is the capture, FD the
 * output. */
int replay_init(struct replay *, const char *path, int fd, struct err *);
void replay_clear(struct replay *);

/* What came before an error was handed on. */
int replay_run(struct replay *, struct err *);

/* What the capture held; without ALL only what should have been passed on and
 * could not, if there is any. */
void replay_report(const struct replay *, bool all);

#endif
