/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/live.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/handed.h"
#include "common/log.h"
#include "common/metrics.h"
#include "flowrecv/binding.h"
#include "flowrecv/control.h"
#include "flowrecv/receiver.h"
#include "flowrecv/report.h"
#include "flowrecv/state.h"
#include "flowrecv/user.h"

struct live {
	const struct options *options;
	struct binding *waiting; /* to be opened */
	struct receiver receiver;
	struct state state;
	struct control control;
	struct metrics *metrics;
	struct tee tee;
};

/* All names are checked before any port is opened. */
static void
parse_bindings(struct live *l)
{
	const struct options *o = l->options;
	struct binding **at = &l->waiting;
	struct err e;

	for (size_t i = 0; i < o->nwords; i++, at = &(*at)->next) {
		*at = binding_new(o->words[i], &e);
		if (!*at)
			cli_usage("flowrecv", "%s", e.text);
		if (o->nwords == 1 && !strchr(o->words[0], '='))
			binding_rename(*at, "default", &e);
		for (struct binding *b = l->waiting; b != *at; b = b->next)
			if (strcmp(b->name, (*at)->name) == 0)
				cli_usage("flowrecv",
					  "two bindings are named %s: name "
					  "them apart with NAME=",
					  b->name);
	}
}

/* Opens B if it is not open.  If it fails B stays the caller's. */
static int
open_binding(struct live *l, struct binding *b, struct err *e)
{
	if (b->fd < 0 && binding_open(b, l->options->buffer, e) != 0)
		return -1;
	if (receiver_add(&l->receiver, b, e) != 0)
		return -1;
	if (l->options->verbose)
		log_line("%s: listening on %s, receive buffer %zu bytes",
			 b->name, b->where.text, b->buffer);
	return 0;
}

static int
open_bindings(struct live *l, struct err *e)
{
	struct binding *b, *next;

	for (; (b = l->waiting); l->waiting = next) {
		next = b->next;
		if (open_binding(l, b, e) != 0)
			return -1;
	}
	return 0;
}

static bool
is_udp(int fd)
{
	int type = -1, domain = -1;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       type == SOCK_DGRAM && (domain == AF_INET || domain == AF_INET6);
}

/* Of several sockets with one name, as a unit of systemd with several gives
 * them, the first has the name, the next name_2 and so on. */
static void
name_apart(struct live *l, struct binding *b)
{
	char base[BINDING_NAME_MAX], name[BINDING_NAME_MAX];
	struct err e;

	memcpy(base, b->name, sizeof(base));
	for (int i = 2; receiver_find(&l->receiver, b->name); i++) {
		snprintf(name, sizeof(name), "%.50s_%d", base, i);
		binding_rename(b, name, &e);
	}
}

/* Sockets that the service manager keeps. */
static int
open_handed(struct live *l, struct err *e)
{
	char name[256];
	struct binding *b;
	int n = handed_count();

	for (int i = 0; i < n; i++) {
		int fd = handed_get(i, name, sizeof(name));

		if (!is_udp(fd))
			continue;
		b = binding_adopt(fd, name, l->options->buffer, e);
		if (!b)
			return err_prefix(e, "LISTEN_FDS, descriptor %d", fd);
		name_apart(l, b);
		if (open_binding(l, b, e) != 0) {
			binding_free(b);
			return -1;
		}
	}
	return 0;
}

/* One that cannot be opened now does not stop the others. */
static void
open_saved(struct live *l, const struct saved *x)
{
	char text[BINDING_NAME_MAX + WHERE_TEXT_MAX];
	struct binding *b;
	struct err e;

	if (receiver_find(&l->receiver, x->name)) {
		log_line("%s: the name %s is taken by another port now",
			 l->state.path, x->name);
		return;
	}
	snprintf(text, sizeof(text), "%s=%s", x->name, x->where);
	b = binding_new(text, &e);
	if (b && open_binding(l, b, &e) == 0)
		return;
	log_line("%s; it stays in %s for the next start", e.text,
		 l->state.path);
	binding_free(b);
}

/* Those that were open when it ran last. */
static int
open_state(struct live *l, struct err *e)
{
	if (!l->options->state)
		return 0;
	if (state_open(&l->state, l->options->state, e) != 0)
		return -1;
	for (const struct saved *x = l->state.list; x; x = x->next)
		open_saved(l, x);
	return 0;
}

static void
measure(void *ctx, struct metrics *m)
{
	report_metrics(ctx, m);
}

/* What others may ask of it while it runs. */
static int
open_to_others(struct live *l, struct err *e)
{
	const struct options *o = l->options;

	if (control_start(&l->control, &l->receiver, o->control, e) != 0)
		return -1;
	if (!o->metrics)
		return 0;
	l->metrics =
	    metrics_new(l->receiver.base, o->metrics, measure, &l->receiver, e);
	return l->metrics ? 0 : -1;
}

/* One that was handed over stays who it belongs to. */
static int
own_socket(const char *path, const struct user *u, struct err *e)
{
	if (path && handed_unix(path) < 0 && chown(path, u->uid, u->gid) != 0)
		return err_sys(e, "%s: cannot be given to the user", path);
	return 0;
}

/* What others reach it by becomes the user's, as it does itself. */
static int
become_user(struct live *l, const struct user *u, struct err *e)
{
	if (!u->name)
		return 0;
	if (control_own(&l->control, u->uid, u->gid, e) != 0 ||
	    own_socket(l->options->serve, u, e) != 0 ||
	    state_own(&l->state, u->uid, u->gid, e) != 0 ||
	    user_become(u, e) != 0)
		return -1;
	return state_check(&l->state, e);
}

static int
open_tee(struct live *l, struct err *e)
{
	const struct options *o = l->options;

	for (size_t i = 0; i < o->ntees; i++)
		if (tee_to(&l->tee, o->tees[i], e) != 0)
			return -1;
	if (o->ntees > 0)
		l->receiver.tee = &l->tee;
	return 0;
}

static int
start(struct live *l, struct err *e)
{
	const struct options *o = l->options;
	const struct output_options out = {
	    .serve = o->serve, .ring = o->ring, .size = o->queue};
	struct user u = {0};

	if (o->user && user_find(&u, o->user, e) != 0)
		return -1;
	if (receiver_init(&l->receiver, &out, e) != 0)
		return -1;
	l->receiver.allow = &o->allow;
	if (open_tee(l, e) != 0 || open_to_others(l, e) != 0 ||
	    open_bindings(l, e) != 0 || open_handed(l, e) != 0 ||
	    open_state(l, e) != 0)
		return -1;
	return become_user(l, &u, e);
}

static void
clear(struct live *l)
{
	struct binding *next;

	for (; l->waiting; l->waiting = next) {
		next = l->waiting->next;
		binding_free(l->waiting);
	}
	metrics_free(l->metrics);
	control_stop(&l->control);
	tee_clear(&l->tee);
	receiver_clear(&l->receiver);
	state_close(&l->state);
}

int
live_run(const struct options *o, struct err *e)
{
	static struct live l;
	int rc;

	l.options = o;
	l.state = STATE_NONE;
	l.control = (struct control){
	    .listener.sock.fd = -1,
	    .state = &l.state,
	    .buffer = o->buffer,
	    .verbose = o->verbose,
	};
	parse_bindings(&l);
	rc = start(&l, e);
	if (rc == 0) {
		rc = receiver_run(&l.receiver, e);
		if (o->verbose || report_lost(&l.receiver)) {
			if (rc != 0 && e->code == EPIPE)
				log_line("the reader of the output is gone");
			report_log(&l.receiver, o->verbose);
		}
	}
	clear(&l);
	return rc;
}
