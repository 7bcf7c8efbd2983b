/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was received, on its way: a ring, and who reads it.
 *
 * Readers are standard output, a pipe mostly, or those that connect to a
 * socket; none of them is ever waited for, except that a file or a terminal
 * takes each write at once.  What they have not taken waits in the ring.
 */
#ifndef FLOWRECV_OUTPUT_H
#define FLOWRECV_OUTPUT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/outlet.h"
#include "common/ring.h"

struct output_options {
	const char *serve; /* path of a socket; NULL: standard output */
	const char *ring;  /* directory; NULL: in memory */
	uint64_t size;	   /* bytes that may wait */
	size_t extra;	   /* bytes in the ring's file for its writer */
};

struct output {
	struct ring *ring;
	struct outlet *outlet; /* NULL: standard output */
	int fd;
	int flags;    /* of fd as it was found */
	bool changed; /* ... and is no longer */
	bool patient; /* fd is no pipe or socket: writes may wait */
	struct ring_reader reader;
	struct event *writable, *refill, *gone;
	struct err err;
	/* The caller's: readers have taken something; or it failed, as err
	 * says (code EPIPE: the reader is gone). */
	void (*taken)(void *ctx);
	void (*failed)(void *ctx);
	void *ctx;
};

int output_init(struct output *, struct event_base *,
		const struct output_options *, struct err *);
/* Gives standard output its old flags back.  Takes one that is zeroed. */
void output_clear(struct output *);

/* Publishes what was added to the ring, and writes what readers take now; with
 * HARD, in the middle of a handful, standard output is tried again even if it
 * was a moment ago.  -1: it failed. */
int output_push(struct output *, bool hard);

/* Whether a reader has something to take yet that will be lost if the process
 * ends now. */
bool output_waits(const struct output *);

/* How many objects of up to LEN bytes surely have room. */
size_t output_room(const struct output *, size_t len);

#endif
