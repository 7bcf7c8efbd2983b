/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/notify.h"

enum {
	QUIET_MS = 1000, /* a pause after SIGTERM that counts as the end */
	/* between attempts to connect, each twice as long as the one before */
	WAIT_MIN_MS = 20,
	WAIT_MAX_MS = 1000,
};

static struct timeval
milliseconds(int ms)
{
	return (struct timeval){ms / 1000, (ms % 1000) * 1000};
}

static void
finish(struct stage *s)
{
	if (!s->lingers && s->linger && s->linger(s->ctx)) {
		s->lingers = true;
		if (s->input)
			event_del(s->input);
		return;
	}
	if (!s->lingers)
		event_base_loopbreak(s->base);
}

static void
fail(struct stage *s)
{
	s->failed = true;
	event_base_loopbreak(s->base);
}

static void
set_input(struct stage *s)
{
	if (!s->input)
		return;
	if (s->paused || s->lingers)
		event_del(s->input);
	else
		event_add(s->input, NULL);
}

/* ---- the socket ---- */

static void
try_later(struct stage *s)
{
	struct timeval tv = milliseconds(s->wait_ms);

	s->wait_ms =
	    s->wait_ms < WAIT_MAX_MS / 2 ? 2 * s->wait_ms : WAIT_MAX_MS;
	evtimer_add(s->again, &tv);
}

/* Says once why there is no connection. */
static void
say_missed(struct stage *s, const struct err *why)
{
	bool named = strncmp(why->text, s->from, strlen(s->from)) == 0;

	if (!s->missed)
		log_limited(&s->log, "%s%s%s; trying again",
			    named ? "" : s->from, named ? "" : ": ", why->text);
	s->missed = true;
}

static void
part(struct stage *s, const struct err *why)
{
	bool joined = s->joined_now;

	if (s->in.fd < 0)
		return;
	say_missed(s, why);
	event_free(s->input);
	s->input = NULL;
	close(s->in.fd);
	s->in.fd = -1;
	s->in.start = s->in.end = 0;
	s->in.offset = 0;
	s->in.eof = false;
	s->joined_now = false;
	if (joined && s->parted)
		s->parted(s->ctx);
	try_later(s);
}

/* What is small is taken at once, unless the other end has stopped: then it
 * will be said when it is connected again. */
static int
send_mark(struct stage *s, uint64_t number, struct err *e)
{
	struct mark m = {s->stream, number};
	char buf[MARK_MAX];

	if (link_send(s->in.fd, buf, mark_pack(buf, &m), e) == 0 ||
	    e->code == EAGAIN)
		return 0;
	return -1;
}

/* All is well. */
static void
settle_down(struct stage *s)
{
	if (s->missed)
		log_line("%s: connected", s->from);
	s->missed = s->refused = false;
	s->wait_ms = WAIT_MIN_MS;
}

static int
take_hello(struct stage *s, const char *obj, size_t len, struct err *e)
{
	struct hello h;
	uint64_t number = 0;

	if (hello_read(obj, len, s->hello.role, &h, e) != 0 ||
	    s->joined(s->ctx, &h, &number, e) != 0)
		return -1;
	s->joined_now = true;
	if (s->stream != h.stream)
		s->acknowledged = 0;
	s->stream = h.stream;
	if (send_mark(s, number, e) != 0 ||
	    (s->acknowledged > 0 && send_mark(s, s->acknowledged, e) != 0))
		return -1;
	if (!s->refused)
		settle_down(s);
	return 0;
}

void
stage_acknowledge(struct stage *s, uint64_t number)
{
	struct err e;

	s->acknowledged = number;
	if (s->joined_now && send_mark(s, number, &e) != 0)
		part(s, &e);
}

void
stage_rejoin(struct stage *s, const struct err *why)
{
	part(s, why);
}

void
stage_end(struct stage *s, const struct err *why)
{
	s->failed = why != NULL;
	if (why)
		s->err = *why;
	event_base_loopbreak(s->base);
}

void
stage_pause(struct stage *s, bool pause)
{
	if (pause == s->paused)
		return;
	s->paused = pause;
	set_input(s);
	/* there may be objects left, which no event tells of; whether there is
	 * input too is not known, and a pipe would be waited for */
	if (!pause && s->input)
		event_active(s->input, EV_TIMEOUT, 0);
}

/* ---- objects ---- */

static int
give_object(struct stage *s, const char *obj, size_t len)
{
	uint64_t at = s->in.offset - len;
	int rc;

	if (s->from && !s->joined_now)
		return take_hello(s, obj, len, &s->err) == 0 ? 0 : STAGE_REJOIN;
	rc = s->object(s->ctx, obj, len, &s->err);
	if (rc != 0)
		s->refused = true; /* more slowly if it is so again */
	else if (s->refused)
		settle_down(s);
	if (rc != 0 && s->err.code == 0)
		err_prefix(&s->err, "input at offset %llu",
			   (unsigned long long)at);
	return rc;
}

/* Gives every whole object in the buffer away. */
static int
give_objects(struct stage *s)
{
	const char *obj;
	size_t len;
	int rc = 0;

	while (rc == 0 && !s->paused) {
		rc = stream_next(&s->in, &obj, &len, &s->err);
		if (rc == 0)
			return 0;
		if (rc < 0) {
			s->refused = true;
			return s->from ? STAGE_REJOIN : -1;
		}
		rc = give_object(s, obj, len);
		if (s->from && s->in.fd < 0)
			return 0; /* parted meanwhile */
	}
	return rc;
}

/* Of two errors the first is the one to tell. */
static int
give_input(struct stage *s)
{
	struct err later;
	int rc = give_objects(s), after = 0;

	if (s->drained)
		after = s->drained(s->ctx, rc != 0 ? &later : &s->err);
	return rc != 0 ? rc : after;
}

/* What a callback has returned. */
static void
settle(struct stage *s, int rc)
{
	if (rc == STAGE_REJOIN && s->from)
		part(s, &s->err);
	else if (rc != 0)
		fail(s);
}

/* READABLE: a read will not wait. */
static int
read_input(struct stage *s, bool readable)
{
	int rc = give_input(s); /* what was left */

	if (rc != 0 || !readable || s->paused || s->in.fd < 0)
		return rc;
	if (stream_fill(&s->in, &s->err) < 0)
		return s->from ? STAGE_REJOIN : -1;
	if (s->in.eof && s->from) {
		err_set(&s->err, "the connection is gone");
		return STAGE_REJOIN;
	}
	return give_input(s);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct stage *s = arg;
	struct timeval quiet = milliseconds(QUIET_MS);

	(void)fd;
	settle(s, read_input(s, what & EV_READ));
	if (!s->failed && s->in.eof && !s->paused)
		finish(s);
	else if (evtimer_pending(s->quiet, NULL))
		evtimer_add(s->quiet, &quiet);
}

static int
try_connect(struct stage *s, struct err *e)
{
	char buf[HELLO_MAX];

	s->in.fd = link_connect(s->from, e);
	if (s->in.fd < 0)
		return -1;
	s->input =
	    event_new(s->base, s->in.fd, EV_READ | EV_PERSIST, on_input, s);
	if (s->input &&
	    link_send(s->in.fd, buf, hello_pack(buf, &s->hello), e) == 0) {
		set_input(s);
		return 0;
	}
	if (s->input)
		event_free(s->input);
	close(s->in.fd);
	s->input = NULL;
	s->in.fd = -1;
	return -1;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct stage *s = arg;
	struct err e;

	(void)fd;
	(void)what;
	if (try_connect(s, &e) == 0)
		return;
	say_missed(s, &e);
	try_later(s);
}

/* ---- other events ---- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stage *s = arg;

	(void)fd;
	(void)what;
	settle(s, s->tick(s->ctx, &s->err));
}

static void
on_quiet(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct stage *s = arg;
	struct timeval quiet = milliseconds(QUIET_MS);

	(void)what;
	if (sig == SIGUSR1) {
		if (s->report)
			s->report(s->ctx);
		return;
	}
	/* from here on libevent no longer holds the signal, so the next one
	 * kills even while a write waits for a reader */
	if (!s->stopping) {
		event_del(s->signals[0]);
		event_del(s->signals[1]);
	}
	s->stopping = true;
	if (s->from)
		finish(s);
	else if (sig == SIGTERM)
		evtimer_add(s->quiet, &quiet);
}

/* Files cannot be polled by epoll: ask for a method that takes any fd. */
static struct event_base *
base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (cfg && event_config_require_features(cfg, EV_FEATURE_FDS) == 0)
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

static int
events_new(struct stage *s, int fd)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGUSR1};

	s->base = base_new();
	if (!s->base)
		return -1;
	if (!s->from)
		s->input =
		    event_new(s->base, fd, EV_READ | EV_PERSIST, on_input, s);
	s->again = evtimer_new(s->base, on_again, s);
	s->timer = event_new(s->base, -1, EV_PERSIST, on_timer, s);
	s->quiet = evtimer_new(s->base, on_quiet, s);
	for (int i = 0; i < 3; i++) {
		s->signals[i] = evsignal_new(s->base, sigs[i], on_signal, s);
		if (!s->signals[i] || evsignal_add(s->signals[i], NULL) != 0)
			return -1;
	}
	return (s->input || s->from) && s->again && s->timer && s->quiet ? 0
									 : -1;
}

static void
events_free(struct stage *s)
{
	struct event *all[] = {s->input,     s->timer,	    s->quiet,
			       s->again,     s->signals[0], s->signals[1],
			       s->signals[2]};

	metrics_free(s->served);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			event_free(all[i]);
	if (s->base)
		event_base_free(s->base);
	s->base = NULL;
}

static void
mask_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(how, &set, NULL);
}

void
stage_hold_signals(void)
{
	mask_signals(SIG_BLOCK);
	signal(SIGUSR1, SIG_IGN); /* libevent gives that back after the loop */
	signal(SIGXFSZ, SIG_IGN); /* writing says so itself */
}

static void
on_first(int sig)
{
	(void)sig;
}

/* After the loop the caller has still to hand on what it holds: the first
 * signal is spent, as it is in the loop, and the next one kills. */
static void
spare_first(void)
{
	struct sigaction sa = {
	    .sa_handler = on_first,
	    .sa_flags = SA_RESETHAND | SA_RESTART,
	};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int
events_start(struct stage *s, int fd, struct err *e)
{
	struct timeval tick = milliseconds(s->tick_ms);

	if (events_new(s, fd) != 0 ||
	    (s->tick_ms && event_add(s->timer, &tick) != 0))
		return err_sys(e, "event loop");
	if (s->metrics)
		s->served =
		    metrics_new(s->base, s->metrics, s->measure, s->ctx, e);
	if (s->metrics && !s->served)
		return -1;
	if (s->start && s->start(s->ctx, s->base, e) != 0)
		return -1;
	s->wait_ms = WAIT_MIN_MS;
	if (s->from)
		on_again(-1, 0, s);
	else
		set_input(s);
	return 0;
}

int
stage_run(struct stage *s, int fd, struct err *e)
{
	struct event *alive;
	int rc = -1;

	signal(SIGPIPE, SIG_IGN);
	if (stream_in_init(&s->in, s->from ? -1 : fd, 0, e) != 0)
		return -1;
	if (events_start(s, fd, e) == 0) {
		alive = notify_start(s->base);
		mask_signals(SIG_UNBLOCK);
		event_base_dispatch(s->base);
		notify_end(alive);
		rc = s->failed ? -1 : 0;
		if (s->failed)
			*e = s->err;
	}
	mask_signals(SIG_BLOCK); /* not a moment without a handler */
	if (s->stop)
		s->stop(s->ctx);
	if (s->from && s->in.fd >= 0)
		close(s->in.fd);
	events_free(s);
	if (!s->stopping)
		spare_first();
	mask_signals(SIG_UNBLOCK);
	stream_in_clear(&s->in);
	return rc;
}
