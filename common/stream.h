/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of msgpack objects on a file descriptor: the framing under
 * flowdatagram(5) and flowrecord(5).
 *
 * A reader finds where each object ends before any of it is unpacked: a
 * length is checked against the bound before memory is taken, an array or map
 * that claims more elements than its object has bytes left is refused, and so
 * is nesting deeper than STREAM_DEPTH_MAX or more than STREAM_PARTS_MAX values
 * in all: unpacked, each takes 24 bytes, however short it is.  msgpack-c sees
 * whole, checked objects only.
 *
 * A writer gathers small pieces in a buffer of its own and refers to large
 * ones where they lie, and hands them all to one writev(2).
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"

enum {
	STREAM_OBJECT_MAX = 64 << 20, /* bytes of one object, by default */
	STREAM_DEPTH_MAX = 16,
	STREAM_PARTS_MAX = 16384, /* values in an object, itself and keys too */
};

struct stream_in {
	int fd;
	size_t max; /* bound of one object, STREAM_OBJECT_MAX if 0 at init */
	char *buf;
	size_t start, end, cap; /* unread bytes are buf[start, end) */
	uint64_t offset;	/* of buf[start] in the whole stream */
	bool eof;
};

/* Widens a pipe to 1 MiB where it may. The fd stays the caller's. */
int stream_in_init(struct stream_in *, int fd, size_t max, struct err *);
void stream_in_clear(struct stream_in *);

/* One read(2). 1: bytes came; 0: end of input (eof is set) or EAGAIN;
 * -1: error. Moves and may free what stream_next gave. */
int stream_fill(struct stream_in *, struct err *);

/*
 * The next whole object: 1 and where it lies (until the next stream_fill), 0
 * if more input is needed, -1 if the stream is corrupt: the error names the
 * offset.  After eof, bytes that are not a whole object are an error too.
 */
int stream_next(struct stream_in *, const char **obj, size_t *len,
		struct err *);

/* The length of the msgpack object at p: above 0; 0 if len bytes are not all
 * of it; -1 if it breaks a bound (the reason is a static text). */
int64_t stream_extent(const char *p, size_t len, size_t max,
		      const char **reason);

struct stream_out {
	int fd;
	char *buf; /* small pieces */
	size_t len, cap;
	struct iovec *iov; /* base NULL: an offset into buf, set at flush */
	size_t niov, iov_cap;
	size_t mark;	  /* buf[mark, len) is not in iov yet */
	size_t done;	  /* iovs that stream_out_try has written */
	bool begun;	  /* by stream_out_try, which has not ended */
	bool failed;	  /* memory was out: flush says so */
	uint64_t written; /* bytes, in all */
};

/* Widens a pipe. The fd stays the caller's. */
void stream_out_init(struct stream_out *, int fd);
void stream_out_clear(struct stream_out *);

/* Copies. Has the type that msgpack_packer_init wants (data is the
 * stream_out). */
int stream_out_copy(void *out, const char *p, size_t len);
/* Refers: p must stay until the flush. */
void stream_out_refer(struct stream_out *, const void *p, size_t len);
/* A packer that writes here. */
void stream_out_packer(struct stream_out *, msgpack_packer *);
/* Bytes that wait for the flush. */
size_t stream_out_pending(const struct stream_out *);

/* Copies everything to TO, of stream_out_pending bytes, instead of writing. */
int stream_out_take(struct stream_out *, char *to, struct err *);
/* Forgets what waits for the flush. */
void stream_out_discard(struct stream_out *);

/* Writes everything, waiting as long as it takes. -1: the reader is gone
 * (EPIPE) or another error. */
int stream_out_flush(struct stream_out *, struct err *);

/*
 * The same for a descriptor that does not block, without waiting: 1 when
 * everything is written; 0 when no more is taken now, and until a later call
 * has given 1 nothing may be added and what was referred to must stay.
 */
int stream_out_try(struct stream_out *, struct err *);
/* Forgets what waits: the connection is gone, FD is the next. */
void stream_out_drop(struct stream_out *, int fd);

#endif
