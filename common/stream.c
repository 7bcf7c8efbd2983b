/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 1 << 20,
	READ_SIZE = 1 << 20, /* room offered to each read */
	IOV_FLUSH = 1024,
};

static void
widen_pipe(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

int
stream_in_init(struct stream_in *in, int fd, size_t max, struct err *e)
{
	*in = (struct stream_in){.fd = fd,
				 .max = max ? max : STREAM_OBJECT_MAX,
				 .cap = 2 * READ_SIZE};
	in->buf = malloc(in->cap);
	if (!in->buf)
		return err_sys(e, "buffer of %zu bytes", in->cap);
	widen_pipe(fd);
	return 0;
}

void
stream_in_clear(struct stream_in *in)
{
	free(in->buf);
	*in = (struct stream_in){.fd = -1};
}

/*
 * Room for a large read at the end of the buffer. The buffer holds at most one
 * unfinished object and a read, so it is bounded by max + READ_SIZE, and it
 * doubles only as bytes really come, whatever length they claim.
 */
static int
make_room(struct stream_in *in, struct err *e)
{
	size_t used = in->end - in->start;
	char *p;

	if (in->cap - in->end >= READ_SIZE)
		return 0;
	if (in->start > 0) {
		memmove(in->buf, in->buf + in->start, used);
		in->start = 0;
		in->end = used;
	}
	if (in->cap - in->end >= READ_SIZE)
		return 0;
	p = realloc(in->buf, in->cap * 2);
	if (!p)
		return err_sys(e, "buffer of %zu bytes", in->cap * 2);
	in->buf = p;
	in->cap *= 2;
	return 0;
}

int
stream_fill(struct stream_in *in, struct err *e)
{
	ssize_t n;

	if (make_room(in, e) != 0)
		return -1;
	do
		n = read(in->fd, in->buf + in->end, in->cap - in->end);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		return err_sys(e, "read");
	if (n == 0) {
		in->eof = true;
		return 0;
	}
	in->end += (size_t)n;
	return 1;
}

/* What the first byte of an object says: how many bytes of head there are,
 * of payload behind it, and how many objects follow inside. */
struct token {
	uint64_t body, children;
	uint8_t length_bytes; /* big-endian length behind the first byte */
	uint8_t kind; /* 0: plain, 1: length is of a body, 2: of an array,
			 3: of a map */
};

static struct token
token_of(uint8_t b)
{
	static const uint8_t fixed[] = {1, 2, 4, 8};

	if (b <= 0x7f || b >= 0xe0) /* fixint */
		return (struct token){0};
	if (b <= 0x8f)
		return (struct token){.children = 2 * (b & 0xfu)};
	if (b <= 0x9f)
		return (struct token){.children = b & 0xfu};
	if (b <= 0xbf)
		return (struct token){.body = b & 0x1fu};
	if (b <= 0xc3) /* nil, (never used), false, true */
		return (struct token){0};
	if (b <= 0xc6) /* bin */
		return (struct token){.kind = 1,
				      .length_bytes = fixed[b - 0xc4]};
	if (b <= 0xc9) /* ext: a type byte too */
		return (struct token){
		    .kind = 1, .length_bytes = fixed[b - 0xc7], .body = 1};
	if (b <= 0xcb) /* float */
		return (struct token){.body = b == 0xca ? 4 : 8};
	if (b <= 0xd3) /* int */
		return (struct token){.body = fixed[(b - 0xcc) & 3]};
	if (b <= 0xd8) /* fixext */
		return (struct token){.body = 1 + (1ull << (b - 0xd4))};
	if (b <= 0xdb) /* str */
		return (struct token){.kind = 1,
				      .length_bytes = fixed[b - 0xd9]};
	return (struct token){.kind = b <= 0xdd ? 2 : 3,
			      .length_bytes = b & 1 ? 4 : 2};
}

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The head at p in full; 0 if LEFT bytes are too few for it. */
static size_t
token_read(const uint8_t *p, size_t left, struct token *t)
{
	uint64_t length;

	*t = token_of(p[0]);
	if (left < 1u + t->length_bytes)
		return 0;
	length = big_endian(p + 1, t->length_bytes);
	if (t->kind == 1)
		t->body += length;
	else if (t->kind >= 2)
		t->children = length * (t->kind == 3 ? 2 : 1);
	return 1u + t->length_bytes;
}

int64_t
stream_extent(const char *obj, size_t len, size_t max, const char **reason)
{
	const uint8_t *p = (const uint8_t *)obj;
	uint64_t open[STREAM_DEPTH_MAX]; /* objects still to come, by level */
	size_t depth = 0, pos = 0, head, parts = 1;
	struct token t;

	do {
		if (pos >= len)
			return 0;
		if (p[pos] == 0xc1) {
			*reason = "byte 0xc1 is not msgpack";
			return -1;
		}
		head = token_read(p + pos, len - pos, &t);
		if (head == 0)
			return 0;
		pos += head;
		/* every child takes a byte at least */
		if (pos > max || t.body > max - pos || t.children > max - pos) {
			*reason = "object above the largest size";
			return -1;
		}
		pos += t.body;
		if (t.children > STREAM_PARTS_MAX - parts) {
			*reason = "object of too many values";
			return -1;
		}
		parts += t.children;
		if (t.children > 0) {
			if (depth == STREAM_DEPTH_MAX) {
				*reason = "nested too deep";
				return -1;
			}
			open[depth++] = t.children;
			continue;
		}
		while (depth > 0 && --open[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	return pos <= len ? (int64_t)pos : 0;
}

int
stream_next(struct stream_in *in, const char **obj, size_t *len, struct err *e)
{
	const char *reason = "";
	size_t left = in->end - in->start;
	int64_t n;

	if (left == 0)
		return 0;
	n = stream_extent(in->buf + in->start, left, in->max, &reason);
	if (n < 0)
		return err_set(e, "corrupt stream at offset %" PRIu64 ": %s",
			       in->offset, reason);
	if (n == 0 && in->eof)
		return err_set(e,
			       "input ends inside an object that begins at "
			       "offset %" PRIu64 " (%zu bytes of it are there)",
			       in->offset, left);
	if (n == 0)
		return 0;
	*obj = in->buf + in->start;
	*len = (size_t)n;
	in->start += (size_t)n;
	in->offset += (uint64_t)n;
	return 1;
}

void
stream_out_init(struct stream_out *o, int fd)
{
	*o = (struct stream_out){.fd = fd};
	widen_pipe(fd);
}

void
stream_out_clear(struct stream_out *o)
{
	free(o->buf);
	free(o->iov);
	*o = (struct stream_out){.fd = -1};
}

int
stream_out_copy(void *out, const char *p, size_t len)
{
	struct stream_out *o = out;
	size_t cap = o->cap ? o->cap : 4096;
	char *buf;

	while (cap - o->len < len)
		cap *= 2;
	if (cap != o->cap) {
		buf = realloc(o->buf, cap);
		if (!buf) {
			o->failed = true;
			return -1;
		}
		o->buf = buf;
		o->cap = cap;
	}
	memcpy(o->buf + o->len, p, len);
	o->len += len;
	return 0;
}

/* Pieces in buf are named by offset until the flush, since buf may move. */
static void
add_iov(struct stream_out *o, void *base, size_t len)
{
	size_t cap = o->iov_cap ? 2 * o->iov_cap : 64;
	struct iovec *iov;

	if (o->niov == o->iov_cap) {
		iov = realloc(o->iov, cap * sizeof(*iov));
		if (!iov) {
			o->failed = true;
			return;
		}
		o->iov = iov;
		o->iov_cap = cap;
	}
	o->iov[o->niov++] = (struct iovec){.iov_base = base, .iov_len = len};
}

static void
close_piece(struct stream_out *o)
{
	if (o->len > o->mark)
		add_iov(o, NULL, o->len - o->mark);
	o->mark = o->len;
}

void
stream_out_refer(struct stream_out *o, const void *p, size_t len)
{
	if (len == 0)
		return;
	close_piece(o);
	add_iov(o, (void *)(uintptr_t)p, len);
}

void
stream_out_packer(struct stream_out *o, msgpack_packer *pk)
{
	msgpack_packer_init(pk, o, stream_out_copy);
}

size_t
stream_out_pending(const struct stream_out *o)
{
	size_t n = o->len - o->mark;

	for (size_t i = 0; i < o->niov; i++)
		n += o->iov[i].iov_len;
	return n;
}

static int
wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -1 : 0;
}

/* One writev; moves done past what was taken. 1: no more is taken now. */
static int
write_some(struct stream_out *o, struct err *e)
{
	struct iovec *iov = o->iov + o->done;
	size_t n = o->niov - o->done;
	ssize_t len = writev(o->fd, iov, (int)(n < IOV_MAX ? n : IOV_MAX));

	if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 1;
	if (len < 0 && errno == EINTR)
		return 0;
	if (len < 0)
		return err_sys(e, "write");
	o->written += (uint64_t)len;
	while (o->done < o->niov && (size_t)len >= iov->iov_len) {
		len -= (ssize_t)iov->iov_len;
		iov++;
		o->done++;
	}
	if (len > 0) {
		iov->iov_base = (char *)iov->iov_base + len;
		iov->iov_len -= (size_t)len;
	}
	return 0;
}

static void
begin(struct stream_out *o)
{
	size_t at = 0;

	if (o->begun)
		return;
	close_piece(o);
	for (size_t i = 0; i < o->niov; i++)
		if (!o->iov[i].iov_base) {
			o->iov[i].iov_base = o->buf + at;
			at += o->iov[i].iov_len;
		}
	o->begun = true;
}

void
stream_out_drop(struct stream_out *o, int fd)
{
	o->fd = fd;
	o->len = o->mark = o->niov = o->done = 0;
	o->begun = o->failed = false;
}

int
stream_out_try(struct stream_out *o, struct err *e)
{
	int rc = 0;

	begin(o);
	if (o->failed)
		rc = err_set(e, "out of memory for output");
	while (rc == 0 && o->done < o->niov)
		rc = write_some(o, e);
	if (rc == 1)
		return 0;
	stream_out_drop(o, o->fd);
	return rc < 0 ? -1 : 1;
}

int
stream_out_flush(struct stream_out *o, struct err *e)
{
	int rc;

	while ((rc = stream_out_try(o, e)) == 0)
		if (wait_writable(o->fd) != 0) {
			err_sys(e, "write");
			stream_out_drop(o, o->fd);
			return -1;
		}
	return rc < 0 ? -1 : 0;
}

void
stream_out_discard(struct stream_out *o)
{
	o->len = o->mark = o->niov = o->done = 0;
	o->failed = o->begun = false;
}

int
stream_out_take(struct stream_out *o, char *to, struct err *e)
{
	size_t at = 0;
	bool failed;

	close_piece(o);
	for (size_t i = 0; i < o->niov; i++) {
		const struct iovec *v = &o->iov[i];

		memcpy(to, v->iov_base ? v->iov_base : o->buf + at, v->iov_len);
		if (!v->iov_base)
			at += v->iov_len;
		to += v->iov_len;
	}
	failed = o->failed;
	stream_out_discard(o);
	return failed ? err_set(e, "out of memory for output") : 0;
}
