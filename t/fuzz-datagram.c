/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile datagrams into the decoder.  The input is a sequence of steps, so
 * that what mutates is not only bytes but templates and the data for them:
 *
 *	0 VERSION WHO		send what there is, begin a datagram
 *	1 ID N (FIELD)*N	a set with a template
 *	2 ID N SCOPES (FIELD)*N	a set with an options template
 *	3 ID N BYTE*N		a set of data
 *	4 N BYTE*N		bytes as they are
 *	5 CUT			take bytes off the end
 *	6 AT BYTE		change a byte
 *	7			flush
 *	15 SECONDS		let time pass
 *	23 BYTES		as 39, and let so much wait, in steps of 64
 *	31			tell ports apart from here on
 *	39			go on with a new decoder that takes in what
 *				this one knows, as after a restart
 *	47 WHO RATE		set the sampling rate of an exporter
 *	55			no names from here on
 *	63 ID N			a set of data of 16 * N bytes: small numbers
 *	71			save what has changed
 *
 * What comes out is read to the last value; after each datagram the ledger
 * must add up, and what is kept must be within its bounds.  What was saved,
 * change by change, must be what there is.
 */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowdecode/decoder.h"
#include "flowdecode/reader.h"
#include "flowdecode/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum {
	ENOUGH = 64 << 10, /* bytes of datagrams for one input */
	WAIT = 4 << 10,
	WAIT_LONG = 60000,
	HELD_MAX = 256, /* no more of them have room */
};

struct world {
	struct decoder *d;
	uint64_t rows; /* that it gave */
	int64_t now_ms, time_us;
	size_t wait;
	uint8_t who; /* sends the datagram in the making */
	bool ports, nameless;
	struct rate_of {
		uint8_t addr[16];
		uint32_t rate;
	} rates[4];
	size_t rates_n;
	uint64_t saved[HELD_MAX]; /* numbers of sets that wait, as saved */
	size_t saved_n;
};

static uint8_t wire[65535];
static size_t len;
static uint64_t sum; /* keeps reads from being left out */

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_column(const struct column *c, enum col_type t, uint32_t rows)
{
	struct value v;

	for (uint32_t i = 0; i < rows; i++) {
		column_value(c, t, i, &v);
		if (v.type != COL_STRING && v.type != COL_BYTES) {
			sum += v.u;
			continue;
		}
		must(v.len <= c->bytes_len);
		must(v.type == COL_BYTES || text_utf8(v.s, v.len) == v.len);
		for (size_t k = 0; k < v.len; k++)
			sum += (uint8_t)v.s[k];
	}
}

static int
take_batch(void *ctx, const struct batch *b, struct err *e)
{
	uint64_t *rows = ctx;

	(void)e;
	must(b->rows > 0 && b->rows <= PILE_ROWS);
	*rows += b->rows;
	for (size_t i = 0; i < b->shape->n; i++)
		check_column(&b->cols[i], b->shape->fields[i].type, b->rows);
	return 0;
}

static int
take_commit(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static void
put(uint64_t v, size_t n)
{
	if (n > sizeof(wire) - len)
		return;
	for (size_t i = n; i > 0; i--)
		wire[len++] = (uint8_t)(v >> 8 * (i - 1));
}

static void
put_bytes(struct reader *r, size_t n)
{
	const uint8_t *p;

	if (n > r->left)
		n = r->left;
	if (n > sizeof(wire) - len)
		n = sizeof(wire) - len;
	p = reader_bytes(r, n);
	memcpy(wire + len, p, n);
	len += n;
}

static void
begin(uint8_t version)
{
	static const uint8_t versions[] = {9, 10, 5, 1, 7, 9, 10, 8};

	len = 0;
	version = versions[version % sizeof(versions)];
	put(version, 2);
	put(3, 2);
	if (version != 10)
		put(1000, 4);
	put(1700000000, 4);
	if (version == 1 || version == 5 || version == 7)
		put(0, 4);
	if (version != 1)
		put(0, 8);
}

static void
address_of(uint8_t who, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (who & 1)
		memset(addr + 10, 0xff, 2);
	addr[15] = who >> 1 & 7;
}

static struct decoder *
new_decoder(struct world *w)
{
	struct sink sink = {
	    .ctx = &w->rows, .batch = take_batch, .commit = take_commit};
	struct decoder *d = decoder_new(1, &sink);
	struct err e;

	must(d != NULL);
	w->rows = 0;
	decoder_wait(d, w->wait, WAIT_LONG);
	decoder_scope(d, w->ports);
	decoder_names(d, !w->nameless);
	for (size_t i = 0; i < w->rates_n; i++)
		must(decoder_configure_rate(d, w->rates[i].addr,
					    w->rates[i].rate) == 0);
	must(decoder_tick(d, w->now_ms, &e) == 0);
	return d;
}

static void
check_ledger(const struct ledger *l)
{
	must(l->n[LEDGER_SETS] ==
	     l->n[LEDGER_SETS_DECODED] + l->n[LEDGER_SETS_OPTIONS] +
		 l->n[LEDGER_SETS_TEMPLATES] + l->n[LEDGER_SETS_WAITING] +
		 l->n[LEDGER_SETS_EXPIRED] + l->n[LEDGER_SETS_MALFORMED]);
}

/* What must hold at any moment. */
static void
check(const struct world *w)
{
	struct exporters *es = decoder_known(w->d).exporters;
	struct exporter *x = NULL;
	struct ledger total;
	size_t n = 0;

	decoder_total(w->d, &total);
	check_ledger(&total);
	while ((x = exporters_next(es, x))) {
		check_ledger(&x->ledger);
		must(x->waiter.n == x->ledger.n[LEDGER_SETS_WAITING]);
		must(x->templates.n <= TEMPLATES_MAX);
		must(x->sampling.samplers.n <= RATES_MAX);
		must(x->labels.n <= LABELS_MAX);
		n++;
	}
	must(n == exporters_count(es) && n <= EXPORTERS_MAX);
	must(decoder_waiting_bytes(w->d) <= w->wait);
	must(decoder_shapes(w->d) <= PILE_SHAPES);
}

static void
give(struct world *w)
{
	struct datagram dg = {.time_us = ++w->time_us,
			      .port = w->who,
			      .binding = "fuzz",
			      .binding_len = 4};
	uint8_t *exact = malloc(len); /* a byte too far is seen */
	struct err e;

	must(exact || len == 0);
	if (len >= 4 && wire[1] == 10 && !(w->who & 0x80)) {
		wire[2] = (uint8_t)(len >> 8);
		wire[3] = (uint8_t)len;
	}
	if (len > 0)
		memcpy(exact, wire, len);
	address_of(w->who, dg.addr);
	dg.payload = exact;
	dg.len = len;
	must(decoder_datagram(w->d, &dg, &e) == 0);
	free(exact);
	check(w);
}

/* All is out, and counted. */
static void
finish(struct world *w)
{
	struct ledger total;
	struct err e;

	must(decoder_flush(w->d, &e) == 0);
	decoder_total(w->d, &total);
	must(total.n[LEDGER_RECORDS] == w->rows);
}

/* Elements that mean something to the decoder, with their lengths. */
static const uint16_t known_fields[][2] = {
    {8, 4},    {12, 4},	 {15, 4},      {27, 16},     {28, 16},	   {62, 16},
    {10, 2},   {14, 4},	 {1, 8},       {2, 4},	     {7, 2},	   {4, 1},
    {21, 4},   {22, 4},	 {34, 4},      {35, 1},	     {48, 1},	   {49, 1},
    {50, 4},   {56, 6},	 {82, 8},      {83, 65535},  {94, 65535},  {95, 4},
    {96, 40},  {130, 4}, {150, 4},     {151, 4},     {152, 8},	   {153, 8},
    {154, 8},  {155, 8}, {156, 8},     {157, 8},     {158, 4},	   {159, 4},
    {160, 8},  {161, 4}, {162, 4},     {210, 3},     {234, 4},	   {235, 4},
    {236, 32}, {276, 1}, {291, 65535}, {292, 65535}, {293, 65535}, {302, 2},
    {304, 2},  {305, 4}, {306, 4},     {309, 4},     {310, 4},	   {311, 4},
    {320, 8},  {434, 4}, {1, 4},       {2, 8},	     {95, 65535},  {82, 65535},
    {24, 8},   {136, 1}, {149, 4},     {323, 8}};

/*
 * ID HOW: element and length.  A known one as it should be, or of any length;
 * one of another enterprise, or the reverse of one of IANA's.
 */
static void
put_field(struct reader *r)
{
	static const uint16_t lengths[] = {1, 2, 4, 8, 16, 65535, 3, 0};
	uint8_t id = reader_u8(r), how = reader_u8(r);
	uint16_t length = lengths[how & 7];

	if ((how & 0x60) == 0x40) {
		const uint16_t *known = known_fields[id & 63];

		put(known[0], 2);
		put(how & 0x80 ? length : known[1], 2);
		return;
	}
	if ((how & 0x18) == 0x18)
		length = reader_u16(r);
	if ((how & 0x60) == 0x60 && wire[1] == 10) {
		put(0x8000 | id, 2);
		put(length, 2);
		put(how & 0x80 ? 29305 : reader_u16(r), 4);
		return;
	}
	put(how & 0x80 ? id + 256u : id, 2);
	put(length, 2);
}

static void
end_set(size_t start)
{
	wire[start + 2] = (uint8_t)((len - start) >> 8);
	wire[start + 3] = (uint8_t)(len - start);
}

static void
put_template(struct reader *r, bool options)
{
	uint16_t id = 256 + (reader_u8(r) & 7);
	uint8_t n = reader_u8(r), scopes = options ? reader_u8(r) : 0;
	bool v9 = wire[1] == 9;
	size_t start = len;

	if (sizeof(wire) - len < 3000)
		return;
	put((v9 ? 0 : 2) + options, 2);
	put(0, 2);
	put(id, 2);
	if (options && v9) {
		put(4u * scopes, 2);
		put(4u * n, 2);
	} else {
		put(n, 2);
		if (options)
			put(scopes, 2);
	}
	for (unsigned i = 0; i < (unsigned)n + (v9 ? scopes : 0); i++)
		put_field(r);
	end_set(start);
}

/* As the input says, or many bytes of small numbers. */
static void
put_data(struct reader *r, bool many)
{
	uint16_t id = 256 + (reader_u8(r) & 7);
	uint8_t n = reader_u8(r);
	size_t start = len;

	if (sizeof(wire) - len < 5000)
		return;
	put(id, 2);
	put(0, 2);
	if (many)
		for (unsigned i = 0; i < 16u * n; i++)
			put(i % 4 == 3 ? i / 16 % 8 : 0, 1);
	else
		put_bytes(r, n);
	end_set(start);
}

/* A value of a state goes from one decoder to another. */
static void
hand_on(const struct known *to, struct saved *s, const uint8_t *key, size_t n)
{
	saved_end(s, key, n);
	must(!s->bad);
	if (n == SAVED_KEY)
		must(saved_take_known(to, key, n, s->p, s->len) == 1);
	else
		must(saved_take_held(to, key, n, s->p, s->len, 0) == 1);
}

static void
hand_on_exporter(const struct known *to, struct saved *s,
		 const struct exporter *x)
{
	const struct templates *ts = &x->templates;
	uint8_t key[SAVED_KEY];

	saved_key(key, &x->key, SAVED_EXPORTER);
	saved_exporter(s, x);
	hand_on(to, s, key, sizeof(key));
	saved_key(key, &x->key, SAVED_NAMES);
	saved_names(s, x);
	hand_on(to, s, key, sizeof(key));
	for (size_t i = 0; ts->slots && i <= ts->mask; i++) {
		if (!ts->slots[i].id)
			continue;
		saved_key(key, &x->key, ts->slots[i].id);
		saved_template(s, ts->slots[i].plan);
		hand_on(to, s, key, sizeof(key));
	}
}

/* Another process goes on where this one was. */
static void
restart(struct world *w)
{
	struct decoder *old = w->d;
	struct known from = decoder_known(old), to;
	struct saved s = {0};
	struct ledger before, after;

	finish(w);
	w->saved_n = 0;
	w->d = new_decoder(w);
	to = decoder_known(w->d);
	for (struct exporter *x = exporters_next(from.exporters, NULL); x;
	     x = exporters_next(from.exporters, x))
		if (x->key.version >= 9)
			hand_on_exporter(&to, &s, x);
	for (struct held *h = waiting_unsaved(from.waiting, true); h;
	     h = h->newer) {
		saved_held(&s, h, 0);
		hand_on(&to, &s, (const uint8_t *)&h->number,
			sizeof(h->number));
	}
	decoder_total(old, &before);
	decoder_total(w->d, &after);
	must(after.n[LEDGER_SETS] == before.n[LEDGER_SETS_WAITING]);
	must(decoder_waiting_bytes(w->d) <= decoder_waiting_bytes(old));
	saved_clear(&s);
	decoder_free(old);
	check(w);
}

static void
forget_saved(struct world *w, uint64_t number)
{
	size_t i = 0;

	while (i < w->saved_n && w->saved[i] != number)
		i++;
	must(i < w->saved_n);
	w->saved[i] = w->saved[--w->saved_n];
}

/* What changed since the last time goes into what is saved, as state.c does
 * it. */
static void
save(struct world *w)
{
	struct known known = decoder_known(w->d);
	const struct exporter_key *keys;
	const uint64_t *gone;
	struct exporter *x = NULL;
	size_t n, held = 0;

	if (exporters_journal(known.exporters, &keys, &n) == 0)
		must(n <= GONE_MAX);
	exporters_journal_done(known.exporters);
	while ((x = exporters_next(known.exporters, x)))
		templates_saved(&x->templates);
	must(waiting_journal(known.waiting, &gone, &n) == 0);
	for (size_t i = 0; i < n; i++)
		forget_saved(w, gone[i]);
	for (struct held *h = waiting_unsaved(known.waiting, false); h;
	     h = h->newer) {
		must(!h->saved && w->saved_n < HELD_MAX);
		w->saved[w->saved_n++] = h->number;
	}
	waiting_saved(known.waiting);
	for (struct held *h = waiting_unsaved(known.waiting, true); h;
	     h = h->newer) {
		must(h->saved);
		held++;
	}
	must(held == w->saved_n);
}

static void
configure_rate(struct world *w, uint8_t who, uint8_t rate)
{
	struct rate_of *r = &w->rates[w->rates_n];

	if (w->rates_n == sizeof(w->rates) / sizeof(w->rates[0]))
		return;
	address_of(who, r->addr);
	r->rate = rate + 1u;
	w->rates_n++;
	must(decoder_configure_rate(w->d, r->addr, r->rate) == 0);
}

static void
turn(struct world *w, struct reader *r, unsigned what)
{
	struct err e;

	switch (what) {
	case 0:
		must(decoder_flush(w->d, &e) == 0);
		break;
	case 1:
		w->now_ms += 1000 * reader_u8(r);
		must(decoder_tick(w->d, w->now_ms, &e) == 0);
		break;
	case 2:
		w->wait = (size_t)reader_u8(r) * 64;
		restart(w);
		break;
	case 3:
		w->ports = true;
		decoder_scope(w->d, true);
		break;
	case 4:
		restart(w);
		break;
	case 5:
		configure_rate(w, reader_u8(r), reader_u8(r));
		break;
	case 6:
		w->nameless = true;
		decoder_names(w->d, false);
		break;
	case 7:
		put_data(r, true);
		break;
	default:
		save(w);
		break;
	}
}

static void
step(struct world *w, struct reader *r)
{
	uint8_t what = reader_u8(r), at;

	switch (what & 7) {
	case 0:
		give(w);
		begin(reader_u8(r));
		w->who = reader_u8(r);
		break;
	case 1:
	case 2:
		put_template(r, (what & 7) == 2);
		break;
	case 3:
		put_data(r, false);
		break;
	case 4:
		put_bytes(r, reader_u8(r));
		break;
	case 5:
		at = reader_u8(r);
		len -= at < len ? at : len;
		break;
	case 6:
		at = reader_u8(r);
		if (at < len)
			wire[at] = reader_u8(r);
		break;
	default:
		turn(w, r, what >> 3);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.wait = WAIT};
	struct reader r = reader_of(data, size);
	uint64_t sent = 0;

	w.d = new_decoder(&w);
	begin(0);
	while (r.left > 0 && sent < ENOUGH) {
		sent += len;
		step(&w, &r);
	}
	give(&w);
	finish(&w);
	decoder_free(w.d);
	return 0;
}
