/* SPDX-License-Identifier: BSD-2-Clause */
#include "t/bench/traffic.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

enum {
	SITES = 24,
	CLIENTS = 30000,
	INSIDE_SERVERS = 300, /* the first so many of the clients */
	SERVERS = 60000,
	TAIL = 700000,
	NETS = 4096,
	SCANNERS = 300,
	RECENT = 65536,
	PACKETS_MAX = 2000000,
	UPLINKS = 6,
};

enum { ICMP = 1, TCP = 6, UDP = 17 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct zipf {
	double q, log_ratio;
};

struct net {
	uint32_t base;
	uint16_t as;
	uint8_t mask;
	uint8_t uplink;
};

struct host {
	uint32_t addr;
	uint32_t next_hop;
	uint16_t as;
	uint16_t interface;
	uint8_t mask;
};

/* The ends of a flow, as its first packet had them. */
struct tuple {
	struct host src, dst;
	uint16_t src_port, dst_port;
	uint8_t protocol;
	bool scan;
	bool reply;
};

struct scanner {
	struct host host;
	uint32_t next;
	uint16_t port;
};

struct traffic {
	uint64_t random;
	struct zipf clients, servers, tail, nets;
	struct net net[NETS];
	struct host client[CLIENTS], server[SERVERS];
	struct scanner scanner[SCANNERS];
	struct tuple recent[RECENT]; /* ring of what repeats may take */
	uint32_t nrecent;
	struct tuple turn[RECENT]; /* ring of what waits for its reply */
	uint32_t turn_head, turn_tail;
};

struct service {
	uint16_t port;
	uint16_t weight; /* of 1000; what is left is any port */
};

static const struct service tcp_services[] = {
    {443, 590}, {80, 140}, {22, 35},   {25, 25},   {8080, 20},
    {445, 20},	{993, 15}, {3306, 15}, {8443, 15}, {3389, 10},
    {5432, 10}, {587, 5},  {0, 0},
};

static const struct service udp_services[] = {
    {53, 500},	{443, 270}, {123, 60},	 {161, 25}, {3478, 20},
    {5060, 15}, {514, 10},  {51820, 10}, {0, 0},
};

static const uint16_t scan_ports[] = {22, 23, 445, 3389, 80, 8080, 5900, 6379};
static const uint16_t icmp_types[] = {0x0800, 0x0000, 0x0301, 0x0303, 0x0b00};

/* splitmix64 */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t
draw(struct traffic *t)
{
	return mix(t->random += 0x9e3779b97f4a7c15);
}

/* Below n, from 32 of the random bits. */
static uint32_t
below(uint64_t random, uint32_t n)
{
	return (random >> 32) * n >> 32;
}

/* In (0, 1]. */
static double
unit(uint64_t random)
{
	return ((random >> 11) + 1) * 0x1p-53;
}

static struct zipf
zipf_make(uint32_t n, double q)
{
	return (struct zipf){.q = q, .log_ratio = log((n + q) / q)};
}

/* A rank from 0, below n. */
static uint32_t
zipf_rank(const struct zipf *z, uint64_t random)
{
	double u = (random >> 11) * 0x1p-53;

	return z->q * (exp(u * z->log_ratio) - 1);
}

/* Prefixes that do not overlap: each in a /16 of its own, outside of what is
 * private, loopback, multicast or zero. */
static void
make_nets(struct traffic *t)
{
	static const uint8_t masks[] = {16, 16, 18, 20, 20, 21, 22, 22,
					23, 24, 24, 24, 24, 24, 24, 24};
	uint32_t slot = 0x0100;

	for (size_t i = 0; i < NETS; i++) {
		uint64_t r = draw(t);
		struct net *n = &t->net[i];

		slot += 1 + below(r, 24);
		while (slot >> 8 == 10 || slot >> 8 == 127 || slot == 0xc0a8 ||
		       slot >> 4 == 0xac1 || slot == 0xa9fe)
			slot++;
		n->base = slot << 16;
		n->mask = masks[r & 15];
		n->as = 1 + below(r << 16, 60000);
		n->uplink = r >> 8 & 0xff;
		n->uplink %= UPLINKS;
	}
	for (size_t i = NETS - 1; i > 0; i--) {
		size_t j = below(draw(t), i + 1);
		struct net swap = t->net[i];

		t->net[i] = t->net[j];
		t->net[j] = swap;
	}
}

static struct host
inside_host(uint32_t addr)
{
	uint32_t site = addr >> 16 & 0xff;

	return (struct host){
	    .addr = addr,
	    .next_hop = 10u << 24 | 254 << 16 | site << 8 | 1,
	    .as = 64512 + site,
	    .interface = site,
	    .mask = 24,
	};
}

/* The same host for the same number. */
static struct host
outside_host(const struct traffic *t, uint64_t number)
{
	uint64_t r = mix(number * 0x9e3779b97f4a7c15 + 1);
	const struct net *n = &t->net[zipf_rank(&t->nets, r)];

	return (struct host){
	    .addr = n->base | (mix(r) & (0xffffffff >> n->mask)),
	    .next_hop = 192u << 24 | 2 << 8 | (n->uplink + 1),
	    .as = n->as,
	    .interface = 100 + n->uplink,
	    .mask = n->mask,
	};
}

static uint32_t
inside_address(uint64_t random)
{
	return 10u << 24 | (1 + below(random, SITES)) << 16 | (random & 0xffff);
}

struct traffic *
traffic_new(uint64_t seed)
{
	struct traffic *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->random = mix(seed);
	t->clients = zipf_make(CLIENTS, 20);
	t->servers = zipf_make(SERVERS, 10);
	t->tail = zipf_make(TAIL, 50000);
	t->nets = zipf_make(NETS, 200);
	make_nets(t);
	for (size_t i = 0; i < CLIENTS; i++)
		t->client[i] = inside_host(inside_address(draw(t)));
	for (size_t i = 0; i < SERVERS; i++)
		t->server[i] = outside_host(t, i);
	for (size_t i = 0; i < SCANNERS; i++) {
		uint64_t r = draw(t);

		t->scanner[i].host = outside_host(t, SERVERS + TAIL + i);
		t->scanner[i].next = r;
		t->scanner[i].port = scan_ports[r >> 32 & 7];
	}
	return t;
}

void
traffic_free(struct traffic *t)
{
	free(t);
}

static uint16_t
ephemeral_port(uint64_t random)
{
	if ((random & 7) == 0)
		return 1024 + below(random, 64512);
	if (random & 8)
		return 32768 + below(random, 28232);
	return 49152 + below(random, 16384);
}

static uint16_t
service_port(const struct service *s, uint64_t random)
{
	uint32_t at = below(random, 1000);

	for (; s->weight; s++) {
		if (at < s->weight)
			return s->port;
		at -= s->weight;
	}
	return 1024 + (random & 0x7fff);
}

/* Protocol and ports of a first packet. */
static void
choose_service(struct traffic *t, struct tuple *u)
{
	uint64_t r = draw(t), p = draw(t);
	uint32_t at = below(r, 1000);

	if (at < 18) {
		u->protocol = ICMP;
		u->src_port = 0;
		u->dst_port = icmp_types[below(p, 5)];
		return;
	}
	u->protocol = at < 176 ? UDP : TCP;
	u->src_port = ephemeral_port(p);
	u->dst_port = service_port(
	    u->protocol == TCP ? tcp_services : udp_services, mix(r));
}

static void
from_inside(struct traffic *t, struct tuple *u)
{
	uint64_t r = draw(t);

	u->src = t->client[zipf_rank(&t->clients, draw(t))];
	if ((r & 15) == 0)
		u->dst =
		    outside_host(t, SERVERS + zipf_rank(&t->tail, draw(t)));
	else
		u->dst = t->server[zipf_rank(&t->servers, draw(t))];
	choose_service(t, u);
}

static void
from_outside(struct traffic *t, struct tuple *u)
{
	u->src = outside_host(t, SERVERS + zipf_rank(&t->tail, draw(t)));
	u->dst = t->client[below(draw(t), INSIDE_SERVERS)];
	choose_service(t, u);
}

static void
scan(struct traffic *t, struct tuple *u)
{
	uint64_t r = draw(t);
	struct scanner *s = &t->scanner[below(r, SCANNERS)];
	uint32_t at = s->next++;

	u->src = s->host;
	u->dst = inside_host(10u << 24 | (1 + (at >> 16) % SITES) << 16 |
			     (at & 0xffff));
	u->protocol = TCP;
	u->src_port = 1024 + (r & 0x7fff);
	u->dst_port = s->port;
	u->scan = true;
}

static bool
turn_around(struct traffic *t, struct tuple *u)
{
	const struct tuple *v;

	if (t->turn_head == t->turn_tail)
		return false;
	v = &t->turn[t->turn_tail++ % RECENT];
	*u = (struct tuple){
	    .src = v->dst,
	    .dst = v->src,
	    .src_port = v->dst_port,
	    .dst_port = v->src_port,
	    .protocol = v->protocol,
	    .reply = true,
	};
	if (v->protocol == ICMP) {
		u->src_port = 0;
		u->dst_port = 0;
	}
	return true;
}

static void
choose_tuple(struct traffic *t, struct tuple *u)
{
	uint64_t r = draw(t);
	uint32_t at = below(r, 1000);

	if (at < 140 && t->nrecent >= RECENT) {
		*u = t->recent[r & (RECENT - 1)];
		return;
	}
	if (at >= 520 || !turn_around(t, u)) {
		*u = (struct tuple){0};
		if (at >= 970)
			scan(t, u);
		else if (at >= 920)
			from_outside(t, u);
		else
			from_inside(t, u);
		if (!u->scan && t->turn_head - t->turn_tail < RECENT)
			t->turn[t->turn_head++ % RECENT] = *u;
	}
	t->recent[t->nrecent % RECENT] = *u;
	if (++t->nrecent == 2 * RECENT)
		t->nrecent = RECENT;
}

/* Mean octets of a packet; replies carry the data. */
static uint32_t
packet_size(const struct tuple *u, uint64_t random)
{
	uint32_t least = u->protocol == TCP ? 40 : 28;
	uint32_t at = random & 0xff;

	if (u->scan)
		return 40 + (at & 1) * 4;
	if (u->protocol == ICMP)
		return at < 200 ? 84 : least + below(random, 600);
	if (u->reply && at < 120)
		return 900 + below(random, 600);
	if (at < 150)
		return least + below(random, 24);
	if (at < 220)
		return least + below(random, 160);
	return least + below(random, 1460);
}

static void
choose_volume(struct traffic *t, const struct tuple *u, struct flow *f)
{
	uint64_t r = draw(t);
	double n = u->scan ? 1 : exp(log(unit(r)) * (-1 / 1.15));
	uint32_t size = packet_size(u, draw(t));

	f->packets = n < PACKETS_MAX ? n : PACKETS_MAX;
	f->octets = f->packets * size;
	if (f->packets > 1)
		f->octets += below(r << 20, f->packets);
}

static void
choose_flags(const struct tuple *u, uint64_t random, struct flow *f)
{
	static const uint8_t longer[] = {SYN | PSH | ACK | FIN,
					 SYN | PSH | ACK | FIN,
					 SYN | PSH | ACK | FIN,
					 SYN | ACK | FIN,
					 SYN | PSH | ACK | RST,
					 PSH | ACK,
					 ACK,
					 SYN | PSH | ACK};

	f->flags = 0;
	if (u->protocol == TCP) {
		if (u->scan)
			f->flags = SYN;
		else if (f->packets > 2)
			f->flags = longer[random & 7];
		else if (u->reply)
			f->flags = random & 1 ? ACK | RST : SYN | ACK;
		else
			f->flags = random & 1 ? SYN : ACK | FIN;
	}
	random >>= 8;
	f->tos = 0;
	if ((random & 15) == 0)
		f->tos = (uint8_t[]){0x28, 0xb8, 0x48, 0x10}[random >> 4 & 3];
}

static void
choose_times(struct traffic *t, uint32_t uptime, struct flow *f)
{
	uint64_t r = draw(t);
	double u = unit(r);
	uint32_t lasted = 0, late = r & 0x3ff;

	if (f->packets >= 10)
		lasted = exp((0.4 + 0.6 * u) * log(120000));
	else if (f->packets > 1)
		lasted = exp(u * log(60000));
	if (f->packets > 1 && below(r << 16, 200) == 0)
		lasted = 120000 + below(draw(t), 1680000);
	if (!(f->flags & FIN))
		late += 15000;
	f->last = uptime - late;
	f->first = f->last - lasted;
}

void
traffic_next(struct traffic *t, uint32_t uptime_ms, struct flow *f)
{
	struct tuple u;

	choose_tuple(t, &u);
	choose_volume(t, &u, f);
	choose_flags(&u, draw(t), f);
	choose_times(t, uptime_ms, f);
	f->src = u.src.addr;
	f->dst = u.dst.addr;
	f->next_hop = u.dst.next_hop;
	f->src_port = u.src_port;
	f->dst_port = u.dst_port;
	f->protocol = u.protocol;
	f->src_as = u.src.as;
	f->dst_as = u.dst.as;
	f->input = u.src.interface;
	f->output = u.dst.interface;
	f->src_mask = u.src.mask;
	f->dst_mask = u.dst.mask;
}
