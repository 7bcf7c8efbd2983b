/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * in:    datagrams, on UDP ports or in a capture
 * out:   a datagram stream, flowdatagram(5); JSON lines on a terminal
 * keeps: nothing
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "flowrecv/binding.h"
#include "flowrecv/client.h"
#include "flowrecv/control.h"
#include "flowrecv/options.h"
#include "flowrecv/receiver.h"
#include "flowrecv/replay.h"
#include "flowrecv/report.h"

/* Says why the program ends early. */
static int
failed(const struct err *e)
{
	if (e->code == EPIPE)
		log_line("the reader of the output is gone");
	else
		log_line("%s", e->text);
	return EXIT_FAILED;
}

static int
run_replay(const struct options *o)
{
	const char *name = o->name ? o->name : "default";
	const uint8_t *ports = o->some_ports ? o->ports : NULL;
	struct replay r;
	struct err e;
	int rc = EXIT_DONE;

	if (replay_init(&r, o->read, name, ports, STDOUT_FILENO, &e) != 0 ||
	    replay_run(&r, &e) != 0)
		rc = failed(&e);
	replay_report(&r, o->verbose);
	replay_clear(&r);
	return rc;
}

/* All names are checked before any port is opened. */
static void
parse_bindings(const struct options *o, struct binding **list)
{
	struct binding **at = list;
	struct err e;

	for (size_t i = 0; i < o->nwords; i++, at = &(*at)->next) {
		*at = binding_new(o->words[i], &e);
		if (!*at)
			cli_usage("flowrecv", "%s", e.text);
		if (o->nwords == 1 && !strchr(o->words[0], '='))
			binding_rename(*at, "default", &e);
		for (struct binding *b = *list; b != *at; b = b->next)
			if (strcmp(b->name, (*at)->name) == 0)
				cli_usage("flowrecv",
					  "two bindings are named %s: name "
					  "them apart with NAME=",
					  b->name);
	}
}

/* Opens those of LIST; those that it could not stay there. */
static int
open_bindings(const struct options *o, struct binding **list,
	      struct receiver *r, struct err *e)
{
	struct binding *b, *next;

	for (; (b = *list); *list = next) {
		next = b->next;
		if (binding_open(b, o->buffer, e) != 0 ||
		    receiver_add(r, b, e) != 0)
			return -1;
		if (o->verbose)
			log_line("%s: listening on %s, receive buffer %zu "
				 "bytes",
				 b->name, b->where.text, b->buffer);
	}
	return 0;
}

static void
measure(void *ctx, struct metrics *m)
{
	report_metrics(ctx, m);
}

/* What others may ask of it while it runs. */
static int
open_to_others(const struct options *o, struct receiver *r, struct control *c,
	       struct metrics **m, struct err *e)
{
	if (control_start(c, r, o->control, e) != 0)
		return -1;
	if (!o->metrics)
		return 0;
	*m = metrics_new(r->base, o->metrics, measure, r, e);
	return *m ? 0 : -1;
}

static int
run_receiver(const struct options *o)
{
	static struct receiver r;
	struct control control = {
	    .sock.fd = -1, .buffer = o->buffer, .verbose = o->verbose};
	struct binding *list = NULL, *next;
	struct metrics *metrics = NULL;
	struct err e;
	bool ran = false;
	int rc;

	parse_bindings(o, &list);
	if (receiver_init(&r, STDOUT_FILENO, o->queue, &e) != 0) {
		rc = failed(&e);
	} else {
		r.allow = &o->allow;
		rc = open_bindings(o, &list, &r, &e);
		if (rc == 0)
			rc = open_to_others(o, &r, &control, &metrics, &e);
		if (rc == 0) {
			rc = receiver_run(&r, &e);
			ran = true;
		}
		rc = rc == 0 ? EXIT_DONE : failed(&e);
		if (ran && (o->verbose || report_lost(&r)))
			report_log(&r, o->verbose);
		metrics_free(metrics);
		control_stop(&control);
	}
	for (; list; list = next) {
		next = list->next;
		binding_free(list);
	}
	receiver_clear(&r);
	return rc;
}

static int
run_command(const struct options *o)
{
	struct command_line l = {
	    .control = o->control,
	    .verb = o->verb,
	    .words = o->words,
	    .nwords = o->nwords,
	    .json = o->json,
	    .hex = o->hex,
	    .count = o->count,
	};

	return client_run(&l);
}

int
main(int argc, char **argv)
{
	struct options o;
	int rc;

	log_init("flowrecv");
	signal(SIGUSR1, SIG_IGN); /* outside the loop there is no answer */
	options_read(&o, argc, argv);
	if (o.verb)
		rc = run_command(&o);
	else
		rc = o.read ? run_replay(&o) : run_receiver(&o);
	options_clear(&o);
	return rc;
}
