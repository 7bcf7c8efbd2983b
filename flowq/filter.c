/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum pred_kind { PRED_RANGES, PRED_NULL, PRED_EXPR, PRED_AND, PRED_OR };

struct pred {
	enum pred_kind kind;
	struct pred *next;  /* of its siblings */
	struct pred *first; /* of an AND or OR */
	/* RANGES and NULL: field (not) in ranges, (not) null */
	size_t field;
	enum expr_type type;
	bool negate;
	size_t n;
	struct range *ranges;
	const struct node *node; /* EXPR */
	unsigned cost;
	int only; /* the one field that all of it is about, or -1 */
};

struct filter {
	struct arena *arena;
	struct pred *first; /* all must hold */
};

struct filter *
filter_new(struct arena *a)
{
	struct filter *f = arena_zalloc(a, sizeof(*f));

	if (f)
		f->arena = a;
	return f;
}

bool
filter_empty(const struct filter *f)
{
	return !f->first;
}

/*
 * From nodes to predicates.  NOT is pushed down to the leaves, so that what is
 * left to ask of each is only whether it is true.
 */

static struct pred *
pred_new(struct arena *a, enum pred_kind kind, unsigned cost)
{
	struct pred *p = arena_zalloc(a, sizeof(*p));

	if (p) {
		p->kind = kind;
		p->cost = cost;
		p->only = -1;
	}
	return p;
}

static struct range
range_of(enum expr_op op, scale_t v)
{
	static const scale_t end = ~(scale_t)0;

	switch (op) {
	case EXPR_LT:
		return v ? (struct range){0, v - 1} : (struct range){1, 0};
	case EXPR_LE:
		return (struct range){0, v};
	case EXPR_GT:
		return v < end ? (struct range){v + 1, end}
			       : (struct range){1, 0};
	case EXPR_GE:
		return (struct range){v, end};
	default:
		return (struct range){v, v};
	}
}

static enum expr_op
mirror(enum expr_op op)
{
	switch (op) {
	case EXPR_LT:
		return EXPR_GT;
	case EXPR_LE:
		return EXPR_GE;
	case EXPR_GT:
		return EXPR_LT;
	case EXPR_GE:
		return EXPR_LE;
	default:
		return op;
	}
}

static unsigned
type_cost(enum expr_type t)
{
	return t == TYPE_IP ? 4 : 2;
}

/* A comparison of a field with a literal as a range; NULL: it is none. */
static struct pred *
pred_compare(struct arena *a, const struct node *nd)
{
	const struct node *f = node_plain_field(nd->args[0]);
	const struct node *l = nd->args[1];
	enum expr_op op = nd->op;
	struct pred *p;

	if (!f) {
		f = node_plain_field(nd->args[1]);
		l = nd->args[0];
		op = mirror(op);
	}
	if (!f || l->kind != NODE_LITERAL || !scale_has(f->type) ||
	    !scale_has(l->type))
		return NULL;
	p = pred_new(a, PRED_RANGES, type_cost(f->type));
	if (!p)
		return NULL;
	p->ranges = arena_alloc(a, sizeof(*p->ranges));
	if (!p->ranges)
		return NULL;
	p->field = (size_t)f->slot;
	p->type = f->type;
	p->negate = op == EXPR_NE;
	p->n = 1;
	p->ranges[0] = range_of(op, scale_literal(&l->lit));
	return p;
}

static struct pred *
pred_cidr(struct arena *a, const struct node *nd)
{
	const struct node *f = node_plain_field(nd->args[0]);
	struct pred *p;

	if (!f)
		return NULL;
	p = pred_new(a, PRED_RANGES, type_cost(f->type));
	if (!p)
		return NULL;
	p->ranges = arena_alloc(a, sizeof(*p->ranges));
	if (!p->ranges)
		return NULL;
	p->field = (size_t)f->slot;
	p->type = f->type;
	p->n = 1;
	p->ranges[0].lo = p->ranges[0].hi = nd->lit.ip;
	if (nd->lit.bits < 128)
		p->ranges[0].hi |= ~(scale_t)0 >> nd->lit.bits;
	return p;
}

static struct pred *make(struct arena *, const struct node *, bool negate);

static struct pred *
pred_expr(struct arena *a, const struct node *nd, bool negate)
{
	struct pred *p = pred_new(a, PRED_EXPR, 10);

	if (!p)
		return NULL;
	p->node = nd;
	p->negate = negate;
	return p;
}

static bool
mergeable(const struct pred *p, const struct pred *q)
{
	return p->kind == PRED_RANGES && q->kind == PRED_RANGES &&
	       p->field == q->field && !p->negate && !q->negate;
}

/* An OR of ranges on one field is one set of ranges. */
static int
merge_ranges(struct arena *a, struct pred *p, const struct pred *q)
{
	struct range *r = arena_alloc(a, (p->n + q->n) * sizeof(*r));

	if (!r)
		return -1;
	memcpy(r, p->ranges, p->n * sizeof(*r));
	memcpy(r + p->n, q->ranges, q->n * sizeof(*r));
	p->ranges = r;
	p->n += q->n;
	return 0;
}

static struct pred *
pred_group(struct arena *a, const struct node *nd, bool negate)
{
	bool is_or = (nd->kind == NODE_OR) != negate;
	struct pred *p = pred_new(a, is_or ? PRED_OR : PRED_AND, 0);
	struct pred **tail;

	if (!p)
		return NULL;
	tail = &p->first;
	for (size_t i = 0; i < nd->n; i++) {
		struct pred *q = make(a, nd->args[i], negate), *o = NULL;

		if (!q)
			return NULL;
		for (o = p->first; is_or && o && !mergeable(o, q);)
			o = o->next;
		if (is_or && o) {
			if (merge_ranges(a, o, q))
				return NULL;
			continue;
		}
		*tail = q;
		tail = &q->next;
		p->cost += q->cost;
	}
	if (p->first && !p->first->next)
		return p->first;
	return p;
}

/* NULL: memory is out. */
static struct pred *
make(struct arena *a, const struct node *nd, bool negate)
{
	struct pred *p = NULL;

	switch (nd->kind) {
	case NODE_NOT:
		return make(a, nd->args[0], !negate);
	case NODE_AND:
	case NODE_OR:
		return pred_group(a, nd, negate);
	case NODE_COMPARE:
		p = pred_compare(a, nd);
		break;
	case NODE_IN_CIDR:
		p = pred_cidr(a, nd);
		break;
	case NODE_ISNULL:
		if (nd->args[0]->kind != NODE_FIELD)
			break;
		p = pred_new(a, PRED_NULL, 1);
		if (!p)
			return NULL;
		p->field = (size_t)nd->args[0]->slot;
		p->negate = nd->op == EXPR_NOT;
		break;
	default:
		break;
	}
	if (!p)
		return pred_expr(a, nd, negate);
	p->negate ^= negate;
	return p;
}

/* Finds what each part is about: a field, if it is but one. */
static void
find_only(struct pred *p)
{
	switch (p->kind) {
	case PRED_EXPR:
		p->only = view_only_field(p->node);
		break;
	case PRED_AND:
	case PRED_OR:
		for (struct pred *q = p->first; q; q = q->next)
			find_only(q);
		p->only = p->first ? p->first->only : -1;
		for (struct pred *q = p->first; q; q = q->next)
			if (q->only != p->only)
				p->only = -1;
		break;
	default:
		p->only = (int)p->field;
	}
}

/* Puts P (and, if it is an AND, its parts) in order of cost. */
static void
insert(struct filter *f, struct pred *p)
{
	struct pred **at = &f->first, *next;

	if (p->kind == PRED_AND) {
		for (p = p->first; p; p = next) {
			next = p->next;
			insert(f, p);
		}
		return;
	}
	find_only(p);
	while (*at && (*at)->cost <= p->cost)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

int
filter_add(struct filter *f, const struct node *cond, struct err *err)
{
	struct pred *p = make(f->arena, cond, false);

	if (!p)
		return err_set(err, "out of memory");
	insert(f, p);
	return 0;
}

int
filter_add_range(struct filter *f, const struct source *src, size_t field,
		 struct range r, struct err *err)
{
	struct pred *p = pred_new(f->arena, PRED_RANGES, 1);

	if (p)
		p->ranges = arena_alloc(f->arena, sizeof(*p->ranges));
	if (!p || !p->ranges)
		return err_set(err, "out of memory");
	p->field = field;
	p->type = src->fields[field].type;
	p->n = 1;
	p->ranges[0] = r;
	insert(f, p);
	return 0;
}

/*
 * What statistics say.
 */

static enum verdict
check_ranges(const struct pred *p, const struct column_stat *s, uint32_t rows)
{
	enum verdict v = NO_ROW;
	scale_t min, max;

	if (s->nulls == rows)
		return NO_ROW;
	if (!s->has_minmax)
		return SOME_ROWS;
	min = scale_value(&s->min);
	max = scale_value(&s->max);
	for (size_t i = 0; i < p->n && v != EVERY_ROW; i++) {
		const struct range *r = &p->ranges[i];

		if (r->lo > r->hi || r->hi < min || r->lo > max)
			continue;
		v = r->lo <= min && r->hi >= max ? EVERY_ROW : SOME_ROWS;
	}
	if (p->negate && v != SOME_ROWS)
		v = v == NO_ROW ? EVERY_ROW : NO_ROW;
	if (v == EVERY_ROW && s->nulls)
		v = SOME_ROWS;
	return v;
}

enum { ADDRESSES_MAX = 64 }; /* asked of a block's filters */

/* Some rows by the statistics: whether the block's address filters say none.
 */
static enum verdict
check_addresses(const struct pred *p, struct source *src, size_t block)
{
	if (!src->ops->may_hold || p->negate || p->n > ADDRESSES_MAX)
		return SOME_ROWS;
	for (size_t i = 0; i < p->n; i++) {
		const struct range *r = &p->ranges[i];

		if (r->lo > r->hi)
			continue;
		if (r->lo != r->hi ||
		    src->ops->may_hold(src, block, p->field, r->lo))
			return SOME_ROWS;
	}
	return NO_ROW;
}

static enum verdict
check_null(const struct pred *p, const struct column_stat *s, uint32_t rows)
{
	enum verdict v = s->nulls == rows ? EVERY_ROW
			 : s->nulls	  ? SOME_ROWS
					  : NO_ROW;

	if (p->negate && v != SOME_ROWS)
		v = v == NO_ROW ? EVERY_ROW : NO_ROW;
	return v;
}

static enum verdict check(const struct pred *, struct source *, size_t);

static enum verdict
check_group(const struct pred *p, struct source *src, size_t block)
{
	bool is_or = p->kind == PRED_OR;
	enum verdict all = is_or ? NO_ROW : EVERY_ROW;

	for (const struct pred *q = p->first; q; q = q->next) {
		enum verdict v = check(q, src, block);

		if (is_or ? v > all : v < all)
			all = v;
	}
	return all;
}

static enum verdict
check(const struct pred *p, struct source *src, size_t block)
{
	const struct column_stat *stat = NULL;
	enum col_type type;
	enum verdict v;

	if (p->kind == PRED_AND || p->kind == PRED_OR)
		return check_group(p, src, block);
	if (p->kind == PRED_EXPR) {
		if (p->node->kind != NODE_LITERAL)
			return SOME_ROWS;
		return p->node->type == TYPE_BOOL &&
			       (p->node->lit.u & 1) != p->negate
			   ? EVERY_ROW
			   : NO_ROW;
	}
	type = src->ops->peek(src, block, p->field, &stat);
	if (type == COL_NULL)
		return p->kind == PRED_NULL && !p->negate ? EVERY_ROW : NO_ROW;
	if (!stat)
		return SOME_ROWS;
	if (p->kind == PRED_NULL)
		return check_null(p, stat, src->ops->rows(src, block));
	v = check_ranges(p, stat, src->ops->rows(src, block));
	return v == SOME_ROWS && (type == COL_IPV4 || type == COL_IP)
		   ? check_addresses(p, src, block)
		   : v;
}

enum verdict
filter_check(const struct filter *f, struct source *src, size_t block)
{
	enum verdict all = EVERY_ROW;

	for (const struct pred *p = f->first; p && all != NO_ROW; p = p->next) {
		enum verdict v = check(p, src, block);

		if (v < all)
			all = v;
	}
	return all;
}

/*
 * Kernels: mask[i] |= whether value i is in [lo, lo + span], over a whole
 * column or over selected rows of it.
 */

struct scanned {
	const void *data;
	const uint32_t *sel; /* NULL: all rows */
	uint32_t n;
	uint8_t *mask;
};

#define KERNEL(fname, type)                                                  \
	static void fname(const struct scanned *s, uint64_t lo, uint64_t hi) \
	{                                                                    \
		const type *restrict in = s->data;                           \
		uint8_t *restrict mask = s->mask;                            \
		type from = (type)lo, span = (type)(hi - lo);                \
                                                                             \
		if (s->sel)                                                  \
			for (uint32_t i = 0; i < s->n; i++)                  \
				mask[i] |=                                   \
				    (type)(in[s->sel[i]] - from) <= span;    \
		else                                                         \
			for (uint32_t i = 0; i < s->n; i++)                  \
				mask[i] |= (type)(in[i] - from) <= span;     \
	}

KERNEL(kernel8, uint8_t)
KERNEL(kernel16, uint16_t)
KERNEL(kernel32, uint32_t)
KERNEL(kernel64, uint64_t)

static void
kernel_ip(const struct scanned *s, struct range r)
{
	const char *in = s->data;

	if (r.lo > r.hi)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		const char *p = in + 16 * (size_t)(s->sel ? s->sel[i] : i);
		uint64_t hi, lo;
		scale_t v;

		memcpy(&hi, p, 8);
		memcpy(&lo, p + 8, 8);
		v = (scale_t)__builtin_bswap64(hi) << 64 |
		    __builtin_bswap64(lo);
		s->mask[i] |= v - r.lo <= r.hi - r.lo;
	}
}

static void
run_range(const struct scanned *s, enum col_type type, struct range r)
{
	uint64_t lo, hi;

	if (type == COL_IP) {
		kernel_ip(s, r);
		return;
	}
	if (!scale_clamp(r, type, &lo, &hi))
		return;
	switch (col_type_width(type)) {
	case 1:
		kernel8(s, lo, hi);
		break;
	case 2:
		kernel16(s, lo, hi);
		break;
	case 4:
		kernel32(s, lo, hi);
		break;
	default:
		kernel64(s, lo, hi);
	}
}

/* Takes out rows that are null, after turning the mask over if NEGATE. */
static void
finish_mask(const struct scanned *s, const uint8_t *valid, bool negate)
{
	if (negate)
		for (uint32_t i = 0; i < s->n; i++)
			s->mask[i] ^= 1;
	if (!valid)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t row = s->sel ? s->sel[i] : i;

		s->mask[i] &= valid[row >> 3] >> (row & 7) & 1;
	}
}

static int
run_ranges(const struct pred *p, struct view *v, uint8_t *mask)
{
	struct scanned s = {NULL, v->sel, v->nsel, mask};
	const struct column *col;
	enum col_type type;

	if (view_column(v, p->field, &col, &type))
		return -1;
	if (!col)
		return NO_ROW;
	s.data = col->data;
	if (col->constant) {
		s.sel = NULL;
		s.n = 1;
	}
	memset(mask, 0, s.n);
	for (size_t i = 0; i < p->n; i++)
		run_range(&s, type, p->ranges[i]);
	finish_mask(&s, col->valid, p->negate);
	if (col->constant)
		return mask[0] ? EVERY_ROW : NO_ROW;
	return SOME_ROWS;
}

static int
run_null(const struct pred *p, struct view *v, uint8_t *mask)
{
	const struct column *col;
	enum col_type type;

	if (view_column(v, p->field, &col, &type))
		return -1;
	for (uint32_t i = 0; i < v->nsel; i++) {
		uint32_t row = v->sel ? v->sel[i] : i;

		mask[i] = (!col || column_is_null(col, row)) != p->negate;
	}
	return SOME_ROWS;
}

static int
run_expr(const struct pred *p, struct view *v, uint8_t *mask)
{
	for (uint32_t at = 0; at < v->nsel; at += VIEW_CHUNK) {
		uint32_t n = v->nsel - at;
		struct vec r;

		n = n > VIEW_CHUNK ? VIEW_CHUNK : n;
		view_window(v, at, n);
		if (view_eval(v, p->node, &r))
			return -1;
		for (uint32_t i = 0; i < n; i++)
			mask[at + i] =
			    r.type != TYPE_NULL && !VEC_NULL(r, i) &&
			    (VEC_AT(r, uint8_t, i) != 0) != p->negate;
	}
	return SOME_ROWS;
}

static int run(const struct pred *, struct view *, uint8_t *mask);

/* Adds what one part says to the mask of those before it. */
static void
join(uint8_t *restrict mask, const uint8_t *restrict part, uint32_t n, bool or)
{
	if (or)
		for (uint32_t i = 0; i < n; i++)
			mask[i] |= part[i];
	else
		for (uint32_t i = 0; i < n; i++)
			mask[i] &= part[i];
}

static int
run_group(const struct pred *p, struct view *v, uint8_t *mask)
{
	bool is_or = p->kind == PRED_OR;
	enum verdict stop = is_or ? EVERY_ROW : NO_ROW;
	enum verdict all = is_or ? NO_ROW : EVERY_ROW;
	uint8_t *part =
	    aligned_alloc(64, ((size_t)v->nsel + 128) & ~(size_t)63);
	int r = SOME_ROWS;

	if (!part)
		return err_set(v->err, "out of memory");
	for (const struct pred *q = p->first; q; q = q->next) {
		r = run(q, v, all == SOME_ROWS ? part : mask);
		if (r < 0 || r == (int)stop)
			break;
		if (r == SOME_ROWS && all == SOME_ROWS)
			join(mask, part, v->nsel, is_or);
		if (r == SOME_ROWS)
			all = SOME_ROWS;
	}
	free(part);
	return r < 0 || r == (int)stop ? r : (int)all;
}

static int
run_rows(const struct pred *p, struct view *v, uint8_t *mask)
{
	switch (p->kind) {
	case PRED_RANGES:
		return run_ranges(p, v, mask);
	case PRED_NULL:
		return run_null(p, v, mask);
	case PRED_EXPR:
		return run_expr(p, v, mask);
	default:
		return run_group(p, v, mask);
	}
}

/* What a mask says, and the range of what is set in it. */
static enum verdict
mask_verdict(const uint8_t *mask, uint32_t n, uint32_t *first, uint32_t *last)
{
	uint32_t count = 0;

	*first = n;
	*last = 0;
	for (uint32_t i = 0; i < n; i++)
		count += mask[i];
	if (!count || count == n)
		return count ? EVERY_ROW : NO_ROW;
	for (*first = 0; !mask[*first];)
		++*first;
	for (*last = n - 1; !mask[*last];)
		--*last;
	return SOME_ROWS;
}

/*
 * Asks entries instead of rows: *e is a view of them with the answer in its
 * mask_buf, or NULL if the field is not so stored.
 */
static int
run_entries(const struct pred *p, struct view *v, struct view **e)
{
	uint64_t overflows;
	int r;

	*e = NULL;
	if (p->only < 0)
		return SOME_ROWS;
	if (view_entries(v, (size_t)p->only, e))
		return -1;
	if (!*e)
		return SOME_ROWS;
	overflows = (*e)->eval.overflows;
	r = run_rows(p, *e, (*e)->mask_buf);
	/* What overflows is counted by rows. */
	if ((*e)->eval.overflows != overflows)
		*e = NULL;
	return r;
}

/* The verdict, and if it is SOME_ROWS the mask of the selected rows. */
static int
run(const struct pred *p, struct view *v, uint8_t *mask)
{
	struct scanned s = {NULL, v->sel, v->nsel, mask};
	uint32_t first, last;
	const uint32_t *code;
	struct view *e;
	int r = run_entries(p, v, &e);

	if (r < 0)
		return -1;
	if (!e)
		return run_rows(p, v, mask);
	if (r == SOME_ROWS)
		r = mask_verdict(e->mask_buf, e->nsel, &first, &last);
	if (r != SOME_ROWS)
		return r;
	if (view_codes(v, (size_t)p->only, &code))
		return -1;
	s.data = code;
	memset(mask, 0, v->nsel);
	if (!memchr(e->mask_buf + first, 0, last - first))
		kernel32(&s, first, last);
	else if (v->sel)
		for (uint32_t i = 0; i < v->nsel; i++)
			mask[i] = e->mask_buf[code[v->sel[i]]];
	else
		for (uint32_t i = 0; i < v->nsel; i++)
			mask[i] = e->mask_buf[code[i]];
	return SOME_ROWS;
}

/* Whether entries rule all rows out, before any row is looked at. */
static int
ruled_out(const struct filter *f, struct view *v)
{
	uint32_t first, last;
	struct view *e;
	int r;

	if (!f->first || !f->first->next)
		return 0;
	for (const struct pred *p = f->first; p; p = p->next) {
		if (check(p, v->src, v->block.index) == EVERY_ROW)
			continue;
		r = run_entries(p, v, &e);
		if (r == SOME_ROWS && e)
			r = mask_verdict(e->mask_buf, e->nsel, &first, &last);
		if (r < 0)
			return -1;
		if (r == NO_ROW && e)
			return 1;
	}
	return 0;
}

int
filter_run(const struct filter *f, struct view *v)
{
	int r = ruled_out(f, v);

	if (r > 0)
		v->nsel = 0;
	for (const struct pred *p = f->first; p && v->nsel && r >= 0;
	     p = p->next) {
		if (check(p, v->src, v->block.index) == EVERY_ROW)
			continue;
		r = run(p, v, v->mask_buf);
		if (r == NO_ROW)
			v->nsel = 0;
		else if (r == SOME_ROWS)
			view_select(v, v->mask_buf);
	}
	return r < 0 ? -1 : 0;
}

static size_t
text_scale(char *p, scale_t v, enum expr_type t)
{
	if (t == TYPE_IPV4 || t == TYPE_IP) {
		uint8_t ip[16];

		for (int i = 15; i >= 0; i--, v >>= 8)
			ip[i] = (uint8_t)v;
		return text_ip(p, ip);
	}
	if (t == TYPE_TIME)
		return text_time(p, (int64_t)(uint64_t)(v - SCALE_ZERO));
	if (v < SCALE_ZERO)
		return text_i64(p, (int64_t)(uint64_t)(v - SCALE_ZERO));
	return text_u64(p, (uint64_t)(v - SCALE_ZERO));
}

const char *
filter_text(const struct filter *f, size_t i, char *p, size_t size,
	    const struct source *src)
{
	const struct pred *q = f->first;
	char lo[TEXT_MAX + 1] = "", hi[TEXT_MAX + 1] = "";
	const struct range *r;

	while (q && i--)
		q = q->next;
	if (!q)
		return NULL;
	switch (q->kind) {
	case PRED_RANGES:
		r = q->ranges;
		if (r->lo > 0 && r->lo <= r->hi)
			lo[text_scale(lo, r->lo, q->type)] = 0;
		if (r->hi < ~(scale_t)0 && r->lo <= r->hi)
			hi[text_scale(hi, r->hi, q->type)] = 0;
		snprintf(p, size, "%s %sin [%s, %s]%s",
			 src->fields[q->field].name, q->negate ? "not " : "",
			 lo, hi, q->n > 1 ? " and more" : "");
		break;
	case PRED_NULL:
		snprintf(p, size, "%s is %snull", src->fields[q->field].name,
			 q->negate ? "not " : "");
		break;
	default:
		snprintf(p, size, "%s",
			 q->kind == PRED_OR ? "either of several conditions"
					    : "an expression");
	}
	return p;
}

static void
pred_fields(const struct pred *p, bool *used,
	    void (*nodes)(const struct node *, const struct source *, bool *),
	    const struct source *src)
{
	for (; p; p = p->next)
		switch (p->kind) {
		case PRED_EXPR:
			nodes(p->node, src, used);
			break;
		case PRED_AND:
		case PRED_OR:
			pred_fields(p->first, used, nodes, src);
			break;
		default:
			used[p->field] = true;
		}
}

void
filter_fields(const struct filter *f, bool *used,
	      void (*nodes)(const struct node *, const struct source *, bool *),
	      const struct source *src)
{
	pred_fields(f->first, used, nodes, src);
}
