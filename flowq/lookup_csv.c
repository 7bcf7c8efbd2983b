/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "common/load.h"
#include "common/nearest.h"
#include "flowq/joinkey.h"
#include "flowq/lookup.h"
#include "flowq/rowset.h"
#include "flowq/source_text.h"
#include "flowq/view.h"

enum { PREFIXES = 129 };

struct csv_lookup {
	struct lookup lookup;
	struct rowset *rows;
	size_t n;
	const char **names;
	enum expr_type *types;
	size_t key;
	enum expr_type key_types[2]; /* of the index */
	struct joinkey index;
	bool networks;
	bool has_bits[PREFIXES]; /* some network has this length */
};

struct csv_value {
	const struct rowset *rows;
	size_t col;
	enum expr_type type;
};

static void
csv_free(void *p)
{
	struct csv_lookup *l = p;

	rowset_free(l->rows);
	joinkey_clear(&l->index);
	free(l);
}

/*
 * The file.
 */

/* All rows of a source. */
static int
gather(struct source *src, const struct node **nodes, struct rowset *rows,
       struct err *err)
{
	struct vec vecs[TEXT_FIELDS_MAX];
	struct view v;
	int rc = view_init(&v, src, err);

	for (size_t b = 0; b < src->blocks && rc == 0; b++) {
		rc = view_open(&v, b);
		if (rc)
			break;
		for (uint32_t at = 0; at < v.nsel && rc == 0;
		     at += VIEW_CHUNK) {
			uint32_t left = v.nsel - at;

			view_window(&v, at,
				    left > VIEW_CHUNK ? VIEW_CHUNK : left);
			for (size_t k = 0; k < src->n && rc == 0; k++)
				rc = view_eval(&v, nodes[k], &vecs[k]);
			if (rc == 0)
				rc = rowset_append(rows, vecs, v.eval.n, err);
		}
		view_close(&v);
	}
	view_clear(&v);
	return rc;
}

static int
load_file(struct plan *p, struct csv_lookup *l, struct text_source *t)
{
	struct source *src = &t->src;
	const struct node **nodes =
	    arena_alloc(p->arena, (src->n + 1) * sizeof(struct node *));

	l->n = src->n;
	l->names = arena_alloc(p->arena, (l->n + 1) * sizeof(*l->names));
	l->types = arena_alloc(p->arena, (l->n + 1) * sizeof(*l->types));
	if (!nodes || !l->names || !l->types)
		return plan_oom(p);
	for (size_t i = 0; i < l->n; i++) {
		const struct source_field *f = &src->fields[i];

		l->names[i] = arena_strndup(p->arena, f->name, strlen(f->name));
		l->types[i] = f->type;
		nodes[i] =
		    node_field(&p->binder, (int)i, f->type, true, l->names[i]);
		if (!l->names[i] || !nodes[i])
			return plan_oom(p);
	}
	l->rows = rowset_new(l->n, l->types);
	if (!l->rows)
		return plan_oom(p);
	return gather(src, nodes, l->rows, p->lexer->err) ? plan_fail(p) : 0;
}

static int
find_column(const struct csv_lookup *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->names[i], name) == 0)
			return (int)i;
	return -1;
}

static int
no_column(const struct csv_lookup *l, struct plan *p, const char *path,
	  const char *name, size_t pos)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, name, strlen(name));
	for (size_t i = 0; i < l->n; i++)
		nearest_try(&near, l->names[i]);
	return lexer_fail(p->lexer, pos, "%.200s has no column %.*s%s", path,
			  NEAREST_MAX, name,
			  nearest_hint(&near, hint, sizeof hint));
}

/*
 * The index.
 */

static int
add_network(struct csv_lookup *l, const struct vec *v, uint32_t i,
	    struct err *err)
{
	struct str s = VEC_AT(*v, struct str, i);
	struct literal lit = {.bits = 128};
	bool null = VEC_NULL(*v, i);
	uint8_t is_null = null;
	uint64_t bits;

	if (!null && literal_cidr(s.p, s.len, &lit) &&
	    literal_ip(s.p, s.len, &lit.ip))
		return 1;
	if (!null)
		l->has_bits[lit.bits] = true;
	bits = lit.bits;

	const struct vec key[] = {
	    {.type = TYPE_IP,
	     .constant = true,
	     .null = &is_null,
	     .data = &lit.ip},
	    {.type = TYPE_UINT, .constant = true, .data = &bits},
	};

	return joinkey_add(&l->index, key, 1, err);
}

/* 1: a value is no network. */
static int
index_rows(struct csv_lookup *l, struct eval *e, uint32_t at)
{
	const struct column *c = &l->rows->cols[l->key];
	struct vec v;
	int rc = 0;

	if (l->types[l->key] == TYPE_NULL)
		vec_load_null(l->key_types[0], &v);
	else if (vec_load(e, c, expr_col_type(l->types[l->key]), NULL, at, &v))
		return -1;
	if (!l->networks)
		return vec_cast(e, &v, l->key_types[0]) ||
			       joinkey_add(&l->index, &v, e->n, e->err)
			   ? -1
			   : 0;
	for (uint32_t i = 0; i < e->n && rc == 0; i++)
		rc = add_network(l, &v, i, e->err);
	return rc;
}

static int
make_index(struct csv_lookup *l, struct err *err)
{
	struct arena arena = {0};
	struct eval e = {.arena = &arena, .err = err};
	int rc = 0;

	joinkey_clear(&l->index);
	joinkey_init(&l->index, l->networks ? 2 : 1, l->key_types);
	for (uint32_t at = 0; at < l->rows->rows && rc == 0; at += e.n) {
		uint32_t left = l->rows->rows - at;

		arena_reset(&arena);
		e.n = left > VIEW_CHUNK ? VIEW_CHUNK : left;
		rc = index_rows(l, &e, at);
	}
	arena_free(&arena);
	return rc ? rc : joinkey_finish(&l->index, err);
}

static uint32_t
find_network(const struct csv_lookup *l, unsigned __int128 ip, char **buf,
	     size_t *cap, struct err *err)
{
	for (int bits = PREFIXES - 1; bits >= 0; bits--) {
		uint64_t b = (uint64_t)bits;
		unsigned __int128 masked =
		    bits ? ip & ~(unsigned __int128)0 << (128 - bits) : 0;
		const struct vec key[] = {
		    {.type = TYPE_IP, .constant = true, .data = &masked},
		    {.type = TYPE_UINT, .constant = true, .data = &b},
		};
		uint32_t row;
		size_t len;

		if (!l->has_bits[bits])
			continue;
		len = joinkey_bytes(&l->index, key, 0, buf, cap);
		if (len == SIZE_MAX) {
			err_set(err, "out of memory");
			return UINT32_MAX;
		}
		row = joinkey_first(&l->index, *buf, len);
		if (row != UINT32_MAX)
			return row;
	}
	return UINT32_MAX;
}

/*
 * Expressions.
 */

/* The row of each key. */
static int
eval_row(struct call *c)
{
	const struct csv_lookup *l = c->nd->data;
	uint64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);
	char *buf = NULL;
	size_t cap = 0;

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t row = UINT32_MAX;
		size_t len;

		out[i] = 0;
		if (null[i])
			continue;
		if (l->networks) {
			row = find_network(
			    l, VEC_AT(c->args[0], unsigned __int128, i), &buf,
			    &cap, c->e->err);
		} else {
			len = joinkey_bytes(&l->index, c->args, i, &buf, &cap);
			if (len == SIZE_MAX) {
				free(buf);
				return eval_oom(c->e);
			}
			row = joinkey_first(&l->index, buf, len);
		}
		null[i] = row == UINT32_MAX;
		out[i] = null[i] ? 0 : row;
	}
	free(buf);
	return 0;
}

/* A column's value in each of these rows. */
static int
eval_value(struct call *c)
{
	const struct csv_value *v = c->nd->data;
	const uint8_t *missing = c->out->null;
	uint32_t *rows = arena_alloc(c->e->arena, c->n * sizeof(*rows) + 1);
	struct eval e = *c->e;
	bool constant = c->out->constant;
	uint8_t *null;

	if (!rows)
		return eval_oom(c->e);
	for (uint32_t i = 0; i < c->n; i++)
		rows[i] = (uint32_t)VEC_AT(c->args[0], uint64_t, i);
	e.n = c->n;
	if (vec_load(&e, &v->rows->cols[v->col], expr_col_type(v->type), rows,
		     0, c->out))
		return -1;
	c->out->constant = constant;
	if (!missing)
		return 0;
	null = call_nulls(c);
	if (!null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		null[i] |= missing[i];
	return 0;
}

static struct node *
csv_value(struct lookup *lookup, struct plan *p, struct node *key,
	  const char *column, size_t pos)
{
	struct csv_lookup *l = (struct csv_lookup *)lookup;
	int col = find_column(l, column);
	struct csv_value *v = arena_alloc(p->arena, sizeof(*v));
	struct node *nd;

	if (col < 0) {
		no_column(l, p, "the file", column, pos);
		return NULL;
	}
	if (l->types[col] == TYPE_NULL)
		return node_literal(&p->binder,
				    &(struct literal){.type = TYPE_NULL});
	nd = node_new(&p->binder, NODE_CALL, 1);
	if (!nd || !v) {
		plan_oom(p);
		return NULL;
	}
	*v = (struct csv_value){l->rows, (size_t)col, l->types[col]};
	nd->name = "lookup";
	nd->type = l->types[col];
	nd->nullable = true;
	nd->fn = eval_value;
	nd->data = v;
	nd->args[0] = key;
	return nd;
}

static bool
is_address(enum expr_type t)
{
	return t == TYPE_IPV4 || t == TYPE_IP;
}

static struct node *
csv_key(struct lookup *lookup, struct plan *p, struct node *key, size_t pos)
{
	struct csv_lookup *l = (struct csv_lookup *)lookup;
	enum expr_type in_file = l->types[l->key];
	struct node *nd = node_new(&p->binder, NODE_CALL, 1);
	int rc;

	(void)pos;
	l->networks = is_address(key->type) && in_file == TYPE_STRING;
	l->key_types[0] =
	    l->networks ? TYPE_IP : expr_type_unify(key->type, in_file);
	l->key_types[1] = TYPE_UINT;
	rc = make_index(l, p->lexer->err);
	if (rc > 0) { /* no networks: text */
		l->networks = false;
		l->key_types[0] = TYPE_STRING;
		rc = make_index(l, p->lexer->err);
	}
	if (rc) {
		plan_fail(p);
		return NULL;
	}
	if (!nd) {
		plan_oom(p);
		return NULL;
	}
	nd->args[0] = node_cast(&p->binder, key, l->key_types[0]);
	if (!nd->args[0]) {
		plan_oom(p);
		return NULL;
	}
	nd->name = "lookup";
	nd->type = TYPE_UINT;
	nd->nullable = true;
	nd->fn = eval_row;
	nd->data = l;
	return nd;
}

struct lookup *
lookup_csv(struct plan *p, const char *path, const char *column, bool chosen,
	   size_t pos)
{
	struct csv_lookup *l = calloc(1, sizeof(*l));
	struct text_source *t = csv_source(p, path);
	int rc, key;

	if (!l || !t) {
		source_free(t ? &t->src : NULL);
		free(l);
		return NULL;
	}
	rc = load_file(p, l, t);
	source_free(&t->src);
	if (rc) {
		csv_free(l);
		return NULL;
	}
	if (plan_own(p, l, csv_free))
		return NULL;
	key = find_column(l, column);
	if (key < 0 && (chosen || l->n == 0)) {
		no_column(l, p, path, column, pos);
		return NULL;
	}
	l->key = key < 0 ? 0 : (size_t)key;
	l->lookup.key = csv_key;
	l->lookup.value = csv_value;
	return &l->lookup;
}
