/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/text.h"
#include "flowrecv/line.h"
#include "flowrecv/report.h"
#include "flowrecv/trace.h"

_Static_assert(INBOX_HEADER >= (int)DATAGRAM_HEADER_MAX &&
		   INBOX_HEADER >= (int)LINE_BYTES_MAX,
	       "a slot has room for what goes before a payload");
_Static_assert((int)INBOX_SLOTS <= (int)OUTQUEUE_FRESH,
	       "one handful fits between two flushes");

enum {
	PAUSE_US = 2000,	/* between two looks at a busy socket */
	SMALL_BUFFER = 2 << 20, /* ... which a buffer below this can't span */
	HANDFULS = 32,		/* of one socket before the others' turn */
	REFILL_US = 1000,	/* between two writes to a slow reader */
	WATCH_S = 1, /* between two looks at the kernel's drop counter */
};

static const struct timeval refill_time = {.tv_usec = REFILL_US};
static const struct timeval watch_time = {.tv_sec = WATCH_S};

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
fail(struct receiver *r)
{
	r->failed = true;
	event_base_loopbreak(r->base);
}

/* What goes before the payload, put right in front of it: returns where it
 * begins and the length of the whole. */
static const char *
put_header(const struct receiver *r, const struct datagram *d, size_t *len)
{
	char head[INBOX_HEADER];
	char *payload = (char *)(uintptr_t)d->payload;
	size_t n;

	if (r->lines) {
		*len = line_format(payload - INBOX_HEADER, d);
		return payload - INBOX_HEADER;
	}
	n = datagram_header(head, d);
	memcpy(payload - n, head, n);
	*len = n + d->len;
	return payload - n;
}

/* Whether there is room for a datagram of LEN bytes, if need be after another
 * try to write, one in each handful.  A receiver that is about to end takes
 * everything: it receives only while nothing waits. */
static int
has_room(struct receiver *r, size_t len)
{
	if (r->stopping || outqueue_fits(&r->out, len))
		return 1;
	if (r->out.nfresh > 0 && outqueue_flush(&r->out, &r->err) != 0)
		return -1;
	if (!r->retried && outqueue_write(&r->out, &r->err) != 0)
		return -1;
	r->retried = true;
	return outqueue_fits(&r->out, len);
}

static void
log_refused(struct receiver *r, const struct binding *b,
	    const struct datagram *d)
{
	char who[TEXT_MAX + 1];

	who[text_ip(who, d->addr)] = '\0';
	log_limited(&r->refuse_log, "%s: %s is refused: it is in no --allow",
		    b->name, who);
}

/* Counts D as received.  Whether its exporter may send; *T is where the rest
 * is counted. */
static bool
admit(struct receiver *r, struct binding *b, const struct datagram *d,
      struct tally **t)
{
	struct exporter *x = exporters_get(&r->exporters, b, d);
	bool allowed;

	if (x && !x->fresh) {
		allowed = x->allowed;
	} else {
		allowed = !r->allow || allow_has(r->allow, d->addr);
		if (!allowed)
			log_refused(r, b, d);
	}
	if (x) {
		x->allowed = allowed;
		x->fresh = false;
	}
	*t = x ? &x->tally : &b->tally;
	tally_received(*t);
	if (!allowed)
		tally_refused(*t);
	return allowed;
}

static int
take(struct receiver *r, struct binding *b, struct datagram *d)
{
	struct tally *t;
	const char *p;
	size_t len;
	bool allowed;
	int room;

	allowed = admit(r, b, d, &t);
	if (b->views)
		trace_datagram(b->views, d, !allowed);
	if (!allowed)
		return 0;
	if (r->tee)
		tee_add(r->tee, d);
	room = has_room(r, DATAGRAM_HEADER_MAX + d->len);
	if (room < 0)
		return -1;
	if (!room) {
		tally_dropped(t);
		log_limited(&b->drop_log,
			    "%s: the reader is too slow: %" PRIu64
			    " datagrams dropped so far",
			    b->name, b->tally.dropped);
		return 0;
	}
	d->number = ++r->number;
	p = put_header(r, d, &len);
	outqueue_add(&r->out, t, p, len);
	return 0;
}

/* One recvmmsg: how many datagrams came, -1 if the output failed.  *LAST is
 * when the last of them arrived. */
static int
receive(struct receiver *r, struct binding *b, int64_t *last)
{
	struct datagram d = {.stream = r->stream,
			     .binding = b->name,
			     .binding_len = b->name_len};
	struct err e;
	int n = inbox_receive(&r->inbox, b->fd, &e);

	if (n < 0) {
		log_limited(&b->error_log, "%s: %s", b->name, e.text);
		return 0;
	}
	r->retried = false;
	for (int i = 0; i < n; i++) {
		inbox_datagram(&r->inbox, (unsigned)i, &d);
		if (take(r, b, &d) != 0)
			return -1;
	}
	if (r->tee)
		tee_flush(r->tee);
	if (n > 0)
		*last = d.time_us;
	return outqueue_flush(&r->out, &r->err) == 0 ? n : -1;
}

static void
update_output(struct receiver *r)
{
	if (outqueue_waits(&r->out) && !evtimer_pending(r->refill, NULL) &&
	    !event_pending(r->writable, EV_WRITE, NULL))
		event_add(r->writable, NULL);
}

/* Fetches what had arrived when the signal came, one handful whenever the
 * reader has taken all before it, and ends the loop when all is done. */
static void
drain(struct receiver *r)
{
	struct binding *b = r->bindings;
	int64_t last = 0;
	int n;

	while (b && !outqueue_waits(&r->out)) {
		n = receive(r, b, &last);
		if (n < 0) {
			fail(r);
			return;
		}
		if (n < INBOX_SLOTS || last > r->stop_us)
			b = b->next;
	}
	if (!outqueue_waits(&r->out))
		event_base_loopexit(r->base, NULL);
	else
		update_output(r);
}

/* How long a socket is left alone: not at all where its buffer would overflow
 * meanwhile. */
static struct timeval
pause_time(const struct binding *b, bool more)
{
	long us = more || b->buffer < SMALL_BUFFER ? 0 : PAUSE_US;

	return (struct timeval){.tv_usec = us};
}

static void
binding_ready(evutil_socket_t fd, short what, void *arg)
{
	struct binding *b = arg;
	struct receiver *r = b->owner;
	struct timeval tv;
	int64_t last;
	int n, handfuls = 0;
	bool any = false;

	(void)fd;
	(void)what;
	do {
		n = receive(r, b, &last);
		any = any || n > 0;
	} while (n == INBOX_SLOTS && ++handfuls < HANDFULS);
	if (n < 0) {
		fail(r);
		return;
	}
	update_output(r);
	tv = pause_time(b, n == INBOX_SLOTS);
	if (any && (tv.tv_usec > 0 || n == INBOX_SLOTS))
		evtimer_add(b->pause, &tv);
	else
		event_add(b->readable, NULL);
	if (any && !evtimer_pending(r->watch, NULL))
		evtimer_add(r->watch, &watch_time);
}

static void
output_writable(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *r = arg;

	(void)fd;
	(void)what;
	if (outqueue_write(&r->out, &r->err) != 0)
		fail(r);
	else if (outqueue_waits(&r->out))
		evtimer_add(r->refill, &refill_time);
	else if (r->stopping)
		drain(r);
}

/* A pipe is writable as soon as one page of it is free; a moment later a large
 * part of it is. */
static void
output_refill(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	update_output(arg);
}

/* The write end of a pipe is "readable" only when its reader has gone. */
static void
output_gone(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *r = arg;

	(void)fd;
	(void)what;
	errno = EPIPE;
	err_sys(&r->err, "standard output");
	fail(r);
}

static void
watch_kernel(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *r = arg;

	(void)fd;
	(void)what;
	for (struct binding *b = r->bindings; b; b = b->next)
		if (binding_kernel_drops(b) > 0)
			log_limited(&b->drop_log,
				    "%s: the kernel dropped datagrams, %" PRIu64
				    " so far: the receive buffer is too small "
				    "or the machine too slow",
				    b->name, b->kernel_drops);
}

static void
stop(evutil_socket_t signo, short what, void *arg)
{
	struct receiver *r = arg;

	(void)signo;
	(void)what;
	if (r->stopping) {
		err_set(&r->err, "quit before all was handed on");
		fail(r);
		return;
	}
	r->stop_us = now_us();
	r->stopping = true;
	for (struct binding *b = r->bindings; b; b = b->next) {
		event_del(b->readable);
		evtimer_del(b->pause);
	}
	drain(r);
}

static void
report(evutil_socket_t signo, short what, void *arg)
{
	(void)signo;
	(void)what;
	report_log(arg, true);
}

int
receiver_identity(uint64_t *stream, struct err *e)
{
	if (getrandom(stream, sizeof(*stream), 0) != sizeof(*stream))
		return err_sys(e, "no random identity");
	return 0;
}

int
receiver_add(struct receiver *r, struct binding *b, struct err *e)
{
	struct binding **at = &r->bindings;

	b->owner = r;
	b->next = NULL;
	b->tally.of = &r->total;
	b->readable = event_new(r->base, b->fd, EV_READ, binding_ready, b);
	b->pause = evtimer_new(r->base, binding_ready, b);
	if (!b->readable || !b->pause ||
	    event_priority_set(b->readable, RECEIVER_PRIORITY_INPUT) != 0 ||
	    event_priority_set(b->pause, RECEIVER_PRIORITY_INPUT) != 0 ||
	    event_add(b->readable, NULL) != 0)
		return err_set(e, "%s: cannot wait for it", b->name);
	while (*at)
		at = &(*at)->next;
	*at = b;
	return 0;
}

struct binding *
receiver_find(struct receiver *r, const char *name)
{
	struct binding *b = r->bindings;

	while (b && strcmp(b->name, name) != 0)
		b = b->next;
	return b;
}

/* Frees those that left of which nothing is queued any more. */
static void
reap(struct receiver *r)
{
	struct binding **at = &r->leaving, *b;

	while ((b = *at)) {
		if (b->tally.queued > 0) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		exporters_forget(&r->exporters, b);
		binding_free(b);
	}
}

void
receiver_drain(struct receiver *r, struct binding *b)
{
	int64_t now = now_us(), last = 0;
	int n;

	do
		n = receive(r, b, &last);
	while (n == INBOX_SLOTS && last < now);
	if (n < 0)
		fail(r);
	update_output(r);
}

void
receiver_remove(struct receiver *r, struct binding *b)
{
	struct binding **at = &r->bindings;

	binding_kernel_drops(b);
	r->kernel_drops += b->kernel_drops;
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	binding_close(b);
	b->next = r->leaving;
	r->leaving = b;
	reap(r);
}

static int
add_output(struct receiver *r, struct err *e)
{
	bool pipe_end =
	    !r->out.patient && (r->out.flags & O_ACCMODE) == O_WRONLY;

	r->writable =
	    event_new(r->base, r->out.fd, EV_WRITE, output_writable, r);
	r->refill = evtimer_new(r->base, output_refill, r);
	if (!r->writable || !r->refill)
		return err_set(e, "cannot wait for standard output");
	if (!pipe_end)
		return 0;
	r->gone = event_new(r->base, r->out.fd, EV_READ, output_gone, r);
	if (!r->gone || event_add(r->gone, NULL) != 0)
		return err_set(e, "cannot wait for standard output");
	return 0;
}

static int
add_signals(struct receiver *r, struct err *e)
{
	signal(SIGPIPE, SIG_IGN);
	r->sigint = evsignal_new(r->base, SIGINT, stop, r);
	r->sigterm = evsignal_new(r->base, SIGTERM, stop, r);
	r->sigusr1 = evsignal_new(r->base, SIGUSR1, report, r);
	r->watch = evtimer_new(r->base, watch_kernel, r);
	if (!r->sigint || !r->sigterm || !r->sigusr1 || !r->watch ||
	    event_add(r->sigint, NULL) != 0 ||
	    event_add(r->sigterm, NULL) != 0 ||
	    event_add(r->sigusr1, NULL) != 0)
		return err_set(e, "cannot wait for signals");
	return 0;
}

/* Without the precise timer a pause of 2 ms would take one to two ticks of the
 * kernel's clock, 4 to 8 ms. */
static struct event_base *
new_base(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c && event_config_set_flag(c, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	if (base && event_base_priority_init(base, RECEIVER_PRIORITIES) != 0) {
		event_base_free(base);
		base = NULL;
	}
	return base;
}

int
receiver_init(struct receiver *r, int fd, size_t queue, struct err *e)
{
	memset(r, 0, sizeof(*r));
	r->lines = isatty(fd);
	r->base = new_base();
	if (!r->base)
		return err_set(e, "no event loop");
	if (receiver_identity(&r->stream, e) != 0 ||
	    exporters_init(&r->exporters, e) != 0 ||
	    inbox_init(&r->inbox, e) != 0 ||
	    outqueue_init(&r->out, fd, queue, e) != 0 || add_output(r, e) != 0)
		return -1;
	return add_signals(r, e);
}

static void
free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void
free_bindings(struct binding *b)
{
	struct binding *next;

	for (; b; b = next) {
		next = b->next;
		binding_free(b);
	}
}

void
receiver_clear(struct receiver *r)
{
	free_bindings(r->bindings);
	free_bindings(r->leaving);
	exporters_clear(&r->exporters);
	free_event(r->writable);
	free_event(r->refill);
	free_event(r->gone);
	free_event(r->watch);
	free_event(r->sigint);
	free_event(r->sigterm);
	free_event(r->sigusr1);
	inbox_clear(&r->inbox);
	outqueue_clear(&r->out);
	if (r->base)
		event_base_free(r->base);
	r->base = NULL;
	r->bindings = r->leaving = NULL;
}

int
receiver_run(struct receiver *r, struct err *e)
{
	struct event *alive = notify_start(r->base);
	int rc = event_base_dispatch(r->base);

	notify_end(alive);
	if (rc < 0)
		return err_set(e, "the event loop failed");
	if (!r->failed)
		return 0;
	*e = r->err;
	return -1;
}
