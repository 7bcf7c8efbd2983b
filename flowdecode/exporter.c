/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/exporter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "flowdecode/hash.h"

enum {
	/* steps of a sequence number beyond these are a restart */
	STEP_FORWARD = 1 << 24,
	STEP_BACK = 1 << 14,
	LATE_ROW = 3, /* so many in a row are one, too */
};

/* A list by last use. */
struct list {
	struct exporter *newest, *oldest;
	size_t n;
};

struct exporters {
	struct exporter **slots; /* open addressing, at most half full */
	size_t n, mask;
	uint64_t seed; /* so that nobody can make hashes collide */
	struct exporter *last;
	struct list trial, settled;
	struct plans *plans;
	struct waiting *waiting;
	size_t bytes;	    /* of all, without plans */
	struct ledger gone; /* of evicted ones */
	uint64_t evicted;
	struct exporter_key *gone_keys;
	size_t gone_n;
	bool gone_lost; /* there were more */
};

struct exporters *
exporters_new(struct plans *plans, struct waiting *waiting)
{
	struct exporters *es = calloc(1, sizeof(*es));

	if (!es)
		return NULL;
	es->plans = plans;
	es->waiting = waiting;
	es->mask = SLOTS_FIRST - 1;
	es->slots = calloc(SLOTS_FIRST, sizeof(*es->slots));
	if (!es->slots ||
	    getrandom(&es->seed, sizeof(es->seed), 0) != sizeof(es->seed)) {
		free(es->slots);
		free(es);
		return NULL;
	}
	return es;
}

static void
exporter_free(struct exporters *es, struct exporter *x)
{
	templates_clear(&x->templates, es->plans);
	sampling_clear(&x->sampling);
	labels_clear(&x->labels);
	free(x);
}

void
exporters_free(struct exporters *es)
{
	if (!es)
		return;
	for (size_t i = 0; i <= es->mask; i++)
		if (es->slots[i])
			exporter_free(es, es->slots[i]);
	free(es->gone_keys);
	free(es->slots);
	free(es);
}

static uint64_t
hash_of(const struct exporters *es, const struct exporter_key *k)
{
	uint64_t w[3];

	memcpy(w, k, sizeof(w));
	return hash_mix(hash_mix(hash_mix(es->seed, w[0]), w[1] ^ es->seed),
			w[2]);
}

static size_t
slot_of(const struct exporters *es, uint64_t hash, const struct exporter_key *k)
{
	size_t at = hash & es->mask;

	while (es->slots[at] &&
	       (es->slots[at]->hash != hash ||
		memcmp(&es->slots[at]->key, k, sizeof(*k)) != 0))
		at = (at + 1) & es->mask;
	return at;
}

static void
list_drop(struct list *l, struct exporter *x)
{
	if (x->newer)
		x->newer->older = x->older;
	else
		l->newest = x->older;
	if (x->older)
		x->older->newer = x->newer;
	else
		l->oldest = x->newer;
	l->n--;
}

static void
list_add(struct list *l, struct exporter *x)
{
	x->newer = NULL;
	x->older = l->newest;
	if (l->newest)
		l->newest->newer = x;
	else
		l->oldest = x;
	l->newest = x;
	l->n++;
}

static int
grow(struct exporters *es)
{
	size_t slots = 2 * (es->mask + 1);
	struct exporter **old = es->slots;
	size_t old_mask = es->mask;

	es->slots = calloc(slots, sizeof(*es->slots));
	if (!es->slots) {
		es->slots = old;
		return -1;
	}
	es->mask = slots - 1;
	for (size_t i = 0; i <= old_mask; i++)
		if (old[i])
			es->slots[slot_of(es, old[i]->hash, &old[i]->key)] =
			    old[i];
	free(old);
	return 0;
}

/* Takes a slot out and moves up those behind it that belong before it. */
static void
slot_drop(struct exporters *es, size_t at)
{
	size_t next = at;

	for (;;) {
		next = (next + 1) & es->mask;
		if (!es->slots[next])
			break;
		if (((next - es->slots[next]->hash) & es->mask) <
		    ((next - at) & es->mask))
			continue;
		es->slots[at] = es->slots[next];
		at = next;
	}
	es->slots[at] = NULL;
	es->n--;
}

static void
journal(struct exporters *es, const struct exporter_key *k)
{
	if (!es->gone_keys || es->gone_lost)
		return;
	if (es->gone_n == GONE_MAX)
		es->gone_lost = true;
	else
		es->gone_keys[es->gone_n++] = *k;
}

int
exporters_journal(struct exporters *es, const struct exporter_key **keys,
		  size_t *n)
{
	if (!es->gone_keys)
		es->gone_keys = calloc(GONE_MAX, sizeof(*es->gone_keys));
	*keys = es->gone_keys;
	*n = es->gone_n;
	return es->gone_keys && !es->gone_lost ? 0 : -1;
}

void
exporters_journal_done(struct exporters *es)
{
	es->gone_n = 0;
	es->gone_lost = false;
}

static void
evict(struct exporters *es, struct exporter *x)
{
	list_drop(x->settled ? &es->settled : &es->trial, x);
	slot_drop(es, slot_of(es, x->hash, &x->key));
	waiting_clear(es->waiting, &x->waiter);
	ledger_add(&es->gone, &x->ledger);
	es->evicted++;
	journal(es, &x->key);
	es->bytes -= x->bytes;
	if (es->last == x)
		es->last = NULL;
	exporter_free(es, x);
}

/* The one to go next, but not SPARE. */
static struct exporter *
idlest(const struct exporters *es, const struct exporter *spare)
{
	struct exporter *x = es->trial.oldest;

	if (x && x == spare)
		x = x->newer;
	if (x)
		return x;
	x = es->settled.oldest;
	return x && x == spare ? x->newer : x;
}

void
exporters_trim(struct exporters *es, struct exporter *spare)
{
	struct exporter *x;

	es->bytes -= spare->bytes;
	spare->bytes = templates_memory(&spare->templates) +
		       sampling_memory(&spare->sampling) + spare->labels.bytes;
	es->bytes += spare->bytes;
	while (plans_bytes(es->plans) + es->bytes > EXPORTERS_BYTES &&
	       (x = idlest(es, spare)))
		evict(es, x);
}

void
exporters_settle(struct exporters *es, struct exporter *x)
{
	struct exporter *oldest = es->settled.oldest;

	if (x->settled)
		return;
	list_drop(&es->trial, x);
	if (es->settled.n >= EXPORTERS_SETTLED) {
		list_drop(&es->settled, oldest);
		oldest->settled = false;
		oldest->changed = true;
		waiting_settle(es->waiting, &oldest->waiter, false);
		list_add(&es->trial, oldest);
	}
	x->settled = true;
	x->changed = true;
	waiting_settle(es->waiting, &x->waiter, true);
	list_add(&es->settled, x);
}

/* To the front; and past its trial when it has sent enough. */
static void
touch(struct exporters *es, struct exporter *x)
{
	struct list *l = x->settled ? &es->settled : &es->trial;

	if (!x->settled && x->ledger.n[LEDGER_DATAGRAMS] >= TRIAL_DATAGRAMS) {
		exporters_settle(es, x);
		return;
	}
	list_drop(l, x);
	list_add(l, x);
}

static struct exporter *
make(struct exporters *es, const struct exporter_key *k, uint64_t hash)
{
	struct exporter *x;

	if (es->n >= EXPORTERS_MAX)
		evict(es, idlest(es, NULL));
	if (2 * (es->n + 1) > es->mask + 1 && grow(es) != 0)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->key = *k;
	x->waiter.ledger = &x->ledger;
	x->hash = hash;
	x->templates.seed = hash;
	x->labels.seed = hash;
	x->sampling.samplers.seed = x->sampling.interfaces.seed = hash;
	es->slots[slot_of(es, hash, k)] = x;
	es->n++;
	list_add(&es->trial, x);
	return x;
}

struct exporter *
exporters_get(struct exporters *es, const struct exporter_key *k)
{
	struct exporter *x = es->last;
	uint64_t hash;

	if (x && memcmp(&x->key, k, sizeof(*k)) == 0)
		return x;
	/* it may have sent enough in one go */
	if (x && !x->settled)
		touch(es, x);
	hash = hash_of(es, k);
	x = es->slots[slot_of(es, hash, k)];
	if (!x)
		x = make(es, k, hash);
	else
		touch(es, x);
	es->last = x;
	return x;
}

void
exporters_total(const struct exporters *es, struct ledger *l)
{
	*l = es->gone;
	for (size_t i = 0; i <= es->mask; i++)
		if (es->slots[i])
			ledger_add(l, &es->slots[i]->ledger);
}

void
exporters_add(struct exporters *es, const struct ledger *l)
{
	ledger_add(&es->gone, l);
}

size_t
exporters_count(const struct exporters *es)
{
	return es->n;
}

uint64_t
exporters_evicted(const struct exporters *es)
{
	return es->evicted;
}

struct exporter *
exporters_next(const struct exporters *es, struct exporter *x)
{
	if (x && x->older)
		return x->older;
	if (!x && es->settled.newest)
		return es->settled.newest;
	return !x || x->settled ? es->trial.newest : NULL;
}

void
exporters_each(const struct exporters *es,
	       void (*f)(void *ctx, const struct exporter *), void *ctx)
{
	for (const struct exporter *x = es->settled.newest; x; x = x->older)
		f(ctx, x);
	for (const struct exporter *x = es->trial.newest; x; x = x->older)
		f(ctx, x);
}

/* Of the gaps N units from FROM on. */
static void
gap_add(struct sequence *s, uint32_t from, uint32_t n)
{
	s->gaps[s->gap] = (struct gap){from, n};
	s->gap = (uint8_t)((s->gap + 1) % SEQUENCE_GAPS);
}

/* Late ones are missing no more.  False if they were not. */
static bool
gap_fill(struct exporter *x, uint32_t number, uint32_t units)
{
	struct sequence *s = &x->sequence;

	for (int i = 0; i < SEQUENCE_GAPS; i++) {
		struct gap *g = &s->gaps[i];
		uint32_t before = number - g->from, rest = g->n - before;

		if (before >= g->n)
			continue;
		if (units > rest)
			units = rest;
		g->n = before;
		if (rest > units)
			gap_add(s, number + units, rest - units);
		x->ledger.n[LEDGER_MISSING] -= units;
		x->ledger.n[LEDGER_REORDERED]++;
		s->late_n = 0;
		return true;
	}
	return false;
}

/* One that was here already; but some in a row that follow each other are a
 * new count. */
static void
sequence_back(struct exporter *x, uint32_t number, uint32_t units, int32_t step)
{
	struct sequence *s = &x->sequence;

	if (s->late_n > 0 && number != s->late)
		s->late_n = 0;
	s->late_n++;
	if (step < -STEP_BACK || s->late_n == LATE_ROW) {
		x->ledger.n[LEDGER_RESTARTS]++;
		*s = (struct sequence){.next = number + units, .known = true};
		return;
	}
	x->ledger.n[LEDGER_REORDERED]++;
	s->late = number + units;
}

void
exporter_sequence(struct exporter *x, uint32_t number, uint32_t units)
{
	struct sequence *s = &x->sequence;
	int32_t step = (int32_t)(number - s->next);

	if (gap_fill(x, number, units))
		return;
	if (s->known && step < 0) {
		sequence_back(x, number, units, step);
		return;
	}
	if (s->known && step > STEP_FORWARD) {
		x->ledger.n[LEDGER_RESTARTS]++;
		*s = (struct sequence){0};
	} else if (s->known && step > 0) {
		x->ledger.n[LEDGER_GAPS]++;
		x->ledger.n[LEDGER_MISSING] += (uint32_t)step;
		gap_add(s, s->next, (uint32_t)step);
	}
	s->next = number + units;
	s->known = true;
	s->late_n = 0;
}
