/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slots that recvmmsg(2) fills.
 *
 * Each slot has room for the largest datagram with INBOX_HEADER bytes before
 * it, where the caller puts what goes in front of the payload, so that both
 * leave as one piece.  Only the part of a slot that a datagram needs is ever
 * touched.
 */
#ifndef FLOWRECV_INBOX_H
#define FLOWRECV_INBOX_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/datagram.h"
#include "common/err.h"

enum {
	INBOX_SLOTS = 512,
	INBOX_HEADER = 320,
	INBOX_CONTROL = CMSG_SPACE(sizeof(struct timespec)),
};

struct inbox {
	char *memory;
	unsigned used; /* slots that the kernel wrote to last time */
	struct mmsghdr msgs[INBOX_SLOTS];
	struct iovec iov[INBOX_SLOTS];
	struct sockaddr_in6 from[INBOX_SLOTS];
	_Alignas(struct cmsghdr) char control[INBOX_SLOTS][INBOX_CONTROL];
};

int inbox_init(struct inbox *, struct err *);
void inbox_clear(struct inbox *);

/* One recvmmsg(2) on a non-blocking socket: how many datagrams came.  Less
 * than INBOX_SLOTS: the socket has no more.  -1: error. */
int inbox_receive(struct inbox *, int fd, struct err *);

/* Datagram I of those: time, address, port and payload, which lies in the
 * inbox until the next inbox_receive(), with room before it. */
void inbox_datagram(const struct inbox *, unsigned i, struct datagram *);

#endif
