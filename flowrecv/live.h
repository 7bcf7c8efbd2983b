/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowrecv with ports: all that it needs, from the command line to the end.
 */
#ifndef FLOWRECV_LIVE_H
#define FLOWRECV_LIVE_H

#include "common/err.h"
#include "flowrecv/options.h"

/* Until a signal ends it; then it reports, if asked to or if anything was
 * lost. */
int live_run(const struct options *, struct err *);

#endif
