/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowdecode: what routers sent becomes flow records.
 *
 * in:    a datagram stream, flowdatagram(5), on stdin or from a socket
 * out:   a record stream, flowrecord(5), on stdout or to those who connect to a
 *        socket; JSON lines on a terminal
 * keeps: templates, data that wait for theirs, sampling rates, names and a
 *        ledger of each exporter, in memory; all but the ledger in a directory
 *        if told so, and there, too, what readers have not acknowledged
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/datagram.h"
#include "common/log.h"
#include "common/stage.h"
#include "common/text.h"
#include "flowdecode/decoder.h"
#include "flowdecode/delivery.h"
#include "flowdecode/output.h"
#include "flowdecode/report.h"
#include "flowdecode/state.h"

enum {
	TICK_MS = 25,
	STATS_MS = 1000,
	STATE_MS = 1000,
	COMMIT_MS = 100,	 /* of what readers wait for */
	COMMIT_BYTES = 16 << 20, /* and of so much at once */
	WAIT_SECS_MAX = 366 * 86400
};

#define RING_SIZE (UINT64_C(4) << 30)
#define WAIT_BYTES_MAX (UINT64_C(64) << 30)

static const char usage[] =
    "usage: flowdecode [-v] [--from unix:PATH] [--metrics ADDRESS:PORT]\n"
    "           [--names on|off] [--sampling ADDRESS=N]...\n"
    "           [--serve PATH [--ring DIRECTORY] [--ring-size BYTES]]\n"
    "           [--state DIRECTORY] [--stats FILE]\n"
    "           [--template-scope address|port] [--wait BYTES[,SECONDS]]\n"
    "\n"
    "Decodes NetFlow v1, v5, v7, v9 and IPFIX datagrams, which flowrecv\n"
    "writes, on stdin into flow records, for flowlog, on stdout.\n"
    "\n"
    "  --metrics ADDRESS:PORT serve the ledger to Prometheus, over HTTP\n"
    "  --from unix:PATH       connect to a flowrecv --serve, not stdin\n"
    "  --names on|off         add the names that exporters announce for their\n"
    "                         interfaces, applications and VRFs (on)\n"
    "  --ring DIRECTORY       keep there what readers have not "
    "acknowledged;\n"
    "                         without --state the state, too\n"
    "  --ring-size BYTES      how much of it at most (4G); taken as needed\n"
    "  --serve PATH           let readers connect to this socket, not "
    "stdout\n"
    "  --sampling ADDRESS=N   records of this exporter were sampled 1 in N,\n"
    "                         whatever it announces\n"
    "  --state DIRECTORY      keep what is known here, for the next start\n"
    "  --stats FILE           keep the ledger in this file, as JSON\n"
    "  --template-scope port  templates hold for the port they came from, too\n"
    "  --wait BYTES[,SECONDS] how much data waits for its template, and how\n"
    "                         long; K, M or G may follow; 0: none waits\n"
    "                         (default 64M,1800)\n"
    "  -v, --verbose          at the end, say what came and what became of it\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n";

struct flowdecode {
	struct decoder *decoder;
	struct output *output;
	msgpack_zone zone;
	struct log_limit limit;
	struct log_limit stats_limit, state_limit;
	const char *metrics; /* where to serve them, or NULL */
	const char *stats;   /* a file, or NULL */
	int64_t stats_ms;    /* when it is to be written */
	struct state *state;
	const char *state_dir; /* or NULL */
	int64_t state_ms;      /* when it is to be written */
	size_t wait_bytes;
	bool verbose;
	struct stage *stage;
	const char *from;  /* path of a socket; NULL: standard input */
	const char *serve; /* path of a socket; NULL: standard output */
	const char *ring_dir;
	uint64_t ring_size;	   /* 0: not said */
	struct delivery *delivery; /* NULL without serve */
	struct position position;  /* that has been reached */
	struct position committed;
	int64_t commit_ms; /* when it is to be written */
	bool full, stuck;  /* why input waits: the ring, the state */
	bool ending;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
real_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static int
on_batch(void *ctx, const struct batch *b, struct err *e)
{
	struct flowdecode *f = ctx;

	if (!f->delivery)
		return output_batch(f->output, b, e);
	output_count(f->output);
	return delivery_batch(f->delivery, b, e);
}

static int
on_commit(void *ctx, struct err *e)
{
	struct flowdecode *f = ctx;

	return f->delivery ? 0 : output_commit(f->output, e);
}

static void
update_pause(struct flowdecode *f)
{
	f->full = !delivery_room(f->delivery);
	stage_pause(f->stage, f->full || f->stuck);
}

/* What has come until now is in the ring, the state says so, readers get it,
 * and it will not come again. */
static int
deliver(struct flowdecode *f, struct err *e)
{
	int64_t now = now_ms();
	struct err why;

	if (decoder_flush(f->decoder, e) != 0)
		return -1;
	f->position.out_stream = ring_stream(delivery_ring(f->delivery));
	f->position.out_number = ring_next(delivery_ring(f->delivery)) - 1;
	if (f->state)
		state_reach(f->state, &f->position);
	f->stuck = f->state && state_commit(f->state, real_us(), &why) != 0;
	f->committed = f->position;
	if (f->stuck) {
		log_limited(&f->state_limit, "%s: input waits", why.text);
	} else {
		delivery_publish(f->delivery);
		if (f->from && f->stage->stream == f->position.in_stream)
			stage_acknowledge(f->stage, f->position.in_number);
	}
	/* not more than a tenth of the time */
	f->commit_ms = now + COMMIT_MS + 10 * (now_ms() - now);
	update_pause(f);
	return 0;
}

/* Whether input or output has gone on since the last commit. */
static bool
is_ahead(struct flowdecode *f)
{
	return f->stuck ||
	       memcmp(&f->position, &f->committed, sizeof(f->position)) != 0 ||
	       delivery_pending(f->delivery) > 0;
}

static int
on_object(void *ctx, const char *obj, size_t len, struct err *e)
{
	struct flowdecode *f = ctx;
	struct datagram dg;

	/* on a socket it comes again, as it may be fit for another program */
	if (datagram_read(obj, len, &f->zone, &dg, e) != 0)
		return f->from ? STAGE_REJOIN : -1;
	if (!f->delivery)
		return decoder_datagram(f->decoder, &dg, e);
	if (dg.stream == f->position.in_stream &&
	    dg.number <= f->position.in_number)
		return 0; /* it comes again */
	if (decoder_datagram(f->decoder, &dg, e) != 0)
		return -1;
	f->position.in_stream = dg.stream;
	f->position.in_number = dg.number;
	if (!delivery_room(f->delivery) ||
	    delivery_pending(f->delivery) >= COMMIT_BYTES)
		return deliver(f, e);
	return 0;
}

static void
on_notice(void *ctx, const struct exporter *x, enum ledger_count why)
{
	struct flowdecode *f = ctx;
	char name[EXPORTER_NAME_MAX];

	report_name(x, name, sizeof(name));
	log_limited(&f->limit, "%s: %s (said once, then counted; see -v)", name,
		    ledger_name(why));
}

static struct report
subject(struct flowdecode *f)
{
	return (struct report){f->decoder, f->output,
			       f->delivery ? delivery_ring(f->delivery) : NULL};
}

static void
report(void *ctx)
{
	struct report r = subject(ctx);

	report_text(&r);
}

static void
measure(void *ctx, struct metrics *m)
{
	struct report r = subject(ctx);

	report_metrics(&r, m);
}

/* A file that cannot be written stops nothing once it could. */
static void
update_stats(struct flowdecode *f, int64_t now)
{
	struct report r = subject(f);
	struct err e;

	if (!f->stats || now < f->stats_ms)
		return;
	if (report_json(&r, f->stats, &e) != 0)
		log_limited(&f->stats_limit, "%s", e.text);
	/* a long list is written less often */
	if (now < INT64_MAX)
		f->stats_ms = now + STATS_MS + 20 * (now_ms() - now);
}

static void
on_report(void *ctx)
{
	struct flowdecode *f = ctx;

	f->stats_ms = 0;
	update_stats(f, now_ms());
	report(f);
}

static int
open_state(struct flowdecode *f, struct err *e)
{
	struct known known = decoder_known(f->decoder);
	struct err note;

	if (!f->state_dir)
		return 0;
	/* with a ring nothing is counted twice after a kill */
	known.ledgers = f->serve != NULL;
	f->state = state_open(f->state_dir, &known, f->wait_bytes, real_us(),
			      &note, e);
	if (note.text[0])
		log_line("%s", note.text);
	/* what waits may be too old by now */
	return f->state ? decoder_tick(f->decoder, now_ms(), e) : -1;
}

/* Data go on when it cannot be written; the next time may be better. */
static void
update_state(struct flowdecode *f, int64_t now)
{
	struct err e;

	if (!f->state || now < f->state_ms)
		return;
	if (state_commit(f->state, real_us(), &e) != 0)
		log_limited(&f->state_limit, "%s", e.text);
	/* not more than a tenth of the time */
	f->state_ms = now + STATE_MS + 10 * (now_ms() - now);
}

/* At the end of input readers still get what would be lost with the process:
 * what is not on a disk, and of stdin, which does not come again, what the
 * state cannot take now. */
static bool
is_owed(const struct flowdecode *f)
{
	return delivery_waits(f->delivery) || (f->stuck && !f->from);
}

static void
end_if_done(struct flowdecode *f)
{
	if (f->ending && !is_owed(f))
		stage_end(f->stage, NULL);
}

static int
on_tick(void *ctx, struct err *e)
{
	struct flowdecode *f = ctx;
	int64_t now = now_ms();

	update_stats(f, now);
	if (decoder_tick(f->decoder, now, e) != 0)
		return -1;
	if (!f->delivery) {
		update_state(f, now);
		return 0;
	}
	if (now >= f->commit_ms &&
	    (is_ahead(f) || now >= f->commit_ms + STATE_MS) &&
	    deliver(f, e) != 0)
		return -1;
	end_if_done(f);
	return 0;
}

/* Readers have made room. */
static void
on_room(void *ctx)
{
	struct flowdecode *f = ctx;

	if (f->full)
		update_pause(f);
	end_if_done(f);
}

static int
on_start(void *ctx, struct event_base *base, struct err *e)
{
	struct flowdecode *f = ctx;

	if (!f->delivery)
		return 0;
	return delivery_serve(f->delivery, base, f->serve, on_room, f, e);
}

static void
on_stop(void *ctx)
{
	struct flowdecode *f = ctx;

	if (f->delivery)
		delivery_unserve(f->delivery);
}

static bool
on_end(void *ctx)
{
	struct flowdecode *f = ctx;
	struct err e;

	if (!f->delivery)
		return false;
	if (deliver(f, &e) != 0)
		stage_end(f->stage, &e);
	else
		f->ending = is_owed(f);
	return f->ending;
}

static int
on_joined(void *ctx, const struct hello *h, uint64_t *number, struct err *e)
{
	struct flowdecode *f = ctx;

	(void)e;
	if (h->stream == f->position.in_stream)
		*number = f->position.in_number;
	return 0;
}

/* The ring as the state says that it was. */
static int
open_delivery(struct flowdecode *f, struct err *e)
{
	struct ring *ring;
	struct err why;

	if (!f->serve)
		return 0;
	f->delivery = delivery_new(f->ring_dir, f->ring_size, e);
	if (!f->delivery)
		return -1;
	ring = delivery_ring(f->delivery);
	if (f->state) {
		state_relax(f->state);
		f->position = *state_position(f->state);
	}
	if (f->position.out_stream &&
	    f->position.out_stream != ring_stream(ring))
		log_line("the ring is not the one that the state knows: what "
			 "readers had not acknowledged is lost");
	if (f->position.out_stream == ring_stream(ring) &&
	    ring_restore(ring, f->position.out_number, &why) != 0) {
		log_line("%s: it begins anew", why.text);
		if (ring_renew(ring, e) != 0)
			return -1;
	}
	decoder_continue(f->decoder, ring_stream(ring), ring_next(ring) - 1);
	return 0;
}

/* ADDRESS=N */
static int
configure_rate(struct decoder *d, const char *arg)
{
	const char *eq = strrchr(arg, '=');
	uint8_t addr[16];
	uint64_t rate;

	if (!eq || text_read_ip(arg, (size_t)(eq - arg), addr) != 0 ||
	    text_read_u64(eq + 1, strlen(eq + 1), &rate) != 0 || rate == 0 ||
	    rate > UINT32_MAX)
		cli_usage("flowdecode",
			  "--sampling %s: must be ADDRESS=N, N from 1", arg);
	return decoder_configure_rate(d, addr, (uint32_t)rate);
}

/* BYTES[,SECONDS] */
static void
configure_wait(struct flowdecode *f, const char *arg)
{
	size_t len = strcspn(arg, ",");
	uint64_t bytes, secs = WAIT_MS / 1000;

	if (text_read_size(arg, len, &bytes) != 0 || bytes > WAIT_BYTES_MAX ||
	    (arg[len] &&
	     text_read_u64(arg + len + 1, strlen(arg + len + 1), &secs) != 0) ||
	    secs > WAIT_SECS_MAX)
		cli_usage("flowdecode",
			  "--wait %s: must be BYTES[,SECONDS], as 64M,1800, "
			  "up to 64G and a year",
			  arg);
	f->wait_bytes = bytes;
	decoder_wait(f->decoder, f->wait_bytes, (int64_t)secs * 1000);
}

static void
choose_names(struct decoder *d, const char *arg)
{
	bool on = strcmp(arg, "on") == 0;

	if (!on && strcmp(arg, "off") != 0)
		cli_usage("flowdecode", "--names %s: must be on or off", arg);
	decoder_names(d, on);
}

static void
configure_scope(struct decoder *d, const char *arg)
{
	if (strcmp(arg, "port") != 0 && strcmp(arg, "address") != 0)
		cli_usage("flowdecode",
			  "--template-scope %s: must be address or port", arg);
	decoder_scope(d, strcmp(arg, "port") == 0);
}

static const char *
socket_path(const char *arg)
{
	const char *path = link_path(arg);

	if (!path)
		cli_usage("flowdecode", "--from %s: must be unix:PATH", arg);
	return path;
}

static uint64_t
ring_bytes(const char *arg)
{
	uint64_t bytes;

	if (text_read_size(arg, strlen(arg), &bytes) != 0 ||
	    bytes > WAIT_BYTES_MAX)
		cli_usage("flowdecode",
			  "--ring-size %s: must be bytes, as 512M, up to 64G",
			  arg);
	return bytes;
}

/* A ring that outlives the process is of use with a state only, and the
 * reverse. */
static void
choose_places(struct flowdecode *f)
{
	if (!f->from)
		cli_refuse_terminal("flowdecode", "datagrams",
				    "flowrecv 9090 | flowdecode");
	if (f->ring_dir && !f->serve)
		cli_usage("flowdecode", "--ring goes with --serve");
	if (f->ring_size && !f->serve)
		cli_usage("flowdecode", "--ring-size goes with --serve");
	if (!f->ring_size)
		f->ring_size = RING_SIZE;
	if (f->serve && !f->ring_dir)
		f->ring_dir = f->state_dir;
	if (f->serve && !f->state_dir)
		f->state_dir = f->ring_dir;
}

static int
options(struct flowdecode *f, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"metrics", required_argument, NULL, 'm'},
	    {"from", required_argument, NULL, 'f'},
	    {"names", required_argument, NULL, 'n'},
	    {"ring", required_argument, NULL, 'r'},
	    {"ring-size", required_argument, NULL, 'R'},
	    {"sampling", required_argument, NULL, 's'},
	    {"serve", required_argument, NULL, 'o'},
	    {"state", required_argument, NULL, 'd'},
	    {"stats", required_argument, NULL, 'S'},
	    {"template-scope", required_argument, NULL, 't'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"version", no_argument, NULL, 'V'},
	    {"wait", required_argument, NULL, 'w'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hvV", longs, NULL)) != -1) {
		if (c == 'h')
			cli_help(usage);
		if (c == 'V')
			cli_version("flowdecode");
		if (c == '?')
			cli_bad_option("flowdecode", argv);
		if (c == 'v')
			f->verbose = true;
		if (c == 'm')
			f->metrics = optarg;
		if (c == 'd')
			f->state_dir = optarg;
		if (c == 'S')
			f->stats = optarg;
		if (c == 'f')
			f->from = socket_path(optarg);
		if (c == 'o')
			f->serve = optarg;
		if (c == 'r')
			f->ring_dir = optarg;
		if (c == 'R')
			f->ring_size = ring_bytes(optarg);
		if (c == 't')
			configure_scope(f->decoder, optarg);
		if (c == 'w')
			configure_wait(f, optarg);
		if (c == 'n')
			choose_names(f->decoder, optarg);
		if (c == 's' && configure_rate(f->decoder, optarg) != 0)
			return -1;
	}
	if (optind < argc)
		cli_usage("flowdecode", "%s: it takes no arguments",
			  argv[optind]);
	choose_places(f);
	return 0;
}

static int
init(struct flowdecode *f, struct err *e)
{
	struct sink sink = {.batch = on_batch, .commit = on_commit, .ctx = f};
	uint64_t stream;

	if (getrandom(&stream, sizeof(stream), 0) != sizeof(stream))
		return err_sys(e, "random numbers");
	f->output = output_new(STDOUT_FILENO);
	f->decoder = f->output ? decoder_new(stream, &sink) : NULL;
	if (!f->decoder || !msgpack_zone_init(&f->zone, 8192))
		return err_set(e, "out of memory");
	decoder_on_notice(f->decoder, on_notice, f);
	f->wait_bytes = WAIT_BYTES;
	return 0;
}

static int
run(struct flowdecode *f, struct err *e)
{
	/* it outlives the call as F does, which points to it */
	static struct stage stage;
	struct report about;
	struct err at_end;
	int rc;

	stage = (struct stage){.ctx = f,
			       .object = on_object,
			       .tick = on_tick,
			       .tick_ms = TICK_MS,
			       .report = on_report,
			       .metrics = f->metrics,
			       .measure = measure,
			       .start = on_start,
			       .stop = on_stop,
			       .linger = on_end,
			       .from = f->from,
			       .hello = {.role = LINK_DATAGRAMS},
			       .joined = on_joined};
	f->stage = &stage;
	if (f->ring_dir)
		memcpy(stage.hello.name, "flowdecode", 11);
	if (decoder_tick(f->decoder, now_ms(), e) != 0 ||
	    open_state(f, e) != 0 || open_delivery(f, e) != 0)
		return -1;
	about = subject(f);
	if (f->stats && report_json(&about, f->stats, e) != 0)
		return -1;
	rc = stage_run(&stage, STDIN_FILENO, e);
	if (f->delivery) {
		update_stats(f, INT64_MAX);
		return rc;
	}
	/* whatever ended it, what came before goes out */
	if (decoder_flush(f->decoder, &at_end) != 0 && rc == 0) {
		*e = at_end;
		rc = -1;
	}
	if (f->state && state_commit(f->state, real_us(), &at_end) != 0 &&
	    rc == 0) {
		*e = at_end;
		rc = -1;
	}
	update_stats(f, INT64_MAX);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct flowdecode f;
	struct err e = {0};
	int rc = -1;

	stage_hold_signals();
	log_init("flowdecode");
	if (init(&f, &e) == 0) {
		if (options(&f, argc, argv) != 0)
			err_set(&e, "out of memory");
		else
			rc = run(&f, &e);
		if (f.verbose)
			report(&f);
	}
	/* a reader that has seen enough is no failure */
	if (rc != 0 && e.code == EPIPE) {
		if (f.verbose)
			log_line("the reader of the output is gone: %" PRIu64
				 " records not written",
				 output_unwritten(f.output));
		rc = 0;
	}
	if (rc != 0)
		log_line("%s", e.text);
	state_free(f.state);
	delivery_free(f.delivery);
	decoder_free(f.decoder);
	output_free(f.output);
	msgpack_zone_destroy(&f.zone);
	return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}
