/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/salvage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/place.h"
#include "common/sieve.h"

/* Bodies, or filters, that the walk has met. */
struct part {
	uint64_t id;
	struct pages_data data;
};

struct parts {
	struct part *p;
	size_t n, cap;
};

/* One walk over a snapshot. */
struct gather {
	struct salvage *s;
	bool older;
	bool quiet;
	size_t first; /* of the blocks that this walk has added */
	struct parts bodies, filters;
	bool no_memory;
};

static void __attribute__((format(printf, 2, 3)))
tell(struct salvage *s, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->damages++;
	s->tell(s->ctx, text);
}

static void *
grow(void *list, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return list;
	p = realloc(list, (*cap ? 2 * *cap : 64) * size);
	if (p)
		*cap = *cap ? 2 * *cap : 64;
	return p;
}

static uint64_t
key_id(const struct pages_data *key)
{
	uint64_t id = 0;

	if (key->len == sizeof(id))
		memcpy(&id, key->p, sizeof(id));
	return id;
}

/* ---- what the walk meets ---- */

static int
on_head(struct gather *g, const struct pages_data *key,
	const struct pages_data *value)
{
	struct salvage *s = g->s;
	struct salvage_block *b =
	    grow(s->blocks, s->n, &s->cap, sizeof(*s->blocks));
	struct err e;

	if (!b) {
		g->no_memory = true;
		return -1;
	}
	s->blocks = b;
	b = &s->blocks[s->n];
	*b = (struct salvage_block){
	    .head = value->p, .head_len = value->len, .older = g->older};
	if (block_parse(value->p, value->len, s->shapes, &b->in, &e) != 0) {
		if (!g->quiet)
			tell(s, "block %llu: %s",
			     (unsigned long long)key_id(key), e.text);
		return 0;
	}
	if (b->in->pub.first_id == key_id(key)) {
		s->n++;
		return 0;
	}
	if (!g->quiet)
		tell(s, "block %llu: its head says it is block %llu",
		     (unsigned long long)key_id(key),
		     (unsigned long long)b->in->pub.first_id);
	block_in_free(b->in);
	return 0;
}

static int
on_part(struct gather *g, struct parts *ps, const struct pages_data *key,
	const struct pages_data *value)
{
	struct part *p = grow(ps->p, ps->n, &ps->cap, sizeof(*p));

	if (!p) {
		g->no_memory = true;
		return -1;
	}
	ps->p = p;
	p[ps->n++] = (struct part){key_id(key), *value};
	return 0;
}

static bool
take_u64(const struct pages_data *value, uint64_t *x)
{
	if (value->len != sizeof(*x))
		return false;
	memcpy(x, value->p, sizeof(*x));
	return true;
}

static bool
is_key(const struct pages_data *key, const char *name)
{
	return key->len == strlen(name) && memcmp(key->p, name, key->len) == 0;
}

/* The newest snapshot is met first, and its word counts. */
static int
on_meta(struct gather *g, const struct pages_data *key,
	const struct pages_data *value)
{
	struct salvage *s = g->s;
	struct place_stream at;
	uint64_t x, id;

	if (key->len == 9 && *(const char *)key->p == META_STREAM &&
	    value->len == sizeof(at)) {
		memcpy(&id, (const char *)key->p + 1, 8);
		memcpy(&at, value->p, sizeof(at));
		if (at.number > streams_reached(&s->ledger.streams, id) &&
		    streams_set(&s->ledger.streams, id, at.number, at.time,
				false) != 0) {
			g->no_memory = true;
			return -1;
		}
	}
	if (g->older && s->has_ledger)
		return 0;
	if (is_key(key, META_TABLE) && take_u64(value, &x))
		s->ledger.table = x;
	else if (is_key(key, META_NEXT_ID) && take_u64(value, &x))
		s->ledger.next_id = x;
	else if (is_key(key, META_CREATED) && take_u64(value, &x))
		s->created = (int64_t)x;
	else if (is_key(key, META_ROWS) && take_u64(value, &x))
		s->rows = x;
	return 0;
}

static int
on_value(void *ctx, const char *db, const struct pages_data *key,
	 const struct pages_data *value)
{
	struct gather *g = ctx;

	if (strcmp(db, PLACE_HEADS) == 0)
		return on_head(g, key, value);
	if (strcmp(db, PLACE_DATA) == 0)
		return on_part(g, &g->bodies, key, value);
	if (strcmp(db, PLACE_FILTERS) == 0)
		return on_part(g, &g->filters, key, value);
	return strcmp(db, PLACE_META) == 0 ? on_meta(g, key, value) : 0;
}

static void
on_damage(void *ctx, uint64_t page, const char *why)
{
	struct gather *g = ctx;

	if (!g->quiet)
		tell(g->s, "page %llu is damaged: %s", (unsigned long long)page,
		     why);
}

/* ---- blocks ---- */

static int
by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct part *)a)->id;
	uint64_t y = ((const struct part *)b)->id;

	return x < y ? -1 : x > y;
}

static void
sort(struct parts *ps)
{
	if (ps->n > 1)
		qsort(ps->p, ps->n, sizeof(*ps->p), by_id);
}

static const struct pages_data *
find(const struct parts *ps, uint64_t id)
{
	const struct part key = {.id = id}, *p = NULL;

	if (ps->n > 0)
		p = bsearch(&key, ps->p, ps->n, sizeof(key), by_id);
	return p ? &p->data : NULL;
}

/* Which columns are sound; says so of those that are not. */
static int
check_columns(struct gather *g, struct salvage_block *b)
{
	const struct shape *shape = b->in->pub.shape;
	struct table_scratch scratch = {0};
	struct column c = {0};
	struct err e;

	for (size_t i = 0; i < shape->n; i++) {
		const char *name = shape->fields[i].name;

		if (block_column(b->in, b->body, i, &scratch, &c, &e) == 0)
			continue;
		if (!b->bad)
			b->bad = calloc(shape->n, sizeof(*b->bad));
		if (!b->bad)
			break;
		b->bad[i] = true;
		b->lost |=
		    strcmp(name, "_id") == 0 || strcmp(name, "_time") == 0;
		if (!g->quiet)
			tell(g->s, "block %llu: %s",
			     (unsigned long long)b->in->pub.first_id, e.text);
	}
	g->no_memory |= b->lost && !b->bad;
	column_clear(&c);
	table_scratch_clear(&scratch);
	return g->no_memory ? -1 : 0;
}

static void
find_filters(struct gather *g, struct salvage_block *b)
{
	uint64_t id = b->in->pub.first_id;
	const struct pages_data *f = find(&g->filters, id);
	struct sieves s;
	struct err e;

	if (!f)
		return;
	if (sieves_parse(&s, f->p, f->len, id, &e) == 0 &&
	    sieves_check(&s, &e) == 0) {
		b->filters = f->p;
		b->filters_len = f->len;
	} else if (!g->quiet) {
		tell(g->s, "block %llu: %s", (unsigned long long)id, e.text);
	}
}

static int
find_body(struct gather *g, struct salvage_block *b)
{
	uint64_t id = b->in->pub.first_id;
	const struct pages_data *body = find(&g->bodies, id);

	find_filters(g, b);
	if (body && body->len == b->in->body) {
		b->body = body->p;
		return check_columns(g, b);
	}
	b->lost = true;
	if (!g->quiet)
		tell(g->s, "block %llu: its data %s", (unsigned long long)id,
		     body ? "has another length" : "is gone");
	return 0;
}

static uint64_t
last_id(const struct salvage_block *b)
{
	const struct column_stat *s =
	    &b->in->pub.stats[shape_find(b->in->pub.shape, "_id")];

	return s->has_minmax ? s->max.u
			     : b->in->pub.first_id + b->in->pub.rows - 1;
}

/* Blocks of one shape do not share ids, unless they are of two snapshots. */
static bool
is_known(const struct salvage *s, const struct salvage_block *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct salvage_block *o = &s->blocks[i];

		if (!o->lost && o->in->pub.shape == b->in->pub.shape &&
		    o->in->pub.first_id <= last_id(b) &&
		    b->in->pub.first_id <= last_id(o))
			return true;
	}
	return false;
}

static void
drop(struct salvage *s, size_t i)
{
	block_in_free(s->blocks[i].in);
	free(s->blocks[i].bad);
	memmove(&s->blocks[i], &s->blocks[i + 1],
		(--s->n - i) * sizeof(*s->blocks));
}

/* Of the older snapshot whole blocks only, that are not there already; of the
 * newest what a damaged branch leads to again is dropped. */
static void
drop_known(struct gather *g)
{
	struct salvage *s = g->s;

	for (size_t i = g->first; i < s->n;) {
		struct salvage_block *b = &s->blocks[i];
		bool known = is_known(s, b, i);

		if (known && !g->quiet)
			tell(s, "block %llu: it is there again",
			     (unsigned long long)b->in->pub.first_id);
		if (known || (g->older && (b->lost || b->bad)))
			drop(s, i);
		else
			i++;
	}
}

static int
gather(struct salvage *s, uint64_t txn, bool older)
{
	struct gather g = {
	    .s = s, .older = older, .quiet = older, .first = s->n};
	struct pages_visit visit = {&g, on_value, on_damage};
	int r = pages_walk(s->pages, txn, &visit);

	sort(&g.bodies);
	sort(&g.filters);
	for (size_t i = g.first; r == 0 && i < s->n; i++)
		r = find_body(&g, &s->blocks[i]);
	if (r == 0)
		drop_known(&g);
	if (s->ledger.table != 0 && s->ledger.next_id != 0)
		s->has_ledger = true;
	free(g.bodies.p);
	free(g.filters.p);
	return g.no_memory ? -1 : 0;
}

static int
by_first(const void *a, const void *b)
{
	uint64_t x = ((const struct salvage_block *)a)->in->pub.first_id;
	uint64_t y = ((const struct salvage_block *)b)->in->pub.first_id;

	return x < y ? -1 : x > y;
}

int
salvage_open(struct salvage *s, const char *path,
	     void (*say)(void *ctx, const char *text), void *ctx, struct err *e)
{
	uint64_t txn[2];
	struct err why;

	*s = (struct salvage){.tell = say, .ctx = ctx};
	s->shapes = shapes_new(SHAPES_MAX);
	if (!s->shapes)
		return err_set(e, "out of memory");
	s->pages = pages_open_damaged(path, &why);
	if (!s->pages) {
		tell(s, "%s", why.text);
		return 0;
	}
	pages_snapshots(s->pages, txn);
	if (pages_lacks_head(s->pages))
		tell(s, "one of its two heads is damaged");
	if (gather(s, txn[0], false) != 0 ||
	    (s->damages > 0 && txn[1] && gather(s, txn[1], true) != 0))
		return err_set(e, "out of memory");
	if (s->n > 1)
		qsort(s->blocks, s->n, sizeof(*s->blocks), by_first);
	return 0;
}

void
salvage_close(struct salvage *s)
{
	while (s->n > 0)
		drop(s, s->n - 1);
	free(s->blocks);
	streams_clear(&s->ledger.streams);
	pages_close(s->pages);
	shapes_free(s->shapes);
	*s = (struct salvage){0};
}
