/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowq: asks tables.
 *
 * in:    a query on the command line; tables below the root
 * out:   rows on stdout; hints and errors on stderr
 * keeps: nothing
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/quantity.h"
#include "common/table.h"
#include "flowq/console.h"
#include "flowq/help.h"
#include "flowq/output.h"
#include "flowq/session.h"
#include "flowq/spill.h"

static const char usage[] =
    "usage: flowq [-q] [--root DIR] [--format FORMAT] [--footer] [--utc] "
    "[--memory SIZE] [QUERY]\n"
    "\n"
    "Asks the tables that flowstore keeps.  Without QUERY a terminal gets a\n"
    "console, and else queries are read from standard input.  QUERY is\n"
    "commands joined by |:\n"
    "\n"
    "  table [from=T] [to=T] [duration=D] [order=asc] [offset=N] [limit=N]\n"
    "        NAME, ...\n"
    "  search [limit=N] EXPR        keep rows where EXPR is true\n"
    "  stats F, ... [by K, ...]     count, sum(x), avg(x), min(x), max(x),\n"
    "                               dc(x), median(x), first(x) and more\n"
    "  timechart [span=1m] F, ... [by K]\n"
    "  top [limit=N] K, ... [by F]  the largest groups, with their share\n"
    "  dedup K, ...                 the first row of each key\n"
    "  sort [limit=N] [-]F, ...     - for descending\n"
    "  limit [SKIP] N\n"
    "  fields F, ...                fields - F, ... drops them\n"
    "  rename F as NAME, ...\n"
    "  eval NAME = EXPR, ...\n"
    "  join [type=left] K, ... [ QUERY ]\n"
    "  union [ QUERY ]\n"
    "  lookup FILE K output F, ...  from a CSV file or MaxMind database\n"
    "  outputcsv PATH, outputjson PATH, import TABLE\n"
    "  csvfile PATH, jsonfile PATH, system tables|count|disk|exporters|\n"
    "        loggers|pipeline     instead of table\n"
    "\n"
    "  --root DIR         where the tables are (else FLOW_ROOT)\n"
    "  --format FORMAT    row, table, json, csv, tsv, msgpack or chart; "
    "without\n"
    "                     it table on a terminal, else row\n"
    "  --footer           end with the number of rows and the time it took\n"
    "  --units            large numbers of a table with units: 1.2M\n"
    "  --no-pager         none for what is longer than the terminal\n"
    "  --profile          say what was read, and how long it took, on stderr\n"
    "  --memory SIZE      at most for groups and rows (half of the "
    "machine's);\n"
    "                     what is more goes to temporary files\n"
    "  --tmp DIR          where those are (else TMPDIR, or /var/tmp)\n"
    "  --utc              times in the query are in UTC, not local\n"
    "  -q, --quiet        no hints about names that no row has\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "example: flowq 'table duration=1h netflows | search dst_port == 443 |\n"
    "         stats sum(octet_count) as octets by src_addr |\n"
    "         sort limit=10 -octets'\n";

enum {
	OPT_ROOT = 256,
	OPT_FORMAT,
	OPT_FOOTER,
	OPT_MEMORY,
	OPT_NO_PAGER,
	OPT_PROFILE,
	OPT_TMP,
	OPT_UNITS,
	OPT_UTC,
};

static size_t
memory(const char *text)
{
	uint64_t x;

	if (quantity_size(text, &x) || x < BUDGET_MIN)
		cli_usage("flowq",
			  "--memory: '%s' is no size of %d MiB or more (1G, "
			  "500M)",
			  text, BUDGET_MIN >> 20);
	return x < SIZE_MAX ? (size_t)x : SIZE_MAX;
}

/* An option that has a value; false if C is none. */
static bool
set_value(struct settings *o, int c, const char *arg)
{
	switch (c) {
	case OPT_ROOT:
		o->site.root = arg;
		break;
	case OPT_FORMAT:
		o->format = output_find(arg);
		if (o->format < 0)
			cli_usage("flowq", "unknown format %s (%s)", arg,
				  output_names);
		break;
	case OPT_MEMORY:
		o->site.memory = memory(arg);
		break;
	case OPT_TMP:
		o->site.tmp = arg;
		break;
	default:
		return false;
	}
	return true;
}

static void
parse_options(int argc, char **argv, struct settings *o)
{
	static const struct option longs[] = {
	    {"root", required_argument, NULL, OPT_ROOT},
	    {"format", required_argument, NULL, OPT_FORMAT},
	    {"footer", no_argument, NULL, OPT_FOOTER},
	    {"memory", required_argument, NULL, OPT_MEMORY},
	    {"no-pager", no_argument, NULL, OPT_NO_PAGER},
	    {"profile", no_argument, NULL, OPT_PROFILE},
	    {"tmp", required_argument, NULL, OPT_TMP},
	    {"units", no_argument, NULL, OPT_UNITS},
	    {"utc", no_argument, NULL, OPT_UTC},
	    {"quiet", no_argument, NULL, 'q'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hqV", longs, NULL)) != -1)
		switch (c) {
		case OPT_FOOTER:
			o->footer = true;
			break;
		case OPT_NO_PAGER:
			o->no_pager = true;
			break;
		case OPT_PROFILE:
			o->profile = true;
			break;
		case OPT_UNITS:
			o->units = true;
			break;
		case OPT_UTC:
			setenv("TZ", "UTC", 1);
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			cli_help(usage);
		case 'V':
			cli_version("flowq");
		default:
			if (!set_value(o, c, optarg))
				cli_bad_option("flowq", argv);
		}
}

/* "help TOPIC" in one word or two, as in the console; -1: it is a query. */
static int
help(char **words, int n)
{
	const char *topic = n > 1 ? words[1] : "";

	if (n == 1 && strncmp(words[0], "help ", 5) == 0)
		topic = words[0] + 5;
	else if (n > 2 || strcmp(words[0], "help") != 0)
		return -1;
	return help_print(stdout, topic, strlen(topic)) ? EXIT_USAGE
							: EXIT_DONE;
}

int
main(int argc, char **argv)
{
	struct settings set = {
	    .format = -1,
	    .site = {.memory = budget_default(), .tmp = budget_dir()}};
	char root[4096];
	struct err err;
	int rc;

	log_init("flowq");
	parse_options(argc, argv, &set);
	if (optind < argc && (rc = help(argv + optind, argc - optind)) >= 0)
		return rc;
	if (argc - optind > 1)
		cli_usage("flowq", "one query, in quotes");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	tzset();
	if (table_root(set.site.root, root, sizeof root, &err)) {
		log_line("%s", err.text);
		return EXIT_FAILED;
	}
	set.site.root = root;
	if (optind < argc)
		return session_ask(&set, argv[optind], strlen(argv[optind]));
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)
		   ? console_run(&set)
		   : console_script(&set, STDIN_FILENO);
}
