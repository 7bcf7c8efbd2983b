/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow filters as people type them for nfdump and tcpdump,
 *
 *	src net 10.0.0.0/8 and dst port in [80 443] and not proto icmp
 *
 * translated to an expression.  The words are in flowexpr(7).
 */
#ifndef COMMON_FLOWFILTER_H
#define COMMON_FLOWFILTER_H

#include "common/expr.h"

struct flowfilter {
	const char *text; /* borrowed, as long as the tree */
	size_t len;
	size_t base; /* where the text begins in what errors point into */
	/* nfdump's durations are in milliseconds, those of expressions in
	 * seconds: refuse a number without a unit. */
	bool strict;
	struct arena *arena;
	struct err *err;
	size_t err_pos; /* where it failed, from base on */
	bool refused;	/* for such a number */
};

/* NULL: err and err_pos say why. */
struct expr *flowfilter_parse(struct flowfilter *);

#endif
