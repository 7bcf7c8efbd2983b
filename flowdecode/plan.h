/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans: what to do with the records of a template.
 *
 * A plan is made once per definition, however many exporters use it, and is
 * counted by its users.  For data it is a list of copies from fields to
 * columns, worked out at the first record; for options a list of the fields
 * that mean something to us.  v1, v5 and v7 are plans of fixed definition.
 *
 * Names (RFC 7012 and the old platform's, see common/element.h):
 *  - an element twice: NAME, then NAME_2 ...
 *  - src_addr, dst_addr and next_hop of IPv4 and of IPv6 in one template:
 *    NAME by choice of record, and NAME_v4, NAME_v6
 *  - an unknown element, or one of a length that its type cannot have:
 *    eENTERPRISE_ID, as bytes
 *  - start_time and end_time are those of the finest absolute element, else
 *    worked out from uptime, deltas and durations
 */
#ifndef FLOWDECODE_PLAN_H
#define FLOWDECODE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "flowdecode/bounds.h"
#include "flowdecode/columns.h"
#include "flowdecode/pile.h"
#include "flowdecode/reader.h"

enum {
	FIELD_VARIABLE = 65535,		      /* length */
	PLAN_CELLS = 65536 + PLAN_FIELDS_MAX, /* of all records of a set,
						     and of one that is cut */
};

/* What a plan is for, besides its fields. */
enum {
	PLAN_V9 = 1,	  /* v9's names, and an uptime in the header */
	PLAN_OPTIONS = 2, /* options data: no records are made of it */
	PLAN_V6 = 4,	  /* the exporter's address is IPv6 */
	/* what is known of the exporter by and by, and asks for columns */
	PLAN_UPTIME = 8,      /* IPFIX: when the uptime began */
	PLAN_INTERFACES = 16, /* names of interfaces ... */
	PLAN_APPLICATIONS = 32,
	PLAN_VRFS = 64,
	PLAN_LEARNED = 8 | 16 | 32 | 64,
};

/* What numbers have names; PLAN_INTERFACES << kind is the flag. */
enum label_kind { LABEL_INTERFACE, LABEL_APPLICATION, LABEL_VRF, LABEL_KINDS };

struct wire_field {
	uint32_t enterprise;
	uint16_t id;
	uint16_t length;
};

/*
 * A record is cut into segments: each field of variable length is one, and so
 * is each row of others between them.  A cell says where a segment lies, from
 * the start of the set; a place, where a field lies in its segment.
 */
struct cell {
	uint32_t off;
	uint32_t len;
};

struct segment {
	uint32_t len; /* 0: variable */
};

struct place {
	uint32_t off;
	uint16_t segment;
	uint16_t len; /* FIELD_VARIABLE: as long as the segment */
};

struct op {
	uint8_t kind;  /* enum copy_kind */
	uint8_t width; /* of a value of the column */
	uint16_t column;
	uint16_t field; /* source */
	uint16_t aux;	/* a second field, a column, or an enum label_kind */
};

/* The field of a plan that has a meaning for sampling and times, or none. */
enum { NO_FIELD = 65535 };

/* When a set came; whether it had to wait, so that it may be older than what is
 * known. */
struct when {
	int64_t us;
	bool late;
};

/* Options: the fields that give a number its name, or none. */
struct naming {
	uint16_t id, name;
	uint16_t description; /* instead of a name that is empty */
};

struct plan {
	/* the definition */
	uint64_t hash;
	uint32_t flags;
	uint16_t n;
	uint16_t scopes; /* the first of the fields, in options */
	struct wire_field *fields;
	/* of a record: its length, or the least it can have */
	uint32_t length;
	bool variable;
	uint32_t useful; /* of PLAN_LEARNED, what would add columns */
	uint16_t segments_n;
	struct segment *segments;
	struct place *places; /* of the fields */
	/* data: made at the first record */
	uint64_t made; /* the generation of its pile, 0 before */
	bool refused;  /* no shape could be had */
	struct pile *pile;
	struct op *ops;
	size_t ops_n;
	size_t ops_text; /* ops [ops_text, ops_n) are of strings and bytes */
	/* fields by meaning, of 8 bytes at most, or NO_FIELD */
	uint16_t sampler, input, interval, space, size, population, init;
	struct naming namings[LABEL_KINDS];
	size_t refs;
	size_t bytes; /* of memory */
};

struct plans;

struct plans *plans_new(void);
void plans_free(struct plans *);
/* Bytes that plans hold. */
size_t plans_bytes(const struct plans *);

/*
 * The plan of a definition, with a reference for the caller.  NULL when memory
 * is out.  N is 1 to PLAN_FIELDS_MAX, and no length is 0.  Flags of
 * PLAN_LEARNED that are of no use to it do not count.
 */
struct plan *plans_get(struct plans *, uint32_t flags,
		       const struct wire_field *, uint16_t n, uint16_t scopes);
void plans_put(struct plans *, struct plan *);

/* Works out the copies. -1 only when memory is out. */
int plan_make(struct plans *, struct plan *, struct piles *, struct err *);

/*
 * Reads one record from R and says where its segments lie from BASE on.  False
 * if the record is not all there: R is bad.
 */
bool plan_walk(const struct plan *, struct reader *r, const uint8_t *base,
	       struct cell *cells);

/* An integer field of at most 8 bytes of the record whose segments lie at CELLS
 * from BASE on; or of the one at BASE, if the plan's records are of one length
 * and CELLS is NULL.  0 if FIELD is NO_FIELD. */
uint64_t plan_uint(const struct plan *, const uint8_t *base,
		   const struct cell *cells, uint16_t field);
/* Any field of such a record; NULL and 0 if FIELD is NO_FIELD. */
const uint8_t *plan_bytes(const struct plan *, const uint8_t *base,
			  const struct cell *cells, uint16_t field,
			  size_t *len);

#endif
