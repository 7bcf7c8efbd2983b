/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowlog: passes on the records that are wanted, with the fields that are
 * wanted, as batches or as text; and looks after loggers that do so between
 * sockets.
 *
 * in:    a record stream (flowrecord(5)) on stdin or from a socket
 * out:   a record stream, or JSON, CSV or TSV, on stdout or to a socket
 * keeps: definitions and counters of loggers
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "flowlog/command.h"
#include "flowlog/options.h"
#include "flowlog/relay.h"

static void
report(void *ctx)
{
	const struct pass *p = ((const struct relay *)ctx)->pass;

	log_line("records: in %" PRIu64 ", filtered %" PRIu64
		 ", dropped %" PRIu64 ", out %" PRIu64 " (in %" PRIu64
		 " batches)",
		 p->records, pass_filtered(p), pass_dropped(p), p->passed,
		 p->batches);
}

static void
measure(void *ctx, struct metrics *m)
{
	const struct pass *p = ((const struct relay *)ctx)->pass;

	metrics_counter(m, "flowlog_records_in_total", "Records read");
	metrics_value(m, p->records);
	metrics_counter(m, "flowlog_records_filtered_total",
			"Records that filters did not let through");
	metrics_value(m, pass_filtered(p));
	metrics_counter(m, "flowlog_records_dropped_total",
			"Records that transformers dropped");
	metrics_value(m, pass_dropped(p));
	metrics_counter(m, "flowlog_records_out_total", "Records passed on");
	metrics_value(m, p->passed);
	metrics_counter(m, "flowlog_batches_total", "Batches read");
	metrics_value(m, p->batches);
}

/* Where it goes, if not to a socket. */
static struct sink *
open_sink(const struct options *o)
{
	bool terminal = isatty(STDOUT_FILENO) && !o->texts[LOGGER_TO];
	const char *format = o->format;
	struct sink *sink;
	struct err e;

	if (!format)
		format = terminal ? "json" : "batch";
	sink = sink_new(format, STDOUT_FILENO, &e);
	if (!sink)
		cli_usage("flowlog", "--format: %s", e.text);
	if (terminal && sink_type(sink) != SINK_TEXT)
		cli_usage("flowlog",
			  "--format: %s is not for a terminal; send it to a "
			  "file or a program, or use json",
			  format);
	if (!o->texts[LOGGER_TO])
		return sink;
	if (sink_type(sink) == SINK_TEXT)
		cli_usage("flowlog", "--format: %s is not for --to", format);
	sink_connect(sink, -1);
	return sink;
}

static const char *
socket_option(const struct options *o, enum logger_text t)
{
	const char *text = o->texts[t];

	if (text && !link_path(text))
		cli_usage("flowlog", "--%s: '%s' is no socket (unix:PATH)",
			  logger_text_name(t), text);
	return text ? link_path(text) : NULL;
}

static void
copy_text(char *to, size_t size, const char *option, const char *text)
{
	if (text && strlen(text) >= size)
		cli_usage("flowlog", "--%s: longer than %zu bytes", option,
			  size - 1);
	snprintf(to, size, "%s", text ? text : "");
}

/* What is said on a connection needs one. */
static void
check_words(const struct options *o)
{
	static const enum logger_text said[] = {LOGGER_TABLE, LOGGER_HOST};

	if (o->texts[LOGGER_DESCRIPTION])
		cli_usage("flowlog", "--description is no option of a filter");
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (o->texts[said[i]] && !o->texts[LOGGER_TO])
			cli_usage("flowlog",
				  "--%s goes with --to; in a pipe flowstore is "
				  "told",
				  logger_text_name(said[i]));
	if (o->name && !o->texts[LOGGER_FROM] && !o->texts[LOGGER_TO])
		cli_usage("flowlog", "--name goes with --from or --to");
}

static void
set_up(struct relay *r, const struct options *o)
{
	size_t bad = 0;
	struct err e;

	r->from = socket_option(o, LOGGER_FROM);
	r->to = socket_option(o, LOGGER_TO);
	check_words(o);
	if (!r->from)
		cli_refuse_terminal("flowlog", "records",
				    "flowrecv 9090 | flowdecode | flowlog");
	copy_text(r->hello.name, sizeof r->hello.name, "name", o->name);
	copy_text(r->hello.table, sizeof r->hello.table, "table",
		  o->texts[LOGGER_TABLE]);
	copy_text(r->hello.host, sizeof r->hello.host, "host",
		  o->texts[LOGGER_HOST]);
	if (pass_init(r->pass, &o->steps, open_sink(o), &bad, &e) == 0)
		return;
	if (bad < o->steps.n)
		cli_usage("flowlog", "--%s", e.text);
	log_line("%s", e.text);
	exit(EXIT_FAILED);
}

/* What gathered is written whether the input ended well or not. */
static int
run(struct relay *r, struct err *err)
{
	struct err later;
	int rc = relay_run(r, err);

	if (rc && err->code == EPIPE)
		return -1;
	if (!r->to && pass_finish(r->pass, rc ? &later : err))
		return -1;
	return rc;
}

/* An exit code. */
static int
filter(const struct options *o)
{
	struct pass pass = {0};
	struct relay relay = {
	    .pass = &pass,
	    .stage = {.report = report,
		      .metrics = o->metrics,
		      .measure = measure},
	};
	struct err err = {0};
	uint64_t unwritten;
	int rc;

	set_up(&relay, o);
	rc = run(&relay, &err);
	filters_finish(pass.records ? pass.filters : NULL);
	if (o->verbose)
		report(&relay);
	unwritten = pass.unwritten;
	pass_clear(&pass);
	if (rc == 0)
		return EXIT_DONE;
	/* A reader that has seen enough is no failure: flowlog | head. */
	if (err.code == EPIPE && !relay.to) {
		if (o->verbose)
			log_line("the reader of the output is gone: %" PRIu64
				 " records not written",
				 unwritten);
		return EXIT_DONE;
	}
	log_line("%s", err.text);
	return EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	int code;

	log_init("flowlog");
	tzset();
	options_parse(&o, argc, argv);
	if (!o.verb || o.verb->run == command_run ||
	    o.verb->run == command_trace)
		stage_hold_signals();
	code = o.verb ? o.verb->run(&o) : filter(&o);
	options_clear(&o);
	return code;
}
