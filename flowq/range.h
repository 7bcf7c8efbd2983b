/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values that have an order and fit 128 bits, on one scale per kind: integers,
 * times and MACs from 2^64 up (so that negative ones fit below), addresses as
 * they are, IPv4 inside ::ffff:0:0/96.  Block statistics, filters and group
 * keys meet here whatever the width of a column.
 */
#ifndef FLOWQ_RANGE_H
#define FLOWQ_RANGE_H

#include <stdbool.h>

#include "common/batch.h"
#include "common/token.h"

typedef unsigned __int128 scale_t;

#define SCALE_ZERO ((scale_t)1 << 64)
#define SCALE_IPV4 ((scale_t)0xffff << 32)

struct range {
	scale_t lo, hi; /* both inside; empty if lo > hi */
};

/* Whether values of the type are on a scale. */
bool scale_has(enum expr_type);
/* Of a column's value. The type must be one that scale_has. */
scale_t scale_value(const struct value *);
scale_t scale_literal(const struct literal *);

/*
 * The range as values of a column of type T, which are bits of its width that
 * count up from *lo: false if no value of that type is in it.
 */
bool scale_clamp(struct range, enum col_type, uint64_t *lo, uint64_t *hi);

#endif
