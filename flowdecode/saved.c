/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/saved.h"

#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/datagram.h"
#include "common/text.h"
#include "flowdecode/reader.h"

enum {
	SUM = 8,
	FIRST = 4096,
	TEMPLATE_MIN = 256,
	VERSIONS = 11, /* of NetFlow and IPFIX, 0 with them */
};

#define REASON_MS (INT64_C(1) << 50)

/* Writing. */

void
saved_clear(struct saved *s)
{
	free(s->p);
	*s = (struct saved){0};
}

static void
put_bytes(struct saved *s, const void *p, size_t len)
{
	if (len > s->cap - s->len) {
		size_t cap = s->cap ? s->cap : FIRST;
		uint8_t *more;

		while (len > cap - s->len)
			cap *= 2;
		more = s->bad ? NULL : realloc(s->p, cap);
		s->bad |= !more;
		if (!more)
			return;
		s->p = more;
		s->cap = cap;
	}
	if (len > 0)
		memcpy(s->p + s->len, p, len);
	s->len += len;
}

static void
put(struct saved *s, uint64_t v, size_t len)
{
	uint8_t b[8];

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(v >> 8 * (len - 1 - i));
	put_bytes(s, b, len);
}

static void
begin(struct saved *s)
{
	s->len = 0;
	s->bad = false;
	put(s, 0, SUM);
}

static uint64_t
sum_of(const void *key, size_t key_len, const uint8_t *value, size_t len)
{
	return checksum(key, key_len) * 0x9e3779b97f4a7c15 ^
	       checksum(value, len);
}

void
saved_end(struct saved *s, const void *key, size_t key_len)
{
	uint64_t sum;

	if (s->bad)
		return;
	sum = sum_of(key, key_len, s->p + SUM, s->len - SUM);
	memcpy(s->p, &sum, sizeof(sum));
}

static void
key_bytes(uint8_t out[SAVED_EXPORTER_KEY], const struct exporter_key *k)
{
	memcpy(out, k->addr, 16);
	out[16] = (uint8_t)(k->version >> 8);
	out[17] = (uint8_t)k->version;
	out[18] = (uint8_t)(k->port >> 8);
	out[19] = (uint8_t)k->port;
	for (int i = 0; i < 4; i++)
		out[20 + i] = (uint8_t)(k->source_id >> (24 - 8 * i));
}

void
saved_key(uint8_t out[SAVED_KEY], const struct exporter_key *k, uint16_t id)
{
	key_bytes(out, k);
	out[SAVED_EXPORTER_KEY] = (uint8_t)(id >> 8);
	out[SAVED_EXPORTER_KEY + 1] = (uint8_t)id;
}

static void
put_rate(struct saved *s, enum rate_kind kind, const struct rate *r)
{
	if (!r->rate)
		return;
	put(s, kind, 1);
	put(s, r->id, 8);
	put(s, (uint64_t)r->since_us, 8);
	put(s, r->rate, 4);
}

static void
put_rates(struct saved *s, enum rate_kind kind, const struct rates *r)
{
	for (size_t i = 0; r->slots && i <= r->mask; i++)
		put_rate(s, kind, &r->slots[i]);
}

void
saved_exporter(struct saved *s, const struct exporter *x)
{
	begin(s);
	put(s, x->settled, 1);
	put(s, (uint64_t)x->init_ms, 8);
	put_rate(s, RATE_OF_ALL, &x->sampling.all);
	put_rates(s, RATE_OF_SAMPLER, &x->sampling.samplers);
	put_rates(s, RATE_OF_INTERFACE, &x->sampling.interfaces);
}

static void
put_name(void *ctx, const struct label_set *l)
{
	struct saved *s = ctx;

	put(s, l->kind, 1);
	put(s, (uint64_t)l->when.us, 8);
	put(s, l->id_len, 1);
	put_bytes(s, l->id, l->id_len);
	put(s, l->len, 1);
	put_bytes(s, l->text, l->len);
}

void
saved_names(struct saved *s, const struct exporter *x)
{
	begin(s);
	labels_each(&x->labels, put_name, s);
}

static void
put_counts(struct saved *s, const struct ledger *l)
{
	for (int i = 0; i < LEDGER_COUNTS; i++) {
		const char *name = ledger_name((enum ledger_count)i);
		uint64_t n = l->n[i];

		if (i == LEDGER_SETS)
			n -= l->n[LEDGER_SETS_WAITING];
		if (n == 0 || i == LEDGER_SETS_WAITING)
			continue;
		put(s, strlen(name), 1);
		put_bytes(s, name, strlen(name));
		put(s, n, 8);
	}
}

void
saved_counts(struct saved *s, const struct ledger *l)
{
	begin(s);
	put_counts(s, l);
}

void
saved_ledger(struct saved *s, const struct exporter *x)
{
	const struct sequence *q = &x->sequence;

	begin(s);
	put(s, q->next, 4);
	put(s, q->known, 1);
	put(s, SEQUENCE_GAPS, 1);
	for (int i = 0; i < SEQUENCE_GAPS; i++) {
		const struct gap *g =
		    &q->gaps[(q->gap + i) % SEQUENCE_GAPS]; /* oldest first */

		put(s, g->from, 4);
		put(s, g->n, 4);
	}
	put(s, (uint64_t)x->seen_us, 8);
	put(s, (uint64_t)x->ahead_us, 8);
	put_counts(s, &x->ledger);
}

void
saved_template(struct saved *s, const struct plan *p)
{
	begin(s);
	put(s, p->flags & PLAN_OPTIONS, 1);
	put(s, p->scopes, 2);
	for (uint16_t i = 0; i < p->n; i++) {
		put(s, p->fields[i].enterprise, 4);
		put(s, p->fields[i].id, 2);
		put(s, p->fields[i].length, 2);
	}
}

static const struct exporter *
exporter_of(const struct waiter *w)
{
	return (const struct exporter *)(const void *)((const char *)w -
						       offsetof(struct exporter,
								waiter));
}

void
saved_held(struct saved *s, const struct held *h, int64_t clock_us)
{
	uint8_t key[SAVED_EXPORTER_KEY];

	begin(s);
	key_bytes(key, &exporter_of(h->waiter)->key);
	put_bytes(s, key, sizeof(key));
	put(s, h->id, 2);
	put(s, h->port, 2);
	put(s, (uint64_t)h->time_us, 8);
	put(s, (uint64_t)h->clock.export_us, 8);
	put(s, h->clock.uptime, 4);
	put(s, (uint64_t)(h->held_ms * 1000 + clock_us), 8);
	put(s, h->binding_len, 2);
	put_bytes(s, h->binding, h->binding_len);
	put_bytes(s, h->body, h->len);
}

/* Reading. */

static uint64_t
reader_u64(struct reader *r)
{
	uint64_t high = reader_u32(r);

	return high << 32 | reader_u32(r);
}

static bool
open_value(struct reader *r, const void *key, size_t key_len, const void *value,
	   size_t len)
{
	uint64_t sum;

	if (len < SUM)
		return false;
	memcpy(&sum, value, SUM);
	*r = reader_of((const uint8_t *)value + SUM, len - SUM);
	return sum == sum_of(key, key_len, r->p, r->left);
}

static bool
read_exporter_key(struct reader *r, struct exporter_key *k)
{
	const uint8_t *addr = reader_bytes(r, sizeof(k->addr));

	*k = (struct exporter_key){0};
	if (addr)
		memcpy(k->addr, addr, sizeof(k->addr));
	k->version = reader_u16(r);
	k->port = reader_u16(r);
	k->source_id = reader_u32(r);
	return !r->bad && k->version < VERSIONS;
}

static int
take_exporter(const struct known *known, struct exporter *x, struct reader *r)
{
	bool settled = reader_u8(r) == 1;

	x->init_ms = (int64_t)reader_u64(r);
	while (r->left > 0) {
		uint8_t kind = reader_u8(r);
		uint64_t id = reader_u64(r);
		struct when when = {.us = (int64_t)reader_u64(r)};
		uint32_t rate = reader_u32(r);

		if (r->bad || kind > RATE_OF_INTERFACE || rate == 0)
			return 0;
		sampling_set(&x->sampling, kind, id, rate, when);
	}
	if (r->bad)
		return 0;
	if (settled)
		exporters_settle(known->exporters, x);
	return 1;
}

static int
take_names(struct exporter *x, struct reader *r)
{
	while (r->left > 0) {
		struct label_set l = {.kind = reader_u8(r)};

		l.when.us = (int64_t)reader_u64(r);
		l.id_len = reader_u8(r);
		l.id = reader_bytes(r, l.id_len);
		l.len = reader_u8(r);
		l.text = (const char *)reader_bytes(r, l.len);
		if (r->bad || l.kind >= LABEL_KINDS)
			return 0;
		/* past a bound they are not kept: so be it */
		labels_set(&x->labels, &l);
	}
	return !r->bad;
}

/* Counts that this program does not know are passed over. */
static int
take_counts(struct ledger *l, struct reader *r)
{
	while (r->left > 0) {
		size_t len = reader_u8(r);
		const char *name = (const char *)reader_bytes(r, len);
		uint64_t n = reader_u64(r);
		enum ledger_count c;

		if (r->bad)
			return 0;
		c = ledger_find(name, len);
		if (c < LEDGER_COUNTS)
			l->n[c] += n;
	}
	return 1;
}

static int
take_ledger(struct exporter *x, struct reader *r)
{
	struct sequence *q = &x->sequence;
	uint8_t gaps;

	q->next = reader_u32(r);
	q->known = reader_u8(r) == 1;
	gaps = reader_u8(r);
	for (uint8_t i = 0; i < gaps && !r->bad; i++) {
		struct gap *g = &q->gaps[i % SEQUENCE_GAPS];

		g->from = reader_u32(r);
		g->n = reader_u32(r);
	}
	q->gap = gaps % SEQUENCE_GAPS;
	x->seen_us = (int64_t)reader_u64(r);
	x->ahead_us = (int64_t)reader_u64(r);
	if (r->bad)
		return 0;
	return take_counts(&x->ledger, r);
}

int
saved_take_counts(struct ledger *l, const void *key, size_t key_len,
		  const void *value, size_t len)
{
	struct reader r;

	if (!open_value(&r, key, key_len, value, len))
		return 0;
	return take_counts(l, &r);
}

static uint32_t
flags_of(const struct exporter_key *k, bool options)
{
	return (k->version == 10 ? 0 : PLAN_V9) |
	       (ip_is_v4(k->addr) ? 0 : PLAN_V6) | (options ? PLAN_OPTIONS : 0);
}

static bool
read_fields(struct reader *r, struct wire_field *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		f[i].enterprise = reader_u32(r);
		f[i].id = reader_u16(r);
		f[i].length = reader_u16(r);
		if (f[i].length == 0)
			return false;
	}
	return !r->bad && r->left == 0;
}

static int
take_template(const struct known *known, struct exporter *x, uint16_t id,
	      struct reader *r)
{
	struct wire_field fields[PLAN_FIELDS_MAX];
	struct templates_user user = {.plans = known->plans,
				      .ledger = &x->ledger};
	uint32_t flags = flags_of(&x->key, reader_u8(r));
	uint16_t scopes = reader_u16(r);
	size_t n = r->left / 8;
	struct plan *plan;

	if (n == 0 || n > PLAN_FIELDS_MAX || scopes > n ||
	    !read_fields(r, fields, n))
		return 0;
	plan = plans_get(known->plans, flags, fields, (uint16_t)n, scopes);
	if (!plan)
		return -1;
	return templates_restore(&x->templates, &user, id, plan) == 0 ? 1 : -1;
}

int
saved_take_known(const struct known *known, const void *key, size_t key_len,
		 const void *value, size_t len)
{
	struct reader k = reader_of(key, key_len), r;
	struct exporter_key ek;
	struct exporter *x;
	uint16_t id;
	int rc = 0;

	if (key_len != SAVED_KEY || !read_exporter_key(&k, &ek) ||
	    !open_value(&r, key, key_len, value, len))
		return 0;
	id = reader_u16(&k);
	x = exporters_get(known->exporters, &ek);
	if (!x)
		return -1;
	if (id == SAVED_EXPORTER)
		rc = take_exporter(known, x, &r);
	else if (id == SAVED_NAMES)
		rc = take_names(x, &r);
	else if (id == SAVED_LEDGER)
		rc = known->ledgers ? take_ledger(x, &r) : 1;
	else if (id >= TEMPLATE_MIN)
		rc = take_template(known, x, id, &r);
	exporters_trim(known->exporters, x);
	return rc;
}

/* Milliseconds within reason. */
static int64_t
ago(uint64_t us)
{
	int64_t ms = (int64_t)us / 1000;

	return ms < -REASON_MS ? -REASON_MS : ms > REASON_MS ? REASON_MS : ms;
}

int
saved_take_held(const struct known *known, const void *key, size_t key_len,
		const void *value, size_t len, int64_t clock_us)
{
	struct reader r;
	struct exporter_key ek;
	struct exporter *x;
	struct held h = {0};

	if (key_len != sizeof(h.number) ||
	    !open_value(&r, key, key_len, value, len) ||
	    !read_exporter_key(&r, &ek))
		return 0;
	memcpy(&h.number, key, sizeof(h.number));
	h.id = reader_u16(&r);
	h.port = reader_u16(&r);
	h.time_us = (int64_t)reader_u64(&r);
	h.clock.export_us = (int64_t)reader_u64(&r);
	h.clock.uptime = reader_u32(&r);
	h.held_ms = ago(reader_u64(&r) - (uint64_t)clock_us);
	h.binding_len = reader_u16(&r);
	h.binding = (const char *)reader_bytes(&r, h.binding_len);
	if (r.bad || h.id < TEMPLATE_MIN || h.number == UINT64_MAX ||
	    h.binding_len >= BINDING_NAME_MAX ||
	    r.left > DATAGRAM_PAYLOAD_MAX ||
	    (ek.version != 9 && ek.version != 10))
		return 0;
	h.len = (uint16_t)r.left;
	h.body = r.p;
	x = exporters_get(known->exporters, &ek);
	if (!x)
		return -1;
	x->ledger.n[LEDGER_SETS]++;
	waiting_restore(known->waiting, &x->waiter, &h);
	return 1;
}
