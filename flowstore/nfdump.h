/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The columns of `nfdump -o csv` by our names.  What nfdump writes for want of
 * a value (0.0.0.0 as next hop, a VLAN of 0 and so on) is left out.
 */
#ifndef FLOWSTORE_NFDUMP_H
#define FLOWSTORE_NFDUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "flowstore/textrow.h"

/* Whether a line of names is nfdump's. */
bool nfdump_is_header(const char *line, size_t len);
/* Whether a line is where its summary begins: no records come any more. */
bool nfdump_is_end(const char *line, size_t len);

/* Adds the value of a column called NAME. */
void nfdump_add(struct textrow *, const char *name, const char *value,
		size_t len);

#endif
