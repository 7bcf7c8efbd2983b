/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "flowq/plan.h"
#include "flowq/source_table.h"

struct table_args {
	struct table_spec spec;
	uint64_t offset, limit; /* UINT64_MAX: none */
};

struct table_parse {
	struct lexer *l;
	struct table_args *s;
	bool ranged; /* from or to was given */
	bool lasting;
	size_t pos; /* of the last option */
};

static int
option_time(struct table_parse *p, struct str value, size_t pos, int64_t *us)
{
	p->ranged = true;
	if (literal_time(value.p, value.len, p->l->now, us))
		return lexer_fail(p->l, pos,
				  "expected a time (20261123, 202611231530, "
				  "2026-11-23T15:30, now-1h), found %.*s",
				  (int)value.len, value.p);
	return 0;
}

static int
option_duration(struct table_parse *p, struct str value, size_t pos)
{
	int64_t us;

	p->lasting = true;
	if (literal_duration(value.p, value.len, &us))
		return lexer_fail(p->l, pos,
				  "expected a duration (30s, 10m, 2h, 7d, "
				  "4w, 1mon), found %.*s",
				  (int)value.len, value.p);
	if (__builtin_sub_overflow(p->l->now, us, &p->s->spec.from))
		p->s->spec.from = INT64_MIN;
	return 0;
}

static int
option_order(struct table_parse *p, struct str value, size_t pos)
{
	bool asc = value.len == 3 && !strncasecmp(value.p, "asc", 3);

	if (!asc && (value.len != 4 || strncasecmp(value.p, "desc", 4) != 0))
		return lexer_fail(p->l, pos, "expected asc or desc, found %.*s",
				  (int)value.len, value.p);
	p->s->spec.ascending = asc;
	return 0;
}

static int
option_rows(struct table_parse *p, struct str value, size_t pos, uint64_t *n)
{
	if (text_read_u64(value.p, value.len, n))
		return lexer_fail(p->l, pos,
				  "expected a number of rows, found %.*s",
				  (int)value.len, value.p);
	return 0;
}

/* NAME "=" VALUE */
static int
parse_table_option(struct table_parse *p, struct str name, size_t pos)
{
	struct table_args *s = p->s;
	size_t at;
	struct str v;

	lexer_next(p->l); /* = */
	at = p->l->tok.pos;
	v = lexer_word(p->l, "");
	if (v.len == 0)
		return lexer_expected(p->l, "a value");
#define IS(word) \
	(name.len == strlen(word) && !strncasecmp(name.p, word, name.len))
	if (IS("from"))
		return option_time(p, v, at, &s->spec.from);
	if (IS("to"))
		return option_time(p, v, at, &s->spec.to);
	if (IS("duration"))
		return option_duration(p, v, at);
	if (IS("order"))
		return option_order(p, v, at);
	if (IS("offset"))
		return option_rows(p, v, at, &s->offset);
	if (IS("limit"))
		return option_rows(p, v, at, &s->limit);
#undef IS
	return lexer_fail(p->l, pos,
			  "table has no option %.*s (there are "
			  "from, to, duration, order, offset, limit)",
			  (int)name.len, name.p);
}

static int
add_table(struct table_parse *p, struct str name, size_t pos)
{
	struct table_spec *spec = &p->s->spec;
	struct table_name *t;

	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.p[i] < ' ')
			return lexer_fail(
			    p->l, pos,
			    "a control byte in a table's name (in "
			    "quotes \\ is written \\\\)");
	t = parse_grow(p->l, spec->names, spec->n, sizeof(*t));
	if (!t)
		return -1;
	spec->names = t;
	t += spec->n++;
	t->pos = pos;
	t->optional = name.len > 1 && name.p[name.len - 1] == '?';
	t->name = arena_strndup(p->l->arena, name.p, name.len - t->optional);
	return t->name ? 0 : lexer_fail(p->l, pos, "out of memory");
}

/* (NAME "=" VALUE)* NAME ["?"] */
static int
parse_one(struct table_parse *p)
{
	struct lexer *l = p->l;

	for (;;) {
		size_t pos = l->tok.pos;
		struct str word = lexer_word(l, "=");

		if (word.len == 0)
			return lexer_expected(l, "the name of a table");
		if (l->tok.type != '=')
			return add_table(p, word, pos);
		p->pos = pos;
		if (parse_table_option(p, word, pos))
			return -1;
	}
}

static bool
option_follows(struct lexer l)
{
	struct token t = l.tok;

	return t.type == TOKEN_NAME && (lexer_next(&l), l.tok.type == '=');
}

/* (NAME "=" VALUE)* NAME ["?"] ("," NAME ["?"])* */
static int
table_parse(struct lexer *l, void **out)
{
	struct table_args *a = arena_zalloc(l->arena, sizeof(*a));
	struct table_parse p = {.l = l, .s = a};

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	a->spec.from = INT64_MIN;
	a->spec.to = INT64_MAX;
	a->limit = UINT64_MAX;
	do {
		if (parse_one(&p))
			return -1;
	} while (lexer_take(l, ','));
	if (option_follows(*l))
		return lexer_fail(l, l->tok.pos,
				  "options stand before the name: table "
				  "duration=1h netflows");
	if (p.ranged && p.lasting)
		return lexer_fail(l, p.pos,
				  "duration does not go with from and to");
	return 0;
}

/* The time range, for blocks that straddle its ends. */
static int
add_range(struct plan *p, const struct table_spec *spec)
{
	struct literal lo = {.type = TYPE_TIME, .i = spec->from};
	struct literal hi = {.type = TYPE_TIME, .i = spec->to};
	struct range r = {scale_literal(&lo), scale_literal(&hi) - 1};

	if (spec->from == INT64_MIN && spec->to == INT64_MAX)
		return 0;
	return filter_add_range(p->filter, p->src, (size_t)p->src->time_field,
				r, p->lexer->err);
}

/* The time that rows are of: what was asked for, or else what there is. */
static struct period
period_of(const struct plan *p, const struct table_spec *spec)
{
	const struct source_field *f = &p->src->fields[p->src->time_field];
	struct period d = {spec->from, spec->to, 0};
	int64_t from, to;

	if (d.to == INT64_MAX && d.from != INT64_MIN)
		d.to = p->lexer->now;
	from = d.from;
	to = d.to;
	if ((from == INT64_MIN || to == INT64_MAX) && !f->bounded)
		return d;
	if (from == INT64_MIN)
		from = (int64_t)(f->bounds.lo - SCALE_ZERO);
	if (to == INT64_MAX)
		to = (int64_t)(f->bounds.hi - SCALE_ZERO);
	d.seconds = ((double)to - (double)from) / 1e6;
	if (d.seconds < 1)
		d.seconds = 1;
	return d;
}

static int
table_plan(struct plan *p, const struct command *c)
{
	const struct table_args *a = c->args;
	struct source *src;

	if (table_source_new(p->site->root, &a->spec, &src, p->lexer->err))
		return plan_fail(p);
	if (plan_source(p, src) || add_range(p, &a->spec))
		return -1;
	p->period = period_of(p, &a->spec);
	if (a->offset || a->limit != UINT64_MAX)
		return plan_limit(p, a->offset, a->limit);
	return 0;
}

static enum verb_class
table_class(const void *args)
{
	(void)args;
	return VERB_SOURCE;
}

const struct verb verb_table = {
    "table",	 "table [OPTION=VALUE ...] NAME, ...", table_parse, table_plan,
    table_class,
};
