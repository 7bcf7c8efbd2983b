/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/outqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 1 << 20,
	CHUNK_SIZE = 1 << 20,
	SPARE_MAX = 8, /* chunks kept for the next time */
	WRITE_IOV = 512,
};

/* A datagram that waits: this, then len bytes, then padding to 8. */
struct frame {
	struct tally *tally;
	size_t len;
};

struct chunk {
	struct chunk *next;
	size_t start, end; /* frames are data[start, end) */
	size_t written;	   /* bytes of the first frame that are gone */
	_Alignas(struct frame) char data[];
};

enum { CHUNK_ROOM = CHUNK_SIZE - sizeof(struct chunk) };

static size_t
frame_size(size_t len)
{
	return sizeof(struct frame) + ((len + 7) & ~(size_t)7);
}

int
outqueue_init(struct outqueue *q, int fd, size_t limit, struct err *e)
{
	struct stat st;

	*q = (struct outqueue){.fd = fd, .limit = limit};
	if (fstat(fd, &st) != 0)
		return err_sys(e, "standard output");
	q->patient = !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode);
	if (q->patient)
		return 0;
	if (S_ISFIFO(st.st_mode))
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
	q->flags = fcntl(fd, F_GETFL);
	if (q->flags < 0 || fcntl(fd, F_SETFL, q->flags | O_NONBLOCK) != 0)
		return err_sys(e, "standard output");
	q->changed = true;
	return 0;
}

static void
chunk_release(struct outqueue *q, struct chunk *c)
{
	if (q->nspare == SPARE_MAX) {
		free(c);
		return;
	}
	c->next = q->spare;
	q->spare = c;
	q->nspare++;
}

static void
chunks_free(struct chunk *c)
{
	struct chunk *next;

	for (; c; c = next) {
		next = c->next;
		free(c);
	}
}

void
outqueue_clear(struct outqueue *q)
{
	chunks_free(q->head);
	chunks_free(q->spare);
	if (q->changed)
		fcntl(q->fd, F_SETFL, q->flags);
	*q = (struct outqueue){.fd = -1};
}

bool
outqueue_fits(const struct outqueue *q, size_t len)
{
	size_t used = q->waiting_bytes + q->fresh_bytes;

	return used <= q->limit && len <= q->limit - used;
}

void
outqueue_add(struct outqueue *q, struct tally *t, const void *p, size_t len)
{
	q->iov[q->nfresh] = (struct iovec){(void *)(uintptr_t)p, len};
	q->fresh_bytes += len;
	q->marks[q->nfresh] = (struct fresh){t, q->fresh_bytes};
	q->nfresh++;
	tally_queued(t);
}

static struct chunk *
chunk_for(struct outqueue *q, size_t size)
{
	struct chunk *c = q->tail;

	if (c && CHUNK_ROOM - c->end >= size)
		return c;
	c = q->spare;
	if (c) {
		q->spare = c->next;
		q->nspare--;
	} else {
		c = malloc(CHUNK_SIZE);
		if (!c)
			return NULL;
	}
	*c = (struct chunk){0};
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	return c;
}

static int
keep(struct outqueue *q, struct tally *t, const char *p, size_t len,
     struct err *e)
{
	struct chunk *c = chunk_for(q, frame_size(len));
	struct frame f = {t, len};

	if (!c)
		return err_sys(e, "no memory for the queue");
	memcpy(c->data + c->end, &f, sizeof(f));
	memcpy(c->data + c->end + sizeof(f), p, len);
	c->end += frame_size(len);
	q->waiting_bytes += len;
	return 0;
}

/* 0 or more bytes were taken; -1: error.  A patient fd that takes nothing for
 * a while is waited for. */
static ssize_t
write_iov(struct outqueue *q, const struct iovec *iov, size_t n, struct err *e)
{
	struct pollfd p = {.fd = q->fd, .events = POLLOUT};
	ssize_t w;

	do {
		w = writev(q->fd, iov, (int)n);
		if (w < 0 && errno == EAGAIN && !q->patient)
			return 0;
		if (w < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
	} while (w < 0 && (errno == EINTR || errno == EAGAIN));
	if (w < 0)
		return err_sys(e, "standard output");
	return w;
}

/* Copies what is left of the fresh datagrams from byte AT on. */
static int
keep_fresh(struct outqueue *q, size_t i, size_t at, struct err *e)
{
	size_t begin, skip;

	for (; i < q->nfresh; i++) {
		begin = q->marks[i].end - q->iov[i].iov_len;
		skip = at > begin ? at - begin : 0;
		if (keep(q, q->marks[i].tally,
			 (char *)q->iov[i].iov_base + skip,
			 q->iov[i].iov_len - skip, e) != 0)
			return -1;
	}
	return 0;
}

int
outqueue_flush(struct outqueue *q, struct err *e)
{
	size_t done = 0, i = 0;
	ssize_t w = 0;
	int rc;

	if (q->nfresh == 0)
		return 0;
	if (!outqueue_waits(q))
		w = write_iov(q, q->iov, q->nfresh, e);
	if (w > 0)
		done = (size_t)w;
	for (; i < q->nfresh && q->marks[i].end <= done; i++)
		tally_sent(q->marks[i].tally);
	rc = w < 0 ? -1 : keep_fresh(q, i, done, e);
	q->nfresh = q->fresh_bytes = 0;
	if (rc == 0 && q->patient && outqueue_waits(q))
		return outqueue_write(q, e);
	return rc;
}

/* The frames that wait, as far as they fit IOV. */
static size_t
gather(const struct outqueue *q, struct iovec *iov)
{
	const struct chunk *c;
	struct frame f;
	size_t n = 0, at, skip;

	for (c = q->head; c; c = c->next) {
		skip = c->written;
		for (at = c->start; at < c->end && n < WRITE_IOV; n++) {
			memcpy(&f, c->data + at, sizeof(f));
			iov[n].iov_base =
			    (char *)(uintptr_t)c->data + at + sizeof(f) + skip;
			iov[n].iov_len = f.len - skip;
			at += frame_size(f.len);
			skip = 0;
		}
	}
	return n;
}

/* DONE bytes from the front are gone. */
static void
advance(struct outqueue *q, size_t done)
{
	struct chunk *c = q->head;
	struct frame f;

	q->waiting_bytes -= done;
	while (c) {
		if (c->start == c->end) {
			q->head = c->next;
			if (!q->head)
				q->tail = NULL;
			chunk_release(q, c);
			c = q->head;
			continue;
		}
		memcpy(&f, c->data + c->start, sizeof(f));
		if (done < f.len - c->written) {
			c->written += done;
			return;
		}
		done -= f.len - c->written;
		c->written = 0;
		c->start += frame_size(f.len);
		tally_sent(f.tally);
	}
}

int
outqueue_write(struct outqueue *q, struct err *e)
{
	struct iovec iov[WRITE_IOV];
	size_t n, want;
	ssize_t w;

	while (outqueue_waits(q)) {
		n = gather(q, iov);
		want = 0;
		for (size_t i = 0; i < n; i++)
			want += iov[i].iov_len;
		w = write_iov(q, iov, n, e);
		if (w < 0)
			return -1;
		advance(q, (size_t)w);
		if ((size_t)w < want && !q->patient)
			break;
	}
	return 0;
}
