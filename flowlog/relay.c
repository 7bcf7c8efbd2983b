/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TICK_MS = 100,
	ANSWER_MS = 3000, /* for the store's hello */
	LINGER_S = 3,	  /* for its last acknowledgement */
};

/*
 * The store.
 */

static void
close_store(struct relay *r)
{
	struct event **events[] = {&r->marks, &r->writable};

	for (size_t i = 0; i < 2; i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (r->to)
		sink_connect(r->pass->sink, -1);
}

/* Both connections are made anew. */
static void
break_up(struct relay *r, struct err *why)
{
	if (!r->from) {
		stage_end(&r->stage, why);
		return;
	}
	err_prefix(why, "%s", r->to);
	stage_rejoin(&r->stage, why);
}

static void
on_marks(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct mark m;
	const char *obj;
	struct err e;
	size_t len;
	int rc;

	(void)what;
	while ((rc = mail_next(&r->mail, fd, &obj, &len, &e)) == 1) {
		if (mark_read(obj, len, &m, &e) != 0) {
			rc = -1;
			break;
		}
		/* It can have no more than it was given. */
		if (m.stream == r->stream && m.number > r->safe)
			r->safe = m.number < r->given ? m.number : r->given;
	}
	if (rc < 0 && r->said_end && e.code == EPIPE)
		stage_end(&r->stage, NULL); /* it has committed all */
	else if (rc < 0)
		break_up(r, &e);
}

/* What was written, or waits until the socket takes more. */
static void
settle(struct relay *r)
{
	if (r->to && sink_pending(r->pass->sink)) {
		stage_pause(&r->stage, true);
		event_add(r->writable, NULL);
		return;
	}
	r->sent = r->given;
	stage_pause(&r->stage, false);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct err e;

	(void)fd;
	(void)what;
	if (pass_drained(r->pass, &e))
		break_up(r, &e);
	else
		settle(r);
}

/* Says what is sent, asks what is there. */
static int
open_store(struct relay *r, uint64_t stream, struct err *e)
{
	struct hello mine = r->hello, theirs;

	mine.role = LINK_RECORDS;
	mine.stream = stream;
	r->fd = link_join(r->to, &mine, &theirs, ANSWER_MS, e);
	if (r->fd < 0)
		return -1;
	r->reached = theirs.stream == stream ? theirs.number : 0;
	r->mail = (struct mail){.start = 0};
	r->marks =
	    event_new(r->stage.base, r->fd, EV_READ | EV_PERSIST, on_marks, r);
	r->writable = event_new(r->stage.base, r->fd, EV_WRITE, on_writable, r);
	if (!r->marks || !r->writable || event_add(r->marks, NULL) != 0 ||
	    fcntl(r->fd, F_SETFL, O_NONBLOCK) != 0) {
		err_set(e, "%s: cannot wait for it", r->to);
		close_store(r);
		return -1;
	}
	sink_connect(r->pass->sink, r->fd);
	return 0;
}

/*
 * The stage.
 */

static void
say_connected(struct relay *r, bool yes)
{
	if (r->connected)
		r->connected(r->ctx, yes);
}

static int
on_joined(void *ctx, const struct hello *h, uint64_t *number, struct err *e)
{
	struct relay *r = ctx;
	uint64_t counted;
	bool same = r->stream == h->stream;

	close_store(r);
	r->reached = 0;
	r->stream = h->stream;
	if (r->to && open_store(r, h->stream, e))
		return -1;
	if (r->to)
		*number = r->reached;
	else
		*number = same ? r->sent : r->from_now ? h->number : 0;
	if (r->counted) {
		counted = r->counted(r->ctx, h->stream);
		if (!r->to || counted < *number)
			*number = counted;
	}
	r->given = r->sent = r->acknowledged = *number;
	r->safe = r->reached;
	say_connected(r, true);
	return 0;
}

static void
on_parted(void *ctx)
{
	struct relay *r = ctx;

	close_store(r);
	stage_pause(&r->stage, false);
	say_connected(r, false);
}

/* pass.wanted */
static bool
is_wanted(void *ctx, const struct view *v)
{
	struct relay *r = ctx;
	uint64_t number = v->batch->number;
	bool wanted = !r->wanted || r->wanted(r->ctx, v);

	if (!r->from && v->batch->stream != r->stream) {
		r->stream = v->batch->stream;
		r->given = r->safe = 0;
	}
	if (number > r->given)
		r->given = number;
	if (r->to && number > 0 && number <= r->reached)
		return false; /* the store has it */
	return wanted;
}

static int
on_object(void *ctx, const char *obj, size_t len, struct err *e)
{
	struct relay *r = ctx;

	if (pass_object(r->pass, obj, len, e) == 0) {
		if (r->to && sink_pending(r->pass->sink))
			settle(r);
		return 0;
	}
	/* What the other end sends is wrong, or the store is gone: it comes
	 * again, a little later.  Output that is gone stays so. */
	return r->from && (r->to || e->code == 0) ? STAGE_REJOIN : -1;
}

static int
on_drained(void *ctx, struct err *e)
{
	struct relay *r = ctx;

	if (r->to && r->fd < 0)
		return 0; /* before the hellos */
	if (pass_drained(r->pass, e))
		return r->from && r->to ? STAGE_REJOIN : -1;
	settle(r);
	return 0;
}

/* The number up to which nothing need come again. */
static uint64_t
safe_number(const struct relay *r)
{
	uint64_t safe = r->to ? r->safe : r->sent, counted;

	if (!r->counted)
		return safe;
	counted = r->counted(r->ctx, r->stream);
	return counted < safe ? counted : safe;
}

static void
acknowledge(struct relay *r)
{
	uint64_t safe;

	/* before that the stream is not known */
	if (!r->from || !r->stage.joined_now)
		return;
	safe = safe_number(r);
	if (safe <= r->acknowledged)
		return;
	r->acknowledged = safe;
	stage_acknowledge(&r->stage, safe);
}

static bool
all_is_safe(const struct relay *r)
{
	return !r->stage.joined_now || safe_number(r) >= r->given;
}

/* From stdin: the end of the connection makes the store commit, and close. */
static void
say_end(struct relay *r)
{
	if (r->said_end || sink_pending(r->pass->sink))
		return;
	r->said_end = true;
	shutdown(r->fd, SHUT_WR);
}

static int
on_tick(void *ctx, struct err *e)
{
	struct relay *r = ctx;
	bool writes = !r->to || (r->fd >= 0 && !sink_pending(r->pass->sink));

	if (writes && pass_tick(r->pass, e))
		return r->from && r->to ? STAGE_REJOIN : -1;
	if (writes)
		settle(r);
	if (r->tick && r->tick(r->ctx, e))
		return -1;
	acknowledge(r);
	if (r->stage.lingers && !r->from)
		say_end(r);
	else if (r->stage.lingers && all_is_safe(r))
		stage_end(&r->stage, NULL);
	return 0;
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	stage_end(&r->stage, NULL);
}

/* What is not safe at the end comes again at the next start, but the store is
 * mostly about to say that it is. */
static bool
on_end(void *ctx)
{
	static const struct timeval patience = {.tv_sec = LINGER_S};
	struct relay *r = ctx;
	struct err e;

	if (!r->from) {
		if (!r->to)
			return false;
		if (pass_tick(r->pass, &e)) /* rows that gathered */
			break_up(r, &e);
		else
			say_end(r);
		return true;
	}
	if (all_is_safe(r))
		return false;
	evtimer_add(r->patience, &patience);
	return true;
}

static int
on_start(void *ctx, struct event_base *base, struct err *e)
{
	struct relay *r = ctx;

	r->patience = evtimer_new(base, on_patience, r);
	if (!r->patience)
		return err_set(e, "out of memory");
	/* With stdin there is no hello to wait for. */
	return r->to && !r->from ? open_store(r, 0, e) : 0;
}

static void
on_stop(void *ctx)
{
	struct relay *r = ctx;

	if (r->patience)
		event_free(r->patience);
	r->patience = NULL;
	close_store(r);
}

int
relay_run(struct relay *r, struct err *e)
{
	struct stage *s = &r->stage;

	r->fd = -1;
	r->pass->wanted = is_wanted;
	r->pass->ctx = r;
	s->ctx = r;
	s->start = on_start;
	s->stop = on_stop;
	s->linger = on_end;
	s->object = on_object;
	s->drained = on_drained;
	s->tick = on_tick;
	s->tick_ms = TICK_MS;
	s->from = r->from;
	s->hello = r->hello;
	s->hello.role = LINK_RECORDS;
	s->joined = on_joined;
	s->parted = on_parted;
	return stage_run(s, STDIN_FILENO, e);
}
