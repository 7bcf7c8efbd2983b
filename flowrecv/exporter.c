/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/exporter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "flowrecv/binding.h"

enum {
	WAYS = 16, /* places that one may lie in, side by side */
	SETS = EXPORTERS_MAX / WAYS,
};

#define IDLE_US (INT64_C(600) * 1000000)

int
exporters_init(struct exporters *es, struct err *e)
{
	*es = (struct exporters){0};
	es->all = calloc(EXPORTERS_MAX, sizeof(*es->all));
	es->hashes = calloc(EXPORTERS_MAX, sizeof(*es->hashes));
	if (!es->all || !es->hashes)
		return err_set(e, "no memory for the exporters");
	if (getrandom(&es->seed, sizeof(es->seed), 0) != sizeof(es->seed))
		return err_sys(e, "no random number");
	return 0;
}

void
exporters_clear(struct exporters *es)
{
	free(es->all);
	free(es->hashes);
	*es = (struct exporters){0};
}

static uint64_t
mix(uint64_t h, uint64_t v)
{
	__uint128_t m = (__uint128_t)(h ^ v) * 0x9e3779b97f4a7c15;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t
hash_of(const struct exporters *es, const struct binding *b,
	const uint8_t addr[16])
{
	uint64_t w[2], h;

	memcpy(w, addr, sizeof(w));
	h = mix(mix(es->seed, w[0]), w[1] ^ es->seed);
	h = mix(h, (uintptr_t)b);
	return h ? h : 1;
}

static bool
is(const struct exporter *x, const struct binding *b, const uint8_t addr[16])
{
	return x->binding == b && memcmp(x->addr, addr, sizeof(x->addr)) == 0;
}

/* Whether A is to go rather than B. */
static bool
goes_first(const struct exporter *a, const struct exporter *b, int64_t now)
{
	bool idle_a = now - a->seen_us > IDLE_US;
	bool idle_b = now - b->seen_us > IDLE_US;

	if (idle_a != idle_b)
		return idle_a;
	return a->tally.received < b->tally.received;
}

/* A place for another one; it may be taken. */
static struct exporter *
place(struct exporters *es, size_t set, int64_t now)
{
	struct exporter *x, *best = NULL;

	for (size_t i = set; i < set + WAYS; i++) {
		x = &es->all[i];
		if (!x->binding)
			return x;
		if (x->tally.queued == 0 && (!best || goes_first(x, best, now)))
			best = x;
	}
	return best;
}

static void
leave(struct exporters *es, struct exporter *x)
{
	x->binding = NULL;
	es->hashes[x - es->all] = 0;
	es->n--;
	if (es->last == x)
		es->last = NULL;
}

static struct exporter *
enter(struct exporters *es, struct binding *b, const struct datagram *d,
      uint64_t hash)
{
	size_t set = hash % SETS * WAYS;
	struct exporter *x = place(es, set, d->time_us);

	if (!x)
		return NULL;
	if (x->binding) {
		leave(es, x);
		es->evicted++;
	}
	*x = (struct exporter){
	    .tally = {.of = &b->tally}, .binding = b, .fresh = true};
	memcpy(x->addr, d->addr, sizeof(x->addr));
	es->hashes[x - es->all] = hash;
	es->n++;
	return x;
}

struct exporter *
exporters_get(struct exporters *es, struct binding *b, const struct datagram *d)
{
	struct exporter *x = es->last;
	uint64_t hash;
	size_t i, set;

	if (!x || !is(x, b, d->addr)) {
		hash = hash_of(es, b, d->addr);
		set = hash % SETS * WAYS;
		for (i = set; i < set + WAYS; i++)
			if (es->hashes[i] == hash &&
			    is(&es->all[i], b, d->addr))
				break;
		x = i < set + WAYS ? &es->all[i] : enter(es, b, d, hash);
		es->last = x;
	}
	if (x)
		x->seen_us = d->time_us;
	return x;
}

void
exporters_forget(struct exporters *es, const struct binding *b)
{
	for (size_t i = 0; i < EXPORTERS_MAX; i++)
		if (es->all[i].binding == b)
			leave(es, &es->all[i]);
}
