/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Synthetic flows of realistic spread, the same for the same seed.
 *
 * The network seen is a border: 24 sites of 10.1.0.0/16 ... 10.24.0.0/16 with
 * 30,000 hosts inside, 4,096 prefixes outside.  What is drawn, and how:
 *
 *   kind        14 % repeat the 5-tuple of one of the last 65,536 flows (long
 *               flows are exported again and again), 38 % are the other
 *               direction of an earlier one, 3 % scans of inside addresses by
 *               300 hosts, 5 % connections from outside, the rest from inside
 *   hosts       Zipf-Mandelbrot, P(rank) ~ 1 / (rank + q): inside (30,000, q
 *               20), servers outside (60,000, q 10), and a long tail outside
 *               (700,000, q 50,000)
 *   protocols   TCP 83 %, UDP 15 %, ICMP 2 %
 *   ports       443, 80, 53, 22 ... by weight, a tenth anything; the other end
 *               is ephemeral; ICMP has type and code as destination port
 *   packets     Pareto, exponent 1.15, at most 2,000,000
 *   octets      packets times a mean size that depends on the direction
 *   durations   log-uniform up to a minute, or 2 for flows of 10 packets and
 *               more; one in 200 up to half an hour; one packet: 0
 *   export      within a second of the end if TCP saw FIN, else 15 s later
 *   AS, mask, interface, next hop   belong to the address's prefix
 *
 * Over 20 million flows this gives about 0.5 million sources and 17 million
 * 5-tuples (README has what was counted).
 */
#ifndef T_BENCH_TRAFFIC_H
#define T_BENCH_TRAFFIC_H

#include <stdint.h>

struct flow {
	uint32_t src, dst, next_hop; /* host order */
	uint32_t packets, octets;
	uint32_t first, last; /* ms of the exporter's uptime */
	uint16_t src_port, dst_port;
	uint16_t src_as, dst_as;
	uint16_t input, output;
	uint8_t protocol, tos, flags;
	uint8_t src_mask, dst_mask;
};

struct traffic;

/* NULL when memory is out. */
struct traffic *traffic_new(uint64_t seed);
void traffic_free(struct traffic *);

/* The next flow, exported at this uptime (which must be above an hour). */
void traffic_next(struct traffic *, uint32_t uptime_ms, struct flow *);

#endif
