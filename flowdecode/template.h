/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The templates of one exporter (RFC 3954, 5.2 and 6.1; RFC 7011, 3.4), by
 * id.  Data and options templates share their numbers.  A definition that is
 * not valid takes the old one of its id away, for what comes is no longer
 * that.
 */
#ifndef FLOWDECODE_TEMPLATE_H
#define FLOWDECODE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowdecode/bounds.h"
#include "flowdecode/ledger.h"
#include "flowdecode/plan.h"
#include "flowdecode/reader.h"

struct template
{
	uint16_t id;	/* 0: free; real ones are 256 and above */
	uint32_t used;	/* for eviction: the larger, the later */
	uint32_t bytes; /* of the plan when it was put here */
	bool changed;	/* since a state was saved */
	struct plan *plan;
};

/* Open addressing, at most half full. */
struct templates {
	struct template *slots;
	size_t n, mask;
	size_t bytes;
	uint64_t seed; /* of its hashes */
	uint32_t clock;
	bool changed; /* one is, or is gone */
};

void templates_clear(struct templates *, struct plans *);
/* Bytes that they take, without their plans. */
size_t templates_memory(const struct templates *);

/* What there is under an id, or NULL: it does not count as used. */
const struct template *templates_at(const struct templates *, uint16_t id);

/* The plan of a template; NULL if it is not known. */
struct plan *templates_find(struct templates *, uint16_t id);

/* The same template with other flags of its plan. NULL when memory is out. */
struct plan *templates_reflag(struct templates *, struct plans *, uint16_t id,
			      uint32_t flags);

/* What there is to do when definitions come. */
struct templates_user {
	struct plans *plans;
	struct ledger *ledger;
	unsigned *withdrew; /* by this datagram: see templates_take */
	void *ctx;
	int (*defined)(void *ctx, uint16_t id, struct err *);
	void (*withdrawn)(void *ctx, uint16_t id); /* 0: all of a kind */
};

/*
 * Takes in the body of a set of templates, and counts them in the ledger.
 * FLAGS are those of plans (see plan.h), and say how the set is written: in
 * v9's form or in that of IPFIX, templates or options templates.  1: all were
 * valid; 0: not all; -1: memory is out.
 *
 * All templates of a kind are looked at to withdraw them, so a datagram does it
 * once: a second time is not valid.  *user->withdrew is 0 at its beginning.
 */
int templates_take(struct templates *, const struct templates_user *,
		   uint32_t flags, struct reader body, struct err *);

/* Puts in a definition from a state: -1 if memory is out. */
int templates_restore(struct templates *, const struct templates_user *,
		      uint16_t id, struct plan *);
/* All is saved. */
void templates_saved(struct templates *);

#endif
