/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/where.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29 /* Linux 4.20; not in glibc's headers */
#endif

static const struct sockaddr_in *
v4(const struct where *w)
{
	return (const struct sockaddr_in *)&w->addr;
}

static const struct sockaddr_in6 *
v6(const struct where *w)
{
	return (const struct sockaddr_in6 *)&w->addr;
}

static bool
is_v6(const struct where *w)
{
	return w->addr.ss_family == AF_INET6;
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

/* The texts, from the rest. */
static void
write_texts(struct where *w)
{
	char digits[INET6_ADDRSTRLEN];
	const void *addr = is_v6(w) ? (const void *)&v6(w)->sin6_addr
				    : (const void *)&v4(w)->sin_addr;
	bool brackets = is_v6(w) || w->interface[0];

	inet_ntop(w->addr.ss_family, addr, digits, sizeof(digits));
	snprintf(w->host, sizeof(w->host), "%s%s%s", digits,
		 w->interface[0] ? "%" : "", w->interface);
	snprintf(w->text, sizeof(w->text), brackets ? "[%s]:%u" : "%s:%u",
		 w->host, w->port);
}

/* HOST is an address as digits. */
static int
parse_digits(struct where *w, const char *host, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char digits[8];

	snprintf(digits, sizeof(digits), "%u", w->port);
	if (getaddrinfo(host, digits, &hints, &found) != 0)
		return err_set(e,
			       "'%s' is no IP address: "
			       "write 127.0.0.1:%u or [::1]:%u",
			       host, w->port, w->port);
	memcpy(&w->addr, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

static int
parse_interface(struct where *w, const char *name, struct err *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t n = strlen(name);

	if (n == 0 || n >= sizeof(w->interface) || strspn(name, good) != n)
		return err_set(e, "'%s' is no name of an interface", name);
	memcpy(w->interface, name, n + 1);
	return 0;
}

/* HOST is without brackets, and is cut up. */
static int
parse_host(struct where *w, char *host, struct err *e)
{
	char *interface = strchr(host, '%');

	if (interface)
		*interface++ = '\0';
	if (parse_digits(w, host, e) != 0 ||
	    (interface && parse_interface(w, interface, e) != 0))
		return -1;
	w->group = is_v6(w) ? IN6_IS_ADDR_MULTICAST(&v6(w)->sin6_addr)
			    : IN_MULTICAST(ntohl(v4(w)->sin_addr.s_addr));
	if (interface && !w->group &&
	    !(is_v6(w) && IN6_IS_ADDR_LINKLOCAL(&v6(w)->sin6_addr)))
		return err_set(e,
			       "an interface goes with a multicast group or a "
			       "link-local address, not with %s",
			       host);
	write_texts(w);
	return 0;
}

int
where_parse(struct where *w, char *text, struct err *e)
{
	char *colon = strrchr(text, ':'), *host = text;
	char all[] = "::";

	*w = (struct where){.any = !colon};
	if (!colon) {
		if (parse_port(text, &w->port, e) != 0)
			return -1;
		return parse_host(w, all, e);
	}
	if (parse_port(colon + 1, &w->port, e) != 0)
		return -1;
	*colon = '\0';
	if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	} else if (strchr(host, ':')) {
		return err_set(e, "put an IPv6 address in brackets: [%s]:%u",
			       host + (host[0] == '['), w->port);
	}
	return parse_host(w, host, e);
}

const char *
where_argument(const struct where *w, char buf[WHERE_TEXT_MAX])
{
	if (w->any)
		snprintf(buf, WHERE_TEXT_MAX, "%u", w->port);
	else
		snprintf(buf, WHERE_TEXT_MAX, "%s", w->text);
	return buf;
}

static int
join(const struct where *w, int fd, unsigned interface)
{
	int level = is_v6(w) ? IPPROTO_IPV6 : IPPROTO_IP;
	int all = is_v6(w) ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL, off = 0;
	struct group_req g = {.gr_interface = interface};

	memcpy(&g.gr_group, &w->addr, sizeof(w->addr));
	/* nothing from interfaces on which others joined it */
	setsockopt(fd, level, all, &off, sizeof(off));
	return setsockopt(fd, level, MCAST_JOIN_GROUP, &g, sizeof(g));
}

/* Opens and binds; the reason of a failure is in errno. */
static int
try_bind(const struct where *w, unsigned interface)
{
	int family = w->addr.ss_family, only = !w->any, code, fd;
	struct sockaddr_storage a = w->addr;
	socklen_t len =
	    is_v6(w) ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (is_v6(w))
		((struct sockaddr_in6 *)&a)->sin6_scope_id = interface;
	if ((!is_v6(w) || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only,
				     sizeof(only)) == 0) &&
	    bind(fd, (struct sockaddr *)&a, len) == 0 &&
	    (!w->group || join(w, fd, interface) == 0))
		return fd;
	code = errno;
	close(fd);
	errno = code;
	return -1;
}

/* The reason is in errno. */
static int
cannot_bind(const struct where *w, struct err *e)
{
	const char *remedy = "";

	if (errno == EADDRINUSE) {
		err_set(e, "%s is in use; to see by whom: ss -ulnp sport = :%u",
			w->text, w->port);
		e->code = EADDRINUSE;
		return -1;
	}
	err_sys(e, "cannot bind %s", w->text);
	if (e->code == EMFILE)
		remedy = "; to raise the limit: ulimit -n, or LimitNOFILE= of "
			 "a service";
	else if (e->code == EACCES)
		remedy = "; ports below 1024 take root or the capability "
			 "CAP_NET_BIND_SERVICE";
	else if (e->code == ENODEV || e->code == EINVAL)
		remedy = "; say on which interface: [ADDRESS%INTERFACE]:PORT";
	return err_append(e, remedy);
}

int
where_bind(struct where *w, struct err *e)
{
	unsigned interface = 0;
	char any[] = "0.0.0.0";
	int fd;

	if (w->interface[0]) {
		interface = if_nametoindex(w->interface);
		if (interface == 0)
			return err_set(e,
				       "%s: there is no interface %s; to see "
				       "those that are: ip link",
				       w->text, w->interface);
	}
	fd = try_bind(w, interface);
	if (fd < 0 && w->any && is_v6(w) &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		if (parse_host(w, any, e) != 0)
			return -1;
		fd = try_bind(w, interface);
	}
	return fd >= 0 ? fd : cannot_bind(w, e);
}

int
where_of(struct where *w, int fd, struct err *e)
{
	socklen_t len = sizeof(w->addr);
	int only = 0;
	socklen_t size = sizeof(only);

	*w = (struct where){.port = 0};
	if (getsockname(fd, (struct sockaddr *)&w->addr, &len) != 0)
		return err_sys(e, "no address");
	/* the port is at one place in both families */
	w->port = ntohs(v6(w)->sin6_port);
	if (w->port == 0)
		return err_set(e, "it is not bound to a port");
	w->any = is_v6(w) && IN6_IS_ADDR_UNSPECIFIED(&v6(w)->sin6_addr) &&
		 getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 &&
		 !only;
	write_texts(w);
	return 0;
}
