/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What bounds the memory that senders of datagrams can take, in one place.
 *
 * A fuzzer's build has bounds so small that it meets them; all else of the
 * program is the same.
 */
#ifndef FLOWDECODE_BOUNDS_H
#define FLOWDECODE_BOUNDS_H

#include "common/batch.h"

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION

enum {
	/* see exporter.h */
	EXPORTERS_MAX = 65536,
	EXPORTERS_SETTLED = 49152,   /* of these, not on trial */
	EXPORTERS_BYTES = 256 << 20, /* of what all of them announced */
	TRIAL_DATAGRAMS = 16,
	GONE_MAX = 65536, /* evictions that are remembered for a state */
	/* of one exporter */
	TEMPLATES_MAX = 4096,
	TEMPLATES_BYTES = 8 << 20, /* of their plans */
	RATES_MAX = 4096,	   /* of samplers, and of interfaces */
	LABELS_MAX = 65536,
	LABELS_BYTES = 8 << 20,
	/* of one template */
	PLAN_FIELDS_MAX = 1000,
	/* records on their way out, see pile.h */
	PILE_ROWS = 4096,
	PILE_BYTES = 4 << 20,	/* of one batch */
	PILES_OPEN = 256,	/* batches with memory */
	PILES_BYTES = 96 << 20, /* of all batches */
	PILE_SHAPES = SHAPES_MAX,
	PILE_SHAPES_BYTES = SHAPES_BYTES,
	/* hash tables begin with so many slots, and double */
	SLOTS_FIRST = 8,
};

#else

enum {
	EXPORTERS_MAX = 8,
	EXPORTERS_SETTLED = 3,
	EXPORTERS_BYTES = 24 << 10,
	TRIAL_DATAGRAMS = 2,
	GONE_MAX = 4,
	TEMPLATES_MAX = 6,
	TEMPLATES_BYTES = 8 << 10,
	RATES_MAX = 4,
	LABELS_MAX = 10,
	LABELS_BYTES = 2 << 10,
	PLAN_FIELDS_MAX = 100,
	PILE_ROWS = 32,
	PILE_BYTES = 8 << 10,
	PILES_OPEN = 4,
	PILES_BYTES = 32 << 10,
	PILE_SHAPES = 8,
	PILE_SHAPES_BYTES = 4 << 10,
	SLOTS_FIRST = 2,
};

#endif

#endif
