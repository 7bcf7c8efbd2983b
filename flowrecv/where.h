/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a port listens: [ADDRESS:]PORT.
 *
 * A port alone takes IPv6 and IPv4 in one socket, or IPv4 alone on a machine
 * without IPv6; an address takes its own family alone.  A multicast group is
 * joined, on an interface if one is said: [GROUP%INTERFACE]:PORT.
 */
#ifndef FLOWRECV_WHERE_H
#define FLOWRECV_WHERE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

enum { WHERE_HOST_MAX = 64, WHERE_TEXT_MAX = WHERE_HOST_MAX + 16 };

struct where {
	struct sockaddr_storage addr; /* without the interface */
	uint16_t port;
	bool any;		     /* a port alone */
	bool group;		     /* multicast */
	char interface[IF_NAMESIZE]; /* "": none is said */
	char host[WHERE_HOST_MAX];   /* "239.0.0.1%eth0" */
	char text[WHERE_TEXT_MAX];   /* "[239.0.0.1%eth0]:9995" */
};

/* Reads TEXT, which is cut up, and opens nothing. */
int where_parse(struct where *, char *text, struct err *);

/* What where_parse reads as the same. */
const char *where_argument(const struct where *, char buf[WHERE_TEXT_MAX]);

/* Opens a socket there that does not block: its descriptor, or -1.  On a
 * machine without IPv6 *W changes to IPv4. */
int where_bind(struct where *, struct err *);

/* Where a socket that is bound already is. */
int where_of(struct where *, int fd, struct err *);

#endif
