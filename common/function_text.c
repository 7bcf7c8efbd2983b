/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of strings, and names of numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/function_bind.h"
#include "common/regex.h"
#include "common/service.h"
#include "common/text.h"

/*
 * match(text, regular expression)
 */

static int
eval_match(struct call *c)
{
	uint8_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		struct str s = VEC_AT(c->args[0], struct str, i);

		out[i] = regex_match(c->nd->data, s.p, s.len);
	}
	return 0;
}

int
function_match(struct binder *b, struct node *nd, const struct expr *e)
{
	struct str pattern;

	if (nd->args[0]->type == TYPE_CIDR)
		return function_want(b, nd, e, 0, "a value");
	if (function_literal(b, nd, e, 1, "a regular expression", &pattern))
		return -1;
	nd->data = regex_new(b->arena, pattern.p, pattern.len, b->err);
	if (!nd->data) {
		b->err_pos = e->args[1]->pos;
		return -1;
	}
	nd->type = TYPE_BOOL;
	nd->fn = eval_match;
	return function_cast(b, nd, 0, TYPE_STRING);
}

/*
 * replace(text, from, to)
 */

static size_t
count_parts(struct str s, struct str part)
{
	const char *p = s.p, *end = s.p + s.len;
	size_t n = 0;

	if (part.len && s.len)
		while ((p = memmem(p, (size_t)(end - p), part.p, part.len))) {
			p += part.len;
			n++;
		}
	return n;
}

static int
replace_one(struct call *c, struct str s, uint32_t i, struct str *out)
{
	struct str from = VEC_AT(c->args[1], struct str, i);
	struct str to = VEC_AT(c->args[2], struct str, i);
	size_t n = count_parts(s, from);
	const char *end = s.p + s.len, *at;
	char *p;

	*out = s;
	if (n == 0)
		return 0;
	out->len = s.len - n * from.len + n * to.len;
	if (out->len > UINT32_MAX)
		return err_set(c->e->err, "replace: a string above 4 GiB");
	out->p = p = arena_bytes(c->e->arena, out->len + 1);
	if (!p)
		return eval_oom(c->e);
	while ((at = memmem(s.p, (size_t)(end - s.p), from.p, from.len))) {
		memcpy(p, s.p, (size_t)(at - s.p));
		p += at - s.p;
		memcpy(p, to.p, to.len);
		p += to.len;
		s.p = at + from.len;
	}
	memcpy(p, s.p, (size_t)(end - s.p));
	return 0;
}

static int
eval_replace(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		if (replace_one(c, VEC_AT(c->args[0], struct str, i), i,
				&out[i]))
			return -1;
	return 0;
}

static int
want_strings(struct binder *b, const struct node *nd, const struct expr *e,
	     size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (nd->args[i]->type != TYPE_STRING &&
		    nd->args[i]->type != TYPE_NULL)
			return function_want(b, nd, e, i, "a string");
	return 0;
}

int
function_replace(struct binder *b, struct node *nd, const struct expr *e)
{
	nd->type = TYPE_STRING;
	nd->fn = eval_replace;
	return want_strings(b, nd, e, 3);
}

/*
 * split(text, between, n): the n-th part, from 1, or from the end if negative;
 * null if there are not so many.
 */

static bool
nth_part(struct str s, struct str between, int64_t n, struct str *out)
{
	size_t parts = count_parts(s, between) + 1;
	const char *end = s.p + s.len, *at;

	*out = s;
	if (n < 0)
		n += (int64_t)parts + 1;
	if (parts == 1 || n < 1 || n > (int64_t)parts)
		return n == 1;
	for (; n > 1; n--) {
		at = memmem(s.p, (size_t)(end - s.p), between.p, between.len);
		s.p = at + between.len;
	}
	at = memmem(s.p, (size_t)(end - s.p), between.p, between.len);
	*out = (struct str){s.p, (size_t)((at ? at : end) - s.p)};
	return true;
}

static int
eval_split(struct call *c)
{
	struct str *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		out[i] = (struct str){"", 0};
		if (!null[i] &&
		    !nth_part(VEC_AT(c->args[0], struct str, i),
			      VEC_AT(c->args[1], struct str, i),
			      VEC_AT(c->args[2], int64_t, i), &out[i]))
			null[i] = 1;
	}
	return 0;
}

int
function_split(struct binder *b, struct node *nd, const struct expr *e)
{
	if (want_strings(b, nd, e, 2) || function_whole(b, nd, e, 2))
		return -1;
	nd->type = TYPE_STRING;
	nd->nullable = true;
	nd->fn = eval_split;
	return 0;
}

/*
 * Names of numbers.
 */

/* The number's name, or the number. */
static int
eval_number_name(struct call *c)
{
	bool port = c->nd->name[1] == 'o';
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t n = VEC_AT(c->args[0], uint64_t, i);
		const char *name = port ? port_name(n) : protocol_name(n);
		char *p;

		if (name) {
			out[i] = (struct str){name, strlen(name)};
			continue;
		}
		p = arena_bytes(c->e->arena, TEXT_MAX);
		if (!p)
			return eval_oom(c->e);
		out[i] = (struct str){p, text_u64(p, n)};
	}
	return 0;
}

static int
want_unsigned(struct binder *b, const struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	return t == TYPE_UINT || t == TYPE_NULL
		   ? 0
		   : function_want(b, nd, e, 0, "a whole number");
}

int
function_number_name(struct binder *b, struct node *nd, const struct expr *e)
{
	nd->type = TYPE_STRING;
	nd->fn = eval_number_name;
	/* port_name or proto_name: the function's own spelling */
	return want_unsigned(b, nd, e);
}

/* "syn,ack" */
static int
eval_flags_name(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t bits = VEC_AT(c->args[0], uint64_t, i);
		char *p = arena_bytes(c->e->arena, TEXT_MAX), *at = p;

		if (!p)
			return eval_oom(c->e);
		for (unsigned k = 0; tcp_flag_name(k); k++) {
			if (!(bits >> k & 1))
				continue;
			if (at > p)
				*at++ = ',';
			memcpy(at, tcp_flag_name(k), 3);
			at += 3;
		}
		out[i] = (struct str){p, (size_t)(at - p)};
	}
	return 0;
}

int
function_flags_name(struct binder *b, struct node *nd, const struct expr *e)
{
	nd->type = TYPE_STRING;
	nd->fn = eval_flags_name;
	return want_unsigned(b, nd, e);
}

/*
 * bits(octets): for people, "12.3M".
 */

static size_t
put_scaled(char *p, double v)
{
	static const char units[] = " KMGTPE";
	size_t n, k = 0;

	/* What would be printed as 1000.0 belongs to the next unit. */
	for (; fabs(v) >= 999.95 && units[k + 1]; k++)
		v /= 1000;
	n = (size_t)snprintf(p, TEXT_MAX - 2, "%.1f", v);
	if (n > 2 && p[n - 1] == '0' && p[n - 2] == '.')
		n -= 2;
	if (k)
		p[n++] = units[k];
	return n;
}

static int
eval_bits(struct call *c)
{
	struct str *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		char *p = arena_bytes(c->e->arena, TEXT_MAX);
		double v = VEC_AT(c->args[0], double, i);

		if (!p)
			return eval_oom(c->e);
		/* A null's value may be anything. */
		v = v > -1e30 && v < 1e30 ? 8 * v : 0;
		out[i] = (struct str){p, put_scaled(p, v)};
	}
	return 0;
}

int
function_bits(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t != TYPE_UINT && t != TYPE_INT && t != TYPE_REAL && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "a number");
	nd->type = TYPE_STRING;
	nd->fn = eval_bits;
	return function_cast(b, nd, 0, TYPE_REAL);
}
