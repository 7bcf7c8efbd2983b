/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pcap or pcapng file, or standard input, as datagrams.
 */
#ifndef FLOWRECV_CAPTURE_H
#define FLOWRECV_CAPTURE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"
#include "common/err.h"

/* Packets of the capture; those above `other` and passed add up to all. */
struct capture_counts {
	uint64_t packets;
	uint64_t passed; /* datagrams that capture_next gave */
	uint64_t fragments, cut, bad;
	uint64_t port;	/* UDP to a port that was not asked for */
	uint64_t other; /* not UDP */
};

struct capture {
	const char *name; /* the file's, for errors; borrowed */
	pcap_t *pcap;
	char *buffer;
	int fd, link;
	const uint8_t *ports; /* bitmap of 65536 bits; NULL: all; borrowed */
	struct capture_counts counts;
	/* Called before each read of fd: returns when there is something to
	 * read, or -1 to end the capture there.  May be NULL. */
	int (*wait)(void *arg, int fd);
	void *wait_arg;
};

/* PATH is a file, or "-" for standard input.  Set ports and wait before. */
int capture_open(struct capture *, const char *path, struct err *);
void capture_close(struct capture *);

/*
 * The next datagram: 1, with time, address, port and payload (borrowed until
 * the next call); 0 at the end; -1 where the capture is corrupt or ends in
 * the middle of a packet.
 */
int capture_next(struct capture *, struct datagram *, struct err *);

#endif
