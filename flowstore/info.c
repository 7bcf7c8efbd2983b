/* SPDX-License-Identifier: BSD-2-Clause */
/* flowstore info: one table, closely. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/place.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/listing.h"
#include "flowstore/lock.h"
#include "flowstore/summary.h"

enum {
	SAMPLE = 64, /* blocks of which encodings are looked at */
	ENCODINGS_MAX = 16,
	COMM_MAX = 32,
	HEX_MAX = 24,
};

struct info {
	const struct command_args *args;
	const char *name;
	char dir[PATH_MAX];
	struct shapes *shapes;
	struct table *table;
	struct summary sum;
};

/* ---- the whole ---- */

/* What a process is called, or "?". */
static const char *
command_of(long pid, char buf[COMM_MAX])
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, COMM_MAX - 1);
	if (fd >= 0)
		close(fd);
	snprintf(buf + (n > 0 ? n : 0), n > 0 ? COMM_MAX - (size_t)n : COMM_MAX,
		 "%s", n > 0 ? "" : "?");
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

static int
print_whole(const struct info *in, struct err *e)
{
	static const struct cell_name names[] = {
	    {"table", CELL_TEXT},     {"rows", CELL_NUMBER},
	    {"blocks", CELL_NUMBER},  {"segments", CELL_NUMBER},
	    {"bytes", CELL_BYTES},    {"bytes_row", CELL_REAL},
	    {"first", CELL_TIME},     {"last", CELL_TIME},
	    {"retention", CELL_TEXT}, {"writer", CELL_ID},
	    {"directory", CELL_TEXT},
	};
	const struct summary *s = &in->sum;
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	long writer = (long)lock_holder(in->dir, LOCK_WRITER);
	char retention[RETENTION_TEXT_MAX];
	bool none = s->first > s->last;
	int r = 0;

	if (!l)
		return err_set(e, "out of memory");
	listing_add(
	    l, (struct cell[]){
		   {.text = in->name},
		   {.number = s->rows},
		   {.number = s->blocks},
		   {.number = s->segments},
		   {.number = s->bytes},
		   {.null = s->rows == 0,
		    .real = (double)s->bytes / (double)(s->rows ? s->rows : 1)},
		   {.null = none, .time = s->first},
		   {.null = none, .time = s->last},
		   {.text = retention_text(&s->retention, retention)},
		   {.null = writer <= 0, .number = (uint64_t)writer},
		   {.text = in->dir}});
	if (in->args->json)
		r = listing_print(l, true, "table", e);
	else
		listing_print_card(l);
	listing_free(l);
	return r;
}

/* ---- columns ---- */

struct part {
	const char *name;
	enum col_type type;
	uint64_t rows, nulls, bytes;
	struct {
		const char *name;
		unsigned times;
	} encodings[ENCODINGS_MAX];
};

struct parts {
	struct part *p;
	size_t n;
};

static int
by_field(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (int)x->type - (int)y->type;
}

static struct part *
find_part(struct parts *ps, const struct field *f)
{
	struct part *p;

	for (size_t i = 0; i < ps->n; i++)
		if (ps->p[i].type == f->type &&
		    strcmp(ps->p[i].name, f->name) == 0)
			return &ps->p[i];
	p = realloc(ps->p, (ps->n + 1) * sizeof(*p));
	if (!p)
		return NULL;
	ps->p = p;
	p[ps->n] = (struct part){.name = f->name, .type = f->type};
	return &p[ps->n++];
}

static void
count_encoding(struct part *p, const char *name)
{
	size_t i = 0;

	while (i < ENCODINGS_MAX - 1 && p->encodings[i].name &&
	       strcmp(p->encodings[i].name, name) != 0)
		i++;
	p->encodings[i].name = name;
	p->encodings[i].times++;
}

static int
add_block(const struct info *in, size_t i, struct parts *ps,
	  struct table_scratch *scratch)
{
	const struct block *b = table_block(in->table, i);
	size_t every = table_blocks(in->table) / SAMPLE + 1;

	for (size_t c = 0; c < b->shape->n; c++) {
		struct part *p = find_part(ps, &b->shape->fields[c]);
		const char *name;

		if (!p)
			return -1;
		p->rows += b->rows;
		p->nulls += b->stats[c].nulls;
		p->bytes += b->stats[c].stored;
		if (i % every != 0)
			continue;
		name = table_encoding(in->table, i, c, scratch);
		count_encoding(p, name ? name : "damaged");
	}
	return 0;
}

/* The names of encodings, the most frequent first. */
static void
encodings_text(struct part *p, char *buf, size_t size)
{
	size_t len = 0;

	*buf = 0;
	for (;;) {
		size_t best = 0;

		for (size_t i = 1; i < ENCODINGS_MAX; i++)
			if (p->encodings[i].times > p->encodings[best].times)
				best = i;
		if (p->encodings[best].times == 0 || len + 16 > size)
			return;
		len +=
		    (size_t)snprintf(buf + len, size - len, "%s%s",
				     len ? " " : "", p->encodings[best].name);
		p->encodings[best].times = 0;
	}
}

static void
add_part(struct listing *l, struct part *p)
{
	char encodings[160];

	encodings_text(p, encodings, sizeof(encodings));
	listing_add(
	    l, (struct cell[]){{.text = p->name},
			       {.text = col_type_name(p->type)},
			       {.number = p->rows},
			       {.number = p->nulls},
			       {.number = p->bytes},
			       {.real = (double)p->bytes / (double)p->rows},
			       {.text = encodings}});
}

static int
print_columns(const struct info *in, struct err *e)
{
	static const struct cell_name names[] = {
	    {"column", CELL_TEXT},    {"type", CELL_TEXT},
	    {"rows", CELL_NUMBER},    {"nulls", CELL_NUMBER},
	    {"bytes", CELL_BYTES},    {"bytes_row", CELL_REAL},
	    {"encodings", CELL_TEXT},
	};
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	struct table_scratch scratch = {0};
	struct parts ps = {0};
	int r = l ? 0 : -1;

	for (size_t i = 0; r == 0 && i < table_blocks(in->table); i++)
		r = add_block(in, i, &ps, &scratch);
	if (ps.n > 1)
		qsort(ps.p, ps.n, sizeof(*ps.p), by_field);
	for (size_t i = 0; r == 0 && i < ps.n; i++)
		add_part(l, &ps.p[i]);
	r = r != 0 ? err_set(e, "out of memory")
		   : listing_print(l, in->args->json, "column", e);
	table_scratch_clear(&scratch);
	free(ps.p);
	listing_free(l);
	return r;
}

/* ---- segments, streams, readers ---- */

static int
print_segments(const struct info *in, struct err *e)
{
	static const struct cell_name names[] = {
	    {"segment", CELL_TEXT},  {"rows", CELL_NUMBER},
	    {"blocks", CELL_NUMBER}, {"bytes", CELL_BYTES},
	    {"created", CELL_TIME},  {"first", CELL_TIME},
	    {"last", CELL_TIME},
	};
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	int r;

	if (!l)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < table_segments(in->table); i++) {
		const struct table_segment *s = table_segment(in->table, i);
		char file[SEGMENT_NAME_MAX];
		bool none = s->first > s->last;

		place_segment(s->number, file);
		listing_add(l,
			    (struct cell[]){{.text = file},
					    {.number = s->rows},
					    {.number = s->n},
					    {.number = s->bytes},
					    {.time = s->created},
					    {.null = none, .time = s->first},
					    {.null = none, .time = s->last}});
	}
	r = listing_print(l, in->args->json, "segment", e);
	listing_free(l);
	return r;
}

static int
print_streams(const struct info *in, struct err *e)
{
	static const struct cell_name names[] = {
	    {"stream", CELL_TEXT},
	    {"number", CELL_NUMBER},
	    {"stored", CELL_TIME},
	};
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	struct table_stream *s = NULL;
	size_t n = 0;
	int r = -1;

	if (!l)
		return err_set(e, "out of memory");
	if (table_streams(in->table, &s, &n, e) == 0) {
		for (size_t i = 0; i < n; i++) {
			char id[HEX_MAX];

			snprintf(id, sizeof(id), "%016llx",
				 (unsigned long long)s[i].id);
			listing_add(l, (struct cell[]){{.text = id},
						       {.number = s[i].number},
						       {.time = s[i].time}});
		}
		r = n ? listing_print(l, in->args->json, "stream", e) : 0;
	}
	free(s);
	listing_free(l);
	return r;
}

static int
print_readers(const struct info *in, struct err *e)
{
	static const struct cell_name names[] = {
	    {"reader", CELL_ID},
	    {"command", CELL_TEXT},
	    {"commits_behind", CELL_NUMBER},
	};
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	struct table_reader *p = NULL;
	size_t n = 0;
	int r = -1;

	if (!l)
		return err_set(e, "out of memory");
	if (table_readers(in->table, &p, &n, e) == 0) {
		for (size_t i = 0; i < n; i++) {
			char comm[COMM_MAX];

			listing_add(l, (struct cell[]){
					   {.number = (uint64_t)p[i].pid},
					   {.text = command_of(p[i].pid, comm)},
					   {.number = p[i].behind}});
		}
		r = n ? listing_print(l, in->args->json, "reader", e) : 0;
	}
	free(p);
	listing_free(l);
	return r;
}

static void
rule(const struct info *in)
{
	if (!in->args->json)
		putchar('\n');
}

static int
print_all(const struct info *in, struct err *e)
{
	if (print_whole(in, e) != 0)
		return -1;
	rule(in);
	if (print_columns(in, e) != 0)
		return -1;
	rule(in);
	if (print_segments(in, e) != 0)
		return -1;
	rule(in);
	return print_streams(in, e) != 0 ? -1 : print_readers(in, e);
}

int
info_run(const struct command_args *a, struct err *e)
{
	struct info in = {.args = a, .name = a->words[0]};
	int r = -1;

	in.shapes = shapes_new(SHAPES_MAX);
	if (!in.shapes)
		return err_set(e, "out of memory");
	if (table_dir(a->root, in.name, in.dir, sizeof(in.dir), e) == 0 &&
	    table_open(&in.table, a->root, in.name, in.shapes, e) == 0 &&
	    summary_of(&in.sum, in.table, in.dir, e) == 0)
		r = print_all(&in, e);
	table_close(in.table);
	shapes_free(in.shapes);
	return r;
}
