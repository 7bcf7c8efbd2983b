/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From commands to stages.
 *
 * A stage is a scan: a source, a filter, and a sink.  Commands that look at
 * rows one by one (search, eval, fields, rename) need no stage: they change
 * what names stand for, and add to the filter of the stage that is open.  A
 * command that needs many rows ends it with its sink, whose result is the
 * source of the next.  All names and types are known before any block is read.
 */
#ifndef FLOWQ_PLAN_H
#define FLOWQ_PLAN_H

#include "flowq/emit.h"
#include "flowq/output.h"
#include "flowq/parse.h"
#include "flowq/site.h"
#include "flowq/stats.h"

struct stage {
	struct source *src;
	struct filter *filter;
	struct sink *sink;
	struct stage *next;
	bool done; /* it ran */
};

/* A visible column: what its name stands for. */
struct column_def {
	const char *name;
	const struct node *node;
};

/* The time that rows are of. */
struct period {
	int64_t from, to; /* asked for; INT64_MIN, INT64_MAX: not */
	double seconds;	  /* what rates are over; 0: not known */
};

/* What a nested query comes to: a stage that is open. */
struct branch {
	struct source *src;
	struct filter *filter;
	struct column_def *cols;
	size_t ncols, norder;
	struct period period;
};

struct plan {
	/* set by the caller */
	struct arena *arena;
	struct lexer *lexer; /* for the text, err and err_pos */
	const struct site *site;
	/* Says a hint; may be NULL. */
	void (*hint)(const char *text);
	/* Runs the stages that ended and did not run yet, for a command whose
	 * columns depend on values; -1: err.  NULL if nothing is to run. */
	int (*run)(struct plan *);
	/* the plan's own */
	bool failed; /* it was not the query's fault */
	struct binder binder;
	struct stage *first, **tail;
	/* the open stage */
	struct source *src;
	struct filter *filter;
	struct column_def *cols;
	size_t ncols;
	/* Order of a source without an order of its own: these fields. */
	size_t norder;
	size_t hints;
	struct period period;
	struct owned *owned; /* that is freed with it */
	struct budget budget;
};

/* -1: the lexer's err says why; where is err_pos, unless it failed. What the
 * plan makes is freed by plan_clear, also then. */
int plan_make(struct plan *, const struct query *, struct output *,
	      const struct writer *);
/* The same, up to the columns that rows would have. */
int plan_begin(struct plan *, const struct query *);
void plan_clear(struct plan *);

/* The columns that the last stage writes. */
const struct columns *plan_columns(struct plan *);

/* Text about the plan, for explain. */
void plan_explain(const struct plan *, FILE *);

/*
 * For verbs.
 */

/* NULL: said why. */
struct node *plan_bind(struct plan *, const struct expr *);
/* The column NAME (or an alias); NULL if there is none. */
const struct column_def *plan_find(const struct plan *, const char *name);
/* Adds a column, or replaces that of the name. */
int plan_set(struct plan *, const char *name, const struct node *);
int plan_filter(struct plan *, const struct expr *);
/* Ends the stage; the sink's result is next. NULL: memory was out. */
int plan_stage(struct plan *, struct sink *);
/* Ends the stage with a sort or with rows SKIP to SKIP + LIMIT. */
int plan_sort(struct plan *, const struct sort_key *, size_t n, uint64_t limit);
/* The same; TALLY is of the first key, and lies in the arena. */
int plan_sort_tally(struct plan *, const struct sort_key *, size_t n,
		    uint64_t limit, struct tally *);
int plan_limit(struct plan *, uint64_t skip, uint64_t limit);
/* Ends the stage; its rows go to the writer.  Another is to be opened. */
int plan_rows(struct plan *, const struct writer *);
/* The stage that is open, and to have it so again. */
void plan_reopen(struct plan *, const struct branch *);
struct branch plan_open_branch(const struct plan *);
/* Plans a nested query: what it comes to is in BRANCH and, with a writer, its
 * rows go there before what is planned now runs.  The stage that was open is
 * so again. */
int plan_branch(struct plan *, const struct query *, const struct writer *,
		struct branch *);
/* As plan_columns. */
const struct columns *branch_columns(struct plan *, const struct branch *);
/* Opens a stage over a source, which is the plan's from now on; NULL: memory
 * was out. */
int plan_source(struct plan *, struct source *);
/* WHAT is freed with the plan, or at once if that is not to be. */
int plan_own(struct plan *, void *what, void (*free)(void *));
int plan_oom(struct plan *);
/* Something else than the query is wrong; err says what. Always -1. */
int plan_fail(struct plan *);

#endif
