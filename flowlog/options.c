/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/options.h"

#include <getopt.h>
#include <string.h>

#include "common/cli.h"
#include "common/nearest.h"
#include "flowlog/command.h"

static const char usage[] =
    "usage: flowlog [-v] [STEP]... [--format FORMAT]\n"
    "       flowlog create | update [STEP]... [--table TABLE] [--host HOST]\n"
    "               NAME\n"
    "       flowlog list\n"
    "       flowlog show | start | stop | remove | trace | last | run  NAME\n"
    "\n"
    "Reads a record stream (from flowdecode) on stdin and writes what is\n"
    "wanted of it on stdout; or looks after loggers that have a name and do\n"
    "that between sockets.  Steps are taken in the order given:\n"
    "\n"
    "  --source-id 71,106   only records of these source ids\n"
    "  --exporter 10.0.0.0/8,2001:db8::1\n"
    "                       only records of these exporters\n"
    "  --where EXPR         only records for which EXPR is true:\n"
    "                       'dst_port == 443 and octet_count > 1M' or\n"
    "                       'src net 10.0.0.0/8 and proto tcp'\n"
    "  --match FIELD=REGEX [--invert]\n"
    "                       drops records whose field does not match (or,\n"
    "                       inverted, does) and counts them as dropped\n"
    "  --fields a,b*        only these fields, in this order\n"
    "  --fields -a,-b*      all fields but these\n"
    "  --rename OLD=NEW     a field under another name\n"
    "  --eval 'NAME = EXPR' a field that is worked out\n"
    "  --tag NAME=TEXT      the same text in every record\n"
    "\n"
    "As a filter:\n"
    "  --format FORMAT      batch, rows (msgpack maps), json, csv, tsv or\n"
    "                       row; without it json on a terminal, else batch\n"
    "  --from unix:PATH     read from this socket, flowdecode's\n"
    "  --to unix:PATH       write to this socket, flowstore's\n"
    "  --table TABLE, --host HOST, --name NAME\n"
    "                       what to say there\n"
    "  --metrics ADDRESS:PORT  serve the counters to Prometheus, over HTTP\n"
    "  -v, --verbose        counters on stderr at the end (SIGUSR1: at once)\n"
    "\n"
    "Of loggers with a name:\n"
    "  --description TEXT, --table TABLE, --host HOST, --from, --to\n"
    "                       of create and update\n"
    "  --json               of list and show\n"
    "  --config DIR         where definitions are (/etc/flow/loggers)\n"
    "  --state DIR          where counters are kept (/var/lib/flowlog)\n"
    "  --init systemd|none  how start and stop go (by what there is)\n"
    "\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n";

enum {
	OPTION_STEP = 256,
	OPTION_TEXT = OPTION_STEP + SETTINGS,
	OPTION_INVERT = OPTION_TEXT + LOGGER_TEXTS,
	OPTION_FORMAT,
	OPTION_METRICS,
	OPTION_NAME,
	OPTION_CONFIG,
	OPTION_STATE,
	OPTION_JSON,
	OPTION_INIT,
};

enum { CLASSES = 7 };

/* What an option is part of. */
static unsigned
class_of(int c)
{
	if (c >= OPTION_STEP && c <= OPTION_INVERT)
		return TAKES_STEPS;
	switch (c) {
	case OPTION_FORMAT:
		return TAKES_FORMAT;
	case OPTION_METRICS:
		return TAKES_METRICS;
	case OPTION_NAME:
	case 'v':
		return TAKES_FILTER;
	case OPTION_CONFIG:
	case OPTION_STATE:
		return TAKES_DIRS;
	case OPTION_JSON:
		return TAKES_JSON;
	case OPTION_INIT:
		return TAKES_INIT;
	default:
		return 0;
	}
}

static void
take_step(struct options *o, int kind, const char *text)
{
	struct err e;

	if (settings_add(&o->steps, (enum setting_kind)kind, text, &e))
		cli_usage("flowlog", "--%s", e.text);
}

static void
take(struct options *o, int c)
{
	struct err e;

	switch (c) {
	case OPTION_STEP ... OPTION_STEP + SETTINGS - 1:
		take_step(o, c - OPTION_STEP, optarg);
		break;
	case OPTION_TEXT ... OPTION_TEXT + LOGGER_TEXTS - 1:
		o->texts[c - OPTION_TEXT] = optarg;
		break;
	case OPTION_INVERT:
		if (settings_invert(&o->steps, &e))
			cli_usage("flowlog", "--invert: %s", e.text);
		break;
	case OPTION_FORMAT:
		o->format = optarg;
		break;
	case OPTION_METRICS:
		o->metrics = optarg;
		break;
	case OPTION_NAME:
		o->name = optarg;
		break;
	case OPTION_CONFIG:
		o->config = optarg;
		break;
	case OPTION_STATE:
		o->state = optarg;
		break;
	case OPTION_JSON:
		o->json = true;
		break;
	case OPTION_INIT:
		if (strcmp(optarg, "systemd") != 0 &&
		    strcmp(optarg, "none") != 0)
			cli_usage("flowlog",
				  "--init: '%s' is not systemd or none",
				  optarg);
		o->init = optarg;
		break;
	case 'v':
		o->verbose = true;
		break;
	}
}

static const struct verb *
find_verb(const char *word)
{
	char hint[NEAREST_HINT];
	struct nearest near;

	nearest_init(&near, word, strlen(word));
	for (const struct verb *v = verbs; v->name; v++) {
		if (strcmp(v->name, word) == 0)
			return v;
		nearest_try(&near, v->name);
	}
	cli_usage("flowlog",
		  "'%s' is no command%s (as a filter it reads stdin and takes "
		  "no arguments but options)",
		  word, nearest_hint(&near, hint, sizeof hint));
}

static void
take_words(struct options *o, char **words, int n)
{
	if (n == 0)
		return;
	o->verb = find_verb(words[0]);
	if (o->verb->named && n == 1)
		cli_usage("flowlog", "which logger? flowlog %s NAME",
			  o->verb->name);
	if (n > 1 + o->verb->named)
		cli_usage("flowlog", "'%s': %s takes %s", words[n - 1],
			  o->verb->name,
			  o->verb->named ? "one name" : "no name");
	o->logger = o->verb->named ? words[1] : NULL;
}

static void
check_options(const struct verb *verb, unsigned takes,
	      const char *const said[CLASSES])
{
	for (unsigned i = 0; i < CLASSES; i++)
		if (said[i] && !(takes >> i & 1))
			cli_usage("flowlog", "--%s is no option of %s%s",
				  said[i], verb ? "flowlog " : "a filter",
				  verb ? verb->name : "");
}

void
options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
#define STEP(name, kind) \
	{name, required_argument, NULL, OPTION_STEP + SETTING_##kind}
#define TEXT(name, kind)                                                   \
	{                                                                  \
		name, required_argument, NULL, OPTION_TEXT + LOGGER_##kind \
	}
	    STEP("source-id", SOURCE_ID),
	    STEP("exporter", EXPORTER),
	    STEP("fields", FIELDS),
	    STEP("where", WHERE),
	    STEP("tag", TAG),
	    STEP("rename", RENAME),
	    STEP("eval", EVAL),
	    STEP("match", MATCH),
	    TEXT("description", DESCRIPTION),
	    TEXT("table", TABLE),
	    TEXT("host", HOST),
	    TEXT("from", FROM),
	    TEXT("to", TO),
#undef STEP
#undef TEXT
	    {"invert", no_argument, NULL, OPTION_INVERT},
	    {"format", required_argument, NULL, OPTION_FORMAT},
	    {"metrics", required_argument, NULL, OPTION_METRICS},
	    {"name", required_argument, NULL, OPTION_NAME},
	    {"config", required_argument, NULL, OPTION_CONFIG},
	    {"state", required_argument, NULL, OPTION_STATE},
	    {"json", no_argument, NULL, OPTION_JSON},
	    {"init", required_argument, NULL, OPTION_INIT},
	    {"verbose", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	static const unsigned filter =
	    TAKES_STEPS | TAKES_FORMAT | TAKES_METRICS | TAKES_FILTER;
	const char *said[CLASSES] = {NULL}; /* an option of each class */
	int c, index = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hvV", longs, &index)) != -1) {
		if (c == 'h')
			cli_help(usage);
		if (c == 'V')
			cli_version("flowlog");
		if (c == '?')
			cli_bad_option("flowlog", argv);
		take(o, c);
		said[__builtin_ctz(class_of(c))] =
		    c == 'v' ? "verbose" : longs[index].name;
	}
	take_words(o, argv + optind, argc - optind);
	check_options(o->verb, o->verb ? o->verb->takes : filter, said);
}

void
options_clear(struct options *o)
{
	settings_clear(&o->steps);
}
