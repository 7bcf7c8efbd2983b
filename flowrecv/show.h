/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams as a viewer of `flowrecv trace` sees them: a line for each, with
 * the fields of its header.
 */
#ifndef FLOWRECV_SHOW_H
#define FLOWRECV_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "flowrecv/trace.h"

/* "[127.0.0.1:60772] ver=9, count=3, ..."; with HEX its bytes below. */
void show_text(FILE *, const struct traced *, bool hex);

/* A line of JSON; with HEX its bytes in it.  PORT is the port's name. */
void show_json(FILE *, const struct traced *, const char *port, bool hex);

#endif
