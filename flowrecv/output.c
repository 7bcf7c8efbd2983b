/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/datagram.h"
#include "common/link.h"
#include "common/log.h"

enum {
	PIPE_SIZE = 1 << 20,
	PIECES = 512,
	WRITE_BYTES = 1 << 20,
	REFILL_US = 1000, /* between two writes to a slow reader */
	/* of the ring: the largest datagram fits into the least */
	CHUNK_MIN = 128 << 10,
	CHUNK_MAX = 256 << 10,
};

static const struct timeval refill_time = {.tv_usec = REFILL_US};

static void
fail(struct output *o)
{
	o->failed(o->ctx);
}

static void
update(struct output *o)
{
	if (ring_reader_waits(&o->reader) &&
	    !evtimer_pending(o->refill, NULL) &&
	    !event_pending(o->writable, EV_WRITE, NULL))
		event_add(o->writable, NULL);
}

/* 0 or more bytes were taken; -1: error.  A patient fd that takes nothing for
 * a while is waited for. */
static ssize_t
write_iov(struct output *o, const struct iovec *iov, size_t n)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};
	ssize_t w;

	do {
		w = writev(o->fd, iov, (int)n);
		if (w < 0 && errno == EAGAIN && !o->patient)
			return 0;
		if (w < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
	} while (w < 0 && (errno == EINTR || errno == EAGAIN));
	if (w < 0)
		return err_sys(&o->err, "standard output");
	return w;
}

static int
write_some(struct output *o)
{
	struct iovec iov[PIECES];
	size_t n, want;
	ssize_t w;

	while (ring_reader_waits(&o->reader)) {
		n = ring_gather(&o->reader, iov, PIECES, WRITE_BYTES);
		want = 0;
		for (size_t i = 0; i < n; i++)
			want += iov[i].iov_len;
		w = write_iov(o, iov, n);
		if (w < 0)
			return -1;
		ring_take(&o->reader, (size_t)w);
		if ((size_t)w < want && !o->patient)
			break;
	}
	return 0;
}

int
output_push(struct output *o, bool hard)
{
	if (o->outlet) {
		/* a next start goes on behind what was published, so not in
		 * the middle of a handful */
		if (!hard) {
			ring_publish(o->ring);
			outlet_wake(o->outlet);
		}
		return 0;
	}
	ring_publish(o->ring);
	/* where it waits already it is an event that goes on */
	if ((hard || (!event_pending(o->writable, EV_WRITE, NULL) &&
		      !evtimer_pending(o->refill, NULL))) &&
	    write_some(o) != 0)
		return -1;
	update(o);
	return 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct output *o = arg;

	(void)fd;
	(void)what;
	if (write_some(o) != 0) {
		fail(o);
		return;
	}
	if (ring_reader_waits(&o->reader))
		evtimer_add(o->refill, &refill_time);
	o->taken(o->ctx);
}

/* A pipe is writable as soon as one page of it is free; a moment later a large
 * part of it is. */
static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	update(arg);
}

/* The write end of a pipe is "readable" only when its reader has gone. */
static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct output *o = arg;

	(void)fd;
	(void)what;
	errno = EPIPE;
	err_sys(&o->err, "standard output");
	fail(o);
}

static void
on_room(void *arg)
{
	struct output *o = arg;

	o->taken(o->ctx);
}

static int
open_stdout(struct output *o, struct err *e)
{
	struct stat st;

	o->fd = STDOUT_FILENO;
	if (fstat(o->fd, &st) != 0)
		return err_sys(e, "standard output");
	o->patient = !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode);
	if (o->patient)
		return 0;
	if (S_ISFIFO(st.st_mode))
		fcntl(o->fd, F_SETPIPE_SZ, PIPE_SIZE);
	o->flags = fcntl(o->fd, F_GETFL);
	if (o->flags < 0 || fcntl(o->fd, F_SETFL, o->flags | O_NONBLOCK) != 0)
		return err_sys(e, "standard output");
	o->changed = true;
	return 0;
}

static int
watch_stdout(struct output *o, struct event_base *base, struct err *e)
{
	bool pipe_end = !o->patient && (o->flags & O_ACCMODE) == O_WRONLY;

	o->writable = event_new(base, o->fd, EV_WRITE, on_writable, o);
	o->refill = evtimer_new(base, on_refill, o);
	if (pipe_end)
		o->gone = event_new(base, o->fd, EV_READ, on_gone, o);
	if (!o->writable || !o->refill ||
	    (pipe_end && (!o->gone || event_add(o->gone, NULL) != 0)))
		return err_set(e, "cannot wait for standard output");
	return ring_reader_add(o->ring, &o->reader, RING_HOLDING, NULL, e);
}

static int
open_ring(struct output *o, const struct output_options *opt, struct err *e)
{
	struct ring_options r = {.dir = opt->ring,
				 .file = "flowrecv.ring",
				 .size = opt->size,
				 .chunk = CHUNK_MAX,
				 .extra = opt->extra};
	struct err note;

	while (r.chunk > CHUNK_MIN && r.chunk > r.size / 4)
		r.chunk /= 2;
	o->ring = ring_open(&r, &note, e);
	if (o->ring && note.text[0])
		log_line("%s", note.text);
	return o->ring ? 0 : -1;
}

int
output_init(struct output *o, struct event_base *base,
	    const struct output_options *opt, struct err *e)
{
	if (open_ring(o, opt, e) != 0)
		return -1;
	if (!opt->serve)
		return open_stdout(o, e) == 0 ? watch_stdout(o, base, e) : -1;
	o->outlet = outlet_new(base, o->ring, opt->serve, LINK_DATAGRAMS, e);
	if (!o->outlet)
		return -1;
	outlet_on_room(o->outlet, on_room, o);
	return 0;
}

static void
free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void
output_clear(struct output *o)
{
	free_event(o->writable);
	free_event(o->refill);
	free_event(o->gone);
	outlet_free(o->outlet);
	ring_reader_remove(&o->reader);
	ring_close(o->ring);
	if (o->changed)
		fcntl(o->fd, F_SETFL, o->flags);
	*o = (struct output){0};
}

bool
output_waits(const struct output *o)
{
	struct outlet_reader who;

	if (!o->outlet)
		return ring_reader_waits(&o->reader);
	return !ring_durable(o->ring) && ring_objects(o->ring) > 0 &&
	       outlet_reader(o->outlet, 0, &who);
}

size_t
output_room(const struct output *o, size_t len)
{
	size_t each = (size_t)ring_chunk(o->ring) / (len + 2 * RING_ENTRY);

	return ring_free_chunks(o->ring) * each;
}
