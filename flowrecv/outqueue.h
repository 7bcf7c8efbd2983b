/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is on its way to the reader, bounded.
 *
 * Datagrams are added where they lie and leave in one writev(2), so that in
 * the usual case nothing is copied.  What the reader does not take at once is
 * copied into chunks and waits there, in order, up to LIMIT bytes.
 *
 * Whoever adds asks outqueue_fits() first and drops what does not fit, so a
 * datagram that was added is never lost while the reader lives.  A datagram
 * is queued from outqueue_add() until its last byte is written; its tally says
 * so at any moment.
 */
#ifndef FLOWRECV_OUTQUEUE_H
#define FLOWRECV_OUTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "flowrecv/tally.h"

enum { OUTQUEUE_FRESH = 512 }; /* datagrams between two flushes */

struct chunk;

/* The end of a datagram among the fresh bytes. */
struct fresh {
	struct tally *tally;
	size_t end;
};

struct outqueue {
	int fd;
	int flags;    /* of fd as it was found */
	bool changed; /* ... and is no longer */
	bool patient; /* fd is no pipe or socket: writes may wait */
	size_t limit;
	/* added since the last flush; memory is the caller's */
	struct iovec iov[OUTQUEUE_FRESH];
	struct fresh marks[OUTQUEUE_FRESH];
	size_t nfresh, fresh_bytes;
	/* what the reader did not take */
	struct chunk *head, *tail, *spare;
	size_t nspare, waiting_bytes;
};

/* Makes a pipe or socket non-blocking and widens a pipe.  The fd stays the
 * caller's. */
int outqueue_init(struct outqueue *, int fd, size_t limit, struct err *);
/* Gives the fd its old flags back. */
void outqueue_clear(struct outqueue *);

/* Whether a datagram of LEN bytes (header and payload) has room. */
bool outqueue_fits(const struct outqueue *, size_t len);

/* Whether a flush is due before the next outqueue_add(). */
static inline bool
outqueue_full_of_fresh(const struct outqueue *q)
{
	return q->nfresh == OUTQUEUE_FRESH;
}

/* Adds a datagram: P must stay until the flush, TALLY until it is sent. */
void outqueue_add(struct outqueue *, struct tally *, const void *p, size_t len);

/* Writes what was added as far as the reader takes it and keeps a copy of the
 * rest.  -1: the output failed (code EPIPE: the reader is gone) or memory is
 * out. */
int outqueue_flush(struct outqueue *, struct err *);

/* Writes of what waits as much as the reader takes. */
int outqueue_write(struct outqueue *, struct err *);

static inline bool
outqueue_waits(const struct outqueue *q)
{
	return q->waiting_bytes > 0;
}

#endif
