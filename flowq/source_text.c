/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/source_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/eval.h"
#include "common/text.h"
#include "flowq/plan.h"

enum { BLOCK_BYTES = 4 << 20, CHUNK = 1 << 20, NUMBER_MAX = 64 };

/* What all values of a field may be, narrowest first. */
enum {
	MAY_BOOL = 1 << 0,
	MAY_UINT = 1 << 1,
	MAY_INT = 1 << 2,
	MAY_REAL = 1 << 3,
	MAY_IPV4 = 1 << 4,
	MAY_IP = 1 << 5,
	MAY_MAC = 1 << 6,
	MAY_TIME = 1 << 7,
	MAY_ANY = (1 << 8) - 1,
	MAY_NUMBER = MAY_UINT | MAY_INT | MAY_REAL,
};

static const enum col_type may_types[] = {COL_BOOL, COL_U64, COL_I64, COL_F64,
					  COL_IPV4, COL_IP,  COL_MAC, COL_TIME};

struct text_field {
	char *name;
	size_t len;
	unsigned may;
	bool any, empty; /* there was a value, one of no length */
	enum col_type type;
};

struct text_part {
	uint64_t offset;
	size_t len;
	uint32_t rows;
};

/* An open block. */
struct open_part {
	char *buf, *scratch;
	struct cell *cells; /* rows of fields */
};

static int
oom(const struct text_source *t, struct err *err)
{
	return err_set(err, "%s: out of memory", t->file.path);
}

/*
 * Types.
 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Text that may be a number, in decimal or with an exponent. */
static int
read_real(const char *p, size_t len, double *f)
{
	size_t n = len && *p == '-';

	/* 007 is a code and no number. */
	if (len > n + 1 && p[n] == '0' && is_digit(p[n + 1]))
		return -1;
	return text_read_f64(p, len, f);
}

static int
read_integer(const char *p, size_t len, uint64_t *u, int64_t *i)
{
	bool minus = len && *p == '-';
	const char *digits = p + minus;
	size_t n = len - minus;

	if (n == 0 || (n > 1 && *digits == '0') || text_read_u64(digits, n, u))
		return -1;
	if (minus) {
		if (*u > (uint64_t)1 << 63)
			return -1;
		*i = (int64_t) - *u;
		return 'i';
	}
	*i = (int64_t)*u;
	return 'u';
}

static unsigned
may_number(const char *p, size_t len)
{
	uint64_t u;
	int64_t i;
	double f;

	switch (read_integer(p, len, &u, &i)) {
	case 'i':
		return MAY_INT | MAY_REAL;
	case 'u':
		return i < 0 ? MAY_UINT | MAY_REAL : MAY_NUMBER;
	}
	return read_real(p, len, &f) ? 0 : MAY_REAL;
}

static bool
is_word(const struct cell *c, const char *word)
{
	return c->len == strlen(word) && !memcmp(c->p, word, c->len);
}

static unsigned
may_be(const struct cell *c)
{
	uint8_t ip[16];
	uint64_t mac;
	int64_t us;

	if (c->text || c->escaped || c->len == 0 || c->len > NUMBER_MAX)
		return 0;
	if (c->bare &&
	    (is_digit(*c->p) || *c->p == '-' || *c->p == 'i' || *c->p == 'n')) {
		unsigned may = may_number(c->p, c->len);

		if (may)
			return may;
	}
	if (c->bare && (is_word(c, "true") || is_word(c, "false")))
		return MAY_BOOL;
	if (!text_read_ip(c->p, c->len, ip))
		return ip_is_v4(ip) ? MAY_IPV4 | MAY_IP : MAY_IP;
	if (!text_read_mac(c->p, c->len, &mac))
		return MAY_MAC;
	return text_read_time(c->p, c->len, &us) ? 0 : MAY_TIME;
}

static enum col_type
chosen_type(const struct text_field *f)
{
	if (!f->any)
		return f->empty ? COL_STRING : COL_NULL;
	for (size_t i = 0; i < sizeof may_types / sizeof *may_types; i++)
		if (f->may & 1u << i)
			return may_types[i];
	return COL_STRING;
}

/* The cell as a value of the type that was chosen; null if the file is not
 * what it was. */
static void
cell_value(const struct cell *c, enum col_type type, struct value *v)
{
	bool bad = true;
	uint8_t ip[16];
	int64_t i;
	uint64_t u;

	v->type = type;
	switch (type) {
	case COL_BOOL:
		v->u = c->p[0] == 't';
		return;
	case COL_U64:
		bad = read_integer(c->p, c->len, &v->u, &i) < 0;
		break;
	case COL_I64:
		bad = read_integer(c->p, c->len, &u, &v->i) < 0;
		break;
	case COL_F64:
		bad = read_real(c->p, c->len, &v->f) != 0;
		break;
	case COL_IPV4:
		bad = text_read_ip(c->p, c->len, ip) != 0;
		v->u = bad ? 0 : ip_v4(ip);
		break;
	case COL_IP:
		bad = text_read_ip(c->p, c->len, v->ip) != 0;
		break;
	case COL_MAC:
		bad = text_read_mac(c->p, c->len, &v->u) != 0;
		break;
	default:
		bad = text_read_time(c->p, c->len, &v->i) != 0;
	}
	if (bad)
		v->type = COL_NULL;
}

/*
 * Fields.
 */

static int
find(const struct text_source *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->nfields; i++)
		if (t->fields[i].len == len &&
		    !memcmp(t->fields[i].name, name, len))
			return (int)i;
	return -1;
}

static int
add(struct text_source *t, const char *name, size_t len, struct err *err)
{
	struct text_field *f;

	if (t->nfields == TEXT_FIELDS_MAX)
		return err_set(err, "%s: more than %d fields", t->file.path,
			       TEXT_FIELDS_MAX);
	if (t->nfields == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 32;

		f = realloc(t->fields, cap * sizeof(*f));
		if (!f)
			return oom(t, err);
		t->fields = f;
		t->cap = cap;
	}
	f = &t->fields[t->nfields];
	*f = (struct text_field){
	    .may = MAY_ANY, .name = malloc(len + 1), .len = len};
	if (!f->name)
		return oom(t, err);
	memcpy(f->name, name, len);
	f->name[len] = 0;
	return (int)t->nfields++;
}

int
text_source_add(struct text_source *t, const char *name, size_t len,
		struct err *err)
{
	char buf[2 * FIELD_NAME_MAX];

	len = len < FIELD_NAME_MAX ? len : FIELD_NAME_MAX - 1;
	len = text_utf8(name, len);
	if (len == 0)
		len = (size_t)snprintf(buf, sizeof buf, "column_%zu",
				       t->nfields + 1);
	else
		memcpy(buf, name, len);
	text_defuse(buf, len);
	if (find(t, buf, len) < 0)
		return add(t, buf, len, err);
	for (unsigned n = 2;; n++) {
		char other[sizeof buf + 16];
		size_t k = (size_t)snprintf(other, sizeof other, "%.*s_%u",
					    (int)len, buf, n);

		if (find(t, other, k) < 0)
			return add(t, other, k, err);
	}
}

int
text_source_field(struct text_row *r, const char *name, size_t len,
		  struct err *err)
{
	struct text_source *t = r->source;
	int i = -1;

	/* Records have their fields in one order, mostly. */
	if (r->next < t->nfields) {
		const char *next = t->fields[r->next].name;

		if (t->fields[r->next].len == len && !memcmp(next, name, len))
			i = (int)r->next;
	}
	if (i < 0)
		i = find(t, name, len);
	if (i < 0 && t->closed)
		return -1;
	if (i < 0) {
		i = add(t, name, len, err);
		if (i < 0)
			return -1;
		r->cells[i] = (struct cell){0};
	}
	r->next = (size_t)i + 1;
	return i;
}

/*
 * The first time through.
 */

struct reader {
	struct text_source *t;
	struct cell cells[TEXT_FIELDS_MAX];
	char *buf;
	size_t cap, have, at;
	uint64_t pos; /* of buf[0] in the file */
	uint64_t line;
	bool eof;
};

static uint64_t
count_lines(const char *p, size_t len)
{
	uint64_t n = 0;
	const char *end = p + len;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		n++;
		p++;
	}
	return n;
}

static void
take_cells(struct text_source *t, const struct cell *cells)
{
	for (size_t i = 0; i < t->nfields; i++) {
		struct text_field *f = &t->fields[i];

		if (!cells[i].p)
			continue;
		/* Who quotes all values has "" for none. */
		if (cells[i].len == 0) {
			f->empty = true;
			continue;
		}
		f->any = true;
		if (f->may)
			f->may &= may_be(&cells[i]);
	}
}

static int
add_row(struct text_source *t, uint64_t offset, struct err *err)
{
	struct text_part *p = t->nparts ? &t->parts[t->nparts - 1] : NULL;

	t->rows++;
	if (p && p->rows < TEXT_BLOCK_ROWS &&
	    offset - p->offset < BLOCK_BYTES) {
		p->rows++;
		return 0;
	}
	if (p)
		p->len = (size_t)(offset - p->offset);
	/* full at each power of two */
	if (!t->parts || (t->nparts & (t->nparts - 1)) == 0) {
		p = realloc(t->parts,
			    (t->nparts ? 2 * t->nparts : 1) * sizeof(*p));
		if (!p)
			return oom(t, err);
		t->parts = p;
	}
	t->parts[t->nparts++] = (struct text_part){.offset = offset, .rows = 1};
	return 0;
}

/* One record of what was read: 1; 0: more is needed. */
static int
read_record(struct reader *r, struct err *err)
{
	struct text_source *t = r->t;
	struct text_row row = {.source = t, .cells = r->cells};
	const char *p = r->buf + r->at;
	size_t left = r->have - r->at;
	bool is_row = false;
	int64_t n;

	if (left == 0)
		return 0;
	memset(r->cells, 0, t->nfields * sizeof(*r->cells));
	n = t->format->record(&row, p, left, r->eof, &is_row, err);
	if (n == TEXT_BAD) {
		n = (int64_t)t->format->skip(p, left, r->eof);
		if (n > 0 && t->skipped++ == 0)
			t->first_line = r->line;
	}
	if (n < 0)
		return err_prefix(err, "%s: line %llu", t->file.path,
				  (unsigned long long)r->line);
	if (n > 0 && is_row) {
		take_cells(t, r->cells);
		if (add_row(t, r->pos + r->at, err))
			return -1;
		t->odd += row.odd;
	}
	r->line += count_lines(p, (size_t)n);
	r->at += (size_t)n;
	return n > 0;
}

/* More of the file behind what is left of it. */
static int
read_more(struct reader *r, struct err *err)
{
	int64_t n;

	memmove(r->buf, r->buf + r->at, r->have - r->at);
	r->pos += r->at;
	r->have -= r->at;
	r->at = 0;
	if (r->have == r->cap) {
		char *p;

		assert(r->cap > 0);
		if (r->cap >= TEXT_RECORD_MAX)
			return err_set(err,
				       "%s: the record at line %llu is "
				       "longer than %d MiB",
				       r->t->file.path,
				       (unsigned long long)r->line,
				       TEXT_RECORD_MAX >> 20);
		p = realloc(r->buf, 2 * r->cap);
		if (!p)
			return oom(r->t, err);
		r->buf = p;
		r->cap *= 2;
	}
	n = textfile_read(&r->t->file, r->pos + r->have, r->buf + r->have,
			  r->cap - r->have, err);
	if (n < 0)
		return -1;
	r->have += (size_t)n;
	r->eof = r->have < r->cap;
	return 0;
}

static int
read_all(struct reader *r, struct err *err)
{
	while (!r->eof) {
		int rc;

		if (read_more(r, err))
			return -1;
		while ((rc = read_record(r, err)) > 0)
			;
		if (rc < 0)
			return -1;
	}
	if (r->t->nparts) {
		struct text_part *p = &r->t->parts[r->t->nparts - 1];

		p->len = (size_t)(r->pos + r->have - p->offset);
	}
	return 0;
}

static int
describe(struct text_source *t, struct err *err)
{
	struct source *s = &t->src;

	s->fields = calloc(t->nfields + 1, sizeof(*s->fields));
	if (!s->fields)
		return oom(t, err);
	s->n = t->nfields;
	for (size_t i = 0; i < s->n; i++) {
		struct text_field *f = &t->fields[i];

		f->type = chosen_type(f);
		s->fields[i] =
		    (struct source_field){.name = f->name,
					  .type = expr_type_of(f->type),
					  .nullable = true};
	}
	s->blocks = t->nparts;
	t->closed = true;
	return 0;
}

int
text_source_read(struct text_source *t, uint64_t offset, struct err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return oom(t, err);
	r->t = t;
	r->pos = offset;
	r->line = t->line;
	r->cap = CHUNK;
	r->buf = malloc(r->cap);
	rc = r->buf ? read_all(r, err) : oom(t, err);
	free(r->buf);
	free(r);
	if (rc == 0 && t->skipped && t->rows == 0)
		return err_set(err, "%s: line %llu is no %s, and no other is",
			       t->file.path, (unsigned long long)t->first_line,
			       t->format->record_name);
	return rc ? -1 : describe(t, err);
}

/*
 * Blocks.
 */

static void
close_part(struct open_part *o)
{
	free(o->buf);
	free(o->scratch);
	free(o->cells);
	free(o);
}

static int
parse_part(const struct text_source *t, const struct text_part *part,
	   struct open_part *o, struct err *err)
{
	struct text_row row = {.source = (struct text_source *)t};
	uint32_t rows = 0;
	size_t at = 0;

	while (at < part->len && rows < part->rows) {
		bool is_row = false;
		int64_t n;

		row.cells = o->cells + rows * t->nfields;
		row.next = 0;
		memset(row.cells, 0, t->nfields * sizeof(*row.cells));
		n = t->format->record(&row, o->buf + at, part->len - at, true,
				      &is_row, err);
		if (n == TEXT_BAD)
			n = (int64_t)t->format->skip(o->buf + at,
						     part->len - at, true);
		if (n <= 0)
			break;
		rows += is_row;
		at += (size_t)n;
	}
	if (rows == part->rows)
		return 0;
	return err_set(err, "%s changed while it was read", t->file.path);
}

static int
tx_open(struct source *s, struct source_block *b, struct err *err)
{
	const struct text_source *t = (const struct text_source *)s;
	const struct text_part *part = &t->parts[b->index];
	struct open_part *o = calloc(1, sizeof(*o));
	int64_t n;

	if (!o)
		return oom(t, err);
	o->buf = malloc(part->len + 1);
	o->scratch = malloc(part->len + 1);
	o->cells =
	    malloc((size_t)part->rows * t->nfields * sizeof(*o->cells) + 1);
	if (!o->buf || !o->scratch || !o->cells) {
		close_part(o);
		return oom(t, err);
	}
	n = textfile_read(&t->file, part->offset, o->buf, part->len, err);
	if (n >= 0 && (size_t)n < part->len)
		n = err_set(err, "%s became shorter while it was read",
			    t->file.path);
	if (n < 0 || parse_part(t, part, o, err)) {
		close_part(o);
		return -1;
	}
	b->rows = part->rows;
	b->priv = o;
	return 0;
}

static void
tx_close(struct source *s, struct source_block *b)
{
	(void)s;
	close_part(b->priv);
}

static enum col_type
tx_peek(struct source *s, size_t block, size_t field,
	const struct column_stat **stat)
{
	(void)block;
	*stat = NULL;
	return ((const struct text_source *)s)->fields[field].type;
}

static int
tx_column(struct source *s, struct source_block *b, size_t field,
	  struct column *c, const struct column **out, struct err *err)
{
	const struct text_source *t = (const struct text_source *)s;
	const struct open_part *o = b->priv;
	enum col_type type = t->fields[field].type;

	*out = NULL;
	if (type == COL_NULL)
		return 0;
	column_clear(c);
	for (uint32_t i = 0; i < b->rows; i++) {
		const struct cell *cell = &o->cells[i * t->nfields + field];
		struct value v = {.type = COL_NULL};

		if (cell->p && type == COL_STRING) {
			v.type = type;
			v.s = cell->p;
			v.len = cell->len;
			if (cell->escaped) {
				v.len = t->format->unescape(cell, o->scratch);
				v.s = o->scratch;
			}
		} else if (cell->p) {
			cell_value(cell, type, &v);
		}
		if (column_put(c, type, i, &v, err))
			return -1;
	}
	*out = c;
	return 0;
}

static uint32_t
tx_rows(struct source *s, size_t block)
{
	return ((const struct text_source *)s)->parts[block].rows;
}

static void
tx_free(struct source *s)
{
	struct text_source *t = (struct text_source *)s;

	textfile_close(&t->file);
	for (size_t i = 0; i < t->nfields; i++)
		free(t->fields[i].name);
	free(t->fields);
	free(t->parts);
	free(s->fields);
	free(t);
}

static const struct source_ops text_ops = {
    .name = "file",
    .open = tx_open,
    .close = tx_close,
    .peek = tx_peek,
    .column = tx_column,
    .rows = tx_rows,
    .free = tx_free,
};

struct text_source *
text_source_new(const struct text_format *format, const char *path,
		struct err *err)
{
	struct text_source *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(err, "out of memory");
		return NULL;
	}
	t->src.ops = &text_ops;
	t->src.time_field = t->src.id_field = -1;
	t->src.again = true;
	t->format = format;
	t->line = 1;
	if (textfile_open(&t->file, path, err)) {
		tx_free(&t->src);
		return NULL;
	}
	return t;
}

int
plan_text(struct plan *p, struct text_source *t)
{
	char buf[ERR_MAX];

	if (t->skipped)
		snprintf(buf, sizeof buf,
			 "%.200s: lines that are no %s were skipped: %llu, the "
			 "first is line %llu",
			 t->file.path, t->format->record_name,
			 (unsigned long long)t->skipped,
			 (unsigned long long)t->first_line);
	else if (t->odd)
		snprintf(buf, sizeof buf,
			 "%.200s: records that are not as the first line says: "
			 "%llu",
			 t->file.path, (unsigned long long)t->odd);
	if (p->hint && (t->skipped || t->odd))
		p->hint(buf);
	return plan_source(p, &t->src);
}
