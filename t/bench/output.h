/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where datagrams go: a UDP port, at a rate, or a capture file.
 */
#ifndef T_BENCH_OUTPUT_H
#define T_BENCH_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include "t/bench/exporter.h"

/*
 * Makes all datagrams of X first, gigabytes at a time, and then sends them, so
 * that sending is all that costs while it lasts.  Each exporter has a port of
 * its own; runs of datagrams of one size are handed to the kernel in one piece
 * (UDP_SEGMENT).  FROM, if not NULL, is the IPv4 address of the first exporter;
 * each next has the next.  RATE in flows a second, 0: as fast as it goes.
 * *seconds is how long the sending took.  -1 after a line on stderr.
 */
int output_udp(struct export *x, const char *from, const char *to, double rate,
	       double *seconds);

/* A capture with the exporters' own times, exporter i at 198.51.i/250.i%250+1.
 * -1 after a line on stderr. */
int output_pcap(struct export *x, const char *path);

#endif
