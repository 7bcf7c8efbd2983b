/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * in:    datagrams, on UDP ports or in a capture
 * out:   a datagram stream, flowdatagram(5), on stdout or to those who connect
 *        to a socket; JSON lines on a terminal
 * keeps: the ports that were opened at run time, and what readers have not
 *        acknowledged, in directories if told so
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "flowrecv/client.h"
#include "flowrecv/live.h"
#include "flowrecv/options.h"
#include "flowrecv/replay.h"

/* Says why the program ends early.  A reader that has seen enough is no
 * failure; the reports say what it did not get. */
static int
failed(const struct err *e)
{
	if (e->code == EPIPE)
		return EXIT_DONE;
	log_line("%s", e->text);
	return EXIT_FAILED;
}

static int
run_replay(const struct options *o)
{
	struct target to = {.fd = -1};
	struct replay r = {
	    .binding = o->name ? o->name : "default",
	    .ports = o->some_ports ? o->ports : NULL,
	    .to = o->to ? &to : NULL,
	    .pace = {.rate = o->rate, .speed = o->speed},
	};
	struct err e;
	int rc = EXIT_DONE;

	if (o->to && target_open(&to, o->to, &e) != 0) {
		err_prefix(&e, "--to");
		return failed(&e);
	}
	if (replay_init(&r, o->read, STDOUT_FILENO, &e) != 0 ||
	    replay_run(&r, &e) != 0)
		rc = failed(&e);
	replay_report(&r, o->verbose);
	replay_clear(&r);
	target_close(&to);
	return rc;
}

static int
run_live(const struct options *o)
{
	struct err e;

	return live_run(o, &e) == 0 ? EXIT_DONE : failed(&e);
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
		rc = o.read ? run_replay(&o) : run_live(&o);
	options_clear(&o);
	return rc;
}
