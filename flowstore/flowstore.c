/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore: appends records to a table.
 *
 * in:    a record stream (flowrecord(5)) on stdin
 * out:   nothing
 * keeps: a table (flowtable(5)) below the root
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/nearest.h"
#include "common/quantity.h"
#include "common/record.h"
#include "common/stage.h"
#include "common/table.h"
#include "common/text.h"
#include "flowstore/command.h"
#include "flowstore/counts.h"
#include "flowstore/serve.h"
#include "flowstore/writer.h"

enum {
	TICK_MS = 100,
	ROWS_GATHER = 4096, /* rows that make a batch at once */
	KEEP_BYTES = 128 << 20,
};

#define SEGMENT_SIZE_MAX (UINT64_C(1) << 40)

static const char usage_head[] =
    "usage: flowstore [-v] [--root DIR] [--host NAME] TABLE\n"
    "       flowstore serve --accept PATH [-v] [--root DIR]\n";

static const char usage_tail[] =
    "\n"
    "Reads a record stream (from flowlog or flowdecode) on stdin and appends\n"
    "it to a table, which is made if it is missing.  What was read is\n"
    "committed within a second.  serve takes such streams on a Unix socket,\n"
    "for the tables that flowlog names, each record once.  The rest look\n"
    "after tables: flowstore COMMAND --help.\n"
    "\n"
    "  --root DIR           where tables are; without it $FLOW_ROOT, else\n"
    "                       /var/lib/flow or ~/.local/share/flow\n"
    "  --accept PATH        of the socket\n"
    "  --host NAME          stored in each record as _host\n"
    "  --segment-size SIZE  begin a new file at this size (1G)\n"
    "  --segment-age AGE    or at this age (1d)\n"
    "  --min-free PART|SIZE  keep so much of the disk free (5%)\n"
    "  --when-full WHAT     then stop (and go on when there is room) or\n"
    "                       remove-oldest\n"
    "  --metrics ADDRESS:PORT  serve the counters to Prometheus, over HTTP\n"
    "  -v, --verbose        counters on stderr at the end (SIGUSR1: at once)\n"
    "\n"
    "  --format FORMAT      csv, json or msgpack (by the file's name)\n"
    "  --apply              remove now what retention lets go\n"
    "  --json               one JSON object a line\n"
    "  --backup             what is checked are backups\n"
    "  --repair             drop what is damaged, keep the rest\n"
    "  -y, --yes            do not ask\n"
    "  -h, --help           this text, or how a command is called\n"
    "  -V, --version        the version\n";

struct flowstore {
	struct shapes *shapes;
	struct record_reader *reader;
	struct writer *writer;
	struct stage stage;
	const char *host;    /* NULL: none */
	const char *accept;  /* path of a socket; NULL: stdin */
	const char *metrics; /* where to serve them; NULL: nowhere */
	bool verbose;
};

static int
store_rows(struct flowstore *f, uint32_t min, struct err *err)
{
	const struct batch *b;

	while ((b = record_reader_take(f->reader, min)))
		if (writer_add(f->writer, b, err))
			return -1;
	return 0;
}

static int
new_reader(struct flowstore *f, struct err *err)
{
	f->shapes = shapes_new(SHAPES_MAX);
	f->reader = f->shapes ? record_reader_new(f->shapes) : NULL;
	return f->reader ? 0 : err_set(err, "out of memory");
}

/* The reader's shapes are bounded for one time of use, not for ever. */
static int
renew_reader(struct flowstore *f, struct err *err)
{
	if (!shapes_crowded(f->shapes))
		return 0;
	if (store_rows(f, 1, err))
		return -1;
	writer_forget_shapes(f->writer);
	record_reader_free(f->reader);
	shapes_free(f->shapes);
	f->reader = NULL;
	return new_reader(f, err);
}

/* Input waits while the writer has no room. */
static int
tick(struct flowstore *f, struct err *err)
{
	if (writer_tick(f->writer, err))
		return -1;
	stage_pause(&f->stage, writer_holds(f->writer));
	return 0;
}

static int
on_object(void *ctx, const char *obj, size_t len, struct err *err)
{
	struct flowstore *f = ctx;
	const struct batch *b;
	int rc;

	if (renew_reader(f, err))
		return -1;
	rc = record_read(f->reader, obj, len, &b, err);
	if (rc < 0)
		return -1;
	rc = rc ? writer_add(f->writer, b, err)
		: store_rows(f, ROWS_GATHER, err);
	return rc ? -1 : tick(f, err);
}

static int
on_tick(void *ctx, struct err *err)
{
	struct flowstore *f = ctx;

	return store_rows(f, 1, err) ? -1 : tick(f, err);
}

static void
report(void *ctx)
{
	const struct flowstore *f = ctx;

	counts_say(writer_stats(f->writer));
}

static void
measure(void *ctx, struct metrics *m)
{
	const struct flowstore *f = ctx;

	counts_measure(writer_stats(f->writer), m);
}

/* A full disk is waited for: the signal that ends the wait kills. */
static int
finish(struct flowstore *f, struct err *err)
{
	const struct timespec pause = {.tv_nsec = 500000000};
	int rc = store_rows(f, 1, err);

	if (rc == 0)
		rc = writer_finish(f->writer, err);
	for (; rc > 0; rc = writer_finish(f->writer, err))
		nanosleep(&pause, NULL);
	return rc;
}

/* What gathered is stored whether the input ended well or not. */
static int
run(struct flowstore *f, struct err *err)
{
	struct err later, *e;
	int rc;

	f->stage = (struct stage){
	    .ctx = f,
	    .object = on_object,
	    .tick = on_tick,
	    .tick_ms = TICK_MS,
	    .report = report,
	    .metrics = f->metrics,
	    .measure = measure,
	};
	rc = stage_run(&f->stage, STDIN_FILENO, err);
	e = rc ? &later : err;
	return finish(f, e) != 0 ? -1 : rc;
}

static uint64_t
size(const char *text)
{
	uint64_t x;

	if (quantity_size(text, &x) != 0)
		cli_usage("flowstore",
			  "--segment-size: '%s' is no size (1G, 500M)", text);
	return x < SEGMENT_SIZE_MAX ? x : SEGMENT_SIZE_MAX;
}

static int64_t
age(const char *text)
{
	uint64_t x;

	/* a number alone is of seconds */
	if (quantity_age(text, &x) != 0 &&
	    (quantity_plain(text, &x) != 0 || x == 0))
		cli_usage("flowstore",
			  "--segment-age: '%s' is no age (1d, 12h)", text);
	return x < INT32_MAX ? (int64_t)x : INT32_MAX;
}

/* "5%" or a size; 0 is none. */
static void
min_free(const char *text, struct keeper_options *k)
{
	size_t len = strlen(text);
	char *end;
	double part;

	k->min_free = 0;
	k->min_free_part = 0;
	if (strcmp(text, "0") == 0 || quantity_size(text, &k->min_free) == 0)
		return;
	part = strtod(text, &end);
	if (len < 2 || end != text + len - 1 || *end != '%' ||
	    !(part >= 0 && part < 100))
		cli_usage("flowstore",
			  "--min-free: '%s' is no part (5%%) and no size (10G)",
			  text);
	k->min_free_part = part / 100;
}

static bool
when_full(const char *text)
{
	if (strcmp(text, "remove-oldest") == 0)
		return true;
	if (strcmp(text, "stop") != 0)
		cli_usage("flowstore",
			  "--when-full: '%s' is not stop or remove-oldest",
			  text);
	return false;
}

/* The words that are no options: TABLE, or serve. */
static void
parse_words(int argc, char **argv, struct writer_options *o,
	    const struct flowstore *f)
{
	char hint[NEAREST_HINT], text[256];

	if (optind < argc && strcmp(argv[optind], "serve") == 0) {
		if (!f->accept)
			cli_usage("flowstore", "serve where? flowstore serve "
					       "--accept PATH");
		if (f->host)
			cli_usage("flowstore", "serve does not take --host: "
					       "flowlog --host says it");
		if (optind + 1 < argc)
			cli_usage("flowstore",
				  "'%s': flowlog --table says the table",
				  argv[optind + 1]);
		return;
	}
	if (f->accept)
		cli_usage("flowstore",
			  "--accept goes with serve: flowstore serve "
			  "--accept PATH");
	if (optind == argc)
		cli_usage("flowstore", "which table? flowstore TABLE");
	o->table = argv[optind];
	command_hint(o->table, hint, sizeof(hint));
	if (optind + 1 < argc)
		cli_usage("flowstore", "%s %s ...: '%s' is no command%s",
			  o->table, argv[optind + 1], o->table, hint);
	if (command_is_verb(o->table))
		cli_usage("flowstore", "'%s' is a command, no table's name",
			  o->table);
	snprintf(text, sizeof(text),
		 "flowrecv 9090 | flowdecode | flowstore "
		 "%s%s",
		 o->table, hint);
	cli_refuse_terminal("flowstore", "records", text);
}

static void __attribute__((noreturn)) help(void)
{
	static char text[8192];
	size_t n = sizeof(usage_head) - 1, tail = sizeof(usage_tail);

	memcpy(text, usage_head, n);
	command_synopses(text + n, sizeof(text) - n - tail);
	n += strlen(text + n);
	memcpy(text + n, usage_tail, tail);
	cli_help(text);
}

static void
parse(int argc, char **argv, struct writer_options *o, struct flowstore *f)
{
	enum { ROOT = 256, ACCEPT, HOST, SIZE, AGE, FREE, FULL, METRICS };
	static const struct option longs[] = {
	    {"root", required_argument, NULL, ROOT},
	    {"accept", required_argument, NULL, ACCEPT},
	    {"host", required_argument, NULL, HOST},
	    {"segment-size", required_argument, NULL, SIZE},
	    {"segment-age", required_argument, NULL, AGE},
	    {"metrics", required_argument, NULL, METRICS},
	    {"min-free", required_argument, NULL, FREE},
	    {"when-full", required_argument, NULL, FULL},
	    {"verbose", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hvV", longs, NULL)) != -1) {
		switch (c) {
		case ROOT:
			o->root = optarg;
			break;
		case ACCEPT:
			f->accept = optarg;
			break;
		case HOST:
			f->host = optarg;
			break;
		case SIZE:
			o->keep.segment_size = size(optarg);
			break;
		case AGE:
			o->keep.segment_age = age(optarg);
			break;
		case FREE:
			min_free(optarg, &o->keep);
			break;
		case FULL:
			o->keep.remove_oldest = when_full(optarg);
			break;
		case METRICS:
			f->metrics = optarg;
			break;
		case 'v':
			f->verbose = true;
			break;
		case 'h':
			help();
		case 'V':
			cli_version("flowstore");
		default:
			cli_bad_option("flowstore", argv);
		}
	}
	parse_words(argc, argv, o, f);
}

static void
clear(struct flowstore *f)
{
	writer_free(f->writer);
	record_reader_free(f->reader);
	shapes_free(f->shapes);
}

/* Blocks come and go by the megabyte; memory given back to the system each time
 * has to be cleared by it each time. */
static void
keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
#endif
}

/* stdin, to one table. */
static int
store(struct flowstore *f, const struct writer_options *o, struct err *err)
{
	int rc = -1;

	f->writer = writer_new(o, err);
	if (!f->writer)
		return -1;
	writer_set_host(f->writer, f->host);
	if (new_reader(f, err) == 0)
		rc = run(f, err);
	if (f->verbose)
		report(f);
	clear(f);
	return rc;
}

static int
serve(const struct flowstore *f, const struct writer_options *o,
      struct err *err)
{
	const struct serve_options so = {
	    .path = f->accept,
	    .metrics = f->metrics,
	    .verbose = f->verbose,
	    .writer = *o,
	};

	return serve_run(&so, err);
}

int
main(int argc, char **argv)
{
	struct writer_options o = {.keep = KEEPER_DEFAULTS};
	struct flowstore f = {0};
	struct err err = {0};
	char root[PATH_MAX];
	int rc;

	const struct command *command = command_find(argc, argv);

	log_init("flowstore");
	signal(SIGXFSZ, SIG_IGN); /* writing says so itself */
	keep_memory();
	if (command)
		return command_main(command, argc, argv);
	stage_hold_signals();
	parse(argc, argv, &o, &f);
	rc = table_root(o.root, root, sizeof(root), &err);
	o.root = root;
	if (rc == 0)
		rc = f.accept ? serve(&f, &o, &err) : store(&f, &o, &err);
	if (rc == 0)
		return EXIT_DONE;
	log_line("%s", err.text);
	return EXIT_FAILED;
}
