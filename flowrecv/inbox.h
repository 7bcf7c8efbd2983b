/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slots that recvmmsg(2) fills.
 *
 * They are in memory that may outlive the process, with what it takes to tell
 * which of them the kernel has filled: what was taken from the kernel and not
 * yet handed on is there after a kill -9, and is found by the next process.
 * For that each handful has a mark, of the caller's, which is another one once
 * the handful is handed on: where the mark is still the one that holds, the
 * slots are to be taken.
 *
 * Each slot has room for the largest datagram; only the part that one needs is
 * ever touched.  They are few, so that they stay in the processor's cache.
 */
#ifndef FLOWRECV_INBOX_H
#define FLOWRECV_INBOX_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/datagram.h"
#include "common/err.h"

enum { INBOX_SLOTS = 128 };

struct slots;

struct inbox {
	struct slots *slots; /* the memory, which is the caller's */
	unsigned used;	     /* slots that the kernel wrote to last time */
	struct iovec iov[INBOX_SLOTS];
};

/* Bytes of memory that it takes. */
size_t inbox_bytes(void);

/* MEMORY is zeroed or what an inbox left. */
void inbox_init(struct inbox *, void *memory);

/* One recvmmsg(2) on a non-blocking socket, of up to MAX datagrams: how many
 * came.  Less than MAX: the socket has no more.  -1: error. */
int inbox_receive(struct inbox *, int fd, unsigned max, struct err *);

/* Before the above: the mark of what comes, not 0, and to what binding. */
void inbox_begin(struct inbox *, uint64_t mark,
		 const char binding[BINDING_NAME_MAX]);
/* All was handed on, under whatever mark. */
void inbox_done(struct inbox *);

/* How many datagrams an earlier process left that were taken under this mark,
 * and to what binding they came. */
unsigned inbox_left(struct inbox *, uint64_t mark,
		    char binding[BINDING_NAME_MAX]);

/* Datagram I of those: time, address, port and payload, which lies in the
 * inbox until the next inbox_receive(). */
void inbox_datagram(const struct inbox *, unsigned i, struct datagram *);

#endif
