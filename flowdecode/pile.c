/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/pile.h"

#include <stdlib.h>
#include <string.h>

#include "flowdecode/columns.h"

enum {
	ROWS_MIN = 64,
	WIRE_STEP = 256 << 10, /* memory is counted anew after so many bytes */
};

static const struct field stamp_fields[STAMP_COLUMNS] = {
    [STAMP_TIME] = {"_time", COL_TIME},
    [STAMP_EXPORTER] = {"exporter", COL_IPV4},
    [STAMP_PORT] = {"exporter_port", COL_U16},
    [STAMP_BINDING] = {"binding", COL_STRING},
    [STAMP_SOURCE_ID] = {"source_id", COL_U32},
    [STAMP_VERSION] = {"version", COL_U8},
    [STAMP_RATE] = {"sampling_rate", COL_U32},
    [STAMP_RATE_SOURCE] = {"sampling_source", COL_STRING},
};

static const char *const rate_sources[] = {
    [RATE_UNKNOWN] = "unknown",
    [RATE_ANNOUNCED] = "announced",
    [RATE_CONFIGURED] = "configured",
};

struct piles {
	struct shapes *shapes;
	struct sink sink;
	uint64_t stream, number;
	uint64_t generation;
	struct pile **slots; /* by shape id, at most half full */
	size_t mask;
	struct pile *newest, *oldest; /* open ones by last use */
	size_t open, mem;
	int64_t now_ms;
};

struct field
stamp_field(enum stamp_column c, bool v6)
{
	struct field f = stamp_fields[c];

	if (c == STAMP_EXPORTER && v6)
		f.type = COL_IP;
	return f;
}

struct piles *
piles_new(uint64_t stream, const struct sink *sink)
{
	struct piles *ps = calloc(1, sizeof(*ps));
	size_t slots = 2 * PILE_SHAPES;

	if (!ps)
		return NULL;
	ps->shapes = shapes_new(PILE_SHAPES);
	ps->slots = calloc(slots, sizeof(*ps->slots));
	ps->mask = slots - 1;
	ps->sink = *sink;
	ps->stream = stream;
	ps->generation = 1;
	if (!ps->shapes || !ps->slots) {
		piles_free(ps);
		return NULL;
	}
	return ps;
}

void
piles_continue(struct piles *ps, uint64_t stream, uint64_t number)
{
	ps->stream = stream;
	ps->number = number;
}

void
piles_free(struct piles *ps)
{
	if (!ps)
		return;
	for (size_t i = 0; ps->slots && i <= ps->mask; i++)
		if (ps->slots[i]) {
			batch_free(ps->slots[i]->batch);
			free(ps->slots[i]);
		}
	free(ps->slots);
	shapes_free(ps->shapes);
	free(ps);
}

size_t
piles_shapes(const struct piles *ps)
{
	return shapes_count(ps->shapes);
}

uint64_t
piles_generation(const struct piles *ps)
{
	return ps->generation;
}

/* Bytes of one row and a little, strings by their offsets. */
static size_t
row_bytes(const struct shape *s)
{
	size_t n = 1;

	for (size_t i = 0; i < s->n; i++) {
		size_t w = col_type_width(s->fields[i].type);

		n += w ? w : sizeof(uint32_t);
	}
	return n;
}

static struct pile *
pile_new(const struct shape *s)
{
	struct pile *p = calloc(1, sizeof(*p));
	size_t rows = PILE_BYTES / row_bytes(s);

	if (!p)
		return NULL;
	p->shape = s;
	p->rows_max = (uint32_t)(rows < PILE_ROWS ? rows : PILE_ROWS);
	for (int i = 0; i < STAMP_COLUMNS; i++)
		p->stamps[i] = (uint16_t)shape_find(s, stamp_fields[i].name);
	return p;
}

/* The list of open piles. */

static void
list_drop(struct piles *ps, struct pile *p)
{
	if (p->newer)
		p->newer->older = p->older;
	else
		ps->newest = p->older;
	if (p->older)
		p->older->newer = p->newer;
	else
		ps->oldest = p->newer;
}

static void
list_add(struct piles *ps, struct pile *p)
{
	p->newer = NULL;
	p->older = ps->newest;
	if (ps->newest)
		ps->newest->newer = p;
	else
		ps->oldest = p;
	ps->newest = p;
}

/* Gives rows to the sink; the batch stays as it is until the commit. */
static int
give(struct piles *ps, struct pile *p, struct err *e)
{
	if (p->batch->rows == 0)
		return 0;
	p->batch->stream = ps->stream;
	p->batch->number = ++ps->number;
	return ps->sink.batch(ps->sink.ctx, p->batch, e);
}

static void
reset(struct pile *p)
{
	batch_clear(p->batch);
	p->wire = 0;
	p->wire_mark = WIRE_STEP;
}

static int
give_one(struct piles *ps, struct pile *p, struct err *e)
{
	if (!p->batch || p->batch->rows == 0)
		return 0;
	if (give(ps, p, e) != 0 || ps->sink.commit(ps->sink.ctx, e) != 0)
		return -1;
	reset(p);
	return 0;
}

static int
close_pile(struct piles *ps, struct pile *p, struct err *e)
{
	if (give_one(ps, p, e) != 0)
		return -1;
	list_drop(ps, p);
	batch_free(p->batch);
	p->batch = NULL;
	ps->mem -= p->mem;
	ps->open--;
	p->mem = 0;
	p->cap = 0;
	return 0;
}

static int
open_pile(struct piles *ps, struct pile *p, struct err *e)
{
	if (ps->open >= PILES_OPEN && close_pile(ps, ps->oldest, e) != 0)
		return -1;
	p->batch = batch_new(p->shape);
	if (!p->batch)
		return err_set(e, "out of memory for records");
	list_add(ps, p);
	ps->open++;
	return 0;
}

static int
renew(struct piles *ps, struct err *e)
{
	struct shapes *shapes;

	while (ps->oldest)
		if (close_pile(ps, ps->oldest, e) != 0)
			return -1;
	shapes = shapes_new(PILE_SHAPES);
	if (!shapes)
		return err_set(e, "out of memory for a shape");
	for (size_t i = 0; i <= ps->mask; i++) {
		free(ps->slots[i]);
		ps->slots[i] = NULL;
	}
	shapes_free(ps->shapes);
	ps->shapes = shapes;
	ps->generation++;
	return 0;
}

int
piles_get(struct piles *ps, const struct field *f, size_t n, struct pile **out,
	  struct err *e)
{
	const struct shape *s;
	size_t at;

	if (shapes_bytes(ps->shapes) > PILE_SHAPES_BYTES && renew(ps, e) != 0)
		return -1;
	if (shapes_get(ps->shapes, f, n, &s, e) != 0 &&
	    (shapes_count(ps->shapes) < PILE_SHAPES || renew(ps, e) != 0 ||
	     shapes_get(ps->shapes, f, n, &s, e) != 0))
		return -1;
	for (at = s->id & ps->mask; ps->slots[at]; at = (at + 1) & ps->mask)
		if (ps->slots[at]->shape == s) {
			*out = ps->slots[at];
			return 0;
		}
	ps->slots[at] = *out = pile_new(s);
	return *out ? 0 : err_set(e, "out of memory for a shape");
}

/* Counts its memory anew, and closes others if all is too much. */
static int
account(struct piles *ps, struct pile *p, struct err *e)
{
	size_t mem = batch_bytes(p->batch);

	ps->mem += mem - p->mem;
	p->mem = mem;
	p->wire_mark = p->wire + WIRE_STEP;
	while (ps->mem > PILES_BYTES && ps->oldest != p)
		if (close_pile(ps, ps->oldest, e) != 0)
			return -1;
	return 0;
}

/* Room for at least ROWS rows; doubles, so it is rare. */
static int
grow(struct piles *ps, struct pile *p, uint32_t rows, struct err *e)
{
	uint32_t cap = p->cap ? p->cap : ROWS_MIN;

	while (cap < rows)
		cap *= 2;
	if (batch_reserve(p->batch, cap, e) != 0)
		return -1;
	p->cap = cap;
	return account(ps, p, e);
}

/* Stamps. */

static int
stamp_value(struct pile *p, size_t at, const void *v, uint32_t n, struct err *e)
{
	struct column *c = &p->batch->cols[at];
	enum col_type t = p->shape->fields[at].type;
	size_t w = col_type_width(t);

	if (p->batch->rows == 0)
		return column_set_constant(c, t, v, e);
	if (c->constant) {
		if (memcmp(c->data, v, w) == 0)
			return 0;
		if (column_expand(c, t, p->batch->rows, p->cap, e) != 0)
			return -1;
	}
	fill_run(c, w, v, p->batch->rows, n);
	return 0;
}

static int
stamp_text(struct pile *p, size_t at, const char *s, size_t len, uint32_t n,
	   struct err *e)
{
	struct column *c = &p->batch->cols[at];
	enum col_type t = p->shape->fields[at].type;

	if (p->batch->rows == 0) {
		c->constant = true;
		return column_put_bytes(c, 0, s, len, e);
	}
	if (c->constant) {
		if (c->bytes_len == len && memcmp(c->bytes, s, len) == 0)
			return 0;
		if (column_expand(c, t, p->batch->rows, p->cap, e) != 0)
			return -1;
	}
	for (uint32_t i = 0; i < n; i++)
		if (column_put_bytes(c, p->batch->rows + i, s, len, e) != 0)
			return -1;
	return 0;
}

static int
stamp_rows(struct pile *p, uint32_t n, const struct stamp *s, struct err *e)
{
	const char *source = rate_sources[s->rate_source];
	const uint16_t *at = p->stamps;
	bool v6 = p->shape->fields[at[STAMP_EXPORTER]].type == COL_IP;
	const void *addr = v6 ? (const void *)s->addr : &s->addr_v4;

	if (stamp_value(p, at[STAMP_TIME], &s->time_us, n, e) != 0 ||
	    stamp_value(p, at[STAMP_EXPORTER], addr, n, e) != 0 ||
	    stamp_value(p, at[STAMP_PORT], &s->port, n, e) != 0 ||
	    stamp_value(p, at[STAMP_SOURCE_ID], &s->source_id, n, e) != 0 ||
	    stamp_value(p, at[STAMP_VERSION], &s->version, n, e) != 0 ||
	    stamp_value(p, at[STAMP_RATE], &s->rate, n, e) != 0)
		return -1;
	if (stamp_text(p, at[STAMP_BINDING], s->binding, s->binding_len, n,
		       e) != 0)
		return -1;
	return stamp_text(p, at[STAMP_RATE_SOURCE], source, strlen(source), n,
			  e);
}

int64_t
pile_begin(struct piles *ps, struct pile *p, uint32_t n, const struct stamp *s,
	   struct err *e)
{
	uint32_t room;

	if (!p->batch) {
		if (open_pile(ps, p, e) != 0)
			return -1;
	} else if (ps->newest != p) {
		list_drop(ps, p);
		list_add(ps, p);
	}
	if (p->batch->rows == 0)
		p->opened_ms = ps->now_ms;
	room = p->rows_max - p->batch->rows;
	if (n > room)
		n = room;
	if (p->batch->rows + n > p->cap &&
	    grow(ps, p, p->batch->rows + n, e) != 0)
		return -1;
	return stamp_rows(p, n, s, e) == 0 ? (int64_t)n : -1;
}

int
pile_end(struct piles *ps, struct pile *p, uint32_t n, size_t wire,
	 struct err *e)
{
	p->batch->rows += n;
	p->wire += wire;
	if (p->batch->rows == p->rows_max || p->wire >= PILE_BYTES)
		return give_one(ps, p, e);
	return p->wire < p->wire_mark ? 0 : account(ps, p, e);
}

/* Gives all that are AGE_MS old or more, with one commit for them. */
static int
give_old(struct piles *ps, int64_t age_ms, struct err *e)
{
	bool any = false;

	for (struct pile *p = ps->oldest; p; p = p->newer) {
		if (p->batch->rows == 0 || ps->now_ms - p->opened_ms < age_ms)
			continue;
		if (give(ps, p, e) != 0)
			return -1;
		any = true;
	}
	if (!any)
		return 0;
	if (ps->sink.commit(ps->sink.ctx, e) != 0)
		return -1;
	for (struct pile *p = ps->oldest; p; p = p->newer)
		if (p->batch->rows && ps->now_ms - p->opened_ms >= age_ms)
			reset(p);
	return 0;
}

int
piles_tick(struct piles *ps, int64_t now_ms, struct err *e)
{
	ps->now_ms = now_ms;
	return give_old(ps, PILE_AGE_MS, e);
}

int
piles_flush(struct piles *ps, struct err *e)
{
	return give_old(ps, INT64_MIN, e);
}
