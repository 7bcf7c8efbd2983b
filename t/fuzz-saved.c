/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of a state, hostile but with a checksum that is right, into the
 * decoder, and then data for the templates that come of it.  The input is a
 * sequence of
 *
 *	KIND WHO ID:2 N BYTE*N
 *
 * KIND even: a value of what is known; odd: a set that waits.
 */
#include <stdlib.h>
#include <string.h>

#include "flowdecode/decoder.h"
#include "flowdecode/reader.h"
#include "flowdecode/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { SUM = 8, VALUE_MAX = 4096 };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static int
take_batch(void *ctx, const struct batch *b, struct err *e)
{
	(void)ctx;
	(void)e;
	must(b->rows > 0);
	return 0;
}

static int
take_commit(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static struct exporter_key
exporter_of(uint8_t who)
{
	struct exporter_key k = {.version = who & 1 ? 9 : 10,
				 .source_id = who >> 4};

	memset(k.addr + 10, who & 2 ? 0xff : 1, 2);
	return k;
}

/* The value in exact memory, so that a sanitizer sees a byte too far. */
static void
take(const struct known *known, const uint8_t *key, size_t key_len,
     struct reader body)
{
	struct saved s = {.len = SUM + body.left};

	s.p = malloc(s.len);
	must(s.p != NULL);
	memcpy(s.p + SUM, body.p, body.left);
	saved_end(&s, key, key_len);
	if (key_len == SAVED_KEY)
		must(saved_take_known(known, key, key_len, s.p, s.len) >= 0);
	else
		must(saved_take_held(known, key, key_len, s.p, s.len, 1000) >=
		     0);
	free(s.p);
}

/* A datagram with a set of data for ID. */
static void
send_data(struct decoder *d, uint8_t who, uint16_t id, struct reader body)
{
	struct exporter_key k = exporter_of(who);
	uint8_t wire[20 + 4 + 255] = {0, (uint8_t)k.version};
	size_t head = k.version == 9 ? 20 : 16;
	size_t len = head + 4 + body.left;
	struct datagram dg = {.binding = "fuzz", .binding_len = 4};
	struct err e;

	wire[head - 1] = (uint8_t)k.source_id;
	wire[head] = (uint8_t)(id >> 8);
	wire[head + 1] = (uint8_t)id;
	wire[head + 2] = (uint8_t)((4 + body.left) >> 8);
	wire[head + 3] = (uint8_t)(4 + body.left);
	memcpy(wire + head + 4, body.p, body.left);
	memcpy(dg.addr, k.addr, sizeof(dg.addr));
	dg.payload = wire;
	dg.len = len;
	must(decoder_datagram(d, &dg, &e) == 0);
}

static void
step(struct decoder *d, struct reader *r, uint64_t number)
{
	struct known known = decoder_known(d);
	uint8_t kind = reader_u8(r), who = reader_u8(r), key[SAVED_KEY];
	struct exporter_key k = exporter_of(who);
	uint16_t id = reader_u16(r);
	size_t n = reader_u8(r);
	struct reader body = reader_sub(r, n < r->left ? n : r->left);

	if (body.bad || !body.p)
		return;
	saved_key(key, &k, id);
	if (kind & 1)
		take(&known, (const uint8_t *)&number, sizeof(number), body);
	else
		take(&known, key, sizeof(key), body);
	send_data(d, who, id, body);
}

static void
check_ledger(const struct decoder *d)
{
	struct ledger t;

	decoder_total(d, &t);
	must(t.n[LEDGER_SETS] ==
	     t.n[LEDGER_SETS_DECODED] + t.n[LEDGER_SETS_OPTIONS] +
		 t.n[LEDGER_SETS_TEMPLATES] + t.n[LEDGER_SETS_WAITING] +
		 t.n[LEDGER_SETS_EXPIRED] + t.n[LEDGER_SETS_MALFORMED]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sink sink = {.batch = take_batch, .commit = take_commit};
	struct decoder *d = decoder_new(1, &sink);
	struct reader r = reader_of(data, size < VALUE_MAX ? size : VALUE_MAX);
	struct err e;

	must(d != NULL);
	for (uint64_t number = 1; r.left > 0; number++)
		step(d, &r, number);
	must(decoder_tick(d, 5000000, &e) == 0);
	must(decoder_flush(d, &e) == 0);
	check_ledger(d);
	decoder_free(d);
	return 0;
}
