/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/sort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "flowq/sort_merge.h"

enum {
	SPARE_FIRST = 4096, /* rows beyond the limit before any is dropped, */
	SPARE = 256,	    /* and from then on: the bar is to rise soon */
	OUT_ROWS = 65536,
};

struct entry {
	uint64_t prefix; /* of the key, as a number */
	const uint8_t *key;
	uint32_t len;
	uint32_t row; /* of the set */
	const struct rowset *set;
};

/* Rows in a file. */
struct run {
	uint64_t range[2];
	uint64_t rows;
};

struct local {
	struct rowset *rows;
	struct entry *entries;
	size_t n, cap;
	struct arena keys;
	bool full; /* entries[limit - 1] is the last that may come in */
	uint8_t *scratch;
	size_t scratch_cap;
	long double sum; /* exact for integers */
	struct spill file;
	struct run *runs;
	size_t nruns;
};

struct sort {
	struct sink sink;
	const struct columns *cols;
	const struct sort_key *keys;
	size_t nkeys, limit, threads, share;
	struct merge *merge;
	struct local *locals;
	struct tally *tally; /* may be NULL */
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for sorting");
}

static int
sort_start(struct sink *sink, size_t threads, struct err *err)
{
	struct sort *s = (struct sort *)sink;

	s->locals = calloc(threads, sizeof(*s->locals));
	if (!s->locals)
		return oom(err);
	s->threads = threads;
	s->share = budget_share(sink->budget, threads);
	for (size_t i = 0; i < threads; i++) {
		spill_init(&s->locals[i].file, sink->budget);
		s->locals[i].rows = rowset_new(s->cols->n, s->cols->types);
		if (!s->locals[i].rows)
			return oom(err);
	}
	return 0;
}

/*
 * Keys: a byte that is 0 for null, then the value, most significant first; all
 * turned over for descending order.
 */

static uint8_t *
put_be(uint8_t *p, uint64_t v, size_t bytes)
{
	while (bytes-- > 0)
		*p++ = (uint8_t)(v >> (8 * bytes));
	return p;
}

/* 00 becomes 00 ff, and 00 00 ends it, so that no string begins another. */
static uint8_t *
put_str(uint8_t *p, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		*p++ = (uint8_t)s.p[i];
		if (!s.p[i])
			*p++ = 0xff;
	}
	*p++ = 0;
	*p++ = 0;
	return p;
}

static uint8_t *
put_value(uint8_t *p, const struct vec *v, uint32_t i)
{
	uint64_t top = UINT64_C(1) << 63, u;
	unsigned __int128 ip;

	switch (v->type) {
	case TYPE_BOOL:
		*p++ = VEC_AT(*v, uint8_t, i);
		return p;
	case TYPE_STRING:
	case TYPE_BYTES:
		return put_str(p, VEC_AT(*v, struct str, i));
	case TYPE_IP:
		ip = VEC_AT(*v, unsigned __int128, i);
		*p++ = ip >> 32 != 0xffff; /* IPv4 before IPv6 */
		p = put_be(p, (uint64_t)(ip >> 64), 8);
		return put_be(p, (uint64_t)ip, 8);
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return put_be(p, VEC_AT(*v, uint64_t, i) ^ top, 8);
	case TYPE_REAL:
		u = VEC_AT(*v, uint64_t, i);
		return put_be(p, u & top ? ~u : u ^ top, 8);
	default:
		return put_be(p, VEC_AT(*v, uint64_t, i), 8);
	}
}

static size_t
key_room(const struct vec *vecs, size_t n, uint32_t i)
{
	size_t room = 8; /* the place of the row */

	for (size_t k = 0; k < n; k++) {
		const struct vec *v = &vecs[k];
		bool text = v->type == TYPE_STRING || v->type == TYPE_BYTES;

		room += 1 + (text && !VEC_NULL(*v, i)
				 ? 2 * VEC_AT(*v, struct str, i).len + 2
				 : 17);
	}
	return room;
}

static int
scratch_room(struct local *l, size_t room)
{
	uint8_t *p;

	if (room <= l->scratch_cap)
		return 0;
	p = realloc(l->scratch, 2 * room);
	if (!p)
		return -1;
	l->scratch = p;
	l->scratch_cap = 2 * room;
	return 0;
}

static size_t
encode(const struct sort *s, uint8_t *out, const struct vec *vecs, uint32_t i,
       uint64_t place)
{
	uint8_t *p = out;

	for (size_t k = 0; k < s->nkeys; k++) {
		const struct vec *v = &vecs[k];
		uint8_t *start = p;

		*p++ = v->type != TYPE_NULL && !VEC_NULL(*v, i);
		if (p[-1])
			p = put_value(p, v, i);
		if (s->keys[k].descending)
			for (; start < p; start++)
				*start ^= 0xff;
	}
	return (size_t)(put_be(p, place, 8) - out);
}

static uint64_t
key_prefix(const uint8_t *key, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, key, len < 8 ? len : 8);
	return __builtin_bswap64(v);
}

static int
key_order(const struct entry *a, const struct entry *b)
{
	uint32_t n = a->len < b->len ? a->len : b->len;
	int order;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	order = memcmp(a->key, b->key, n);
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int
by_key(const void *a, const void *b)
{
	return key_order(a, b);
}

/*
 * Taking rows.
 */

/* Rows in refs[0, n) into a fresh set. */
static struct rowset *
gather(const struct sort *s, const struct entry *entries, size_t n,
       struct err *err)
{
	struct rowset *set = rowset_new(s->cols->n, s->cols->types);
	struct row_ref *refs = malloc((n + 1) * sizeof(*refs));

	if (!set || !refs) {
		oom(err);
		goto fail;
	}
	for (size_t i = 0; i < n; i++)
		refs[i] = (struct row_ref){entries[i].set, entries[i].row};
	if (rowset_gather(set, refs, (uint32_t)n, err))
		goto fail;
	free(refs);
	return set;
fail:
	free(refs);
	rowset_free(set);
	return NULL;
}

/* Keeps the first limit entries, their rows and their keys. */
static int
compact(const struct sort *s, struct local *l, struct err *err)
{
	struct arena keys = {0};
	struct rowset *rows;

	qsort(l->entries, l->n, sizeof(*l->entries), by_key);
	if (l->n > s->limit)
		l->n = s->limit;
	rows = gather(s, l->entries, l->n, err);
	if (!rows)
		return -1;
	rowset_free(l->rows);
	l->rows = rows;
	for (size_t i = 0; i < l->n; i++) {
		struct entry *e = &l->entries[i];

		e->key = (uint8_t *)arena_strndup(&keys, (const char *)e->key,
						  e->len);
		if (!e->key) {
			arena_free(&keys);
			l->n = 0;
			return oom(err);
		}
		e->set = rows;
		e->row = (uint32_t)i;
	}
	arena_free(&l->keys);
	l->keys = keys;
	l->full = l->n == s->limit;
	return 0;
}

static int
grow(struct local *l, size_t more, struct err *err)
{
	size_t cap = l->cap ? l->cap : 4096;
	struct entry *p;

	if (l->n + more <= l->cap)
		return 0;
	while (cap < l->n + more)
		cap *= 2;
	p = realloc(l->entries, cap * sizeof(*p));
	if (!p)
		return oom(err);
	l->entries = p;
	l->cap = cap;
	return 0;
}

/*
 * Values of 64 bits as numbers of the order in which they sort; false for
 * other types.  Nulls are to be looked at apart.
 */
static bool
turn(const struct vec *v, bool descending, uint64_t out[VIEW_CHUNK], uint32_t n)
{
	const uint64_t top = UINT64_C(1) << 63;
	const uint64_t flip = descending ? UINT64_MAX : 0;

	switch (v->type) {
	case TYPE_UINT:
	case TYPE_IPV4:
	case TYPE_MAC:
		for (uint32_t i = 0; i < n; i++)
			out[i] = VEC_AT(*v, uint64_t, i) ^ flip;
		return true;
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		for (uint32_t i = 0; i < n; i++)
			out[i] = VEC_AT(*v, uint64_t, i) ^ top ^ flip;
		return true;
	case TYPE_REAL:
		for (uint32_t i = 0; i < n; i++) {
			uint64_t u = VEC_AT(*v, uint64_t, i);

			out[i] = (u & top ? ~u : u ^ top) ^ flip;
		}
		return true;
	default:
		return false;
	}
}

/* The first key of an encoded one, as turn gives it; false if it is null. */
static bool
first_key(const struct sort *s, const struct entry *e, uint64_t *v)
{
	uint8_t null = s->keys[0].descending ? 0xff : 0;

	memcpy(v, e->key + 1, sizeof *v);
	*v = __builtin_bswap64(*v);
	return e->key[0] != null;
}

/*
 * The places in the window of those rows that may be in the answer, by their
 * first key alone: once limit rows are there, most rows end here, before any
 * other column is looked at.
 */
static int
prefilter(const struct sort *s, const struct local *l, struct view *v,
	  uint32_t *places)
{
	uint64_t turned[VIEW_CHUNK], last;
	uint32_t n = v->eval.n, kept = 0;
	struct vec vec;

	for (uint32_t i = 0; i < n; i++)
		places[i] = i;
	if (!l->full)
		return (int)n;
	if (view_eval(v, s->keys[0].node, &vec))
		return -1;
	if (!turn(&vec, s->keys[0].descending, turned, n) ||
	    !first_key(s, &l->entries[s->limit - 1], &last))
		return (int)n;
	for (uint32_t i = 0; i < n; i++) {
		places[kept] = i;
		kept += turned[i] <= last || VEC_NULL(vec, i) ? 1 : 0;
	}
	return (int)kept;
}

/* Narrows the window to N places of it; their rows go to SEL. */
static void
narrow(struct view *v, const uint32_t *places, uint32_t n, uint32_t *sel)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = v->at + places[i];

		sel[i] = v->sel ? v->sel[at] : at;
	}
	v->sel = sel;
	v->nsel = n;
	view_window(v, 0, n);
}

/* An entry for each of the N rows of the window that may be in the answer:
 * their number, and in KEEP which they are.  PLACES tell equal rows apart. */
static int
take_keys(const struct sort *s, struct local *l, struct view *v, uint32_t n,
	  const uint64_t *places, uint32_t *keep)
{
	struct vec *vecs =
	    arena_alloc(&v->arena, (s->nkeys + 1) * sizeof(*vecs));
	uint32_t kept = 0;

	if (!vecs) {
		eval_oom(&v->eval);
		return -1;
	}
	for (size_t k = 0; k < s->nkeys; k++)
		if (view_eval(v, s->keys[k].node, &vecs[k]))
			return -1;
	for (uint32_t i = 0; i < n; i++) {
		struct entry e = {.row = l->rows->rows + kept};

		if (scratch_room(l, key_room(vecs, s->nkeys, i)))
			return oom(v->err);
		e.len = (uint32_t)encode(s, l->scratch, vecs, i, places[i]);
		e.key = l->scratch;
		e.prefix = key_prefix(e.key, e.len);
		if (l->full && key_order(&e, &l->entries[s->limit - 1]) > 0)
			continue;
		e.key =
		    (uint8_t *)arena_strndup(&l->keys, (char *)e.key, e.len);
		if (!e.key)
			return oom(v->err);
		e.set = l->rows;
		l->entries[l->n++] = e;
		keep[kept++] = i;
	}
	return (int)kept;
}

static int
take_rows(const struct sort *s, struct local *l, struct view *v)
{
	struct vec *vecs = calloc(s->cols->n + 1, sizeof(*vecs));
	int rc = vecs ? 0 : oom(v->err);

	for (size_t k = 0; k < s->cols->n && rc == 0; k++)
		rc = view_eval(v, s->cols->nodes[k], &vecs[k]);
	if (rc == 0)
		rc = rowset_append(l->rows, vecs, v->eval.n, v->err);
	free(vecs);
	return rc;
}

/* The rows of the view's window. */
static int
take_window(const struct sort *s, struct local *l, struct view *v,
	    uint64_t place)
{
	uint32_t keep[VIEW_CHUNK], rows[VIEW_CHUNK];
	uint64_t places[VIEW_CHUNK];
	int kept = prefilter(s, l, v, keep);

	if (kept <= 0)
		return kept;
	for (int i = 0; i < kept; i++)
		places[i] = place + keep[i];
	if ((uint32_t)kept < v->eval.n)
		narrow(v, keep, (uint32_t)kept, rows);
	kept = take_keys(s, l, v, (uint32_t)kept, places, keep);
	if (kept <= 0)
		return kept;
	if ((uint32_t)kept < v->eval.n)
		narrow(v, keep, (uint32_t)kept, rows);
	return take_rows(s, l, v);
}

/* All rows into the file, as one run. */
static int
spill_rows(const struct sort *s, struct local *l, struct err *err)
{
	struct run *runs = realloc(l->runs, (l->nruns + 1) * sizeof(*runs));
	struct run run = {.range = {spill_at(&l->file), 0}};

	if (!runs)
		return oom(err);
	l->runs = runs;
	qsort(l->entries, l->n, sizeof(*l->entries), by_key);
	if (l->n > s->limit)
		l->n = s->limit;
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];

		if (merge_put(&l->file, e->key, e->len, e->set, e->row, err))
			return -1;
	}
	run.range[1] = spill_at(&l->file);
	run.rows = l->n;
	l->runs[l->nruns++] = run;
	l->n = 0;
	l->full = false;
	arena_free(&l->keys);
	rowset_free(l->rows);
	l->rows = rowset_new(s->cols->n, s->cols->types);
	return l->rows ? spill_flush(&l->file, err) : oom(err);
}

static bool
is_large(const struct sort *s, const struct local *l)
{
	return rowset_bytes(l->rows) + l->keys.total +
		   l->n * sizeof(*l->entries) >
	       s->share;
}

static bool
is_due(const struct sort *s, const struct local *l)
{
	size_t spare = l->full ? SPARE : SPARE_FIRST;

	return s->limit < SIZE_MAX / 4 && l->n >= 2 * s->limit &&
	       l->n >= s->limit + spare;
}

static int
take_sum(const struct sort *s, struct local *l, struct view *v)
{
	struct vec vec;

	if (view_eval(v, s->tally->node, &vec))
		return -1;
	for (uint32_t i = 0; i < v->eval.n && vec.type != TYPE_NULL; i++)
		if (!VEC_NULL(vec, i))
			l->sum +=
			    vec.type == TYPE_UINT  ? VEC_AT(vec, uint64_t, i)
			    : vec.type == TYPE_INT ? VEC_AT(vec, int64_t, i)
						   : VEC_AT(vec, double, i);
	return 0;
}

static int
sort_block(struct sink *sink, size_t thread, struct view *v, size_t nth,
	   atomic_bool *stop)
{
	struct sort *s = (struct sort *)sink;
	struct local *l = &s->locals[thread];
	const uint32_t *sel = v->sel;
	uint32_t nsel = v->nsel;

	(void)stop;
	for (uint32_t at = 0; at < nsel && (s->limit || s->tally);
	     at += VIEW_CHUNK) {
		uint32_t n = nsel - at;

		v->sel = sel;
		v->nsel = nsel;
		view_window(v, at, n > VIEW_CHUNK ? VIEW_CHUNK : n);
		if (s->tally && take_sum(s, l, v))
			return -1;
		if (!s->limit)
			continue;
		if (grow(l, VIEW_CHUNK, v->err) ||
		    take_window(s, l, v, (uint64_t)nth << 32 | at))
			return -1;
		if (is_due(s, l) && compact(s, l, v->err))
			return -1;
		if (is_large(s, l) && spill_rows(s, l, v->err))
			return -1;
	}
	return 0;
}

/*
 * Joining.
 */

static void
join_sums(const struct sort *s)
{
	long double sum = 0;

	for (size_t i = 0; i < s->threads; i++)
		sum += s->locals[i].sum;
	if (s->tally && isnan(s->tally->sum))
		s->tally->sum = (double)sum;
}

static struct rowset *
take_merged(void *ctx, uint32_t rows, struct err *err)
{
	return merge_take(ctx, rows, err);
}

/* What is in memory goes to the files, too; then they are merged as
 * rows are asked for. */
static int
merge_runs(struct sort *s, struct err *err)
{
	uint64_t rows = 0;

	s->merge = merge_new(s->cols->n, s->cols->types);
	if (!s->merge)
		return oom(err);
	for (size_t i = 0; i < s->threads; i++) {
		struct local *l = &s->locals[i];

		if (l->n && spill_rows(s, l, err))
			return -1;
		for (size_t k = 0; k < l->nruns; k++) {
			rows += l->runs[k].rows;
			if (merge_add(s->merge, &l->file, l->runs[k].range,
				      err))
				return -1;
		}
	}
	if (merge_start(s->merge, s->share, err))
		return -1;
	if (rows > s->limit)
		rows = s->limit;
	return rowsource_promise(s->sink.result, rows, OUT_ROWS,
				 (struct rowmaker){take_merged, s->merge}, err);
}

static int
sort_finish(struct sink *sink, struct err *err)
{
	struct sort *s = (struct sort *)sink;
	struct local all = {0};
	int rc = 0;

	join_sums(s);
	for (size_t i = 0; i < s->threads; i++)
		if (s->locals[i].nruns)
			return merge_runs(s, err);
	for (size_t i = 0; i < s->threads && rc == 0; i++) {
		struct local *l = &s->locals[i];

		rc = grow(&all, l->n, err);
		if (rc == 0 && l->n)
			memcpy(all.entries + all.n, l->entries,
			       l->n * sizeof(*all.entries));
		all.n += rc ? 0 : l->n;
	}
	if (rc == 0 && all.n)
		qsort(all.entries, all.n, sizeof(*all.entries), by_key);
	if (all.n > s->limit)
		all.n = s->limit;
	for (size_t at = 0; at < all.n && rc == 0; at += OUT_ROWS) {
		size_t n = all.n - at < OUT_ROWS ? all.n - at : OUT_ROWS;
		struct rowset *set = gather(s, all.entries + at, n, err);

		rc = set ? rowsource_add(sink->result, set, err) : -1;
	}
	free(all.entries);
	return rc;
}

static const struct node *
sort_node(const struct sink *sink, size_t i)
{
	const struct sort *s = (const struct sort *)sink;

	if (i < s->cols->n)
		return s->cols->nodes[i];
	i -= s->cols->n;
	return i < s->nkeys ? s->keys[i].node : NULL;
}

static void
sort_free(struct sink *sink)
{
	struct sort *s = (struct sort *)sink;

	for (size_t i = 0; i < s->threads; i++) {
		struct local *l = &s->locals[i];

		rowset_free(l->rows);
		free(l->entries);
		free(l->scratch);
		free(l->runs);
		spill_clear(&l->file);
		arena_free(&l->keys);
	}
	free(s->locals);
	merge_free(s->merge);
	source_free(sink->result);
}

static const struct sink_ops sort_ops = {
    .name = "sort",
    .start = sort_start,
    .block = sort_block,
    .finish = sort_finish,
    .node = sort_node,
    .free = sort_free,
};

struct sink *
sort_new(struct arena *a, const struct columns *cols,
	 const struct sort_key *keys, size_t nkeys, size_t limit)
{
	struct sort *s = arena_zalloc(a, sizeof(*s));

	if (!s)
		return NULL;
	s->sink.ops = &sort_ops;
	s->sink.result = rowsource_new(cols->n, cols->names, cols->types);
	s->cols = cols;
	s->keys = keys;
	s->nkeys = nkeys;
	s->limit = limit;
	return s->sink.result ? &s->sink : NULL;
}

void
sort_tally(struct sink *sink, struct tally *t)
{
	t->sum = NAN;
	((struct sort *)sink)->tally = t;
}
