/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/notify.h"

enum { QUIET_MS = 1000 }; /* a pause after SIGTERM that counts as the end */

static struct timeval
milliseconds(int ms)
{
	return (struct timeval){ms / 1000, (ms % 1000) * 1000};
}

static void
finish(struct stage *s)
{
	event_base_loopbreak(s->base);
}

static void
fail(struct stage *s)
{
	s->failed = true;
	finish(s);
}

/* Gives every whole object in the buffer away. */
static int
give_objects(struct stage *s)
{
	const char *obj;
	size_t len;
	int rc;

	while ((rc = stream_next(&s->in, &obj, &len, &s->err)) == 1) {
		uint64_t at = s->in.offset - len;

		if (s->object(s->ctx, obj, len, &s->err) == 0)
			continue;
		if (s->err.code == 0)
			err_prefix(&s->err, "input at offset %llu",
				   (unsigned long long)at);
		return -1;
	}
	return rc;
}

/* Of two errors the first is the one to tell. */
static int
give_input(struct stage *s)
{
	struct err later;
	int rc = give_objects(s);

	if (s->drained && s->drained(s->ctx, rc < 0 ? &later : &s->err) != 0)
		rc = -1;
	return rc;
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct stage *s = arg;
	struct timeval quiet = milliseconds(QUIET_MS);

	(void)fd;
	(void)what;
	if (stream_fill(&s->in, &s->err) < 0 || give_input(s) < 0)
		fail(s);
	else if (s->in.eof)
		finish(s);
	else if (evtimer_pending(s->quiet, NULL))
		evtimer_add(s->quiet, &quiet);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stage *s = arg;

	(void)fd;
	(void)what;
	if (s->tick(s->ctx, &s->err) != 0)
		fail(s);
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
	if (sig == SIGTERM)
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
	s->input = event_new(s->base, fd, EV_READ | EV_PERSIST, on_input, s);
	s->timer = event_new(s->base, -1, EV_PERSIST, on_timer, s);
	s->quiet = evtimer_new(s->base, on_quiet, s);
	for (int i = 0; i < 3; i++) {
		s->signals[i] = evsignal_new(s->base, sigs[i], on_signal, s);
		if (!s->signals[i] || evsignal_add(s->signals[i], NULL) != 0)
			return -1;
	}
	return s->input && s->timer && s->quiet ? 0 : -1;
}

static void
events_free(struct stage *s)
{
	struct event *all[] = {s->input,      s->timer,	     s->quiet,
			       s->signals[0], s->signals[1], s->signals[2]};

	metrics_free(s->served);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			event_free(all[i]);
	if (s->base)
		event_base_free(s->base);
	s->base = NULL;
}

static int
events_start(struct stage *s, int fd, struct err *e)
{
	struct timeval tick = milliseconds(s->tick_ms);

	if (events_new(s, fd) != 0 || event_add(s->input, NULL) != 0 ||
	    (s->tick_ms && event_add(s->timer, &tick) != 0))
		return err_sys(e, "event loop");
	if (s->metrics)
		s->served =
		    metrics_new(s->base, s->metrics, s->measure, s->ctx, e);
	return s->metrics && !s->served ? -1 : 0;
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

int
stage_run(struct stage *s, int fd, struct err *e)
{
	struct event *alive;
	int rc = -1;

	signal(SIGPIPE, SIG_IGN);
	if (stream_in_init(&s->in, fd, 0, e) != 0)
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
	events_free(s);
	if (!s->stopping)
		spare_first();
	mask_signals(SIG_UNBLOCK);
	stream_in_clear(&s->in);
	return rc;
}
