/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/load.h"
#include "common/nearest.h"
#include "flowq/joinkey.h"
#include "flowq/lazy.h"
#include "flowq/rowset.h"

/*
 * The rows in the brackets are gathered first, and found by key; the rows
 * before the command then pass block by block, each with those that it finds.
 */

enum {
	KEYS_MAX = 16,
	PAIRS_MAX = 1 << 26, /* that one block may make */
};

struct join_key {
	const char *name;
	size_t pos;
};

struct join_args {
	bool left;
	size_t n;
	struct join_key *keys;
	struct query *query;
};

/* The rows in the brackets. */
struct inner {
	const struct columns *cols;
	struct rowset *rows;
	size_t *keys; /* of cols */
	struct joinkey index;
	struct room room; /* of both */
};

struct join {
	struct source src;
	bool left;
	struct lazy outer;
	size_t nkeys;
	const struct node **keys;    /* of the outer rows */
	const enum expr_type *types; /* that keys are compared as */
	struct inner inner;
	size_t *inner_cols; /* of the fields behind the outer ones */
};

/* An open block: pairs of an outer row and an inner one. */
struct pairs {
	struct lazy_block *block;
	uint32_t *outer, *inner; /* UINT32_MAX: no inner row */
	uint32_t n, cap;
	char *key;
	size_t key_cap;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for a join");
}

/*
 * Inner rows.
 */

/* A struct writer's. */
static int
inner_write(void *ctx, const struct rowset *from, uint32_t at, uint32_t to,
	    struct err *err)
{
	struct inner *in = ctx;

	return rowset_copy(in->rows, from, at, to, err);
}

static int
index_rows(struct join *j, struct eval *e, uint32_t from)
{
	struct inner *in = &j->inner;
	struct vec vecs[KEYS_MAX];

	for (size_t k = 0; k < j->nkeys; k++) {
		enum expr_type t = in->cols->types[in->keys[k]];
		enum col_type c = expr_col_type(t);

		if (c == COL_NULL) {
			vec_load_null(j->types[k], &vecs[k]);
			continue;
		}
		if (vec_load(e, &in->rows->cols[in->keys[k]], c, NULL, from,
			     &vecs[k]) ||
		    vec_cast(e, &vecs[k], j->types[k]))
			return -1;
	}
	return joinkey_add(&in->index, vecs, e->n, e->err);
}

static int
inner_index(struct join *j, struct err *err)
{
	struct arena arena = {0};
	struct eval e = {.arena = &arena, .err = err};
	uint32_t rows = j->inner.rows->rows;
	int rc = 0;

	for (uint32_t at = 0; at < rows && rc == 0; at += e.n) {
		arena_reset(&arena);
		e.n = rows - at > VIEW_CHUNK ? VIEW_CHUNK : rows - at;
		rc = index_rows(j, &e, at);
	}
	arena_free(&arena);
	return rc ? -1 : joinkey_finish(&j->inner.index, err);
}

/*
 * Pairs.
 */

static int
add_pair(struct pairs *p, uint32_t outer, uint32_t inner, struct err *err)
{
	if (p->n == p->cap) {
		uint32_t cap = p->cap ? 2 * p->cap : 1024;
		uint32_t *a, *b;

		if (cap > PAIRS_MAX)
			return err_set(err,
				       "a join finds more than %d pairs of "
				       "rows in one block: join by more "
				       "columns, or less often repeated ones",
				       PAIRS_MAX);
		a = realloc(p->outer, cap * sizeof(*a));
		if (!a)
			return oom(err);
		p->outer = a;
		b = realloc(p->inner, cap * sizeof(*b));
		if (!b)
			return oom(err);
		p->inner = b;
		p->cap = cap;
	}
	p->outer[p->n] = outer;
	p->inner[p->n++] = inner;
	return 0;
}

static int
find_pairs(const struct join *j, struct pairs *p, const struct vec *vecs,
	   uint32_t i, uint32_t outer)
{
	const struct joinkey *index = &j->inner.index;
	struct err *err = p->block->view.err;
	size_t len = joinkey_bytes(index, vecs, i, &p->key, &p->key_cap);
	uint32_t row;

	if (len == SIZE_MAX)
		return oom(err);
	row = joinkey_first(index, p->key, len);
	if (row == UINT32_MAX)
		return j->left ? add_pair(p, outer, row, err) : 0;
	do {
		if (add_pair(p, outer, row, err))
			return -1;
		row = joinkey_next(index, row, p->key, len);
	} while (row != UINT32_MAX);
	return 0;
}

static int
pair_rows(const struct join *j, struct pairs *p)
{
	struct view *v = &p->block->view;
	struct vec vecs[KEYS_MAX];

	for (uint32_t at = 0; at < v->nsel; at += VIEW_CHUNK) {
		uint32_t left = v->nsel - at;

		view_window(v, at, left > VIEW_CHUNK ? VIEW_CHUNK : left);
		for (size_t k = 0; k < j->nkeys; k++)
			if (view_eval(v, j->keys[k], &vecs[k]))
				return -1;
		for (uint32_t i = 0; i < v->eval.n; i++)
			if (find_pairs(j, p, vecs, i,
				       v->sel ? v->sel[at + i] : at + i))
				return -1;
	}
	return 0;
}

/*
 * The source.
 */

static int
j_prepare(struct source *s, struct err *err)
{
	struct join *j = (struct join *)s;

	if (lazy_prepare(&j->outer, err) || inner_index(j, err))
		return -1;
	/* Where nothing is to be found, nothing needs to be read. */
	s->blocks = j->left || j->inner.rows->rows ? j->outer.blocks : 0;
	return 0;
}

static void
pairs_free(struct pairs *p)
{
	free(p->outer);
	free(p->inner);
	free(p->key);
	free(p);
}

static int
j_open(struct source *s, struct source_block *b, struct err *err)
{
	struct join *j = (struct join *)s;
	struct pairs *p = calloc(1, sizeof(*p));

	if (!p)
		return oom(err);
	if (lazy_open(&j->outer, b->index, &p->block, err)) {
		pairs_free(p);
		return -1;
	}
	if (pair_rows(j, p)) {
		lazy_close(&j->outer, p->block);
		pairs_free(p);
		return -1;
	}
	b->priv = p;
	b->rows = p->n;
	return 0;
}

static void
j_close(struct source *s, struct source_block *b)
{
	struct join *j = (struct join *)s;
	struct pairs *p = b->priv;

	lazy_close(&j->outer, p->block);
	pairs_free(p);
}

static enum col_type
j_peek(struct source *s, size_t block, size_t field,
       const struct column_stat **stat)
{
	struct join *j = (struct join *)s;
	size_t n = j->outer.n;

	if (field < n)
		return lazy_peek(&j->outer, block, field, stat);
	*stat = NULL;
	return expr_col_type(j->inner.cols->types[j->inner_cols[field - n]]);
}

static int
j_column(struct source *s, struct source_block *b, size_t field,
	 struct column *c, const struct column **out, struct err *err)
{
	struct join *j = (struct join *)s;
	struct pairs *p = b->priv;
	size_t k;
	enum col_type type;

	if (field < j->outer.n)
		return lazy_column(&j->outer, p->block, field,
				   (struct lazy_rows){p->outer, p->n}, c, out);
	k = j->inner_cols[field - j->outer.n];
	type = expr_col_type(j->inner.cols->types[k]);
	*out = NULL;
	if (type == COL_NULL)
		return 0;
	if (column_gather(c, type, &j->inner.rows->cols[k], p->inner, p->n,
			  err))
		return -1;
	*out = c;
	return 0;
}

static uint32_t
j_rows(struct source *s, size_t block)
{
	struct lazy *l = &((struct join *)s)->outer;

	return l->b.src->ops->rows(l->b.src, l->live[block]);
}

static void
j_free(struct source *s)
{
	struct join *j = (struct join *)s;

	lazy_clear(&j->outer);
	rowset_free(j->inner.rows);
	joinkey_clear(&j->inner.index);
	room_clear(&j->inner.room);
	free(s->fields);
	free(j);
}

static bool
j_part(const struct source *s, size_t i, struct source_part *part)
{
	const struct join *j = (const struct join *)s;

	if (i)
		return false;
	*part = (struct source_part){.name = "before join",
				     .src = j->outer.b.src,
				     .filter = j->outer.b.filter,
				     .nodes = j->outer.nodes,
				     .n = j->outer.n,
				     .keys = j->keys,
				     .nkeys = j->nkeys};
	return true;
}

static const struct source_ops join_ops = {
    .name = "join",
    .part = j_part,
    .prepare = j_prepare,
    .open = j_open,
    .close = j_close,
    .peek = j_peek,
    .column = j_column,
    .rows = j_rows,
    .free = j_free,
};

/*
 * The plan.
 */

static const char *
visible(const struct branch *b, const char *name)
{
	for (size_t i = 0; i < b->ncols; i++)
		if (strcmp(b->cols[i].name, name) == 0)
			return b->cols[i].name;
	return NULL;
}

static int
no_key(struct plan *p, const struct join_key *key, const struct branch *b,
       const char *where)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, key->name, strlen(key->name));
	for (size_t i = 0; i < b->ncols; i++)
		nearest_try(&near, b->cols[i].name);
	return lexer_fail(
	    p->lexer, key->pos, "the rows %s have no field %.*s%s", where,
	    NEAREST_MAX, key->name, nearest_hint(&near, hint, sizeof hint));
}

/* The column of the rows in the brackets; -1: none. */
static int
inner_find(const struct columns *cols, const char *name)
{
	const char *canonical = element_canonical(name);

	for (size_t i = 0; i < cols->n; i++)
		if (strcmp(cols->names[i], name) == 0)
			return (int)i;
	for (size_t i = 0; i < cols->n; i++)
		if (strcmp(cols->names[i], canonical) == 0)
			return (int)i;
	return -1;
}

static int
bind_keys(struct plan *p, struct join *j, const struct join_args *a,
	  const struct branch *outer, const struct branch *inner)
{
	enum expr_type *types = arena_alloc(p->arena, a->n * sizeof(*types));

	j->nkeys = a->n;
	j->types = types;
	j->keys = arena_alloc(p->arena, a->n * sizeof(*j->keys));
	j->inner.keys = arena_alloc(p->arena, a->n * sizeof(*j->inner.keys));
	if (!types || !j->keys || !j->inner.keys)
		return plan_oom(p);
	for (size_t k = 0; k < a->n; k++) {
		const struct column_def *c = plan_find(p, a->keys[k].name);
		int col = inner_find(j->inner.cols, a->keys[k].name);

		if (!c)
			return no_key(p, &a->keys[k], outer, "before join");
		if (col < 0)
			return no_key(p, &a->keys[k], inner, "in the brackets");
		j->inner.keys[k] = (size_t)col;
		types[k] =
		    expr_type_unify(c->node->type, j->inner.cols->types[col]);
		j->keys[k] =
		    node_cast(&p->binder, (struct node *)c->node, types[k]);
		if (!j->keys[k])
			return plan_oom(p);
	}
	joinkey_init(&j->inner.index, j->nkeys, j->types);
	j->inner.index.room = &j->inner.room;
	return 0;
}

static bool
is_key(const struct join *j, size_t col)
{
	for (size_t k = 0; k < j->nkeys; k++)
		if (j->inner.keys[k] == col)
			return true;
	return false;
}

/* NAME, or with _2 and so on behind it if there is one before. */
static const char *
free_name(struct plan *p, const struct join *j, const struct branch *outer,
	  const char *name)
{
	size_t len = strlen(name) + 24;
	const char *as = name;
	char *buf = arena_bytes(p->arena, len);

	for (unsigned n = 2; buf; n++) {
		bool taken = visible(outer, as) != NULL;

		for (size_t i = j->outer.n; i < j->src.n && !taken; i++)
			taken = strcmp(j->src.fields[i].name, as) == 0;
		if (!taken)
			return as;
		snprintf(buf, len, "%s_%u", name, n);
		as = buf;
	}
	return NULL;
}

/* The fields of the outer rows, then those of the inner ones that are new. */
static int
add_fields(struct plan *p, struct join *j, const struct branch *outer)
{
	const struct columns *cols = j->inner.cols;
	struct source *s = &j->src;

	s->fields = calloc(j->outer.n + cols->n + 1, sizeof(*s->fields));
	j->inner_cols =
	    arena_alloc(p->arena, (cols->n + 1) * sizeof(*j->inner_cols));
	if (!s->fields || !j->inner_cols)
		return plan_oom(p);
	memcpy(s->fields, j->outer.fields, j->outer.n * sizeof(*s->fields));
	s->n = j->outer.n;
	for (size_t i = 0; i < cols->n; i++) {
		const char *name = cols->names[i];

		if (is_key(j, i) || (*name == '_' && visible(outer, name)) ||
		    (cols->types[i] == TYPE_NULL && !strcmp(name, "_host")))
			continue;
		name = free_name(p, j, outer, name);
		if (!name)
			return plan_oom(p);
		j->inner_cols[s->n - j->outer.n] = i;
		s->fields[s->n++] = (struct source_field){
		    .name = name,
		    .type = cols->types[i] == TYPE_DURATION ? TYPE_REAL
							    : cols->types[i],
		    .nullable = true};
	}
	return 0;
}

static int
join_make(struct plan *p, struct join *j, const struct join_args *a,
	  const struct branch *inner)
{
	struct branch outer = plan_open_branch(p);

	j->inner.cols = branch_columns(p, inner);
	if (!j->inner.cols)
		return plan_oom(p);
	j->inner.rows = rowset_new(j->inner.cols->n, j->inner.cols->types);
	if (!j->inner.rows)
		return plan_oom(p);
	j->inner.rows->room = &j->inner.room;
	if (bind_keys(p, j, a, &outer, inner) ||
	    lazy_init(&j->outer, p, &outer) || add_fields(p, j, &outer))
		return -1;
	j->src.time_field = j->outer.time_field;
	j->src.id_field = j->outer.id_field;
	j->src.ascending = outer.src->ascending;
	return 0;
}

static int
join_plan(struct plan *p, const struct command *c)
{
	const struct join_args *a = c->args;
	struct join *j = calloc(1, sizeof(*j));
	struct writer *w = arena_alloc(p->arena, sizeof(*w));
	struct branch inner;

	if (!j || !w) {
		free(j);
		return plan_oom(p);
	}
	j->src.ops = &join_ops;
	j->src.lazy = true;
	j->left = a->left;
	room_init(&j->inner.room, &p->budget);
	*w = (struct writer){&j->inner, inner_write};
	if (plan_branch(p, a->query, w, &inner) || join_make(p, j, a, &inner)) {
		j_free(&j->src);
		return -1;
	}
	return plan_source(p, &j->src);
}

/* "type" "=" "left" | "inner" */
static int
parse_type(struct lexer *l, bool *left)
{
	*left = lexer_take_word(l, "left");
	if (!*left && !lexer_take_word(l, "inner"))
		return lexer_expected(l, "left or inner");
	return 0;
}

/* ["type" "=" ...] NAME ("," NAME)* "[" query "]" */
static int
join_parse(struct lexer *l, void **out)
{
	struct join_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	if (parse_option(l, "type") && parse_type(l, &a->left))
		return -1;
	do {
		struct join_key *k =
		    parse_grow(l, a->keys, a->n, sizeof(*a->keys));

		if (!k)
			return -1;
		a->keys = k;
		k += a->n++;
		k->pos = l->tok.pos;
		if (a->n > KEYS_MAX)
			return lexer_fail(
			    l, k->pos, "a join has at most %d keys", KEYS_MAX);
		if (parse_name(l, &k->name))
			return -1;
	} while (lexer_take(l, ','));
	if (l->tok.type != '[')
		return lexer_expected(l, "a comma or a query in brackets");
	return parse_nested(l, &a->query);
}

static enum verb_class
join_class(const void *args)
{
	(void)args;
	return VERB_ORDERED;
}

const struct verb verb_join = {
    "join",	"join [type=left] K, ... [ QUERY ]", join_parse, join_plan,
    join_class,
};
