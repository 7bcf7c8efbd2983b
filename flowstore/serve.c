/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/serve.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/link.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/notify.h"
#include "common/record.h"
#include "common/stream.h"
#include "flowstore/command.h"
#include "flowstore/counts.h"
#include "flowstore/streams.h"

enum {
	TICK_MS = 100,
	IDLE_MS = 5000,	    /* a table without loggers is kept so long */
	ROWS_GATHER = 4096, /* rows that make a batch at once */
};

struct table {
	struct table *next;
	struct writer *writer;
	struct writer_options opt;
	char name[LINK_TABLE_MAX];
	size_t loggers;
	int64_t idle_ms; /* when the last of them went */
	bool failed;	 /* let go as soon as they are gone */
	struct log_limit log;
};

struct logger {
	struct logger *next;
	struct serve *serve;
	struct table *table; /* NULL before its hello */
	struct event *input;
	struct stream_in in;
	struct hello hello;
	struct shapes *shapes;
	struct record_reader *reader;
	struct mark given; /* of its last batch; 0: none */
	uint64_t told;	   /* the number that it knows to be safe */
	bool paused;
	bool gone; /* to be freed by sweep */
};

struct serve {
	const struct serve_options *opt;
	struct event_base *base;
	struct link_listener listener;
	struct event *ready, *again, *timer, *signals[3];
	struct metrics *served;
	struct logger *loggers;
	size_t nloggers;
	struct table *tables;
	struct writer_stats past; /* of tables that were let go */
	uint64_t refused;	  /* connections that ended with a complaint */
	struct log_limit log, table_log;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- tables ---- */

/* Its loggers have what is not committed, and come again. */
static void
table_fail(struct serve *s, struct table *t, const struct err *e)
{
	if (!t->failed)
		log_limited(&s->table_log, "table %s: %s", t->name, e->text);
	t->failed = true;
	for (struct logger *l = s->loggers; l; l = l->next)
		if (l->table == t)
			l->gone = true;
}

static void
table_free(struct serve *s, struct table *t)
{
	struct err e;

	if (t->writer && !t->failed && writer_finish(t->writer, &e) != 0)
		table_fail(s, t, &e);
	if (t->writer)
		counts_add(&s->past, writer_stats(t->writer));
	writer_free(t->writer);
	free(t);
}

/* 1: the disk is full; what is not committed waits for room. */
static int
table_commit(struct serve *s, struct table *t, struct err *e)
{
	int rc = writer_commit(t->writer, e);

	if (rc < 0)
		table_fail(s, t, e);
	return rc;
}

static struct table *
table_new(struct serve *s, const char *name, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, "out of memory");
		return NULL;
	}
	memcpy(t->name, name, strlen(name) + 1);
	t->opt = s->opt->writer;
	t->opt.table = t->name;
	t->writer = writer_new(&t->opt, e);
	if (!t->writer) {
		table_free(s, t);
		return NULL;
	}
	t->next = s->tables;
	s->tables = t;
	return t;
}

static struct table *
table_get(struct serve *s, const char *name, struct err *e)
{
	if (!name[0])
		err_set(e, "the hello names no table: flowlog --table NAME");
	else if (command_is_verb(name))
		err_set(e, "'%s' is a command of flowstore, no table's name",
			name);
	if (!name[0] || command_is_verb(name))
		return NULL;
	for (struct table *t = s->tables; t; t = t->next)
		if (!t->failed && strcmp(t->name, name) == 0)
			return t;
	return table_new(s, name, e);
}

/* ---- what a logger is told ---- */

static void
tell(struct logger *l)
{
	char buf[MARK_MAX];
	struct err e;

	if (l->gone || l->given.number <= l->told)
		return;
	if (link_send(l->in.fd, buf, mark_pack(buf, &l->given), &e) == 0)
		l->told = l->given.number;
	else if (e.code != EAGAIN)
		l->gone = true;
}

/* Loggers of a table whose writer has nothing that waits are told so. */
static void
tell_all(struct serve *s, const struct table *t)
{
	if (!t->failed && !writer_waits(t->writer))
		for (struct logger *l = s->loggers; l; l = l->next)
			if (l->table == t)
				tell(l);
}

static void
complain(struct logger *l, const struct err *e)
{
	const char *name = l->hello.name[0] ? l->hello.name : "without a name";
	struct log_limit *limit = l->table ? &l->table->log : &l->serve->log;

	l->serve->refused++;
	log_limited(limit, "logger %s: %s", name, e->text);
}

static void
refuse(struct logger *l, const struct err *e)
{
	struct hello h = {.role = LINK_RECORDS};
	char buf[HELLO_MAX];
	struct err ignored;

	memcpy(h.error, e->text, sizeof(h.error));
	(void)link_send(l->in.fd, buf, hello_pack(buf, &h), &ignored);
}

/* ---- records ---- */

static void
add(struct logger *l, const struct batch *b)
{
	struct table *t = l->table;
	struct batch mine = *b;
	struct err e;

	if (t->failed)
		return;
	writer_set_host(t->writer, l->hello.host[0] ? l->hello.host : NULL);
	mine.stream = streams_id(l->hello.name, b->stream);
	if (writer_add(t->writer, &mine, &e) != 0) {
		table_fail(l->serve, t, &e);
		return;
	}
	if (b->stream == 0)
		return;
	if (b->stream != l->given.stream)
		l->told = 0;
	l->given = (struct mark){b->stream, b->number};
}

static void
add_rows(struct logger *l, uint32_t min)
{
	const struct batch *b;

	while (l->reader && (b = record_reader_take(l->reader, min)))
		add(l, b);
}

static void
free_reader(struct logger *l)
{
	if (l->table)
		writer_forget_shapes(l->table->writer);
	record_reader_free(l->reader);
	shapes_free(l->shapes);
	l->reader = NULL;
	l->shapes = NULL;
}

static int
new_reader(struct logger *l, struct err *e)
{
	l->shapes = shapes_new(SHAPES_MAX);
	l->reader = l->shapes ? record_reader_new(l->shapes) : NULL;
	return l->reader ? 0 : err_set(e, "out of memory");
}

/* As much as a reader's shapes are bounded, a stream's are not. */
static int
renew_reader(struct logger *l, struct err *e)
{
	if (!shapes_crowded(l->shapes))
		return 0;
	add_rows(l, 1);
	free_reader(l);
	return new_reader(l, e);
}

/* Its loggers wait while the writer has no room. */
static void
pause_all(struct serve *s, const struct table *t)
{
	bool holds = writer_holds(t->writer);

	for (struct logger *l = s->loggers; l; l = l->next) {
		if (l->table != t || l->gone || l->paused == holds)
			continue;
		l->paused = holds;
		if (holds) {
			event_del(l->input);
			continue;
		}
		event_add(l->input, NULL);
		/* there may be objects left, which no event tells of */
		event_active(l->input, EV_READ, 0);
	}
}

static void
tick_table(struct serve *s, struct table *t)
{
	struct err e;

	if (t->failed)
		return;
	if (writer_tick(t->writer, &e) != 0) {
		table_fail(s, t, &e);
		return;
	}
	pause_all(s, t);
	tell_all(s, t);
}

static int
greet(struct logger *l, const char *obj, size_t len, struct err *e)
{
	struct hello mine = {.role = LINK_RECORDS};
	struct table *t;
	char buf[HELLO_MAX];

	if (hello_read(obj, len, LINK_RECORDS, &l->hello, e) != 0 ||
	    new_reader(l, e) != 0)
		return -1;
	t = table_get(l->serve, l->hello.table, e);
	if (!t)
		return -1;
	/* what an earlier connection has brought is safe before it is said */
	if (table_commit(l->serve, t, e) != 0)
		return -1;
	l->table = t;
	t->loggers++;
	l->in.max = STREAM_OBJECT_MAX;
	mine.stream = l->hello.stream;
	mine.number = writer_reached(
	    t->writer, streams_id(l->hello.name, l->hello.stream));
	tell_all(l->serve, t);
	if (link_send(l->in.fd, buf, hello_pack(buf, &mine), e) != 0)
		l->gone = true; /* by itself: it comes again if it wants to */
	return 0;
}

static int
take_object(struct logger *l, const char *obj, size_t len, struct err *e)
{
	uint64_t at = l->in.offset - len;
	const struct batch *b = NULL;
	int rc;

	if (!l->table)
		return greet(l, obj, len, e);
	rc = renew_reader(l, e);
	if (rc == 0)
		rc = record_read(l->reader, obj, len, &b, e);
	if (rc < 0)
		return err_prefix(e, "input at offset %" PRIu64, at);
	if (b)
		add(l, b);
	else
		add_rows(l, ROWS_GATHER);
	tick_table(l->serve, l->table);
	return 0;
}

static int
take_objects(struct logger *l, struct err *e)
{
	const char *obj;
	size_t len;
	int rc = 1;

	while (rc == 1 && !l->gone && !l->paused) {
		rc = stream_next(&l->in, &obj, &len, e);
		if (rc == 1 && take_object(l, obj, len, e) != 0)
			return -1;
	}
	return rc < 0 ? -1 : 0;
}

/* What came before the end, or before what is no record, is committed. */
static void
end(struct logger *l)
{
	struct table *t = l->table;
	struct err e;

	if (t && !t->failed) {
		add_rows(l, 1);
		if (!t->failed)
			table_commit(l->serve, t, &e);
		tell_all(l->serve, t);
	}
	l->gone = true;
}

static int
read_input(struct logger *l, struct err *e)
{
	int rc = take_objects(l, e); /* what was left */

	if (rc != 0 || l->gone || l->paused)
		return rc;
	if (stream_fill(&l->in, e) < 0)
		return -1;
	return take_objects(l, e);
}

/* ---- connections ---- */

/* It is off the list. */
static void
logger_free(struct logger *l)
{
	free_reader(l);
	if (l->table && --l->table->loggers == 0)
		l->table->idle_ms = now_ms();
	if (l->input)
		event_free(l->input);
	stream_in_clear(&l->in);
	l->serve->nloggers--;
	free(l);
}

static void
sweep_loggers(struct serve *s)
{
	struct logger **at = &s->loggers, *l;
	int fd;

	while ((l = *at)) {
		if (!l->gone) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		fd = l->in.fd;
		logger_free(l);
		close(fd);
	}
}

/* Whether a table may be let go. */
static bool
is_idle(const struct table *t)
{
	if (t->loggers > 0)
		return false;
	return t->failed ||
	       (!writer_waits(t->writer) && now_ms() - t->idle_ms >= IDLE_MS);
}

static void
sweep_tables(struct serve *s)
{
	struct table **at = &s->tables, *t;

	while ((t = *at)) {
		if (!is_idle(t)) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		table_free(s, t);
	}
}

/* The end of each event: nothing that it uses goes before. */
static void
sweep(struct serve *s)
{
	sweep_loggers(s);
	sweep_tables(s);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct logger *l = arg;
	struct serve *s = l->serve;
	struct err e = {0};

	(void)fd;
	(void)what;
	if (read_input(l, &e) != 0) {
		complain(l, &e);
		if (!l->table)
			refuse(l, &e);
		end(l);
	} else if (l->in.eof && !l->paused) {
		end(l);
	}
	sweep(s);
}

static struct logger *
logger_new(struct serve *s, int fd)
{
	struct logger *l = calloc(1, sizeof(*l));
	struct err e;

	if (!l || stream_in_init(&l->in, fd, HELLO_MAX, &e) != 0) {
		free(l);
		close(fd);
		return NULL;
	}
	l->serve = s;
	l->next = s->loggers;
	s->loggers = l;
	s->nloggers++;
	l->input = event_new(s->base, fd, EV_READ | EV_PERSIST, on_input, l);
	if (!l->input || event_add(l->input, NULL) != 0)
		l->gone = true;
	return l;
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval later = {.tv_sec = 1};
	struct serve *s = arg;
	struct logger *l;
	struct err e;
	int c;

	(void)fd;
	(void)what;
	while ((c = link_accept(&s->listener)) >= 0) {
		l = logger_new(s, c);
		if (!l || s->nloggers <= SERVE_LOGGERS)
			continue;
		err_set(&e, "there are %d loggers already", SERVE_LOGGERS);
		complain(l, &e);
		refuse(l, &e);
		l->gone = true;
		sweep(s);
	}
	/* out of descriptors: it would come back at once */
	if (errno == EMFILE || errno == ENFILE) {
		event_del(s->ready);
		evtimer_add(s->again, &later);
	}
	sweep(s);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct serve *s = arg;

	(void)fd;
	(void)what;
	event_add(s->ready, NULL);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct serve *s = arg;

	(void)fd;
	(void)what;
	for (struct logger *l = s->loggers; l; l = l->next)
		add_rows(l, 1);
	for (struct table *t = s->tables; t; t = t->next)
		tick_table(s, t);
	sweep(s);
}

/* ---- life ---- */

static void
sum_up(const struct serve *s, struct writer_stats *sum)
{
	*sum = s->past;
	for (const struct table *t = s->tables; t; t = t->next)
		counts_add(sum, writer_stats(t->writer));
}

static void
measure(void *ctx, struct metrics *m)
{
	const struct serve *s = ctx;
	struct writer_stats sum;

	sum_up(s, &sum);
	counts_measure(&sum, m);
	metrics_gauge(m, "flowstore_loggers", "Loggers that are connected");
	metrics_value(m, s->nloggers);
	metrics_counter(m, "flowstore_loggers_refused_total",
			"Connections that were closed for what they said");
	metrics_value(m, s->refused);
}

static void
report(const struct serve *s)
{
	struct writer_stats sum;

	sum_up(s, &sum);
	counts_say(&sum);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct serve *s = arg;

	(void)what;
	if (sig == SIGUSR1)
		report(s);
	else
		event_base_loopbreak(s->base);
}

static int
start(struct serve *s, struct err *e)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGUSR1};
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	const struct serve_options *o = s->opt;

	signal(SIGPIPE, SIG_IGN);
	s->base = event_base_new();
	if (!s->base || link_listen(&s->listener, o->path, e) != 0)
		return s->base ? -1 : err_set(e, "event loop");
	s->ready = event_new(s->base, s->listener.sock.fd, EV_READ | EV_PERSIST,
			     on_connection, s);
	s->again = evtimer_new(s->base, on_again, s);
	s->timer = event_new(s->base, -1, EV_PERSIST, on_timer, s);
	for (int i = 0; i < 3; i++) {
		s->signals[i] = evsignal_new(s->base, sigs[i], on_signal, s);
		if (!s->signals[i] || evsignal_add(s->signals[i], NULL) != 0)
			return err_set(e, "event loop");
	}
	if (!s->ready || !s->again || !s->timer ||
	    event_add(s->ready, NULL) != 0 || event_add(s->timer, &tick) != 0)
		return err_set(e, "event loop");
	if (!o->metrics)
		return 0;
	s->served = metrics_new(s->base, o->metrics, measure, s, e);
	return s->served ? 0 : -1;
}

/* All that was read is committed, and who brought it is told. */
static int
finish(struct serve *s, struct err *e)
{
	int rc = 0;

	for (struct logger *l = s->loggers; l; l = l->next)
		if (!l->gone)
			add_rows(l, 1);
	for (struct table *t = s->tables; t; t = t->next) {
		if (t->failed || writer_finish(t->writer, e) == 0) {
			tell_all(s, t);
			continue;
		}
		err_prefix(e, "table %s", t->name);
		t->failed = true; /* nothing more is tried */
		rc = -1;
	}
	return rc;
}

static void
clear(struct serve *s)
{
	struct event *all[] = {s->ready,      s->again,	     s->timer,
			       s->signals[0], s->signals[1], s->signals[2]};
	struct table *t;

	for (struct logger *l = s->loggers; l; l = l->next)
		l->gone = true;
	sweep_loggers(s);
	while ((t = s->tables)) {
		s->tables = t->next;
		table_free(s, t);
	}
	metrics_free(s->served);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			event_free(all[i]);
	link_unlisten(&s->listener);
	if (s->base)
		event_base_free(s->base);
}

int
serve_run(const struct serve_options *o, struct err *e)
{
	struct serve s = {.opt = o, .listener.sock.fd = -1};
	struct event *alive;
	sigset_t set;
	int rc = start(&s, e);

	if (rc == 0) {
		alive = notify_start(s.base);
		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		event_base_dispatch(s.base);
		notify_end(alive);
		rc = finish(&s, e);
		if (o->verbose)
			report(&s);
	}
	clear(&s);
	return rc;
}
