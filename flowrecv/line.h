/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datagram as a line of JSON, for people at a terminal.
 */
#ifndef FLOWRECV_LINE_H
#define FLOWRECV_LINE_H

#include <stddef.h>

#include "common/datagram.h"

/* With the final newline. */
enum { LINE_BYTES_MAX = 320 };

/* Writes the line to BUF and returns its length.  "version" is the payload's
 * first 16-bit number, as every NetFlow version and IPFIX begin; null where it
 * is shorter. */
size_t line_format(char buf[LINE_BYTES_MAX], const struct datagram *);

#endif
