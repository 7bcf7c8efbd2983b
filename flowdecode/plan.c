/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "flowdecode/hash.h"
#include "flowdecode/names.h"

/* Plans by definition: open addressing, at most half full. */
struct plans {
	struct plan **slots;
	size_t n, mask, bytes;
	uint64_t seed; /* of hashes */
};

struct plans *
plans_new(void)
{
	struct plans *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return NULL;
	ps->mask = SLOTS_FIRST - 1;
	ps->slots = calloc(SLOTS_FIRST, sizeof(*ps->slots));
	if (!ps->slots ||
	    getrandom(&ps->seed, sizeof(ps->seed), 0) != sizeof(ps->seed)) {
		free(ps->slots);
		free(ps);
		return NULL;
	}
	return ps;
}

static void
plan_free(struct plan *p)
{
	free(p->fields);
	free(p->segments);
	free(p->places);
	free(p->ops);
	free(p);
}

void
plans_free(struct plans *ps)
{
	if (!ps)
		return;
	for (size_t i = 0; i <= ps->mask; i++)
		if (ps->slots[i])
			plan_free(ps->slots[i]);
	free(ps->slots);
	free(ps);
}

size_t
plans_bytes(const struct plans *ps)
{
	return ps->bytes;
}

static uint64_t
hash_of(const struct plans *ps, const struct plan *want)
{
	uint64_t h =
	    hash_mix(ps->seed, (uint64_t)want->flags << 32 |
				   (uint32_t)want->n << 16 | want->scopes);

	for (uint16_t i = 0; i < want->n; i++) {
		uint64_t v;

		memcpy(&v, &want->fields[i], sizeof(v));
		h = hash_mix(h, v ^ ps->seed);
	}
	return h;
}

static bool
plan_is(const struct plan *p, const struct plan *want)
{
	return p->hash == want->hash && p->flags == want->flags &&
	       p->n == want->n && p->scopes == want->scopes &&
	       memcmp(p->fields, want->fields, p->n * sizeof(*p->fields)) == 0;
}

static size_t
slot_of(const struct plans *ps, const struct plan *want)
{
	size_t at = want->hash & ps->mask;

	while (ps->slots[at] && !plan_is(ps->slots[at], want))
		at = (at + 1) & ps->mask;
	return at;
}

static int
plans_grow(struct plans *ps)
{
	struct plans bigger = {.mask = 2 * ps->mask + 1};

	bigger.slots = calloc(bigger.mask + 1, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i <= ps->mask; i++)
		if (ps->slots[i])
			bigger.slots[slot_of(&bigger, ps->slots[i])] =
			    ps->slots[i];
	free(ps->slots);
	ps->slots = bigger.slots;
	ps->mask = bigger.mask;
	return 0;
}

/* Fields that mean something: the last one of a kind counts. */
static void
find_meanings(struct plan *p)
{
	p->sampler = p->input = p->interval = p->space = NO_FIELD;
	p->size = p->population = p->init = NO_FIELD;
	for (uint16_t i = 0; i < p->n; i++) {
		const struct wire_field *f = &p->fields[i];
		/* scopes of v9 are numbered by themselves */
		bool v9_scope = (p->flags & PLAN_V9) && i < p->scopes;

		if (f->enterprise != 0 || f->length > 8)
			continue;
		if (v9_scope && f->id == 2)
			p->input = i;
		if (v9_scope)
			continue;
		switch (f->id) {
		case 10:
			p->input = i;
			break;
		case 34:
		case 50:
		case 305:
			p->interval = i;
			break;
		case 48:
		case 302:
			p->sampler = i;
			break;
		case 160:
			p->init = i;
			break;
		case 306:
			p->space = i;
			break;
		case 309:
			p->size = i;
			break;
		case 310:
			p->population = i;
			break;
		default:
			break;
		}
	}
}

/* The first field of IANA's element ID, but not one that is numbered as v9 does
 * scopes. */
static uint16_t
field_of(const struct plan *p, uint16_t id)
{
	uint16_t from = p->flags & PLAN_V9 ? p->scopes : 0;

	for (uint16_t i = from; i < p->n; i++)
		if (p->fields[i].enterprise == 0 && p->fields[i].id == id)
			return i;
	return NO_FIELD;
}

/* Which fields of options give which number a name. */
static void
find_announcements(struct plan *p)
{
	static const uint16_t ids[LABEL_KINDS][4] = {
	    [LABEL_INTERFACE] = {10, 14, 82, 83},
	    [LABEL_APPLICATION] = {95, 95, 96, 94},
	    [LABEL_VRF] = {234, 235, 236, 236},
	};

	for (int k = 0; k < LABEL_KINDS; k++) {
		struct naming *a = &p->namings[k];

		a->id = field_of(p, ids[k][0]);
		if (a->id == NO_FIELD)
			a->id = field_of(p, ids[k][1]);
		if (k == LABEL_INTERFACE && p->input != NO_FIELD)
			a->id = p->input; /* may be a scope of v9 */
		a->name = field_of(p, ids[k][2]);
		a->description = field_of(p, ids[k][3]);
		if (a->name == NO_FIELD && a->description == NO_FIELD)
			a->id = NO_FIELD;
	}
}

/* Adds a field to the segment at hand or, of variable length, its own. */
static void
lay_field(struct plan *p, uint16_t i, bool *open)
{
	bool variable = p->fields[i].length == FIELD_VARIABLE;
	uint16_t len = variable ? 1 : p->fields[i].length;
	struct segment *seg;

	if (variable || !*open)
		p->segments[p->segments_n++].len = 0;
	*open = !variable;
	seg = &p->segments[p->segments_n - 1];
	p->places[i] = (struct place){
	    .off = seg->len,
	    .segment = (uint16_t)(p->segments_n - 1),
	    .len = p->fields[i].length,
	};
	if (variable)
		p->variable = true;
	else
		seg->len += len;
	p->length += len;
}

static int
lay_out(struct plan *p)
{
	bool open = false;

	p->segments = calloc(p->n, sizeof(*p->segments));
	p->places = calloc(p->n, sizeof(*p->places));
	if (!p->segments || !p->places)
		return -1;
	for (uint16_t i = 0; i < p->n; i++)
		lay_field(p, i, &open);
	return 0;
}

static uint32_t
flag_of(const struct wire_field *f)
{
	bool number = f->length <= 8;

	switch (f->enterprise ? 0 : f->id) {
	case 21:
	case 22:
		return number ? PLAN_UPTIME : 0;
	case 10:
	case 14:
		return number ? PLAN_INTERFACES : 0;
	case 95:
		return PLAN_APPLICATIONS;
	case 234:
	case 235:
		return number ? PLAN_VRFS : 0;
	default:
		return 0;
	}
}

/* Which flags of PLAN_LEARNED would add columns to records of such fields. */
static uint32_t
useful(uint32_t flags, const struct wire_field *f, uint16_t n)
{
	uint32_t found = 0;

	if (flags & PLAN_OPTIONS)
		return 0;
	for (uint16_t i = 0; i < n; i++)
		found |= flag_of(&f[i]);
	return flags & PLAN_V9 ? found & ~(uint32_t)PLAN_UPTIME : found;
}

static struct plan *
plan_new(const struct plan *want)
{
	struct plan *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	*p = *want;
	p->bytes =
	    sizeof(*p) + p->n * (sizeof(*p->fields) + sizeof(*p->segments) +
				 sizeof(*p->places));
	p->fields = malloc(p->n * sizeof(*p->fields));
	if (!p->fields) {
		free(p);
		return NULL;
	}
	memcpy(p->fields, want->fields, p->n * sizeof(*p->fields));
	if (lay_out(p) != 0) {
		plan_free(p);
		return NULL;
	}
	find_meanings(p);
	find_announcements(p);
	return p;
}

struct plan *
plans_get(struct plans *ps, uint32_t flags, const struct wire_field *f,
	  uint16_t n, uint16_t scopes)
{
	struct plan want = {.n = n,
			    .scopes = scopes,
			    .fields = (struct wire_field *)(uintptr_t)f};
	size_t at;

	want.useful = useful(flags, f, n);
	want.flags = flags & (want.useful | ~(uint32_t)PLAN_LEARNED);
	want.hash = hash_of(ps, &want);
	at = slot_of(ps, &want);
	if (!ps->slots[at]) {
		ps->slots[at] = plan_new(&want);
		if (!ps->slots[at])
			return NULL;
		ps->bytes += ps->slots[at]->bytes;
		if (2 * ++ps->n > ps->mask) {
			if (plans_grow(ps) != 0)
				return NULL;
			at = slot_of(ps, &want);
		}
	}
	ps->slots[at]->refs++;
	return ps->slots[at];
}

/* Takes a slot out and moves up those behind it that hashed before it. */
static void
slot_drop(struct plans *ps, size_t at)
{
	size_t next = at;

	for (;;) {
		next = (next + 1) & ps->mask;
		if (!ps->slots[next])
			break;
		/* may it stand at AT? if its home is not within (at, next] */
		if (((next - ps->slots[next]->hash) & ps->mask) <
		    ((next - at) & ps->mask))
			continue;
		ps->slots[at] = ps->slots[next];
		at = next;
	}
	ps->slots[at] = NULL;
	ps->n--;
}

void
plans_put(struct plans *ps, struct plan *p)
{
	if (!p || --p->refs > 0)
		return;
	slot_drop(ps, slot_of(ps, p));
	ps->bytes -= p->bytes;
	plan_free(p);
}

bool
plan_walk(const struct plan *p, struct reader *r, const uint8_t *base,
	  struct cell *cells)
{
	for (uint16_t i = 0; i < p->segments_n; i++) {
		size_t len = p->segments[i].len;
		const uint8_t *at;

		if (len == 0) {
			len = reader_u8(r);
			if (len == 255)
				len = reader_u16(r);
		}
		at = reader_bytes(r, len);
		if (r->bad)
			return false;
		cells[i].off = (uint32_t)(at - base);
		cells[i].len = (uint32_t)len;
	}
	return true;
}

uint64_t
plan_uint(const struct plan *p, const uint8_t *base, const struct cell *cells,
	  uint16_t field)
{
	const struct place *at;

	if (field == NO_FIELD)
		return 0;
	at = &p->places[field];
	if (cells)
		base += cells[at->segment].off;
	return wire_uint(base + at->off, at->len);
}

const uint8_t *
plan_bytes(const struct plan *p, const uint8_t *base, const struct cell *cells,
	   uint16_t field, size_t *len)
{
	const struct place *at;

	*len = 0;
	if (field == NO_FIELD)
		return NULL;
	at = &p->places[field];
	*len = at->len;
	if (cells) {
		if (at->len == FIELD_VARIABLE)
			*len = cells[at->segment].len;
		base += cells[at->segment].off;
	}
	return base + at->off;
}

/* Copies of plain columns first, then text, then those that read a column. */
static int
op_order(uint8_t kind)
{
	if (copy_adds(kind))
		return 1;
	return kind >= COPY_FIXED ? 2 : 0;
}

static void
take_ops(struct plan *p, const struct names *names, const struct shape *s)
{
	p->ops_n = 0;
	for (int order = 0; order <= 2; order++) {
		if (order == 2)
			p->ops_text = p->ops_n;
		for (size_t i = 0; i < names->n; i++) {
			const struct named *c = &names->columns[i];
			struct op op = {.kind = (uint8_t)c->kind,
					.width =
					    (uint8_t)col_type_width(c->type),
					.field = c->field,
					.aux = c->aux};

			if (op_order(op.kind) != order)
				continue;
			op.column = (uint16_t)shape_find(s, c->name);
			if (order == 1)
				op.aux = (uint16_t)shape_find(
				    s, names->columns[c->aux].name);
			p->ops[p->ops_n++] = op;
		}
	}
}

static size_t
list_fields(const struct plan *p, const struct names *names, struct field *f)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		f[n++] = (struct field){names->columns[i].name,
					names->columns[i].type};
	for (int i = 0; i < STAMP_COLUMNS; i++)
		f[n++] = stamp_field((enum stamp_column)i, p->flags & PLAN_V6);
	return n;
}

static int
make(struct plan *p, struct names *names, struct field *f, struct piles *piles,
     struct err *e)
{
	size_t n;

	names_make(names, p->flags, p->fields, p->n);
	n = list_fields(p, names, f);
	p->made = piles_generation(piles);
	if (piles_get(piles, f, n, &p->pile, e) != 0) {
		p->refused = true;
		return 0;
	}
	p->made = piles_generation(piles); /* it may have risen */
	p->ops = malloc((names->n + 1) * sizeof(*p->ops));
	if (!p->ops)
		return err_set(e, "out of memory for a template");
	take_ops(p, names, p->pile->shape);
	return 0;
}

int
plan_make(struct plans *ps, struct plan *p, struct piles *piles, struct err *e)
{
	struct names *names = malloc(sizeof(*names));
	struct field *f = malloc(SHAPE_FIELDS_MAX * sizeof(*f));
	int rc = -1;

	p->bytes -= p->ops_n * sizeof(*p->ops);
	ps->bytes -= p->ops_n * sizeof(*p->ops);
	free(p->ops);
	p->ops = NULL;
	p->ops_n = 0;
	p->refused = false;
	if (names && f)
		rc = make(p, names, f, piles, e);
	else
		err_set(e, "out of memory for a template");
	free(names);
	free(f);
	p->bytes += p->ops_n * sizeof(*p->ops);
	ps->bytes += p->ops_n * sizeof(*p->ops);
	return rc;
}
