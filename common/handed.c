/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/handed.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/text.h"

enum { FIRST = 3, COUNT_MAX = 1024 };

static uint64_t
number(const char *variable)
{
	const char *text = getenv(variable);
	uint64_t v;

	if (!text || text_read_u64(text, strlen(text), &v) != 0)
		return 0;
	return v;
}

int
handed_count(void)
{
	uint64_t n = number("LISTEN_FDS");

	if (number("LISTEN_PID") != (uint64_t)getpid() || n > COUNT_MAX)
		return 0;
	for (int i = 0; i < (int)n; i++)
		fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
	return (int)n;
}

int
handed_get(int i, char *name, size_t size)
{
	const char *at = getenv("LISTEN_FDNAMES");
	size_t len = 0;

	for (int k = 0; at && k < i; k++) {
		at = strchr(at, ':');
		at = at ? at + 1 : NULL;
	}
	if (at)
		len = strcspn(at, ":");
	if (len >= size)
		len = size - 1;
	if (at && len > 0)
		memcpy(name, at, len);
	name[len] = '\0';
	return FIRST + i;
}

int
handed_unix(const char *path)
{
	int n = handed_count();

	for (int i = 0; i < n; i++) {
		struct sockaddr_un a = {0};
		socklen_t len = sizeof(a) - 1;

		if (getsockname(FIRST + i, (struct sockaddr *)&a, &len) == 0 &&
		    a.sun_family == AF_UNIX && strcmp(a.sun_path, path) == 0)
			return FIRST + i;
	}
	return -1;
}
