/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/checksum.h"
#include "common/decode.h"

/* Layout of a head: flowtable(5). All numbers are little-endian. */
enum {
	HEAD_SIZE = 40,	  /* before the sections */
	HEAD_SUMMED = 16, /* where what the checksum covers begins */
	SECTION_SHAPE = 1,
	SECTION_COLUMNS = 2,
	SECTION_SIZE = 8, /* of its head */
	ENTRY_SIZE = 64,  /* of a column in SECTION_COLUMNS */
	ENTRY_MINMAX = 1, /* flags */
	ENTRY_SUM = 2,
	STRINGS_PLAIN = 0,
	STRINGS_DICT = 1,
	CODEC_NONE = 0,
	CODEC_ZSTD = 2,
	ZSTD_LEVEL = 1,
	STRINGS_MAX = 256 << 20, /* bytes of one column of strings */
	COMPRESS_MIN = 512,	 /* bytes */
};

static void
put16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)x;
	p[1] = (uint8_t)(x >> 8);
}

static void
put32(uint8_t *p, uint32_t x)
{
	memcpy(p, &x, 4);
}

static void
put64(uint8_t *p, uint64_t x)
{
	memcpy(p, &x, 8);
}

static unsigned
get16(const uint8_t *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return x;
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, 8);
	return x;
}

/* ---- encoding ---- */

/* One column of the rows that are encoded. */
struct source {
	const struct column *c;
	enum col_type type;
	uint32_t from, n;
	uint32_t nulls;
};

static void
widen(const struct source *s, uint64_t *out)
{
	size_t width = col_type_width(s->type);
	const uint8_t *p = s->c->data;
	size_t n = s->n;

	if (s->c->constant)
		n = 1;
	else
		p += s->from * width;
	switch (width) {
	case 1:
		for (size_t i = 0; i < n; i++)
			out[i] = p[i];
		break;
	case 2:
		for (size_t i = 0; i < n; i++)
			out[i] = get16(p + 2 * i);
		break;
	case 4:
		for (size_t i = 0; i < n; i++)
			out[i] = get32(p + 4 * i);
		break;
	default:
		memcpy(out, p, 8 * n);
	}
	for (size_t i = n; i < s->n; i++)
		out[i] = out[0];
}

static uint32_t
count_nulls(const struct source *s)
{
	uint32_t nulls = 0;

	if (!s->c->valid)
		return 0;
	if (s->c->constant)
		return column_is_null(s->c, 0) ? s->n : 0;
	for (uint32_t i = 0; i < s->n; i++)
		nulls += column_is_null(s->c, s->from + i);
	return nulls;
}

static bool
is_signed(enum col_type t)
{
	return t == COL_I64 || t == COL_TIME;
}

static bool
is_summed(enum col_type t)
{
	return (t >= COL_U8 && t <= COL_U64) || t == COL_I64;
}

static void
stat_value(struct value *v, enum col_type t, uint64_t x)
{
	v->type = t;
	v->u = x;
}

/* Minimum, maximum and sum the slow way, for columns with nulls and numbers
 * near the ends of their range. */
static void
stat_exact(const struct source *s, const uint64_t *v, struct column_stat *st)
{
	uint64_t flip = is_signed(s->type) ? (uint64_t)1 << 63 : 0;
	uint64_t min = UINT64_MAX, max = 0;
	__int128 sum = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t x = v[i] ^ flip;

		if (column_is_null(s->c, s->from + i))
			continue;
		min = x < min ? x : min;
		max = x > max ? x : max;
		sum += flip ? (__int128)(int64_t)v[i] : (__int128)v[i];
	}
	st->has_minmax = true;
	stat_value(&st->min, s->type, min ^ flip);
	stat_value(&st->max, s->type, max ^ flip);
	st->has_sum = flip ? sum >= INT64_MIN && sum <= INT64_MAX
			   : sum <= (__int128)UINT64_MAX;
	st->usum = (uint64_t)sum;
}

static void
stat_floats(const struct source *s, const uint64_t *v, struct column_stat *st)
{
	double min = INFINITY, max = -INFINITY;

	for (uint32_t i = 0; i < s->n; i++) {
		double x;

		memcpy(&x, &v[i], sizeof(x));
		if (column_is_null(s->c, s->from + i))
			continue;
		if (isnan(x))
			return;
		min = x < min ? x : min;
		max = x > max ? x : max;
	}
	st->has_minmax = true;
	st->min = (struct value){.type = COL_F64, .f = min};
	st->max = (struct value){.type = COL_F64, .f = max};
}

static void
stat_integers(const struct source *s, const uint64_t *v,
	      const struct bits_scan *scan, struct column_stat *st)
{
	const int64_t safe = INT64_MAX / BATCH_ROWS_MAX;

	st->nulls = s->nulls;
	if (s->nulls == s->n)
		return;
	if (s->type == COL_F64) {
		stat_floats(s, v, st);
		return;
	}
	if (s->nulls > 0 || scan->min < -safe || scan->max > safe) {
		stat_exact(s, v, st);
	} else {
		st->has_minmax = true;
		stat_value(&st->min, s->type, (uint64_t)scan->min);
		stat_value(&st->max, s->type, (uint64_t)scan->max);
		st->has_sum = true;
		st->usum = scan->sum;
	}
	st->has_sum = st->has_sum && is_summed(s->type);
}

static int
encode_nulls(struct encoder *e, const struct source *s, struct bytes *out)
{
	size_t mark = encoder_mark(e);
	uint64_t *v;

	if (s->nulls == 0 || s->nulls == s->n)
		return 0;
	v = encoder_take(e, s->n);
	for (uint32_t i = 0; i < s->n; i++)
		v[i] = !column_is_null(s->c, s->from + i);
	encode_any(e, v, s->n, out);
	encoder_release(e, mark);
	return 0;
}

/* What a column may be relative to: value = ref / div * mul + residue.  No
 * chain of these comes back to where it began. */
static const struct relation {
	const char *name, *ref;
	uint64_t mul, div;
} relations[] = {
    {"_id", NULL, 1, 1},	   {"end_time", "_time", 1000, 1000},
    {"first", "last", 1, 1},	   {"first", "start_time", 1, 1000},
    {"last", "end_time", 1, 1000}, {"start_time", "end_time", 1, 1},
};

/* The block in the making. */
struct job {
	struct encoder *e;
	const struct batch *b;
	uint32_t from, n;
	struct block_out *out;
	struct column_stat *stats;
};

static struct source
source(const struct job *j, size_t i)
{
	struct source s = {.c = &j->b->cols[i],
			   .type = j->b->shape->fields[i].type,
			   .from = j->from,
			   .n = j->n};

	s.nulls = count_nulls(&s);
	return s;
}

/* The residue of column v against what R names; false if that is not there. */
static bool
residue(const struct job *j, const struct relation *r, const uint64_t *v,
	uint64_t *out, unsigned *ref)
{
	int i = r->ref ? shape_find(j->b->shape, r->ref) : ENC_REF_ROW;
	size_t width;
	struct source s;

	if (i < 0)
		return false;
	*ref = (unsigned)i;
	if (!r->ref) {
		for (uint32_t k = 0; k < j->n; k++)
			out[k] = v[k] - k;
		return true;
	}
	s = source(j, (size_t)i);
	width = col_type_width(s.type);
	if (width == 0 || width > 8 || s.c->constant)
		return false;
	widen(&s, out);
	/* dividing by a constant is a multiplication */
	if (r->div == 1000)
		for (uint32_t k = 0; k < j->n; k++)
			out[k] = v[k] - out[k] / 1000 * r->mul;
	else
		for (uint32_t k = 0; k < j->n; k++)
			out[k] = v[k] - out[k] / r->div * r->mul;
	return true;
}

/* Tries the relations of this column; true if one was taken. */
static bool
encode_related(struct job *j, const char *name, const uint64_t *v,
	       const struct plan *direct)
{
	struct encoder *e = j->e;
	size_t mark = encoder_mark(e);
	const struct relation *best = NULL;
	double bits = direct->bits * 0.95;
	uint64_t *out = encoder_take(e, j->n);
	unsigned ref = 0, best_ref = 0;
	struct plan p;

	if (direct->kind == ENC_CONST || !out)
		return false;
	for (size_t i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
		const struct relation *r = &relations[i];

		if (strcmp(r->name, name) != 0 || !residue(j, r, v, out, &ref))
			continue;
		encode_plan(e, out, j->n, &p);
		if (p.bits + 8 * 19 >= bits)
			continue;
		best = r;
		best_ref = ref;
		bits = p.bits;
	}
	if (best) {
		residue(j, best, v, out, &ref);
		encode_linear(best_ref, best->mul, best->div, &j->out->body);
		encode_any(e, out, j->n, &j->out->body);
	}
	encoder_release(e, mark);
	return best != NULL;
}

static void
encode_integers(struct job *j, size_t i)
{
	struct source s = source(j, i);
	size_t mark = encoder_mark(j->e);
	uint64_t *v = encoder_take(j->e, j->n);
	struct plan p;

	encode_nulls(j->e, &s, &j->out->body);
	widen(&s, v);
	if (s.c->constant) {
		memset(&p.scan, 0, sizeof(p.scan));
		p.scan.min = p.scan.max = (int64_t)v[0];
		p.scan.sum = v[0] * j->n;
		encode_constant(v[0], &j->out->body);
	} else {
		encode_plan(j->e, v, j->n, &p);
		if (!encode_related(j, j->b->shape->fields[i].name, v, &p))
			encode_vector(j->e, v, j->n, &p, &j->out->body);
	}
	stat_integers(&s, v, &p.scan, &j->stats[i]);
	encoder_release(j->e, mark);
}

static void
stat_addresses(const struct source *s, struct column_stat *st)
{
	const uint8_t *p = s->c->data, *min = NULL, *max = NULL;

	st->nulls = s->nulls;
	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *a =
		    p + (s->c->constant ? 0 : 16 * (size_t)(s->from + i));

		if (column_is_null(s->c, s->from + i))
			continue;
		min = !min || memcmp(a, min, 16) < 0 ? a : min;
		max = !max || memcmp(a, max, 16) > 0 ? a : max;
		if (s->c->constant)
			break;
	}
	if (!min)
		return;
	st->has_minmax = true;
	st->min.type = st->max.type = COL_IP;
	memcpy(st->min.ip, min, 16);
	memcpy(st->max.ip, max, 16);
}

/* An address is two integers: its upper and its lower half. */
static void
encode_addresses(struct job *j, size_t i)
{
	struct source s = source(j, i);
	size_t mark = encoder_mark(j->e);
	uint64_t *v = encoder_take(j->e, j->n);
	const uint8_t *p = s.c->data;

	encode_nulls(j->e, &s, &j->out->body);
	for (size_t half = 0; half < 2; half++) {
		if (s.c->constant) {
			encode_constant(__builtin_bswap64(get64(p + 8 * half)),
					&j->out->body);
			continue;
		}
		for (uint32_t k = 0; k < j->n; k++)
			v[k] = __builtin_bswap64(
			    get64(p + 16 * (size_t)(j->from + k) + 8 * half));
		encode_any(j->e, v, j->n, &j->out->body);
	}
	stat_addresses(&s, &j->stats[i]);
	encoder_release(j->e, mark);
}

struct text {
	const char *p;
	size_t len;
};

static struct text
text_at(const struct source *s, uint32_t i)
{
	const uint8_t *off = s->c->data;
	uint32_t row = s->c->constant ? 0 : s->from + i;
	uint32_t a = get32(off + 4 * (size_t)row);

	return (struct text){s->c->bytes + a,
			     get32(off + 4 * (size_t)row + 4) - a};
}

/* The bytes of strings, compressed where that saves a tenth. */
static int
encode_text(const uint8_t *raw, size_t len, struct bytes *out)
{
	size_t bound = ZSTD_compressBound(len), stored = len;
	uint8_t head[9], *to = bytes_room(out, sizeof(head) + bound);

	if (!to)
		return -1;
	if (len >= COMPRESS_MIN)
		stored = ZSTD_compress(to + 9, bound, raw, len, ZSTD_LEVEL);
	head[0] = CODEC_ZSTD;
	if (len < COMPRESS_MIN || ZSTD_isError(stored) ||
	    stored > len - len / 10) {
		head[0] = CODEC_NONE;
		stored = len;
		if (len > 0)
			memcpy(to + 9, raw, len);
	}
	put32(head + 1, (uint32_t)len);
	put32(head + 5, (uint32_t)stored);
	memcpy(to, head, 9);
	out->len += 9 + stored;
	return 0;
}

/* K strings: those of the rows in AT, or the first K if that is NULL. */
static int
encode_list(struct encoder *e, const struct source *s, const uint64_t *at,
	    size_t k, struct bytes *out)
{
	size_t mark = encoder_mark(e);
	uint64_t *len = encoder_take(e, k + 1);
	struct bytes raw = {0};
	int r;

	for (size_t i = 0; i < k; i++) {
		struct text t = text_at(s, (uint32_t)(at ? at[i] : i));

		len[i] = t.len;
		bytes_add(&raw, t.p, t.len);
	}
	encode_any(e, len, k, out);
	encoder_release(e, mark);
	r = raw.failed || raw.len > STRINGS_MAX
		? -1
		: encode_text(raw.p, raw.len, out);
	bytes_clear(&raw);
	return r;
}

/* The rows where the distinct strings come first, and each row's code; 0 if
 * they are many.  Strings are told apart by their hash, then compared. */
static size_t
distinct_texts(struct encoder *e, const struct source *s, uint64_t *first,
	       uint64_t *code)
{
	size_t max = s->n / 4 + 1, mark = encoder_mark(e), d;
	uint64_t *hash = encoder_take(e, s->n);

	if (s->c->constant) {
		first[0] = 0;
		memset(code, 0, s->n * sizeof(*code));
		encoder_release(e, mark);
		return 1;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		struct text t = text_at(s, i);

		hash[i] = checksum(t.p, t.len);
	}
	d = encode_distinct(e, hash, s->n, max, first, code);
	encoder_release(e, mark);
	for (size_t i = s->n; d > 0 && i-- > 0;)
		first[code[i]] = i;
	for (uint32_t i = 0; d > 0 && i < s->n; i++) {
		struct text t = text_at(s, i);
		struct text u = text_at(s, (uint32_t)first[code[i]]);

		if (t.len != u.len || memcmp(t.p, u.p, t.len) != 0)
			return 0;
	}
	return d;
}

static int
encode_texts(struct job *j, size_t i)
{
	struct source s = source(j, i);
	struct bytes *out = &j->out->body;
	size_t mark = encoder_mark(j->e), d;
	uint64_t *first = encoder_take(j->e, j->n);
	uint64_t *code = encoder_take(j->e, j->n);
	uint8_t head[5] = {STRINGS_DICT};
	int r;

	encode_nulls(j->e, &s, out);
	j->stats[i].nulls = s.nulls;
	d = distinct_texts(j->e, &s, first, code);
	if (d > 0) {
		put32(head + 1, (uint32_t)d);
		bytes_add(out, head, 5);
		r = encode_list(j->e, &s, first, d, out);
		encode_any(j->e, code, j->n, out);
	} else {
		head[0] = STRINGS_PLAIN;
		bytes_add(out, head, 1);
		r = encode_list(j->e, &s, NULL, j->n, out);
	}
	encoder_release(j->e, mark);
	return r;
}

static void
add_section(struct bytes *out, unsigned type, const struct bytes *body)
{
	uint8_t head[SECTION_SIZE] = {0};

	put16(head, type);
	put32(head + 4, (uint32_t)body->len);
	bytes_add(out, head, sizeof(head));
	bytes_add(out, body->p, body->len);
}

static void
add_shape(struct bytes *out, const struct shape *s)
{
	struct bytes b = {0};

	for (size_t i = 0; i < s->n; i++) {
		size_t len = strlen(s->fields[i].name);
		uint8_t head[2] = {(uint8_t)s->fields[i].type, (uint8_t)len};

		bytes_add(&b, head, 2);
		bytes_add(&b, s->fields[i].name, len);
	}
	out->failed |= b.failed;
	add_section(out, SECTION_SHAPE, &b);
	bytes_clear(&b);
}

static void
stat_bytes(uint8_t out[16], const struct value *v)
{
	if (v->type == COL_IP)
		memcpy(out, v->ip, 16);
	else
		put64(out, v->u);
}

static void
add_columns(struct job *j, const uint32_t *offset)
{
	struct bytes b = {0};
	const uint8_t *body = j->out->body.p;

	for (size_t i = 0; i < j->b->shape->n; i++) {
		const struct column_stat *st = &j->stats[i];
		uint8_t e[ENTRY_SIZE] = {0};

		e[0] = (uint8_t)((st->has_minmax ? ENTRY_MINMAX : 0) |
				 (st->has_sum ? ENTRY_SUM : 0));
		put32(e + 4, st->nulls);
		put32(e + 8, offset[i]);
		put32(e + 12, st->stored);
		put64(e + 16, checksum(body + offset[i], st->stored));
		if (st->has_sum)
			put64(e + 24, st->usum);
		if (st->has_minmax) {
			stat_bytes(e + 32, &st->min);
			stat_bytes(e + 48, &st->max);
		}
		bytes_add(&b, e, sizeof(e));
	}
	j->out->head.failed |= b.failed;
	add_section(&j->out->head, SECTION_COLUMNS, &b);
	bytes_clear(&b);
}

static int
encode_column(struct job *j, size_t i, struct err *e)
{
	enum col_type t = j->b->shape->fields[i].type;
	struct bytes *body = &j->out->body;
	size_t start = body->len;
	int r = 0;

	if (t == COL_IP)
		encode_addresses(j, i);
	else if (t == COL_STRING || t == COL_BYTES)
		r = encode_texts(j, i);
	else
		encode_integers(j, i);
	if (body->failed || (r != 0 && body->len < UINT32_MAX))
		return err_set(e, "cannot encode column %s: out of memory",
			       j->b->shape->fields[i].name);
	if (body->len > UINT32_MAX)
		return err_set(e, "a block of more than 4 GiB");
	j->stats[i].stored = (uint32_t)(body->len - start);
	return 0;
}

static int
encode_columns(struct job *j, struct err *e)
{
	static const uint8_t pad[BITS_PAD];
	size_t n = j->b->shape->n;
	uint32_t *offset = calloc(n, sizeof(*offset));
	int r = 0;

	if (!offset)
		return err_sys(e, "cannot encode a block");
	for (size_t i = 0; i < n && r == 0; i++) {
		offset[i] = (uint32_t)j->out->body.len;
		r = encode_column(j, i, e);
	}
	bytes_add(&j->out->body, pad, sizeof(pad));
	if (r == 0)
		add_columns(j, offset);
	free(offset);
	return r;
}

int
block_encode(struct encoder *enc, const struct batch *b, uint32_t from,
	     uint32_t n, struct block_out *out, struct err *e)
{
	struct job j = {.e = enc, .b = b, .from = from, .n = n, .out = out};
	int id = shape_find(b->shape, "_id");
	uint8_t head[HEAD_SIZE] = {0};
	struct value v;
	int r;

	out->head.len = out->body.len = 0;
	out->head.failed = out->body.failed = false;
	j.stats = calloc(b->shape->n, sizeof(*j.stats));
	if (!j.stats)
		return err_sys(e, "cannot encode a block");
	bytes_add(&out->head, head, sizeof(head));
	add_shape(&out->head, b->shape);
	r = encode_columns(&j, e);
	free(j.stats);
	if (r != 0)
		return -1;
	if (out->head.failed || out->body.failed)
		return err_set(e, "cannot encode a block: out of memory");
	column_value(&b->cols[id], COL_U64, from, &v);
	put32(out->head.p, BLOCK_MAGIC);
	put16(out->head.p + 4, BLOCK_VERSION);
	put16(out->head.p + 6, (unsigned)b->shape->n);
	put64(out->head.p + 16, v.u);
	put64(out->head.p + 24, out->body.len);
	put32(out->head.p + 32, n);
	put64(out->head.p + 8,
	      checksum(out->head.p + HEAD_SUMMED, out->head.len - HEAD_SUMMED));
	return 0;
}

/* ---- decoding ---- */

static int
check_head(const uint8_t *p, size_t len, struct err *e)
{
	if (len < HEAD_SIZE)
		return err_set(e, "head of %zu bytes", len);
	if (get32(p) != BLOCK_MAGIC)
		return err_set(e, "head does not begin with its mark");
	if (get16(p + 4) != BLOCK_VERSION)
		return err_set(e, "block version %u (this program reads %d)",
			       get16(p + 4), BLOCK_VERSION);
	if (checksum(p + HEAD_SUMMED, len - HEAD_SUMMED) != get64(p + 8))
		return err_set(e, "head does not match its checksum");
	if (get32(p + 32) == 0 || get32(p + 32) > BATCH_ROWS_MAX)
		return err_set(e, "%u rows", (unsigned)get32(p + 32));
	if (get16(p + 6) == 0 || get16(p + 6) > SHAPE_FIELDS_MAX)
		return err_set(e, "%u columns", get16(p + 6));
	return 0;
}

/* Finds a section; NULL if there is none or the sections are damaged. */
static const uint8_t *
find_section(const uint8_t *p, size_t len, unsigned type, size_t *size)
{
	const uint8_t *end = p + len;

	p += HEAD_SIZE;
	while (end - p >= SECTION_SIZE) {
		size_t n = get32(p + 4);

		if (n > (size_t)(end - p - SECTION_SIZE))
			return NULL;
		if (get16(p) == type) {
			*size = n;
			return p + SECTION_SIZE;
		}
		p += SECTION_SIZE + n;
	}
	return NULL;
}

/* Names are copied to BUF, for they have no NUL in the head. */
static int
read_fields(const uint8_t *p, size_t len, struct field *f, size_t n, char *buf)
{
	const uint8_t *end = p + len;

	for (size_t i = 0; i < n; i++) {
		size_t k;

		if (end - p < 2)
			return -1;
		k = p[1];
		if (k >= FIELD_NAME_MAX || k > (size_t)(end - p - 2))
			return -1;
		memcpy(buf, p + 2, k);
		buf[k] = 0;
		f[i].name = buf;
		f[i].type = (enum col_type)p[0];
		/* the shape's order is the columns' order */
		if (strlen(buf) != k ||
		    (i > 0 && strcmp(f[i - 1].name, buf) >= 0))
			return -1;
		buf += k + 1;
		p += 2 + k;
	}
	return p == end ? 0 : -1;
}

static int
read_shape(const uint8_t *p, size_t len, struct shapes *shapes,
	   const struct shape **shape, struct err *e)
{
	size_t n = get16(p + 6), size;
	const uint8_t *s = find_section(p, len, SECTION_SHAPE, &size);
	struct field *f = NULL;
	char *names = NULL;
	int r = -1;

	if (!s)
		return err_set(e, "head without a shape");
	f = calloc(n, sizeof(*f));
	names = malloc(n * FIELD_NAME_MAX);
	if (!f || !names)
		err_sys(e, "cannot read a head");
	else if (read_fields(s, size, f, n, names) != 0)
		err_set(e, "head with a damaged shape");
	else
		r = shapes_get(shapes, f, n, shape, e);
	free(names);
	free(f);
	return r;
}

static void
read_value(struct value *v, enum col_type t, const uint8_t *p)
{
	v->type = t;
	if (t == COL_IP)
		memcpy(v->ip, p, 16);
	else
		v->u = get64(p);
}

static int
read_entry(struct block_in *b, size_t i, const uint8_t *p)
{
	struct column_stat *st = (struct column_stat *)&b->pub.stats[i];
	enum col_type t = b->pub.shape->fields[i].type;
	struct block_place *at = &b->places[i];

	st->nulls = get32(p + 4);
	st->has_minmax = p[0] & ENTRY_MINMAX;
	st->has_sum = p[0] & ENTRY_SUM;
	at->offset = get32(p + 8);
	st->stored = at->stored = get32(p + 12);
	at->checksum = get64(p + 16);
	st->usum = get64(p + 24);
	if (st->has_minmax) {
		read_value(&st->min, t, p + 32);
		read_value(&st->max, t, p + 48);
	}
	return st->nulls <= b->pub.rows && at->offset <= b->body &&
		       at->stored <= b->body - at->offset &&
		       (!st->has_sum || is_summed(t)) &&
		       (!st->has_minmax || col_type_width(t) > 0)
		   ? 0
		   : -1;
}

static struct block_in *
block_in_new(size_t n)
{
	struct block_in *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->places = calloc(n, sizeof(*b->places));
	b->pub.stats = calloc(n, sizeof(*b->pub.stats));
	if (b->places && b->pub.stats)
		return b;
	block_in_free(b);
	return NULL;
}

void
block_in_free(struct block_in *b)
{
	if (!b)
		return;
	free(b->places);
	free((void *)b->pub.stats);
	free(b);
}

int
block_parse(const void *head, size_t len, struct shapes *shapes,
	    struct block_in **out, struct err *e)
{
	const uint8_t *p = head, *cols;
	const struct shape *shape;
	struct block_in *b;
	size_t size;
	int id;

	if (check_head(p, len, e) != 0 ||
	    read_shape(p, len, shapes, &shape, e) != 0)
		return -1;
	cols = find_section(p, len, SECTION_COLUMNS, &size);
	if (!cols || size != shape->n * ENTRY_SIZE)
		return err_set(e, "head without its columns");
	id = shape_find(shape, "_id");
	if (id < 0 || shape->fields[id].type != COL_U64)
		return err_set(e, "block without a column _id");
	b = block_in_new(shape->n);
	if (!b)
		return err_sys(e, "cannot read a head");
	b->pub.first_id = get64(p + 16);
	b->pub.rows = get32(p + 32);
	b->pub.shape = shape;
	b->body = get64(p + 24);
	b->pub.bytes = len + b->body;
	for (size_t i = 0; i < shape->n; i++) {
		if (read_entry(b, i, cols + i * ENTRY_SIZE) == 0)
			continue;
		block_in_free(b);
		return err_set(e, "column %s has an impossible entry",
			       shape->fields[i].name);
	}
	*out = b;
	return 0;
}

/* A column being decoded. Its memory holds the values and, behind them, the
 * decoder's scratch. */
struct target {
	struct decoder d;
	const struct block_in *b;
	const uint8_t *body;
	struct column *c;
	size_t n;
	enum col_type type;
};

enum { TARGET_VALUES = 16 * (BLOCK_COLUMN_CAP + DECODE_SLACK) };

static int
prepare(struct column *c)
{
	if (c->cap != BLOCK_COLUMN_CAP) {
		column_clear(c);
		c->data =
		    malloc(TARGET_VALUES + decode_scratch(BATCH_ROWS_MAX));
		if (!c->data)
			return -1;
		c->cap = BLOCK_COLUMN_CAP;
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
	t->c->valid = calloc(1, BLOCK_COLUMN_CAP / 8);
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

int
block_column(const struct block_in *b, const void *body, size_t col,
	     struct column *c, struct err *e)
{
	const struct block_place *at = &b->places[col];
	const char *name = b->pub.shape->fields[col].name;
	struct target t = {.b = b,
			   .body = body,
			   .c = c,
			   .n = b->pub.rows,
			   .type = b->pub.shape->fields[col].type};

	if (prepare(c) != 0)
		return err_sys(e, "cannot read column %s", name);
	start(&t.d, b, body, col);
	if (checksum(t.d.p, at->stored) != at->checksum)
		return err_set(e, "column %s does not match its checksum",
			       name);
	t.d.ops = bits_ops();
	t.d.scratch = (uint8_t *)c->data + TARGET_VALUES;
	t.d.scratch_end = t.d.scratch + decode_scratch(BATCH_ROWS_MAX);
	t.d.column = reference;
	t.d.ctx = &t;
	if (decode_target(&t, b->pub.stats[col].nulls) != 0 || t.d.bad)
		return err_set(e, "column %s is damaged: %s", name,
			       t.d.bad ? t.d.bad : "cut short");
	return 0;
}
