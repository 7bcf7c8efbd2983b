/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captured packets, hostile: the first byte chooses the link, the rest is the
 * packet.  A datagram that is found lies inside it.
 */
#include <pcap/dlt.h>
#include <stdlib.h>

#include "flowrecv/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int links[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2,
				    DLT_RAW,	DLT_NULL,      DLT_LOOP};
	struct packet p;

	if (len == 0)
		return 0;
	if (packet_read(links[data[0] % 6], data + 1, len - 1, &p) !=
	    PACKET_UDP)
		return 0;
	if (p.payload < data + 1 || p.len > len - 1 ||
	    p.payload + p.len > data + len)
		abort();
	return 0;
}
