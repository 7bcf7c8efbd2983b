/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/sampling.h"

#include <stdlib.h>

#include "flowdecode/hash.h"

void
sampling_clear(struct sampling *s)
{
	free(s->samplers.slots);
	free(s->interfaces.slots);
	*s = (struct sampling){0};
}

static size_t
rates_memory(const struct rates *r)
{
	return r->slots ? (r->mask + 1) * sizeof(*r->slots) : 0;
}

size_t
sampling_memory(const struct sampling *s)
{
	return rates_memory(&s->samplers) + rates_memory(&s->interfaces);
}

static size_t
slot_of(const struct rates *r, uint64_t id)
{
	size_t at = hash_mix(r->seed, id) & r->mask;

	while (r->slots[at].rate && r->slots[at].id != id)
		at = (at + 1) & r->mask;
	return at;
}

static uint32_t
rate_at(const struct rate *r, struct when when)
{
	return when.late && r->since_us > when.us ? 0 : r->rate;
}

static uint32_t
rates_find(const struct rates *r, uint64_t id, struct when when)
{
	return r->n ? rate_at(&r->slots[slot_of(r, id)], when) : 0;
}

/* Whether something changed. */
static bool
announce(struct rate *r, uint32_t rate, struct when when)
{
	struct rate old = *r;
	bool older = r->rate && when.late && when.us < r->since_us;

	if (rate == r->rate ? older : !older)
		r->since_us = when.us;
	if (!older)
		r->rate = rate;
	return r->rate != old.rate || r->since_us != old.since_us;
}

static int
rates_grow(struct rates *r)
{
	size_t slots = r->slots ? 2 * (r->mask + 1) : SLOTS_FIRST;
	struct rates bigger = {.n = r->n, .mask = slots - 1, .seed = r->seed};

	bigger.slots = calloc(slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; r->slots && i <= r->mask; i++)
		if (r->slots[i].rate)
			bigger.slots[slot_of(&bigger, r->slots[i].id)] =
			    r->slots[i];
	free(r->slots);
	*r = bigger;
	return 0;
}

static bool
rates_set(struct rates *r, uint64_t id, uint32_t rate, struct when when)
{
	struct rate *at;

	if ((!r->slots || 2 * (r->n + 1) > r->mask + 1) && rates_grow(r) != 0)
		return false;
	at = &r->slots[slot_of(r, id)];
	if (!at->rate && r->n == RATES_MAX)
		return false;
	r->n += !at->rate;
	at->id = id;
	return announce(at, rate, when);
}

void
sampling_set(struct sampling *s, enum rate_kind kind, uint64_t id,
	     uint32_t rate, struct when when)
{
	if (kind == RATE_OF_ALL)
		s->changed |= announce(&s->all, rate, when);
	else
		s->changed |= rates_set(
		    kind == RATE_OF_SAMPLER ? &s->samplers : &s->interfaces, id,
		    rate, when);
}

/* One in how many packets, as the fields of a record say; 0: not at all. */
static uint32_t
rate_of(const struct plan *p, const uint8_t *base, const struct cell *cells)
{
	uint64_t interval = plan_uint(p, base, cells, p->interval);
	uint64_t space = plan_uint(p, base, cells, p->space);
	uint64_t size = plan_uint(p, base, cells, p->size);
	uint64_t population = plan_uint(p, base, cells, p->population);
	uint64_t rate = 0;

	if (p->space != NO_FIELD && interval > 0 && space <= UINT32_MAX &&
	    interval <= UINT32_MAX)
		rate = (interval + space) / interval;
	else if (interval > 0)
		rate = interval;
	else if (size > 0)
		rate = population / size;
	return rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

void
sampling_learn(struct sampling *s, const struct plan *p, const uint8_t *base,
	       const struct cell *cells, struct when when)
{
	uint32_t rate = rate_of(p, base, cells);

	if (rate == 0)
		return;
	if (p->sampler != NO_FIELD)
		sampling_set(s, RATE_OF_SAMPLER,
			     plan_uint(p, base, cells, p->sampler), rate, when);
	else if (p->input != NO_FIELD)
		sampling_set(s, RATE_OF_INTERFACE,
			     plan_uint(p, base, cells, p->input), rate, when);
	else
		sampling_set(s, RATE_OF_ALL, 0, rate, when);
}

bool
sampling_varies(const struct sampling *s, const struct plan *p)
{
	return p->interval != NO_FIELD || p->size != NO_FIELD ||
	       (p->sampler != NO_FIELD && s->samplers.n > 0) ||
	       (p->input != NO_FIELD && s->interfaces.n > 0);
}

/* What holds for records that name no sampler: the rate for all or, if there
 * is one sampler only, its rate. */
static uint32_t
rate_for_all(const struct sampling *s, const struct plan *p, struct when when)
{
	if (s->all.rate || p->sampler != NO_FIELD || s->samplers.n != 1)
		return rate_at(&s->all, when);
	for (size_t i = 0; i <= s->samplers.mask; i++)
		if (s->samplers.slots[i].rate)
			return rate_at(&s->samplers.slots[i], when);
	return 0;
}

uint32_t
sampling_rate(const struct sampling *s, const struct plan *p,
	      const uint8_t *base, const struct cell *cells, struct when when)
{
	uint32_t rate = 0;

	if (base)
		rate = rate_of(p, base, cells);
	if (!rate && base && p->sampler != NO_FIELD)
		rate = rates_find(&s->samplers,
				  plan_uint(p, base, cells, p->sampler), when);
	if (!rate && base && p->input != NO_FIELD)
		rate = rates_find(&s->interfaces,
				  plan_uint(p, base, cells, p->input), when);
	return rate ? rate : rate_for_all(s, p, when);
}
