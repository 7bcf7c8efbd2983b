/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/eval.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/function.h"
#include "common/nearest.h"
#include "common/service.h"
#include "common/text.h"

typedef unsigned __int128 u128;

/*
 * Types.
 */

size_t
expr_type_size(enum expr_type t)
{
	switch (t) {
	case TYPE_BOOL:
		return 1;
	case TYPE_IP:
	case TYPE_CIDR:
	case TYPE_STRING:
	case TYPE_BYTES:
		return 16;
	default:
		return 8;
	}
}

enum expr_type
expr_type_of(enum col_type t)
{
	static const enum expr_type types[COL_TYPES] = {
	    [COL_BOOL] = TYPE_BOOL,   [COL_U8] = TYPE_UINT,
	    [COL_U16] = TYPE_UINT,    [COL_U32] = TYPE_UINT,
	    [COL_U64] = TYPE_UINT,    [COL_I64] = TYPE_INT,
	    [COL_F64] = TYPE_REAL,    [COL_TIME] = TYPE_TIME,
	    [COL_IPV4] = TYPE_IPV4,   [COL_IP] = TYPE_IP,
	    [COL_MAC] = TYPE_MAC,     [COL_STRING] = TYPE_STRING,
	    [COL_BYTES] = TYPE_BYTES,
	};

	return t < COL_TYPES ? types[t] : TYPE_NULL;
}

enum col_type
expr_col_type(enum expr_type t)
{
	static const enum col_type types[TYPES] = {
	    [TYPE_BOOL] = COL_BOOL,   [TYPE_UINT] = COL_U64,
	    [TYPE_INT] = COL_I64,     [TYPE_REAL] = COL_F64,
	    [TYPE_TIME] = COL_TIME,   [TYPE_DURATION] = COL_F64,
	    [TYPE_IPV4] = COL_IPV4,   [TYPE_IP] = COL_IP,
	    [TYPE_MAC] = COL_MAC,     [TYPE_STRING] = COL_STRING,
	    [TYPE_BYTES] = COL_BYTES,
	};

	return t < TYPES ? types[t] : COL_NULL;
}

static bool
is_number(enum expr_type t)
{
	return t == TYPE_UINT || t == TYPE_INT || t == TYPE_REAL;
}

static bool
is_address(enum expr_type t)
{
	return t == TYPE_IPV4 || t == TYPE_IP;
}

enum expr_type
expr_type_unify(enum expr_type a, enum expr_type b)
{
	if (a == b || b == TYPE_NULL)
		return a;
	if (a == TYPE_NULL)
		return b;
	if (is_number(a) && is_number(b))
		return a == TYPE_REAL || b == TYPE_REAL ? TYPE_REAL : TYPE_INT;
	if (is_address(a) && is_address(b))
		return TYPE_IP;
	if ((a == TYPE_DURATION && is_number(b)) ||
	    (b == TYPE_DURATION && is_number(a)))
		return TYPE_REAL;
	return TYPE_STRING;
}

/*
 * Vectors.
 */

int(eval_oom)(struct eval *e)
{
	return err_set(e->err, "out of memory");
}

int
vec_flat(struct eval *e, struct vec *v)
{
	size_t size = expr_type_size(v->type);
	char *data;

	if (!v->constant)
		return 0;
	data = arena_alloc(e->arena, size * e->n + 1);
	if (!data)
		return eval_oom(e);
	switch (size) {
	case 1:
		memset(data, *(const uint8_t *)v->data, e->n);
		break;
	case 8:
		for (uint32_t i = 0; i < e->n; i++)
			((uint64_t *)data)[i] = *(const uint64_t *)v->data;
		break;
	default:
		for (uint32_t i = 0; i < e->n; i++)
			((u128 *)data)[i] = *(const u128 *)v->data;
	}
	v->data = data;
	v->constant = false;
	if (v->null) {
		uint8_t set = *v->null, *null = arena_alloc(e->arena, e->n + 1);

		if (!null)
			return eval_oom(e);
		memset(null, set, e->n);
		v->null = set ? null : NULL;
	}
	return 0;
}

void
vec_value(const struct vec *v, uint32_t i, struct value *out)
{
	*out = (struct value){.type = COL_NULL};
	if (v->type == TYPE_NULL || VEC_NULL(*v, i))
		return;
	out->type = expr_col_type(v->type);
	switch (v->type) {
	case TYPE_BOOL:
		out->u = VEC_AT(*v, uint8_t, i);
		break;
	case TYPE_DURATION:
		out->f = (double)VEC_AT(*v, int64_t, i) / 1e6;
		break;
	case TYPE_IP: {
		u128 ip = VEC_AT(*v, u128, i);

		for (int k = 15; k >= 0; k--, ip >>= 8)
			out->ip[k] = (uint8_t)ip;
		break;
	}
	case TYPE_STRING:
	case TYPE_BYTES:
		out->s = VEC_AT(*v, struct str, i).p;
		out->len = VEC_AT(*v, struct str, i).len;
		break;
	default:
		out->u = VEC_AT(*v, uint64_t, i);
	}
}

void *
call_out(struct call *c)
{
	size_t size = expr_type_size(c->nd->type) * c->n;
	void *p = arena_alloc(c->e->arena, size + 1);

	if (!p)
		eval_oom(c->e);
	c->out->data = p;
	return p;
}

uint8_t *
call_nulls(struct call *c)
{
	uint8_t *p = arena_alloc(c->e->arena, c->n + 1);

	if (!p) {
		eval_oom(c->e);
		return NULL;
	}
	if (c->out->null)
		memcpy(p, c->out->null, c->n);
	else
		memset(p, 0, c->n);
	c->out->null = p;
	return p;
}

/* The nulls of a call are those of all its arguments. 1: all are null. */
static int
join_nulls(struct call *c)
{
	bool own = false;

	for (size_t k = 0; k < c->nd->n; k++) {
		const struct vec *a = &c->args[k];
		uint8_t *p;

		if (!a->null)
			continue;
		if (a->constant) {
			if (*a->null)
				return 1;
			continue;
		}
		if (!c->out->null) {
			c->out->null = a->null;
			continue;
		}
		p = own ? (uint8_t *)c->out->null : call_nulls(c);
		if (!p)
			return -1;
		own = true;
		for (uint32_t i = 0; i < c->n; i++)
			p[i] |= a->null[i];
	}
	return 0;
}

static const uint8_t one_null = 1;
static const u128 zero_value;

static void
vec_null(struct vec *v, enum expr_type t)
{
	*v = (struct vec){t, true, &one_null, &zero_value};
}

static void
vec_literal(struct vec *v, const struct literal *lit)
{
	if (lit->type == TYPE_NULL)
		vec_null(v, TYPE_NULL);
	else
		*v = (struct vec){lit->type, true, NULL, &lit->u};
}

static int
eval_call(struct eval *e, const struct node *nd, struct vec *out)
{
	struct call c = {.e = e, .nd = nd, .n = 1, .out = out};
	int rc;

	c.args = arena_alloc(e->arena, (nd->n + 1) * sizeof(*c.args));
	if (!c.args)
		return eval_oom(e);
	for (size_t i = 0; i < nd->n; i++) {
		if (node_eval(e, nd->args[i], &c.args[i]))
			return -1;
		if (!c.args[i].constant)
			c.n = e->n;
	}
	*out = (struct vec){.type = nd->type, .constant = c.n == 1};
	if (!nd->lazy) {
		rc = join_nulls(&c);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			vec_null(out, nd->type);
			return 0;
		}
	}
	return nd->fn(&c);
}

int
node_eval(struct eval *e, const struct node *nd, struct vec *out)
{
	switch (nd->kind) {
	case NODE_LITERAL:
		vec_literal(out, &nd->lit);
		return 0;
	case NODE_FIELD:
		return e->load(e->ctx, nd->slot, out);
	default:
		return eval_call(e, nd, out);
	}
}

/*
 * Casts.
 */

static int
cast_real(struct call *c)
{
	const struct vec a = c->args[0];
	double *out = call_out(c);

	if (!out)
		return -1;
	switch (a.type) {
	case TYPE_BOOL:
		for (uint32_t i = 0; i < c->n; i++)
			out[i] = VEC_AT(a, uint8_t, i);
		break;
	case TYPE_UINT:
		for (uint32_t i = 0; i < c->n; i++)
			out[i] = (double)VEC_AT(a, uint64_t, i);
		break;
	case TYPE_DURATION:
		for (uint32_t i = 0; i < c->n; i++)
			out[i] = (double)VEC_AT(a, int64_t, i) / 1e6;
		break;
	default:
		for (uint32_t i = 0; i < c->n; i++)
			out[i] = (double)VEC_AT(a, int64_t, i);
	}
	return 0;
}

/* Between signed and unsigned: what does not fit is null. */
static int
cast_sign(struct call *c)
{
	const struct vec a = c->args[0];
	uint64_t *out = call_out(c), bad = 0;
	uint8_t *null;

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		out[i] = VEC_AT(a, uint64_t, i);
		bad |= out[i];
	}
	if (!(bad >> 63))
		return 0;
	null = call_nulls(c);
	if (!null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		if (out[i] >> 63 && !null[i]) {
			null[i] = 1;
			c->e->overflows++;
		}
	return 0;
}

static int
cast_ip(struct call *c)
{
	const struct vec a = c->args[0];
	u128 *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = (u128)0xffff << 32 | (uint32_t)VEC_AT(a, uint64_t, i);
	return 0;
}

static size_t
put_hex(char *p, struct str s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.len; i++) {
		p[2 * i] = digits[(unsigned char)s.p[i] >> 4];
		p[2 * i + 1] = digits[s.p[i] & 15];
	}
	return 2 * s.len;
}

static int
cast_string(struct call *c)
{
	const struct vec a = c->args[0];
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct value v;
		size_t room = TEXT_MAX;
		char *p;

		vec_value(&a, i, &v);
		if (v.type == COL_BYTES)
			room = 2 * v.len;
		p = arena_bytes(c->e->arena, room + 1);
		if (!p)
			return eval_oom(c->e);
		out[i].p = p;
		out[i].len = v.type == COL_BYTES
				 ? put_hex(p, (struct str){v.s, v.len})
				 : text_value(p, &v);
	}
	return 0;
}

static int (*cast_fn(enum expr_type from, enum expr_type to))(struct call *)
{
	if (to == TYPE_REAL && (from == TYPE_UINT || from == TYPE_INT ||
				from == TYPE_BOOL || from == TYPE_DURATION))
		return cast_real;
	if ((to == TYPE_INT && from == TYPE_UINT) ||
	    (to == TYPE_UINT && from == TYPE_INT))
		return cast_sign;
	if (to == TYPE_IP && from == TYPE_IPV4)
		return cast_ip;
	if (to == TYPE_STRING && from != TYPE_CIDR)
		return cast_string;
	return NULL;
}

int
vec_cast(struct eval *e, struct vec *v, enum expr_type t)
{
	struct vec from = *v, *args = &from;
	struct node nd = {.type = t};
	struct call c = {e, &nd, args, v->constant ? 1 : e->n, v};

	if (from.type == t)
		return 0;
	if (from.type == TYPE_NULL) {
		vec_null(v, t);
		return 0;
	}
	nd.fn = cast_fn(from.type, t);
	*v = (struct vec){t, from.constant, from.null, NULL};
	if (!nd.fn)
		return err_set(e->err, "%s is not %s",
			       expr_type_article(from.type),
			       expr_type_article(t));
	return nd.fn(&c);
}

/*
 * Comparisons.
 */

#define LOOP(cond)                                  \
	do {                                        \
		for (uint32_t i = 0; i < c->n; i++) \
			out[i] = (cond);            \
	} while (0)

#define COMPARE(name, type)                                             \
	static int name(struct call *c)                                 \
	{                                                               \
		const struct vec a = c->args[0], b = c->args[1];        \
		uint8_t *out = call_out(c);                             \
                                                                        \
		if (!out)                                               \
			return -1;                                      \
		switch (c->nd->op) {                                    \
		case EXPR_EQ:                                           \
			LOOP(VEC_AT(a, type, i) == VEC_AT(b, type, i)); \
			break;                                          \
		case EXPR_NE:                                           \
			LOOP(VEC_AT(a, type, i) != VEC_AT(b, type, i)); \
			break;                                          \
		case EXPR_LT:                                           \
			LOOP(VEC_AT(a, type, i) < VEC_AT(b, type, i));  \
			break;                                          \
		case EXPR_LE:                                           \
			LOOP(VEC_AT(a, type, i) <= VEC_AT(b, type, i)); \
			break;                                          \
		case EXPR_GT:                                           \
			LOOP(VEC_AT(a, type, i) > VEC_AT(b, type, i));  \
			break;                                          \
		default:                                                \
			LOOP(VEC_AT(a, type, i) >= VEC_AT(b, type, i)); \
		}                                                       \
		return 0;                                               \
	}

COMPARE(compare_bool, uint8_t)
COMPARE(compare_unsigned, uint64_t)
COMPARE(compare_signed, int64_t)
COMPARE(compare_real, double)
COMPARE(compare_ip, u128)

static bool
ordered(enum expr_op op, int order)
{
	switch (op) {
	case EXPR_EQ:
		return order == 0;
	case EXPR_NE:
		return order != 0;
	case EXPR_LT:
		return order < 0;
	case EXPR_LE:
		return order <= 0;
	case EXPR_GT:
		return order > 0;
	default:
		return order >= 0;
	}
}

static int
str_order(struct str a, struct str b)
{
	int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int
compare_str(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = ordered(c->nd->op,
				 str_order(VEC_AT(c->args[0], struct str, i),
					   VEC_AT(c->args[1], struct str, i)));
	return 0;
}

static __int128
wide_at(const struct vec *v, uint32_t i)
{
	return v->type == TYPE_UINT ? (__int128)VEC_AT(*v, uint64_t, i)
				    : (__int128)VEC_AT(*v, int64_t, i);
}

/* Signed with unsigned. */
static int
compare_mixed(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		__int128 a = wide_at(&c->args[0], i);
		__int128 b = wide_at(&c->args[1], i);

		out[i] = ordered(c->nd->op, (a > b) - (a < b));
	}
	return 0;
}

static int
eval_in_cidr(struct call *c)
{
	const struct literal *lit = &c->nd->lit;
	u128 mask = lit->bits ? ~(u128)0 << (128 - lit->bits) : 0;
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = (VEC_AT(c->args[0], u128, i) & mask) == lit->ip;
	return 0;
}

/* An IPv4 address in an IPv4 network, which is most of them. */
static int
eval_in_cidr4(struct call *c)
{
	const struct literal *lit = &c->nd->lit;
	uint32_t mask = lit->bits > 96 ? ~UINT32_C(0) << (128 - lit->bits) : 0;
	uint32_t net = (uint32_t)lit->ip;
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	LOOP(((uint32_t)VEC_AT(c->args[0], uint64_t, i) & mask) == net);
	return 0;
}

static int
eval_wildcard(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = wildcard_match(VEC_AT(c->args[1], struct str, i),
					VEC_AT(c->args[0], struct str, i)) ==
			 (c->nd->op == EXPR_EQ);
	return 0;
}

static int
eval_has(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t bits = VEC_AT(c->args[1], uint64_t, i);

		out[i] = (VEC_AT(c->args[0], uint64_t, i) & bits) == bits;
	}
	return 0;
}

/*
 * Logic: three values.
 */

static int
eval_not(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	LOOP(!VEC_AT(c->args[0], uint8_t, i));
	return 0;
}

/* WINS decides alone: false for and, true for or. */
static int
logic(struct call *c, uint8_t wins)
{
	uint8_t *out = call_out(c), *null = call_nulls(c);

	if (!out || !null)
		return -1;
	memset(out, !wins, c->n);
	for (size_t k = 0; k < c->nd->n; k++) {
		const struct vec a = c->args[k];

		for (uint32_t i = 0; i < c->n; i++) {
			bool is_null = VEC_NULL(a, i);

			if (!is_null && VEC_AT(a, uint8_t, i) == wins)
				out[i] = wins;
			null[i] |= is_null;
		}
	}
	for (uint32_t i = 0; i < c->n; i++)
		null[i] &= out[i] != wins;
	return 0;
}

static int
eval_and(struct call *c)
{
	return logic(c, 0);
}

static int
eval_or(struct call *c)
{
	return logic(c, 1);
}

/*
 * Arithmetic.
 */

#define REAL_LOOP(value)                                 \
	do {                                             \
		for (uint32_t i = 0; i < c->n; i++) {    \
			double x = VEC_AT(a, double, i); \
			double y = VEC_AT(b, double, i); \
			out[i] = (value);                \
		}                                        \
	} while (0)

/* Not-a-number and infinity are no answers: null. */
static int
null_if_not_finite(struct call *c, const double *out)
{
	uint8_t *null;
	bool bad = false;

	for (uint32_t i = 0; i < c->n; i++)
		bad |= !isfinite(out[i]);
	if (!bad)
		return 0;
	null = call_nulls(c);
	if (!null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		null[i] |= !isfinite(out[i]);
	return 0;
}

static int
arith_real(struct call *c)
{
	const struct vec a = c->args[0], b = c->args[1];
	double *out = call_out(c);

	if (!out)
		return -1;
	switch (c->nd->op) {
	case EXPR_ADD:
		REAL_LOOP(x + y);
		break;
	case EXPR_SUB:
		REAL_LOOP(x - y);
		break;
	case EXPR_MUL:
		REAL_LOOP(x * y);
		break;
	case EXPR_DIV:
		REAL_LOOP(y == 0 ? (double)NAN : x / y);
		break;
	default:
		REAL_LOOP(y == 0 ? (double)NAN : fmod(x, y));
	}
	return null_if_not_finite(c, out);
}

/* -1: does not fit 128 bits, or division by zero. */
static int
wide_op(enum expr_op op, __int128 a, __int128 b, __int128 *r)
{
	switch (op) {
	case EXPR_ADD:
		*r = a + b;
		return 0;
	case EXPR_SUB:
		*r = a - b;
		return 0;
	case EXPR_MUL:
		return __builtin_mul_overflow(a, b, r) ? -1 : 0;
	default:
		if (b == 0)
			return -1;
		*r = a % b;
		return 0;
	}
}

/* Integers, times and durations: exact, or null. */
static int
arith_integer(struct call *c)
{
	bool is_unsigned = c->nd->type == TYPE_UINT;
	enum expr_op op = c->nd->op;
	uint64_t *out = call_out(c);
	uint8_t *null = NULL;

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		__int128 b = wide_at(&c->args[1], i), r = 0;
		int bad = wide_op(op, wide_at(&c->args[0], i), b, &r);

		out[i] = (uint64_t)r;
		if (is_unsigned)
			bad |= r < 0 || r > UINT64_MAX;
		else
			bad |= r < INT64_MIN || r > INT64_MAX;
		if (!bad)
			continue;
		if (!null && !(null = call_nulls(c)))
			return -1;
		if (op != EXPR_MOD && !null[i])
			c->e->overflows++;
		null[i] = 1;
	}
	return 0;
}

/* A duration times or divided by a number. */
static int
arith_scale(struct call *c)
{
	const struct vec a = c->args[0], b = c->args[1];
	int64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		double x = (double)VEC_AT(a, int64_t, i);
		double y = VEC_AT(b, double, i);
		double r = c->nd->op == EXPR_MUL ? x * y
			   : y == 0		 ? (double)NAN
						 : x / y;

		if (!(fabs(r) < 9e18)) {
			null[i] = 1;
			r = 0;
		}
		out[i] = (int64_t)r;
	}
	return 0;
}

static int
eval_neg(struct call *c)
{
	const struct vec a = c->args[0];

	if (c->nd->type == TYPE_REAL) {
		double *out = call_out(c);

		if (!out)
			return -1;
		LOOP(-VEC_AT(a, double, i));
	} else {
		int64_t *out = call_out(c);
		uint8_t *null = call_nulls(c);

		if (!out || !null)
			return -1;
		for (uint32_t i = 0; i < c->n; i++) {
			__int128 r = -wide_at(&a, i);

			out[i] = (int64_t)r;
			if (r != out[i] && !null[i]) {
				null[i] = 1;
				c->e->overflows++;
			}
		}
	}
	return 0;
}

/*
 * Binding.
 */

struct node *
bind_fail(struct binder *b, const struct expr *at, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	b->err_pos = at ? at->pos : 0;
	err_set(b->err, "%s", text);
	return NULL;
}

struct node *
node_new(struct binder *b, enum node_kind kind, size_t n)
{
	struct node *nd = arena_zalloc(b->arena, sizeof(*nd));

	if (nd && n)
		nd->args = arena_zalloc(b->arena, n * sizeof(*nd->args));
	if (!nd || (n && !nd->args))
		return bind_fail(b, NULL, "out of memory");
	nd->kind = kind;
	nd->n = n;
	return nd;
}

struct node *
node_literal(struct binder *b, const struct literal *lit)
{
	struct node *nd = node_new(b, NODE_LITERAL, 0);

	if (!nd)
		return NULL;
	nd->lit = *lit;
	nd->type = lit->type;
	nd->nullable = lit->type == TYPE_NULL;
	return nd;
}

struct node *
node_field(struct binder *b, int slot, enum expr_type type, bool nullable,
	   const char *name)
{
	struct node *nd = node_new(b, NODE_FIELD, 0);

	if (!nd)
		return NULL;
	nd->slot = slot;
	nd->type = type;
	nd->nullable = nullable;
	nd->name = name;
	return nd;
}

/* A node over constants is a constant. */
static struct node *
fold(struct binder *b, struct node *nd)
{
	struct eval e = {.n = 1, .arena = b->arena, .err = b->err};
	struct literal lit = {.type = nd->type};
	struct vec v;

	if (nd->kind == NODE_LITERAL || nd->kind == NODE_FIELD)
		return nd;
	for (size_t i = 0; i < nd->n; i++)
		if (nd->args[i]->kind != NODE_LITERAL)
			return nd;
	if (node_eval(&e, nd, &v))
		return NULL;
	if (VEC_NULL(v, 0) || v.type == TYPE_NULL)
		lit.type = TYPE_NULL;
	else
		memcpy(&lit.u, v.data, expr_type_size(nd->type));
	return node_literal(b, &lit);
}

struct node *
node_cast(struct binder *b, struct node *a, enum expr_type t)
{
	struct node *nd;

	if (!a || a->type == t || a->type == TYPE_NULL)
		return a;
	nd = node_new(b, NODE_CAST, 1);
	if (!nd)
		return NULL;
	nd->type = t;
	nd->fn = cast_fn(a->type, t);
	if (!nd->fn)
		return bind_fail(b, NULL, "%s can not be %s",
				 expr_type_article(a->type),
				 expr_type_article(t));
	nd->nullable = a->nullable || nd->fn == cast_sign;
	nd->args[0] = a;
	return fold(b, nd);
}

const struct node *
node_plain_field(const struct node *nd)
{
	if (nd->kind == NODE_CAST &&
	    (nd->type == TYPE_IP || nd->type == TYPE_INT))
		nd = nd->args[0];
	return nd->kind == NODE_FIELD ? nd : NULL;
}

/* A string literal beside a value of type T, read as one. */
static struct node *
read_literal(struct binder *b, struct node *nd, enum expr_type t,
	     const struct expr *at)
{
	struct str s = nd->lit.s;
	struct literal lit = {.type = t};
	int n;

	switch (t) {
	case TYPE_IPV4:
	case TYPE_IP:
		lit.type = TYPE_IP;
		if (!literal_ip(s.p, s.len, &lit.ip))
			return node_literal(b, &lit);
		break;
	case TYPE_MAC:
		if (!text_read_mac(s.p, s.len, &lit.u))
			return node_literal(b, &lit);
		break;
	case TYPE_TIME:
		if (!literal_time(s.p, s.len, b->now, &lit.i))
			return node_literal(b, &lit);
		break;
	case TYPE_DURATION:
		if (!literal_duration(s.p, s.len, &lit.i))
			return node_literal(b, &lit);
		break;
	case TYPE_UINT:
		n = protocol_number(s.p, s.len);
		lit.u = (uint64_t)n;
		if (n >= 0 || !text_read_u64(s.p, s.len, &lit.u))
			return node_literal(b, &lit);
		break;
	default:
		return nd;
	}
	return bind_fail(b, at, "\"%.*s\" is no %s", (int)s.len, s.p,
			 expr_type_name(t));
}

static bool
is_text_literal(const struct node *nd)
{
	return nd->kind == NODE_LITERAL && nd->type == TYPE_STRING;
}

static struct node *
bind_wildcard(struct binder *b, enum expr_op op, struct node *a,
	      struct node *pattern)
{
	struct node *nd = node_new(b, NODE_CALL, 2);

	if (!nd)
		return NULL;
	nd->type = TYPE_BOOL;
	nd->op = op;
	nd->fn = eval_wildcard;
	nd->name = "wildcard";
	nd->args[0] = node_cast(b, a, TYPE_STRING);
	nd->args[1] = pattern;
	if (!nd->args[0])
		return NULL;
	nd->nullable = nd->args[0]->nullable;
	return fold(b, nd);
}

static int (*compare_fn(enum expr_type a, enum expr_type b))(struct call *)
{
	if (a != b)
		return compare_mixed;
	switch (a) {
	case TYPE_BOOL:
		return compare_bool;
	case TYPE_REAL:
		return compare_real;
	case TYPE_IP:
		return compare_ip;
	case TYPE_STRING:
	case TYPE_BYTES:
		return compare_str;
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return compare_signed;
	default:
		return compare_unsigned;
	}
}

/* The type in which both are compared; TYPE_NULL if there is none. */
static enum expr_type
common_type(enum expr_type a, enum expr_type b)
{
	enum expr_type t = expr_type_unify(a, b);

	if (t == TYPE_STRING && a != TYPE_STRING && b != TYPE_STRING)
		return TYPE_NULL;
	if (t == TYPE_STRING && a != b && a != TYPE_BYTES && b != TYPE_BYTES)
		return TYPE_NULL;
	return t;
}

static struct node *
compare_types(struct binder *b, struct node *nd, const struct expr *at)
{
	struct node **p = nd->args;
	enum expr_type t = common_type(p[0]->type, p[1]->type);

	if (t == TYPE_NULL || t == TYPE_CIDR)
		return bind_fail(b, at, "%s can not be compared with %s%s",
				 expr_type_article(p[0]->type),
				 expr_type_article(p[1]->type),
				 p[1]->type == TYPE_CIDR ? " (use in)" : "");
	/* Integers of both signs compare as they are. */
	if (t == TYPE_INT)
		for (int i = 0; i < 2; i++)
			if (p[i]->kind == NODE_LITERAL &&
			    p[i]->type == TYPE_UINT && p[i]->lit.u <= INT64_MAX)
				p[i] = node_cast(b, p[i], TYPE_INT);
	if (t != TYPE_INT)
		for (int i = 0; i < 2; i++)
			p[i] = node_cast(b, p[i], t);
	return p[0] && p[1] ? nd : NULL;
}

static struct node *
bind_compare(struct binder *b, enum expr_op op, struct node *x, struct node *y,
	     const struct expr *at)
{
	struct node *nd = node_new(b, NODE_COMPARE, 2);

	if (!nd)
		return NULL;
	if (op <= EXPR_NE && x->type != TYPE_NULL && is_text_literal(y) &&
	    memchr(y->lit.s.p, '*', y->lit.s.len))
		return bind_wildcard(b, op, x, y);
	if (is_text_literal(y) && x->type != TYPE_STRING)
		y = read_literal(b, y, x->type, at);
	else if (is_text_literal(x) && y->type != TYPE_STRING)
		x = read_literal(b, x, y->type, at);
	if (!x || !y)
		return NULL;
	nd->op = op;
	nd->type = TYPE_BOOL;
	nd->nullable = x->nullable || y->nullable;
	nd->args[0] = x;
	nd->args[1] = y;
	if (x->type == TYPE_NULL || y->type == TYPE_NULL)
		return node_literal(b, &(struct literal){.type = TYPE_NULL});
	if (!compare_types(b, nd, at))
		return NULL;
	nd->fn = compare_fn(nd->args[0]->type, nd->args[1]->type);
	return fold(b, nd);
}

static struct node *
bind_in_cidr(struct binder *b, struct node *a, const struct literal *cidr,
	     const struct expr *at)
{
	struct node *nd = node_new(b, NODE_IN_CIDR, 1);

	if (!nd)
		return NULL;
	if (a->type == TYPE_NULL)
		return a;
	if (!is_address(a->type))
		return bind_fail(b, at, "%s is in no network",
				 expr_type_article(a->type));
	nd->type = TYPE_BOOL;
	nd->nullable = a->nullable;
	nd->lit = *cidr;
	if (a->type == TYPE_IPV4 && cidr->bits >= 96 &&
	    cidr->ip >> 32 == 0xffff) {
		nd->fn = eval_in_cidr4;
		nd->args[0] = a;
		return fold(b, nd);
	}
	nd->fn = eval_in_cidr;
	nd->args[0] = node_cast(b, a, TYPE_IP);
	return nd->args[0] ? fold(b, nd) : NULL;
}

/* The type of an arithmetic node over these, and how it is computed. */
static enum expr_type
arith_type(enum expr_op op, enum expr_type a, enum expr_type b)
{
	bool sum = op == EXPR_ADD || op == EXPR_SUB;

	if (is_number(a) && is_number(b)) {
		if (op == EXPR_DIV || a == TYPE_REAL || b == TYPE_REAL)
			return TYPE_REAL;
		return a == TYPE_UINT && b == TYPE_UINT && op != EXPR_SUB
			   ? TYPE_UINT
			   : TYPE_INT;
	}
	if (a == TYPE_TIME && b == TYPE_TIME)
		return op == EXPR_SUB ? TYPE_DURATION : TYPE_NULL;
	if (a == TYPE_TIME && b == TYPE_DURATION)
		return sum ? TYPE_TIME : op == EXPR_MOD ? b : TYPE_NULL;
	if (a == TYPE_DURATION && b == TYPE_TIME)
		return op == EXPR_ADD ? TYPE_TIME : TYPE_NULL;
	if (a == TYPE_DURATION && b == TYPE_DURATION)
		return op == EXPR_DIV	? TYPE_REAL
		       : op == EXPR_MUL ? TYPE_NULL
					: TYPE_DURATION;
	if (a == TYPE_DURATION && is_number(b))
		return op == EXPR_MUL || op == EXPR_DIV ? TYPE_DURATION
							: TYPE_NULL;
	return TYPE_NULL;
}

static struct node *
bind_arith(struct binder *b, enum expr_op op, struct node *x, struct node *y,
	   const struct expr *at)
{
	static const char *const signs[] = {"*", "/", "%", "+", "-"};
	struct node *nd = node_new(b, NODE_CALL, 2);

	if (!nd)
		return NULL;
	if (op == EXPR_MUL && y->type == TYPE_DURATION && is_number(x->type))
		return bind_arith(b, op, y, x, at);
	if (x->type == TYPE_NULL || y->type == TYPE_NULL)
		return node_literal(b, &(struct literal){.type = TYPE_NULL});
	nd->op = op;
	nd->name = signs[op - EXPR_MUL];
	nd->type = arith_type(op, x->type, y->type);
	if (nd->type == TYPE_NULL)
		return bind_fail(b, at, "no %s between %s and %s", nd->name,
				 expr_type_article(x->type),
				 expr_type_article(y->type));
	nd->fn = arith_integer;
	nd->nullable = true;
	if (nd->type == TYPE_REAL) {
		nd->fn = arith_real;
		x = node_cast(b, x, TYPE_REAL);
		y = node_cast(b, y, TYPE_REAL);
	} else if (nd->type == TYPE_DURATION && is_number(y->type)) {
		nd->fn = arith_scale;
		y = node_cast(b, y, TYPE_REAL);
	}
	if (!x || !y)
		return NULL;
	nd->args[0] = x;
	nd->args[1] = y;
	return fold(b, nd);
}

static struct node *
bind_has(struct binder *b, struct node *x, struct node *y,
	 const struct expr *at)
{
	struct node *nd = node_new(b, NODE_CALL, 2);

	if (!nd)
		return NULL;
	if (x->type == TYPE_NULL || y->type == TYPE_NULL)
		return node_literal(b, &(struct literal){.type = TYPE_NULL});
	if (x->type != TYPE_UINT || y->type != TYPE_UINT)
		return bind_fail(b, at,
				 "has takes flags: two whole numbers, "
				 "or names of TCP flags on the right");
	nd->type = TYPE_BOOL;
	nd->fn = eval_has;
	nd->name = "has";
	nd->nullable = x->nullable || y->nullable;
	nd->args[0] = x;
	nd->args[1] = y;
	return fold(b, nd);
}

struct node *
node_binary(struct binder *b, enum expr_op op, struct node *x, struct node *y,
	    const struct expr *at)
{
	if (!x || !y)
		return NULL;
	if (op >= EXPR_MUL && op <= EXPR_SUB)
		return bind_arith(b, op, x, y, at);
	if (op == EXPR_HAS)
		return bind_has(b, x, y, at);
	return bind_compare(b, op, x, y, at);
}

/* A bare word where only a protocol or a flag makes sense. */
static struct node *
bind_word(struct binder *b, const struct expr *e, enum expr_op op,
	  const struct expr *other)
{
	struct literal lit = {.type = TYPE_UINT};
	bool protocol =
	    other->op == EXPR_FIELD && strstr(other->name, "protocol") != NULL;
	int n = -1;

	if (e->op != EXPR_FIELD)
		return expr_bind(b, e);
	if (op == EXPR_HAS)
		n = tcp_flag_bit(e->name, strlen(e->name));
	else if (protocol)
		n = protocol_number(e->name, strlen(e->name));
	if (n < 0)
		return expr_bind(b, e);
	lit.u = (uint64_t)n;
	return node_literal(b, &lit);
}

static struct node *
bind_logic(struct binder *b, const struct expr *e)
{
	struct node *nd =
	    node_new(b, e->op == EXPR_AND ? NODE_AND : NODE_OR, e->n);

	if (!nd)
		return NULL;
	nd->type = TYPE_BOOL;
	nd->lazy = true;
	nd->fn = e->op == EXPR_AND ? eval_and : eval_or;
	for (size_t i = 0; i < e->n; i++) {
		struct node *a = expr_bind(b, e->args[i]);

		if (!a)
			return NULL;
		if (a->type != TYPE_BOOL && a->type != TYPE_NULL)
			return bind_fail(b, e->args[i],
					 "expected a condition, found %s",
					 expr_type_article(a->type));
		nd->args[i] = a;
		nd->nullable |= a->nullable;
	}
	return fold(b, nd);
}

struct node *
node_any(struct binder *b, struct node **args, size_t n)
{
	struct node *nd = node_new(b, NODE_OR, n);

	if (!nd)
		return NULL;
	nd->type = TYPE_BOOL;
	nd->lazy = true;
	nd->fn = eval_or;
	for (size_t i = 0; i < n; i++) {
		if (!args[i])
			return NULL;
		nd->args[i] = args[i];
		nd->nullable |= args[i]->nullable;
	}
	return fold(b, nd);
}

/* One element of an `in` list, or all of `in CIDR`. */
static struct node *
bind_in_one(struct binder *b, struct node *a, const struct expr *e,
	    const struct expr *item)
{
	struct node *x = bind_word(b, item, EXPR_EQ, e->args[0]);
	struct literal cidr;

	if (!x)
		return NULL;
	if (x->kind == NODE_LITERAL && x->type == TYPE_CIDR)
		return bind_in_cidr(b, a, &x->lit, e);
	if (is_text_literal(x) && is_address(a->type) &&
	    !literal_cidr(x->lit.s.p, x->lit.s.len, &cidr))
		return bind_in_cidr(b, a, &cidr, e);
	return bind_compare(b, EXPR_EQ, a, x, item);
}

static struct node *
bind_in(struct binder *b, const struct expr *e)
{
	const struct expr *list = e->args[1];
	struct node *a = expr_bind(b, e->args[0]), *nd, **any;

	if (!a)
		return NULL;
	if (list->op != EXPR_LIST) {
		nd = bind_word(b, list, EXPR_EQ, e->args[0]);
		if (nd && nd->type != TYPE_CIDR && !is_text_literal(nd) &&
		    nd->type != TYPE_NULL)
			return bind_fail(b, list,
					 "expected a network "
					 "(10.0.0.0/8) or a list in "
					 "parentheses after in");
		return nd ? bind_in_one(b, a, e, list) : NULL;
	}
	any = arena_alloc(b->arena, list->n * sizeof(struct node *));
	if (!any)
		return bind_fail(b, e, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		any[i] = bind_in_one(b, a, e, list->args[i]);
		if (!any[i])
			return NULL;
	}
	return node_any(b, any, list->n);
}

static struct node *
bind_not(struct binder *b, const struct expr *e)
{
	struct node *nd = node_new(b, NODE_NOT, 1);
	struct node *a = expr_bind(b, e->args[0]);

	if (!nd || !a || a->type == TYPE_NULL)
		return nd ? a : NULL;
	if (a->type != TYPE_BOOL)
		return bind_fail(b, e->args[0],
				 "expected a condition, found %s",
				 expr_type_article(a->type));
	nd->type = TYPE_BOOL;
	nd->nullable = a->nullable;
	nd->fn = eval_not;
	nd->args[0] = a;
	return fold(b, nd);
}

static struct node *
bind_neg(struct binder *b, const struct expr *e)
{
	struct node *nd = node_new(b, NODE_CALL, 1);
	struct node *a = expr_bind(b, e->args[0]);

	if (!nd || !a || a->type == TYPE_NULL)
		return nd ? a : NULL;
	if (!is_number(a->type) && a->type != TYPE_DURATION)
		return bind_fail(b, e, "%s has no negative",
				 expr_type_article(a->type));
	nd->type = a->type == TYPE_UINT ? TYPE_INT : a->type;
	nd->nullable = true;
	nd->name = "-";
	nd->fn = eval_neg;
	nd->args[0] = a;
	return fold(b, nd);
}

static struct node *
bind_field(struct binder *b, const struct expr *e)
{
	struct node *nd = NULL;
	struct literal lit = {.type = TYPE_NULL};

	if (b->field(b->ctx, e, &nd)) {
		b->err_pos = e->pos;
		return NULL;
	}
	if (nd)
		return nd;
	if (strcmp(e->name, "now") == 0) {
		lit.type = TYPE_TIME;
		lit.i = b->now;
	}
	return node_literal(b, &lit);
}

static struct node *
no_function(struct binder *b, const struct expr *e)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, e->name, strlen(e->name));
	for (const struct function *f = functions; f->name; f++)
		nearest_try(&near, f->name);
	return bind_fail(b, e, "there is no function %.*s%s", NEAREST_MAX,
			 e->name, nearest_hint(&near, hint, sizeof hint));
}

static struct node *
bind_function(struct binder *b, const struct expr *e)
{
	const struct function *f = function_find(e->name);
	struct node *nd = NULL;

	if (b->field(b->ctx, e, &nd)) {
		b->err_pos = e->pos;
		return NULL;
	}
	if (nd)
		return nd;
	if (!f)
		return no_function(b, e);
	if (e->n < f->min || e->n > f->max)
		return bind_fail(b, e, "%s takes %s", f->name, f->usage);
	nd = node_new(b, NODE_CALL, e->n);
	if (!nd)
		return NULL;
	nd->name = f->name;
	for (size_t i = 0; i < e->n; i++) {
		nd->args[i] = expr_bind(b, e->args[i]);
		if (!nd->args[i])
			return NULL;
		nd->nullable |= nd->args[i]->nullable;
	}
	if (f->bind(b, nd, e))
		return NULL;
	return fold(b, nd);
}

struct node *
expr_bind(struct binder *b, const struct expr *e)
{
	switch (e->op) {
	case EXPR_LITERAL:
		return node_literal(b, &e->lit);
	case EXPR_FIELD:
		return bind_field(b, e);
	case EXPR_CALL:
		return bind_function(b, e);
	case EXPR_NEG:
		return bind_neg(b, e);
	case EXPR_NOT:
		return bind_not(b, e);
	case EXPR_AND:
	case EXPR_OR:
		return bind_logic(b, e);
	case EXPR_IN:
		return bind_in(b, e);
	case EXPR_LIST:
		return bind_fail(b, e, "a list stands only after in");
	default:
		return node_binary(
		    b, e->op, bind_word(b, e->args[0], e->op, e->args[1]),
		    bind_word(b, e->args[1], e->op, e->args[0]), e);
	}
}
