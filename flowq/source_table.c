/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/source_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/eval.h"
#include "common/function.h"
#include "common/sieve.h"

struct open_table {
	struct table *table;
	char *name;
	struct column name_column; /* _table: constant, borrows */
	uint32_t offsets[2];
};

/* The columns of a shape by field of the source; -1: not there. */
struct shape_map {
	const struct shape *shape;
	int *columns;
};

struct block_ref {
	uint32_t table; /* of tables */
	uint32_t map;	/* of maps */
	size_t index;	/* in its table */
	int64_t newest, oldest;
};

struct tables {
	struct source src;
	struct shapes *shapes;
	struct open_table *tables;
	size_t ntables, cap;
	struct block_ref *blocks;
	size_t all_blocks;
	struct shape_map *maps;
	size_t nmaps;
	int table_field;
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for a table's headers");
}

/*
 * Which tables.
 */

static bool
is_open(const struct tables *t, const char *name)
{
	for (size_t i = 0; i < t->ntables; i++)
		if (strcmp(t->tables[i].name, name) == 0)
			return true;
	return false;
}

static int
open_one(struct tables *t, const char *root, const char *name, struct err *err)
{
	struct open_table *o;

	if (is_open(t, name))
		return 0;
	if (t->ntables == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 4;

		o = realloc(t->tables, cap * sizeof(*o));
		if (!o)
			return oom(err);
		t->tables = o;
		t->cap = cap;
	}
	o = &t->tables[t->ntables];
	*o = (struct open_table){.name = strdup(name)};
	if (!o->name)
		return oom(err);
	if (table_open(&o->table, root, name, t->shapes, err)) {
		free(o->name);
		return -1;
	}
	t->ntables++;
	return 0;
}

/* Opens what a name with * or ? stands for. */
static int
open_matching(struct tables *t, const char *root, const struct table_name *n,
	      struct err *err)
{
	struct str pattern = {n->name, strlen(n->name)};
	char **names;
	size_t count, hits = 0;
	int rc = 0;

	if (table_names(root, &names, &count, err))
		return n->optional ? 0 : -1;
	for (size_t i = 0; i < count && rc == 0; i++)
		if (wildcard_match(pattern,
				   (struct str){names[i], strlen(names[i])})) {
			rc = open_one(t, root, names[i], err);
			hits++;
		}
	if (rc == 0 && !hits && !n->optional) {
		char list[ERR_MAX / 2] = "";
		size_t len = 0;

		for (size_t i = 0; i < count; i++)
			if (len + strlen(names[i]) + 3 < sizeof list)
				len += (size_t)snprintf(
				    list + len, sizeof list - len, "%s%s",
				    len ? ", " : "", names[i]);
		rc = err_set(err, "no table matches %s; tables in %s: %s",
			     n->name, root, *list ? list : "none");
	}
	table_names_free(names, count);
	return rc;
}

static int
open_all(struct tables *t, const char *root, const struct table_spec *spec,
	 struct err *err)
{
	for (size_t i = 0; i < spec->n; i++) {
		const struct table_name *n = &spec->names[i];
		int rc;

		rc = n->optional || strchr(n->name, '*')
			 ? open_matching(t, root, n, err)
			 : open_one(t, root, n->name, err);
		if (rc)
			return -1;
	}
	/* The array does not move any more. */
	for (size_t i = 0; i < t->ntables; i++) {
		struct open_table *o = &t->tables[i];

		o->offsets[1] = (uint32_t)strlen(o->name);
		o->name_column = (struct column){.constant = true,
						 .data = o->offsets,
						 .bytes = o->name,
						 .bytes_len = o->offsets[1]};
	}
	return 0;
}

/*
 * Fields: those of all shapes, sorted by name, but those of the system first.
 */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct source_field *)a)->name,
		      ((const struct source_field *)b)->name);
}

static bool
is_system(const char *name)
{
	return !strcmp(name, "_time") || !strcmp(name, "_table") ||
	       !strcmp(name, "_id") || !strcmp(name, "_host");
}

static int
find_field(const struct source *s, const char *name)
{
	struct source_field key = {.name = name}, *f;
	size_t first = 0;

	for (; first < s->n && is_system(s->fields[first].name); first++)
		if (strcmp(s->fields[first].name, name) == 0)
			return (int)first;
	f = bsearch(&key, s->fields + first, s->n - first, sizeof(*f), by_name);
	return f ? (int)(f - s->fields) : -1;
}

static int
add_shape(struct tables *t, const struct shape *shape, struct err *err)
{
	struct shape_map *m;

	/* Neighbours have one shape, mostly the last that was met. */
	for (size_t i = t->nmaps; i-- > 0;)
		if (t->maps[i].shape == shape)
			return (int)i;
	m = realloc(t->maps, (t->nmaps + 1) * sizeof(*m));
	if (!m)
		return oom(err);
	t->maps = m;
	m[t->nmaps] = (struct shape_map){.shape = shape};
	return (int)t->nmaps++;
}

static int
collect_blocks(struct tables *t, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < t->ntables; i++)
		n += table_blocks(t->tables[i].table);
	t->blocks = calloc(n + 1, sizeof(*t->blocks));
	if (!t->blocks)
		return oom(err);
	for (size_t i = 0; i < t->ntables; i++)
		for (size_t k = 0; k < table_blocks(t->tables[i].table); k++) {
			const struct block *b =
			    table_block(t->tables[i].table, k);
			int map = add_shape(t, b->shape, err);

			if (map < 0)
				return -1;
			t->blocks[t->all_blocks++] =
			    (struct block_ref){.table = (uint32_t)i,
					       .map = (uint32_t)map,
					       .index = k};
		}
	return 0;
}

static int
collect_fields(struct tables *t, struct err *err)
{
	static const char *const system[] = {"_time", "_table", "_id", "_host"};
	struct source *s = &t->src;
	size_t cap = 4, n = 0, kept;

	for (size_t i = 0; i < t->nmaps; i++)
		cap += t->maps[i].shape->n;
	s->fields = calloc(cap, sizeof(*s->fields));
	if (!s->fields)
		return oom(err);
	for (; n < 4; n++)
		s->fields[n].name = system[n];
	for (size_t i = 0; i < t->nmaps; i++)
		for (size_t k = 0; k < t->maps[i].shape->n; k++) {
			const char *name = t->maps[i].shape->fields[k].name;

			if (!is_system(name))
				s->fields[n++].name = name;
		}
	qsort(s->fields + 4, n - 4, sizeof(*s->fields), by_name);
	kept = n < 4 ? n : 4;
	for (size_t i = 4; i < n; i++)
		if (i == 4 ||
		    strcmp(s->fields[i].name, s->fields[kept - 1].name) != 0)
			s->fields[kept++] = s->fields[i];
	s->n = kept;
	return 0;
}

static int
map_shapes(struct tables *t, struct err *err)
{
	const struct source *s = &t->src;

	for (size_t i = 0; i < t->nmaps; i++) {
		struct shape_map *m = &t->maps[i];

		m->columns = malloc((s->n + 1) * sizeof(*m->columns));
		if (!m->columns)
			return oom(err);
		for (size_t k = 0; k < s->n; k++)
			m->columns[k] = -1;
		for (size_t k = 0; k < m->shape->n; k++) {
			int f = find_field(s, m->shape->fields[k].name);

			if (f >= 0)
				m->columns[f] = (int)k;
		}
	}
	return 0;
}

/*
 * Blocks: those of the range, and what their statistics say of the fields.
 */

static const struct block *
block_of(const struct tables *t, size_t i)
{
	const struct block_ref *b = &t->blocks[i];

	return table_block(t->tables[b->table].table, b->index);
}

static int
newest_first(const void *a, const void *b)
{
	const struct block_ref *x = a, *y = b;

	if (x->newest != y->newest)
		return x->newest > y->newest ? -1 : 1;
	if (x->table != y->table)
		return x->table > y->table ? -1 : 1;
	return (x->index < y->index) - (x->index > y->index);
}

static int
oldest_first(const void *a, const void *b)
{
	const struct block_ref *x = a, *y = b;

	if (x->oldest != y->oldest)
		return x->oldest < y->oldest ? -1 : 1;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Drops blocks that have no row in the range, and sorts the others. */
static void
choose_blocks(struct tables *t, const struct table_spec *spec)
{
	size_t n = 0;

	for (size_t i = 0; i < t->all_blocks; i++) {
		struct block_ref *b = &t->blocks[i];
		int c = t->maps[b->map].columns[t->src.time_field];
		const struct column_stat *s =
		    c < 0 ? NULL : &block_of(t, i)->stats[c];

		b->newest = INT64_MAX;
		b->oldest = INT64_MIN;
		if (s && s->has_minmax) {
			b->newest = s->max.i;
			b->oldest = s->min.i;
		}
		if (b->newest >= spec->from && b->oldest < spec->to)
			t->blocks[n++] = *b;
	}
	t->src.blocks = n;
	qsort(t->blocks, n, sizeof(*t->blocks),
	      spec->ascending ? oldest_first : newest_first);
}

static void
widen(struct source_field *f, const struct column_stat *s, bool first)
{
	scale_t lo, hi;

	if (!s->has_minmax || !scale_has(expr_type_of(s->min.type))) {
		f->bounded = false;
		return;
	}
	lo = scale_value(&s->min);
	hi = scale_value(&s->max);
	if (lo > hi) { /* a header that lies */
		f->bounded = false;
		return;
	}
	if (first || lo < f->bounds.lo)
		f->bounds.lo = lo;
	if (first || hi > f->bounds.hi)
		f->bounds.hi = hi;
}

static void
describe_field(struct tables *t, size_t k)
{
	struct source_field *f = &t->src.fields[k];
	bool first = true;

	f->bounded = true;
	for (size_t i = 0; i < t->src.blocks; i++) {
		const struct block_ref *ref = &t->blocks[i];
		const struct shape_map *m = &t->maps[ref->map];
		const struct block *b = block_of(t, i);
		const struct column_stat *s;

		if (m->columns[k] < 0) {
			f->nullable = true;
			continue;
		}
		s = &b->stats[m->columns[k]];
		f->type = expr_type_unify(
		    f->type,
		    expr_type_of(m->shape->fields[m->columns[k]].type));
		f->nullable |= s->nulls > 0;
		if (s->nulls == b->rows)
			continue;
		widen(f, s, first);
		first = false;
	}
	f->bounded &= !first && scale_has(f->type);
	/* Integers of both signs that do not fit one type become null. */
	f->nullable |= f->type == TYPE_INT || f->type == TYPE_STRING;
}

static void
describe_fields(struct tables *t)
{
	for (size_t k = 0; k < t->src.n; k++)
		describe_field(t, k);
	t->src.fields[t->table_field] =
	    (struct source_field){.name = "_table", .type = TYPE_STRING};
	t->src.fields[t->src.time_field].type = TYPE_TIME;
	t->src.fields[t->src.id_field].type = TYPE_UINT;
}

/*
 * The source.
 */

static int
t_open(struct source *s, struct source_block *b, struct err *err)
{
	(void)err;
	b->rows = block_of((struct tables *)s, b->index)->rows;
	return 0;
}

static void
t_close(struct source *s, struct source_block *b)
{
	(void)s, (void)b;
}

static enum col_type
t_peek(struct source *s, size_t block, size_t field,
       const struct column_stat **stat)
{
	const struct tables *t = (struct tables *)s;
	const struct shape_map *m = &t->maps[t->blocks[block].map];
	int c = m->columns[field];

	*stat = NULL;
	if ((int)field == t->table_field)
		return COL_STRING;
	if (c < 0)
		return COL_NULL;
	*stat = &block_of(t, block)->stats[c];
	return m->shape->fields[c].type;
}

static bool
t_may_hold(struct source *s, size_t block, size_t field, scale_t a)
{
	const struct tables *t = (struct tables *)s;
	const struct block_ref *ref = &t->blocks[block];
	int c = t->maps[ref->map].columns[field];

	return c < 0 || table_may_hold(
			    t->tables[ref->table].table, ref->index, (size_t)c,
			    sieve_hash_ip((uint64_t)(a >> 64), (uint64_t)a));
}

static int
t_column(struct source *s, struct source_block *b, size_t field,
	 struct column *c, const struct column **out, struct err *err)
{
	const struct tables *t = (struct tables *)s;
	const struct block_ref *ref = &t->blocks[b->index];
	int k = t->maps[ref->map].columns[field];

	*out = NULL;
	if ((int)field == t->table_field) {
		*out = &t->tables[ref->table].name_column;
		return 0;
	}
	if (k < 0)
		return 0;
	if (table_column(t->tables[ref->table].table, ref->index, (size_t)k,
			 &b->scratch, c, err))
		return -1;
	*out = c;
	return 0;
}

static int
t_entries(struct source *s, struct source_block *b, size_t field,
	  struct coded *c, struct err *err)
{
	const struct tables *t = (struct tables *)s;
	const struct block_ref *ref = &t->blocks[b->index];
	int k = t->maps[ref->map].columns[field];

	if (k < 0 || (int)field == t->table_field)
		return 0;
	return table_entries(t->tables[ref->table].table, ref->index, (size_t)k,
			     &b->scratch, c, err);
}

static int
t_codes(struct source *s, struct source_block *b, size_t field, struct coded *c,
	struct err *err)
{
	const struct tables *t = (struct tables *)s;
	const struct block_ref *ref = &t->blocks[b->index];

	return table_codes(t->tables[ref->table].table, ref->index,
			   (size_t)t->maps[ref->map].columns[field],
			   &b->scratch, c, err);
}

static uint32_t
t_rows(struct source *s, size_t block)
{
	return block_of((struct tables *)s, block)->rows;
}

static void
t_free(struct source *s)
{
	struct tables *t = (struct tables *)s;

	for (size_t i = 0; i < t->ntables; i++) {
		table_close(t->tables[i].table);
		free(t->tables[i].name);
	}
	for (size_t i = 0; i < t->nmaps; i++)
		free(t->maps[i].columns);
	free(t->tables);
	free(t->maps);
	free(t->blocks);
	free(s->fields);
	shapes_free(t->shapes);
	free(t);
}

static const struct source_ops table_ops = {
    .name = "table",
    .open = t_open,
    .close = t_close,
    .peek = t_peek,
    .may_hold = t_may_hold,
    .column = t_column,
    .entries = t_entries,
    .codes = t_codes,
    .rows = t_rows,
    .free = t_free,
};

bool
source_is_table(const struct source *s)
{
	return s->ops == &table_ops;
}

size_t
table_source_blocks(const struct source *s)
{
	return ((const struct tables *)s)->all_blocks;
}

int
table_source_new(const char *root, const struct table_spec *spec,
		 struct source **out, struct err *err)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (!t)
		return oom(err);
	t->src.ops = &table_ops;
	t->src.again = true;
	t->src.ascending = spec->ascending;
	t->shapes = shapes_new(SHAPES_MAX);
	if (!t->shapes) {
		free(t);
		return oom(err);
	}
	if (open_all(t, root, spec, err) || collect_blocks(t, err) ||
	    collect_fields(t, err)) {
		t_free(&t->src);
		return -1;
	}
	t->src.time_field = find_field(&t->src, "_time");
	t->src.id_field = find_field(&t->src, "_id");
	t->table_field = find_field(&t->src, "_table");
	if (map_shapes(t, err)) {
		t_free(&t->src);
		return -1;
	}
	choose_blocks(t, spec);
	describe_fields(t);
	*out = &t->src;
	return 0;
}
