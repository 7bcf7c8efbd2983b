/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * in:    datagrams, on UDP ports or in a capture
 * out:   a datagram stream, flowdatagram(5); JSON lines on a terminal
 * keeps: nothing
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/datagram.h"
#include "common/log.h"
#include "common/text.h"
#include "flowrecv/binding.h"
#include "flowrecv/receiver.h"
#include "flowrecv/replay.h"

static const char usage[] =
    "usage: flowrecv [-v] [--queue BYTES] [--receive-buffer BYTES]\n"
    "                [NAME=][ADDRESS:]PORT ...\n"
    "       flowrecv [-v] [--name NAME] [--port PORT,...] --read FILE|-\n"
    "Receives flow datagrams and writes them to standard output.\n"
    "\n"
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
	PORTS_BYTES = 65536 / 8,
};

struct options {
	uint64_t queue, buffer;
	const char *read, *name;
	uint8_t ports[PORTS_BYTES]; /* bitmap, used if some_ports */
	bool some_ports;
	bool verbose, live; /* live: an option that --read has no use for */
	char **bindings;
	size_t nbindings;
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

enum { OPT_QUEUE = 256, OPT_BUFFER, OPT_READ, OPT_NAME, OPT_PORT };

static const struct option long_options[] = {
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
	switch (c) {
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

static void
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
			  "--read takes no ports, --queue or --receive-buffer");
	if (!o->read && (o->name || o->some_ports))
		cli_usage("flowrecv",
			  "--name and --port go with --read; a port to listen "
			  "on is named NAME=PORT");
	if (o->name && binding_name_check(o->name, &e) != 0)
		cli_usage("flowrecv", "%s", e.text);
}

/* Says why the program ends early. */
static int
failed(const struct err *e)
{
	if (e->code == EPIPE)
		log_line("the reader of the output is gone");
	else
		log_line("%s", e->text);
	return EXIT_FAILED;
}

static int
run_replay(const struct options *o)
{
	const char *name = o->name ? o->name : "default";
	const uint8_t *ports = o->some_ports ? o->ports : NULL;
	struct replay r;
	struct err e;
	int rc = EXIT_DONE;

	if (replay_init(&r, o->read, name, ports, STDOUT_FILENO, &e) != 0 ||
	    replay_run(&r, &e) != 0)
		rc = failed(&e);
	replay_report(&r, o->verbose);
	replay_clear(&r);
	return rc;
}

/* All names are checked before any port is opened. */
static int
parse_bindings(const struct options *o, struct binding *b, struct err *e)
{
	for (size_t i = 0; i < o->nbindings; i++) {
		if (binding_parse(&b[i], o->bindings[i], e) != 0)
			return -1;
		if (o->nbindings == 1 && !strchr(o->bindings[0], '='))
			binding_rename(&b[i], "default", e);
		for (size_t j = 0; j < i; j++)
			if (strcmp(b[i].name, b[j].name) == 0)
				return err_set(
				    e,
				    "two bindings are named %s: name "
				    "them apart with NAME=",
				    b[i].name);
	}
	return 0;
}

static int
open_bindings(const struct options *o, struct binding *b, struct receiver *r,
	      struct err *e)
{
	for (size_t i = 0; i < o->nbindings; i++) {
		if (binding_open(&b[i], o->buffer, e) != 0 ||
		    receiver_add(r, &b[i], e) != 0)
			return -1;
		if (o->verbose)
			log_line("%s: listening on %s, receive buffer %zu "
				 "bytes",
				 b[i].name, b[i].where, b[i].buffer);
	}
	return 0;
}

static int
run_receiver(const struct options *o)
{
	struct binding *b = calloc(o->nbindings, sizeof(*b));
	static struct receiver r;
	struct err e;
	int rc = EXIT_DONE;

	if (!b) {
		log_line("out of memory");
		return EXIT_FAILED;
	}
	if (parse_bindings(o, b, &e) != 0) {
		free(b);
		cli_usage("flowrecv", "%s", e.text);
	}
	if (receiver_init(&r, STDOUT_FILENO, o->queue, &e) != 0 ||
	    open_bindings(o, b, &r, &e) != 0 || receiver_run(&r, &e) != 0)
		rc = failed(&e);
	if (o->verbose || receiver_lost(&r))
		receiver_report(&r);
	for (size_t i = 0; i < o->nbindings; i++)
		binding_close(&b[i]);
	receiver_clear(&r);
	free(b);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o;

	log_init("flowrecv");
	signal(SIGUSR1, SIG_IGN); /* outside the loop there is no answer */
	options_read(&o, argc, argv);
	return o.read ? run_replay(&o) : run_receiver(&o);
}
