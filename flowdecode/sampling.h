/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sampling rates that an exporter announced: for all, by sampler, by
 * interface.  Announcing again replaces.  A rate holds for what came from its
 * announcement on, which matters for sets that had to wait.  Bounded: past the
 * bound new ids are not kept.
 */
#ifndef FLOWDECODE_SAMPLING_H
#define FLOWDECODE_SAMPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowdecode/bounds.h"
#include "flowdecode/plan.h"

struct rate {
	uint64_t id;
	int64_t since_us;
	uint32_t rate; /* 0: no entry */
};

/* By id: open addressing, at most half full. */
struct rates {
	struct rate *slots;
	size_t n, mask;
	uint64_t seed; /* so that nobody can make hashes collide */
};

struct sampling {
	struct rate all;
	struct rates samplers, interfaces;
	bool changed; /* since a state was saved */
};

void sampling_clear(struct sampling *);
/* Bytes that it takes. */
size_t sampling_memory(const struct sampling *);

enum rate_kind { RATE_OF_ALL, RATE_OF_SAMPLER, RATE_OF_INTERFACE };

/* An announcement. */
void sampling_set(struct sampling *, enum rate_kind, uint64_t id, uint32_t rate,
		  struct when);

/* An options record of PLAN; BASE and CELLS as for plan_uint. */
void sampling_learn(struct sampling *, const struct plan *, const uint8_t *base,
		    const struct cell *cells, struct when);

/* Whether records of PLAN may differ in their rate. */
bool sampling_varies(const struct sampling *, const struct plan *);

/* The rate of a data record, 0 if none is known; BASE may be NULL if rates do
 * not vary. */
uint32_t sampling_rate(const struct sampling *, const struct plan *,
		       const uint8_t *base, const struct cell *cells,
		       struct when);

#endif
