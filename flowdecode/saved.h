/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of exporters as keys and values, for a state (see state.h).
 * Integers are big-endian; each value begins with a checksum of itself and
 * its key, so a reader takes in only what a writer wrote.
 *
 *	key of what is known:	exporter id
 *	exporter:		addr:16 version:2 port:2 source_id:4
 *	id:2			0: the exporter, 1: names, 2: its ledger,
 *				256..: a template
 *
 *	exporter:	settled:1 init_ms:8 (kind:1 id:8 since:8 rate:4)*
 *	names:		(kind:1 since:8 id_len:1 id len:1 text)*
 *	ledger:		next:4 known:1 gaps:1 (from:4 n:4)* seen:8 ahead:8
 *counts counts:		(len:1 name value:8)*, of those that are not 0
 *	template:	options:1 scopes:2 (enterprise:4 id:2 length:2)*
 *
 *	key of a set:	its number:8, as the machine has it
 *	a set:		exporter id:2 port:2 time:8 export:8 uptime:4 held:8
 *			binding_len:2 binding body
 *
 * Times are microseconds since 1970, init_ms milliseconds.
 */
#ifndef FLOWDECODE_SAVED_H
#define FLOWDECODE_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowdecode/exporter.h"
#include "flowdecode/plan.h"
#include "flowdecode/waiting.h"

enum {
	SAVED_EXPORTER_KEY = 24,
	SAVED_KEY = SAVED_EXPORTER_KEY + 2,
	/* ids that are no templates */
	SAVED_EXPORTER = 0,
	SAVED_NAMES = 1,
	SAVED_LEDGER = 2,
};

/* All that there is to keep, borrowed from the decoder. */
struct known {
	struct exporters *exporters;
	struct plans *plans;
	struct waiting *waiting;
	bool ledgers; /* keep them, too */
};

/* A value in the making.  Memory that is out makes it bad. */
struct saved {
	uint8_t *p;
	size_t len, cap;
	bool bad;
};

void saved_clear(struct saved *);

void saved_key(uint8_t out[SAVED_KEY], const struct exporter_key *,
	       uint16_t id);

/* Each begins the value anew. */
void saved_exporter(struct saved *, const struct exporter *);
void saved_names(struct saved *, const struct exporter *);
/* Sets that wait are left out of ledgers: they are saved themselves. */
void saved_ledger(struct saved *, const struct exporter *);
void saved_counts(struct saved *, const struct ledger *);
void saved_template(struct saved *, const struct plan *);
/* CLOCK_US is what to add to the set's held_ms to have the time since 1970. */
void saved_held(struct saved *, const struct held *, int64_t clock_us);
/* The value is whole: puts the checksum in. */
void saved_end(struct saved *, const void *key, size_t key_len);

/* These take in a value that saved_end made: 1 if they did, 0 if it is damaged,
 * -1 if memory is out. */
int saved_take_known(const struct known *, const void *key, size_t key_len,
		     const void *value, size_t len);
int saved_take_counts(struct ledger *, const void *key, size_t key_len,
		      const void *value, size_t len);
int saved_take_held(const struct known *, const void *key, size_t key_len,
		    const void *value, size_t len, int64_t clock_us);

#endif
