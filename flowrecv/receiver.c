/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/text.h"
#include "flowrecv/line.h"
#include "flowrecv/report.h"
#include "flowrecv/trace.h"

_Static_assert((int)LINE_BYTES_MAX >= (int)DATAGRAM_HEADER_MAX, "either fits");

enum {
	PAUSE_US = 2000,	/* between two looks at a busy socket */
	SMALL_BUFFER = 2 << 20, /* ... which a buffer below this can't span */
	HANDFULS = 32,		/* of one socket before the others' turn */
	BEHIND = 16, /* full ones in a row: there is no time to show them */
	WATCH_S = 1, /* between two looks at the kernel's drop counter */
	/* of what is in the ring: an exporter's place, from here on a port's */
	TAG_BINDING = EXPORTERS_MAX,
	TAG_RESTORED = INT32_MAX,
};

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

/* Writes D as it goes out, and returns its length. */
static size_t
put(const struct receiver *r, char *to, const struct datagram *d)
{
	size_t n;

	if (r->lines)
		return line_format(to, d);
	n = datagram_header(to, d);
	memcpy(to + n, d->payload, d->len);
	return n + d->len;
}

/* Room in the ring, if need be after another try to write, one in each
 * handful.  -1: the output failed. */
static int
get_room(struct receiver *r, size_t len, char **p)
{
	*p = ring_reserve(r->out.ring, len);
	if (*p || r->retried)
		return 0;
	r->retried = true;
	if (output_push(&r->out, true) != 0)
		return -1;
	*p = ring_reserve(r->out.ring, len);
	return 0;
}

/* What left the ring. */
static void
released(void *ctx, uint32_t tag, bool sent)
{
	struct receiver *r = ctx;
	struct tally *t;

	if (tag < TAG_BINDING)
		t = &r->exporters.all[tag].tally;
	else if (tag == TAG_RESTORED)
		t = &r->restored;
	else
		t = &r->slots[tag - TAG_BINDING]->tally;
	if (sent)
		tally_sent(t);
	else
		tally_passed(t);
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
 * is counted, *TAG what the ring knows that by. */
static bool
admit(struct receiver *r, struct binding *b, const struct datagram *d,
      struct tally **t, uint32_t *tag)
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
	*tag = x ? (uint32_t)(x - r->exporters.all) : TAG_BINDING + b->slot;
	tally_received(*t);
	if (!allowed)
		tally_refused(*t);
	return allowed;
}

static int
take(struct receiver *r, struct binding *b, struct datagram *d)
{
	struct tally *t;
	uint32_t tag;
	char *p;
	bool allowed = admit(r, b, d, &t, &tag);

	if (b->views && r->behind)
		trace_skip(b->views);
	else if (b->views)
		trace_datagram(b->views, d, !allowed);
	if (!allowed)
		return 0;
	if (r->tee)
		tee_add(r->tee, d);
	if (get_room(r, LINE_BYTES_MAX + d->len, &p) != 0)
		return -1;
	if (!p) {
		tally_dropped(t);
		log_limited(&b->drop_log,
			    "%s: the reader is too slow: %" PRIu64
			    " datagrams dropped so far",
			    b->name, b->tally.dropped);
		return 0;
	}
	d->number = ring_next(r->out.ring);
	ring_add(r->out.ring, put(r, p, d), tag);
	tally_queued(t);
	return 0;
}

/* The N datagrams of the inbox; *LAST is when the last of them arrived. */
static int
take_all(struct receiver *r, struct binding *b, unsigned n, int64_t *last)
{
	struct datagram d = {.stream = ring_stream(r->out.ring),
			     .binding = b->name,
			     .binding_len = b->name_len};

	r->retried = false;
	for (unsigned i = 0; i < n; i++) {
		inbox_datagram(&r->inbox, i, &d);
		if (take(r, b, &d) != 0)
			return -1;
	}
	if (r->tee)
		tee_flush(r->tee);
	if (n > 0)
		*last = d.time_us;
	if (output_push(&r->out, false) != 0)
		return -1;
	inbox_done(&r->inbox);
	return 0;
}

/* One recvmmsg, of up to MAX datagrams: how many came, -1 if the output
 * failed.  *LAST is when the last of them arrived. */
static int
receive(struct receiver *r, struct binding *b, unsigned max, int64_t *last)
{
	struct err e;
	int n;

	inbox_begin(&r->inbox, ring_next(r->out.ring), b->name);
	n = inbox_receive(&r->inbox, b->fd, max, &e);
	if (n < 0) {
		log_limited(&b->error_log, "%s: %s", b->name, e.text);
		return 0;
	}
	if (n > 0 && take_all(r, b, (unsigned)n, last) != 0) {
		r->err = r->out.err;
		return -1;
	}
	return n;
}

/* How many datagrams to fetch at once, all of which surely have room: 0 if
 * there will be more when readers have taken some. */
static unsigned
drain_max(const struct receiver *r)
{
	size_t room =
	    output_room(&r->out, LINE_BYTES_MAX + DATAGRAM_PAYLOAD_MAX);

	if (room == 0 && output_waits(&r->out))
		return 0;
	return room > 0 && room < INBOX_SLOTS ? (unsigned)room : INBOX_SLOTS;
}

/* Fetches what had arrived when the signal came, and ends the loop when all is
 * done. */
static void
drain(struct receiver *r)
{
	struct binding *b = r->bindings;
	int64_t last = 0;
	unsigned max;
	int n;

	while (b && (max = drain_max(r)) > 0) {
		n = receive(r, b, max, &last);
		if (n < 0) {
			fail(r);
			return;
		}
		if (n < (int)max || last > r->stop_us)
			b = b->next;
	}
	if (!b && !output_waits(&r->out))
		event_base_loopexit(r->base, NULL);
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
		r->behind = handfuls >= BEHIND;
		n = receive(r, b, INBOX_SLOTS, &last);
		any = any || n > 0;
	} while (n == INBOX_SLOTS && ++handfuls < HANDFULS);
	r->behind = false;
	if (b->views)
		trace_tell(b->views);
	if (n < 0) {
		fail(r);
		return;
	}
	tv = pause_time(b, n == INBOX_SLOTS);
	if (any && (tv.tv_usec > 0 || n == INBOX_SLOTS))
		evtimer_add(b->pause, &tv);
	else
		event_add(b->readable, NULL);
	if (any && !evtimer_pending(r->watch, NULL))
		evtimer_add(r->watch, &watch_time);
}

/* Readers have taken something. */
static void
output_taken(void *arg)
{
	struct receiver *r = arg;

	if (r->stopping)
		drain(r);
}

static void
output_failed(void *arg)
{
	struct receiver *r = arg;

	r->err = r->out.err;
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

/* A number for B, by which the ring knows its datagrams. */
static int
take_slot(struct receiver *r, struct binding *b, struct err *e)
{
	struct binding **p;
	uint32_t i = 0;

	while (i < r->nslots && r->slots[i])
		i++;
	if (i == r->nslots) {
		p = realloc(r->slots, (i + 1) * sizeof(*p));
		if (!p)
			return err_set(e, "out of memory");
		r->slots = p;
		r->nslots++;
	}
	r->slots[i] = b;
	b->slot = i;
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
	if (take_slot(r, b, e) != 0)
		return -1;
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
		r->slots[b->slot] = NULL;
		binding_free(b);
	}
}

void
receiver_drain(struct receiver *r, struct binding *b)
{
	int64_t now = now_us(), last = 0;
	int n;

	do
		n = receive(r, b, INBOX_SLOTS, &last);
	while (n == INBOX_SLOTS && last < now);
	if (n < 0)
		fail(r);
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

/* ---- what an earlier process left ---- */

static int
restore(void *ctx, const char *obj, size_t len, uint32_t *tag)
{
	struct receiver *r = ctx;

	(void)obj;
	(void)len;
	*tag = TAG_RESTORED;
	tally_received(&r->restored);
	tally_queued(&r->restored);
	return 0;
}

/* The binding of a name that is not open any more. */
static struct binding *
closed_binding(struct receiver *r, const char *name, struct err *e)
{
	struct binding *b = calloc(1, sizeof(*b));

	if (!b) {
		err_set(e, "out of memory");
		return NULL;
	}
	b->fd = -1;
	if (binding_rename(b, name, e) != 0 || take_slot(r, b, e) != 0) {
		free(b);
		return NULL;
	}
	b->tally.of = &r->total;
	b->next = r->leaving;
	r->leaving = b;
	return b;
}

/* What it took from the kernel and had not handed on when it was killed. */
static int
recover(struct receiver *r, struct err *e)
{
	char name[BINDING_NAME_MAX];
	unsigned n = inbox_left(&r->inbox, ring_next(r->out.ring), name);
	struct binding *b;
	int64_t last;

	if (n == 0)
		return 0;
	b = receiver_find(r, name);
	if (!b)
		b = closed_binding(r, name, e);
	if (!b)
		return -1;
	if (take_all(r, b, n, &last) == 0)
		return 0;
	*e = r->out.err;
	return -1;
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
receiver_init(struct receiver *r, const struct output_options *o, struct err *e)
{
	struct output_options own = *o;

	memset(r, 0, sizeof(*r));
	r->restored.of = &r->total;
	r->lines = !o->serve && isatty(STDOUT_FILENO);
	r->out.taken = output_taken;
	r->out.failed = output_failed;
	r->out.ctx = r;
	own.extra = inbox_bytes();
	r->base = new_base();
	if (!r->base)
		return err_set(e, "no event loop");
	if (exporters_init(&r->exporters, e) != 0 ||
	    output_init(&r->out, r->base, &own, e) != 0)
		return -1;
	inbox_init(&r->inbox, ring_extra(r->out.ring));
	ring_walk(r->out.ring, restore, r);
	ring_on_release(r->out.ring, released, r);
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
	if (r->out.ring)
		ring_on_release(r->out.ring, NULL, NULL);
	output_clear(&r->out);
	free_bindings(r->bindings);
	free_bindings(r->leaving);
	exporters_clear(&r->exporters);
	free_event(r->watch);
	free_event(r->sigint);
	free_event(r->sigterm);
	free_event(r->sigusr1);
	free(r->slots);
	if (r->base)
		event_base_free(r->base);
	r->base = NULL;
	r->bindings = r->leaving = NULL;
}

int
receiver_run(struct receiver *r, struct err *e)
{
	struct event *alive;
	int rc;

	if (recover(r, e) != 0)
		return -1;
	alive = notify_start(r->base);
	rc = event_base_dispatch(r->base);
	notify_end(alive);
	if (rc < 0)
		return err_set(e, "the event loop failed");
	if (!r->failed)
		return 0;
	*e = r->err;
	return -1;
}
