/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "flowq/lookup.h"

/*
 * The columns that it adds are expressions: rows pass one by one.
 */

enum { PATH_ROOM = 4096 };

static const char usual_places[] =
    "/etc/flow/lookup:/var/lib/GeoIP:/usr/share/GeoIP";

struct lookup_args {
	const char *name;
	struct expr *key;
	size_t key_pos;
	const char *column; /* the key's name in the file */
	bool chosen;
	size_t n;
	struct lookup_output {
		const char *column, *as;
		size_t pos;
	} * outputs;
	size_t pos;
};

static bool
ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcasecmp(s + n - m, end);
}

/* MaxMind's own name of a database: country is GeoLite2-Country. */
static void
maxmind_name(const char *name, char *buf, size_t size)
{
	bool as = !strcasecmp(name, "as") || !strcasecmp(name, "asn");

	snprintf(buf, size, "GeoLite2-%s", as ? "ASN" : name);
	if (buf[9])
		buf[9] = (char)toupper((unsigned char)buf[9]);
}

/* The file that NAME stands for, in the places where they are. */
static int
find_file(const char *name, char *path, struct err *err)
{
	static const char *const endings[] = {"csv", "mmdb"};
	const char *dirs = getenv("FLOW_LOOKUP");
	char other[256];

	if (strchr(name, '/') || ends_in(name, ".csv") ||
	    ends_in(name, ".mmdb")) {
		snprintf(path, PATH_ROOM, "%s", name);
		return 0;
	}
	if (!dirs || !*dirs)
		dirs = usual_places;
	maxmind_name(name, other, sizeof other);
	for (const char *d = dirs; *d;) {
		size_t len = strcspn(d, ":");

		for (int i = 0; i < 4; i++) {
			snprintf(path, PATH_ROOM, "%.*s/%s.%s", (int)len, d,
				 i < 2 ? name : other, endings[i & 1]);
			if (access(path, F_OK) == 0)
				return 0;
		}
		d += len + (d[len] == ':');
	}
	return err_set(err,
		       "no file %.60s.csv or %.60s.mmdb in %.200s (FLOW_LOOKUP "
		       "says where they are; a path may be given too)",
		       name, name, dirs);
}

static struct lookup *
open_lookup(struct plan *p, const struct lookup_args *a)
{
	char path[PATH_ROOM], *copy;

	if (p->site->open || find_file(a->name, path, p->lexer->err)) {
		plan_fail(p);
		return NULL;
	}
	copy = arena_strndup(p->arena, path, strlen(path));
	if (!copy) {
		plan_oom(p);
		return NULL;
	}
	if (ends_in(copy, ".mmdb"))
		return lookup_maxmind(p, copy);
	return lookup_csv(p, copy, a->column, a->chosen, a->pos);
}

static int
lookup_plan(struct plan *p, const struct command *c)
{
	const struct lookup_args *a = c->args;
	struct node *key = plan_bind(p, a->key);
	struct node **values =
	    arena_alloc(p->arena, (a->n + 1) * sizeof(struct node *));
	struct lookup *l;

	if (!key)
		return -1;
	if (!values)
		return plan_oom(p);
	l = open_lookup(p, a);
	if (!l)
		return -1;
	key = l->key(l, p, key, a->key_pos);
	if (!key)
		return -1;
	/* The key may be a column that an output replaces. */
	for (size_t i = 0; i < a->n; i++) {
		const struct lookup_output *o = &a->outputs[i];

		values[i] = l->value(l, p, key, o->column, o->pos);
		if (!values[i])
			return -1;
	}
	for (size_t i = 0; i < a->n; i++)
		if (plan_set(p, a->outputs[i].as, values[i]))
			return -1;
	return 0;
}

/* NAME ["as" NAME] */
static int
parse_output(struct lexer *l, struct lookup_args *a)
{
	struct lookup_output *o = parse_grow(l, a->outputs, a->n, sizeof(*o));

	if (!o)
		return -1;
	a->outputs = o;
	o += a->n++;
	o->pos = l->tok.pos;
	if (parse_name(l, &o->column))
		return -1;
	o->as = o->column;
	return lexer_take_word(l, "as") ? parse_name(l, &o->as) : 0;
}

/* FILE field ["as" NAME] "output" output ("," output)* */
static int
lookup_parse(struct lexer *l, void **out)
{
	struct lookup_args *a = arena_zalloc(l->arena, sizeof(*a));

	if (!a)
		return lexer_fail(l, l->tok.pos, "out of memory");
	*out = a;
	a->pos = l->tok.pos;
	if (parse_path(l, "the name of a lookup, or the path of its file",
		       &a->name))
		return -1;
	a->key_pos = l->tok.pos;
	a->key = expr_parse_name(l);
	if (!a->key)
		return -1;
	a->column = a->key->name;
	a->chosen = lexer_take_word(l, "as");
	if (a->chosen && parse_name(l, &a->column))
		return -1;
	if (!lexer_take_word(l, "output"))
		return lexer_expected(l, "output");
	do {
		if (parse_output(l, a))
			return -1;
	} while (lexer_take(l, ','));
	return 0;
}

static enum verb_class
lookup_class(const void *args)
{
	(void)args;
	return VERB_STATELESS;
}

const struct verb verb_lookup = {
    "lookup",	  "lookup FILE K output F, ...", lookup_parse, lookup_plan,
    lookup_class,
};
