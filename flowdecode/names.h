/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the fields of a template to named, typed columns: the rules at the head
 * of plan.h.
 */
#ifndef FLOWDECODE_NAMES_H
#define FLOWDECODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "flowdecode/columns.h"
#include "flowdecode/plan.h"

enum {
	/* three choices of address, two times and five labels may be added */
	NAMES_MAX = PLAN_FIELDS_MAX + 10,
	NAMES_SLOTS = 2048,
};

struct named {
	char name[FIELD_NAME_MAX];
	enum col_type type;
	enum copy_kind kind;
	uint16_t field;
	uint16_t aux; /* a field; for COPY_LATER_MS to COPY_SOONER_US the index
			 of a struct named */
	uint16_t again; /* how often the name was wanted */
};

struct names {
	struct named columns[NAMES_MAX];
	size_t n;
	uint16_t slots[NAMES_SLOTS]; /* index + 1, by hash of the name */
};

/* FLAGS are the plan's. */
void names_make(struct names *, uint32_t flags, const struct wire_field *,
		uint16_t n);

#endif
