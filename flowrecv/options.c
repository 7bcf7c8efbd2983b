/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/text.h"
#include "flowrecv/binding.h"

static const char usage[] =
    "usage: flowrecv [-v] [--allow NETWORK,...] [--queue BYTES]\n"
    "                [--receive-buffer BYTES] [NAME=][ADDRESS:]PORT ...\n"
    "       flowrecv [-v] [--name NAME] [--port PORT,...] --read FILE|-\n"
    "Receives flow datagrams and writes them to standard output.\n"
    "\n"
    "      --allow NETWORK,...     take datagrams of these exporters only\n"
    "      --queue BYTES           may wait for a slow reader (256M)\n"
    "      --receive-buffer BYTES  of the kernel, per port (64M)\n"
    "      --read FILE             take a pcap or pcapng file, - is stdin\n"
    "      --name NAME             binding that a capture's datagrams get\n"
    "      --port PORT,...         only those to these ports\n"
    "  -v, --verbose               say what happens, and counters at exit\n"
    "  -h, --help\n"
    "  -V, --version\n"
    "BYTES takes K, M or G. SIGUSR1 prints the counters.\n";

enum {
	QUEUE_DEFAULT = 256 << 20,
	QUEUE_MIN = 128 << 10, /* holds the largest datagram */
	BUFFER_DEFAULT = 64 << 20,
	BUFFER_MIN = 4 << 10,
	BUFFER_MAX = 1 << 30, /* the kernel counts twice that in an int */
};

static uint64_t
size_option(const char *name, const char *text, uint64_t min, uint64_t max)
{
	size_t len = strlen(text);
	const char *unit = len > 0 ? strchr("KMG", text[len - 1]) : NULL;
	unsigned shift = 0;
	uint64_t v;

	if (unit) {
		len--;
		shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : 30;
	}
	if (text_read_u64(text, len, &v) != 0 || v > UINT64_MAX >> shift)
		cli_usage("flowrecv",
			  "%s: '%s' is no size: 4096, 512K, 64M, 1G", name,
			  text);
	v <<= shift;
	if (v < min || v > max)
		cli_usage("flowrecv", "%s: '%s' is not between %llu and %llu",
			  name, text, (unsigned long long)min,
			  (unsigned long long)max);
	return v;
}

static void
ports_option(struct options *o, const char *text)
{
	size_t n;
	char **list = cli_list(text, &n);
	uint64_t port;

	if (!list)
		cli_usage("flowrecv", "out of memory");
	o->some_ports = n > 0;
	for (size_t i = 0; i < n; i++) {
		if (text_read_u64(list[i], strlen(list[i]), &port) != 0 ||
		    port < 1 || port > 65535)
			cli_usage("flowrecv",
				  "--port: '%s' is no port: 1 to 65535",
				  list[i]);
		o->ports[port >> 3] |= (uint8_t)(1u << (port & 7));
	}
	free(list);
	if (!o->some_ports)
		cli_usage("flowrecv", "--port: a list of ports, as 2055,9995");
}

enum { OPT_ALLOW = 256, OPT_QUEUE, OPT_BUFFER, OPT_READ, OPT_NAME, OPT_PORT };

static const struct option long_options[] = {
    {"allow", required_argument, NULL, OPT_ALLOW},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"receive-buffer", required_argument, NULL, OPT_BUFFER},
    {"read", required_argument, NULL, OPT_READ},
    {"name", required_argument, NULL, OPT_NAME},
    {"port", required_argument, NULL, OPT_PORT},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static void
option_set(struct options *o, int c, char **argv)
{
	struct err e;

	switch (c) {
	case OPT_ALLOW:
		if (allow_add(&o->allow, optarg, &e) != 0)
			cli_usage("flowrecv", "--allow: %s", e.text);
		o->live = true;
		break;
	case OPT_QUEUE:
		o->queue = size_option("--queue", optarg, QUEUE_MIN, SIZE_MAX);
		o->live = true;
		break;
	case OPT_BUFFER:
		o->buffer = size_option("--receive-buffer", optarg, BUFFER_MIN,
					BUFFER_MAX);
		o->live = true;
		break;
	case OPT_READ:
		o->read = optarg;
		break;
	case OPT_NAME:
		o->name = optarg;
		break;
	case OPT_PORT:
		ports_option(o, optarg);
		break;
	case 'v':
		o->verbose = true;
		break;
	case 'h':
		cli_help(usage);
	case 'V':
		cli_version("flowrecv");
	default:
		cli_bad_option("flowrecv", argv);
	}
}

void
options_read(struct options *o, int argc, char **argv)
{
	struct err e;
	int c;

	*o = (struct options){.queue = QUEUE_DEFAULT, .buffer = BUFFER_DEFAULT};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "vhV", long_options, NULL)) != -1)
		option_set(o, c, argv);
	o->bindings = argv + optind;
	o->nbindings = (size_t)(argc - optind);
	if (!o->read && o->nbindings == 0)
		cli_usage("flowrecv", "a port to listen on, or --read FILE");
	if (o->read && (o->nbindings > 0 || o->live))
		cli_usage("flowrecv",
			  "--read takes no ports, --allow, --queue or "
			  "--receive-buffer");
	if (!o->read && (o->name || o->some_ports))
		cli_usage("flowrecv",
			  "--name and --port go with --read; a port to listen "
			  "on is named NAME=PORT");
	if (o->name && binding_name_check(o->name, &e) != 0)
		cli_usage("flowrecv", "%s", e.text);
}

void
options_clear(struct options *o)
{
	allow_clear(&o->allow);
}
