/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a captured packet to the UDP datagram in it.
 *
 * Link layers: Ethernet and both of Linux's cooked ones, with any number of
 * VLAN tags (802.1Q, 802.1ad); raw IP; BSD's loopback.  IPv4, and IPv6 with
 * extension headers (RFC 8200).
 */
#ifndef FLOWRECV_PACKET_H
#define FLOWRECV_PACKET_H

#include <stddef.h>
#include <stdint.h>

enum packet_kind {
	PACKET_UDP,
	PACKET_OTHER,	 /* not IP, or not UDP */
	PACKET_FRAGMENT, /* a piece of an IP packet */
	PACKET_CUT,	 /* the capture does not hold all of it */
	PACKET_BAD,	 /* lengths that contradict each other */
};

struct packet {
	uint8_t src[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t src_port, dst_port;
	const uint8_t *payload; /* in the packet */
	size_t len;
};

/* Whether packet_read knows the link type (a DLT_ number of libpcap). */
int packet_link_known(int link);

/* Fills P when it returns PACKET_UDP. */
enum packet_kind packet_read(int link, const uint8_t *data, size_t len,
			     struct packet *);

#endif
