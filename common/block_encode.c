/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/block.h"

#include <stdlib.h>
#include <string.h>

#include "common/block_format.h"
#include "common/block_parts.h"
#include "common/sieve.h"

static void
encode_nulls(struct encoder *e, const struct source *s, struct bytes *out)
{
	size_t mark = encoder_mark(e);
	uint32_t *v;

	if (s->nulls == 0 || s->nulls == s->n)
		return;
	v = encoder_take32(e, s->n);
	for (uint32_t i = 0; i < s->n; i++)
		v[i] = !column_is_null(s->c, s->from + i);
	encode_small(e, v, s->n, NULL, NULL, out);
	encoder_release(e, mark);
}

/* What a column may be relative to: value = ref / div * mul + residue.  No
 * chain of these comes back to where it began: `alone` says that the other
 * must stand alone then, and pay for it. */
static const struct relation {
	const char *name, *ref;
	uint64_t mul, div;
	bool alone;
} relations[] = {
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
	KEPT_MAX = 2,	 /* columns whose codes are kept */
	SOME = 512,	 /* rows: relations are judged by the first */
	EXCEPTIONS = 16, /* of a mapping: one in so many rows at most */
	LOOK = 16,	 /* rows looked at together */
};

/* The block in the making. */
struct job {
	struct encoder *e;
	const struct bits_ops *ops;
	const struct batch *b;
	uint32_t from, n;
	struct block_out *out;
	struct column_stat *stats;
	struct kept {
		size_t col;
		struct codes codes;
	} kept[KEPT_MAX];
	size_t nkept;
	size_t id; /* the column _id */
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
	k->codes.code = encoder_take32(j->e, j->n);
	k->codes.row = encoder_take32(j->e, j->n);
	if (!k->codes.code || !k->codes.row)
		return NULL;
	k->col = col;
	j->nkept++;
	return &k->codes;
}

static struct source
source(const struct job *j, size_t i)
{
	return source_of(j->b, i, j->from, j->n);
}

/* A column that another may be relative to. */
static bool
find_ref(const struct job *j, const struct relation *r, struct source *s,
	 unsigned *ref)
{
	int i = shape_find(j->b->shape, r->ref);
	size_t width;

	if (i < 0)
		return false;
	*ref = (unsigned)i;
	*s = source(j, (size_t)i);
	width = col_type_width(s->type);
	return width > 0 && width <= 8 && !s->c->constant;
}

/* value - ref / div * mul of at most SOME rows. */
static void
some_residue(const struct relation *r, const struct source *s,
	     const struct source *ref, uint64_t *out)
{
	uint64_t a[SOME], b[SOME];
	const uint64_t *v = source_load64(s, a), *w = source_load64(ref, b);

	/* dividing by a constant is a multiplication */
	if (r->div == 1000)
		for (uint32_t k = 0; k < s->n; k++)
			out[k] = v[k] - w[k] / 1000 * r->mul;
	else
		for (uint32_t k = 0; k < s->n; k++)
			out[k] = v[k] - w[k] / r->div * r->mul;
}

static void
residue(const struct relation *r, const struct source *s,
	const struct source *ref, uint64_t *out)
{
	for (uint32_t i = 0; i < s->n; i += SOME) {
		uint32_t n = s->n - i < SOME ? s->n - i : SOME;
		struct source a = source_part(s, i, n),
			      b = source_part(ref, i, n);

		some_residue(r, &a, &b, out + i);
	}
}

static double
guess(const struct job *j, const struct source *s)
{
	uint64_t to[SOME];

	return encode_guess(j->e, source_load64(s, to), s->n);
}

/* A relation that was found, and how many bits a value are expected of it. */
struct found {
	const struct relation *r;
	struct source ref;
	unsigned col;
	double bits;
};

/* What a column is best relative to, judged by its first rows; r is NULL if
 * nothing. */
static struct found
find_relation(const struct job *j, const char *name, const struct source *s)
{
	struct source first = source_part(s, 0, s->n < SOME ? s->n : SOME), ref;
	struct found best = {0}, f;
	uint64_t out[SOME];

	for (size_t i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
		f.r = &relations[i];
		if (strcmp(f.r->name, name) != 0 ||
		    !find_ref(j, f.r, &f.ref, &f.col))
			continue;
		if (best.bits == 0)
			best.bits = guess(j, &first) * 0.95;
		ref = source_part(&f.ref, 0, first.n);
		some_residue(f.r, &first, &ref, out);
		f.bits = encode_guess(j->e, out, first.n);
		if (f.r->alone)
			f.bits += guess(j, &ref);
		if (f.bits < best.bits)
			best = f;
	}
	return best;
}

/* Encodes relative to another column, if that seems smaller; true if it was
 * done. */
static bool
encode_related(struct job *j, const char *name, const struct source *s)
{
	size_t mark = encoder_mark(j->e);
	struct found f;
	uint64_t *out;

	if (j->alone >= 0 &&
	    strcmp(j->b->shape->fields[j->alone].name, name) == 0)
		return false;
	f = find_relation(j, name, s);
	out = f.r ? encoder_take(j->e, j->n) : NULL;
	if (!out)
		return false;
	residue(f.r, s, &f.ref, out);
	if (f.r->alone)
		j->alone = (int)f.col;
	encode_linear(f.col, f.r->mul, f.r->div, &j->out->body);
	encode_any(j->e, out, j->n, &j->out->body);
	encoder_release(j->e, mark);
	return true;
}

/* A value per entry: that of a row which has it; and the rows where it does not
 * hold.  Returns how many, or more than a few. */
static size_t
map_values(const struct job *j, const struct codes *c, const uint32_t *v,
	   uint32_t *table, uint32_t *at)
{
	size_t max = j->n / EXCEPTIONS, k = 0, i = 0;
	const uint32_t *code = c->code;

	for (; i < c->entries; i++)
		table[i] = v[c->row[i]];
	for (i = 0; i + LOOK <= j->n && k <= max; i += LOOK) {
		uint32_t wrong = 0;

		for (size_t r = 0; r < LOOK; r++)
			wrong |= table[code[i + r]] ^ v[i + r];
		for (size_t r = i; wrong && r < i + LOOK; r++) {
			at[k] = (uint32_t)r;
			k += table[code[r]] != v[r];
		}
	}
	for (; i < j->n && k <= max; i++) {
		at[k] = (uint32_t)i;
		k += table[code[i]] != v[i];
	}
	return k;
}

/* The column whose codes this one may be mapped from; NULL if there is none. */
static const struct kept *
find_kept(const struct job *j, const char *name)
{
	const struct mapping *m = find_mapping(name);
	int ref = m ? shape_find(j->b->shape, m->ref) : -1;

	for (size_t i = 0; i < j->nkept; i++)
		if ((int)j->kept[i].col == ref && j->kept[i].codes.entries > 0)
			return &j->kept[i];
	return NULL;
}

/* The rows where a map does not hold. */
struct patches {
	uint32_t *at;
	size_t n;
};

static void
put_map(struct job *j, const struct kept *k, const uint32_t *v,
	const uint32_t *table, struct patches wrong)
{
	struct bytes *out = &j->out->body;
	uint32_t *value = encoder_take32(j->e, wrong.n + 1);

	for (size_t i = 0; i < wrong.n; i++)
		value[i] = v[wrong.at[i]];
	if (wrong.n > 0)
		encode_patched(wrong.n, out);
	encode_map((unsigned)k->col, k->codes.entries, out);
	encode_small(j->e, table, k->codes.entries, NULL, NULL, out);
	if (wrong.n == 0)
		return;
	encode_gaps(j->e, wrong.at, wrong.n, out);
	encode_small(j->e, value, wrong.n, NULL, NULL, out);
}

/* Encodes as a value per address, if that is smaller; true if it was done. */
static bool
encode_mapped(struct job *j, const char *name, const uint32_t *v,
	      const struct bits_scan32 *scan)
{
	const struct kept *k = find_kept(j, name);
	unsigned w = bits_width(scan->max - scan->min);
	size_t mark = encoder_mark(j->e);
	struct patches wrong = {0};
	uint32_t *table;
	bool done = false;

	/* what comes of it is at least a bit a row */
	if (!k || w < 2 || k->codes.entries * w > (size_t)j->n * (w - 1))
		return false;
	table = encoder_take32(j->e, k->codes.entries);
	wrong.at = encoder_take32(j->e, j->n + LOOK);
	if (table && wrong.at) {
		wrong.n = map_values(j, &k->codes, v, table, wrong.at);
		done = wrong.n <= j->n / EXCEPTIONS &&
		       wrong.n * (w + 8) + k->codes.entries * w <
			   (size_t)j->n * (w - 1);
	}
	if (done)
		put_map(j, k, v, table, wrong);
	encoder_release(j->e, mark);
	return done;
}

/* Of a few rows: columns of few addresses need no filter. */
static bool
has_many(const uint64_t *hash, size_t n)
{
	size_t step = n / (4 * SIEVE_DISTINCT_MIN) + 1, k = 0;
	uint64_t some[4 * SIEVE_DISTINCT_MIN];

	for (size_t i = 0; i < n; i += step)
		some[k++] = hash[i];
	return sieve_count(some, k) >= SIEVE_DISTINCT_MIN;
}

static void
add_filter(struct job *j, size_t col, const uint64_t *hash, size_t n,
	   size_t distinct)
{
	if (!has_many(hash, n))
		return;
	sieves_add(&j->out->filters, (unsigned)col, hash, n,
		   distinct ? distinct : sieve_count(hash, n));
}

/* The distinct values, where they are known, do. */
static void
filter_narrow(struct job *j, size_t col, const uint32_t *v,
	      const struct codes *codes)
{
	size_t mark = encoder_mark(j->e);
	size_t distinct = codes ? codes->entries : 0;
	size_t n = distinct ? distinct : j->n;
	uint64_t *hash = encoder_take(j->e, n);

	for (size_t i = 0; hash && i < n; i++)
		hash[i] = sieve_hash_ipv4(v[distinct ? codes->row[i] : i]);
	if (hash)
		add_filter(j, col, hash, n, distinct);
	encoder_release(j->e, mark);
}

static void
filter_addresses(struct job *j, size_t col, const uint64_t *high,
		 const uint64_t *low)
{
	size_t mark = encoder_mark(j->e);
	uint64_t *hash = encoder_take(j->e, j->n);

	for (size_t i = 0; hash && i < j->n; i++)
		hash[i] = sieve_hash_ip(high[i], low[i]);
	if (hash)
		add_filter(j, col, hash, j->n, 0);
	encoder_release(j->e, mark);
}

static void
encode_narrow(struct job *j, size_t i, const struct source *s)
{
	const char *name = j->b->shape->fields[i].name;
	struct codes *codes = keep_codes(j, i);
	size_t mark = encoder_mark(j->e);
	const uint32_t *v = source_load32(s, encoder_take32(j->e, j->n));
	struct bits_scan32 scan;

	j->ops->scan32(v, j->n, &scan);
	stat_integers(s,
		      &(struct bits_scan){
			  .min = scan.min, .max = scan.max, .sum = scan.sum},
		      &j->stats[i]);
	if (scan.min == scan.max)
		encode_constant(scan.min, &j->out->body);
	else if (!encode_mapped(j, name, v, &scan) &&
		 !encode_related(j, name, s))
		encode_small(j->e, v, j->n, &scan, codes, &j->out->body);
	if (j->out->with_filters && s->type == COL_IPV4 && scan.min != scan.max)
		filter_narrow(j, i, v, codes);
	encoder_release(j->e, mark);
}

static void
encode_wide(struct job *j, size_t i, const struct source *s)
{
	const char *name = j->b->shape->fields[i].name;
	size_t mark = encoder_mark(j->e);
	const uint64_t *v = source_load64(s, encoder_take(j->e, j->n));
	struct bits_scan scan;

	j->ops->scan(v, j->n, &scan);
	stat_integers(s, &scan, &j->stats[i]);
	if (scan.min == scan.max)
		encode_constant((uint64_t)scan.min, &j->out->body);
	else if (!encode_related(j, name, s))
		encode_any(j->e, v, j->n, &j->out->body);
	encoder_release(j->e, mark);
}

static void
encode_integers(struct job *j, size_t i)
{
	struct source s = source(j, i);
	size_t width = col_type_width(s.type);
	struct value v = {0};

	encode_nulls(j->e, &s, &j->out->body);
	if (!s.c->constant) {
		if (width <= 4)
			encode_narrow(j, i, &s);
		else
			encode_wide(j, i, &s);
		return;
	}
	memcpy(&v.u, source_values(&s), width);
	encode_constant(v.u, &j->out->body);
	stat_integers(
	    &s, &(struct bits_scan){.min = v.i, .max = v.i, .sum = v.u * j->n},
	    &j->stats[i]);
}

/* Ids that follow one another are the number of the row and the first. */
static void
encode_ids(struct job *j, size_t i)
{
	struct source s = source(j, i);
	const uint8_t *ids = source_values(&s);
	uint64_t n = j->n, first = get64(ids);
	uint64_t last = s.c->constant ? first : get64(ids + 8 * (n - 1));

	if (last - first != n - 1) {
		encode_integers(j, i);
		return;
	}
	encode_linear(ENC_REF_ROW, 1, 1, &j->out->body);
	encode_constant(first, &j->out->body);
	stat_integers(&s,
		      &(struct bits_scan){.min = (int64_t)first,
					  .max = (int64_t)last,
					  .sum = n * first + n * (n - 1) / 2},
		      &j->stats[i]);
}

static void
encode_addresses(struct job *j, size_t i)
{
	struct source s = source(j, i);
	struct bytes *out = &j->out->body;
	size_t mark = encoder_mark(j->e);
	uint64_t *high = encoder_take(j->e, j->n);
	uint64_t *low = encoder_take(j->e, j->n);

	encode_nulls(j->e, &s, out);
	for (uint32_t k = 0; k < j->n; k++) {
		struct address a = source_address(&s, k);

		high[k] = a.high;
		low[k] = a.low;
	}
	encode_any(j->e, high, j->n, out);
	encode_any(j->e, low, j->n, out);
	stat_addresses(&s, &j->stats[i]);
	if (j->out->with_filters && !s.c->constant)
		filter_addresses(j, i, high, low);
	encoder_release(j->e, mark);
}

static int
encode_strings(struct job *j, size_t i)
{
	struct source s = source(j, i);

	j->stats[i].nulls = s.nulls;
	encode_nulls(j->e, &s, &j->out->body);
	return encode_texts(j->e, &s, &j->out->body);
}

static int
encode_column(struct job *j, size_t i, struct err *e)
{
	enum col_type t = j->b->shape->fields[i].type;
	struct bytes *body = &j->out->body;
	size_t start = body->len;
	int r = 0;

	if (i == j->id)
		encode_ids(j, i);
	else if (t == COL_IP)
		encode_addresses(j, i);
	else if (t == COL_STRING || t == COL_BYTES)
		r = encode_strings(j, i);
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
	struct job j = {.e = enc,
			.ops = bits_ops(),
			.b = b,
			.from = from,
			.n = n,
			.out = out,
			.alone = -1};
	size_t mark = encoder_mark(enc);
	uint32_t *offset = calloc(b->shape->n, sizeof(*offset));
	struct value v;
	int r = -1;

	out->head.len = out->body.len = out->filters.len = 0;
	out->head.failed = out->body.failed = out->filters.failed = false;
	j.stats = calloc(b->shape->n, sizeof(*j.stats));
	j.id = (size_t)shape_find(b->shape, "_id");
	column_value(&b->cols[j.id], COL_U64, from, &v);
	if (out->with_filters)
		sieves_begin(&out->filters, v.u);
	if (!j.stats || !offset)
		err_sys(e, "cannot encode a block");
	else if (encode_columns(&j, offset, e) == 0)
		r = block_head(out,
			       &(struct block){.first_id = v.u,
					       .rows = n,
					       .shape = b->shape,
					       .stats = j.stats},
			       offset, e);
	if (out->with_filters)
		sieves_end(&out->filters);
	if (r == 0 && out->filters.failed)
		r = err_set(e, "cannot encode a block: out of memory");
	encoder_release(enc, mark);
	free(offset);
	free(j.stats);
	return r;
}
