/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/names.h"

#include <stdio.h>
#include <string.h>

#include "common/element.h"

/* Elements that the rules name. */
enum {
	LAST = 21,
	FIRST = 22,
	START_S = 150,
	END_S = 151,
	START_MS = 152,
	END_MS = 153,
	START_US = 154,
	END_US = 155,
	START_NS = 156,
	END_NS = 157,
	START_DELTA = 158,
	END_DELTA = 159,
	INIT_MS = 160,
	DURATION_MS = 161,
	DURATION_US = 162,
	PADDING = 210,
};

static const struct twin {
	const char *name, *v4_name, *v6_name;
	uint16_t v4, v6; /* elements */
} twins[] = {
    {"src_addr", "src_addr_v4", "src_addr_v6", 8, 27},
    {"dst_addr", "dst_addr_v4", "dst_addr_v6", 12, 28},
    {"next_hop", "next_hop_v4", "next_hop_v6", 15, 62},
};

struct form {
	enum copy_kind kind;
	enum col_type type;
};

static struct form
form_of_unsigned(uint16_t len)
{
	static const struct form forms[] = {
	    {COPY_BYTES, COL_BYTES}, {COPY_U8, COL_U8},	   {COPY_U16, COL_U16},
	    {COPY_U24, COL_U32},     {COPY_U32, COL_U32},  {COPY_UINT, COL_U64},
	    {COPY_UINT, COL_U64},    {COPY_UINT, COL_U64}, {COPY_U64, COL_U64},
	};

	return forms[len <= 8 ? len : 0];
}

static struct form
form_if(bool fits, enum copy_kind kind, enum col_type type)
{
	return fits ? (struct form){kind, type}
		    : (struct form){COPY_BYTES, COL_BYTES};
}

/* How a field of LEN bytes is copied; COPY_BYTES if its type cannot be of that
 * length. */
static struct form
form_of(enum element_type t, uint16_t len)
{
	switch (t) {
	case ELEMENT_UNSIGNED:
		return form_of_unsigned(len);
	case ELEMENT_SIGNED:
		return form_if(len <= 8, COPY_SINT, COL_I64);
	case ELEMENT_FLOAT:
		return form_if(len == 4 || len == 8,
			       len == 4 ? COPY_F32 : COPY_F64, COL_F64);
	case ELEMENT_BOOLEAN:
		return form_if(len == 1, COPY_BOOL, COL_BOOL);
	case ELEMENT_IPV4:
	case ELEMENT_IPV6:
		if (len == 4)
			return (struct form){COPY_U32, COL_IPV4};
		return form_if(len == 16, COPY_IP, COL_IP);
	case ELEMENT_MAC:
		return form_if(len == 6, COPY_MAC, COL_MAC);
	case ELEMENT_STRING:
		return (struct form){COPY_STRING, COL_STRING};
	case ELEMENT_SECONDS:
		return form_if(len <= 8, COPY_SECONDS, COL_TIME);
	case ELEMENT_MILLISECONDS:
		return form_if(len <= 8, COPY_MILLISECONDS, COL_TIME);
	case ELEMENT_MICROSECONDS:
		return form_if(len == 8, COPY_NTP, COL_TIME);
	case ELEMENT_NANOSECONDS:
		return form_if(len == 8, COPY_NTP_NS, COL_U64);
	case ELEMENT_BYTES:
	default:
		return (struct form){COPY_BYTES, COL_BYTES};
	}
}

static size_t
slot_of(const struct names *names, const char *name)
{
	uint32_t h = 2166136261u;
	size_t at;

	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	at = h % NAMES_SLOTS;
	while (names->slots[at] &&
	       strcmp(names->columns[names->slots[at] - 1].name, name) != 0)
		at = (at + 1) % NAMES_SLOTS;
	return at;
}

static struct named *
find(struct names *names, const char *name)
{
	size_t i = names->slots[slot_of(names, name)];

	return i ? &names->columns[i - 1] : NULL;
}

/* A column NAME, or NAME_2 and so on if that is taken. */
static struct named *
add(struct names *names, const char *name, struct form form, uint16_t field)
{
	struct named *first = find(names, name);
	struct named *c = &names->columns[names->n];

	c->type = form.type;
	c->kind = form.kind;
	c->field = field;
	c->aux = NO_FIELD;
	c->again = 1;
	snprintf(c->name, sizeof(c->name), "%s", name);
	while (first && find(names, c->name))
		snprintf(c->name, sizeof(c->name), "%s_%u", name,
			 (unsigned)++first->again);
	names->slots[slot_of(names, c->name)] = (uint16_t)++names->n;
	return c;
}

static void
add_field(struct names *names, bool v9, const struct wire_field *f,
	  uint16_t index)
{
	const struct element *el = element_find(v9, f->enterprise, f->id);
	struct form form = {COPY_BYTES, COL_BYTES};
	char name[32];

	if (f->enterprise == 0 && f->id == PADDING)
		return;
	if (el)
		form = form_of(el->type, f->length);
	if (el && (form.kind != COPY_BYTES || el->type == ELEMENT_BYTES)) {
		add(names, el->name, form, index);
		return;
	}
	snprintf(name, sizeof(name), "e%u_%u", (unsigned)f->enterprise, f->id);
	add(names, name, form, index);
}

/* The first field of IANA's element ID with a length in [min, max]. */
static uint16_t
field_of(const struct wire_field *f, uint16_t n, uint16_t id, uint16_t min,
	 uint16_t max)
{
	for (uint16_t i = 0; i < n; i++)
		if (f[i].enterprise == 0 && f[i].id == id &&
		    f[i].length >= min && f[i].length <= max)
			return i;
	return NO_FIELD;
}

/* Addresses of both families become one field that every record has. */
static void
add_twins(struct names *names, const struct wire_field *f, uint16_t n,
	  bool *done)
{
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		const struct twin *t = &twins[i];
		uint16_t v4 = field_of(f, n, t->v4, 4, 4);
		uint16_t v6 = field_of(f, n, t->v6, 16, 16);
		struct named *c;

		if (v4 == NO_FIELD || v6 == NO_FIELD)
			continue;
		c = add(names, t->name, (struct form){COPY_CHOICE, COL_IP}, v4);
		c->aux = v6;
		add(names, t->v4_name, (struct form){COPY_U32, COL_IPV4}, v4);
		add(names, t->v6_name, (struct form){COPY_IP, COL_IP}, v6);
		done[v4] = done[v6] = true;
	}
}

/* The finest absolute time goes first, so that it takes the name. */
static void
add_absolute(struct names *names, bool v9, const struct wire_field *f,
	     uint16_t n, bool *done)
{
	static const struct {
		uint16_t id, min;
	} times[] = {
	    {START_US, 8}, {START_MS, 1}, {START_S, 1},
	    {END_US, 8},   {END_MS, 1},	  {END_S, 1},
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		uint16_t at = field_of(f, n, times[i].id, times[i].min, 8);

		if (at == NO_FIELD)
			continue;
		add_field(names, v9, &f[at], at);
		done[at] = true;
	}
}

/* The elements that an end of a flow can be worked out from. */
struct end {
	const char *name;
	uint16_t ns, delta, uptime;
};

static const struct end start = {"start_time", START_NS, START_DELTA, FIRST};
static const struct end stop = {"end_time", END_NS, END_DELTA, LAST};

static void
derive(struct names *names, bool uptimes, const struct wire_field *f,
       uint16_t n, const struct end *end)
{
	uint16_t ns = field_of(f, n, end->ns, 8, 8);
	uint16_t delta = field_of(f, n, end->delta, 4, 4);
	uint16_t uptime = field_of(f, n, end->uptime, 1, 8);
	uint16_t init = field_of(f, n, INIT_MS, 8, 8);

	if (find(names, end->name))
		return;
	if (ns != NO_FIELD)
		add(names, end->name, (struct form){COPY_NTP, COL_TIME}, ns);
	else if (delta != NO_FIELD)
		add(names, end->name, (struct form){COPY_DELTA, COL_TIME},
		    delta);
	else if (uptime != NO_FIELD && init != NO_FIELD &&
		 f[uptime].length == 4)
		add(names, end->name, (struct form){COPY_INIT, COL_TIME},
		    uptime)
		    ->aux = init;
	else if (uptime != NO_FIELD && uptimes)
		add(names, end->name, (struct form){COPY_UPTIME, COL_TIME},
		    uptime);
}

/* One end from the other and the duration. */
static void
derive_by_duration(struct names *names, const struct wire_field *f, uint16_t n,
		   const char *have, const char *want, bool later)
{
	uint16_t us = field_of(f, n, DURATION_US, 1, 8);
	uint16_t ms = field_of(f, n, DURATION_MS, 1, 8);
	struct named *other = find(names, have);
	enum copy_kind kind;

	if (!other || find(names, want) || (us == NO_FIELD && ms == NO_FIELD))
		return;
	if (us != NO_FIELD)
		kind = later ? COPY_LATER_US : COPY_SOONER_US;
	else
		kind = later ? COPY_LATER_MS : COPY_SOONER_MS;
	add(names, want, (struct form){kind, COL_TIME},
	    us != NO_FIELD ? us : ms)
	    ->aux = (uint16_t)(other - names->columns);
}

/* The name of a number beside it, if the exporter announces such names. */
static void
add_labels(struct names *names, uint32_t flags, const struct wire_field *f,
	   uint16_t n)
{
	static const struct {
		const char *name;
		uint16_t id, max;
		uint16_t kind;
	} labels[] = {
	    {"input_name", 10, 8, LABEL_INTERFACE},
	    {"output_name", 14, 8, LABEL_INTERFACE},
	    {"application_name", 95, FIELD_VARIABLE, LABEL_APPLICATION},
	    {"vrf_name", 234, 8, LABEL_VRF},
	    {"egress_vrf_name", 235, 8, LABEL_VRF},
	};

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		uint16_t at = field_of(f, n, labels[i].id, 1, labels[i].max);

		if (!(flags & PLAN_INTERFACES << labels[i].kind) ||
		    at == NO_FIELD || find(names, labels[i].name))
			continue;
		add(names, labels[i].name,
		    (struct form){COPY_LABEL, COL_STRING}, at)
		    ->aux = labels[i].kind;
	}
}

void
names_make(struct names *names, uint32_t flags, const struct wire_field *f,
	   uint16_t n)
{
	bool done[PLAN_FIELDS_MAX] = {false};
	bool v9 = flags & PLAN_V9, uptimes = flags & (PLAN_V9 | PLAN_UPTIME);

	names->n = 0;
	memset(names->slots, 0, sizeof(names->slots));
	add_twins(names, f, n, done);
	add_absolute(names, v9, f, n, done);
	for (uint16_t i = 0; i < n; i++)
		if (!done[i])
			add_field(names, v9, &f[i], i);
	derive(names, uptimes, f, n, &start);
	derive(names, uptimes, f, n, &stop);
	derive_by_duration(names, f, n, start.name, stop.name, true);
	derive_by_duration(names, f, n, stop.name, start.name, false);
	add_labels(names, flags, f, n);
}
