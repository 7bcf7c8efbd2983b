/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: ports opened, listed, shown live and closed while
 * reception goes on.
 *
 * A client sends one request and gets one reply; after that of `trace` come
 * the objects of trace.h, and another reply if it ends by itself.  As objects
 * of msgpack:
 *
 *	[verb, json, most, word...]	request: strings, a boolean, a number
 *	[status, text]			reply: status 0: text is the answer;
 *					else an exit status: why not
 *
 * json asks for an answer in JSON, most for so many bytes of each datagram.
 * Clients are bounded in number, in what they may send and in what may wait
 * for them; one that does not get on within five seconds is let go.
 */
#ifndef FLOWRECV_CONTROL_H
#define FLOWRECV_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/link.h"
#include "flowrecv/receiver.h"
#include "flowrecv/state.h"

enum {
	CONTROL_CLIENTS = 64,
	CONTROL_VIEWS = 16,	    /* of these, those that look on */
	CONTROL_REQUEST_MAX = 1024, /* bytes */
	CONTROL_WORDS = 2,
};

/* Where the socket is, if nothing is said: the first that can be used. */
enum { CONTROL_PLACES = 2 };
/* Returns how many there are, one at least. */
size_t control_places(char paths[CONTROL_PLACES][PATH_MAX]);

struct control_request {
	char verb[16], words[CONTROL_WORDS][CONTROL_REQUEST_MAX];
	size_t nwords, most;
	bool json;
};

/* OBJ is a whole object, stream_extent in stream.h. -1: it is no request. */
int control_request_read(struct control_request *, const char *obj, size_t len);

struct client;

struct control {
	struct receiver *receiver; /* borrowed */
	struct link_listener listener;
	struct event *ready, *again;
	struct client *clients;
	size_t nclients, nviews;
	struct state *state; /* what is open is kept there; borrowed */
	size_t buffer;	     /* of the ports that it opens */
	bool verbose;
	struct log_limit log;
};

/* At PATH; or, if that is NULL, where it can be, or nowhere: PATH is what the
 * user asked for.  Set state, buffer and verbose before. */
int control_start(struct control *, struct receiver *, const char *path,
		  struct err *);
/* The socket becomes theirs. */
int control_own(const struct control *, uid_t, gid_t, struct err *);
/* Before the receiver is cleared.  Takes one that is zeroed. */
void control_stop(struct control *);

#endif
