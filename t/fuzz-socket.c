/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes from Unix sockets: requests to flowrecv and what a view gets,
 * hellos and marks.  The input is whatever a peer sends, a byte before it says
 * to whom.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/link.h"
#include "common/stream.h"
#include "flowrecv/control.h"
#include "flowrecv/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
request(const char *obj, size_t len)
{
	static struct control_request q;

	if (control_request_read(&q, obj, len) != 0)
		return;
	must(q.nwords <= CONTROL_WORDS && q.most <= DATAGRAM_PAYLOAD_MAX);
	must(strnlen(q.verb, sizeof(q.verb)) < sizeof(q.verb));
	for (size_t i = 0; i < q.nwords; i++)
		must(strnlen(q.words[i], CONTROL_REQUEST_MAX) <
		     CONTROL_REQUEST_MAX);
}

static void
traced(const char *obj, size_t len)
{
	msgpack_unpacked u;
	struct traced t;
	size_t off = 0;

	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, obj, len, &off) == MSGPACK_UNPACK_SUCCESS &&
	    trace_read(&u.data, &t) == 0) {
		must(t.skipped > 0 || t.n <= t.len);
		must(t.n == 0 || (const char *)t.payload + t.n <= obj + len);
	}
	msgpack_unpacked_destroy(&u);
}

/* What is read packs to what reads the same. */
static void
hello(const char *obj, size_t len)
{
	char buf[HELLO_MAX];
	struct hello h, again;
	struct err e;

	if (hello_read(obj, len, LINK_RECORDS, &h, &e) != 0)
		return;
	h.role = LINK_RECORDS;
	must(hello_read(buf, hello_pack(buf, &h), LINK_RECORDS, &again, &e) ==
	     0);
	must(strcmp(h.name, again.name) == 0 && h.number == again.number &&
	     strcmp(h.table, again.table) == 0 && h.stream == again.stream &&
	     strcmp(h.host, again.host) == 0);
}

/* Objects one after another, each in exact memory, so that a sanitizer sees a
 * byte too far. */
static void
objects(const char *p, size_t len, size_t max,
	void (*take)(const char *, size_t))
{
	const char *reason;
	int64_t n;

	while ((n = stream_extent(p, len, max, &reason)) > 0) {
		char *copy = malloc((size_t)n);

		must(copy && (size_t)n <= len && (size_t)n <= max);
		memcpy(copy, p, (size_t)n);
		take(copy, (size_t)n);
		free(copy);
		p += n;
		len -= (size_t)n;
	}
}

/* A hello and the marks behind it, through a socket. */
static void
mail(const char *p, size_t len)
{
	static struct mail m;
	const char *obj;
	struct mark mark;
	struct err e;
	int fd[2];
	size_t n;

	m = (struct mail){.end = 0};
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	(void)!write(fd[0], p, len);
	close(fd[0]);
	while (mail_next(&m, fd[1], &obj, &n, &e) == 1)
		(void)mark_read(obj, n, &mark, &e);
	close(fd[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;

	if (size == 0)
		return 0;
	size--;
	switch (data[0] % 4) {
	case 0:
		objects(p, size, CONTROL_REQUEST_MAX, request);
		break;
	case 1:
		objects(p, size, STREAM_OBJECT_MAX, traced);
		break;
	case 2:
		objects(p, size, HELLO_MAX, hello);
		break;
	default:
		mail(p, size);
	}
	return 0;
}
