/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another collector, udp:HOST:PORT, that gets copies of datagrams.
 *
 * It sees them come from this machine.
 */
#ifndef FLOWRECV_TARGET_H
#define FLOWRECV_TARGET_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/log.h"

struct target {
	const char *name; /* "udp:192.0.2.1:9995", borrowed */
	int fd;		  /* connected; -1: none */
	uint64_t sent;
	uint64_t failed; /* could not be sent */
	struct log_limit log;
};

/* Looks HOST up and opens a socket that blocks. */
int target_open(struct target *, const char *name, struct err *);
/* Takes one that is closed. */
void target_close(struct target *);

/* Sends those of MSGS that can be sent now, without waiting (FLAGS:
 * MSG_DONTWAIT) or waiting for each, and counts. */
void target_send(struct target *, struct mmsghdr *msgs, unsigned n, int flags);

#endif
