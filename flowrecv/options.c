/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/handed.h"
#include "common/nearest.h"
#include "common/text.h"
#include "flowrecv/binding.h"
#include "flowrecv/client.h"

static const char usage[] =
    "usage: flowrecv [-v] [--allow NETWORK,...] [--control PATH]\n"
    "                [--metrics ADDRESS:PORT] [--queue BYTES]\n"
    "                [--receive-buffer BYTES] [--state DIR]\n"
    "                [--serve PATH [--ring DIR]] [--tee udp:HOST:PORT]...\n"
    "                [--user NAME]\n"
    "                [NAME=][ADDRESS:]PORT ...\n"
    "       flowrecv [-v] [--name NAME] [--port PORT,...] --read FILE|-\n"
    "       flowrecv [-v] [--port PORT,...] --read FILE|- --to udp:HOST:PORT\n"
    "                [--rate N | --speed X]\n"
    "       flowrecv [--control PATH] COMMAND\n"
    "Receives flow datagrams and writes them to standard output.\n"
    "\n"
    "Commands, to a flowrecv that is running:\n"
    "  open NAME [ADDRESS:]PORT    open a port\n"
    "  close NAME                  close it\n"
    "  bindings [--json]           the ports that are open\n"
    "  trace NAME [--json]         its datagrams as they come, until Ctrl-C\n"
    "    --hex                     with their bytes\n"
    "    --count N                 so many of them\n"
    "  stats [NAME] [--json]       the counters, also of each exporter\n"
    "\n"
    "Options:\n"
    "      --allow NETWORK,...     take datagrams of these exporters only\n"
    "      --control PATH          of the socket that commands come to\n"
    "                              (/run/flow/flowrecv.sock)\n"
    "      --metrics ADDRESS:PORT  serve the counters to Prometheus, over "
    "HTTP\n"
    "      --queue BYTES           may wait for slow readers (a quarter of "
    "the\n"
    "                              machine's memory); also --ring-size\n"
    "      --receive-buffer BYTES  of the kernel, per port (64M)\n"
    "      --state DIR             keep there what ports are opened, for the\n"
    "                              next start\n"
    "      --tee udp:HOST:PORT     send copies to another collector\n"
    "      --user NAME             become that user once ports are open\n"
    "      --ring DIR              keep there what readers have not "
    "acknowledged,\n"
    "                              for the next start\n"
    "      --serve PATH            let readers connect to this socket\n"
    "      --read FILE             take a pcap or pcapng file, - is stdin\n"
    "      --name NAME             binding that a capture's datagrams get\n"
    "      --port PORT,...         only those to these ports\n"
    "      --to udp:HOST:PORT      send its datagrams on, at its own pace\n"
    "      --rate N                so many a second; 0: as fast as it goes\n"
    "      --speed X               so many times its own pace\n"
    "  -v, --verbose               say what happens, and counters at exit\n"
    "  -h, --help\n"
    "  -V, --version\n"
    "BYTES takes K, M, G or T. SIGUSR1 prints the counters.\n";

enum {
	QUEUE_MIN = 128 << 10, /* holds the largest datagram */
	BUFFER_DEFAULT = 64 << 20,
	BUFFER_MIN = 4 << 10,
	BUFFER_MAX = 1 << 30, /* the kernel counts twice that in an int */
	NUMBER_MAX = 1000 * 1000 * 1000,
};

#define QUEUE_MAX (UINT64_C(64) << 30)

/* Memory is taken only for what waits. */
static uint64_t
default_queue(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t quarter = pages > 0 && size > 0
			       ? (uint64_t)pages * (uint64_t)size / 4
			       : 256 << 20;

	return quarter < QUEUE_MAX ? quarter : QUEUE_MAX;
}

static uint64_t
size_option(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t v;

	if (text_read_size(text, strlen(text), &v) != 0)
		cli_usage("flowrecv",
			  "%s: '%s' is no size: 4096, 512K, 64M, 1G", name,
			  text);
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

enum mode {
	MODE_PORTS = 1,	  /* ports to listen on */
	MODE_CAPTURE = 2, /* --read */
	MODE_COMMAND = 4, /* to a running flowrecv */
};

enum {
	OPT_ALLOW = 256,
	OPT_CONTROL,
	OPT_COUNT,
	OPT_HEX,
	OPT_JSON,
	OPT_METRICS,
	OPT_NAME,
	OPT_PORT,
	OPT_QUEUE,
	OPT_RATE,
	OPT_READ,
	OPT_SPEED,
	OPT_STATE,
	OPT_TEE,
	OPT_TO,
	OPT_USER,
	OPT_RING,
	OPT_SERVE,
	OPT_BUFFER,
	OPTIONS
};

static const struct option long_options[] = {
    {"allow", required_argument, NULL, OPT_ALLOW},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"count", required_argument, NULL, OPT_COUNT},
    {"hex", no_argument, NULL, OPT_HEX},
    {"json", no_argument, NULL, OPT_JSON},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"name", required_argument, NULL, OPT_NAME},
    {"port", required_argument, NULL, OPT_PORT},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"read", required_argument, NULL, OPT_READ},
    {"receive-buffer", required_argument, NULL, OPT_BUFFER},
    {"speed", required_argument, NULL, OPT_SPEED},
    {"state", required_argument, NULL, OPT_STATE},
    {"tee", required_argument, NULL, OPT_TEE},
    {"to", required_argument, NULL, OPT_TO},
    {"user", required_argument, NULL, OPT_USER},
    {"ring", required_argument, NULL, OPT_RING},
    {"ring-size", required_argument, NULL, OPT_QUEUE},
    {"serve", required_argument, NULL, OPT_SERVE},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

/* What an option goes with; 0: it says itself. */
static const unsigned option_modes[OPTIONS] = {
    [OPT_ALLOW] = MODE_PORTS,	[OPT_CONTROL] = MODE_PORTS | MODE_COMMAND,
    [OPT_COUNT] = MODE_COMMAND, [OPT_HEX] = MODE_COMMAND,
    [OPT_JSON] = MODE_COMMAND,	[OPT_METRICS] = MODE_PORTS,
    [OPT_NAME] = MODE_CAPTURE,	[OPT_PORT] = MODE_CAPTURE,
    [OPT_QUEUE] = MODE_PORTS,	[OPT_RATE] = MODE_CAPTURE,
    [OPT_SPEED] = MODE_CAPTURE, [OPT_STATE] = MODE_PORTS,
    [OPT_TEE] = MODE_PORTS,	[OPT_TO] = MODE_CAPTURE,
    [OPT_USER] = MODE_PORTS,	[OPT_RING] = MODE_PORTS,
    [OPT_SERVE] = MODE_PORTS,	[OPT_BUFFER] = MODE_PORTS,
};

static uint64_t
count_option(const char *text)
{
	uint64_t v;

	if (text_read_u64(text, strlen(text), &v) != 0 || v == 0)
		cli_usage("flowrecv", "--count: '%s' is no number of datagrams",
			  text);
	return v;
}

/* A number above 0, or 0 itself, in decimal. */
static double
number_option(const char *name, const char *text)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(v >= 0) ||
	    v > NUMBER_MAX || !strchr("0123456789.", *text))
		cli_usage("flowrecv", "%s: '%s' is no number from 0 to %.0f",
			  name, text, (double)NUMBER_MAX);
	return v;
}

static void
add_tee(struct options *o, const char *name)
{
	if (o->ntees == TEE_TARGETS)
		cli_usage("flowrecv", "--tee: %d are the most", TEE_TARGETS);
	o->tees[o->ntees++] = name;
}

/* Where an option that is a text goes; NULL: it is none. */
static const char **
text_of(struct options *o, int c)
{
	switch (c) {
	case OPT_CONTROL:
		return &o->control;
	case OPT_METRICS:
		return &o->metrics;
	case OPT_NAME:
		return &o->name;
	case OPT_READ:
		return &o->read;
	case OPT_STATE:
		return &o->state;
	case OPT_TO:
		return &o->to;
	case OPT_USER:
		return &o->user;
	default:
		return NULL;
	}
}

static void
add_allowed(struct options *o, const char *list)
{
	struct err e;

	if (allow_add(&o->allow, list, &e) != 0)
		cli_usage("flowrecv", "--allow: %s", e.text);
}

static double
speed_option(const char *text)
{
	double v = number_option("--speed", text);

	if (v == 0)
		cli_usage("flowrecv", "--speed: 0 would take for ever; "
				      "--rate 0 is as fast as it goes");
	return v;
}

static void
option_set(struct options *o, int c, char **argv)
{
	const char **text = text_of(o, c);

	if (text) {
		*text = optarg;
		return;
	}
	switch (c) {
	case OPT_ALLOW:
		add_allowed(o, optarg);
		break;
	case OPT_BUFFER:
		o->buffer = size_option("--receive-buffer", optarg, BUFFER_MIN,
					BUFFER_MAX);
		break;
	case OPT_COUNT:
		o->count = count_option(optarg);
		break;
	case OPT_HEX:
		o->hex = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_PORT:
		ports_option(o, optarg);
		break;
	case OPT_QUEUE:
		o->queue = size_option("--queue", optarg, QUEUE_MIN, QUEUE_MAX);
		break;
	case OPT_RING:
		o->ring = optarg;
		break;
	case OPT_SERVE:
		o->serve = optarg;
		break;
	case OPT_RATE:
		o->rate = number_option("--rate", optarg);
		break;
	case OPT_SPEED:
		o->speed = speed_option(optarg);
		break;
	case OPT_TEE:
		add_tee(o, optarg);
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

/* One that was given and does not go with MODE is named. */
static void
check_modes(const bool given[OPTIONS], enum mode mode, const char *what)
{
	for (const struct option *l = long_options; l->name; l++)
		if (given[l->val] && option_modes[l->val] &&
		    !(option_modes[l->val] & mode))
			cli_usage("flowrecv", "--%s does not go with %s",
				  l->name, what);
}

static void
check_capture(struct options *o, const bool given[OPTIONS])
{
	check_modes(given, MODE_CAPTURE, "--read");
	if (o->nwords > 0)
		cli_usage("flowrecv", "--read takes no ports; --port picks of "
				      "those in it");
	if (!o->to && (given[OPT_RATE] || given[OPT_SPEED]))
		cli_usage("flowrecv", "--rate and --speed go with --to");
	if (given[OPT_RATE] && given[OPT_SPEED])
		cli_usage("flowrecv", "--rate or --speed, not both");
	if (o->to && o->name)
		cli_usage("flowrecv", "--name does not go with --to");
	if (!given[OPT_RATE] && !given[OPT_SPEED])
		o->speed = 1;
}

/* A misspelt command is no port. */
static void
check_word(const char *word)
{
	char hint[NEAREST_HINT];

	if (strspn(word, "abcdefghijklmnopqrstuvwxyz") == strlen(word) &&
	    *client_hint(word, hint, sizeof(hint)))
		cli_usage("flowrecv", "'%s' is no command%s and no port", word,
			  hint);
}

static void
check(struct options *o, const bool given[OPTIONS])
{
	struct err e;

	if (o->verb) {
		check_modes(given, MODE_COMMAND, o->verb);
		if ((o->hex || o->count) && strcmp(o->verb, "trace") != 0)
			cli_usage("flowrecv", "--%s goes with trace only",
				  o->hex ? "hex" : "count");
		if (o->read)
			cli_usage("flowrecv", "--read does not go with %s",
				  o->verb);
	} else if (o->read) {
		check_capture(o, given);
	} else {
		check_modes(given, MODE_PORTS, "ports to listen on");
		if (o->nwords == 0 && !o->control && !o->state &&
		    handed_count() == 0)
			cli_usage("flowrecv", "say a port to listen on, "
					      "--control PATH to be told of "
					      "some, or --read FILE");
		if (o->nwords > 0)
			check_word(o->words[0]);
	}
	if (o->ring && !o->serve)
		cli_usage("flowrecv", "--ring goes with --serve: what is kept "
				      "is for readers that come back");
	if (o->name && binding_name_check(o->name, &e) != 0)
		cli_usage("flowrecv", "%s", e.text);
}

void
options_read(struct options *o, int argc, char **argv)
{
	bool given[OPTIONS] = {false};
	int c;

	*o = (struct options){.queue = default_queue(),
			      .buffer = BUFFER_DEFAULT};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "vhV", long_options, NULL)) != -1) {
		option_set(o, c, argv);
		given[c] = true;
	}
	if (optind < argc && client_is_verb(argv[optind]))
		o->verb = argv[optind++];
	o->words = argv + optind;
	o->nwords = (size_t)(argc - optind);
	check(o, given);
}

void
options_clear(struct options *o)
{
	allow_clear(&o->allow);
}
