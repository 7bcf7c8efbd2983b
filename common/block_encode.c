/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/block_format.h"
#include "common/checksum.h"

enum {
	ZSTD_LEVEL = 1,
	COMPRESS_MIN = 512, /* bytes */
};

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
	/* The scan is signed: 2^64 - 1 is -1 to it. */
	const int64_t least = is_signed(s->type) ? -safe : 0;

	st->nulls = s->nulls;
	if (s->nulls == s->n)
		return;
	if (s->type == COL_F64) {
		stat_floats(s, v, st);
		return;
	}
	if (s->nulls > 0 || scan->min < least || scan->max > safe) {
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
 * chain of these comes back to where it began: `alone` says that the other
 * must stand alone then, and pay for it. */
static const struct relation {
	const char *name, *ref;
	uint64_t mul, div;
	bool alone;
} relations[] = {
    {"_id", NULL, 1, 1, false},
    {"end_time", "_time", 1000, 1000, false},
    {"end_time", "last", 1000, 1, true},
    {"first", "last", 1, 1, false},
    {"first", "start_time", 1, 1000, false},
    {"last", "end_time", 1, 1000, false},
    {"start_time", "end_time", 1, 1, false},
};

/* What belongs to an address's prefix, as routers look it up: it has a value
 * per entry of the address's dictionary, but for exceptions. */
static const struct mapping {
	const char *name, *ref;
} mappings[] = {
    {"dst_as", "dst_addr"},   {"dst_mask", "dst_addr"},
    {"input", "src_addr"},    {"next_hop", "dst_addr"},
    {"output", "dst_addr"},   {"src_as", "src_addr"},
    {"src_mask", "src_addr"}, {"bgp_next_hop", "dst_addr"},
};

enum {
	KEPT_MAX = 2,	  /* columns whose codes are kept */
	FIRST_ROWS = 512, /* that relations are judged by */
	EXCEPTIONS = 16,  /* of a mapping: one in so many rows at most */
};

/* The block in the making. */
struct job {
	struct encoder *e;
	const struct batch *b;
	uint32_t from, n;
	struct block_out *out;
	struct column_stat *stats;
	struct kept {
		size_t col;
		struct codes codes;
	} kept[KEPT_MAX];
	size_t nkept;
	int alone; /* a column that must be relative to none; or -1 */
};

static const struct mapping *
find_mapping(const char *name)
{
	for (size_t i = 0; i < sizeof(mappings) / sizeof(*mappings); i++)
		if (strcmp(mappings[i].name, name) == 0)
			return &mappings[i];
	return NULL;
}

/* Where to keep the codes of a column that others map from; NULL if none do.
 * The memory stays taken until the block is done. */
static struct codes *
keep_codes(struct job *j, size_t col)
{
	const char *name = j->b->shape->fields[col].name;
	struct kept *k = &j->kept[j->nkept];
	bool wanted = false;

	for (size_t i = 0; i < sizeof(mappings) / sizeof(*mappings); i++)
		wanted |= strcmp(mappings[i].ref, name) == 0;
	if (!wanted || j->nkept == KEPT_MAX)
		return NULL;
	k->codes.entries = 0;
	k->codes.code = (uint32_t *)encoder_take(j->e, j->n / 2 + 1);
	if (!k->codes.code)
		return NULL;
	k->col = col;
	j->nkept++;
	return &k->codes;
}

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

/* A column that another may be relative to. */
static bool
find_ref(const struct job *j, const struct relation *r, struct source *s,
	 unsigned *ref)
{
	int i = r->ref ? shape_find(j->b->shape, r->ref) : ENC_REF_ROW;
	size_t width;

	if (i < 0)
		return false;
	*ref = (unsigned)i;
	if (!r->ref)
		return true;
	*s = source(j, (size_t)i);
	width = col_type_width(s->type);
	return width > 0 && width <= 8 && !s->c->constant;
}

/* value - ref / div * mul, for the N first rows of S. */
static void
residue(const struct relation *r, const struct source *s, const uint64_t *v,
	uint64_t *out, uint32_t n)
{
	if (!r->ref) {
		for (uint32_t k = 0; k < n; k++)
			out[k] = v[k] - k;
		return;
	}
	widen(s, out);
	/* dividing by a constant is a multiplication */
	if (r->div == 1000)
		for (uint32_t k = 0; k < n; k++)
			out[k] = v[k] - out[k] / 1000 * r->mul;
	else
		for (uint32_t k = 0; k < n; k++)
			out[k] = v[k] - out[k] / r->div * r->mul;
}

/* A guess at the bits per value, from the first N rows. */
static double
guess(const struct job *j, const uint64_t *v, uint32_t n)
{
	struct plan p;

	encode_plan(j->e, v, n, &p);
	/* less what the heads of the parts take, which few rows carry */
	return p.bits > 512 ? (p.bits - 512) / n : 0;
}

static double
promise(const struct job *j, const struct relation *r, struct source s,
	const uint64_t *v, uint64_t *out)
{
	uint32_t n = j->n < FIRST_ROWS ? j->n : FIRST_ROWS;
	double bits = 0;

	s.n = n;
	if (r->alone) {
		widen(&s, out);
		bits = guess(j, out, n);
	}
	residue(r, &s, v, out, n);
	return bits + guess(j, out, n);
}

/* Encodes relative to another column, if that is smaller; true if it was
 * done. */
static bool
encode_related(struct job *j, const char *name, const uint64_t *v,
	       const struct plan *direct)
{
	size_t mark = encoder_mark(j->e);
	uint64_t *out = encoder_take(j->e, j->n);
	const struct relation *best = NULL;
	double least = direct->bits / j->n;
	unsigned ref = 0, best_ref = 0;
	struct source s = {0}, best_source = {0};
	struct plan p;
	bool done = false;

	if (direct->kind == ENC_CONST || !out ||
	    (j->alone >= 0 &&
	     strcmp(j->b->shape->fields[j->alone].name, name) == 0))
		return false;
	for (size_t i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
		const struct relation *r = &relations[i];
		double bits;

		if (strcmp(r->name, name) != 0 || !find_ref(j, r, &s, &ref))
			continue;
		bits = promise(j, r, s, v, out);
		if (bits >= least)
			continue;
		best = r;
		best_ref = ref;
		best_source = s;
		least = bits;
	}
	if (best) {
		residue(best, &best_source, v, out, j->n);
		encode_plan(j->e, out, j->n, &p);
		done = p.bits + 8 * 19 < direct->bits * 0.95;
	}
	if (done) {
		if (best->alone)
			j->alone = (int)best_ref;
		encode_linear(best_ref, best->mul, best->div, &j->out->body);
		encode_vector(j->e, out, j->n, &p, NULL, &j->out->body);
	}
	encoder_release(j->e, mark);
	return done;
}

/* A value per entry: that of the last row which has it; and the rows where it
 * does not hold.  Returns how many, or more than a few. */
static size_t
map_values(const struct job *j, const struct codes *c, const uint64_t *v,
	   uint64_t *table, uint64_t *at)
{
	size_t max = j->n / EXCEPTIONS, k = 0;

	for (uint32_t i = 0; i < j->n; i++)
		table[c->code[i]] = v[i];
	for (uint32_t i = 0; i < j->n && k <= max; i++) {
		at[k] = i;
		k += table[c->code[i]] != v[i];
	}
	return k;
}

/* The rows where a map does not hold. */
struct patches {
	uint64_t *at;
	size_t n;
};

static void
put_map(struct job *j, const struct kept *k, const uint64_t *v, uint64_t *table,
	struct plan *p, struct patches wrong)
{
	struct bytes *out = &j->out->body;
	uint64_t *value = encoder_take(j->e, wrong.n + 1);

	for (size_t i = 0; i < wrong.n; i++)
		value[i] = v[wrong.at[i]];
	if (wrong.n > 0)
		encode_patched_head(wrong.n, out);
	encode_map((unsigned)k->col, k->codes.entries, out);
	encode_vector(j->e, table, k->codes.entries, p, NULL, out);
	if (wrong.n > 0)
		encode_patches(j->e, wrong.at, value, wrong.n, out);
}

/* Encodes as a value per address, if that is smaller; true if it was done. */
static bool
encode_mapped(struct job *j, const char *name, const uint64_t *v,
	      const struct plan *direct)
{
	const struct mapping *m = find_mapping(name);
	int ref = m ? shape_find(j->b->shape, m->ref) : -1;
	const struct kept *k = NULL;
	size_t mark = encoder_mark(j->e), patches;
	uint64_t *table, *at;
	struct plan p;
	bool done = false;

	for (size_t i = 0; i < j->nkept; i++)
		if ((int)j->kept[i].col == ref)
			k = &j->kept[i];
	if (!k || k->codes.entries == 0 || direct->kind == ENC_CONST)
		return false;
	table = encoder_take(j->e, k->codes.entries);
	at = encoder_take(j->e, j->n + 1);
	if (!table || !at)
		return false;
	patches = map_values(j, &k->codes, v, table, at);
	if (patches <= j->n / EXCEPTIONS) {
		encode_plan(j->e, table, k->codes.entries, &p);
		done = p.bits + (double)patches * (direct->width + 8) <
		       direct->bits * 0.9;
	}
	if (done)
		put_map(j, k, v, table, &p, (struct patches){at, patches});
	encoder_release(j->e, mark);
	return done;
}

static void
encode_integers(struct job *j, size_t i)
{
	struct source s = source(j, i);
	const char *name = j->b->shape->fields[i].name;
	struct codes *codes = keep_codes(j, i);
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
		encode_scan(j->e, v, j->n, &p);
		if (!encode_mapped(j, name, v, &p)) {
			encode_choose(v, j->n, &p);
			if (!encode_related(j, name, v, &p))
				encode_vector(j->e, v, j->n, &p, codes,
					      &j->out->body);
		}
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

		if (t.len != u.len ||
		    (t.len > 0 && memcmp(t.p, u.p, t.len) != 0))
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

/* Columns that others map from come first, as their codes must be known. */
static int
encode_columns(struct job *j, uint32_t *offset, struct err *e)
{
	static const uint8_t pad[BITS_PAD];
	const struct shape *s = j->b->shape;

	for (int mapped = 0; mapped < 2; mapped++)
		for (size_t i = 0; i < s->n; i++) {
			const char *name = s->fields[i].name;

			if ((find_mapping(name) != NULL) != mapped)
				continue;
			offset[i] = (uint32_t)j->out->body.len;
			if (encode_column(j, i, e) != 0)
				return -1;
		}
	bytes_add(&j->out->body, pad, sizeof(pad));
	return 0;
}

int
block_encode(struct encoder *enc, const struct batch *b, uint32_t from,
	     uint32_t n, struct block_out *out, struct err *e)
{
	struct job j = {
	    .e = enc, .b = b, .from = from, .n = n, .out = out, .alone = -1};
	int id = shape_find(b->shape, "_id");
	size_t mark = encoder_mark(enc);
	uint32_t *offset = calloc(b->shape->n, sizeof(*offset));
	struct value v;
	int r = -1;

	out->head.len = out->body.len = 0;
	out->head.failed = out->body.failed = false;
	j.stats = calloc(b->shape->n, sizeof(*j.stats));
	column_value(&b->cols[id], COL_U64, from, &v);
	if (!j.stats || !offset)
		err_sys(e, "cannot encode a block");
	else if (encode_columns(&j, offset, e) == 0)
		r = block_head(out,
			       &(struct block){.first_id = v.u,
					       .rows = n,
					       .shape = b->shape,
					       .stats = j.stats},
			       offset, e);
	encoder_release(enc, mark);
	free(offset);
	free(j.stats);
	return r;
}
