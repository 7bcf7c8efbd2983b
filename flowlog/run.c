/* SPDX-License-Identifier: BSD-2-Clause */
/* A named logger at work, and what it would log, live. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/format.h"
#include "common/log.h"
#include "flowlog/command.h"
#include "flowlog/facts.h"
#include "flowlog/relay.h"

enum { SAVE_MS = 1000 };

struct run {
	const struct dirs *dirs;
	const struct logger *logger;
	struct pass pass;
	struct relay relay;
	struct kept kept;	    /* now */
	uint64_t stream, number;    /* as they were saved last */
	uint64_t filtered, dropped; /* of the pass, when counted last */
	struct format *last;
	bool dirty, has_last;
	int64_t saved_ms;
	struct log_limit unsaved;
};

static int64_t
clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Counting.
 */

static uint32_t
last_row(const struct view *v)
{
	return v->selected ? v->selected[v->rows - 1] : v->rows - 1;
}

/* The record's own time, also where steps took the field away. */
static void
note_time(struct run *r, const struct view *v)
{
	int at = shape_find(v->batch->shape, "_time");
	struct value t;

	if (at < 0)
		return;
	column_value(&v->batch->cols[at], v->batch->shape->fields[at].type,
		     last_row(v), &t);
	if (t.type == COL_TIME)
		r->kept.last_log = t.i;
}

/* The last record that passed, as text. */
static void
note_record(struct run *r, const struct view *v)
{
	const char *names[SHAPE_FIELDS_MAX];
	enum col_type types[SHAPE_FIELDS_MAX];
	const struct column *cols[SHAPE_FIELDS_MAX];
	uint32_t row = last_row(v);
	struct err e;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (!v->cols[i])
			continue;
		names[n] = v->fields[i].name;
		types[n] = v->fields[i].type;
		cols[n++] = v->cols[i];
	}
	format_clear(r->last);
	r->has_last = format_columns(r->last, names, types, n, &e) == 0 &&
		      format_rows(r->last, cols, row, row + 1, &e) == 0;
}

/* relay.wanted: a batch that was counted before is not counted again. */
static bool
count(void *ctx, const struct view *v)
{
	struct run *r = ctx;
	uint64_t number = v->batch->number;
	uint64_t filtered = pass_filtered(&r->pass) - r->filtered;
	uint64_t dropped = pass_dropped(&r->pass) - r->dropped;

	r->filtered += filtered;
	r->dropped += dropped;
	if (number > 0 && number <= r->kept.number)
		return true;
	if (number > 0)
		r->kept.number = number;
	r->kept.logged += v->rows;
	r->kept.filtered += filtered;
	r->kept.dropped += dropped;
	r->dirty = true;
	if (v->rows > 0) {
		note_time(r, v);
		note_record(r, v);
	}
	return true;
}

/* What is on disk is what need not come again. */
static int
save(struct run *r)
{
	const char *text;
	struct err e;
	size_t len;

	r->saved_ms = clock_ms(CLOCK_MONOTONIC);
	text = format_text(r->last, &len);
	if ((r->has_last &&
	     kept_write_last(r->dirs, r->logger->name, text, len, &e)) ||
	    kept_write(&r->kept, r->dirs, r->logger, &e)) {
		log_limited(&r->unsaved, "%s; trying again", e.text);
		return -1;
	}
	r->has_last = false;
	r->dirty = false;
	r->stream = r->kept.stream;
	r->number = r->kept.number;
	return 0;
}

/* relay.counted */
static uint64_t
counted(void *ctx, uint64_t stream)
{
	struct run *r = ctx;

	if (r->kept.stream != stream) {
		r->kept.stream = stream;
		r->kept.number = 0;
		r->dirty = true;
	}
	return r->stream == stream ? r->number : 0;
}

/* relay.connected */
static void
connected(void *ctx, bool yes)
{
	struct run *r = ctx;

	r->kept.connected = yes;
	save(r);
}

/* relay.tick */
static int
tick(void *ctx, struct err *e)
{
	struct run *r = ctx;
	bool ends = r->relay.stage.lingers;

	(void)e;
	if (r->dirty &&
	    (ends || clock_ms(CLOCK_MONOTONIC) - r->saved_ms >= SAVE_MS))
		save(r);
	return 0;
}

static void
report(void *ctx)
{
	const struct run *r = ((const struct relay *)ctx)->ctx;

	log_line("records: logged %llu, filtered %llu, dropped %llu",
		 (unsigned long long)r->kept.logged,
		 (unsigned long long)r->kept.filtered,
		 (unsigned long long)r->kept.dropped);
}

static void
measure(void *ctx, struct metrics *m)
{
	const struct run *r = ((const struct relay *)ctx)->ctx;
	struct metrics_label label = {"logger", r->logger->name};

	metrics_counter(m, "flowlog_records_logged_total",
			"Records that the logger passed on");
	metrics_sample(m, r->kept.logged, &label, 1);
	metrics_counter(m, "flowlog_records_filtered_total",
			"Records that filters did not let through");
	metrics_sample(m, r->kept.filtered, &label, 1);
	metrics_counter(m, "flowlog_records_dropped_total",
			"Records that transformers dropped");
	metrics_sample(m, r->kept.dropped, &label, 1);
	metrics_gauge(m, "flowlog_connected",
		      "Whether it is connected to what it reads");
	metrics_sample(m, r->kept.connected, &label, 1);
}

/*
 * Setting up.
 */

static void
copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* Says to who has forked it that it runs. */
static void
tell_ready(int *ready)
{
	if (!ready)
		return;
	if (write(*ready, "\n", 1) < 0)
		log_line("who started it is gone");
	close(*ready);
	*ready = -1;
}

static int
set_up(struct run *r, struct err *e)
{
	const struct logger *l = r->logger;
	struct sink *sink = NULL;
	size_t bad;

	if (kept_lock(r->dirs, l->name, e) ||
	    kept_read(&r->kept, r->dirs, l->name, e))
		return -1;
	r->kept.last_start = clock_ms(CLOCK_REALTIME) * 1000;
	r->kept.connected = false;
	r->stream = r->kept.stream;
	r->number = r->kept.number;
	r->last = format_new(FORMAT_JSON);
	if (!r->last)
		return err_set(e, "out of memory");
	if (l->texts[LOGGER_TABLE]) {
		sink = sink_new("batch", -1, e);
		if (!sink)
			return -1;
		sink_connect(sink, -1);
	}
	return pass_init(&r->pass, &l->steps, sink, &bad, e);
}

static int
set_relay(struct run *r, const char *metrics, char from[UNIXSOCK_PATH_MAX],
	  char to[UNIXSOCK_PATH_MAX], struct err *e)
{
	const struct logger *l = r->logger;
	struct relay *relay = &r->relay;
	struct hello *h = &relay->hello;

	if (logger_path(l, LOGGER_FROM, r->dirs->run, from, e) ||
	    logger_path(l, LOGGER_TO, r->dirs->run, to, e))
		return -1;
	relay->pass = &r->pass;
	relay->from = from;
	relay->to = l->texts[LOGGER_TABLE] ? to : NULL;
	copy_text(h->name, sizeof h->name, l->name);
	copy_text(h->table, sizeof h->table, l->texts[LOGGER_TABLE]);
	copy_text(h->host, sizeof h->host, l->texts[LOGGER_HOST]);
	relay->counted = counted;
	relay->connected = connected;
	relay->wanted = count;
	relay->tick = tick;
	relay->ctx = r;
	relay->stage.report = report;
	relay->stage.metrics = metrics;
	relay->stage.measure = measure;
	return 0;
}

int
run_logger(const struct dirs *d, const struct logger *l, const char *metrics,
	   int *ready, struct err *e)
{
	struct run r = {.dirs = d, .logger = l};
	char from[UNIXSOCK_PATH_MAX], to[UNIXSOCK_PATH_MAX];
	int rc = set_relay(&r, metrics, from, to, e) || set_up(&r, e) ? -1 : 0;

	if (rc == 0 && save(&r))
		rc = err_set(e, "cannot write to %s", d->state);
	if (rc == 0) {
		tell_ready(ready);
		rc = relay_run(&r.relay, e);
		r.kept.connected = false;
		save(&r);
	}
	format_free(r.last);
	pass_clear(&r.pass);
	return rc;
}

/*
 * trace
 */

static int
trace(const struct options *o, const struct logger *l, const struct dirs *d,
      struct err *e)
{
	struct pass pass = {0};
	struct relay relay = {.pass = &pass, .from_now = true};
	char from[UNIXSOCK_PATH_MAX];
	const char *format = o->format ? o->format : "row";
	struct sink *sink = sink_new(format, STDOUT_FILENO, e);
	size_t bad;
	int rc;

	if (!sink)
		cli_usage("flowlog", "--format: %s", e->text);
	relay.from = from;
	rc = pass_init(&pass, &l->steps, sink, &bad, e);
	if (rc == 0)
		rc = logger_path(l, LOGGER_FROM, d->run, from, e);
	if (rc == 0) {
		if (!o->format) {
			puts("press ctrl-c to stop\n--------------------");
			fflush(stdout);
		}
		rc = relay_run(&relay, e);
		if (rc == 0 && pass_finish(&pass, e))
			rc = -1;
		if (rc == 0 && !o->format && relay.stage.stopping)
			puts("interrupted");
	}
	pass_clear(&pass);
	return rc;
}

int
command_trace(const struct options *o)
{
	struct logger l = {0};
	struct dirs d;
	struct err e;
	int rc;

	if (command_dirs(o, &d, &e) || logger_read(&l, &d, o->logger, &e))
		return command_fail(&e);
	rc = trace(o, &l, &d, &e);
	logger_clear(&l);
	if (rc && e.code == EPIPE)
		rc = 0;
	return rc ? command_fail(&e) : EXIT_DONE;
}
