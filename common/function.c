/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/function.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "common/function_bind.h"
#include "common/text.h"

typedef unsigned __int128 u128;

bool
wildcard_match(struct str pattern, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.len && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

static bool
is_number(enum expr_type t)
{
	return t == TYPE_UINT || t == TYPE_INT || t == TYPE_REAL;
}

int
function_want(struct binder *b, const struct node *nd, const struct expr *e,
	      size_t i, const char *what)
{
	bind_fail(b, e->args[i], "%s wants %s here, not %s", nd->name, what,
		  expr_type_article(nd->args[i]->type));
	return -1;
}

int
function_cast(struct binder *b, struct node *nd, size_t i, enum expr_type t)
{
	nd->args[i] = node_cast(b, nd->args[i], t);
	return nd->args[i] ? 0 : -1;
}

int
function_literal(struct binder *b, const struct node *nd, const struct expr *e,
		 size_t i, const char *what, struct str *s)
{
	if (nd->args[i]->kind != NODE_LITERAL ||
	    nd->args[i]->type != TYPE_STRING) {
		bind_fail(b, e->args[i], "%s wants %s in quotes here", nd->name,
			  what);
		return -1;
	}
	*s = nd->args[i]->lit.s;
	return 0;
}

int
function_whole(struct binder *b, struct node *nd, const struct expr *e,
	       size_t i)
{
	enum expr_type t = nd->args[i]->type;

	if (t != TYPE_UINT && t != TYPE_INT && t != TYPE_NULL)
		return function_want(b, nd, e, i, "a whole number");
	return function_cast(b, nd, i, TYPE_INT);
}

/*
 * Numbers.
 */

static int
eval_abs(struct call *c)
{
	const struct vec a = c->args[0];

	if (c->nd->type == TYPE_REAL) {
		double *out = call_out(c);

		if (!out)
			return -1;
		for (uint32_t i = 0; i < c->n; i++)
			out[i] = fabs(VEC_AT(a, double, i));
		return 0;
	}
	uint64_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		int64_t v = VEC_AT(a, int64_t, i);

		out[i] = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	}
	return 0;
}

static int
bind_abs(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t == TYPE_UINT || t == TYPE_NULL) {
		*nd = *nd->args[0];
		return 0;
	}
	if (t != TYPE_INT && t != TYPE_REAL)
		return function_want(b, nd, e, 0, "a number");
	nd->type = t == TYPE_INT ? TYPE_UINT : t;
	nd->fn = eval_abs;
	return 0;
}

/* Digits behind the point; before it, if there are fewer than none. */
static int
eval_round_to(struct call *c)
{
	double *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		double x = VEC_AT(c->args[0], double, i);
		double unit = pow(10, VEC_AT(c->args[1], double, i));
		double much = round(x * unit);

		/* What has no such digits stays as it is. */
		out[i] = isfinite(much) ? much / unit : x;
		null[i] |= !isfinite(out[i]);
	}
	return 0;
}

#define REAL_FUNCTION(fname, value)                               \
	static int fname(struct call *c)                          \
	{                                                         \
		double *out = call_out(c);                        \
		uint8_t *null = call_nulls(c);                    \
                                                                  \
		if (!out || !null)                                \
			return -1;                                \
		for (uint32_t i = 0; i < c->n; i++) {             \
			double x = VEC_AT(c->args[0], double, i); \
                                                                  \
			out[i] = (value);                         \
			null[i] |= !isfinite(out[i]);             \
		}                                                 \
		return 0;                                         \
	}

REAL_FUNCTION(eval_ceil, ceil(x))
REAL_FUNCTION(eval_floor, floor(x))
REAL_FUNCTION(eval_round, round(x))
REAL_FUNCTION(eval_sqrt, sqrt(x))
REAL_FUNCTION(eval_log, log(x))
REAL_FUNCTION(eval_log10, log10(x))
REAL_FUNCTION(eval_double, x)

static int
eval_double_text(struct call *c)
{
	double *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);

		out[i] = 0;
		null[i] = null[i] || text_read_f64(s.p, s.len, &out[i]) ||
			  !isfinite(out[i]);
	}
	return 0;
}

static int
bind_real(struct binder *b, struct node *nd, const struct expr *e)
{
	static const struct {
		const char *name;
		int (*fn)(struct call *);
	} table[] = {{"sqrt", eval_sqrt},   {"log", eval_log},
		     {"log10", eval_log10}, {"double", eval_double},
		     {"ceil", eval_ceil},   {"floor", eval_floor},
		     {"round", eval_round}};
	enum expr_type t = nd->args[0]->type;
	bool whole = false;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].name, nd->name) == 0) {
			nd->fn = table[i].fn;
			whole = i >= 4;
		}
	if (t == TYPE_STRING && nd->fn == eval_double) {
		nd->fn = eval_double_text;
		nd->type = TYPE_REAL;
		nd->nullable = true;
		return 0;
	}
	if (!is_number(t) && t != TYPE_NULL && t != TYPE_DURATION)
		return function_want(b, nd, e, 0, "a number");
	if (nd->n > 1) {
		if (function_whole(b, nd, e, 1) ||
		    function_cast(b, nd, 1, TYPE_REAL))
			return -1;
		nd->fn = eval_round_to;
	} else if (t == TYPE_NULL ||
		   (whole && t != TYPE_REAL && is_number(t))) {
		*nd = *nd->args[0];
		return 0;
	}
	nd->type = TYPE_REAL;
	nd->nullable = true;
	return function_cast(b, nd, 0, TYPE_REAL);
}

/* A real cut off to a whole number; a duration is its seconds. */
static int
eval_int(struct call *c)
{
	int64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		double x = VEC_AT(c->args[0], double, i);
		bool fits = x > -9.2e18 && x < 9.2e18;

		out[i] = fits ? (int64_t)x : 0;
		null[i] |= !fits;
	}
	return 0;
}

static int
eval_int_text(struct call *c)
{
	int64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);
		bool minus = s.len && *s.p == '-';
		uint64_t v = 0;

		if (text_read_u64(s.p + minus, s.len - minus, &v) ||
		    v > INT64_MAX)
			null[i] = 1;
		out[i] = minus ? -(int64_t)v : (int64_t)v;
	}
	return 0;
}

static int
bind_int(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t == TYPE_UINT || t == TYPE_INT || t == TYPE_NULL) {
		*nd = *nd->args[0];
		return 0;
	}
	nd->type = TYPE_INT;
	nd->nullable = true;
	nd->fn = eval_int_text;
	if (t == TYPE_STRING)
		return 0;
	if (t != TYPE_REAL && t != TYPE_DURATION && t != TYPE_BOOL)
		return function_want(b, nd, e, 0, "a number or a string");
	nd->fn = eval_int;
	return function_cast(b, nd, 0, TYPE_REAL);
}

static int
eval_pow(struct call *c)
{
	double *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		out[i] = pow(VEC_AT(c->args[0], double, i),
			     VEC_AT(c->args[1], double, i));
		null[i] |= !isfinite(out[i]);
	}
	return 0;
}

static int
bind_pow(struct binder *b, struct node *nd, const struct expr *e)
{
	for (size_t i = 0; i < 2; i++) {
		if (!is_number(nd->args[i]->type) &&
		    nd->args[i]->type != TYPE_NULL)
			return function_want(b, nd, e, i, "a number");
		if (function_cast(b, nd, i, TYPE_REAL))
			return -1;
	}
	nd->type = TYPE_REAL;
	nd->nullable = true;
	nd->fn = eval_pow;
	return 0;
}

/*
 * Choice.
 */

/* All arguments from FROM on get one type, which is the node's. */
static int
unify(struct binder *b, struct node *nd, const struct expr *e, size_t from,
      size_t step)
{
	enum expr_type t = TYPE_NULL;

	for (size_t i = from; i < nd->n; i += step) {
		enum expr_type a = nd->args[i]->type;

		if (a == TYPE_CIDR)
			return function_want(b, nd, e, i, "a value");
		t = expr_type_unify(t, a);
	}
	for (size_t i = from; i < nd->n; i += step)
		if (function_cast(b, nd, i, t))
			return -1;
	nd->type = t;
	return 0;
}

/* Copies value I of A, which has the call's type. */
static void
pick(const struct call *c, void *out, uint8_t *null, const struct vec *a,
     uint32_t i)
{
	size_t size = expr_type_size(c->nd->type);
	size_t at = a->constant ? 0 : i;

	null[i] = a->type == TYPE_NULL || VEC_NULL(*a, i);
	memcpy((char *)out + size * i, (const char *)a->data + size * at, size);
}

static int
eval_if(struct call *c)
{
	void *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		bool yes =
		    !VEC_NULL(c->args[0], i) && VEC_AT(c->args[0], uint8_t, i);

		pick(c, out, null, &c->args[yes ? 1 : 2], i);
	}
	return 0;
}

static int
bind_if(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t != TYPE_BOOL && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "a condition");
	if (unify(b, nd, e, 1, 1))
		return -1;
	nd->lazy = true;
	nd->fn = eval_if;
	if (nd->args[0]->kind == NODE_LITERAL)
		*nd = *nd->args[nd->args[0]->lit.u ? 1 : 2];
	return 0;
}

static const uint8_t one_null = 1;
static const u128 zero_value;
static const struct vec null_vec = {TYPE_NULL, true, &one_null, &zero_value};

/* case(condition, value, ..., else) */
static int
eval_case_of(struct call *c)
{
	void *out = call_out(c);
	uint8_t *null = call_nulls(c);
	size_t pairs = c->nd->n / 2;

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		size_t k = 0;

		while (k < pairs && (VEC_NULL(c->args[2 * k], i) ||
				     !VEC_AT(c->args[2 * k], uint8_t, i)))
			k++;
		if (k < pairs)
			pick(c, out, null, &c->args[2 * k + 1], i);
		else if (c->nd->n % 2)
			pick(c, out, null, &c->args[c->nd->n - 1], i);
		else
			pick(c, out, null, &null_vec, i);
	}
	return 0;
}

static int
bind_case_of(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = TYPE_NULL;

	for (size_t i = 0; i < nd->n; i++) {
		bool condition = i % 2 == 0 && i + 1 < nd->n;
		enum expr_type a = nd->args[i]->type;

		if (condition && a != TYPE_BOOL && a != TYPE_NULL)
			return function_want(b, nd, e, i, "a condition");
		if (!condition && a == TYPE_CIDR)
			return function_want(b, nd, e, i, "a value");
		if (!condition)
			t = expr_type_unify(t, a);
	}
	for (size_t i = 0; i < nd->n; i++)
		if ((i % 2 || i + 1 == nd->n) && function_cast(b, nd, i, t))
			return -1;
	nd->type = t;
	nd->nullable = true;
	nd->lazy = true;
	nd->fn = eval_case_of;
	return 0;
}

static int
eval_nvl(struct call *c)
{
	void *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->nd->n; k++) {
			pick(c, out, null, &c->args[k], i);
			if (!null[i])
				break;
		}
	return 0;
}

/* Drops what can never be reached. */
static int
bind_nvl(struct binder *b, struct node *nd, const struct expr *e)
{
	size_t n = 0;
	bool nullable = true;

	if (unify(b, nd, e, 0, 1))
		return -1;
	for (size_t i = 0; i < nd->n && nullable; i++) {
		if (nd->args[i]->type == TYPE_NULL)
			continue;
		nullable = nd->args[i]->nullable;
		nd->args[n++] = nd->args[i];
	}
	nd->n = n ? n : 1;
	nd->nullable = nullable;
	nd->lazy = true;
	nd->fn = eval_nvl;
	if (nd->n == 1)
		*nd = *nd->args[0];
	return 0;
}

struct node *
node_nvl(struct binder *b, struct node **args, size_t n)
{
	struct node *nd = node_new(b, NODE_CALL, n);

	if (!nd)
		return NULL;
	nd->name = "nvl";
	for (size_t i = 0; i < n; i++) {
		if (!args[i])
			return NULL;
		nd->args[i] = args[i];
	}
	return bind_nvl(b, nd, NULL) ? NULL : nd;
}

static int
eval_isnull(struct call *c)
{
	uint8_t *out = call_out(c);
	bool yes = c->nd->op != EXPR_NOT;

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = (c->args[0].type == TYPE_NULL ||
			  VEC_NULL(c->args[0], i)) == yes;
	return 0;
}

static int
bind_isnull(struct binder *b, struct node *nd, const struct expr *e)
{
	(void)b, (void)e;
	if (strcmp(nd->name, "isnotnull") == 0)
		nd->op = EXPR_NOT;
	nd->kind = NODE_ISNULL;
	nd->type = TYPE_BOOL;
	nd->nullable = false;
	nd->lazy = true;
	nd->fn = eval_isnull;
	return 0;
}

static int
eval_extreme(struct call *c)
{
	bool max = strcmp(c->nd->name, "max") == 0;
	char *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct vec *a = &c->args[0], *b = &c->args[1];
		bool less;

		if (c->nd->type == TYPE_REAL)
			less = VEC_AT(*a, double, i) < VEC_AT(*b, double, i);
		else if (c->nd->type == TYPE_UINT)
			less =
			    VEC_AT(*a, uint64_t, i) < VEC_AT(*b, uint64_t, i);
		else
			less = VEC_AT(*a, int64_t, i) < VEC_AT(*b, int64_t, i);
		((uint64_t *)out)[i] = less == max ? VEC_AT(*b, uint64_t, i)
						   : VEC_AT(*a, uint64_t, i);
	}
	return 0;
}

static int
bind_extreme(struct binder *b, struct node *nd, const struct expr *e)
{
	for (size_t i = 0; i < 2; i++) {
		enum expr_type t = nd->args[i]->type;

		if (!is_number(t) && t != TYPE_TIME && t != TYPE_DURATION &&
		    t != TYPE_NULL)
			return function_want(b, nd, e, i, "a number or a time");
	}
	if (unify(b, nd, e, 0, 1))
		return -1;
	if (nd->type == TYPE_STRING)
		return function_want(b, nd, e, 1, "the type of the other");
	nd->nullable = true;
	nd->fn = eval_extreme;
	return 0;
}

/*
 * Strings.
 */

static int
eval_case(struct call *c)
{
	bool up = strcmp(c->nd->name, "upper") == 0;
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);
		char *p = arena_bytes(c->e->arena, s.len + 1);

		if (!p)
			return eval_oom(c->e);
		for (size_t k = 0; k < s.len; k++) {
			char ch = s.p[k];
			bool letter = up ? ch >= 'a' && ch <= 'z'
					 : ch >= 'A' && ch <= 'Z';

			p[k] = letter ? ch ^ 32 : ch;
		}
		out[i] = (struct str){p, s.len};
	}
	return 0;
}

static int
eval_trim(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);

		while (s.len && (unsigned char)*s.p <= ' ') {
			s.p++;
			s.len--;
		}
		while (s.len && (unsigned char)s.p[s.len - 1] <= ' ')
			s.len--;
		out[i] = s;
	}
	return 0;
}

static int
eval_str(struct call *c)
{
	c->out->data = c->args[0].data;
	return 0;
}

static int
bind_text(struct binder *b, struct node *nd, const struct expr *e)
{
	if (nd->n > 1)
		return function_str_time(b, nd, e);
	if (nd->args[0]->type == TYPE_CIDR)
		return function_want(b, nd, e, 0, "a value");
	nd->type = TYPE_STRING;
	nd->fn = strcmp(nd->name, "trim") == 0	? eval_trim
		 : strcmp(nd->name, "str") == 0 ? eval_str
						: eval_case;
	return function_cast(b, nd, 0, TYPE_STRING);
}

static int
eval_len(struct call *c)
{
	uint64_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = VEC_AT(c->args[0], struct str, i).len;
	return 0;
}

static int
bind_len(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t != TYPE_STRING && t != TYPE_BYTES && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "a string");
	nd->type = TYPE_UINT;
	nd->fn = eval_len;
	(void)b;
	return 0;
}

static int
eval_concat(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		size_t len = 0, at = 0;
		char *p;

		for (size_t k = 0; k < c->nd->n; k++)
			len += VEC_AT(c->args[k], struct str, i).len;
		p = arena_bytes(c->e->arena, len + 1);
		if (!p)
			return eval_oom(c->e);
		for (size_t k = 0; k < c->nd->n; k++) {
			struct str s = VEC_AT(c->args[k], struct str, i);

			memcpy(p + at, s.p, s.len);
			at += s.len;
		}
		out[i] = (struct str){p, len};
	}
	return 0;
}

static int
bind_concat(struct binder *b, struct node *nd, const struct expr *e)
{
	for (size_t i = 0; i < nd->n; i++) {
		if (nd->args[i]->type == TYPE_CIDR)
			return function_want(b, nd, e, i, "a value");
		if (function_cast(b, nd, i, TYPE_STRING))
			return -1;
	}
	nd->type = TYPE_STRING;
	nd->fn = eval_concat;
	return 0;
}

static int
eval_contains(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);
		struct str part = VEC_AT(c->args[1], struct str, i);

		out[i] = memmem(s.p, s.len, part.p, part.len) != NULL;
	}
	return 0;
}

static int
bind_contains(struct binder *b, struct node *nd, const struct expr *e)
{
	for (size_t i = 0; i < 2; i++) {
		if (nd->args[i]->type == TYPE_CIDR)
			return function_want(b, nd, e, i, "a string");
		if (function_cast(b, nd, i, TYPE_STRING))
			return -1;
	}
	nd->type = TYPE_BOOL;
	nd->fn = eval_contains;
	return 0;
}

/* substr(s, from[, n]): from 1, or from the end if negative. */
static int
eval_substr(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);
		int64_t len = (int64_t)s.len;
		int64_t from = VEC_AT(c->args[1], int64_t, i);
		int64_t n = len;

		if (c->nd->n > 2)
			n = VEC_AT(c->args[2], int64_t, i);
		from = from < 0 ? (from < -len ? 0 : len + from)
				: (from ? from - 1 : 0);
		if (from > len)
			from = len;
		if (n < 0)
			n = 0;
		if (n > len - from)
			n = len - from;
		out[i] = (struct str){s.p + from, (size_t)n};
	}
	return 0;
}

static int
bind_substr(struct binder *b, struct node *nd, const struct expr *e)
{
	if (nd->args[0]->type != TYPE_STRING && nd->args[0]->type != TYPE_NULL)
		return function_want(b, nd, e, 0, "a string");
	for (size_t i = 1; i < nd->n; i++) {
		if (function_whole(b, nd, e, i))
			return -1;
	}
	nd->type = TYPE_STRING;
	nd->fn = eval_substr;
	return 0;
}

static int
bind_typeof(struct binder *b, struct node *nd, const struct expr *e)
{
	const char *name = expr_type_word(nd->args[0]->type);
	struct literal lit = {.type = TYPE_STRING, .s = {name, strlen(name)}};
	struct node *l = node_literal(b, &lit);

	(void)e;
	if (!l)
		return -1;
	*nd = *l;
	return 0;
}

/*
 * Addresses.
 */

/* The first bits of an address: of 32 for IPv4, of 128 for IPv6. */
static int
eval_network(struct call *c)
{
	bool v4 = c->nd->type == TYPE_IPV4;
	void *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t bits = VEC_AT(c->args[1], uint64_t, i);

		if (v4) {
			uint64_t a = VEC_AT(c->args[0], uint64_t, i);
			uint64_t mask =
			    bits ? ~UINT64_C(0) << (bits > 32 ? 0 : 32 - bits)
				 : 0;

			((uint64_t *)out)[i] = a & mask;
		} else {
			u128 a = VEC_AT(c->args[0], u128, i);

			if (a >> 32 == 0xffff)
				bits = bits > 32 ? 128 : bits + 96;
			if (bits < 128)
				a &= bits ? ~(u128)0 << (128 - bits) : 0;
			((u128 *)out)[i] = a;
		}
	}
	return 0;
}

static int
bind_network(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t != TYPE_IPV4 && t != TYPE_IP && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "an address");
	if (nd->args[1]->type != TYPE_UINT && nd->args[1]->type != TYPE_NULL)
		return function_want(b, nd, e, 1, "a prefix length");
	nd->type = t;
	nd->fn = eval_network;
	return 0;
}

static int
eval_ip(struct call *c)
{
	u128 *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);

		out[i] = 0;
		if (literal_ip(s.p, s.len, &out[i]))
			null[i] = 1;
	}
	return 0;
}

static int
bind_ip(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t == TYPE_IP || t == TYPE_IPV4 || t == TYPE_NULL) {
		*nd = *nd->args[0];
		return 0;
	}
	if (t != TYPE_STRING)
		return function_want(b, nd, e, 0, "a string");
	nd->type = TYPE_IP;
	nd->nullable = true;
	nd->fn = eval_ip;
	return 0;
}

static bool
in_net(u128 ip, u128 net, int bits)
{
	return (ip ^ net) >> (128 - bits) == 0;
}

/* RFC 1918, RFC 4193, loopback and link local. */
static bool
is_private(u128 ip)
{
	static const struct {
		uint32_t net;
		int bits;
	} v4[] = {{0x0a000000, 8},
		  {0xac100000, 12},
		  {0xc0a80000, 16},
		  {0x7f000000, 8},
		  {0xa9fe0000, 16}};

	if (ip >> 32 != 0xffff)
		return in_net(ip, (u128)0xfc << 120, 7) ||
		       in_net(ip, (u128)0xfe80 << 112, 10) || ip == 1;
	for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
		if (in_net(ip, (u128)0xffff << 32 | v4[i].net, 96 + v4[i].bits))
			return true;
	return false;
}

static int
eval_is_private(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = is_private(VEC_AT(c->args[0], u128, i));
	return 0;
}

static int
bind_is_private(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t != TYPE_IPV4 && t != TYPE_IP && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "an address");
	nd->type = TYPE_BOOL;
	nd->fn = eval_is_private;
	return function_cast(b, nd, 0, TYPE_IP);
}

/*
 * Times.
 */

static int
bind_now(struct binder *b, struct node *nd, const struct expr *e)
{
	struct literal lit = {.type = TYPE_TIME, .i = b->now};
	struct node *l = node_literal(b, &lit);

	(void)e;
	if (!l)
		return -1;
	*nd = *l;
	return 0;
}

/* Seconds since 1970 as a time. */
static int
eval_from_epoch(struct call *c)
{
	int64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		double us = round(VEC_AT(c->args[0], double, i) * 1e6);
		bool fits = us > -9.2e18 && us < 9.2e18;

		out[i] = fits ? (int64_t)us : 0;
		null[i] |= !fits;
	}
	return 0;
}

static int
bind_epoch(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (is_number(t)) {
		nd->type = TYPE_TIME;
		nd->nullable = true;
		nd->fn = eval_from_epoch;
		return function_cast(b, nd, 0, TYPE_REAL);
	}
	if (t != TYPE_TIME && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "a time or seconds");
	/* A time since 1970 is a duration, and that is seconds. */
	nd->type = TYPE_REAL;
	nd->args[0] = node_binary(
	    b, EXPR_SUB, nd->args[0],
	    node_literal(b, &(struct literal){.type = TYPE_TIME}), e);
	nd->fn = eval_double;
	nd->nullable = true;
	return nd->args[0] ? function_cast(b, nd, 0, TYPE_REAL) : -1;
}

const struct function functions[] = {
    {"abs", "(number)", 1, 1, bind_abs},
    {"bits", "(octets)", 1, 1, function_bits},
    {"case", "(condition, value, ..., else)", 2, 65, bind_case_of},
    {"ceil", "(number)", 1, 1, bind_real},
    {"concat", "(value, ...)", 1, 64, bind_concat},
    {"contains", "(text, part)", 2, 2, bind_contains},
    {"date", "(text, format)", 1, 2, function_date},
    {"dateadd", "(time, unit, number)", 3, 3, function_dateadd},
    {"datediff", "(from, to, unit)", 3, 3, function_datediff},
    {"datepart", "(time, unit)", 2, 2, function_datepart},
    {"datetrunc", "(time, span)", 2, 2, function_datetrunc},
    {"double", "(number or text)", 1, 1, bind_real},
    {"epoch", "(time or seconds)", 1, 1, bind_epoch},
    {"floor", "(number)", 1, 1, bind_real},
    {"if", "(condition, then, else)", 3, 3, bind_if},
    {"int", "(number or text)", 1, 1, bind_int},
    {"ip", "(text)", 1, 1, bind_ip},
    {"is_private", "(address)", 1, 1, bind_is_private},
    {"isnotnull", "(value)", 1, 1, bind_isnull},
    {"isnull", "(value)", 1, 1, bind_isnull},
    {"len", "(text)", 1, 1, bind_len},
    {"log", "(number)", 1, 1, bind_real},
    {"log10", "(number)", 1, 1, bind_real},
    {"long", "(number or text)", 1, 1, bind_int},
    {"lower", "(text)", 1, 1, bind_text},
    {"match", "(text, regular expression)", 2, 2, function_match},
    {"max", "(a, b)", 2, 2, bind_extreme},
    {"min", "(a, b)", 2, 2, bind_extreme},
    {"network", "(address, bits)", 2, 2, bind_network},
    {"now", "()", 0, 0, bind_now},
    {"nvl", "(value, ...)", 1, 64, bind_nvl},
    {"pow", "(number, number)", 2, 2, bind_pow},
    {"port_name", "(port)", 1, 1, function_number_name},
    {"proto_name", "(protocol)", 1, 1, function_number_name},
    {"replace", "(text, from, to)", 3, 3, function_replace},
    {"round", "(number, digits)", 1, 2, bind_real},
    {"split", "(text, between, n)", 3, 3, function_split},
    {"sqrt", "(number)", 1, 1, bind_real},
    {"str", "(value) or (time, format)", 1, 2, bind_text},
    {"substr", "(text, from, length)", 2, 3, bind_substr},
    {"tcp_flags_name", "(flags)", 1, 1, function_flags_name},
    {"trim", "(text)", 1, 1, bind_text},
    {"typeof", "(value)", 1, 1, bind_typeof},
    {"upper", "(text)", 1, 1, bind_text},
    {NULL, NULL, 0, 0, NULL},
};

const struct function *
function_find(const char *name)
{
	for (const struct function *f = functions; f->name; f++)
		if (strcasecmp(f->name, name) == 0)
			return f;
	return NULL;
}
