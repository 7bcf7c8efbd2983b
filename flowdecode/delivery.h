/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --serve: batches for readers on a socket, none of them lost or made twice
 * whatever process is killed.
 *
 * Batches are added to a ring.  A commit writes how far that has come and how
 * far the input, with all that is known of exporters, in one transaction of the
 * state; then the batches are published, and then the input is acknowledged.
 * Killed in between, the ring is brought to what the state says, and the input
 * comes again from there.  Without a state batches are just published.
 */
#ifndef FLOWDECODE_DELIVERY_H
#define FLOWDECODE_DELIVERY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"
#include "common/ring.h"

struct delivery;

/* The ring in DIR, NULL for one in memory. NULL: see err. */
struct delivery *delivery_new(const char *dir, uint64_t size, struct err *);
void delivery_free(struct delivery *);

struct ring *delivery_ring(struct delivery *);

/* Readers connect to PATH from now on; ROOM is called when they have taken
 * something. */
int delivery_serve(struct delivery *, struct event_base *, const char *path,
		   void (*room)(void *ctx), void *ctx, struct err *);
/* Closes their connections. */
void delivery_unserve(struct delivery *);

/* These take the delivery as void, as struct sink wants: a batch is copied to
 * the ring, which was asked for room before. */
int delivery_batch(void *, const struct batch *, struct err *);
int delivery_commit(void *, struct err *);

/* Whether there is room for more input, if need be by passing a reader by. */
bool delivery_room(struct delivery *);
/* Bytes that are not published. */
size_t delivery_pending(const struct delivery *);
void delivery_publish(struct delivery *);
/* Whether a reader has something to take yet that ends with the process. */
bool delivery_waits(const struct delivery *);
uint64_t delivery_batches(const struct delivery *);

#endif
