/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exporters: they pack flows into datagrams of NetFlow v5 or v9 (RFC 3954) or
 * IPFIX (RFC 7011) and number them.
 *
 * v5: 30 records, 1,464 bytes, the sequence number counts flows; the source id
 * is engine_type * 256 + engine_id.  v9: 26 records of 20 fields, 1,456 bytes,
 * the sequence number counts datagrams; the first datagram of each exporter
 * and one in every 4,096 after it carry the template in front of 24 records.
 * IPFIX: the same 20 fields, but octets and packets in 8 bytes and absolute
 * times in milliseconds, so that 20 records fit, or 19 with the template; the
 * sequence number counts records.
 *
 * The exporters' clock is the flows': number / rate seconds after the start,
 * so that first <= last <= uptime whatever the speed of sending.
 */
#ifndef T_BENCH_EXPORTER_H
#define T_BENCH_EXPORTER_H

#include <stddef.h>
#include <stdint.h>

#include "t/bench/traffic.h"

enum {
	EXPORTERS_MAX = 500,
	EXPORT_DATAGRAM_MAX = 1464,
	EXPORT_TEMPLATE_EVERY = 4096,
	EXPORT_UPTIME_MS = 11 * 86400 * 1000, /* at the start */
};

struct export_totals {
	uint64_t flows, octets, packets, datagrams, templates, bytes;
};

struct export
{
	/* set by the caller */
	struct traffic *traffic;
	int version; /* 5, 9 or 10 (IPFIX) */
	uint32_t exporters;
	uint32_t burst;	  /* datagrams of one exporter in a row, 0: fit */
	uint64_t flows;	  /* to make in all */
	double rate;	  /* flows a second, by the exporters' clock */
	int64_t start_us; /* of that clock, since 1970 */
	/* its own */
	struct export_totals totals;
	uint32_t sequence[EXPORTERS_MAX];
	uint64_t count[EXPORTERS_MAX]; /* datagrams */
};

struct datagram_made {
	uint32_t exporter;
	uint32_t flows;
	size_t len;
	int64_t time_us; /* when it is due, since 1970 */
};

/* Writes the next datagram to BUF; 0 when all flows are made. */
int export_next(struct export *, uint8_t buf[EXPORT_DATAGRAM_MAX],
		struct datagram_made *);

#endif
