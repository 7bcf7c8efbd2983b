/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/nfdump.h"

#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/service.h"
#include "common/text.h"

enum { VALUE_ROOM = 64 };

typedef void add_fn(struct textrow *, const char *name, const char *value);

static add_fn add_plain, add_wanted, add_protocol, add_flags, add_port,
    add_engine, add_label, add_latency;

/* Columns that are left out have no name of ours. */
static const struct column_map {
	const char *theirs, *ours;
	add_fn *add;
} columns[] = {
    {"ts", "start_time", add_plain},
    {"te", "end_time", add_plain},
    {"tr", "_time", add_wanted},
    {"td", NULL, NULL},
    {"sa", "src_addr", add_plain},
    {"da", "dst_addr", add_plain},
    {"sp", "src_port", add_port},
    {"dp", "dst_port", add_port},
    {"pr", "protocol", add_protocol},
    {"flg", "tcp_flags", add_flags},
    {"fwd", "forwarding_status", add_wanted},
    {"stos", "tos", add_plain},
    {"dtos", "post_ip_class_of_service", add_wanted},
    {"ipkt", "packet_count", add_plain},
    {"ibyt", "octet_count", add_plain},
    {"opkt", "post_packet_delta_count", add_wanted},
    {"obyt", "post_octet_delta_count", add_wanted},
    {"in", "input", add_plain},
    {"out", "output", add_plain},
    {"sas", "src_as", add_plain},
    {"das", "dst_as", add_plain},
    {"smk", "src_mask", add_plain},
    {"dmk", "dst_mask", add_plain},
    {"dir", "flow_direction", add_plain},
    {"nh", "next_hop", add_wanted},
    {"nhb", "bgp_next_hop_addr", add_wanted},
    {"svln", "vlan_id", add_wanted},
    {"dvln", "post_vlan_id", add_wanted},
    {"ismc", "src_mac_address", add_wanted},
    {"odmc", "post_dst_mac_address", add_wanted},
    {"idmc", "dst_mac_address", add_wanted},
    {"osmc", "post_src_mac_address", add_wanted},
    {"cl", "client_latency", add_latency},
    {"sl", "server_latency", add_latency},
    {"al", "application_latency", add_latency},
    {"ra", "exporter", add_wanted},
    {"eng", "source_id", add_engine},
    {"exid", NULL, NULL},
};

bool
nfdump_is_header(const char *line, size_t len)
{
	static const char begin[] = "ts,te,td,sa,da,sp,dp,pr,";

	return len > sizeof(begin) - 1 &&
	       memcmp(line, begin, sizeof(begin) - 1) == 0;
}

bool
nfdump_is_end(const char *line, size_t len)
{
	return len >= 7 && memcmp(line, "Summary", 7) == 0;
}

static void
add_plain(struct textrow *r, const char *name, const char *value)
{
	textrow_add(r, name, value, strlen(value), false);
}

/* Of zeros only: nfdump knows nothing of it. */
static void
add_wanted(struct textrow *r, const char *name, const char *value)
{
	if (value[strspn(value, "0.:-")])
		add_plain(r, name, value);
}

static void
add_protocol(struct textrow *r, const char *name, const char *value)
{
	int n = protocol_number(value, strlen(value));

	if (n >= 0)
		textrow_number(r, name, (uint64_t)n);
	else
		add_plain(r, name, value);
}

/* "..UAPRSF", or a number in hex where there are others. */
static void
add_flags(struct textrow *r, const char *name, const char *value)
{
	unsigned long flags = 0;

	if (value[0] == '0' && value[1] == 'x')
		flags = strtoul(value + 2, NULL, 16) & 0xff;
	else
		for (size_t i = 0; i < 8 && value[i]; i++)
			flags = flags << 1 | (value[i] != '.');
	textrow_number(r, name, flags);
}

/* Of ICMP "type.code". */
static void
add_port(struct textrow *r, const char *name, const char *value)
{
	const char *dot = strchr(value, '.');
	uint64_t type, code;

	if (dot && text_read_u64(value, (size_t)(dot - value), &type) == 0 &&
	    text_read_u64(dot + 1, strlen(dot + 1), &code) == 0 && type < 256 &&
	    code < 256)
		textrow_number(r, name, type * 256 + code);
	else
		add_plain(r, name, value);
}

/* "type/id", which a v5 source id is made of. */
static void
add_engine(struct textrow *r, const char *name, const char *value)
{
	const char *slash = strchr(value, '/');
	uint64_t type, id;

	if (slash &&
	    text_read_u64(value, (size_t)(slash - value), &type) == 0 &&
	    text_read_u64(slash + 1, strlen(slash + 1), &id) == 0 &&
	    type < 256 && id < 256)
		textrow_number(r, name, type * 256 + id);
}

/* "label-experimental-bottom", which are 20, 3 and 1 bits. */
static void
add_label(struct textrow *r, const char *name, const char *value)
{
	const char *dash = strchr(value, '-');
	const char *last = dash ? strchr(dash + 1, '-') : NULL;
	uint64_t label, exp, bottom;
	uint8_t b[3];

	if (!last ||
	    text_read_u64(value, (size_t)(dash - value), &label) != 0 ||
	    text_read_u64(dash + 1, (size_t)(last - dash - 1), &exp) != 0 ||
	    text_read_u64(last + 1, strlen(last + 1), &bottom) != 0 ||
	    (label == 0 && exp == 0 && bottom == 0))
		return;
	label = (label & 0xfffff) << 4 | (exp & 7) << 1 | (bottom & 1);
	b[0] = (uint8_t)(label >> 16);
	b[1] = (uint8_t)(label >> 8);
	b[2] = (uint8_t)label;
	textrow_bytes(r, name, b, sizeof(b));
}

static void
add_latency(struct textrow *r, const char *name, const char *value)
{
	add_wanted(r, name, value + strspn(value, " "));
}

static const struct column_map *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (strcmp(columns[i].theirs, name) == 0)
			return &columns[i];
	return NULL;
}

void
nfdump_add(struct textrow *r, const char *name, const char *value, size_t len)
{
	const struct column_map *m = find(name);
	char text[VALUE_ROOM];
	uint64_t n;

	if (len >= sizeof(text)) { /* nothing that nfdump writes */
		textrow_add(r, m && m->ours ? m->ours : name, value, len,
			    false);
		return;
	}
	memcpy(text, value, len);
	text[len] = 0;
	if (m && m->add)
		m->add(r, m->ours, text);
	else if (!m && strncmp(name, "mpls", 4) == 0 &&
		 text_read_u64(name + 4, strlen(name + 4), &n) == 0 && n >= 1 &&
		 n <= 10)
		add_label(r, element_find(true, 0, (uint16_t)(69 + n))->name,
			  text);
	else if (!m)
		textrow_add(r, name, value, len, false);
}
