/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/complete.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/function.h"
#include "common/table.h"
#include "flowq/aggregate.h"
#include "flowq/help.h"
#include "flowq/verb.h"

struct complete {
	const struct settings *set;
	const char *before;
	size_t before_len;
	/* The fields behind the text KEY. */
	char *key;
	char **fields;
	size_t nfields;
};

struct list {
	char **words;
	size_t n, cap;
};

static void
add_len(struct list *l, const char *word, size_t len, const char *more)
{
	char *w;

	if (l->n + 1 >= l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		char **p = realloc(l->words, cap * sizeof(*p));

		if (!p)
			return;
		l->words = p;
		l->cap = cap;
	}
	w = malloc(len + strlen(more) + 1);
	if (!w)
		return;
	memcpy(w, word, len);
	memcpy(w + len, more, strlen(more) + 1);
	l->words[l->n++] = w;
	l->words[l->n] = NULL;
}

static void
add(struct list *l, const char *word)
{
	add_len(l, word, strlen(word), "");
}

/* An empty list, so that no files are offered. */
static char **
words_of(struct list *l)
{
	if (!l->words)
		l->words = calloc(1, sizeof(*l->words));
	return l->words;
}

struct complete *
complete_new(const struct settings *set)
{
	struct complete *c = calloc(1, sizeof(*c));

	if (c) {
		c->set = set;
		c->before = "";
	}
	return c;
}

static void
forget(struct complete *c)
{
	for (size_t i = 0; i < c->nfields; i++)
		free(c->fields[i]);
	free(c->fields);
	free(c->key);
	c->key = NULL;
	c->fields = NULL;
	c->nfields = 0;
}

void
complete_free(struct complete *c)
{
	if (c)
		forget(c);
	free(c);
}

void
complete_before(struct complete *c, const char *text, size_t len)
{
	if (!c)
		return;
	c->before = text;
	c->before_len = len;
}

/*
 * Where in the query it is.
 */

struct spot {
	size_t query;	/* where the query that it is in begins */
	size_t command; /* where the command does */
	bool first;	/* the command is a source */
};

enum { DEPTH_MAX = 20 };

/* Bars and brackets that are in no string or comment. */
static struct spot
find_spot(const char *p, size_t len)
{
	struct spot stack[DEPTH_MAX + 1] = {{0, 0, true}};
	size_t depth = 0;
	char quote = 0;

	for (size_t i = 0; i < len; i++) {
		if (quote) {
			if (p[i] == '\\' && quote == '"')
				i++;
			else if (p[i] == quote)
				quote = 0;
		} else if (p[i] == '"' || p[i] == '`') {
			quote = p[i];
		} else if (p[i] == '|') {
			stack[depth].command = i + 1;
			stack[depth].first = false;
		} else if (p[i] == '[' && depth < DEPTH_MAX) {
			stack[++depth] = (struct spot){i + 1, i + 1, true};
		} else if (p[i] == ']' && depth > 0) {
			depth--;
		}
	}
	return stack[depth];
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The word at *AT, which goes on behind it. */
static size_t
word_at(const char *p, size_t len, size_t *at, const char **w)
{
	while (*at < len && blank(p[*at]))
		++*at;
	*w = p + *at;
	while (*at < len && !blank(p[*at]))
		++*at;
	return (size_t)(p + *at - *w);
}

static bool
is(const char *w, size_t len, const char *text)
{
	return strlen(text) == len && !strncasecmp(w, text, len);
}

/*
 * Words.
 */

static void
add_verbs(struct list *l, bool first)
{
	const char *name;

	for (size_t i = 0; (name = verb_name(first, i)); i++)
		add(l, name);
}

static void
add_topics(struct list *l)
{
	const char *name;

	for (size_t i = 0; (name = help_topic(i)); i++)
		add(l, name);
}

static void
add_tables(struct complete *c, struct list *l)
{
	static const char *const options[] = {
	    "from=", "to=", "duration=", "order=", "offset=", "limit=", NULL};
	struct err err;
	char **names;
	size_t n;

	if (table_names(c->set->site.root, &names, &n, &err) == 0) {
		for (size_t i = 0; i < n; i++)
			add(l, names[i]);
		table_names_free(names, n);
	}
	for (const char *const *o = options; *o; o++)
		add(l, *o);
}

static void
add_aggregates(struct list *l)
{
	const char *p = aggregate_names();

	while (*p) {
		size_t n = strcspn(p, ", (");

		if (n)
			add_len(l, p, n, "(");
		p += n;
		p += strspn(p, ", ()xyp");
	}
}

/* The fields that rows have behind the text. */
static void
add_fields(struct complete *c, struct list *l, const char *p, size_t len)
{
	if (!c->key || strlen(c->key) != len || memcmp(c->key, p, len) != 0) {
		forget(c);
		c->key = strndup(p, len);
		session_columns(c->set, p, len, &c->fields, &c->nfields);
	}
	for (size_t i = 0; i < c->nfields; i++)
		add(l, c->fields[i]);
}

static void
add_expression(struct list *l, bool aggregates)
{
	static const char *const words[] = {"and", "as",  "by",	  "has", "in",
					    "not", "now", "null", "or",	 NULL};

	for (const char *const *w = words; *w; w++)
		add(l, *w);
	for (const struct function *f = functions; f->name; f++)
		add_len(l, f->name, strlen(f->name), "(");
	if (aggregates)
		add_aggregates(l);
}

static bool
is_file_command(const char *w, size_t len)
{
	static const char *const names[] = {"csvfile", "jsonfile", "outputcsv",
					    "outputjson", NULL};

	for (const char *const *n = names; *n; n++)
		if (is(w, len, *n))
			return true;
	return false;
}

/* What may follow a command's name. */
static void
add_arguments(struct complete *c, struct list *l, const char *text,
	      const struct spot *s, const char *w, size_t len)
{
	static const char *const topics[] = {"tables",	  "count",   "disk",
					     "exporters", "loggers", "pipeline",
					     NULL};
	size_t end = s->command;

	if (is(w, len, "table")) {
		add_tables(c, l);
		return;
	}
	if (is(w, len, "system")) {
		for (const char *const *t = topics; *t; t++)
			add(l, *t);
		return;
	}
	/* Without the bar before this command. */
	if (end > s->query)
		add_fields(c, l, text + s->query, end - 1 - s->query);
	add_expression(l, is(w, len, "stats") || is(w, len, "timechart") ||
			      is(w, len, "top"));
}

static void
complete_text(struct complete *c, struct list *l, const char *text, size_t len,
	      bool *files)
{
	struct spot s = find_spot(text, len);
	size_t at = s.command, n;
	const char *w;

	n = word_at(text, len, &at, &w);
	if (s.first && s.query == 0 && is(w, n, "help")) {
		add_topics(l);
		return;
	}
	while (s.first && (is(w, n, "query") || is(w, n, "explain")))
		n = word_at(text, len, &at, &w);
	if (n == 0) {
		add_verbs(l, s.first);
		if (s.first && s.query == 0) {
			add(l, "explain");
			add(l, "help");
		}
	} else if (is_file_command(w, n)) {
		*files = true;
	} else {
		add_arguments(c, l, text, &s, w, n);
	}
}

/* Sorting downwards: the words, with a minus before them. */
static void
put_minus(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		size_t len = strlen(l->words[i]) + 1;
		char *w = realloc(l->words[i], len + 1);

		if (!w)
			return;
		memmove(w + 1, w, len);
		*w = '-';
		l->words[i] = w;
	}
}

/* Whether a word that begins with the text goes on at once: an option, a
 * function. */
static bool
goes_on(const struct list *l, const char *text, size_t len)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *w = l->words[i];
		char last = *w ? w[strlen(w) - 1] : 0;

		if (!strncasecmp(w, text, len) && (last == '(' || last == '='))
			return true;
	}
	return false;
}

char **
complete_words(void *ctx, const char *line, size_t start, size_t end,
	       char *append)
{
	struct complete *c = ctx;
	struct list l = {0};
	bool files = false;
	char *text;

	text = c ? malloc(c->before_len + start + 1) : NULL;
	if (!text)
		return words_of(&l);
	memcpy(text, c->before, c->before_len);
	memcpy(text + c->before_len, line, start);
	complete_text(c, &l, text, c->before_len + start, &files);
	free(text);
	if (start < end && line[start] == '-')
		put_minus(&l);
	*append = goes_on(&l, line + start, end - start) ? 0 : ' ';
	return files ? NULL : words_of(&l);
}
