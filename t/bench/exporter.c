/* SPDX-License-Identifier: BSD-2-Clause */
#include "t/bench/exporter.h"

#include <stdbool.h>
#include <string.h>

enum {
	V5_RECORDS = 30,
	V9_RECORDS = 26,
	V9_RECORDS_WITH_TEMPLATE = 24,
	TEMPLATE_ID = 260,
	IPFIX_RECORDS = 20,
	IPFIX_RECORDS_WITH_TEMPLATE = 19,
	FIELDS = 20,
};

/* NetFlow v9 field types (RFC 3954, 8) and their lengths, in the order of
 * put_v9_record. */
static const uint16_t v9_fields[FIELDS][2] = {
    {8, 4},  /* IPV4_SRC_ADDR */
    {12, 4}, /* IPV4_DST_ADDR */
    {15, 4}, /* IPV4_NEXT_HOP */
    {10, 4}, /* INPUT_SNMP */
    {14, 4}, /* OUTPUT_SNMP */
    {2, 4},  /* IN_PKTS */
    {1, 4},  /* IN_BYTES */
    {22, 4}, /* FIRST_SWITCHED */
    {21, 4}, /* LAST_SWITCHED */
    {7, 2},  /* L4_SRC_PORT */
    {11, 2}, /* L4_DST_PORT */
    {16, 4}, /* SRC_AS */
    {17, 4}, /* DST_AS */
    {4, 1},  /* PROTOCOL */
    {5, 1},  /* SRC_TOS */
    {6, 1},  /* TCP_FLAGS */
    {9, 1},  /* SRC_MASK */
    {13, 1}, /* DST_MASK */
    {60, 1}, /* IP_PROTOCOL_VERSION */
    {61, 1}, /* DIRECTION */
};

/* IPFIX information elements, in the order of put_ipfix_record. */
static const uint16_t ipfix_fields[FIELDS][2] = {
    {8, 4},   /* sourceIPv4Address */
    {12, 4},  /* destinationIPv4Address */
    {15, 4},  /* ipNextHopIPv4Address */
    {10, 4},  /* ingressInterface */
    {14, 4},  /* egressInterface */
    {2, 8},   /* packetDeltaCount */
    {1, 8},   /* octetDeltaCount */
    {152, 8}, /* flowStartMilliseconds */
    {153, 8}, /* flowEndMilliseconds */
    {7, 2},   /* sourceTransportPort */
    {11, 2},  /* destinationTransportPort */
    {16, 4},  /* bgpSourceAsNumber */
    {17, 4},  /* bgpDestinationAsNumber */
    {4, 1},   /* protocolIdentifier */
    {5, 1},   /* ipClassOfService */
    {6, 1},   /* tcpControlBits, of reduced size */
    {9, 1},   /* sourceIPv4PrefixLength */
    {13, 1},  /* destinationIPv4PrefixLength */
    {60, 1},  /* ipVersion */
    {61, 1},  /* flowDirection */
};

static uint8_t *
put8(uint8_t *p, uint8_t v)
{
	*p = v;
	return p + 1;
}

static uint8_t *
put16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, 2);
	return p + 2;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
	return p + 4;
}

static uint8_t *
put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
	return p + 8;
}

static uint8_t *
put_v5_record(uint8_t *p, const struct flow *f)
{
	p = put32(p, f->src);
	p = put32(p, f->dst);
	p = put32(p, f->next_hop);
	p = put16(p, f->input);
	p = put16(p, f->output);
	p = put32(p, f->packets);
	p = put32(p, f->octets);
	p = put32(p, f->first);
	p = put32(p, f->last);
	p = put16(p, f->src_port);
	p = put16(p, f->dst_port);
	p = put8(p, 0);
	p = put8(p, f->flags);
	p = put8(p, f->protocol);
	p = put8(p, f->tos);
	p = put16(p, f->src_as);
	p = put16(p, f->dst_as);
	p = put8(p, f->src_mask);
	p = put8(p, f->dst_mask);
	return put16(p, 0);
}

static uint8_t *
put_v9_record(uint8_t *p, const struct flow *f)
{
	p = put32(p, f->src);
	p = put32(p, f->dst);
	p = put32(p, f->next_hop);
	p = put32(p, f->input);
	p = put32(p, f->output);
	p = put32(p, f->packets);
	p = put32(p, f->octets);
	p = put32(p, f->first);
	p = put32(p, f->last);
	p = put16(p, f->src_port);
	p = put16(p, f->dst_port);
	p = put32(p, f->src_as);
	p = put32(p, f->dst_as);
	p = put8(p, f->protocol);
	p = put8(p, f->tos);
	p = put8(p, f->flags);
	p = put8(p, f->src_mask);
	p = put8(p, f->dst_mask);
	p = put8(p, 4);
	return put8(p, 0);
}

/* STARTED: when the uptime was 0, in ms since 1970. */
static uint8_t *
put_ipfix_record(uint8_t *p, const struct flow *f, uint64_t started)
{
	p = put32(p, f->src);
	p = put32(p, f->dst);
	p = put32(p, f->next_hop);
	p = put32(p, f->input);
	p = put32(p, f->output);
	p = put64(p, f->packets);
	p = put64(p, f->octets);
	p = put64(p, started + f->first);
	p = put64(p, started + f->last);
	p = put16(p, f->src_port);
	p = put16(p, f->dst_port);
	p = put32(p, f->src_as);
	p = put32(p, f->dst_as);
	p = put8(p, f->protocol);
	p = put8(p, f->tos);
	p = put8(p, f->flags);
	p = put8(p, f->src_mask);
	p = put8(p, f->dst_mask);
	p = put8(p, 4);
	return put8(p, 0);
}

static uint8_t *
put_template(const struct export *x, uint8_t *p)
{
	const uint16_t(*fields)[2] = x->version == 9 ? v9_fields : ipfix_fields;

	p = put16(p, x->version == 9 ? 0 : 2);
	p = put16(p, 8 + FIELDS * 4);
	p = put16(p, TEMPLATE_ID);
	p = put16(p, FIELDS);
	for (size_t i = 0; i < FIELDS; i++) {
		p = put16(p, fields[i][0]);
		p = put16(p, fields[i][1]);
	}
	return p;
}

/* The next N flows; returns where the next byte goes. */
static uint8_t *
put_flows(struct export *x, uint8_t *p, uint32_t n, uint32_t uptime)
{
	uint64_t started = (uint64_t)(x->start_us / 1000) - EXPORT_UPTIME_MS;
	struct flow f;

	for (uint32_t i = 0; i < n; i++) {
		traffic_next(x->traffic, uptime, &f);
		x->totals.octets += f.octets;
		x->totals.packets += f.packets;
		if (x->version == 5)
			p = put_v5_record(p, &f);
		else if (x->version == 9)
			p = put_v9_record(p, &f);
		else
			p = put_ipfix_record(p, &f, started);
	}
	return p;
}

static uint32_t
uptime_of(const struct export *x, const struct datagram_made *d)
{
	return EXPORT_UPTIME_MS + (d->time_us - x->start_us) / 1000;
}

static uint8_t *
put_v5(struct export *x, uint8_t *p, const struct datagram_made *d)
{
	p = put16(p, 5);
	p = put16(p, d->flows);
	p = put32(p, uptime_of(x, d));
	p = put32(p, d->time_us / 1000000);
	p = put32(p, d->time_us % 1000000 * 1000);
	p = put32(p, x->sequence[d->exporter]);
	p = put16(p, d->exporter + 1);
	p = put16(p, 0);
	x->sequence[d->exporter] += d->flows;
	return put_flows(x, p, d->flows, uptime_of(x, d));
}

/* A template if wanted, and a set of records. */
static uint8_t *
put_sets(struct export *x, uint8_t *p, const struct datagram_made *d,
	 bool template)
{
	uint8_t *set;

	if (template)
		p = put_template(x, p);
	set = p;
	p = put16(p, TEMPLATE_ID);
	p = put_flows(x, p + 2, d->flows, uptime_of(x, d));
	while ((p - set) % 4 != 0)
		p = put8(p, 0);
	put16(set + 2, p - set);
	return p;
}

static uint8_t *
put_v9(struct export *x, uint8_t *p, const struct datagram_made *d,
       bool template)
{
	p = put16(p, 9);
	p = put16(p, d->flows + template);
	p = put32(p, uptime_of(x, d));
	p = put32(p, d->time_us / 1000000);
	p = put32(p, x->sequence[d->exporter]++);
	p = put32(p, d->exporter + 1);
	return put_sets(x, p, d, template);
}

static uint8_t *
put_ipfix(struct export *x, uint8_t *p, const struct datagram_made *d,
	  bool template)
{
	uint8_t *begin = p;

	p = put16(p, 10);
	p = put16(p, 0); /* length, later */
	p = put32(p, d->time_us / 1000000);
	p = put32(p, x->sequence[d->exporter]);
	p = put32(p, d->exporter + 1);
	x->sequence[d->exporter] += d->flows;
	p = put_sets(x, p, d, template);
	put16(begin + 2, p - begin);
	return p;
}

/* Records in a datagram. */
static uint32_t
records(int version, bool template)
{
	if (version == 5)
		return V5_RECORDS;
	if (version == 9)
		return template ? V9_RECORDS_WITH_TEMPLATE : V9_RECORDS;
	return template ? IPFIX_RECORDS_WITH_TEMPLATE : IPFIX_RECORDS;
}

int
export_next(struct export *x, uint8_t buf[EXPORT_DATAGRAM_MAX],
	    struct datagram_made *d)
{
	uint64_t left = x->flows - x->totals.flows;
	bool template;
	uint32_t most;

	if (left == 0)
		return 0;
	d->exporter = x->totals.datagrams / x->burst % x->exporters;
	template = x->version != 5 &&
		   x->count[d->exporter] % EXPORT_TEMPLATE_EVERY == 0;
	most = records(x->version, template);
	d->flows = left < most ? left : most;
	d->time_us = x->start_us + x->totals.flows / x->rate * 1e6;
	if (x->version == 5)
		d->len = put_v5(x, buf, d) - buf;
	else if (x->version == 9)
		d->len = put_v9(x, buf, d, template) - buf;
	else
		d->len = put_ipfix(x, buf, d, template) - buf;
	x->count[d->exporter]++;
	x->totals.datagrams++;
	x->totals.templates += template;
	x->totals.flows += d->flows;
	x->totals.bytes += d->len;
	return 1;
}
