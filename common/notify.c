/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/text.h"

/* One datagram to the manager, which is either there or not needed. */
static void
say(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)!sendto(
	    fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	say("WATCHDOG=1");
}

/* A number in the environment, 0 if it is none. */
static uint64_t
variable(const char *name)
{
	const char *text = getenv(name);
	uint64_t x;

	return text && text_read_u64(text, strlen(text), &x) == 0 ? x : 0;
}

struct event *
notify_start(struct event_base *base)
{
	uint64_t us = variable("WATCHDOG_USEC") / 2;
	uint64_t pid = variable("WATCHDOG_PID");
	struct timeval tv = {(time_t)(us / 1000000), (long)(us % 1000000)};
	struct event *event = NULL;

	say("READY=1");
	if (us == 0 || (pid != 0 && pid != (uint64_t)getpid()))
		return NULL;
	event = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	if (event && event_add(event, &tv) == 0)
		return event;
	notify_end(event);
	return NULL;
}

void
notify_end(struct event *event)
{
	if (event)
		event_free(event);
	say("STOPPING=1");
}
