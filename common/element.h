/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Information elements (RFC 7012) and NetFlow v9 field types (RFC 3954, 8):
 * numbers, names and types, from one generated table.
 *
 * Each element has a canonical field name, which is what every tool shows: the
 * old platform's where there is one (src_addr, octet_count ...), else the
 * registry's name in snake case with source, destination and the address
 * family folded (post_nat_src_addr).  IANA's and Cisco's names are aliases,
 * accepted wherever a field is named, in any case.
 */
#ifndef COMMON_ELEMENT_H
#define COMMON_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum element_type {
	ELEMENT_UNSIGNED,
	ELEMENT_SIGNED,
	ELEMENT_FLOAT,
	ELEMENT_BOOLEAN,
	ELEMENT_IPV4,
	ELEMENT_IPV6,
	ELEMENT_MAC,
	ELEMENT_STRING,
	ELEMENT_BYTES,	 /* octetArray, and structured data kept as bytes */
	ELEMENT_SECONDS, /* dateTimeSeconds ... : absolute times */
	ELEMENT_MILLISECONDS,
	ELEMENT_MICROSECONDS, /* NTP format, RFC 7011 6.1.9 */
	ELEMENT_NANOSECONDS,
};

struct element {
	uint32_t enterprise; /* 0: IANA */
	uint16_t id;
	enum element_type type;
	const char *name;     /* canonical */
	const char *registry; /* octetDeltaCount */
};

/* V9: look among the v9 field types first. NULL if unknown. */
const struct element *element_find(bool v9, uint32_t enterprise, uint16_t id);

/*
 * The canonical name for what a person typed: an alias in any case gives its
 * canonical name, anything else is returned as it is.  Static or the argument
 * itself.
 */
const char *element_canonical(const char *name);

/*
 * What kind of value the field of a canonical name or an alias holds, an enum
 * element_type, or -1 for a name that is none.  Elements that share a name
 * hold the same kind: any address, any time.
 */
int element_type_of(const char *name);

#endif
