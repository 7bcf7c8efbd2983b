/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/link.h"
#include "common/log.h"
#include "common/stream.h"
#include "common/text.h"
#include "flowrecv/report.h"
#include "flowrecv/trace.h"

enum {
	CLIENT_SECONDS = 5, /* in which it gets on */
	AGAIN_SECONDS = 1,  /* after descriptors have run out */
	REQUEST_FIELDS = 3, /* before the words */
};

static const struct timeval bound = {.tv_sec = CLIENT_SECONDS};

struct client {
	struct client *next;
	struct control *control;
	struct bufferevent *bev;
	struct binding *binding; /* that it looks on; NULL: none */
	struct view view;
	bool answered; /* to be let go when it has what waits for it */
};

size_t
control_places(char paths[CONTROL_PLACES][PATH_MAX])
{
	const char *run = getenv("FLOW_RUN"), *own = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");
	size_t n = 1;

	if (run && *run) {
		snprintf(paths[0], PATH_MAX, "%s/flowrecv.sock", run);
		return n;
	}
	snprintf(paths[0], PATH_MAX, "/run/flow/flowrecv.sock");
	if (own && *own)
		snprintf(paths[n++], PATH_MAX, "%s/flow/flowrecv.sock", own);
	else if (home && *home == '/')
		snprintf(paths[n++], PATH_MAX,
			 "%s/.local/state/flow/flowrecv.sock", home);
	return n;
}

/* The directories that PATH is in but the last, which listening makes. What
 * cannot be made is told there. */
static void
make_parents(const char *path)
{
	char dir[PATH_MAX], *last;

	snprintf(dir, sizeof(dir), "%s", path);
	last = strrchr(dir, '/');
	for (char *p = dir + 1; (p = strchr(p, '/')) && p != last; p++) {
		*p = '\0';
		mkdir(dir, 0700);
		*p = '/';
	}
}

/* It is off the list. */
static void
client_free(struct client *c)
{
	struct view **view;

	c->control->nclients--;
	if (c->binding) {
		view = &c->binding->views;
		while (*view != &c->view)
			view = &(*view)->next;
		*view = c->view.next;
		c->control->nviews--;
	}
	bufferevent_free(c->bev);
	free(c);
}

static void
client_leave(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	client_free(c);
}

/* The objects that a reply begins with. */
static void
reply_head(struct evbuffer *out, int status, size_t len)
{
	msgpack_sbuffer head;
	msgpack_packer pk;

	msgpack_sbuffer_init(&head);
	msgpack_packer_init(&pk, &head, msgpack_sbuffer_write);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_int(&pk, status);
	msgpack_pack_str(&pk, len);
	evbuffer_add(out, head.data, head.size);
	msgpack_sbuffer_destroy(&head);
}

static void
reply_text(struct client *c, int status, const char *text)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	reply_head(out, status, strlen(text));
	evbuffer_add(out, text, strlen(text));
	c->answered = true;
}

static void
reply_done(struct client *c, const char *text)
{
	reply_text(c, EXIT_DONE, text);
}

/* What the client said may be in the text, or a part of it. */
static void
reply_error(struct client *c, struct err *e)
{
	text_defuse(e->text, strlen(e->text));
	reply_text(c, EXIT_FAILED, e->text);
}

static void
reply_failed(struct client *c, const char *why)
{
	reply_text(c, EXIT_FAILED, why);
}

static void
reply_buffer(struct client *c, struct evbuffer *text)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	reply_head(out, EXIT_DONE, evbuffer_get_length(text));
	evbuffer_add_buffer(out, text);
	c->answered = true;
}

/* The open port that a request names; if there is none, the reply says so. */
static struct binding *
find(struct client *c, const char *name)
{
	struct binding *b = receiver_find(c->control->receiver, name);
	struct err e;

	if (!b) {
		err_set(&e,
			"no port is named %s; flowrecv bindings lists those "
			"that are open",
			name);
		reply_error(c, &e);
	}
	return b;
}

/* The commands. */

static int
open_port(struct control *ctl, const struct control_request *q, struct err *e)
{
	char text[2 * CONTROL_REQUEST_MAX + 2];
	struct binding *b;

	if (ctl->receiver->stopping)
		return err_set(e, "it is ending and opens no more ports");
	if (binding_name_check(q->words[0], e) != 0)
		return -1;
	b = receiver_find(ctl->receiver, q->words[0]);
	if (b)
		return err_set(e,
			       "%s is open already, on %s; close it first or "
			       "take another name",
			       b->name, b->where.text);
	snprintf(text, sizeof(text), "%s=%s", q->words[0], q->words[1]);
	b = binding_new(text, e);
	if (!b)
		return -1;
	if (binding_open(b, ctl->buffer, e) != 0 ||
	    receiver_add(ctl->receiver, b, e) != 0) {
		binding_free(b);
		return -1;
	}
	if (state_add(ctl->state, b, e) != 0) {
		receiver_remove(ctl->receiver, b);
		return err_append(e, "; the port is not opened");
	}
	if (ctl->verbose)
		log_line("%s: listening on %s, receive buffer %zu bytes",
			 b->name, b->where.text, b->buffer);
	return 0;
}

static void
command_open(struct client *c, const struct control_request *q)
{
	struct err e;

	if (open_port(c->control, q, &e) != 0)
		reply_error(c, &e);
	else
		reply_done(c, "port opened\n");
}

/* Ends the views of a port that is about to be closed. */
static void
end_views(struct control *ctl, struct binding *b)
{
	for (struct client *c = ctl->clients; c; c = c->next) {
		if (c->binding != b)
			continue;
		trace_end(&c->view);
		c->binding = NULL;
		ctl->nviews--;
		reply_done(c, "port closed\n");
		bufferevent_set_timeouts(c->bev, &bound, &bound);
	}
	b->views = NULL;
}

/* Closed is closed, also if that cannot be written down. */
static void
forget(struct client *c, const char *name)
{
	struct err e;

	if (state_remove(c->control->state, name, &e) == 0) {
		reply_done(c, "port closed\n");
		return;
	}
	err_append(&e, "; the port is closed, but will be open again at the "
		       "next start");
	reply_error(c, &e);
}

static void
command_close(struct client *c, const struct control_request *q)
{
	struct control *ctl = c->control;
	struct binding *b = receiver_find(ctl->receiver, q->words[0]);

	/* one that could not be opened at the start can be closed too */
	if (!b && state_has(ctl->state, q->words[0])) {
		forget(c, q->words[0]);
		return;
	}
	if (!b && !(b = find(c, q->words[0])))
		return;
	if (ctl->receiver->stopping) {
		reply_failed(c, "it is ending and closes all ports");
		return;
	}
	if (ctl->verbose)
		log_line("%s: closed", b->name);
	receiver_drain(ctl->receiver, b);
	end_views(ctl, b);
	receiver_remove(ctl->receiver, b);
	forget(c, q->words[0]);
}

static void
put_binding(struct evbuffer *out, const struct binding *b, bool json)
{
	const char *quote = b->where.any ? "" : "\"";

	if (json)
		evbuffer_add_printf(
		    out,
		    "{\"name\":\"%s\",\"port\":%u,\"address\":%s%s%s,"
		    "\"receive_buffer\":%zu}\n",
		    b->name, b->where.port, quote,
		    b->where.any ? "null" : b->where.host, quote, b->buffer);
	else
		evbuffer_add_printf(out, "name=%s, port=%u%s%s\n", b->name,
				    b->where.port,
				    b->where.any ? "" : ", address=",
				    b->where.any ? "" : b->where.host);
}

static void
command_bindings(struct client *c, const struct control_request *q)
{
	struct evbuffer *text = evbuffer_new();

	if (!text)
		return;
	if (!q->json)
		evbuffer_add_printf(text, "Port Bindings\n-------------\n");
	for (struct binding *b = c->control->receiver->bindings; b; b = b->next)
		put_binding(text, b, q->json);
	reply_buffer(c, text);
	evbuffer_free(text);
}

struct lines {
	struct evbuffer *to;
	bool json;
};

static void
put_line(struct lines *l, const char *line)
{
	evbuffer_add(l->to, line, strlen(line));
	evbuffer_add(l->to, "\n", 1);
}

static void
put_row(void *ctx, const struct report_row *w)
{
	struct lines *l = ctx;
	char line[REPORT_LINE_MAX];

	if (l->json)
		report_json(w, line);
	else
		report_text(w, line);
	put_line(l, line);
}

static void
put_target(void *ctx, const struct target *t)
{
	struct lines *l = ctx;
	char line[REPORT_LINE_MAX];

	if (l->json)
		report_target_json(t, line);
	else
		report_target_text(t, line);
	put_line(l, line);
}

static void
put_reader(void *ctx, const struct outlet_reader *d)
{
	struct lines *l = ctx;
	char line[REPORT_LINE_MAX];

	if (l->json)
		report_reader_json(d, line);
	else
		report_reader_text(d, line);
	put_line(l, line);
}

/* What there is of the whole. */
static void
put_whole(struct receiver *r, struct lines *l)
{
	report_tee(r, put_target, l);
	report_readers(r, put_reader, l);
	evbuffer_add_printf(l->to,
			    l->json ? "{\"exporters_known\":%zu,"
				      "\"exporters_evicted\":%" PRIu64 "}\n"
				    : "exporters: known %zu, evicted %" PRIu64
				      "\n",
			    r->exporters.n, r->exporters.evicted);
}

static void
command_stats(struct client *c, const struct control_request *q)
{
	struct receiver *r = c->control->receiver;
	struct lines l = {.json = q->json};
	struct binding *only = NULL;

	if (q->nwords > 0 && !(only = find(c, q->words[0])))
		return;
	l.to = evbuffer_new();
	if (!l.to)
		return;
	report_ports(r, only, put_row, &l);
	if (!only)
		put_whole(r, &l);
	report_exporters(r, only, put_row, &l);
	reply_buffer(c, l.to);
	evbuffer_free(l.to);
}

static void
command_trace(struct client *c, const struct control_request *q)
{
	struct binding *b = find(c, q->words[0]);

	if (!b)
		return;
	if (c->control->nviews == CONTROL_VIEWS) {
		reply_failed(c, "too many look on already; end one");
		return;
	}
	reply_done(c, q->json ? ""
			      : "press ctrl-c to stop\n--------------------\n");
	c->answered = false;
	c->control->nviews++;
	c->binding = b;
	c->view = (struct view){.next = b->views,
				.to = bufferevent_get_output(c->bev),
				.most = q->most};
	b->views = &c->view;
	bufferevent_set_timeouts(c->bev, NULL, NULL);
}

static const struct command {
	const char *verb;
	size_t least, most; /* words */
	void (*run)(struct client *, const struct control_request *);
} commands[] = {
    {"open", 2, 2, command_open},	  {"close", 1, 1, command_close},
    {"bindings", 0, 0, command_bindings}, {"trace", 1, 1, command_trace},
    {"stats", 0, 1, command_stats},
};

/* Requests. */

/* Strings without NUL bytes only. */
static int
read_word(const msgpack_object *o, char *buf, size_t size)
{
	size_t len = o->via.str.size;

	if (o->type != MSGPACK_OBJECT_STR || len >= size ||
	    (len > 0 && memchr(o->via.str.ptr, '\0', len)))
		return -1;
	if (len > 0)
		memcpy(buf, o->via.str.ptr, len);
	buf[len] = '\0';
	return 0;
}

static int
read_fields(struct control_request *q, const msgpack_object *o)
{
	const msgpack_object *f = o->via.array.ptr;

	if (o->type != MSGPACK_OBJECT_ARRAY ||
	    o->via.array.size < REQUEST_FIELDS ||
	    o->via.array.size > REQUEST_FIELDS + CONTROL_WORDS ||
	    read_word(&f[0], q->verb, sizeof(q->verb)) != 0 ||
	    f[1].type != MSGPACK_OBJECT_BOOLEAN ||
	    f[2].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    f[2].via.u64 > DATAGRAM_PAYLOAD_MAX)
		return -1;
	q->json = f[1].via.boolean;
	q->most = f[2].via.u64;
	q->nwords = o->via.array.size - REQUEST_FIELDS;
	for (size_t i = 0; i < q->nwords; i++)
		if (read_word(&f[REQUEST_FIELDS + i], q->words[i],
			      sizeof(q->words[i])) != 0)
			return -1;
	return 0;
}

static void
request_run(struct client *c, const struct control_request *q)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *m = &commands[i];

		if (strcmp(m->verb, q->verb) == 0 && q->nwords >= m->least &&
		    q->nwords <= m->most) {
			m->run(c, q);
			return;
		}
	}
	reply_failed(c, "it does not know this command: it is of "
			"another version");
}

int
control_request_read(struct control_request *q, const char *obj, size_t len)
{
	msgpack_zone zone;
	msgpack_object o;
	size_t off = 0;
	int rc = -1;

	if (!msgpack_zone_init(&zone, CONTROL_REQUEST_MAX))
		return -1;
	if (msgpack_unpack(obj, len, &off, &zone, &o) == MSGPACK_UNPACK_SUCCESS)
		rc = read_fields(q, &o);
	msgpack_zone_destroy(&zone);
	return rc;
}

/* OBJ is a whole object. */
static void
take_request(struct client *c, const char *obj, size_t len)
{
	struct control_request q;

	if (control_request_read(&q, obj, len) == 0)
		request_run(c, &q);
	else
		reply_failed(c, "this is no request");
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *c = arg;
	size_t have = evbuffer_get_length(in);
	const char *reason, *p;
	int64_t len;

	if (c->answered || c->binding) {
		/* whatever it says now */
		evbuffer_drain(in, have);
		return;
	}
	p = (const char *)evbuffer_pullup(in, -1);
	len = p ? stream_extent(p, have, CONTROL_REQUEST_MAX, &reason) : -1;
	if (len == 0 && have < CONTROL_REQUEST_MAX)
		return;
	if (len > 0)
		take_request(c, p, (size_t)len);
	else
		reply_failed(c, "this is no request");
	evbuffer_drain(in, have);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->answered)
		client_leave(c);
	else if (c->binding)
		trace_skipped(&c->view);
}

/* It is gone, or did not get on; or it says no more, and still gets what it
 * asked for. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	if (what & BEV_EVENT_EOF && c->answered &&
	    evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		bufferevent_disable(bev, EV_READ);
	else
		client_leave(c);
}

/* Connections. */

static void
turn_away(int fd)
{
	static const char text[] = "too many talk to it already; try again";
	struct evbuffer *out = evbuffer_new();

	if (out) {
		reply_head(out, EXIT_FAILED, sizeof(text) - 1);
		evbuffer_add(out, text, sizeof(text) - 1);
		evbuffer_write(out, fd);
		evbuffer_free(out);
	}
	close(fd);
}

static void
client_new(struct control *ctl, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c)
		c->bev = bufferevent_socket_new(ctl->receiver->base, fd,
						BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		free(c);
		close(fd);
		return;
	}
	c->control = ctl;
	c->next = ctl->clients;
	ctl->clients = c;
	ctl->nclients++;
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CONTROL_REQUEST_MAX);
	bufferevent_set_timeouts(c->bev, &bound, &bound);
	bufferevent_priority_set(c->bev, RECEIVER_PRIORITY_INPUT);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void
on_connection(evutil_socket_t sock, short what, void *arg)
{
	static const struct timeval later = {.tv_sec = AGAIN_SECONDS};
	struct control *ctl = arg;
	int fd = accept4(sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd >= 0 && ctl->nclients < CONTROL_CLIENTS) {
		client_new(ctl, fd);
	} else if (fd >= 0) {
		turn_away(fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_limited(&ctl->log, "control socket: cannot accept: %s",
			    strerror(errno));
		event_del(ctl->ready);
		evtimer_add(ctl->again, &later);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	event_add(ctl->ready, NULL);
}

static int
listen_somewhere(struct control *ctl, const char *path, struct err *e)
{
	char paths[CONTROL_PLACES][PATH_MAX];
	size_t n = control_places(paths);

	if (path)
		return link_listen(&ctl->listener, path, e);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			make_parents(paths[i]);
		if (link_listen(&ctl->listener, paths[i], e) == 0)
			return 0;
	}
	if (ctl->verbose)
		log_line("no control socket: %s", e->text);
	return 1;
}

int
control_start(struct control *ctl, struct receiver *r, const char *path,
	      struct err *e)
{
	int rc = listen_somewhere(ctl, path, e);

	ctl->receiver = r;
	if (rc != 0)
		return rc > 0 ? 0 : -1;
	ctl->ready = event_new(r->base, ctl->listener.sock.fd,
			       EV_READ | EV_PERSIST, on_connection, ctl);
	ctl->again = evtimer_new(r->base, on_again, ctl);
	if (!ctl->ready || !ctl->again ||
	    event_priority_set(ctl->ready, RECEIVER_PRIORITY_INPUT) != 0 ||
	    event_add(ctl->ready, NULL) != 0)
		return err_set(e, "cannot wait for the control socket");
	return 0;
}

int
control_own(const struct control *ctl, uid_t uid, gid_t gid, struct err *e)
{
	const char *path = ctl->listener.sock.path;

	if (path[0] && chown(path, uid, gid) != 0)
		return err_sys(e, "%s: cannot be given to the user", path);
	return 0;
}

void
control_stop(struct control *ctl)
{
	struct client *c;

	while ((c = ctl->clients)) {
		ctl->clients = c->next;
		client_free(c);
	}
	if (ctl->ready)
		event_free(ctl->ready);
	if (ctl->again)
		event_free(ctl->again);
	link_unlisten(&ctl->listener);
	ctl->ready = ctl->again = NULL;
}
