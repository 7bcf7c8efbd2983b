/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/client.h"

#include <errno.h>
#include <msgpack.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/nearest.h"
#include "common/stream.h"
#include "common/text.h"
#include "common/unixsock.h"
#include "flowrecv/binding.h"
#include "flowrecv/control.h"
#include "flowrecv/show.h"
#include "flowrecv/trace.h"

static const struct verb {
	const char *name;
	size_t least, most;
	const char *words;
} verbs[] = {
    {"open", 2, 2, " NAME [ADDRESS:]PORT"},
    {"close", 1, 1, " NAME"},
    {"bindings", 0, 0, " [--json]"},
    {"trace", 1, 1, " NAME [--hex] [--count N] [--json]"},
    {"stats", 0, 1, " [NAME] [--json]"},
};

struct connection {
	const struct command_line *line;
	char path[PATH_MAX]; /* that answered */
	struct stream_in in;
	msgpack_zone zone;
	uint64_t shown;
	bool unwritable; /* the output, and that was said */
};

static volatile sig_atomic_t interrupted;

static const struct verb *
find_verb(const char *word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, word) == 0)
			return &verbs[i];
	return NULL;
}

bool
client_is_verb(const char *word)
{
	return find_verb(word) != NULL;
}

const char *
client_hint(const char *word, char *buf, size_t size)
{
	struct nearest near;

	nearest_init(&near, word, strlen(word));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		nearest_try(&near, verbs[i].name);
	return nearest_hint(&near, buf, size);
}

/* What can be known to be wrong without asking. */
static void
check_words(const struct command_line *l)
{
	const struct verb *v = find_verb(l->verb);
	struct binding *b;
	char text[512];
	struct err e;

	if (l->nwords < v->least || l->nwords > v->most) {
		fprintf(stderr, "usage: flowrecv [--control PATH] %s%s\n",
			v->name, v->words);
		exit(EXIT_USAGE);
	}
	if (strcmp(v->name, "open") != 0)
		return;
	if (binding_name_check(l->words[0], &e) != 0)
		cli_usage("flowrecv", "%s", e.text);
	snprintf(text, sizeof(text), "%s=%s", l->words[0], l->words[1]);
	b = binding_new(text, &e);
	if (!b)
		cli_usage("flowrecv", "%s", e.text);
	binding_free(b);
}

static int
connect_somewhere(struct connection *c)
{
	char paths[CONTROL_PLACES][PATH_MAX];
	size_t n = control_places(paths);
	struct err e = {0}, first = {0};
	int fd;

	if (c->line->control) {
		n = 1;
		snprintf(paths[0], PATH_MAX, "%s", c->line->control);
	}
	for (size_t i = 0; i < n; i++) {
		fd = unixsock_connect(paths[i], &e);
		if (fd >= 0) {
			memcpy(c->path, paths[i], PATH_MAX);
			return fd;
		}
		if (i == 0)
			first = e;
	}
	log_line("no flowrecv answers at %s%s", first.text,
		 first.code == EACCES
		     ? "; its user and group may, and root"
		     : "; is one running? its --control says where");
	return -1;
}

static void
send_request(int fd, const struct command_line *l)
{
	msgpack_sbuffer b;
	msgpack_packer pk;

	msgpack_sbuffer_init(&b);
	msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
	msgpack_pack_array(&pk, 3 + l->nwords);
	msgpack_pack_str_with_body(&pk, l->verb, strlen(l->verb));
	if (l->json)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
	msgpack_pack_int(&pk, l->hex ? DATAGRAM_PAYLOAD_MAX : TRACE_HEADER);
	for (size_t i = 0; i < l->nwords; i++)
		msgpack_pack_str_with_body(&pk, l->words[i],
					   strlen(l->words[i]));
	/* if it is not taken there is an answer that says why */
	send(fd, b.data, b.size, MSG_NOSIGNAL);
	msgpack_sbuffer_destroy(&b);
}

static void
on_signal(int signo)
{
	(void)signo;
	interrupted = 1;
}

/* From here on a signal ends the view in order. */
static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal,
			       .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Waits for input.  A signal that comes between the look at `interrupted` and
 * the wait must not be missed, so it is let in by the wait alone. */
static void
input_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	sigset_t ours, before;
	int rc = 0;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, &before);
	while (!interrupted && rc <= 0)
		rc = ppoll(&p, 1, NULL, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int
flush(struct connection *c)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (!c->unwritable)
		log_line("cannot write: %s", strerror(errno));
	c->unwritable = true;
	return -1;
}

/* The next object: 1, 0 if a signal came first, -1 after a line of why. */
static int
next_object(struct connection *c, msgpack_object *o)
{
	const char *obj;
	struct err e;
	size_t len, off = 0;
	int rc;

	while ((rc = stream_next(&c->in, &obj, &len, &e)) == 0) {
		if (c->in.eof) {
			log_line("%s: it has ended", c->path);
			return -1;
		}
		if (flush(c) != 0)
			return -1;
		input_wait(c->in.fd);
		if (interrupted)
			return 0;
		if (stream_fill(&c->in, &e) < 0) {
			log_line("%s: %s", c->path, e.text);
			return -1;
		}
	}
	msgpack_zone_clear(&c->zone);
	if (rc == 1 && msgpack_unpack(obj, len, &off, &c->zone, o) ==
			   MSGPACK_UNPACK_SUCCESS)
		return 1;
	log_line("%s: what answers is no flowrecv", c->path);
	return -1;
}

/* Whether O is a reply; if so it is printed and *STATUS set. */
static bool
is_reply(const msgpack_object *o, int *status)
{
	const msgpack_object *f = o->via.array.ptr;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 2 ||
	    f[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    f[1].type != MSGPACK_OBJECT_STR)
		return false;
	*status = (int)f[0].via.u64;
	if (f[1].via.str.size == 0)
		return true; /* and no pointer */
	if (*status == EXIT_DONE)
		fwrite(f[1].via.str.ptr, 1, f[1].via.str.size, stdout);
	else
		log_line("%.*s", (int)f[1].via.str.size, f[1].via.str.ptr);
	return true;
}

/* Whether to go on; if not *STATUS is the exit status. */
static bool
show(struct connection *c, const msgpack_object *o, int *status)
{
	const struct command_line *l = c->line;
	struct traced t;

	if (is_reply(o, status))
		return false;
	if (trace_read(o, &t) != 0) {
		log_line("%s: what answers is no flowrecv", c->path);
		*status = EXIT_FAILED;
		return false;
	}
	if (l->json)
		show_json(stdout, &t, l->words[0], l->hex);
	else
		show_text(stdout, &t, l->hex);
	if (!t.skipped)
		c->shown++;
	return l->count == 0 || c->shown < l->count;
}

/* Datagrams until something ends it. */
static int
view(struct connection *c)
{
	msgpack_object o;
	int status = EXIT_DONE, rc;

	while ((rc = next_object(c, &o)) == 1)
		if (!show(c, &o, &status))
			return status;
	if (rc == 0 && !c->line->json)
		puts("interrupted");
	return rc < 0 ? EXIT_FAILED : status;
}

static int
talk(struct connection *c)
{
	bool trace = strcmp(c->line->verb, "trace") == 0;
	int status = EXIT_FAILED;
	msgpack_object o;
	int rc;

	if (trace)
		catch_signals();
	rc = next_object(c, &o);
	if (rc != 1)
		return rc == 0 ? EXIT_DONE : EXIT_FAILED;
	if (!is_reply(&o, &status)) {
		log_line("%s: what answers is no flowrecv", c->path);
		return EXIT_FAILED;
	}
	return trace && status == EXIT_DONE ? view(c) : status;
}

int
client_run(const struct command_line *l)
{
	struct connection c = {.line = l};
	int fd, status = EXIT_FAILED;
	struct err e;

	check_words(l);
	fd = connect_somewhere(&c);
	if (fd < 0)
		return EXIT_FAILED;
	send_request(fd, l);
	if (stream_in_init(&c.in, fd, 0, &e) == 0 &&
	    msgpack_zone_init(&c.zone, MSGPACK_ZONE_CHUNK_SIZE)) {
		status = talk(&c);
		msgpack_zone_destroy(&c.zone);
	}
	stream_in_clear(&c.in);
	close(fd);
	return flush(&c) == 0 ? status : EXIT_FAILED;
}
