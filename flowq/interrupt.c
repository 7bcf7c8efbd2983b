/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

atomic_bool interrupted;

int
interrupt_err(struct err *err)
{
	err_set(err, "interrupted");
	err->code = EINTR;
	return -1;
}

static void
on_signal(int sig)
{
	(void)sig;
	atomic_store(&interrupted, true);
}

/* Without SA_RESTART: a write that waits ends too. */
static void
catch_signals(int flags)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = flags};

	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

void
interrupt_catch(void)
{
	atomic_store(&interrupted, false);
	catch_signals((int)SA_RESETHAND);
}

void
interrupt_keep(void)
{
	catch_signals(0);
}
