/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --serve: a ring's readers on a Unix socket, each at its own pace.
 *
 * What a reader gets is written from where it lies in the ring.  One that says
 * a name in its hello is durable: what it has not acknowledged is kept, also
 * while it is away.  One without a name gets what there is when it comes and
 * from then on, and is passed by when it is slow.  Nobody waits for anybody.
 */
#ifndef COMMON_OUTLET_H
#define COMMON_OUTLET_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ring.h"

enum { OUTLET_READERS = 64 }; /* connections at a time */

struct outlet;

/* Listens at PATH from now on. ROLE as in struct hello. The ring is borrowed.
 * NULL: see err. */
struct outlet *outlet_new(struct event_base *, struct ring *, const char *path,
			  const char *role, struct err *);
/* Closes all connections; takes NULL. */
void outlet_free(struct outlet *);

/* Called whenever readers have made room in the ring. */
void outlet_on_room(struct outlet *, void (*f)(void *ctx), void *ctx);

/* Something was published. */
void outlet_wake(struct outlet *);

/* Readers that are there now, ask for nothing else than what their state is: I
 * from 0 while it returns true. */
struct outlet_reader {
	const char *name; /* "" if it has none */
	uint64_t sent;	  /* objects */
	uint64_t skipped;
};

bool outlet_reader(const struct outlet *, size_t i, struct outlet_reader *);

#endif
