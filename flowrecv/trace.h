/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams shown live to those who look on.
 *
 * A view gets the beginning of each datagram of a port.  What its viewer does
 * not take waits, bounded; beyond that datagrams are skipped and counted, so
 * that a viewer never holds up reception.  As objects of msgpack:
 *
 *	[time, address, port, length, refused, beginning]	a datagram
 *	n							so many were
 *skipped
 *
 * time in microseconds since 1970, address as 4 or 16 bytes, length of the
 * whole datagram in bytes, whether --allow refused it.
 */
#ifndef FLOWRECV_TRACE_H
#define FLOWRECV_TRACE_H

#include <event2/buffer.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"

enum {
	TRACE_HEADER = 32,	 /* bytes that hold the header of any version */
	TRACE_QUEUE = 512 << 10, /* bytes that may wait for a viewer */
};

struct view {
	struct view *next;   /* another of the same port */
	struct evbuffer *to; /* the viewer; borrowed */
	size_t most;	     /* bytes of each datagram that it wants */
	uint64_t skipped;    /* and not yet said */
};

/* Shows D to each view of the list. */
void trace_datagram(struct view *, const struct datagram *, bool refused);
/* Shows none of them a datagram that there is. */
void trace_skip(struct view *);

/* Says how many were skipped, if any were and there is room again: to one, to
 * all of the list. */
void trace_skipped(struct view *);
void trace_tell(struct view *);

/* The same whether there is room or not: nothing more will be shown. */
void trace_end(struct view *);

/* What a viewer reads. */
struct traced {
	uint64_t skipped; /* not 0: this and nothing else */
	int64_t time_us;
	uint8_t addr[16];
	uint16_t port;
	uint32_t len;
	bool refused;
	const uint8_t *payload; /* its beginning */
	size_t n;
};

/* -1: it is neither of the two. */
int trace_read(const msgpack_object *, struct traced *);

#endif
