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
 *	23 BYTES		let so much wait, in steps of 64
 *	31			tell ports apart from here on
 *
 * What comes out is read to the last value, and the ledger must add up.
 */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowdecode/decoder.h"
#include "flowdecode/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { ENOUGH = 64 << 10 }; /* bytes of datagrams for one input */

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
give(struct decoder *d, uint8_t who)
{
	struct datagram dg = {
	    .time_us = 1, .port = who, .binding = "fuzz", .binding_len = 4};
	uint8_t *exact = malloc(len + 1);
	struct err e;

	must(exact != NULL);
	if (len >= 4 && wire[1] == 10 && !(who & 0x80)) {
		wire[2] = (uint8_t)(len >> 8);
		wire[3] = (uint8_t)len;
	}
	memcpy(exact, wire, len);
	if (who & 1)
		memset(dg.addr + 10, 0xff, 2);
	dg.addr[15] = who >> 1 & 3;
	dg.payload = exact;
	dg.len = len;
	must(decoder_datagram(d, &dg, &e) == 0);
	free(exact);
}

/* Element and length: mostly those that mean something. */
static void
put_field(struct reader *r)
{
	static const uint16_t lengths[] = {1, 2, 4, 8, 16, 65535, 3, 0};
	uint8_t id = reader_u8(r), how = reader_u8(r);
	uint16_t length = lengths[how & 7];

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

static void
put_data(struct reader *r)
{
	uint16_t id = 256 + (reader_u8(r) & 7);
	uint8_t n = reader_u8(r);
	size_t start = len;

	if (sizeof(wire) - len < 300)
		return;
	put(id, 2);
	put(0, 2);
	put_bytes(r, n);
	end_set(start);
}

static void
turn(struct decoder *d, struct reader *r, unsigned what)
{
	static int64_t now_ms; /* never goes back, for any decoder */
	struct err e;

	if (what == 0)
		must(decoder_flush(d, &e) == 0);
	else if (what == 1)
		must(decoder_tick(d, now_ms += 1000 * reader_u8(r), &e) == 0);
	else if (what == 2)
		decoder_wait(d, (size_t)reader_u8(r) * 64, 60000);
	else
		decoder_scope(d, true);
}

static void
step(struct decoder *d, struct reader *r, uint8_t *who)
{
	uint8_t what = reader_u8(r), at;

	switch (what & 7) {
	case 0:
		give(d, *who);
		begin(reader_u8(r));
		*who = reader_u8(r);
		break;
	case 1:
	case 2:
		put_template(r, (what & 7) == 2);
		break;
	case 3:
		put_data(r);
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
		turn(d, r, what >> 3 & 3);
		break;
	}
}

static void
check_ledger(const struct decoder *d, uint64_t rows)
{
	struct ledger t;

	decoder_total(d, &t);
	must(t.n[LEDGER_RECORDS] == rows);
	must(t.n[LEDGER_SETS] ==
	     t.n[LEDGER_SETS_DECODED] + t.n[LEDGER_SETS_OPTIONS] +
		 t.n[LEDGER_SETS_TEMPLATES] + t.n[LEDGER_SETS_WAITING] +
		 t.n[LEDGER_SETS_EXPIRED] + t.n[LEDGER_SETS_MALFORMED]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t rows = 0, sent = 0;
	struct sink sink = {
	    .ctx = &rows, .batch = take_batch, .commit = take_commit};
	struct decoder *d = decoder_new(1, &sink);
	struct reader r = reader_of(data, size);
	uint8_t who = 0;
	struct err e;

	must(d != NULL);
	begin(0);
	while (r.left > 0 && sent < ENOUGH) {
		sent += len;
		step(d, &r, &who);
	}
	give(d, who);
	must(decoder_flush(d, &e) == 0);
	check_ledger(d, rows);
	decoder_free(d);
	return 0;
}
