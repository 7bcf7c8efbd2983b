/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowdecode/fixed.h"
#include "flowdecode/reader.h"

enum {
	SET_HEADER = 4,
	SET_RESERVED = 256, /* ids from here on are of data */
};

struct configured {
	uint8_t addr[16];
	uint32_t rate;
};

struct decoder {
	struct piles *piles;
	struct plans *plans;
	struct exporters *exporters;
	struct waiting *waiting;
	struct plan *fixed[FIXED_FORMATS][2]; /* by family of the exporter */
	struct configured *configured;
	size_t configured_n;
	bool no_labels;
	bool scope_port;
	void (*notice)(void *ctx, const struct exporter *, enum ledger_count);
	void *notice_ctx;
	struct cell cells[PLAN_CELLS]; /* of the set at hand */
};

/* A datagram on its way through. */
struct message {
	const struct datagram *dg;
	struct reader r;
	uint16_t version;
	uint16_t count; /* of v1, v5, v7: records */
	uint32_t sequence;
	struct clock clock;
	struct exporter *exporter;
	struct stamp stamp;
	bool v6;	      /* the exporter's address */
	uint32_t header_rate; /* of v5, 0 if none */
	uint32_t configured;  /* 0 if none */
	uint32_t records;     /* of data and options, seen */
	unsigned withdrew;    /* see templates_take */
	bool unknown;	      /* a set could not be decoded */
	struct when when;
	struct err *err;
};

static void
make_fixed(struct decoder *d)
{
	for (int i = 0; i < FIXED_FORMATS; i++)
		for (int v6 = 0; v6 < 2; v6++)
			d->fixed[i][v6] = plans_get(
			    d->plans, PLAN_V9 | (v6 ? PLAN_V6 : 0),
			    fixed_formats[i].fields, fixed_formats[i].n, 0);
}

struct decoder *
decoder_new(uint64_t stream, const struct sink *sink)
{
	struct decoder *d = calloc(1, sizeof(*d));
	bool ok;

	if (!d)
		return NULL;
	d->plans = plans_new();
	d->piles = piles_new(stream, sink);
	d->waiting = waiting_new();
	if (d->plans && d->waiting)
		d->exporters = exporters_new(d->plans, d->waiting);
	ok = d->piles && d->exporters;
	if (ok)
		make_fixed(d);
	for (int i = 0; ok && i < FIXED_FORMATS; i++)
		ok = d->fixed[i][0] && d->fixed[i][1];
	if (ok)
		return d;
	decoder_free(d);
	return NULL;
}

void
decoder_continue(struct decoder *d, uint64_t stream, uint64_t number)
{
	piles_continue(d->piles, stream, number);
}

void
decoder_free(struct decoder *d)
{
	if (!d)
		return;
	exporters_free(d->exporters);
	waiting_free(d->waiting);
	plans_free(d->plans);
	piles_free(d->piles);
	free(d->configured);
	free(d);
}

int
decoder_configure_rate(struct decoder *d, const uint8_t addr[16], uint32_t rate)
{
	size_t n = d->configured_n + 1;
	struct configured *c = realloc(d->configured, n * sizeof(*c));

	if (!c)
		return -1;
	d->configured = c;
	memcpy(c[n - 1].addr, addr, 16);
	c[n - 1].rate = rate;
	d->configured_n = n;
	return 0;
}

void
decoder_wait(struct decoder *d, size_t bytes, int64_t ms)
{
	waiting_limit(d->waiting, bytes, ms);
}

void
decoder_names(struct decoder *d, bool on)
{
	d->no_labels = !on;
}

void
decoder_scope(struct decoder *d, bool port)
{
	d->scope_port = port;
}

void
decoder_on_notice(struct decoder *d,
		  void (*f)(void *, const struct exporter *, enum ledger_count),
		  void *ctx)
{
	d->notice = f;
	d->notice_ctx = ctx;
}

int
decoder_tick(struct decoder *d, int64_t now_ms, struct err *e)
{
	waiting_tick(d->waiting, now_ms);
	return piles_tick(d->piles, now_ms, e);
}

int
decoder_flush(struct decoder *d, struct err *e)
{
	return piles_flush(d->piles, e);
}

void
decoder_total(const struct decoder *d, struct ledger *l)
{
	exporters_total(d->exporters, l);
}

const struct exporters *
decoder_exporters(const struct decoder *d)
{
	return d->exporters;
}

size_t
decoder_shapes(const struct decoder *d)
{
	return piles_shapes(d->piles);
}

struct known
decoder_known(const struct decoder *d)
{
	return (struct known){d->exporters, d->plans, d->waiting, false};
}

size_t
decoder_waiting_bytes(const struct decoder *d)
{
	return waiting_bytes(d->waiting);
}

/* Counting. */

static void
count(struct message *m, enum ledger_count c)
{
	m->exporter->ledger.n[c]++;
}

/* Counts what should not be; the first of its kind is worth a word. */
static void
count_bad(struct decoder *d, struct message *m, enum ledger_count why,
	  uint32_t n)
{
	uint64_t before = m->exporter->ledger.n[why];

	m->exporter->ledger.n[why] += n;
	if (before == 0 && d->notice)
		d->notice(d->notice_ctx, m->exporter, why);
}

static void
malformed_set(struct decoder *d, struct message *m, enum ledger_count why)
{
	count(m, LEDGER_SETS_MALFORMED);
	count_bad(d, m, why, 1);
}

/* Records. */

/* Points a copy at a field. */
static void
aim(struct copy *c, const struct plan *plan, const struct op *op,
    const uint8_t *base, const struct cell *cells)
{
	const struct place *at = &plan->places[op->field], *aux = at;

	c->src = base + at->off;
	c->len = at->len == FIELD_VARIABLE ? 0 : at->len;
	c->cells = cells ? cells + at->segment : NULL;
	if (op->aux != NO_FIELD && op->kind < COPY_FIXED &&
	    !copy_adds(op->kind))
		aux = &plan->places[op->aux];
	c->aux = base + aux->off;
	c->aux_cells = cells ? cells + aux->segment : NULL;
}

/* What becomes a string or bytes. */
static int
copy_text(const struct message *m, const struct op *op, const struct copy *c,
	  struct column *col, uint32_t row)
{
	struct label_copy named = {.labels = &m->exporter->labels,
				   .kind = (enum label_kind)op->aux,
				   .copy = c,
				   .when = m->when};

	if (op->kind == COPY_LABEL)
		return labels_copy(&named, col, row, m->err);
	return copy_run_bytes(c, col, row, m->err);
}

/* N records, which lie at BASE one after another, or as CELLS say. */
static int
copy_records(const struct message *m, const struct plan *plan,
	     const uint8_t *base, const struct cell *cells, uint32_t n)
{
	struct batch *b = plan->pile->batch;
	int rc = 0;
	struct copy c = {.n = n,
			 .stride = plan->length,
			 .step = plan->segments_n,
			 .clock = &m->clock};

	for (size_t i = 0; i < plan->ops_n && rc == 0; i++) {
		const struct op *op = &plan->ops[i];
		struct column *col = &b->cols[op->column];

		c.kind = (enum copy_kind)op->kind;
		aim(&c, plan, op, base, cells);
		if (copy_adds(op->kind))
			c.times =
			    (const int64_t *)b->cols[op->aux].data + b->rows;
		c.out = (char *)col->data + (size_t)b->rows * op->width;
		if (op->kind < COPY_FIXED)
			copy_run(&c);
		else
			rc = copy_text(m, op, &c, col, b->rows);
	}
	return rc;
}

/*
 * Records of a set with one stamp.  BASE is the first of them in a plan of
 * fixed layout, and the start of the set in others.
 */
struct run {
	const uint8_t *base;
	const struct cell *cells; /* of the first; NULL if fixed */
	uint32_t n;
	size_t bytes; /* of all records, about */
};

/* The same without its first N. */
static struct run
run_skip(struct run run, const struct plan *plan, uint32_t n)
{
	run.bytes -= n * (run.bytes / run.n);
	run.n -= n;
	if (run.cells)
		run.cells += (size_t)n * plan->segments_n;
	else
		run.base += (size_t)n * plan->length;
	return run;
}

static int
take_run(struct decoder *d, struct message *m, const struct plan *plan,
	 struct run run)
{
	while (run.n > 0) {
		int64_t n =
		    pile_begin(d->piles, plan->pile, run.n, &m->stamp, m->err);

		if (n < 0 || copy_records(m, plan, run.base, run.cells,
					  (uint32_t)n) != 0)
			return -1;
		if (pile_end(d->piles, plan->pile, (uint32_t)n,
			     (size_t)n * (run.bytes / run.n), m->err) != 0)
			return -1;
		run = run_skip(run, plan, (uint32_t)n);
	}
	return 0;
}

static void
set_rate(struct message *m, uint32_t rate)
{
	m->stamp.rate = rate ? rate : 1;
	m->stamp.rate_source = rate ? RATE_ANNOUNCED : RATE_UNKNOWN;
	if (m->configured) {
		m->stamp.rate = m->configured;
		m->stamp.rate_source = RATE_CONFIGURED;
	}
}

/* Splits where the sampling rate changes. */
static int
take_varying(struct decoder *d, struct message *m, const struct plan *plan,
	     struct run run)
{
	const struct sampling *s = &m->exporter->sampling;
	struct run part, rest;

	for (; run.n > 0; run = rest) {
		uint32_t rate =
		    sampling_rate(s, plan, run.base, run.cells, m->when);

		part = rest = run;
		do
			rest = run_skip(rest, plan, 1);
		while (rest.n > 0 &&
		       sampling_rate(s, plan, rest.base, rest.cells, m->when) ==
			   rate);
		part.n -= rest.n;
		part.bytes -= rest.bytes;
		set_rate(m, rate);
		if (take_run(d, m, plan, part) != 0)
			return -1;
	}
	return 0;
}

/* The header of IPFIX has no uptime, but the exporter may have told when it
 * began. */
static void
set_uptime(struct message *m)
{
	int64_t init_ms = m->exporter->init_ms;

	if (m->version == 10 && init_ms)
		m->clock.uptime =
		    (uint32_t)((uint64_t)(m->clock.export_us / 1000) -
			       (uint64_t)init_ms);
}

static int
take_records(struct decoder *d, struct message *m, struct plan *plan,
	     const struct run *run)
{
	const struct sampling *s = &m->exporter->sampling;

	m->records += run->n;
	if (run->n == 0)
		return 0;
	set_uptime(m);
	if (plan->made != piles_generation(d->piles) &&
	    plan_make(d->plans, plan, d->piles, m->err) != 0)
		return -1;
	if (plan->refused) {
		count_bad(d, m, LEDGER_RECORDS_DROPPED, run->n);
		return 0;
	}
	m->exporter->ledger.n[LEDGER_RECORDS] += run->n;
	if (!m->configured && sampling_varies(s, plan))
		return take_varying(d, m, plan, *run);
	set_rate(m, m->header_rate
			? m->header_rate
			: sampling_rate(s, plan, NULL, NULL, m->when));
	return take_run(d, m, plan, *run);
}

/* Sets of data. */

/*
 * Finds the records of a body of any layout: how many there are, their cells
 * in d->cells.  What is left over and too short for a record is padding; a
 * record that the end cuts makes the reader bad.
 */
static uint32_t
walk_records(struct decoder *d, const struct plan *plan, struct reader *r)
{
	const uint8_t *base = r->p;
	size_t at = 0;
	uint32_t n = 0;

	/* a segment takes a byte at least, so there are cells enough */
	while (r->left >= plan->length &&
	       plan_walk(plan, r, base, d->cells + at)) {
		at += plan->segments_n;
		n++;
	}
	return n;
}

static struct run
find_records(struct decoder *d, const struct plan *plan, struct reader *r)
{
	struct run run = {.base = r->p, .bytes = r->left};

	if (plan->variable) {
		run.cells = d->cells;
		run.n = walk_records(d, plan, r);
	} else {
		run.n = (uint32_t)(r->left / plan->length);
		reader_bytes(r, (size_t)run.n * plan->length);
	}
	return run;
}

/* Flags of plans. */
static uint32_t
learned(const struct exporter *x)
{
	return x->labels.flags | (x->init_ms ? PLAN_UPTIME : 0);
}

/* 0 is a clock that was not set. */
static void
learn_init(struct exporter *x, int64_t init_ms)
{
	if (init_ms == 0)
		return;
	x->changed |= x->init_ms != init_ms;
	x->init_ms = init_ms;
}

static void
learn(struct decoder *d, struct message *m, const struct plan *plan,
      struct run run)
{
	m->records += run.n;
	m->exporter->ledger.n[LEDGER_RECORDS_OPTIONS] += run.n;
	for (; run.n > 0; run = run_skip(run, plan, 1)) {
		sampling_learn(&m->exporter->sampling, plan, run.base,
			       run.cells, m->when);
		if (plan->init != NO_FIELD)
			learn_init(m->exporter,
				   (int64_t)plan_uint(plan, run.base, run.cells,
						      plan->init));
		if (!d->no_labels)
			m->exporter->ledger.n[LEDGER_NAMES_DROPPED] +=
			    labels_learn(&m->exporter->labels, plan, run.base,
					 run.cells, m->when);
	}
	exporters_trim(d->exporters, m->exporter);
}

/* A set whose template is not known. */
static void
hold(struct decoder *d, struct message *m, uint16_t id, struct reader body)
{
	const struct datagram *dg = m->dg;
	struct held h = {
	    .time_us = dg->time_us,
	    .clock = m->clock,
	    .body = body.p,
	    .binding = dg->binding,
	    .id = id,
	    .port = dg->port,
	    .len = (uint16_t)body.left,
	    .binding_len = (uint16_t)dg->binding_len,
	};

	waiting_hold(d->waiting, &m->exporter->waiter, &h);
	m->unknown = true;
}

static int
take_data(struct decoder *d, struct message *m, uint16_t id, struct reader body)
{
	struct plan *plan = templates_find(&m->exporter->templates, id);
	struct run run;

	if (!plan) {
		hold(d, m, id, body);
		return 0;
	}
	if (learned(m->exporter) & plan->useful & ~plan->flags) {
		plan = templates_reflag(&m->exporter->templates, d->plans, id,
					plan->flags | learned(m->exporter));
		if (!plan)
			return err_set(m->err, "out of memory for a template");
	}
	run = find_records(d, plan, &body);
	if (plan->flags & PLAN_OPTIONS)
		learn(d, m, plan, run);
	else if (take_records(d, m, plan, &run) != 0)
		return -1;
	if (body.bad || (run.n == 0 && body.left > 0)) {
		malformed_set(d, m, LEDGER_BAD_RECORD);
		m->unknown = true;
		return 0;
	}
	count(m, plan->flags & PLAN_OPTIONS ? LEDGER_SETS_OPTIONS
					    : LEDGER_SETS_DECODED);
	return 0;
}

static uint32_t
plan_flags(const struct message *m)
{
	return (m->version == 10 ? 0 : PLAN_V9) | (m->v6 ? PLAN_V6 : 0) |
	       learned(m->exporter);
}

static void
stamp_message(struct decoder *d, struct message *m, uint32_t source_id)
{
	const struct datagram *dg = m->dg;

	m->stamp = (struct stamp){
	    .time_us = dg->time_us,
	    .addr_v4 = m->v6 ? 0 : ip_v4(dg->addr),
	    .source_id = source_id,
	    .port = dg->port,
	    .version = (uint8_t)m->version,
	    .binding = dg->binding,
	    .binding_len = dg->binding_len,
	};
	memcpy(m->stamp.addr, dg->addr, 16);
	for (size_t i = 0; i < d->configured_n; i++)
		if (memcmp(d->configured[i].addr, dg->addr, 16) == 0)
			m->configured = d->configured[i].rate;
}

/* Templates came or went: what waits for them is decoded or given up. */
struct awaited {
	struct decoder *d;
	struct message *m;
};

static int
take_held(struct decoder *d, const struct message *now, const struct held *h)
{
	struct datagram dg = {.time_us = h->time_us,
			      .port = h->port,
			      .binding = h->binding,
			      .binding_len = h->binding_len};
	struct message m = {.dg = &dg,
			    .version = now->version,
			    .clock = h->clock,
			    .exporter = now->exporter,
			    .v6 = now->v6,
			    .err = now->err};

	m.when = (struct when){h->time_us, true};
	memcpy(dg.addr, now->dg->addr, sizeof(dg.addr));
	stamp_message(d, &m, now->stamp.source_id);
	return take_data(d, &m, h->id, reader_of(h->body, h->len));
}

static int
on_defined(void *ctx, uint16_t id, struct err *e)
{
	struct awaited *a = ctx;
	struct held *h;
	int rc = 0;

	(void)e; /* the message's */
	while (rc == 0 &&
	       (h = waiting_take(a->d->waiting, &a->m->exporter->waiter, id))) {
		rc = take_held(a->d, a->m, h);
		waiting_done(h);
	}
	return rc;
}

/* What waits was of the template that goes, and not of its successor. */
static void
on_withdrawn(void *ctx, uint16_t id)
{
	struct awaited *a = ctx;
	struct waiter *w = &a->m->exporter->waiter;

	if (id)
		waiting_give_up(a->d->waiting, w, id);
	else
		waiting_clear(a->d->waiting, w);
}

static int
take_templates(struct decoder *d, struct message *m, uint32_t options,
	       struct reader body)
{
	struct awaited a = {d, m};
	struct templates_user user = {.plans = d->plans,
				      .ledger = &m->exporter->ledger,
				      .withdrew = &m->withdrew,
				      .ctx = &a,
				      .defined = on_defined,
				      .withdrawn = on_withdrawn};
	int rc = templates_take(&m->exporter->templates, &user,
				plan_flags(m) | options, body, m->err);

	if (rc < 0)
		return -1;
	if (rc == 0)
		malformed_set(d, m, LEDGER_BAD_TEMPLATE);
	else
		count(m, LEDGER_SETS_TEMPLATES);
	exporters_trim(d->exporters, m->exporter);
	return 0;
}

static int
take_set(struct decoder *d, struct message *m, uint16_t id, struct reader body)
{
	bool v9 = m->version == 9;

	count(m, LEDGER_SETS);
	if (id >= SET_RESERVED)
		return take_data(d, m, id, body);
	if (id == (v9 ? 0 : 2))
		return take_templates(d, m, 0, body);
	if (id == (v9 ? 1 : 3))
		return take_templates(d, m, PLAN_OPTIONS, body);
	malformed_set(d, m, LEDGER_BAD_SET_ID);
	return 0;
}

/* Sets up to the end, by their lengths; zeros behind the last are padding. */
static int
take_sets(struct decoder *d, struct message *m)
{
	while (m->r.left >= SET_HEADER) {
		uint16_t id = reader_u16(&m->r);
		size_t len = reader_u16(&m->r);
		struct reader body;

		if (id == 0 && len == 0 && reader_zeros(&m->r))
			return 0;
		if (len < SET_HEADER || len - SET_HEADER > m->r.left) {
			count(m, LEDGER_SETS);
			malformed_set(d, m, LEDGER_BAD_SET);
			m->unknown = true;
			return 0;
		}
		body = reader_sub(&m->r, len - SET_HEADER);
		if (take_set(d, m, id, body) != 0)
			return -1;
	}
	if (!reader_zeros(&m->r))
		count_bad(d, m, LEDGER_BAD_TRAILING, 1);
	return 0;
}

/* Headers. */

static int64_t
since_1970(uint32_t secs, uint32_t nsecs)
{
	return (int64_t)secs * 1000000 + nsecs / 1000;
}

/* The header was read: who sent it? VERSION 0 is no NetFlow. */
static int
meet(struct decoder *d, struct message *m, uint16_t version, uint32_t source_id)
{
	struct exporter_key key = {.source_id = source_id, .version = version};

	if (d->scope_port)
		key.port = m->dg->port;
	memcpy(key.addr, m->dg->addr, sizeof(key.addr));
	m->v6 = !ip_is_v4(m->dg->addr);
	m->exporter = exporters_get(d->exporters, &key);
	if (!m->exporter)
		return err_set(m->err, "out of memory for an exporter");
	count(m, LEDGER_DATAGRAMS);
	m->exporter->seen_us = m->dg->time_us;
	if (version != 0 && !m->r.bad)
		m->exporter->ahead_us = m->clock.export_us - m->dg->time_us;
	stamp_message(d, m, source_id);
	return 0;
}

/* A datagram without a whole header. */
static int
refuse(struct decoder *d, struct message *m, enum ledger_count why)
{
	if (meet(d, m, why == LEDGER_BAD_VERSION ? 0 : m->version, 0) != 0)
		return -1;
	count_bad(d, m, why, 1);
	return 0;
}

/* The records of v1, v5 and v7 are one set, as long as the header's count says
 * and there is room for. */
static int
take_fixed_records(struct decoder *d, struct message *m, struct plan *plan)
{
	size_t room = m->r.left / plan->length;
	struct run run = {.base = m->r.p};

	run.n = m->count < room ? m->count : (uint32_t)room;
	run.bytes = (size_t)run.n * plan->length;
	count(m, LEDGER_SETS);
	if (take_records(d, m, plan, &run) != 0)
		return -1;
	reader_bytes(&m->r, run.bytes);
	if (m->count > room) {
		malformed_set(d, m, LEDGER_BAD_COUNT);
		return 0;
	}
	count(m, LEDGER_SETS_DECODED);
	if (!reader_zeros(&m->r))
		count_bad(d, m, LEDGER_BAD_TRAILING, 1);
	return 0;
}

static int
take_fixed(struct decoder *d, struct message *m, int format)
{
	struct reader *r = &m->r;
	uint32_t secs, nsecs, source_id = 0;
	uint16_t sampling = 0;

	m->count = reader_u16(r);
	m->clock.uptime = reader_u32(r);
	secs = reader_u32(r);
	nsecs = reader_u32(r);
	m->clock.export_us = since_1970(secs, nsecs);
	if (m->version != 1)
		m->sequence = reader_u32(r);
	if (m->version == 5) {
		source_id = reader_u16(r); /* engine_type, engine_id */
		sampling = reader_u16(r);
	}
	if (m->version == 7)
		reader_u32(r);
	if (r->bad)
		return refuse(d, m, LEDGER_BAD_HEADER);
	if (meet(d, m, m->version, source_id) != 0)
		return -1;
	m->header_rate = sampling & 0x3fff; /* the mode is above */
	if (m->version != 1)
		exporter_sequence(m->exporter, m->sequence, m->count);
	return take_fixed_records(d, m, d->fixed[format][m->v6]);
}

static int
take_v9(struct decoder *d, struct message *m)
{
	struct reader *r = &m->r;
	uint32_t secs, source_id;

	reader_u16(r); /* count: of records of any kind, often wrong */
	m->clock.uptime = reader_u32(r);
	secs = reader_u32(r);
	m->clock.export_us = since_1970(secs, 0);
	m->sequence = reader_u32(r);
	source_id = reader_u32(r);
	if (r->bad)
		return refuse(d, m, LEDGER_BAD_HEADER);
	if (meet(d, m, 9, source_id) != 0)
		return -1;
	exporter_sequence(m->exporter, m->sequence, 1);
	return take_sets(d, m);
}

/* A sequence number counts records, so it is of use only where all could be
 * counted. */
static void
ipfix_sequence(struct message *m)
{
	exporter_sequence(m->exporter, m->sequence, m->records);
	if (m->unknown)
		m->exporter->sequence.known = false;
}

static int
take_ipfix(struct decoder *d, struct message *m)
{
	struct reader *r = &m->r;
	uint16_t length = reader_u16(r);
	uint32_t secs = reader_u32(r), domain;

	m->clock.export_us = since_1970(secs, 0);
	m->sequence = reader_u32(r);
	domain = reader_u32(r);
	if (r->bad)
		return refuse(d, m, LEDGER_BAD_HEADER);
	if (meet(d, m, 10, domain) != 0)
		return -1;
	if (length != m->dg->len)
		count_bad(d, m, LEDGER_BAD_LENGTH, 1);
	if (length < m->dg->len) {
		size_t head = m->dg->len - r->left;

		*r = reader_sub(r, length > head ? length - head : 0);
	}
	if (take_sets(d, m) != 0)
		return -1;
	ipfix_sequence(m);
	return 0;
}

int
decoder_datagram(struct decoder *d, const struct datagram *dg, struct err *e)
{
	struct message m = {
	    .dg = dg, .err = e, .r = reader_of(dg->payload, dg->len)};

	m.when.us = dg->time_us;
	m.version = reader_u16(&m.r);
	if (m.r.bad)
		return refuse(d, &m, LEDGER_BAD_VERSION);
	if (m.version == 9)
		return take_v9(d, &m);
	if (m.version == 10)
		return take_ipfix(d, &m);
	for (int i = 0; i < FIXED_FORMATS; i++)
		if (fixed_formats[i].version == m.version)
			return take_fixed(d, &m, i);
	return refuse(d, &m, LEDGER_BAD_VERSION);
}
