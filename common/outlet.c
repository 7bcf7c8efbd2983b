/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/link.h"
#include "common/log.h"

enum {
	PIECES = 256,
	SEND_BYTES = 256 << 10, /* of one call */
	TURN_BYTES = 2 << 20,	/* before the others' turn */
};

enum reader_state { NEW, GREETED, RUNNING };

struct reader {
	struct reader *next;
	struct outlet *outlet;
	int fd;
	struct event *in, *out;
	enum reader_state state;
	bool waits; /* until the socket takes more */
	struct ring_reader cursor;
	uint64_t began; /* number that it began with */
	char name[LINK_NAME_MAX];
	struct mail mail;
};

struct outlet {
	struct event_base *base;
	struct ring *ring;
	struct link_listener listener;
	const char *role;
	struct event *ready, *again;
	struct reader *readers;
	size_t n;
	uint64_t told; /* of objects that readers were passed by with */
	void (*room)(void *ctx);
	void *room_ctx;
	struct log_limit log, passed_log;
};

/* It is off the list. */
static void
reader_free(struct reader *r)
{
	r->outlet->n--;
	ring_reader_remove(&r->cursor);
	if (r->in)
		event_free(r->in);
	if (r->out)
		event_free(r->out);
	close(r->fd);
	free(r);
}

static void
reader_leave(struct reader *r)
{
	struct reader **at = &r->outlet->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	reader_free(r);
}

static void
tell_room(struct outlet *o)
{
	if (o->room)
		o->room(o->room_ctx);
}

static void
leave(struct reader *r)
{
	struct outlet *o = r->outlet;

	reader_leave(r);
	tell_room(o);
}

static void
complain(struct reader *r, const struct err *e)
{
	log_limited(&r->outlet->log, "%s: reader %s: %s",
		    r->outlet->listener.sock.path,
		    r->name[0] ? r->name : "without a name", e->text);
}

/* Objects that a reader was passed by with, all in all. */
static void
say_passed(struct outlet *o)
{
	uint64_t lost = 0, behind;
	const struct ring_mark *m, *most = NULL;

	for (size_t i = 0; i < RING_MARKS; i++) {
		m = ring_mark(o->ring, i, &behind);
		if (!m)
			continue;
		lost += m->lost;
		if (!most || m->lost > most->lost)
			most = m;
	}
	if (lost > o->told)
		log_limited(&o->passed_log,
			    "reader %s is too slow: passed by with %llu "
			    "objects so far",
			    most->name, (unsigned long long)most->lost);
	o->told = lost;
}

/* One sendmsg: how many bytes went, 0 if the socket takes no more. */
static ssize_t
send_some(struct reader *r)
{
	struct iovec iov[PIECES];
	struct msghdr m = {.msg_iov = iov};
	ssize_t n;

	m.msg_iovlen = ring_gather(&r->cursor, iov, PIECES, SEND_BYTES);
	if (r->cursor.broken) {
		errno = ESTALE;
		return -1;
	}
	if (m.msg_iovlen == 0)
		return 0;
	do
		n = sendmsg(r->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n > 0)
		ring_take(&r->cursor, (size_t)n);
	return n;
}

/* Sends what there is, up to a bound; -1: it is gone. */
static int
pump(struct reader *r)
{
	size_t sent = 0;
	ssize_t n = 1;

	while (n > 0 && sent < TURN_BYTES && ring_reader_waits(&r->cursor)) {
		n = send_some(r);
		if (n > 0)
			sent += (size_t)n;
	}
	if (n < 0)
		return -1;
	r->waits = ring_reader_waits(&r->cursor);
	if (r->waits)
		event_add(r->out, NULL);
	return 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r = arg;
	struct outlet *o = r->outlet;

	(void)fd;
	(void)what;
	if (pump(r) != 0)
		reader_leave(r);
	tell_room(o);
}

void
outlet_wake(struct outlet *o)
{
	struct reader *next;

	for (struct reader *r = o->readers; r; r = next) {
		next = r->next;
		if (r->state == RUNNING && !r->waits && pump(r) != 0)
			reader_leave(r);
	}
	say_passed(o);
}

/* Nobody of the name may be there; one that has been nowhere is forgotten. */
static int
forget(struct outlet *o, const char *name, struct err *e)
{
	for (const struct reader *r = o->readers; r; r = r->next)
		if (r->cursor.ring && strcmp(r->name, name) == 0)
			return err_set(e, "the reader %s is there", name);
	(void)ring_forget(o->ring, name);
	return 0;
}

static int
answer(struct reader *r, struct err *e)
{
	struct outlet *o = r->outlet;
	struct hello mine = {.role = o->role,
			     .stream = ring_stream(o->ring),
			     .number = ring_next(o->ring) - 1};
	char buf[HELLO_MAX];

	return link_send(r->fd, buf, hello_pack(buf, &mine), e);
}

static int
greet(struct reader *r, const char *obj, size_t len, struct err *e)
{
	struct outlet *o = r->outlet;
	struct hello h;
	enum ring_kind kind;

	if (hello_read(obj, len, o->role, &h, e) != 0)
		return -1;
	memcpy(r->name, h.name, sizeof(r->name));
	if (h.forget) {
		if (forget(o, h.name, e) == 0 && answer(r, e) == 0)
			e->code = EPIPE; /* that was all */
		return -1;
	}
	kind = h.name[0] ? RING_DURABLE : RING_PASSING;
	if (ring_reader_add(o->ring, &r->cursor, kind, h.name, e) != 0)
		return -1;
	r->state = GREETED;
	return answer(r, e);
}

static int
take_mark(struct reader *r, const char *obj, size_t len, struct err *e)
{
	struct outlet *o = r->outlet;
	struct mark m;

	if (mark_read(obj, len, &m, e) != 0)
		return -1;
	if (m.stream != ring_stream(o->ring))
		m.number = 0; /* of another time */
	if (r->state == GREETED) {
		ring_reader_seek(&r->cursor, m.number);
		r->began = r->cursor.number;
		r->state = RUNNING;
		return pump(r);
	}
	if (r->cursor.kind == RING_DURABLE)
		ring_acknowledge(&r->cursor, m.number);
	return 0;
}

static void
refuse(struct reader *r, const struct err *e)
{
	struct hello h = {.role = r->outlet->role};
	char buf[HELLO_MAX];
	struct err ignored;

	memcpy(h.error, e->text, sizeof(h.error));
	(void)link_send(r->fd, buf, hello_pack(buf, &h), &ignored);
}

static void
on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r = arg;
	struct outlet *o = r->outlet;
	const char *obj;
	size_t len;
	struct err e = {.code = EPIPE};
	int rc;

	(void)what;
	while ((rc = mail_next(&r->mail, fd, &obj, &len, &e)) == 1) {
		rc = r->state == NEW ? greet(r, obj, len, &e)
				     : take_mark(r, obj, len, &e);
		if (rc != 0)
			break;
	}
	if (rc < 0) {
		if (e.code == 0) {
			complain(r, &e);
			if (r->state == NEW)
				refuse(r, &e);
		}
		reader_leave(r);
	}
	tell_room(o);
}

static struct reader *
reader_new(struct outlet *o, int fd)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r) {
		close(fd);
		return NULL;
	}
	r->outlet = o;
	r->fd = fd;
	r->next = o->readers;
	o->readers = r;
	o->n++;
	r->in = event_new(o->base, fd, EV_READ | EV_PERSIST, on_mail, r);
	r->out = event_new(o->base, fd, EV_WRITE, on_writable, r);
	if (r->in && r->out && event_add(r->in, NULL) == 0)
		return r;
	leave(r);
	return NULL;
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval later = {.tv_sec = 1};
	struct outlet *o = arg;
	struct reader *r;
	struct err e;
	int c;

	(void)fd;
	(void)what;
	while ((c = link_accept(&o->listener)) >= 0) {
		r = reader_new(o, c);
		if (!r || o->n <= OUTLET_READERS)
			continue;
		err_set(&e, "there are %d readers already", OUTLET_READERS);
		refuse(r, &e);
		reader_leave(r);
	}
	/* out of descriptors: it would come back at once */
	if (errno == EMFILE || errno == ENFILE) {
		event_del(o->ready);
		evtimer_add(o->again, &later);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct outlet *o = arg;

	(void)fd;
	(void)what;
	event_add(o->ready, NULL);
}

struct outlet *
outlet_new(struct event_base *base, struct ring *ring, const char *path,
	   const char *role, struct err *e)
{
	struct outlet *o = calloc(1, sizeof(*o));

	if (!o) {
		err_set(e, "out of memory");
		return NULL;
	}
	o->base = base;
	o->ring = ring;
	o->role = role;
	if (link_listen(&o->listener, path, e) != 0) {
		outlet_free(o);
		return NULL;
	}
	o->ready = event_new(base, o->listener.sock.fd, EV_READ | EV_PERSIST,
			     on_connection, o);
	o->again = evtimer_new(base, on_again, o);
	if (o->ready && o->again && event_add(o->ready, NULL) == 0)
		return o;
	err_set(e, "%s: cannot wait for it", path);
	outlet_free(o);
	return NULL;
}

void
outlet_free(struct outlet *o)
{
	struct reader *r;

	if (!o)
		return;
	o->room = NULL;
	while ((r = o->readers)) {
		o->readers = r->next;
		reader_free(r);
	}
	if (o->ready)
		event_free(o->ready);
	if (o->again)
		event_free(o->again);
	link_unlisten(&o->listener);
	free(o);
}

void
outlet_on_room(struct outlet *o, void (*f)(void *), void *ctx)
{
	o->room = f;
	o->room_ctx = ctx;
}

bool
outlet_reader(const struct outlet *o, size_t i, struct outlet_reader *to)
{
	const struct reader *r = o->readers;

	for (; r && i > 0; i--)
		r = r->next;
	if (!r)
		return false;
	*to = (struct outlet_reader){
	    .name = r->name,
	    .sent = r->cursor.number - r->began - r->cursor.skipped,
	    .skipped = r->cursor.skipped,
	};
	return true;
}
