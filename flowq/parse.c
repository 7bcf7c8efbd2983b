/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/parse.h"

#include <string.h>
#include <strings.h>

#include "common/nearest.h"

enum { QUERY_DEPTH_MAX = 20 };

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
parse_bool(struct lexer *l, bool *v)
{
	static const char *const words[] = {"t", "true",  "yes", "on",	"1",
					    "f", "false", "no",	 "off", "0"};
	size_t pos = l->tok.pos;
	struct str s = lexer_word(l, "=");

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == s.len &&
		    !strncasecmp(words[i], s.p, s.len)) {
			*v = i < 5;
			return 0;
		}
	return lexer_fail(l, pos, "expected t or f");
}

int
parse_path(struct lexer *l, const char *what, const char **path)
{
	size_t pos = l->tok.pos;
	struct str s = lexer_word(l, "");

	if (s.len == 0)
		return lexer_expected(l, what);
	if (memchr(s.p, 0, s.len))
		return lexer_fail(l, pos, "expected %s, found a NUL", what);
	*path = arena_strndup(l->arena, s.p, s.len);
	return *path ? 0 : lexer_fail(l, pos, "out of memory");
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
 * The whole.
 */

static int
no_command(struct lexer *l, bool first)
{
	const struct token *t = &l->tok;
	struct nearest near;
	char hint[NEAREST_HINT], names[ERR_MAX / 2];
	const char *name;

	nearest_init(&near, t->name.p, t->name.len);
	for (size_t i = 0; (name = verb_name(first, i)); i++)
		nearest_try(&near, name);
	nearest_hint(&near, hint, sizeof hint);
	verb_names(first, names, sizeof names);
	if (first)
		return lexer_fail(l, t->pos, "expected %s, found %.*s%s", names,
				  (int)(t->name.len > 40 ? 40 : t->name.len),
				  t->name.p, hint);
	if (nearest_name(&near))
		return lexer_fail(l, t->pos, "there is no command %.*s%s",
				  (int)(t->name.len > 40 ? 40 : t->name.len),
				  t->name.p, hint);
	return lexer_fail(l, t->pos, "there is no command %.*s; there are %s",
			  (int)(t->name.len > 40 ? 40 : t->name.len), t->name.p,
			  names);
}

/* NAME ... as the verb says */
static int
parse_command(struct lexer *l, bool first, struct command **tail)
{
	struct command *c = arena_zalloc(l->arena, sizeof(*c));
	struct token t = l->tok;

	if (!c) {
		lexer_fail(l, t.pos, "out of memory");
		return -1;
	}
	if (t.type != TOKEN_NAME) {
		lexer_expected(l,
			       first ? "a source (table NAME)" : "a command");
		return -1;
	}
	c->verb = verb_find(first, t.name.p, t.name.len);
	if (!c->verb) {
		no_command(l, first);
		return -1;
	}
	c->pos = t.pos;
	lexer_next(l);
	*tail = c;
	return c->verb->parse(l, &c->args);
}

/* command ("|" command)* */
static int
parse_commands(struct lexer *l, struct query *q)
{
	struct command **tail = &q->commands;

	do {
		if (parse_command(l, !q->commands, tail))
			return -1;
		tail = &(*tail)->next;
	} while (lexer_take(l, '|'));
	return 0;
}

int
parse_nested(struct lexer *l, struct query **out)
{
	struct query *q = arena_zalloc(l->arena, sizeof(*q));
	size_t pos = l->tok.pos;

	if (!q)
		return lexer_fail(l, pos, "out of memory");
	*out = q;
	if (l->tok.type != '[')
		return lexer_expected(l, "a query in brackets");
	if (++l->depth > QUERY_DEPTH_MAX)
		return lexer_fail(l, pos, "queries nested too deep");
	lexer_next(l);
	lexer_take_word(l, "query");
	if (lexer_is(l, "explain"))
		return lexer_fail(l, l->tok.pos,
				  "explain stands before the whole query, and "
				  "tells of what is in brackets too");
	if (parse_commands(l, q))
		return -1;
	l->depth--;
	return lexer_take(l, ']') ? 0 : lexer_expected(l, "| or ]");
}

/* ["query"] ["explain"] commands */
int
query_parse(struct lexer *l, struct query *q)
{
	*q = (struct query){0};
	lexer_take_word(l, "query");
	q->explain = lexer_take_word(l, "explain");
	if (parse_commands(l, q))
		return -1;
	if (l->tok.type != TOKEN_END)
		return lexer_expected(l, "| or the end");
	return 0;
}
