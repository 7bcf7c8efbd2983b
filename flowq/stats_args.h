/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Aggregates and keys as stats, timechart and top have them: their text, and
 * the stage that they make.
 */
#ifndef FLOWQ_STATS_ARGS_H
#define FLOWQ_STATS_ARGS_H

#include "flowq/plan.h"

struct stats_arg {
	const char *name;  /* of the aggregate; unused for a key */
	struct expr *expr; /* the call (NULL for a bare count), or the key */
	const char *title;
	size_t pos;
};

struct stats_args {
	size_t naggs, nkeys;
	struct stats_arg *aggs, *keys;
};

/* "count" | NAME "(" [expr] ")" ["as" NAME], one more. */
int parse_aggregate(struct lexer *, struct stats_args *);
/* The same, one or more with commas between. */
int parse_aggregates(struct lexer *, struct stats_args *);
/* expr ["as" NAME], one more. */
int parse_key(struct lexer *, struct stats_args *);
/* The same, one or more with commas between. */
int parse_keys(struct lexer *, struct stats_args *);
/* Two result columns of one name would hide each other. */
int parse_titles(struct lexer *, const struct stats_args *);

/* Binds the keys to KEYS, which has room for them. */
int plan_keys(struct plan *, const struct stats_args *, struct group_key *keys);
/* The aggregates, bound, in the arena; SECONDS: what rates are of.  NULL: said
 * why. */
struct agg *plan_aggregates(struct plan *, const struct stats_args *,
			    double seconds);
/* Ends the stage with these aggregates by KEYS, all in the arena; none of
 * AGGS if it is NULL, for which somebody said why. */
int plan_groups(struct plan *, struct group_key *keys, size_t nkeys,
		struct agg *aggs, size_t naggs);

#endif
