/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/plan.h"

#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/field.h"
#include "common/nearest.h"
#include "flowq/source_table.h"

enum { HINTS_MAX = 8 };

struct owned {
	void *p;
	void (*free)(void *);
	struct owned *next;
};

int
plan_fail(struct plan *p)
{
	p->failed = true;
	return -1;
}

int
plan_oom(struct plan *p)
{
	err_set(p->lexer->err, "out of memory");
	return plan_fail(p);
}

/*
 * Names.
 */

static const struct column_def *
find_exact(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->ncols; i++)
		if (strcmp(p->cols[i].name, name) == 0)
			return &p->cols[i];
	return NULL;
}

const struct column_def *
plan_find(const struct plan *p, const char *name)
{
	const struct column_def *c = find_exact(p, name);
	const char *canonical;

	if (c)
		return c;
	canonical = element_canonical(name);
	return strcmp(canonical, name) ? find_exact(p, canonical) : NULL;
}

/* Null if there is no such field. */
static struct node *
named(void *ctx, const char *name)
{
	struct plan *p = ctx;
	const struct column_def *c = plan_find(p, name);

	if (c)
		return (struct node *)c->node;
	return node_literal(&p->binder, &(struct literal){.type = TYPE_NULL});
}

static void
hint(struct plan *p, const char *name)
{
	char text[2 * FIELD_NAME_MAX + NEAREST_MAX + 80];
	char nearest[NEAREST_HINT];
	struct nearest near;

	/* Empty tables have no fields to miss. */
	if (!p->hint || p->hints++ >= HINTS_MAX ||
	    (source_is_table(p->src) && p->src->blocks == 0))
		return;
	nearest_init(&near, name, strlen(name));
	for (size_t i = 0; i < p->ncols; i++)
		nearest_try(&near, p->cols[i].name);
	snprintf(text, sizeof text, "no row has a field %.*s: it is null%s",
		 FIELD_NAME_MAX, name,
		 nearest_hint(&near, nearest, sizeof nearest));
	p->hint(text);
}

/* binder.field */
static int
resolve(void *ctx, const struct expr *e, struct node **out)
{
	struct plan *p = ctx;
	const struct column_def *c;
	const char *name = e->name;

	if (e->op == EXPR_CALL) {
		/* A column may be called sum(octet_count). */
		name = expr_text(p->lexer, e->pos, e->len);
		if (!name)
			return -1;
		c = find_exact(p, name);
		*out = c ? (struct node *)c->node : NULL;
		return 0;
	}
	c = plan_find(p, name);
	if (c) {
		*out = (struct node *)c->node;
		return 0;
	}
	if (field_virtual(&p->binder, name, named, p, out))
		return *out ? 0 : -1;
	if (strcmp(name, "now") != 0)
		hint(p, name);
	return 0;
}

struct node *
plan_bind(struct plan *p, const struct expr *e)
{
	struct node *nd = expr_bind(&p->binder, e);

	if (!nd) {
		p->lexer->err_pos = p->binder.err_pos;
		return NULL;
	}
	if (nd->type == TYPE_CIDR) {
		lexer_fail(p->lexer, e->pos, "a network stands only after in");
		return NULL;
	}
	return nd;
}

int
plan_set(struct plan *p, const char *name, const struct node *nd)
{
	struct column_def *cols;

	for (size_t i = 0; i < p->ncols; i++)
		if (strcmp(p->cols[i].name, name) == 0) {
			p->cols[i].node = nd;
			return 0;
		}
	cols = arena_alloc(p->arena, (p->ncols + 1) * sizeof(*cols));
	if (!cols)
		return plan_oom(p);
	if (p->ncols)
		memcpy(cols, p->cols, p->ncols * sizeof(*cols));
	cols[p->ncols++] = (struct column_def){name, nd};
	p->cols = cols;
	return 0;
}

/*
 * Stages.
 */

/* Makes SRC the source of a new stage: all its fields are visible. */
static int
open_source(struct plan *p, struct source *src)
{
	p->src = src;
	p->norder = 0;
	p->ncols = 0;
	p->filter = filter_new(p->arena);
	p->cols = arena_alloc(p->arena, (src->n + 1) * sizeof(*p->cols));
	if (!p->filter || !p->cols)
		return plan_oom(p);
	for (size_t i = 0; i < src->n; i++) {
		const struct source_field *f = &src->fields[i];
		struct node *nd = node_field(&p->binder, (int)i, f->type,
					     f->nullable, f->name);

		if (!nd)
			return plan_oom(p);
		if (f->hidden ||
		    (f->type == TYPE_NULL && strcmp(f->name, "_host") == 0))
			continue;
		p->cols[p->ncols++] = (struct column_def){f->name, nd};
	}
	return 0;
}

int
plan_filter(struct plan *p, const struct expr *e)
{
	struct node *nd = plan_bind(p, e);

	if (!nd)
		return -1;
	if (nd->type != TYPE_BOOL && nd->type != TYPE_NULL)
		return lexer_fail(p->lexer, e->pos,
				  "expected a condition, found %s",
				  expr_type_article(nd->type));
	return filter_add(p->filter, nd, p->lexer->err);
}

struct branch
plan_open_branch(const struct plan *p)
{
	return (struct branch){p->src,	 p->filter, p->cols,
			       p->ncols, p->norder, p->period};
}

const struct columns *
branch_columns(struct plan *p, const struct branch *b)
{
	struct columns *c = arena_zalloc(p->arena, sizeof(*c));

	if (!c)
		return NULL;
	c->n = b->ncols;
	c->names = arena_alloc(p->arena, (c->n + 1) * sizeof(*c->names));
	c->nodes = arena_alloc(p->arena, (c->n + 1) * sizeof(*c->nodes));
	c->types = arena_alloc(p->arena, (c->n + 1) * sizeof(*c->types));
	if (!c->names || !c->nodes || !c->types)
		return NULL;
	for (size_t i = 0; i < c->n; i++) {
		c->names[i] = b->cols[i].name;
		c->nodes[i] = b->cols[i].node;
		c->types[i] = b->cols[i].node->type;
	}
	return c;
}

const struct columns *
plan_columns(struct plan *p)
{
	struct branch b = plan_open_branch(p);

	return branch_columns(p, &b);
}

static int
add_stage(struct plan *p, struct sink *sink)
{
	struct stage *s = arena_zalloc(p->arena, sizeof(*s));

	if (!s) {
		sink_free(sink);
		return plan_oom(p);
	}
	sink->budget = &p->budget;
	*s = (struct stage){.src = p->src, .filter = p->filter, .sink = sink};
	*p->tail = s;
	p->tail = &s->next;
	return 0;
}

int
plan_stage(struct plan *p, struct sink *sink)
{
	if (!sink)
		return plan_oom(p);
	return add_stage(p, sink) || open_source(p, sink->result) ? -1 : 0;
}

/* Equal rows keep the order that their source would show: the keys for that,
 * up to norder + 2 of them. -1: memory was out. */
static int
order_keys(struct plan *p, struct sort_key *keys)
{
	int n = 0;

	for (size_t i = 0; i < p->norder + 2; i++) {
		size_t k = i - p->norder;
		bool own = i < p->norder;
		int slot = own ? (int)i
			   : k ? p->src->id_field
			       : p->src->time_field;
		const struct source_field *f;

		if (!own && p->src->time_field < 0)
			break;
		f = &p->src->fields[slot];
		keys[n].descending = !own && !p->src->ascending;
		keys[n].node = node_field(&p->binder, slot, f->type,
					  !own || f->nullable, f->name);
		if (!keys[n++].node)
			return plan_oom(p);
	}
	return n;
}

int
plan_sort_tally(struct plan *p, const struct sort_key *keys, size_t n,
		uint64_t limit, struct tally *tally)
{
	const struct columns *cols = plan_columns(p);
	size_t more = p->norder + 2;
	struct sort_key *all = arena_alloc(p->arena, (n + more) * sizeof(*all));
	struct sink *sink;
	int k;

	if (!cols || !all)
		return plan_oom(p);
	if (n)
		memcpy(all, keys, n * sizeof(*all));
	k = order_keys(p, all + n);
	if (k < 0)
		return -1;
	n += (size_t)k;
	if (tally)
		tally->node = all[0].node;
	if (n && all[0].descending && all[0].node->kind == NODE_FIELD &&
	    filter_empty(p->filter))
		stats_want_top(p->src, (size_t)all[0].node->slot, limit, tally);
	sink = sort_new(p->arena, cols, all, n,
			limit > SIZE_MAX ? SIZE_MAX : (size_t)limit);
	if (sink && tally)
		sort_tally(sink, tally);
	return plan_stage(p, sink);
}

int
plan_sort(struct plan *p, const struct sort_key *keys, size_t n, uint64_t limit)
{
	return plan_sort_tally(p, keys, n, limit, NULL);
}

int
plan_limit(struct plan *p, uint64_t skip, uint64_t limit)
{
	const struct columns *cols = plan_columns(p);

	if (!cols)
		return plan_oom(p);
	return plan_stage(p,
			  emit_new(p->arena, p->src, cols, NULL, skip, limit));
}

int
plan_own(struct plan *p, void *what, void (*free)(void *))
{
	struct owned *o = arena_alloc(p->arena, sizeof(*o));

	if (!o || !what) {
		if (what)
			free(what);
		return plan_oom(p);
	}
	*o = (struct owned){what, free, p->owned};
	p->owned = o;
	return 0;
}

static void
free_source(void *src)
{
	source_free(src);
}

int
plan_source(struct plan *p, struct source *src)
{
	return plan_own(p, src, free_source) ? -1 : open_source(p, src);
}

static int
plan_commands(struct plan *p, const struct query *q)
{
	for (const struct command *c = q->commands; c; c = c->next) {
		struct source *src;
		int rc;

		if (p->site->open && c == q->commands)
			rc = p->site->open(&src, p->lexer->err)
				 ? plan_fail(p)
				 : plan_source(p, src);
		else
			rc = c->verb->plan(p, c);
		if (rc)
			return -1;
	}
	return 0;
}

int
plan_rows(struct plan *p, const struct writer *writer)
{
	const struct columns *cols = plan_columns(p);
	struct sink *sink;

	if (!cols)
		return plan_oom(p);
	sink = emit_new(p->arena, p->src, cols, writer, 0, UINT64_MAX);
	return sink ? add_stage(p, sink) : plan_oom(p);
}

void
plan_reopen(struct plan *p, const struct branch *b)
{
	p->src = b->src;
	p->filter = b->filter;
	p->cols = b->cols;
	p->ncols = b->ncols;
	p->norder = b->norder;
	p->period = b->period;
}

int
plan_branch(struct plan *p, const struct query *q, const struct writer *writer,
	    struct branch *b)
{
	const struct branch mine = plan_open_branch(p);

	if (plan_commands(p, q) || (writer && plan_rows(p, writer)))
		return -1;
	*b = plan_open_branch(p);
	plan_reopen(p, &mine);
	return 0;
}

int
plan_begin(struct plan *p, const struct query *q)
{
	p->tail = &p->first;
	p->period = (struct period){INT64_MIN, INT64_MAX, 0};
	p->budget.memory = p->site->memory;
	p->budget.dir = p->site->tmp;
	p->binder.arena = p->arena;
	p->binder.err = p->lexer->err;
	p->binder.now = p->lexer->now;
	p->binder.field = resolve;
	p->binder.ctx = p;
	return plan_commands(p, q);
}

int
plan_make(struct plan *p, const struct query *q, struct output *out,
	  const struct writer *writer)
{
	const struct columns *cols;

	if (plan_begin(p, q))
		return -1;
	cols = plan_columns(p);
	if (!cols)
		return plan_oom(p);
	if (output_columns(out, cols, p->lexer->err))
		return plan_fail(p);
	return plan_rows(p, writer);
}

void
plan_clear(struct plan *p)
{
	/* Newest first: they may be made of older ones, and of sinks'
	 * results. */
	for (struct owned *o = p->owned; o; o = o->next)
		o->free(o->p);
	p->owned = NULL;
	for (struct stage *s = p->first; s; s = s->next)
		sink_free(s->sink);
	p->first = NULL;
}

/*
 * For people.
 */

static void
explain_node(const struct node *nd, const struct source *src, bool *used)
{
	if (nd->kind == NODE_FIELD && (size_t)nd->slot < src->n)
		used[nd->slot] = true;
	for (size_t i = 0; i < nd->n; i++)
		explain_node(nd->args[i], src, used);
}

static void
explain_columns(const struct source *src, const bool *used, int depth, FILE *f)
{
	const char *between = "columns: ";

	for (size_t i = 0; i < src->n; i++)
		if (used[i]) {
			fprintf(f, "%*s%s%s", *between == ',' ? 0 : 2 * depth,
				"", between, src->fields[i].name);
			between = ", ";
		}
	if (*between == ',')
		fputc('\n', f);
}

static void
explain_blocks(struct source *src, const struct filter *filter, int depth,
	       FILE *f)
{
	size_t no = 0, all = 0;

	for (size_t i = 0; i < src->blocks; i++) {
		enum verdict v = filter_check(filter, src, i);

		no += v == NO_ROW;
		all += v == EVERY_ROW;
	}
	fprintf(f,
		"%*sblocks: %zu, %zu outside the time range, %zu pruned by "
		"the filter, %zu where every row passes\n",
		2 * depth, "", table_source_blocks(src),
		table_source_blocks(src) - src->blocks, no, all);
}

static const char *
source_name(const struct source *src)
{
	return src->ops->name ? src->ops->name : "rows of the stage before";
}

/* What is read of a source of which some fields are used, and of those that it
 * is made of. */
static void
explain_source(struct source *src, const struct filter *filter, bool *used,
	       int depth, FILE *f)
{
	struct source_part part;
	char text[256];
	const char *line;

	filter_fields(filter, used, explain_node, src);
	if (source_is_table(src))
		explain_blocks(src, filter, depth, f);
	explain_columns(src, used, depth, f);
	for (size_t i = 0;
	     (line = filter_text(filter, i, text, sizeof text, src)); i++)
		fprintf(f, "%*sfilter: %s\n", 2 * depth, "", line);
	for (size_t i = 0; src->ops->part && src->ops->part(src, i, &part);
	     i++) {
		bool *its = calloc(part.src->n + 1, sizeof(*its));

		for (size_t k = 0; its && k < src->n; k++) {
			size_t at = part.cols ? (size_t)part.cols[k] : k;

			if (used[k] && at < part.n)
				explain_node(part.nodes[at], part.src, its);
		}
		for (size_t k = 0; its && k < part.nkeys; k++)
			explain_node(part.keys[k], part.src, its);
		fprintf(f, "%*s%s: %s\n", 2 * depth, "", part.name,
			source_name(part.src));
		if (its)
			explain_source(part.src, part.filter, its, depth + 1,
				       f);
		free(its);
	}
}

void
plan_explain(const struct plan *p, FILE *f)
{
	int n = 1;

	for (const struct stage *s = p->first; s; s = s->next, n++) {
		bool *used = calloc(s->src->n + 1, sizeof(*used));
		const struct node *nd;

		if (!used)
			return;
		for (size_t i = 0; (nd = s->sink->ops->node(s->sink, i)); i++)
			explain_node(nd, s->src, used);
		fprintf(f, "stage %d: %s, then %s\n", n, source_name(s->src),
			s->sink->ops->name);
		explain_source(s->src, s->filter, used, 1, f);
		free(used);
	}
}
