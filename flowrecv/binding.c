/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/binding.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

int
binding_name_check(const char *name, struct err *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t n = strlen(name);

	if (n > 0 && n < BINDING_NAME_MAX && strspn(name, good) == n)
		return 0;
	return err_set(e,
		       "'%s' is no binding name: 1 to %d letters, digits, "
		       "dots, dashes and underscores",
		       name, BINDING_NAME_MAX - 1);
}

int
binding_rename(struct binding *b, const char *name, struct err *e)
{
	if (binding_name_check(name, e) != 0)
		return -1;
	b->name_len = strlen(name);
	memcpy(b->name, name, b->name_len + 1);
	return 0;
}

/* [NAME=][ADDRESS:]PORT. */
static int
parse(struct binding *b, const char *text, struct err *e)
{
	char copy[BINDING_NAME_MAX + WHERE_TEXT_MAX];
	char *name = copy, *where;
	char digits[8];
	size_t len = strlen(text);

	*b = (struct binding){.fd = -1};
	if (len >= sizeof(copy))
		return err_set(e, "'%s' is too long: [NAME=][ADDRESS:]PORT",
			       text);
	memcpy(copy, text, len + 1);
	where = strchr(copy, '=');
	if (where)
		*where++ = '\0';
	if (where_parse(&b->where, where ? where : copy, e) != 0)
		return err_prefix(e, "%s", text);
	if (!where) {
		snprintf(digits, sizeof(digits), "%u", b->where.port);
		name = digits;
	}
	return binding_rename(b, name, e);
}

struct binding *
binding_new(const char *text, struct err *e)
{
	struct binding *b = malloc(sizeof(*b));

	if (!b) {
		err_set(e, "out of memory");
		return NULL;
	}
	if (parse(b, text, e) != 0) {
		free(b);
		return NULL;
	}
	return b;
}

/* The kernel doubles what it is asked for, to count its own overhead, and
 * reports the doubled figure. */
static size_t
granted_buffer(int fd)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	return (size_t)bytes / 2;
}

static void
set_buffer(struct binding *b, size_t want)
{
	int bytes = (int)want;
	socklen_t len = sizeof(bytes);

	if (setsockopt(b->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, len) != 0)
		setsockopt(b->fd, SOL_SOCKET, SO_RCVBUF, &bytes, len);
	b->buffer = granted_buffer(b->fd);
	if (b->buffer < want)
		log_line("%s: the kernel granted a receive buffer of %zu "
			 "bytes, not %zu; to raise it: sysctl -w "
			 "net.core.rmem_max=%zu",
			 b->name, b->buffer, want, want);
}

static int
ask_for_times(struct binding *b, struct err *e)
{
	int on = 1;

	if (setsockopt(b->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0)
		return err_sys(e, "%s: no receive times", b->name);
	return 0;
}

int
binding_open(struct binding *b, size_t buffer, struct err *e)
{
	b->fd = where_bind(&b->where, e);
	if (b->fd < 0)
		return err_prefix(e, "%s", b->name);
	set_buffer(b, buffer);
	return ask_for_times(b, e);
}

static int
adopt(struct binding *b, const char *name, size_t buffer, struct err *e)
{
	char digits[8];
	int flags = fcntl(b->fd, F_GETFL);

	if (where_of(&b->where, b->fd, e) != 0)
		return -1;
	snprintf(digits, sizeof(digits), "%u", b->where.port);
	if (binding_rename(b, *name ? name : digits, e) != 0)
		return -1;
	if (flags < 0 || fcntl(b->fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_sys(e, "%s", b->name);
	b->buffer = granted_buffer(b->fd);
	if (b->buffer < buffer)
		set_buffer(b, buffer);
	return ask_for_times(b, e);
}

struct binding *
binding_adopt(int fd, const char *name, size_t buffer, struct err *e)
{
	struct binding *b = calloc(1, sizeof(*b));

	if (!b) {
		err_set(e, "out of memory");
		return NULL;
	}
	b->fd = fd;
	if (adopt(b, name, buffer, e) == 0)
		return b;
	binding_free(b);
	return NULL;
}

void
binding_close(struct binding *b)
{
	if (b->readable)
		event_free(b->readable);
	if (b->pause)
		event_free(b->pause);
	if (b->fd >= 0)
		close(b->fd);
	b->readable = b->pause = NULL;
	b->fd = -1;
}

void
binding_free(struct binding *b)
{
	if (b)
		binding_close(b);
	free(b);
}

uint64_t
binding_kernel_drops(struct binding *b)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);
	uint32_t fresh;

	if (b->fd < 0 ||
	    getsockopt(b->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0 ||
	    len <= SK_MEMINFO_DROPS * sizeof(info[0]))
		return 0;
	fresh = info[SK_MEMINFO_DROPS] - b->kernel_seen;
	b->kernel_seen = info[SK_MEMINFO_DROPS];
	b->kernel_drops += fresh;
	return fresh;
}
