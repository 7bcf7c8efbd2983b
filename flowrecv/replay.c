/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/replay.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "flowrecv/line.h"
#include "flowrecv/receiver.h"

enum { FLUSH_BYTES = 256 << 10 };

static volatile sig_atomic_t stopped;

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

/* Not through libevent: libpcap reads a file by blocking, and a read that
 * waits must be interrupted. */
static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal,
			       .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
flush(struct replay *r)
{
	r->pending = 0;
	if (!r->failed && stream_out_flush(&r->out, &r->err) != 0)
		r->failed = true;
	if (r->failed)
		return -1;
	r->written = r->number;
	return 0;
}

/* Waits for P, if it is not NULL, at most TIME if that is not NULL.  A signal
 * that comes between the look at `stopped` and the wait must not be missed, so
 * it is let in by the wait alone. */
static void
wait_for(struct pollfd *p, const struct timespec *time)
{
	sigset_t ours, before;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, &before);
	if (!stopped)
		ppoll(p, p ? 1 : 0, time, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Before a read. */
static int
input_wait(void *arg, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, 0) != 0)
		return stopped ? -1 : 0;
	if (flush(arg) != 0)
		return -1;
	while (!stopped && p.revents == 0)
		wait_for(&p, NULL);
	return stopped ? -1 : 0;
}

int
replay_init(struct replay *r, const char *path, int fd, struct err *e)
{
	r->capture.ports = r->ports;
	r->capture.wait = input_wait;
	r->capture.wait_arg = r;
	r->lines = isatty(fd);
	stream_out_init(&r->out, fd);
	catch_signals();
	if (receiver_identity(&r->stream, e) != 0)
		return -1;
	/* stopped before the capture had begun: then it is an empty one */
	if (capture_open(&r->capture, path, e) != 0 && !stopped)
		return -1;
	return 0;
}

void
replay_clear(struct replay *r)
{
	capture_close(&r->capture);
	stream_out_clear(&r->out);
}

static void
put(struct replay *r, const struct datagram *d)
{
	char head[LINE_BYTES_MAX];
	size_t n;

	_Static_assert((int)LINE_BYTES_MAX >= (int)DATAGRAM_HEADER_MAX,
		       "either fits");
	n = r->lines ? line_format(head, d) : datagram_header(head, d);
	stream_out_copy(&r->out, head, n);
	if (!r->lines)
		stream_out_copy(&r->out, (const char *)d->payload, d->len);
	r->pending += n + d->len;
}

/* Sends D on when it is due, unless that is never because of a signal. */
static void
send_on(struct replay *r, const struct datagram *d)
{
	int64_t us = pace_next(&r->pace, d->time_us);
	struct iovec iov = {(void *)(uintptr_t)d->payload, d->len};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};

	if (us > 0)
		wait_for(NULL, &ts);
	if (!stopped)
		target_send(r->to, &m, 1, 0);
}

int
replay_run(struct replay *r, struct err *e)
{
	struct datagram d = {.stream = r->stream,
			     .binding = r->binding,
			     .binding_len = strlen(r->binding)};
	int rc = 0;

	while (!stopped && !r->failed) {
		rc = capture_next(&r->capture, &d, e);
		if (rc != 1)
			break;
		d.number = ++r->number;
		if (r->to) {
			send_on(r, &d);
			continue;
		}
		put(r, &d);
		if (r->pending >= FLUSH_BYTES && flush(r) != 0)
			break;
	}
	/* a read that a signal interrupted is no error of the capture */
	if (stopped)
		rc = 0;
	if (flush(r) != 0) {
		*e = r->err;
		return -1;
	}
	return rc < 0 ? -1 : 0;
}

void
replay_report(const struct replay *r, bool all)
{
	const struct capture_counts *n = &r->capture.counts;

	if (n->fragments + n->cut + n->bad > 0)
		log_line("%s: skipped %" PRIu64 " IP fragments, %" PRIu64
			 " packets cut short by the capture, %" PRIu64
			 " malformed",
			 r->capture.name, n->fragments, n->cut, n->bad);
	if (r->to && (all || r->to->failed > 0))
		log_line("%s: %" PRIu64 " datagrams sent to %s, %" PRIu64
			 " could not be sent",
			 r->capture.name, r->to->sent, r->to->name,
			 r->to->failed);
	if (all && r->failed)
		log_line("%s: the reader of the output is gone: %" PRIu64
			 " datagrams not written",
			 r->capture.name, r->number - r->written);
	if (all)
		log_line("%s: %" PRIu64 " packets: %" PRIu64
			 " datagrams passed on, %" PRIu64 " skipped, %" PRIu64
			 " to other ports, %" PRIu64 " not UDP",
			 r->capture.name, n->packets, n->passed,
			 n->fragments + n->cut + n->bad, n->port, n->other);
}
