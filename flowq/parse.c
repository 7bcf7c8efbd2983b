/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/parse.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

void *
parse_grow(struct lexer *l, void *list, size_t n, size_t size)
{
	void *more = list;

	/* Full at each power of two. */
	if ((n & (n - 1)) == 0) {
		more = arena_zalloc(l->arena, (n ? 2 * n : 1) * size);
		if (!more)
			lexer_fail(l, l->tok.pos, "out of memory");
		else if (n)
			memcpy(more, list, n * size);
	}
	return more;
}

int
parse_count(struct lexer *l, uint64_t *v)
{
	if (l->tok.type != TOKEN_LITERAL || l->tok.lit.type != TYPE_UINT)
		return lexer_expected(l, "a number of rows");
	*v = l->tok.lit.u;
	lexer_next(l);
	return 0;
}

bool
parse_option(struct lexer *l, const char *name)
{
	struct lexer ahead = *l;

	if (!lexer_take_word(&ahead, name) || !lexer_take(&ahead, '='))
		return false;
	*l = ahead;
	return true;
}

int
parse_name(struct lexer *l, const char **name)
{
	if (l->tok.type != TOKEN_NAME || expr_reserved(&l->tok))
		return lexer_expected(l, "a name");
	*name = arena_strndup(l->arena, l->tok.name.p, l->tok.name.len);
	if (!*name)
		return lexer_fail(l, l->tok.pos, "out of memory");
	lexer_next(l);
	return 0;
}

int
parse_title(struct lexer *l, size_t pos, const char **name)
{
	size_t end = l->end;

	if (lexer_take_word(l, "as")) {
		if (l->tok.type == TOKEN_LITERAL &&
		    l->tok.lit.type == TYPE_STRING && l->tok.lit.s.len) {
			*name = arena_strndup(l->arena, l->tok.lit.s.p,
					      l->tok.lit.s.len);
			if (!*name)
				return lexer_fail(l, pos, "out of memory");
			lexer_next(l);
			return 0;
		}
		return parse_name(l, name);
	}
	if (end > pos + 1 && l->text[pos] == '`' && l->text[end - 1] == '`') {
		pos++;
		end--;
	}
	*name = expr_text(l, pos, end - pos);
	return *name ? 0 : -1;
}

/*
 * The source.
 */

struct table_parse {
	struct lexer *l;
	struct source_command *s;
	int64_t now;
	bool ranged; /* from or to was given */
	bool lasting;
};

static int
option_time(struct table_parse *p, struct str value, size_t pos, int64_t *us)
{
	p->ranged = true;
	if (literal_time(value.p, value.len, p->now, us))
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
	if (__builtin_sub_overflow(p->now, us, &p->s->spec.from))
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
	struct source_command *s = p->s;
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

/* ["table"] (NAME "=" VALUE)* NAME ["?"] ("," NAME ["?"])* */
static int
parse_table(struct lexer *l, int64_t now, struct source_command *s)
{
	struct table_parse p = {.l = l, .s = s, .now = now};
	size_t pos = l->tok.pos;

	s->spec.from = INT64_MIN;
	s->spec.to = INT64_MAX;
	s->limit = UINT64_MAX;
	do {
		struct str word;

		for (;;) {
			pos = l->tok.pos;
			word = lexer_word(l, "=");
			if (word.len == 0)
				return lexer_expected(l, "the name of a table");
			if (l->tok.type != '=')
				break;
			if (parse_table_option(&p, word, pos))
				return -1;
		}
		if (add_table(&p, word, pos))
			return -1;
	} while (lexer_take(l, ','));
	if (p.ranged && p.lasting)
		return lexer_fail(l, pos,
				  "duration does not go with from and "
				  "to");
	return 0;
}

/*
 * The whole.
 */

/* NAME ... as the verb says */
static int
parse_command(struct lexer *l, struct command **tail)
{
	struct command *c = arena_zalloc(l->arena, sizeof(*c));
	struct token t = l->tok;

	if (!c)
		return lexer_fail(l, t.pos, "out of memory");
	if (t.type != TOKEN_NAME)
		return lexer_expected(l, "a command");
	c->verb = verb_find(t.name.p, t.name.len);
	if (!c->verb)
		return lexer_fail(l, t.pos,
				  "there is no command %.*s (there are %s)",
				  (int)(t.name.len > 40 ? 40 : t.name.len),
				  t.name.p, verb_names());
	c->pos = t.pos;
	lexer_next(l);
	*tail = c;
	return c->verb->parse(l, &c->args);
}

/* ["query"] ["explain"] "table" table ("|" command)* */
int
query_parse(struct lexer *l, int64_t now, struct query *q)
{
	struct command **tail = &q->commands;

	*q = (struct query){0};
	lexer_take_word(l, "query");
	q->explain = lexer_take_word(l, "explain");
	if (!lexer_is(l, "table"))
		return lexer_expected(l, "table");
	/* The next token is a word of its own kind: do not lex it here. */
	lexer_next(l);
	if (parse_table(l, now, &q->source))
		return -1;
	while (lexer_take(l, '|')) {
		if (parse_command(l, tail))
			return -1;
		tail = &(*tail)->next;
	}
	if (l->tok.type != TOKEN_END)
		return lexer_expected(l, "| or the end");
	return 0;
}
