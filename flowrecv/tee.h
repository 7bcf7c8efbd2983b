/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of what arrives, to other collectors.
 *
 * They leave as they arrive, a handful at a time, and never wait: what cannot
 * be sent at once is counted as failed.
 */
#ifndef FLOWRECV_TEE_H
#define FLOWRECV_TEE_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/datagram.h"
#include "flowrecv/target.h"

enum { TEE_TARGETS = 8, TEE_HANDFUL = 512 };

/* Zeroed it copies nothing. */
struct tee {
	struct target targets[TEE_TARGETS];
	size_t ntargets;
	struct mmsghdr msgs[TEE_HANDFUL];
	struct iovec iov[TEE_HANDFUL];
	unsigned n;
};

/* One more target: udp:HOST:PORT, borrowed. */
int tee_to(struct tee *, const char *name, struct err *);
void tee_clear(struct tee *);

/* Its payload is borrowed until the flush. */
void tee_add(struct tee *, const struct datagram *);
void tee_flush(struct tee *);

#endif
