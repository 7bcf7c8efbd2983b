/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread that looks in on a query now and then: what waits for more rows
 * comes out, and stderr, if it is a terminal, shows how far a long query is.
 */
#ifndef FLOWQ_PROGRESS_H
#define FLOWQ_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flowq/scan.h"

struct output;

struct progress {
	struct output *out; /* borrowed */
	bool terminal;
	struct scan_watch watch; /* of the stage at work */
	atomic_int stage, stages;
	/* its own */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool end, shown, quiet;
	int64_t start; /* ms */
};

void progress_start(struct progress *, struct output *);
void progress_end(struct progress *);

/* Takes the line away for what is written to the terminal, for good. */
void progress_hide(void *progress);

#endif
