/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/packet.h"

#include <pcap/dlt.h>
#include <string.h>

#include "common/text.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_ANY_IP = 0, /* the packet says itself which */
	TYPE_8021Q = 0x8100,
	TYPE_8021AD = 0x88a8,
	TYPE_QINQ = 0x9100, /* 802.1ad before it was one */
	ETHERNET_LEN = 14,
	SLL_LEN = 16,
	SLL2_LEN = 20,
	NULL_LEN = 4,
	VLAN_LEN = 4,
	IPV4_LEN = 20,
	IPV6_LEN = 40,
	UDP_LEN = 8,
	PROTO_HOPOPTS = 0,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AUTH = 51,
	PROTO_DSTOPTS = 60,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

/* What is left of a packet. */
struct rest {
	const uint8_t *p;
	size_t left;
	int cut; /* the IP packet is longer than what was captured */
};

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static int
skip(struct rest *r, size_t n)
{
	if (n > r->left)
		return -1;
	r->p += n;
	r->left -= n;
	return 0;
}

/* Bytes that are missing: the capture's fault if it says so itself. */
static enum packet_kind
too_short(const struct rest *r)
{
	return r->cut ? PACKET_CUT : PACKET_BAD;
}

/* The packet's own length rules: what the link padded is cut off, what the
 * capture lacks is noted. */
static void
clip(struct rest *r, size_t len)
{
	if (len < r->left)
		r->left = len;
	else if (len > r->left)
		r->cut = 1;
}

static enum packet_kind
read_udp(struct rest *r, struct packet *p)
{
	size_t len;

	if (r->left < UDP_LEN)
		return too_short(r);
	p->src_port = be16(r->p);
	p->dst_port = be16(r->p + 2);
	len = be16(r->p + 4);
	if (len < UDP_LEN)
		return PACKET_BAD;
	if (len > r->left)
		return too_short(r);
	p->payload = r->p + UDP_LEN;
	p->len = len - UDP_LEN;
	return PACKET_UDP;
}

static enum packet_kind
read_ipv4(struct rest *r, struct packet *p)
{
	size_t header, total;
	uint32_t src;

	if (r->left < IPV4_LEN)
		return PACKET_CUT;
	header = (size_t)(r->p[0] & 0xf) * 4;
	total = be16(r->p + 2);
	if (total == 0) /* left for the network card to fill in */
		total = r->left;
	if (header < IPV4_LEN || total < header)
		return PACKET_BAD;
	clip(r, total);
	if (be16(r->p + 6) & 0x3fff) /* more to come, or an offset */
		return PACKET_FRAGMENT;
	if (r->p[9] != PROTO_UDP)
		return PACKET_OTHER;
	src = (uint32_t)be16(r->p + 12) << 16 | be16(r->p + 14);
	ip_from_v4(p->src, src);
	if (skip(r, header) != 0)
		return PACKET_CUT;
	return read_udp(r, p);
}

/* The length of the extension header at r->p, of which 8 bytes are there; 0
 * if KIND is none. */
static size_t
extension_len(const struct rest *r, int kind)
{
	switch (kind) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return ((size_t)r->p[1] + 1) * 8;
	case PROTO_AUTH:
		return ((size_t)r->p[1] + 2) * 4;
	case PROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static enum packet_kind
read_ipv6(struct rest *r, struct packet *p)
{
	int next;
	size_t len;

	if (r->left < IPV6_LEN)
		return PACKET_CUT;
	next = r->p[6];
	len = be16(r->p + 4);
	memcpy(p->src, r->p + 8, 16);
	skip(r, IPV6_LEN);
	if (len > 0) /* else a jumbogram, or for the card to fill in */
		clip(r, len);
	while (next != PROTO_UDP) {
		if (r->left < 8)
			return r->cut ? PACKET_CUT : PACKET_OTHER;
		len = extension_len(r, next);
		if (len == 0)
			return PACKET_OTHER;
		/* an offset or more to come; a "fragment" that is the whole
		 * packet is none (RFC 6946) */
		if (next == PROTO_FRAGMENT && be16(r->p + 2) & 0xfff9)
			return PACKET_FRAGMENT;
		next = r->p[0];
		if (skip(r, len) != 0)
			return too_short(r);
	}
	return read_udp(r, p);
}

static enum packet_kind
read_ip(struct rest *r, int type, struct packet *p)
{
	int version;

	while (type == TYPE_8021Q || type == TYPE_8021AD || type == TYPE_QINQ) {
		if (r->left < VLAN_LEN)
			return PACKET_CUT;
		type = be16(r->p + 2);
		skip(r, VLAN_LEN);
	}
	if (type != TYPE_IPV4 && type != TYPE_IPV6 && type != TYPE_ANY_IP)
		return PACKET_OTHER;
	if (r->left == 0)
		return PACKET_CUT;
	version = r->p[0] >> 4;
	if (version == 4 && type != TYPE_IPV6)
		return read_ipv4(r, p);
	if (version == 6 && type != TYPE_IPV4)
		return read_ipv6(r, p);
	return type == TYPE_ANY_IP ? PACKET_OTHER : PACKET_BAD;
}

int
packet_link_known(int link)
{
	switch (link) {
	case DLT_EN10MB:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_NULL:
	case DLT_LOOP:
		return 1;
	default:
		return 0;
	}
}

enum packet_kind
packet_read(int link, const uint8_t *data, size_t len, struct packet *p)
{
	struct rest r = {.p = data, .left = len};
	size_t header = 0;
	int type = TYPE_ANY_IP;

	switch (link) {
	case DLT_EN10MB:
		header = ETHERNET_LEN;
		break;
	case DLT_LINUX_SLL:
		header = SLL_LEN;
		break;
	case DLT_LINUX_SLL2:
		header = SLL2_LEN;
		break;
	case DLT_NULL: /* a family in the byte order of a machine unknown */
	case DLT_LOOP:
		header = NULL_LEN;
		break;
	}
	if (len < header)
		return PACKET_CUT;
	if (link == DLT_EN10MB || link == DLT_LINUX_SLL)
		type = be16(data + header - 2);
	else if (link == DLT_LINUX_SLL2)
		type = be16(data);
	skip(&r, header);
	return read_ip(&r, type, p);
}
