/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/text.h"

enum {
	HOST_MAX = 64,
	SECONDS = 10,	 /* without a byte from or to a client */
	LIFE_MS = 30000, /* of a connection, whatever it does */
	GRACE_MS = 100,	 /* in which it may ask, whoever else waits */
	TICK_MS = 50,
	REQUEST_MAX = 8 << 10, /* bytes */
	CLIENTS = 32,	       /* at a time */
	AGAIN_SECONDS = 1,     /* after descriptors have run out */
};

static const struct timeval tick = {.tv_usec = TICK_MS * 1000};

struct client {
	struct client *next;
	struct metrics *metrics;
	struct bufferevent *bev; /* libevent's */
	bool known;		 /* libevent tells when it closes */
	int64_t since_ms;
};

struct metrics {
	struct metrics *next;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct event *again, *fresh, *tick;
	struct client *clients; /* the oldest first */
	size_t n;
	metrics_collect *collect;
	void *ctx;
	struct evbuffer *out; /* while it is collected */
	const char *family;
};

/* For what libevent tells of a listener, and not whose it is. */
static struct metrics *all;

static void
family(struct metrics *m, const char *name, const char *type, const char *help)
{
	m->family = name;
	evbuffer_add_printf(m->out, "# HELP %s %s\n# TYPE %s %s\n", name, help,
			    name, type);
}

void
metrics_counter(struct metrics *m, const char *name, const char *help)
{
	family(m, name, "counter", help);
}

void
metrics_gauge(struct metrics *m, const char *name, const char *help)
{
	family(m, name, "gauge", help);
}

/* In quotes; what is not UTF-8 becomes '?'. */
static void
put_quoted(struct evbuffer *out, const char *s)
{
	size_t len = strlen(s), good;

	evbuffer_add(out, "\"", 1);
	while (len > 0) {
		good = strcspn(s, "\\\"\n");
		good = text_utf8(s, good < len ? good : len);
		evbuffer_add(out, s, good);
		s += good;
		len -= good;
		if (len == 0)
			break;
		if (*s == '\n')
			evbuffer_add(out, "\\n", 2);
		else if (*s == '\\' || *s == '"')
			evbuffer_add_printf(out, "\\%c", *s);
		else
			evbuffer_add(out, "?", 1);
		s++;
		len--;
	}
	evbuffer_add(out, "\"", 1);
}

static void
put_labels(struct metrics *m, const struct metrics_label *labels, size_t n)
{
	evbuffer_add(m->out, m->family, strlen(m->family));
	for (size_t i = 0; i < n; i++) {
		evbuffer_add_printf(m->out, "%c%s=", i ? ',' : '{',
				    labels[i].name);
		put_quoted(m->out, labels[i].value);
	}
	evbuffer_add_printf(m->out, "%s ", n ? "}" : "");
}

void
metrics_sample(struct metrics *m, uint64_t value,
	       const struct metrics_label *labels, size_t n)
{
	put_labels(m, labels, n);
	evbuffer_add_printf(m->out, "%" PRIu64 "\n", value);
}

void
metrics_sample_time(struct metrics *m, int64_t us,
		    const struct metrics_label *labels, size_t n)
{
	uint64_t size = us < 0 ? -(uint64_t)us : (uint64_t)us;

	put_labels(m, labels, n);
	evbuffer_add_printf(m->out, "%s%" PRIu64 ".%06" PRIu64 "\n",
			    us < 0 ? "-" : "", size / 1000000, size % 1000000);
}

void
metrics_value(struct metrics *m, uint64_t value)
{
	metrics_sample(m, value, NULL, 0);
}

static void
on_scrape(struct evhttp_request *req, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct metrics *m = arg;

	m->out = evbuffer_new();
	if (!m->out) {
		evhttp_send_error(req, HTTP_INTERNAL, NULL);
		return;
	}
	m->collect(m->ctx, m);
	evhttp_add_header(headers, "Content-Type",
			  "text/plain; version=0.0.4; charset=utf-8");
	evhttp_send_reply(req, HTTP_OK, "OK", m->out);
	evbuffer_free(m->out);
	m->out = NULL;
}

static void
on_other(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_error(req, HTTP_NOTFOUND, "Not Found; see /metrics");
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	const struct metrics *m = arg;

	(void)fd;
	(void)what;
	if (m->n < CLIENTS)
		evconnlistener_enable(m->listener);
}

/*
 * Clients.  Whoever can connect can hold a connection: they are few, none stays
 * for long, and where others wait they make room in a moment, so that one which
 * asks and goes gets its answer all the same.
 */

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* libevent finds it closed, and frees it. */
static void
send_away(const struct client *c)
{
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

static void
on_closed(struct evhttp_connection *conn, void *arg)
{
	struct client *c = arg, **at = &c->metrics->clients;
	struct metrics *m = c->metrics;

	(void)conn;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
	m->n--;
	evtimer_del(m->again);
	if (m->listener)
		evconnlistener_enable(m->listener);
}

/* Of those that were accepted a moment ago there is a connection now, which is
 * what libevent calls them back with. */
static void
on_fresh(evutil_socket_t fd, short what, void *arg)
{
	const struct metrics *m = arg;

	(void)fd;
	(void)what;
	for (struct client *c = m->clients; c; c = c->next) {
		bufferevent_event_cb event;
		void *conn;

		if (c->known)
			continue;
		bufferevent_getcb(c->bev, NULL, NULL, &event, &conn);
		evhttp_connection_set_closecb(conn, on_closed, c);
		c->known = true;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct metrics *m = arg;
	bool full = m->n == CLIENTS || evtimer_pending(m->again, NULL);
	int64_t stay = full ? GRACE_MS : LIFE_MS;
	int64_t now = now_ms();

	(void)fd;
	(void)what;
	for (const struct client *c = m->clients; c; c = c->next)
		if (now - c->since_ms >= stay)
			send_away(c);
	if (m->n > 0)
		evtimer_add(m->tick, &tick);
}

static void
client_add(struct metrics *m, struct client *c)
{
	struct client **at = &m->clients;

	while (*at)
		at = &(*at)->next;
	*at = c;
	if (++m->n == CLIENTS)
		evconnlistener_disable(m->listener);
	event_active(m->fresh, 0, 0);
	if (!evtimer_pending(m->tick, NULL))
		evtimer_add(m->tick, &tick);
}

/* For a connection that was accepted. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct client *c = calloc(1, sizeof(*c));
	struct bufferevent *bev =
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!c || !bev) {
		free(c);
		return bev;
	}
	bufferevent_priority_set(bev, event_base_get_npriorities(base) - 1);
	*c = (struct client){.metrics = arg, .bev = bev, .since_ms = now_ms()};
	client_add(arg, c);
	return bev;
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval later = {.tv_sec = AGAIN_SECONDS};
	struct metrics *m = all;

	(void)arg; /* is of evhttp */
	while (m && m->listener != listener)
		m = m->next;
	if (!m)
		return;
	evconnlistener_disable(listener);
	evtimer_add(m->again, &later);
}

/* Splits WHERE into a host and a port. */
static int
read_where(const char *where, char host[HOST_MAX], uint16_t *port,
	   struct err *e)
{
	const char *colon = strrchr(where, ':'), *from = where, *to = colon;
	const char *digits = colon ? colon + 1 : where;
	uint64_t v;

	if (text_read_u64(digits, strlen(digits), &v) != 0 || v < 1 ||
	    v > 65535)
		return err_set(e, "--metrics %s: '%s' is no port: 1 to 65535",
			       where, digits);
	*port = (uint16_t)v;
	memcpy(host, "127.0.0.1", sizeof("127.0.0.1"));
	if (!colon)
		return 0;
	if (*from == '[' && colon > where + 1 && colon[-1] == ']') {
		from++;
		to--;
	}
	if (to == from || (size_t)(to - from) >= HOST_MAX)
		return err_set(e,
			       "--metrics %s: must be ADDRESS:PORT, an IPv6 "
			       "address in brackets",
			       where);
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	return 0;
}

static int
serve(struct metrics *m, const char *where, struct err *e)
{
	struct evhttp_bound_socket *sock;
	char host[HOST_MAX];
	uint16_t port = 0;

	if (read_where(where, host, &port, e) != 0)
		return -1;
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET);
	evhttp_set_timeout(m->http, SECONDS);
	evhttp_set_max_headers_size(m->http, REQUEST_MAX);
	evhttp_set_max_body_size(m->http, REQUEST_MAX);
	evhttp_set_bevcb(m->http, on_connection, m);
	evhttp_set_gencb(m->http, on_other, m);
	if (evhttp_set_cb(m->http, "/metrics", on_scrape, m) != 0)
		return err_set(e, "out of memory");
	errno = 0;
	sock = evhttp_bind_socket_with_handle(m->http, host, port);
	if (!sock && errno)
		return err_sys(e, "--metrics %s: cannot listen", where);
	if (!sock)
		return err_set(e, "--metrics %s: '%s' is no address", where,
			       host);
	m->listener = evhttp_bound_socket_get_listener(sock);
	evconnlistener_set_error_cb(m->listener, on_accept_error);
	return 0;
}

struct metrics *
metrics_new(struct event_base *base, const char *where,
	    metrics_collect *collect, void *ctx, struct err *e)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m) {
		err_set(e, "out of memory");
		return NULL;
	}
	m->next = all;
	all = m;
	m->collect = collect;
	m->ctx = ctx;
	m->http = evhttp_new(base);
	m->again = evtimer_new(base, on_again, m);
	m->fresh = event_new(base, -1, 0, on_fresh, m);
	m->tick = evtimer_new(base, on_tick, m);
	if (!m->http || !m->again || !m->fresh || !m->tick)
		err_set(e, "out of memory");
	else if (serve(m, where, e) == 0)
		return m;
	metrics_free(m);
	return NULL;
}

static void
free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void
metrics_free(struct metrics *m)
{
	struct metrics **at = &all;

	if (!m)
		return;
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	on_fresh(-1, 0, m);
	m->listener = NULL;
	if (m->http)
		evhttp_free(m->http);
	free_event(m->again);
	free_event(m->fresh);
	free_event(m->tick);
	free(m);
}
