/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/target.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

enum {
	HOST_MAX = 256,
	BUFFER = 4 << 20,	 /* of the socket */
	NOBUFS_NS = 1000 * 1000, /* until the kernel may have memory again */
};

/* "udp:HOST:PORT", an IPv6 address in brackets: HOST, and where PORT begins. */
static const char *
split(const char *name, char host[HOST_MAX], struct err *e)
{
	const char *from = name + 4, *colon = strrchr(name, ':');
	const char *to = colon;

	if (strncmp(name, "udp:", 4) == 0 && colon > from && colon[1] &&
	    !strpbrk(name, "\"\\") && !text_control(name, strlen(name))) {
		if (*from == '[' && to[-1] == ']') {
			from++;
			to--;
		} else if (memchr(from, ':', (size_t)(to - from))) {
			to = from;
		}
		if (to > from && to - from < HOST_MAX) {
			memcpy(host, from, (size_t)(to - from));
			host[to - from] = '\0';
			return colon + 1;
		}
	}
	err_set(e, "%s: must be udp:HOST:PORT, an IPv6 address in brackets",
		name);
	return NULL;
}

static int
open_connected(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = BUFFER, code;
	socklen_t len = sizeof(size);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, len) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, len);
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	code = errno;
	close(fd);
	errno = code;
	return -1;
}

int
target_open(struct target *t, const char *name, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char host[HOST_MAX];
	const char *port;
	int rc;

	*t = (struct target){.name = name, .fd = -1};
	port = split(name, host, e);
	if (!port)
		return -1;
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return err_set(e, "%s: %s", name, gai_strerror(rc));
	for (struct addrinfo *a = found; a && t->fd < 0; a = a->ai_next)
		t->fd = open_connected(a);
	freeaddrinfo(found);
	return t->fd >= 0 ? 0 : err_sys(e, "%s", name);
}

void
target_close(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* Whether the same may be tried again; else it has failed.  A refusal is of
 * one that was sent before, and is told by the next. */
static int
again(struct target *t, int flags, unsigned tries)
{
	const struct timespec pause = {.tv_nsec = NOBUFS_NS};

	if (errno == EINTR)
		return 1;
	if (errno == ECONNREFUSED) {
		log_limited(&t->log, "%s: nothing listens there", t->name);
		return tries == 0;
	}
	if (errno == ENOBUFS && flags == 0) {
		nanosleep(&pause, NULL);
		return 1;
	}
	if (errno != EAGAIN)
		log_limited(&t->log, "%s: cannot send: %s", t->name,
			    strerror(errno));
	return 0;
}

void
target_send(struct target *t, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned tries = 0;
	int done;

	while (n > 0) {
		done = sendmmsg(t->fd, msgs, n, flags);
		if (done > 0) {
			t->sent += (unsigned)done;
			tries = 0;
		} else if (again(t, flags, tries)) {
			tries++;
			continue;
		} else {
			/* where there is no room there is none for the rest */
			done = errno == EAGAIN ? (int)n : 1;
			t->failed += (unsigned)done;
			tries = 0;
		}
		msgs += done;
		n -= (unsigned)done;
	}
}
