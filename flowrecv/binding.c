/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
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

static int
parse_port(const char *text, uint16_t *port, struct err *e)
{
	uint64_t v;

	if (text_read_u64(text, strlen(text), &v) != 0 || v < 1 || v > 65535)
		return err_set(e, "'%s' is no port: 1 to 65535", text);
	*port = (uint16_t)v;
	return 0;
}

/* HOST is an address as text, without brackets. */
static int
parse_address(struct binding *b, const char *host, uint16_t port, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char digits[8];

	snprintf(digits, sizeof(digits), "%u", port);
	if (getaddrinfo(host, digits, &hints, &found) != 0)
		return err_set(e,
			       "'%s' is no IP address: "
			       "write 127.0.0.1:%u or [::1]:%u",
			       host, port, port);
	memcpy(&b->addr, found->ai_addr, found->ai_addrlen);
	b->port = port;
	snprintf(b->host, sizeof(b->host), "%s", host);
	snprintf(b->where, sizeof(b->where),
		 found->ai_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 port);
	freeaddrinfo(found);
	return 0;
}

/* ADDRESS:PORT or [ADDRESS]:PORT; TEXT is cut up. */
static int
parse_where(struct binding *b, char *text, uint16_t *port, struct err *e)
{
	char *colon = strrchr(text, ':'), *host = text;

	b->any = !colon;
	if (!colon) {
		if (parse_port(text, port, e) != 0)
			return -1;
		return parse_address(b, "::", *port, e);
	}
	if (parse_port(colon + 1, port, e) != 0)
		return -1;
	*colon = '\0';
	if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	} else if (strchr(host, ':')) {
		return err_set(e, "put an IPv6 address in brackets: [%s]:%u",
			       host, *port);
	}
	return parse_address(b, host, *port, e);
}

/* [NAME=][ADDRESS:]PORT. */
static int
parse(struct binding *b, const char *text, struct err *e)
{
	char copy[BINDING_NAME_MAX + BINDING_WHERE_MAX];
	char *name = copy, *where;
	char digits[8];
	uint16_t port = 0;
	size_t len = strlen(text);

	*b = (struct binding){.fd = -1};
	if (len >= sizeof(copy))
		return err_set(e, "'%s' is too long: [NAME=][ADDRESS:]PORT",
			       text);
	memcpy(copy, text, len + 1);
	where = strchr(copy, '=');
	if (where)
		*where++ = '\0';
	if (parse_where(b, where ? where : copy, &port, e) != 0)
		return err_prefix(e, "%s", text);
	if (!where) {
		snprintf(digits, sizeof(digits), "%u", port);
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

static socklen_t
addr_len(const struct binding *b)
{
	return b->addr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					     : sizeof(struct sockaddr_in);
}

/* Opens and binds; the reason of a failure is in errno. */
static int
try_bind(struct binding *b)
{
	int family = b->addr.ss_family, only = !b->any, code;

	b->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (b->fd < 0)
		return -1;
	if ((family != AF_INET6 || setsockopt(b->fd, IPPROTO_IPV6, IPV6_V6ONLY,
					      &only, sizeof(only)) == 0) &&
	    bind(b->fd, (struct sockaddr *)&b->addr, addr_len(b)) == 0)
		return 0;
	code = errno;
	close(b->fd);
	b->fd = -1;
	errno = code;
	return -1;
}

/* Adds what helps, where that is known. */
static int
err_remedy(struct err *e)
{
	size_t n = strlen(e->text);
	const char *remedy = "";

	if (e->code == EMFILE)
		remedy = "; to raise the limit: ulimit -n, or LimitNOFILE= of "
			 "a service";
	else if (e->code == EACCES)
		remedy = "; ports below 1024 take root or the capability "
			 "CAP_NET_BIND_SERVICE";
	snprintf(e->text + n, sizeof(e->text) - n, "%s", remedy);
	return -1;
}

static int
open_socket(struct binding *b, struct err *e)
{
	if (try_bind(b) == 0)
		return 0;
	if (b->any && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		if (parse_address(b, "0.0.0.0", b->port, e) != 0)
			return -1;
		if (try_bind(b) == 0)
			return 0;
	}
	if (errno == EADDRINUSE) {
		err_set(e,
			"%s: %s is in use; to see by whom: ss -ulnp sport = "
			":%u",
			b->name, b->where, b->port);
		e->code = EADDRINUSE;
		return -1;
	}
	err_sys(e, "%s: cannot bind %s", b->name, b->where);
	return err_remedy(e);
}

/* The kernel doubles what it is asked for, to count its own overhead, and
 * reports the doubled figure. */
static void
set_buffer(struct binding *b, size_t want)
{
	int bytes = (int)want;
	socklen_t len = sizeof(bytes);

	if (setsockopt(b->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, len) != 0)
		setsockopt(b->fd, SOL_SOCKET, SO_RCVBUF, &bytes, len);
	if (getsockopt(b->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) == 0)
		b->buffer = (size_t)bytes / 2;
	if (b->buffer < want)
		log_line("%s: the kernel granted a receive buffer of %zu "
			 "bytes, not %zu; to raise it: sysctl -w "
			 "net.core.rmem_max=%zu",
			 b->name, b->buffer, want, want);
}

int
binding_open(struct binding *b, size_t buffer, struct err *e)
{
	int on = 1;

	if (open_socket(b, e) != 0)
		return -1;
	set_buffer(b, buffer);
	if (setsockopt(b->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0)
		return err_sys(e, "%s: no receive times", b->name);
	return 0;
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
