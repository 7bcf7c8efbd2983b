/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service manager is told: the protocol of sd_notify(3).
 *
 * Where NOTIFY_SOCKET is not set all of this does nothing.  The process says
 * that it is ready once, and then, if WATCHDOG_USEC asks for it, that it is
 * alive: twice in that time, from its event loop, so that a loop that hangs is
 * found out.
 */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include <event2/event.h>

/* READY=1, and from now on WATCHDOG=1 from BASE's loop.  Returns the event to
 * free with notify_end, NULL if none is needed or memory is out. */
struct event *notify_start(struct event_base *base);

/* STOPPING=1; the event may be NULL. */
void notify_end(struct event *);

#endif
