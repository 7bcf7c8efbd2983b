/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/block.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/block_format.h"
#include "common/checksum.h"
#include "common/decode.h"

/* A column being decoded: n rows of it, or so many entries. */
struct target {
	struct decoder d;
	const struct block_in *b;
	const uint8_t *body;
	struct column *c;
	size_t n;
	enum col_type type;
};

enum { CAP_MIN = 1024, CAP_MARK = 8 };

/* A column of ours has room for a power of two of rows, and CAP_MARK more,
 * which those of batches never have. */
static bool
is_ours(const struct column *c)
{
	size_t n = c->cap - CAP_MARK;

	return c->cap > CAP_MARK && (n & (n - 1)) == 0;
}

static int
prepare(struct column *c, size_t rows)
{
	size_t cap = CAP_MIN;

	if (!is_ours(c) || c->cap < rows) {
		while (cap < rows)
			cap *= 2;
		cap += CAP_MARK;
		column_clear(c);
		/* any type, for the next column may be of another one */
		c->data = malloc(16 * (cap + DECODE_SLACK));
		if (!c->data)
			return -1;
		c->cap = cap;
	}
	free(c->valid);
	c->valid = NULL;
	c->constant = false;
	c->bytes_len = 0;
	return 0;
}

static int
set_nulls(struct target *t, uint32_t nulls)
{
	size_t bytes = nulls == t->n ? 1 : (t->n + 7) / 8;
	uint8_t *scratch = t->d.scratch;
	uint32_t *v;

	if (nulls == 0)
		return 0;
	t->c->valid = calloc(1, (t->c->cap + 7) / 8);
	if (!t->c->valid)
		return decode_fail(&t->d, "out of memory");
	if (nulls == t->n)
		return 0;
	v = decode_take(&t->d, (bytes * 8 + DECODE_SLACK) * sizeof(*v));
	if (!v || decode_vector32(&t->d, t->n, v) != 0)
		return -1;
	memset(v + t->n, 0, (bytes * 8 - t->n) * sizeof(*v));
	for (size_t i = 0; i < bytes; i++)
		for (size_t k = 0; k < 8; k++)
			t->c->valid[i] |= (uint8_t)((v[8 * i + k] & 1) << k);
	t->d.scratch = scratch;
	return 0;
}

/* A constant value may stand for all rows only if none or all are null. */
static bool
take_constant(struct target *t, uint32_t nulls, uint64_t *value)
{
	if (nulls != 0 && nulls != t->n)
		return false;
	return decode_constant(&t->d, value);
}

static int
narrow(struct target *t)
{
	uint32_t *v = decode_take(&t->d, (t->n + DECODE_SLACK) * sizeof(*v));
	uint8_t *bytes = t->c->data;
	uint16_t *words = t->c->data;

	if (!v || decode_vector32(&t->d, t->n, v) != 0)
		return -1;
	if (t->type == COL_U16)
		for (size_t i = 0; i < t->n; i++)
			words[i] = (uint16_t)v[i];
	else if (t->type == COL_U8)
		for (size_t i = 0; i < t->n; i++)
			bytes[i] = (uint8_t)v[i];
	else
		for (size_t i = 0; i < t->n; i++)
			bytes[i] = v[i] & 1;
	return 0;
}

static int
decode_integers(struct target *t, uint32_t nulls)
{
	size_t width = col_type_width(t->type);
	uint64_t value;

	if (take_constant(t, nulls, &value)) {
		if (t->type == COL_BOOL)
			value &= 1;
		memcpy(t->c->data, &value, width);
		t->c->constant = true;
		return 0;
	}
	if (width == 8)
		return decode_vector64(&t->d, t->n, t->c->data);
	if (width == 4)
		return decode_vector32(&t->d, t->n, t->c->data);
	return narrow(t);
}

static int
decode_addresses(struct target *t, uint32_t nulls)
{
	size_t room = (t->n + DECODE_SLACK) * 8;
	uint64_t *high = decode_take(&t->d, room);
	uint64_t *low = decode_take(&t->d, room);
	const uint8_t *start = t->d.p;
	uint64_t *out = t->c->data;

	if (!high || !low)
		return -1;
	if (take_constant(t, nulls, &high[0])) {
		if (take_constant(t, nulls, &low[0])) {
			out[0] = __builtin_bswap64(high[0]);
			out[1] = __builtin_bswap64(low[0]);
			t->c->constant = true;
			return 0;
		}
		t->d.p = start;
	}
	if (decode_vector64(&t->d, t->n, high) != 0 ||
	    decode_vector64(&t->d, t->n, low) != 0)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		out[2 * i] = __builtin_bswap64(high[i]);
		out[2 * i + 1] = __builtin_bswap64(low[i]);
	}
	return 0;
}

/* Lengths to offsets: off[0, k] of k strings, off[1, k] being the lengths. */
static int
sum_lengths(struct target *t, uint32_t *off, size_t k)
{
	uint64_t sum = 0;

	off[0] = 0;
	for (size_t i = 1; i <= k; i++) {
		sum += off[i];
		if (sum > STRINGS_MAX)
			return decode_fail(&t->d, "too long strings");
		off[i] = (uint32_t)sum;
	}
	return 0;
}

/* The bytes of k strings whose offsets are known; to be freed. */
static char *
decode_text(struct target *t, size_t want)
{
	unsigned codec = decode_u8(&t->d);
	size_t raw = decode_u32(&t->d), stored = decode_u32(&t->d);
	const uint8_t *p = decode_bytes(&t->d, stored);
	char *out;

	if (!p)
		return NULL;
	if (raw != want || (codec == CODEC_NONE && stored != raw) ||
	    (codec != CODEC_NONE && codec != CODEC_ZSTD)) {
		decode_fail(&t->d, "strings that do not add up");
		return NULL;
	}
	out = malloc(raw + 1);
	if (!out) {
		decode_fail(&t->d, "out of memory");
		return NULL;
	}
	if (codec == CODEC_NONE) {
		memcpy(out, p, raw);
	} else if (ZSTD_decompress(out, raw, p, stored) != raw) {
		decode_fail(&t->d, "damaged compression");
		free(out);
		return NULL;
	}
	return out;
}

/* K strings: offsets to off[0, k], and their bytes (to be freed) or NULL. */
static char *
decode_list(struct target *t, uint32_t *off, size_t k)
{
	if (decode_vector32(&t->d, k, off + 1) != 0 ||
	    sum_lengths(t, off, k) != 0)
		return NULL;
	return decode_text(t, off[k]);
}

static int
spread_texts(struct target *t, const uint32_t *from, const char *bytes,
	     size_t entries, const uint32_t *code)
{
	uint32_t *off = t->c->data;
	size_t at = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (code[i] >= entries)
			return decode_fail(&t->d, "a code past the dictionary");
		off[i + 1] = from[code[i] + 1] - from[code[i]];
	}
	if (sum_lengths(t, off, t->n) != 0)
		return -1;
	if (off[t->n] > t->c->bytes_cap) {
		free(t->c->bytes);
		t->c->bytes_cap = 0;
		t->c->bytes = malloc(off[t->n]);
		if (!t->c->bytes)
			return decode_fail(&t->d, "out of memory");
		t->c->bytes_cap = off[t->n];
	}
	for (size_t i = 0; i < t->n; i++) {
		size_t len = off[i + 1] - off[i];

		if (len > 0)
			memcpy(t->c->bytes + at, bytes + from[code[i]], len);
		at += len;
	}
	t->c->bytes_len = at;
	return 0;
}

static void
own_bytes(struct column *c, char *bytes, size_t len)
{
	free(c->bytes);
	c->bytes = bytes;
	c->bytes_len = len;
	c->bytes_cap = len + 1;
}

static int
decode_dict_texts(struct target *t, uint32_t nulls)
{
	size_t k = decode_u32(&t->d), room;
	uint32_t *from, *code;
	uint64_t value;
	char *bytes;
	int r = -1;

	if (k == 0 || k > t->n)
		return decode_fail(&t->d, "a dictionary of no or many strings");
	room = (k + 1 + DECODE_SLACK) * sizeof(*from);
	from = decode_take(&t->d, room);
	code = decode_take(&t->d, (t->n + DECODE_SLACK) * sizeof(*code));
	if (!from || !code)
		return -1;
	bytes = decode_list(t, from, k);
	if (bytes && k == 1 && take_constant(t, nulls, &value)) {
		memcpy(t->c->data, from, 2 * sizeof(*from));
		own_bytes(t->c, bytes, from[1]);
		t->c->constant = true;
		return 0;
	}
	if (bytes && decode_vector32(&t->d, t->n, code) == 0)
		r = spread_texts(t, from, bytes, k, code);
	free(bytes);
	return r;
}

static int
decode_texts(struct target *t, uint32_t nulls)
{
	uint32_t *off = t->c->data;
	char *bytes;

	switch (decode_u8(&t->d)) {
	case STRINGS_PLAIN:
		bytes = decode_list(t, off, t->n);
		if (bytes)
			own_bytes(t->c, bytes, off[t->n]);
		return bytes ? 0 : -1;
	case STRINGS_DICT:
		return decode_dict_texts(t, nulls);
	default:
		return decode_fail(&t->d, "unknown kind of strings");
	}
}

static void
start(struct decoder *d, const struct block_in *b, const uint8_t *body,
      size_t col)
{
	d->p = body + b->places[col].offset;
	d->end = d->p + b->places[col].stored;
	d->limit = body + b->body;
}

static bool
is_sound(const struct block_in *b, const uint8_t *body, size_t col)
{
	const struct block_place *at = &b->places[col];

	return checksum(body + at->offset, at->stored) == at->checksum;
}

/* Another column of the block, as integers, for one that is relative to it. */
static int
reference(struct decoder *d, unsigned col, size_t n, uint64_t *out)
{
	const struct target *t = d->ctx;
	struct decoder sub = *d;
	uint32_t nulls;
	enum col_type type;
	size_t width;

	if (col >= t->b->pub.shape->n)
		return decode_fail(d, "relative to a column that is not there");
	type = t->b->pub.shape->fields[col].type;
	width = col_type_width(type);
	if (width == 0 || width > 8)
		return decode_fail(d, "relative to a column of no integers");
	if (!is_sound(t->b, t->body, col))
		return decode_fail(d, "relative to a damaged column");
	start(&sub, t->b, t->body, col);
	nulls = t->b->pub.stats[col].nulls;
	/* the bitmap is passed over: what it hides is zero */
	if ((nulls != 0 && nulls != n && decode_vector64(&sub, n, out) != 0) ||
	    decode_vector64(&sub, n, out) != 0)
		return decode_fail(d, sub.bad);
	if (width < 8)
		for (size_t i = 0; i < n; i++)
			out[i] &= UINT64_MAX >> (64 - 8 * width);
	return 0;
}

/* The codes of another column, for one that is a value per entry of its
 * dictionary. */
static int
reference_codes(struct decoder *d, unsigned col, size_t n, uint32_t *out)
{
	const struct target *t = d->ctx;
	struct decoder sub = *d;
	uint32_t nulls;
	enum col_type type;

	if (col >= t->b->pub.shape->n)
		return decode_fail(d, "mapped from a column that is not there");
	type = t->b->pub.shape->fields[col].type;
	if (type == COL_STRING || type == COL_BYTES)
		return decode_fail(d, "mapped from a column of strings");
	if (!is_sound(t->b, t->body, col))
		return decode_fail(d, "mapped from a damaged column");
	start(&sub, t->b, t->body, col);
	nulls = t->b->pub.stats[col].nulls;
	if ((nulls != 0 && nulls != n && decode_vector32(&sub, n, out) != 0) ||
	    decode_codes(&sub, n, out) != 0)
		return decode_fail(d, sub.bad);
	return 0;
}

static int
decode_target(struct target *t, uint32_t nulls)
{
	if (set_nulls(t, nulls) != 0)
		return -1;
	if (t->type == COL_IP)
		return decode_addresses(t, nulls);
	if (t->type == COL_STRING || t->type == COL_BYTES)
		return decode_texts(t, nulls);
	return decode_integers(t, nulls);
}

static int
scratch_room(struct table_scratch *s, size_t rows)
{
	size_t size = decode_scratch(rows < CAP_MIN ? CAP_MIN : rows);

	if (size <= s->size)
		return 0;
	free(s->p);
	s->size = 0;
	s->p = malloc(size);
	if (!s->p)
		return -1;
	s->size = size;
	return 0;
}

void
table_scratch_clear(struct table_scratch *s)
{
	free(s->p);
	*s = (struct table_scratch){0};
}

void
coded_clear(struct coded *c)
{
	column_clear(&c->values);
	free(c->code);
	*c = (struct coded){0};
}

static int
begin(struct target *t, const struct block_in *b, const void *body, size_t col,
      struct table_scratch *s)
{
	if (scratch_room(s, b->pub.rows) != 0)
		return -1;
	*t = (struct target){.b = b,
			     .body = body,
			     .n = b->pub.rows,
			     .type = b->pub.shape->fields[col].type};
	start(&t->d, b, body, col);
	t->d.ops = bits_ops();
	t->d.scratch = s->p;
	t->d.scratch_end = s->p + s->size;
	t->d.column = reference;
	t->d.codes = reference_codes;
	t->d.ctx = t;
	return 0;
}

static const char *
name_of(const struct block_in *b, size_t col)
{
	return b->pub.shape->fields[col].name;
}

static int
mismatch(const struct block_in *b, size_t col, struct err *e)
{
	return err_set(e, "column %s does not match its checksum",
		       name_of(b, col));
}

static int
damaged(const struct target *t, size_t col, struct err *e)
{
	return err_set(e, "column %s is damaged: %s", name_of(t->b, col),
		       t->d.bad ? t->d.bad : "cut short");
}

int
block_column(const struct block_in *b, const void *body, size_t col,
	     struct table_scratch *s, struct column *c, struct err *e)
{
	struct target t;

	if (prepare(c, b->pub.rows) != 0 || begin(&t, b, body, col, s) != 0)
		return err_sys(e, "cannot read column %s", name_of(b, col));
	if (!is_sound(b, body, col))
		return mismatch(b, col, e);
	t.c = c;
	if (decode_target(&t, b->pub.stats[col].nulls) != 0 || t.d.bad)
		return damaged(&t, col, e);
	return 0;
}

static bool
is_text(enum col_type t)
{
	return t == COL_STRING || t == COL_BYTES;
}

const char *
block_encoding(const struct block_in *b, const void *body, size_t col,
	       struct table_scratch *s)
{
	static const char *const names[] = {
	    [ENC_CONST] = "constant",  [ENC_PACKED] = "packed",
	    [ENC_RUNS] = "runs",       [ENC_DICT] = "dictionary",
	    [ENC_PATCHED] = "patched", [ENC_DELTA] = "differences",
	    [ENC_LINEAR] = "relative", [ENC_ESCAPE] = "escaped",
	    [ENC_MAP] = "mapped",
	};
	uint32_t nulls = b->pub.stats[col].nulls;
	struct target t;
	unsigned kind;

	if (begin(&t, b, body, col, s) != 0 || !is_sound(b, body, col))
		return NULL;
	if (nulls != 0 && nulls != t.n) {
		uint32_t *v =
		    decode_take(&t.d, (t.n + DECODE_SLACK) * sizeof(*v));

		if (!v || decode_vector32(&t.d, t.n, v) != 0)
			return NULL;
	}
	kind = decode_u8(&t.d);
	if (t.d.bad)
		return NULL;
	if (is_text(t.type))
		return kind == STRINGS_DICT ? "dictionary" : "text";
	return kind < sizeof(names) / sizeof(*names) ? names[kind] : NULL;
}

/* The entries of strings: a list, unless there is a string per row. */
static size_t
text_entries(struct target *t, size_t max)
{
	const uint8_t *start = t->d.p;
	size_t k = 0;

	if (decode_u8(&t->d) == STRINGS_DICT)
		k = decode_u32(&t->d);
	if (!t->d.bad && k > 0 && k <= max)
		return k;
	if (!t->d.bad)
		t->d.p = start;
	return 0;
}

/* The entries' vector is next. */
static int
decode_values(struct target *t)
{
	uint32_t *off = t->c->data;
	char *bytes;

	if (!is_text(t->type))
		return decode_integers(t, 0);
	bytes = decode_list(t, off, t->n);
	if (bytes)
		own_bytes(t->c, bytes, off[t->n]);
	return bytes ? 0 : -1;
}

int
block_entries(const struct block_in *b, const void *body, size_t col,
	      struct table_scratch *s, struct coded *c, struct err *e)
{
	size_t entries, max = b->pub.rows / 2;
	struct target t;

	if (b->pub.stats[col].nulls || b->pub.shape->fields[col].type == COL_IP)
		return 0;
	if (begin(&t, b, body, col, s) != 0)
		return err_sys(e, "cannot read column %s", name_of(b, col));
	entries =
	    is_text(t.type) ? text_entries(&t, max) : decode_entries(&t.d, max);
	if (t.d.bad)
		return damaged(&t, col, e);
	if (!entries)
		return 0;
	start(&t.d, b, body, col);
	if (!is_sound(b, body, col))
		return mismatch(b, col, e);
	if (prepare(&c->values, (uint32_t)entries) != 0)
		return err_sys(e, "cannot read column %s", name_of(b, col));
	is_text(t.type) ? text_entries(&t, max) : decode_entries(&t.d, max);
	t.c = &c->values;
	t.n = c->entries = (uint32_t)entries;
	if (decode_values(&t) != 0 || t.d.bad)
		return damaged(&t, col, e);
	return 1;
}

/* Passes over k strings. */
static int
skip_list(struct target *t, size_t k)
{
	uint8_t *scratch = t->d.scratch;
	uint32_t *len = decode_take(&t->d, (k + DECODE_SLACK) * sizeof(*len));

	if (!len || decode_vector32(&t->d, k, len) != 0)
		return -1;
	t->d.scratch = scratch;
	decode_bytes(&t->d, 1 + 4);
	decode_bytes(&t->d, decode_u32(&t->d));
	return t->d.bad ? -1 : 0;
}

static int
text_codes(struct target *t, size_t entries, uint32_t *code)
{
	decode_bytes(&t->d, 1 + 4);
	if (skip_list(t, entries) != 0 ||
	    decode_vector32(&t->d, t->n, code) != 0)
		return -1;
	if (t->d.ops->greatest(code, t->n) >= entries)
		return decode_fail(&t->d, "a code past the dictionary");
	return 0;
}

int
block_codes(const struct block_in *b, const void *body, size_t col,
	    struct table_scratch *s, struct coded *c, struct err *e)
{
	struct target t;
	int r;

	if (c->cap < b->pub.rows) {
		free(c->code);
		c->cap = b->pub.rows;
		c->code = malloc((c->cap + DECODE_SLACK) * sizeof(*c->code));
		if (!c->code)
			c->cap = 0;
	}
	if (!c->code || begin(&t, b, body, col, s) != 0)
		return err_sys(e, "cannot read column %s", name_of(b, col));
	r = is_text(t.type)
		? text_codes(&t, c->entries, c->code)
		: decode_entry_codes(&t.d, t.n, c->entries, c->code);
	return r != 0 || t.d.bad ? damaged(&t, col, e) : 0;
}
