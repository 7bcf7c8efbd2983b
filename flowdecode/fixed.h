/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NetFlow v1, v5 and v7 as templates that never change: a record is described
 * in terms of information elements, like one of v9.
 */
#ifndef FLOWDECODE_FIXED_H
#define FLOWDECODE_FIXED_H

#include <stdint.h>

#include "flowdecode/plan.h"

struct fixed {
	uint16_t version;
	uint16_t n;
	const struct wire_field *fields;
};

enum { FIXED_FORMATS = 3 };

extern const struct fixed fixed_formats[FIXED_FORMATS];

#endif
