/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gen: a load of NetFlow for tests and benchmarks.
 *
 * in:    nothing; what traffic.h describes, the same for the same --seed
 * out:   datagrams to a UDP port, or a capture
 * keeps: nothing
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "t/bench/exporter.h"
#include "t/bench/output.h"
#include "t/bench/traffic.h"

static const char usage[] =
    "usage: gen --to ADDRESS:PORT | --pcap FILE  [options]\n"
    "  --version 5|9|10     of NetFlow; 10 is IPFIX (9)\n"
    "  --flows N            how many (1000000)\n"
    "  --rate N             flows a second; 0: as fast as it goes (0)\n"
    "  --exporters N        each with a source id and a port of its own (1)\n"
    "  --burst N            datagrams of one exporter in a row (by the rate; "
    "1)\n"
    "  --from ADDRESS       IPv4, of the first exporter; each next has the "
    "next\n"
    "  --seed N             another load (1)\n"
    "  --start SECONDS      the exporters' clock at the start, since 1970 "
    "(now)\n"
    "  --cpu N              run on this core only\n"
    "  --summary            what was sent, as JSON, to stderr at the end\n";

struct options {
	const char *to, *pcap, *from;
	uint64_t version, flows, exporters, burst, seed;
	double rate;
	int64_t start_us;
	int64_t cpu;
	bool summary;
};

enum {
	OPT_TO = 256,
	OPT_PCAP,
	OPT_VERSION,
	OPT_FLOWS,
	OPT_RATE,
	OPT_EXPORTERS,
	OPT_BURST,
	OPT_FROM,
	OPT_SEED,
	OPT_START,
	OPT_CPU,
	OPT_SUMMARY,
};

static const struct option longopts[] = {
    {"to", required_argument, NULL, OPT_TO},
    {"pcap", required_argument, NULL, OPT_PCAP},
    {"version", required_argument, NULL, OPT_VERSION},
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"exporters", required_argument, NULL, OPT_EXPORTERS},
    {"burst", required_argument, NULL, OPT_BURST},
    {"from", required_argument, NULL, OPT_FROM},
    {"seed", required_argument, NULL, OPT_SEED},
    {"start", required_argument, NULL, OPT_START},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"summary", no_argument, NULL, OPT_SUMMARY},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void __attribute__((noreturn)) die_usage(const char *why)
{
	fprintf(stderr, "gen: %s; see gen --help\n", why);
	exit(2);
}

static uint64_t
number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < least || n > most)
		die_usage("a number is out of range");
	return n;
}

static void
take_option(struct options *o, int c)
{
	switch (c) {
	case OPT_TO:
		o->to = optarg;
		break;
	case OPT_PCAP:
		o->pcap = optarg;
		break;
	case OPT_VERSION:
		o->version = number(optarg, 5, 10);
		break;
	case OPT_FLOWS:
		o->flows = number(optarg, 1, UINT64_MAX);
		break;
	case OPT_RATE:
		o->rate = number(optarg, 0, 1000000000);
		break;
	case OPT_EXPORTERS:
		o->exporters = number(optarg, 1, EXPORTERS_MAX);
		break;
	case OPT_BURST:
		o->burst = number(optarg, 1, UINT32_MAX);
		break;
	case OPT_FROM:
		o->from = optarg;
		break;
	case OPT_SEED:
		o->seed = number(optarg, 0, UINT64_MAX);
		break;
	case OPT_START:
		o->start_us = number(optarg, 0, UINT32_MAX) * 1000000;
		break;
	case OPT_CPU:
		o->cpu = number(optarg, 0, CPU_SETSIZE - 1);
		break;
	case OPT_SUMMARY:
		o->summary = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		exit(2);
	}
}

static void
parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1)
		take_option(o, c);
	if (optind < argc || !o->to == !o->pcap)
		die_usage("want either --to or --pcap");
	if (o->version != 5 && o->version != 9 && o->version != 10)
		die_usage("--version is 5, 9 or 10");
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void
pin(int64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) == -1)
		fprintf(stderr, "gen: core %" PRId64 ": %s\n", cpu,
			strerror(errno));
}

static void
print_summary(const struct export_totals *t, double seconds)
{
	fprintf(stderr,
		"{\"flows\":%" PRIu64 ",\"octets\":%" PRIu64
		",\"packets\":%" PRIu64 ",\"datagrams\":%" PRIu64
		",\"templates\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"seconds\":%.3f,\"rate\":%.0f}\n",
		t->flows, t->octets, t->packets, t->datagrams, t->templates,
		t->bytes, seconds, seconds > 0 ? t->flows / seconds : 0);
}

int
main(int argc, char **argv)
{
	struct options o = {.version = 9,
			    .flows = 1000000,
			    .exporters = 1,
			    .seed = 1,
			    .cpu = -1,
			    .start_us = now_us()};
	struct export x = {0};
	double seconds = 0;
	int result;

	parse(&o, argc, argv);
	if (o.cpu >= 0)
		pin(o.cpu);
	x.traffic = traffic_new(o.seed);
	if (!x.traffic) {
		fputs("gen: out of memory\n", stderr);
		return 1;
	}
	x.version = o.version;
	x.exporters = o.exporters;
	x.flows = o.flows;
	x.start_us = o.start_us;
	x.burst = o.burst;
	x.rate = o.rate > 0 ? o.rate : 1e6;
	if (o.to)
		result = output_udp(&x, o.from, o.to, o.rate, &seconds);
	else
		result = output_pcap(&x, o.pcap);
	if (o.summary)
		print_summary(&x.totals, seconds);
	traffic_free(x.traffic);
	return result == 0 ? 0 : 1;
}
