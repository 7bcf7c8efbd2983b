/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/template.h"

#include <stdlib.h>
#include <string.h>

#include "flowdecode/hash.h"

enum {
	ID_MIN = 256,
	ENTERPRISE_BIT = 0x8000,
};

static size_t
slot_of(const struct templates *ts, uint16_t id)
{
	size_t at = hash_mix(ts->seed, id) & ts->mask;

	while (ts->slots[at].id && ts->slots[at].id != id)
		at = (at + 1) & ts->mask;
	return at;
}

const struct template *
templates_at(const struct templates *ts, uint16_t id)
{
	const struct template *t;

	if (ts->n == 0 || id < ID_MIN)
		return NULL;
	t = &ts->slots[slot_of(ts, id)];
	return t->id ? t : NULL;
}

struct plan *
templates_find(struct templates *ts, uint16_t id)
{
	struct template *t;

	if (ts->n == 0 || id < ID_MIN)
		return NULL;
	t = &ts->slots[slot_of(ts, id)];
	if (!t->id)
		return NULL;
	t->used = ++ts->clock;
	return t->plan;
}

struct plan *
templates_reflag(struct templates *ts, struct plans *plans, uint16_t id,
		 uint32_t flags)
{
	struct template *t = &ts->slots[slot_of(ts, id)];
	struct plan *old = t->plan;
	struct plan *plan =
	    plans_get(plans, flags, old->fields, old->n, old->scopes);

	if (!plan)
		return NULL;
	t->plan = plan;
	plans_put(plans, old);
	return plan;
}

/* Takes a slot out and moves up those behind it that belong before it. */
static void
slot_drop(struct templates *ts, struct plans *plans, size_t at)
{
	size_t next = at, home;

	ts->bytes -= ts->slots[at].bytes;
	plans_put(plans, ts->slots[at].plan);
	for (;;) {
		next = (next + 1) & ts->mask;
		if (!ts->slots[next].id)
			break;
		home = hash_mix(ts->seed, ts->slots[next].id);
		if (((next - home) & ts->mask) < ((next - at) & ts->mask))
			continue;
		ts->slots[at] = ts->slots[next];
		at = next;
	}
	ts->slots[at] = (struct template){0};
	ts->n--;
	ts->changed = true;
}

static void
drop(struct templates *ts, struct plans *plans, uint16_t id)
{
	size_t at;

	if (ts->n == 0 || id < ID_MIN)
		return;
	at = slot_of(ts, id);
	if (ts->slots[at].id)
		slot_drop(ts, plans, at);
}

void
templates_clear(struct templates *ts, struct plans *plans)
{
	for (size_t i = 0; ts->slots && i <= ts->mask; i++)
		plans_put(plans, ts->slots[i].plan);
	free(ts->slots);
	*ts = (struct templates){0};
}

size_t
templates_memory(const struct templates *ts)
{
	return ts->slots ? (ts->mask + 1) * sizeof(*ts->slots) : 0;
}

static int
templates_grow(struct templates *ts)
{
	size_t slots = ts->slots ? 2 * (ts->mask + 1) : SLOTS_FIRST;
	struct templates bigger = {.mask = slots - 1, .seed = ts->seed};

	bigger.slots = calloc(slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; ts->slots && i <= ts->mask; i++)
		if (ts->slots[i].id)
			bigger.slots[slot_of(&bigger, ts->slots[i].id)] =
			    ts->slots[i];
	free(ts->slots);
	ts->slots = bigger.slots;
	ts->mask = bigger.mask;
	return 0;
}

/* Evicts the quarter that was not used for longest, so that a flood of
 * templates does not cost a search each. */
static void
evict(struct templates *ts, struct plans *plans, struct ledger *l)
{
	uint32_t oldest = 0;

	for (size_t i = 0; i <= ts->mask; i++)
		if (ts->slots[i].id && ts->clock - ts->slots[i].used > oldest)
			oldest = ts->clock - ts->slots[i].used;
	/* slots move as others are dropped: look at each until it stays */
	for (size_t i = 0; i <= ts->mask; i++)
		while (ts->slots[i].id &&
		       ts->clock - ts->slots[i].used >= oldest - oldest / 4) {
			slot_drop(ts, plans, i);
			l->n[LEDGER_TEMPLATES_EVICTED]++;
		}
}

/* Whether it is what there is already, as it mostly is. */
static bool
put_again(struct templates *ts, struct plans *plans, uint16_t id,
	  struct plan *plan)
{
	struct template *t = ts->n > 0 ? &ts->slots[slot_of(ts, id)] : NULL;

	if (!t || t->plan != plan)
		return false;
	t->used = ++ts->clock;
	plans_put(plans, plan);
	return true;
}

/* PLAN's reference becomes the table's. */
static int
put(struct templates *ts, struct plans *plans, uint16_t id, struct plan *plan,
    struct ledger *l)
{
	struct template *t;

	if (put_again(ts, plans, id, plan))
		return 0;
	drop(ts, plans, id);
	while (ts->n > 0 && (ts->n >= TEMPLATES_MAX ||
			     ts->bytes + plan->bytes > TEMPLATES_BYTES))
		evict(ts, plans, l);
	if ((!ts->slots || 2 * (ts->n + 1) > ts->mask + 1) &&
	    templates_grow(ts) != 0)
		return -1;
	t = &ts->slots[slot_of(ts, id)];
	*t = (struct template){.id = id,
			       .used = ++ts->clock,
			       .bytes = (uint32_t)plan->bytes,
			       .plan = plan,
			       .changed = true};
	ts->bytes += plan->bytes;
	ts->n++;
	ts->changed = true;
	return 0;
}

int
templates_restore(struct templates *ts, const struct templates_user *user,
		  uint16_t id, struct plan *plan)
{
	if (put(ts, user->plans, id, plan, user->ledger) == 0)
		return 0;
	plans_put(user->plans, plan);
	return -1;
}

void
templates_saved(struct templates *ts)
{
	for (size_t i = 0; ts->slots && i <= ts->mask; i++)
		ts->slots[i].changed = false;
	ts->changed = false;
}

/* Parsing. */

struct parser {
	struct templates *ts;
	struct plans *plans;
	struct ledger *ledger;
	const struct templates_user *user;
	uint32_t flags;
	struct reader r;
	bool invalid; /* a definition was */
	struct wire_field fields[PLAN_FIELDS_MAX];
};

static bool
is_options(const struct parser *p)
{
	return p->flags & PLAN_OPTIONS;
}

static bool
is_ipfix(const struct parser *p)
{
	return !(p->flags & PLAN_V9);
}

/* field = id length [ enterprise ] */
static struct wire_field
read_field(struct parser *p)
{
	struct wire_field f = {.id = reader_u16(&p->r)};

	f.length = reader_u16(&p->r);
	if (is_ipfix(p) && (f.id & ENTERPRISE_BIT)) {
		f.id &= (uint16_t)~ENTERPRISE_BIT;
		f.enterprise = reader_u32(&p->r);
	}
	return f;
}

/*
 * Reads N fields, of which the first SCOPES are scopes, and keeps those that
 * have a length.  Returns how many; *scopes becomes how many of these are
 * scopes.  0 if the definition is not valid.
 */
static size_t
read_fields(struct parser *p, size_t n, size_t *scopes)
{
	size_t kept = 0, kept_scopes = 0;

	for (size_t i = 0; i < n && !p->r.bad; i++) {
		struct wire_field f = read_field(p);

		if (f.length == 0)
			continue;
		kept_scopes += i < *scopes;
		if (kept < PLAN_FIELDS_MAX)
			p->fields[kept] = f;
		kept++;
	}
	if (p->r.bad || kept > PLAN_FIELDS_MAX || *scopes > n)
		return 0;
	*scopes = kept_scopes;
	return kept;
}

static int
no_memory(struct err *e)
{
	return err_set(e, "out of memory for a template");
}

/* Reads the N fields of template ID and puts it in the table. */
static int
define(struct parser *p, uint16_t id, size_t n, size_t scopes, struct err *e)
{
	struct plan *plan;

	n = read_fields(p, n, &scopes);
	if (n == 0 || id < ID_MIN) {
		drop(p->ts, p->plans, id);
		p->invalid = true;
		return 0;
	}
	plan = plans_get(p->plans, p->flags, p->fields, (uint16_t)n,
			 (uint16_t)scopes);
	if (!plan)
		return no_memory(e);
	if (put(p->ts, p->plans, id, plan, p->ledger) != 0) {
		plans_put(p->plans, plan);
		return no_memory(e);
	}
	p->ledger
	    ->n[is_options(p) ? LEDGER_TEMPLATES_OPTIONS : LEDGER_TEMPLATES]++;
	return p->user->defined(p->user->ctx, id, e);
}

/* Whether a definition is of options, in the table. */
static bool
of_options(const struct template *t)
{
	return t->id && (t->plan->flags & PLAN_OPTIONS);
}

/* RFC 7011, 8.1: the set's own id means all templates of its kind. */
static void
withdraw(struct parser *p, uint16_t id)
{
	uint16_t all = is_options(p) ? 3 : 2;
	unsigned kind = is_options(p) ? 2 : 1;
	struct templates *ts = p->ts;

	if ((id != all && id < ID_MIN) ||
	    (id == all && (*p->user->withdrew & kind))) {
		p->invalid = true;
		return;
	}
	p->ledger->n[LEDGER_TEMPLATES_WITHDRAWN]++;
	p->user->withdrawn(p->user->ctx, id == all ? 0 : id);
	if (id != all) {
		drop(ts, p->plans, id);
		return;
	}
	*p->user->withdrew |= kind;
	/* slots move as others are dropped: look at each until it stays */
	for (size_t i = 0; ts->slots && i <= ts->mask; i++)
		while (ts->slots[i].id &&
		       of_options(&ts->slots[i]) == is_options(p))
			slot_drop(ts, p->plans, i);
}

/* v9: id, bytes of scope fields, bytes of option fields. */
static int
take_v9_options(struct parser *p, uint16_t id, struct err *e)
{
	size_t scope = reader_u16(&p->r);
	size_t option = reader_u16(&p->r);

	if (p->r.bad || scope % 4 || option % 4) {
		reader_bytes(&p->r, scope + option);
		drop(p->ts, p->plans, id);
		p->invalid = true;
		return 0;
	}
	return define(p, id, (scope + option) / 4, scope / 4, e);
}

static int
take_one(struct parser *p, struct err *e)
{
	uint16_t id = reader_u16(&p->r);
	size_t n, scopes = 0;

	if (is_options(p) && !is_ipfix(p))
		return take_v9_options(p, id, e);
	n = reader_u16(&p->r);
	if (n == 0 && is_ipfix(p)) {
		withdraw(p, id);
		return 0;
	}
	if (is_options(p)) {
		scopes = reader_u16(&p->r);
		if (scopes == 0)
			scopes = n + 1; /* must not be: not valid */
	}
	return define(p, id, n, scopes, e);
}

/* Bytes up to the last that is not zero. */
static size_t
used_bytes(struct reader r)
{
	while (r.left > 0 && r.p[r.left - 1] == 0)
		r.left--;
	return r.left;
}

int
templates_take(struct templates *ts, const struct templates_user *user,
	       uint32_t flags, struct reader body, struct err *e)
{
	struct parser p = {.ts = ts,
			   .plans = user->plans,
			   .ledger = user->ledger,
			   .user = user,
			   .flags = flags,
			   .r = body};

	size_t zeros = body.left - used_bytes(body);

	/* fewer than 4 bytes are padding; so are zeros, since no id is 0 */
	while (p.r.left >= 4 && p.r.left > zeros)
		if (take_one(&p, e) != 0)
			return -1;
	return !p.invalid;
}
