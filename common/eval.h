/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions bound to fields, typed, and evaluated over vectors.
 *
 * Binding gives a tree of nodes that know their types, so that evaluation
 * chooses nothing: each node is one function over vectors of up to a few
 * thousand values.  A vector holds values of its type's width (1 byte for
 * booleans, 16 for IP and strings, else 8) and a byte a row that says whether
 * it is null; one that is constant holds one of each.
 *
 * A null operand gives null; a comparison with null is null; and, or, not
 * follow SQL's three values.  Integer arithmetic that leaves 64 bits, and what
 * a function has no answer for, is null; the former is counted.
 */
#ifndef COMMON_EVAL_H
#define COMMON_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/batch.h"
#include "common/err.h"
#include "common/expr.h"

struct vec {
	enum expr_type type;
	bool constant;
	const uint8_t *null; /* NULL: no nulls */
	const void *data;
};

enum node_kind {
	NODE_LITERAL,
	NODE_FIELD,
	NODE_CAST, /* of args[0] to type */
	NODE_COMPARE,
	NODE_IN_CIDR, /* args[0] in lit */
	NODE_AND,
	NODE_OR,
	NODE_NOT,
	NODE_ISNULL,
	NODE_CALL, /* anything else */
};

struct call;

struct node {
	enum node_kind kind;
	enum expr_type type;
	bool nullable;
	bool lazy; /* fn wants nulls as they are */
	int slot;  /* of a FIELD */
	enum expr_op op;
	struct literal lit;
	size_t n;
	struct node **args;
	int (*fn)(struct call *);
	const void *data; /* what a function made of its constant arguments */
	const char *name; /* of a field or function, for people */
};

struct binder {
	struct arena *arena; /* nodes live here */
	struct err *err;
	size_t err_pos;
	int64_t now; /* what `now` means, microseconds */
	/*
	 * The node for a field's name, or for the text of a call that names a
	 * column; *node stays NULL if there is none (null, for a field).
	 */
	int (*field)(void *ctx, const struct expr *, struct node **node);
	void *ctx;
};

/* NULL: err and err_pos say why. */
struct node *expr_bind(struct binder *, const struct expr *);

struct node *node_field(struct binder *, int slot, enum expr_type,
			bool nullable, const char *name);
struct node *node_literal(struct binder *, const struct literal *);
/* The node with its value as T, itself if it has that type. */
struct node *node_cast(struct binder *, struct node *, enum expr_type t);
/* The first of these that is not null. */
struct node *node_nvl(struct binder *, struct node **, size_t n);
/* Whether any of these conditions holds, as `or`. */
struct node *node_any(struct binder *, struct node **, size_t n);
struct node *node_binary(struct binder *, enum expr_op, struct node *,
			 struct node *, const struct expr *place);
/* Through casts that keep order and equality: the field, or NULL. */
const struct node *node_plain_field(const struct node *);

/* The type that holds values of both. */
enum expr_type expr_type_unify(enum expr_type, enum expr_type);
enum expr_type expr_type_of(enum col_type);
/* What a column of such values is stored as; a duration is f64 seconds. */
enum col_type expr_col_type(enum expr_type);
size_t expr_type_size(enum expr_type);

struct eval {
	uint32_t n; /* rows */
	struct arena *arena;
	struct err *err;
	int (*load)(void *ctx, int slot, struct vec *);
	void *ctx;
	uint64_t overflows;
};

/* The value for each of e->n rows; lives in the arena. */
int node_eval(struct eval *, const struct node *, struct vec *);

/* V with one value for each of n rows. */
int vec_flat(struct eval *, struct vec *v);
/* V as another type (see node_cast). */
int vec_cast(struct eval *, struct vec *v, enum expr_type);
/* Value I as text: appends at most what text_value does, strings apart. */
void vec_value(const struct vec *, uint32_t i, struct value *);

/*
 * For functions (common/function.c): one call over vectors.
 */
struct call {
	struct eval *e;
	const struct node *nd;
	struct vec *args;
	uint32_t n; /* 1 if all arguments are constant */
	struct vec *out;
};

/* Room for the result's values; NULL: memory is out, err is set. */
void *call_out(struct call *);
/* The result's nulls, to be written. */
uint8_t *call_nulls(struct call *);

#define VEC_AT(v, type, i) (((const type *)(v).data)[(v).constant ? 0 : (i)])
#define VEC_NULL(v, i) ((v).null && (v).null[(v).constant ? 0 : (i)])

/* Memory is out, -1. */
int eval_oom(struct eval *);
#ifdef __clang_analyzer__ /* see err.h */
#define eval_oom(v) err_returns(eval_oom(v))
#endif
/* Always NULL: points at the expression. */
struct node *bind_fail(struct binder *, const struct expr *, const char *fmt,
		       ...) __attribute__((format(printf, 3, 4)));
struct node *node_new(struct binder *, enum node_kind, size_t n);

#endif
