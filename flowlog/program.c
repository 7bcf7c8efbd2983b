/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/program.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/element.h"
#include "common/field.h"
#include "common/flowfilter.h"
#include "common/load.h"
#include "common/log.h"

enum {
	BINDINGS = 8,	  /* sets of types that are kept */
	NOW_US = 1000000, /* how old the `now` of a binding may be */
};

/* A field as a binding met it: a slot of its nodes. */
struct use {
	const char *name;
	enum col_type type; /* COL_NULL: not there */
};

struct binding {
	struct arena arena;
	size_t n;
	struct use *uses;
	const struct node *node; /* NULL: the types do not fit */
	int64_t made;
};

/* A field that the text names. */
struct named {
	const char *name;
	bool seen;
};

/* What a slot holds in the window at hand. */
struct slot {
	const struct column *col;
	bool loaded;
	struct vec vec;
};

struct program {
	const char *label;
	enum program_kind kind;
	struct arena arena; /* the tree, and names */
	struct expr *expr;
	bool tells_time; /* `now` is in it */
	size_t nnamed;
	struct named *named;
	struct binding bindings[BINDINGS];
	size_t next; /* to be replaced */
	struct binding *bound;
	const struct view *view;
	struct log_limit unfit;
	/* evaluation */
	struct arena scratch;
	struct eval eval;
	uint32_t at;
	size_t nslots;
	struct slot *slots;
};

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/*
 * Names.
 */

/* A bind at work. */
struct scope {
	struct program *p;
	struct binding *b;
	struct binder binder;
	bool registry; /* types as the registry has them: there is no view */
};

static enum col_type
registry_type(const char *name)
{
	static const struct {
		const char *name;
		enum col_type type;
	} own[] = {
	    {"_time", COL_TIME},
	    {"_host", COL_STRING},
	    {"exporter", COL_IP},
	    {"exporter_port", COL_U16},
	    {"binding", COL_STRING},
	    {"source_id", COL_U32},
	    {"version", COL_U8},
	    {"sampling_rate", COL_U32},
	    {"start_time", COL_TIME},
	    {"end_time", COL_TIME},
	    {"sampling_source", COL_STRING},
	};
	static const enum col_type types[] = {
	    [ELEMENT_UNSIGNED] = COL_U64,
	    [ELEMENT_SIGNED] = COL_I64,
	    [ELEMENT_FLOAT] = COL_F64,
	    [ELEMENT_BOOLEAN] = COL_BOOL,
	    [ELEMENT_IPV4] = COL_IP,
	    [ELEMENT_IPV6] = COL_IP,
	    [ELEMENT_MAC] = COL_MAC,
	    [ELEMENT_STRING] = COL_STRING,
	    [ELEMENT_BYTES] = COL_BYTES,
	    [ELEMENT_SECONDS] = COL_TIME,
	    [ELEMENT_MILLISECONDS] = COL_TIME,
	    [ELEMENT_MICROSECONDS] = COL_TIME,
	    [ELEMENT_NANOSECONDS] = COL_TIME,
	};
	int type = element_type_of(name);

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strcmp(own[i].name, name) == 0)
			return own[i].type;
	return type < 0 ? COL_NULL : types[type];
}

static enum col_type
type_in(const struct scope *s, const char *name)
{
	int at;

	if (s->registry)
		return registry_type(name);
	at = view_find(s->p->view, name);
	return at < 0 || !s->p->view->cols[at] ? COL_NULL
					       : s->p->view->fields[at].type;
}

/* The array with room for one more, full at each power of two. */
static void *
grow(struct arena *a, void *list, size_t n, size_t size)
{
	void *more = list;

	if ((n & (n - 1)) == 0) {
		more = arena_alloc(a, (n ? 2 * n : 1) * size);
		if (more && n)
			memcpy(more, list, n * size);
	}
	return more;
}

/* The field's slot, or -1 when memory is out. */
static int
slot_of(struct scope *s, const char *name)
{
	struct binding *b = s->b;
	struct use *uses;
	size_t i = 0;

	while (i < b->n && strcmp(b->uses[i].name, name) != 0)
		i++;
	if (i < b->n)
		return (int)i;
	uses = grow(&b->arena, b->uses, b->n, sizeof *uses);
	if (!uses)
		return err_set(s->binder.err, "out of memory");
	b->uses = uses;
	/* Names outlive the binding: they are static or of the tree. */
	b->uses[b->n] = (struct use){name, type_in(s, name)};
	return (int)b->n++;
}

/* The field of just that name: null if it is not there. */
static struct node *
field_named(void *ctx, const char *name)
{
	struct scope *s = ctx;
	int slot = slot_of(s, name);
	const struct use *u;

	if (slot < 0)
		return NULL;
	u = &s->b->uses[slot];
	if (u->type == COL_NULL)
		return node_literal(&s->binder,
				    &(struct literal){.type = TYPE_NULL});
	return node_field(&s->binder, slot, expr_type_of(u->type), true, name);
}

/* By name, by alias, or from others. */
static struct node *
resolve_name(struct scope *s, const char *name)
{
	const char *canonical = element_canonical(name);
	struct node *nd = field_named(s, name), *made = NULL;

	if (nd && nd->type == TYPE_NULL && strcmp(canonical, name) != 0)
		nd = field_named(s, canonical);
	if (nd && nd->type == TYPE_NULL &&
	    field_virtual(&s->binder, name, field_named, s, &made))
		return made;
	return nd;
}

static struct named *
remember(struct program *p, const char *name)
{
	struct named *more;

	for (size_t i = 0; i < p->nnamed; i++)
		if (strcmp(p->named[i].name, name) == 0)
			return &p->named[i];
	more = grow(&p->arena, p->named, p->nnamed, sizeof *more);
	if (!more)
		return NULL;
	p->named = more;
	p->named[p->nnamed] = (struct named){name, false};
	return &p->named[p->nnamed++];
}

/* binder.field */
static int
resolve(void *ctx, const struct expr *e, struct node **out)
{
	struct scope *s = ctx;
	struct named *named;
	struct node *nd;

	if (strcmp(e->name, "now") == 0)
		s->p->tells_time = true;
	if (e->op != EXPR_FIELD)
		return 0;
	nd = resolve_name(s, e->name);
	if (!nd)
		return -1;
	if (nd->type == TYPE_NULL && strcmp(e->name, "now") == 0)
		return 0;
	*out = nd;
	named = s->registry ? NULL : remember(s->p, e->name);
	if (named)
		named->seen |= nd->type != TYPE_NULL;
	return 0;
}

/*
 * Binding.
 */

static const struct node *
bind_tree(struct scope *s)
{
	struct program *p = s->p;
	struct node *nd = expr_bind(&s->binder, p->expr);

	if (!nd)
		return NULL;
	if (nd->type == TYPE_CIDR)
		return bind_fail(&s->binder, p->expr,
				 "a network stands only after in");
	if (p->kind == PROGRAM_CONDITION && nd->type != TYPE_BOOL &&
	    nd->type != TYPE_NULL)
		return bind_fail(&s->binder, p->expr,
				 "expected a condition, found %s",
				 expr_type_article(nd->type));
	return nd;
}

static struct scope
scope_of(struct program *p, struct binding *b, struct err *err)
{
	return (struct scope){
	    .p = p,
	    .b = b,
	    .binder = {.arena = &b->arena,
		       .err = err,
		       .now = b->made,
		       .field = resolve},
	};
}

/* Refuses what can not fit the registry's types. */
static int
check(struct program *p, const char *text, struct err *err)
{
	struct binding *b = &p->bindings[0];
	struct scope s;
	int rc = 0;

	b->made = now_us();
	s = scope_of(p, b, err);
	s.binder.ctx = &s;
	s.registry = true;
	if (!bind_tree(&s)) {
		char why[ERR_MAX];

		memcpy(why, err->text, sizeof why);
		rc = err_set(err, "%.200s, at character %zu of '%.200s'", why,
			     s.binder.err_pos + 1, text);
	}
	arena_free(&b->arena);
	*b = (struct binding){0};
	return rc;
}

/* Whether the view has the fields that the binding was made for. */
static bool
fits(const struct binding *b, const struct view *v)
{
	if (!b->made)
		return false;
	for (size_t i = 0; i < b->n; i++) {
		int at = view_find(v, b->uses[i].name);
		enum col_type type =
		    at < 0 || !v->cols[at] ? COL_NULL : v->fields[at].type;

		if (type != b->uses[i].type)
			return false;
	}
	return true;
}

static struct binding *
find_binding(struct program *p)
{
	for (size_t i = 0; i < BINDINGS; i++)
		if (fits(&p->bindings[i], p->view) &&
		    (!p->tells_time || now_us() - p->bindings[i].made < NOW_US))
			return &p->bindings[i];
	return NULL;
}

static void
make_binding(struct program *p)
{
	struct binding *b = &p->bindings[p->next++ % BINDINGS];
	struct err err;
	struct scope s;

	arena_free(&b->arena);
	*b = (struct binding){.made = now_us()};
	s = scope_of(p, b, &err);
	s.binder.ctx = &s;
	b->node = bind_tree(&s);
	p->bound = b;
	if (!b->node)
		log_limited(&p->unfit, "%s: %s: null for records like these",
			    p->label, err.text);
}

static int
fill_slots(struct program *p, struct err *err)
{
	if (p->bound->n > p->nslots) {
		struct slot *more =
		    realloc(p->slots, p->bound->n * sizeof *more);

		if (!more)
			return err_set(err, "out of memory");
		p->slots = more;
		p->nslots = p->bound->n;
	}
	for (size_t i = 0; i < p->bound->n; i++) {
		int at = view_find(p->view, p->bound->uses[i].name);

		p->slots[i].col = at < 0 ? NULL : p->view->cols[at];
	}
	return 0;
}

int
program_bind(struct program *p, const struct view *v, enum expr_type *type,
	     struct err *err)
{
	p->view = v;
	p->bound = find_binding(p);
	if (!p->bound)
		make_binding(p);
	*type = p->bound->node ? p->bound->node->type : TYPE_NULL;
	return fill_slots(p, err);
}

/*
 * Evaluation.
 */

/* eval.load */
static int
load(void *ctx, int slot, struct vec *out)
{
	struct program *p = ctx;
	struct slot *s = &p->slots[slot];
	const struct view *v = p->view;

	if (!s->loaded) {
		if (vec_load(&p->eval, s->col, p->bound->uses[slot].type,
			     v->selected ? v->selected + p->at : NULL, p->at,
			     &s->vec))
			return -1;
		s->loaded = true;
	}
	*out = s->vec;
	return 0;
}

static bool
has_parts(const struct program *p)
{
	return p->kind == PROGRAM_CONDITION && p->bound->node &&
	       p->bound->node->kind == NODE_AND;
}

size_t
program_parts(const struct program *p)
{
	return has_parts(p) ? p->bound->node->n : 1;
}

int
program_run(struct program *p, size_t part, uint32_t at, uint32_t n,
	    struct vec *out, struct err *err)
{
	const struct node *node = p->bound->node;

	if (!node) {
		vec_load_null(TYPE_NULL, out);
		return 0;
	}
	arena_reset(&p->scratch);
	p->eval.arena = &p->scratch;
	p->eval.err = err;
	p->eval.load = load;
	p->eval.ctx = p;
	p->eval.n = n;
	p->at = at;
	for (size_t i = 0; i < p->bound->n; i++)
		p->slots[i].loaded = false;
	if (has_parts(p))
		node = node->args[part];
	return node_eval(&p->eval, node, out);
}

void
program_finish(const struct program *p)
{
	for (size_t i = 0; i < p->nnamed; i++)
		if (!p->named[i].seen)
			log_line("%s: no record had a field '%s'", p->label,
				 p->named[i].name);
}

/*
 * Parsing.
 */

static struct expr *
parse_expression(struct program *p, const char *text, struct err *err,
		 size_t *err_pos)
{
	struct lexer l;
	struct expr *e;

	lexer_init(&l, text, strlen(text), &p->arena, err);
	e = expr_parse(&l);
	if (e && l.tok.type != TOKEN_END) {
		lexer_expected(&l, "an operator or the end");
		e = NULL;
	}
	*err_pos = l.err_pos;
	return e;
}

/* A condition in either language; of two errors the one that is further on. */
static struct expr *
parse_condition(struct program *p, const char *text, struct err *err,
		size_t *err_pos)
{
	struct err other;
	struct flowfilter f = {.text = text,
			       .len = strlen(text),
			       .strict = true,
			       .arena = &p->arena,
			       .err = &other};
	struct expr *e = flowfilter_parse(&f);

	if (!e)
		e = parse_expression(p, text, err, err_pos);
	if (!e && (f.refused || (f.err_pos && f.err_pos >= *err_pos))) {
		*err = other;
		*err_pos = f.err_pos;
	}
	if (!e || e->op != EXPR_LITERAL || e->lit.type != TYPE_STRING)
		return e;
	/* In quotes, as it is for flowq. */
	f = (struct flowfilter){.text = e->lit.s.p,
				.len = e->lit.s.len,
				.base = 1,
				.arena = &p->arena,
				.err = err};
	e = flowfilter_parse(&f);
	*err_pos = f.err_pos;
	return e;
}

static int
parse(struct program *p, const char *text, struct err *err)
{
	struct err why;
	size_t err_pos = 0;

	p->expr = p->kind == PROGRAM_CONDITION
		      ? parse_condition(p, text, &why, &err_pos)
		      : parse_expression(p, text, &why, &err_pos);
	if (p->expr)
		return 0;
	return err_set(err, "%.200s, at character %zu of '%.200s'", why.text,
		       err_pos + 1, text);
}

struct program *
program_new(const char *label, const char *text, enum program_kind kind,
	    bool known, struct err *err)
{
	struct program *p = calloc(1, sizeof *p);
	char *copy;

	if (!p) {
		err_set(err, "out of memory");
		return NULL;
	}
	p->label = label;
	p->kind = kind;
	p->tells_time = strcasestr(text, "now") != NULL;
	/* Literals may point into the text. */
	copy = arena_strndup(&p->arena, text, strlen(text));
	if (!copy)
		err_set(err, "out of memory");
	else if (parse(p, copy, err) == 0 &&
		 (!known || check(p, copy, err) == 0))
		return p;
	program_free(p);
	return NULL;
}

void
program_free(struct program *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < BINDINGS; i++)
		arena_free(&p->bindings[i].arena);
	arena_free(&p->scratch);
	arena_free(&p->arena);
	free(p->slots);
	free(p);
}
