/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/text.h"

enum {
	HOST_MAX = 64,
	SECONDS = 10,	       /* without a byte from or to a client */
	REQUEST_MAX = 8 << 10, /* bytes */
	SPARE = 64,	       /* descriptors that clients do not get */
	AGAIN_SECONDS = 1,     /* after they had all others */
};

struct metrics {
	struct evhttp *http;
	struct evconnlistener *listener;
	struct event *again;
	metrics_collect *collect;
	void *ctx;
	struct evbuffer *out; /* while it is collected */
	const char *family;
};

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
pause_listener(struct metrics *m)
{
	static const struct timeval later = {.tv_sec = AGAIN_SECONDS};

	evconnlistener_disable(m->listener);
	evtimer_add(m->again, &later);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct metrics *m = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(m->listener);
}

/* For a connection that was accepted.  Clients may not take the last
 * descriptors, which the program itself needs. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct metrics *m = arg;
	struct bufferevent *bev =
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct rlimit most;
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (next < 0 || (getrlimit(RLIMIT_NOFILE, &most) == 0 &&
			 (rlim_t)next + SPARE > most.rlim_cur))
		pause_listener(m);
	if (next >= 0)
		close(next);
	if (bev)
		bufferevent_priority_set(bev,
					 event_base_get_npriorities(base) - 1);
	return bev;
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	pause_listener(arg);
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
	m->collect = collect;
	m->ctx = ctx;
	m->http = evhttp_new(base);
	m->again = evtimer_new(base, on_again, m);
	if (!m->http || !m->again)
		err_set(e, "out of memory");
	else if (serve(m, where, e) == 0)
		return m;
	metrics_free(m);
	return NULL;
}

void
metrics_free(struct metrics *m)
{
	if (!m)
		return;
	if (m->http)
		evhttp_free(m->http);
	if (m->again)
		event_free(m->again);
	free(m);
}
