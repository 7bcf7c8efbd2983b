/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/stats.h"

#include <stdlib.h>
#include <string.h>

#include "flowq/sort.h"
#include "flowq/stats_state.h"

enum {
	FEW_GROUPS = 1 << 20, /* that one thread merges by itself */
	TOP_LIMIT = 10000,    /* groups that are looked for, at most */
};

int
stats_oom(struct err *err)
{
	return err_set(err, "out of memory for groups");
}

static int
init_groups(struct stats *s, struct err *err)
{
	for (size_t i = 0; i < s->threads && s->plan.nkeys; i++)
		if (grouping_init(&s->locals[i].groups, &s->plan,
				  s->sink.budget, s->share, err))
			return -1;
	return 0;
}

static int
stats_start(struct sink *sink, size_t threads, struct err *err)
{
	struct stats *s = (struct stats *)sink;

	/* Bounds of fields are known by now, and so are widths. */
	group_plan_init(&s->plan, s->src);
	s->share = budget_share(s->sink.budget, threads);
	if (s->plan.mode == GROUP_DENSE &&
	    s->plan.stride << s->plan.bits > s->share / 2)
		s->plan.mode = GROUP_64;
	s->locals = calloc(threads, sizeof(*s->locals));
	if (!s->locals)
		return stats_oom(err);
	s->threads = threads;
	for (size_t i = 0; i < threads; i++) {
		s->locals[i].one = calloc(1, s->plan.stride);
		s->locals[i].trial = calloc(1, s->plan.stride);
		s->locals[i].rest =
		    malloc((s->plan.naggs + 1) * sizeof(struct agg));
		if (!s->locals[i].one || !s->locals[i].trial ||
		    !s->locals[i].rest)
			return stats_oom(err);
	}
	return init_groups(s, err);
}

static int
stats_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	    atomic_bool *stop)
{
	struct stats *s = (struct stats *)sink;
	struct local *l = &s->locals[thread];

	(void)nth;
	if (!s->plan.nkeys) {
		if (l->groups.keep.total > s->share)
			return budget_exceeded(v->err,
					       "the values of dc, "
					       "percentile and the like",
					       s->share);
		return stats_add_to_one(s, l, v, l->one);
	}
	if (s->top.phase == TOPLIST_SKETCH)
		return v->nsel ? stats_sketch_block(s, l, v) : 0;
	if (s->top.phase == TOPLIST_PICK && v->nsel && stats_pick_block(s, v))
		return -1;
	if (v->nsel && stats_group_block(s, l, v))
		return -1;
	l->blocks++;
	if (stats_top_due(s, l)) {
		s->top_due = true;
		*stop = true;
	}
	return 0;
}

/*
 * Joining the threads' states.
 */

int
stats_overflow(struct err *err)
{
	return err_set(err, "a sum is above what 64 bits hold; sum(double(x)) "
			    "gives it as a real number");
}

static int
merge_ones(struct stats *s, bool *overflow)
{
	struct agg_rows rows = {.base = s->locals[0].one,
				.stride = s->plan.stride,
				.index = (uint32_t[]){0},
				.n = 1,
				.arena = &s->locals[0].groups.keep,
				.overflow = overflow};

	for (size_t i = 1; i < s->threads; i++)
		if (aggregate_merge(s->plan.aggs, s->plan.naggs, &rows,
				    s->locals[i].one, NULL))
			return -1;
	return 0;
}

/* Few groups end up in the first thread's table. */
static int
merge_tables(struct stats *s, bool *overflow, struct err *err)
{
	struct group_table *table = &s->locals[0].groups.table;
	struct group_target to = {table, &s->locals[0].groups.keep, overflow,
				  SIZE_MAX};

	for (size_t i = 1; i < s->threads; i++) {
		struct group_table *from = &s->locals[i].groups.table;

		if (!from->plan) /* it was done before */
			continue;
		group_table_pack(from);
		if (grouping_merge_table(from, &to, err))
			return -1;
		group_table_clear(from);
	}
	group_table_pack(table);
	return 0;
}

/* Forgets all groups. */
static int
start_over(struct stats *s, struct err *err)
{
	for (size_t i = 0; i < s->threads; i++)
		grouping_clear(&s->locals[i].groups);
	s->top_due = false;
	return init_groups(s, err) ? -1 : 1;
}

/* Whether the groups that were picked are in the first thread's table. */
static int
join_picked(struct stats *s, struct err *err)
{
	bool overflow = false;

	for (size_t i = 0; i < s->threads; i++)
		if (grouping_is_spread(&s->locals[i].groups))
			return 0;
	if (merge_tables(s, &overflow, err))
		return -1;
	s->locals[0].groups.overflow |= overflow;
	return 1;
}

static int
stats_again(struct sink *sink, struct err *err)
{
	struct stats *s = (struct stats *)sink;
	/* clang 14 does not switch over an atomic enum */
	enum toplist_phase phase = s->top.phase;
	int rc;

	switch (phase) {
	case TOPLIST_WATCH:
		if (!s->top_due)
			return 0;
		if (toplist_start(&s->top, s->threads, err))
			return -1;
		break;
	case TOPLIST_SKETCH:
		s->top.phase =
		    toplist_pick(&s->top) ? TOPLIST_PICK : TOPLIST_OFF;
		break;
	case TOPLIST_PICK:
		rc = join_picked(s, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			rc = toplist_check(&s->top, &s->locals[0].groups.table);
		else
			rc = -1;
		if (rc > 0)
			return 0;
		if (rc < 0)
			s->top.phase = TOPLIST_OFF;
		break;
	default:
		return 0;
	}
	if (s->top.phase == TOPLIST_OFF)
		toplist_clear(&s->top);
	return start_over(s, err);
}

static int
stats_finish(struct sink *sink, struct err *err)
{
	struct stats *s = (struct stats *)sink;
	bool overflow = false;
	size_t groups = 0;
	int rc = 0;

	if (s->tally && s->top.phase == TOPLIST_PICK)
		s->tally->sum = s->top.sum;
	for (size_t i = 0; i < s->threads; i++) {
		s->spread |= grouping_is_spread(&s->locals[i].groups);
		overflow |= s->locals[i].groups.overflow;
		if (i > 0)
			groups += s->locals[i].groups.table.count;
	}
	/* Many groups are merged by all threads, partition by partition. */
	s->spread |= groups > FEW_GROUPS;
	s->result.blocks = s->spread ? PARTITIONS : 1;
	if (!s->plan.nkeys) {
		rc = merge_ones(s, &overflow) ? stats_oom(err) : 0;
	} else if (s->spread) {
		for (size_t i = 0; i < s->threads && rc == 0; i++) {
			rc = grouping_spread(&s->locals[i].groups, err);
			group_table_clear(&s->locals[i].groups.table);
		}
		if (s->plan.mode == GROUP_DENSE)
			s->plan.mode = GROUP_64;
	} else {
		rc = merge_tables(s, &overflow, err);
		groups = s->locals[0].groups.table.count;
		s->result.blocks =
		    (groups + STATS_RESULT_ROWS - 1) / STATS_RESULT_ROWS;
	}
	return rc == 0 && overflow ? stats_overflow(err) : rc;
}

static const struct node *
stats_node(const struct sink *sink, size_t i)
{
	const struct group_plan *p = &((const struct stats *)sink)->plan;

	if (i < p->nkeys)
		return p->keys[i].node;
	for (size_t k = 0; k < p->naggs; k++)
		if (p->aggs[k].arg && i-- == p->nkeys)
			return p->aggs[k].arg;
	return NULL;
}

static void
stats_free(struct sink *sink)
{
	struct stats *s = (struct stats *)sink;

	for (size_t i = 0; i < s->threads; i++) {
		grouping_clear(&s->locals[i].groups);
		free(s->locals[i].coded);
		free(s->locals[i].used);
		free(s->locals[i].one);
		free(s->locals[i].trial);
		free(s->locals[i].rest);
	}
	free(s->locals);
	toplist_clear(&s->top);
	stats_free_parts(s);
	view_clear(&s->head.view);
	pthread_mutex_destroy(&s->lock);
}

static const struct sink_ops stats_ops = {
    .name = "stats",
    .start = stats_start,
    .header = stats_header,
    .block = stats_block,
    .again = stats_again,
    .finish = stats_finish,
    .node = stats_node,
    .free = stats_free,
};

/* Adds the fields of an expression to the list. */
static void
add_fields(struct stats *s, const struct node *nd)
{
	size_t i = 0;

	for (; nd->kind == NODE_FIELD && i < s->nfields; i++)
		if (s->fields[i] == nd->slot)
			break;
	if (nd->kind == NODE_FIELD && i == s->nfields)
		s->fields[s->nfields++] = nd->slot;
	for (size_t k = 0; k < nd->n; k++)
		add_fields(s, nd->args[k]);
}

/* Whether nothing in an expression is more than a field. */
static bool
is_plain(const struct node *nd)
{
	return !nd || nd->kind == NODE_FIELD;
}

void
stats_want_top(struct source *src, size_t field, uint64_t limit,
	       struct tally *tally)
{
	struct stats *s = stats_of(src);
	size_t agg;

	if (!s || limit == 0 || limit > TOP_LIMIT || field < s->plan.nkeys ||
	    !s->src->again)
		return;
	agg = field - s->plan.nkeys;
	/* What overflows is counted, once a row: so nothing may. */
	for (size_t i = 0; i < s->plan.nkeys; i++)
		if (!is_plain(s->plan.keys[i].node))
			return;
	for (size_t i = 0; i < s->plan.naggs; i++)
		if (!is_plain(s->plan.aggs[i].arg))
			return;
	if (!s->plan.nkeys || !aggregate_is_number(&s->plan.aggs[agg]))
		return;
	toplist_want(&s->top, agg, limit);
	s->tally = tally;
}

struct sink *
stats_new(struct arena *a, struct source *src, struct group_key *keys,
	  size_t nkeys, struct agg *aggs, size_t naggs)
{
	struct stats *s = arena_zalloc(a, sizeof(*s));

	if (!s)
		return NULL;
	s->sink = (struct sink){&stats_ops, &s->result, NULL};
	s->src = src;
	pthread_mutex_init(&s->lock, NULL);
	s->plan = (struct group_plan){
	    .nkeys = nkeys, .naggs = naggs, .keys = keys, .aggs = aggs};
	s->fields = arena_alloc(a, (src->n + 1) * sizeof(*s->fields));
	s->head.cols = arena_zalloc(a, (src->n + 1) * sizeof(*s->head.cols));
	s->head.values = arena_zalloc(a, (src->n + 1) * 32);
	if (!s->fields || !s->head.cols || !s->head.values)
		return NULL;
	for (size_t i = 0; i < nkeys; i++)
		add_fields(s, keys[i].node);
	for (size_t i = 0; i < naggs; i++)
		s->placed |= aggregate_wants_place(&aggs[i]);
	if (src->time_field >= 0)
		for (int i = 0; i < 2; i++) {
			int slot = i ? src->id_field : src->time_field;

			s->place[i] =
			    (struct node){.kind = NODE_FIELD,
					  .slot = slot,
					  .type = src->fields[slot].type};
		}
	return stats_describe(s, a) ? NULL : &s->sink;
}
