/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowlog: passes on the records that are wanted, with the fields that are
 * wanted, as batches or as text.
 *
 * in:    a record stream (flowrecord(5)) on stdin
 * out:   a record stream, or JSON, CSV or TSV, on stdout
 * keeps: nothing but counters
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/record.h"
#include "common/stage.h"
#include "common/text.h"
#include "flowlog/filter.h"
#include "flowlog/setting.h"
#include "flowlog/sink.h"
#include "flowlog/view.h"

enum {
	ROWS_GATHER = 4096, /* rows that make a batch at once */
	ROWS_WAIT_MS = 100, /* how long fewer wait for more */
	SHAPES_SPARE = 16,
};

static const char usage[] =
    "usage: flowlog [-v] [STEP]... [--format FORMAT]\n"
    "\n"
    "Reads a record stream (from flowdecode) on stdin and writes what is\n"
    "wanted of it on stdout.  Steps are taken in the order given:\n"
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
    "  --format FORMAT      batch, rows (msgpack maps), json, csv or tsv;\n"
    "                       without it json on a terminal, else batch\n"
    "  --metrics ADDRESS:PORT  serve the counters to Prometheus, over HTTP\n"
    "  -v, --verbose        counters on stderr at the end (SIGUSR1: at once)\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n";

struct flowlog {
	struct shapes *shapes;
	struct record_reader *reader;
	struct filter *filters;
	struct view *view;
	struct sink *sink;
	uint64_t batches, records, passed;
};

struct options {
	struct settings settings;
	const char *format, *metrics;
	bool verbose;
};

static int
process(struct flowlog *f, const struct batch *b, const char *obj, size_t len,
	struct err *err)
{
	view_start(f->view, b, obj, len);
	if (filters_apply(f->filters, f->view, err))
		return -1;
	f->batches++;
	f->records += b->rows;
	f->passed += f->view->rows;
	return sink_put(f->sink, f->view, f->shapes, err);
}

static int
process_rows(struct flowlog *f, uint32_t min, struct err *err)
{
	const struct batch *b;

	while ((b = record_reader_take(f->reader, min)))
		if (process(f, b, NULL, 0, err))
			return -1;
	return 0;
}

static int
new_reader(struct flowlog *f, struct err *err)
{
	f->shapes = shapes_new(SHAPES_MAX);
	f->reader = f->shapes ? record_reader_new(f->shapes) : NULL;
	return f->reader ? 0 : err_set(err, "out of memory");
}

/* Batches explain themselves, so shapes met long ago may be forgotten: a
 * stream that runs for months may have more than there is room for. */
static int
renew_reader(struct flowlog *f, struct err *err)
{
	if (shapes_count(f->shapes) < SHAPES_MAX - SHAPES_SPARE)
		return 0;
	if (process_rows(f, 1, err) || sink_flush(f->sink, err))
		return -1;
	record_reader_free(f->reader);
	shapes_free(f->shapes);
	f->reader = NULL;
	return new_reader(f, err);
}

static int
on_object(void *ctx, const char *obj, size_t len, struct err *err)
{
	struct flowlog *f = ctx;
	const struct batch *b;
	int rc;

	if (renew_reader(f, err))
		return -1;
	rc = record_read(f->reader, obj, len, &b, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return process_rows(f, ROWS_GATHER, err);
	return process(f, b, obj, len, err);
}

static int
on_drained(void *ctx, struct err *err)
{
	struct flowlog *f = ctx;

	return sink_flush(f->sink, err);
}

static int
on_tick(void *ctx, struct err *err)
{
	struct flowlog *f = ctx;

	return process_rows(f, 1, err) || sink_flush(f->sink, err) ? -1 : 0;
}

static void
report(void *ctx)
{
	const struct flowlog *f = ctx;

	log_line("records: in %" PRIu64 ", filtered %" PRIu64
		 ", dropped %" PRIu64 ", out %" PRIu64 " (in %" PRIu64
		 " batches)",
		 f->records, filters_removed(f->filters, false),
		 filters_removed(f->filters, true), f->passed, f->batches);
}

static void
measure(void *ctx, struct metrics *m)
{
	const struct flowlog *f = ctx;

	metrics_counter(m, "flowlog_records_in_total", "Records read");
	metrics_value(m, f->records);
	metrics_counter(m, "flowlog_records_filtered_total",
			"Records that filters did not let through");
	metrics_value(m, filters_removed(f->filters, false));
	metrics_counter(m, "flowlog_records_dropped_total",
			"Records that transformers dropped");
	metrics_value(m, filters_removed(f->filters, true));
	metrics_counter(m, "flowlog_records_out_total", "Records passed on");
	metrics_value(m, f->passed);
	metrics_counter(m, "flowlog_batches_total", "Batches read");
	metrics_value(m, f->batches);
}

/* A table of text has the columns that are known before any record. */
static int
set_columns(struct flowlog *f, struct err *err)
{
	struct names names;

	filters_names(f->filters, &names);
	return names.n ? sink_columns(f->sink, names.names, names.n, err) : 0;
}

static int
set_up(struct flowlog *f, const struct options *o, struct err *err)
{
	bool terminal = isatty(STDOUT_FILENO);
	const char *format = o->format;
	size_t bad;

	if (!format)
		format = terminal ? "json" : "batch";
	f->sink = sink_new(format, STDOUT_FILENO, err);
	if (!f->sink)
		cli_usage("flowlog", "--format: %s", err->text);
	if (terminal && sink_type(f->sink) != SINK_TEXT)
		cli_usage("flowlog",
			  "--format: %s is not for a terminal; send it to a "
			  "file or a program, or use json",
			  format);
	f->view = view_new();
	if (!f->view)
		return err_set(err, "out of memory");
	if (settings_filters(&o->settings, sink_type(f->sink) != SINK_TEXT,
			     &f->filters, &bad, err))
		cli_usage("flowlog", "--%s", err->text);
	return set_columns(f, err) || new_reader(f, err) ? -1 : 0;
}

static void
clear(struct flowlog *f)
{
	filters_free(f->filters);
	view_free(f->view);
	sink_free(f->sink);
	record_reader_free(f->reader);
	shapes_free(f->shapes);
}

/* What gathered is written whether the input ended well or not. */
static int
run(struct flowlog *f, const struct options *o, struct err *err)
{
	struct stage stage = {
	    .ctx = f,
	    .object = on_object,
	    .drained = on_drained,
	    .tick = on_tick,
	    .tick_ms = ROWS_WAIT_MS,
	    .report = report,
	    .metrics = o->metrics,
	    .measure = measure,
	};
	struct err later;
	int rc = stage_run(&stage, STDIN_FILENO, err);

	if (rc && err->code == EPIPE)
		return -1;
	if (process_rows(f, 1, rc ? &later : err) ||
	    sink_finish(f->sink, rc ? &later : err))
		return -1;
	return rc;
}

static void
parse(int argc, char **argv, struct options *o)
{
	enum { SETTING = 256, FORMAT = SETTING + SETTINGS, INVERT, METRICS };
	static const struct option longs[] = {
	    {"source-id", required_argument, NULL, SETTING + SETTING_SOURCE_ID},
	    {"exporter", required_argument, NULL, SETTING + SETTING_EXPORTER},
	    {"fields", required_argument, NULL, SETTING + SETTING_FIELDS},
	    {"where", required_argument, NULL, SETTING + SETTING_WHERE},
	    {"tag", required_argument, NULL, SETTING + SETTING_TAG},
	    {"rename", required_argument, NULL, SETTING + SETTING_RENAME},
	    {"eval", required_argument, NULL, SETTING + SETTING_EVAL},
	    {"match", required_argument, NULL, SETTING + SETTING_MATCH},
	    {"invert", no_argument, NULL, INVERT},
	    {"format", required_argument, NULL, FORMAT},
	    {"metrics", required_argument, NULL, METRICS},
	    {"verbose", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	struct err err;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hvV", longs, NULL)) != -1) {
		switch (c) {
		case SETTING ... SETTING + SETTINGS - 1:
			if (settings_add(&o->settings,
					 (enum setting_kind)(c - SETTING),
					 optarg, &err))
				cli_usage("flowlog", "--%s", err.text);
			break;
		case INVERT:
			if (settings_invert(&o->settings, &err))
				cli_usage("flowlog", "--invert: %s", err.text);
			break;
		case FORMAT:
			o->format = optarg;
			break;
		case METRICS:
			o->metrics = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			cli_help(usage);
		case 'V':
			cli_version("flowlog");
		default:
			cli_bad_option("flowlog", argv);
		}
	}
	if (optind < argc)
		cli_usage("flowlog",
			  "'%s': it reads stdin and takes no "
			  "arguments but options",
			  argv[optind]);
}

int
main(int argc, char **argv)
{
	struct flowlog f = {0};
	struct options o = {0};
	struct err err = {0};
	int rc;

	stage_hold_signals();
	log_init("flowlog");
	parse(argc, argv, &o);
	rc = set_up(&f, &o, &err);
	if (rc == 0) {
		rc = run(&f, &o, &err);
		filters_finish(f.records ? f.filters : NULL);
	}
	if (o.verbose)
		report(&f);
	settings_clear(&o.settings);
	clear(&f);
	/* A reader that has seen enough is no failure: flowlog | head. */
	if (rc == 0 || err.code == EPIPE)
		return EXIT_DONE;
	log_line("%s", err.text);
	return EXIT_FAILED;
}
