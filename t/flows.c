/* SPDX-License-Identifier: BSD-2-Clause */
#include "t/flows.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKED = 1000 }; /* exporters: adding up more takes long */

/* Check writes a file at each assertion that holds, which takes long. */
static void
need_room(const struct wire *w, size_t len)
{
	if (len > sizeof(w->bytes) - w->len)
		ck_abort_msg("no room for %zu bytes", len);
}

void
put(struct wire *w, uint64_t v, size_t len)
{
	need_room(w, len);
	for (size_t i = len; i > 0; i--)
		w->bytes[w->len++] = (uint8_t)(i > 8 ? 0 : v >> 8 * (i - 1));
}

void
put_bytes(struct wire *w, const void *p, size_t len)
{
	need_room(w, len);
	memcpy(w->bytes + w->len, p, len);
	w->len += len;
}

static void
begin(struct wire *w, uint16_t version)
{
	w->len = w->set = 0;
	w->time_us = (int64_t)SECS * 1000000 + 42;
	from(w, 1);
	w->port = 2055;
	put(w, version, 2);
}

void
from(struct wire *w, unsigned n)
{
	const uint8_t addr[16] = {0,
				  0,
				  0,
				  0,
				  0,
				  0,
				  0,
				  0,
				  0,
				  0,
				  0xff,
				  0xff,
				  10,
				  (uint8_t)(n >> 16),
				  (uint8_t)(n >> 8),
				  (uint8_t)n};

	memcpy(w->addr, addr, sizeof(addr));
}

void
begin_v5(struct wire *w, uint16_t count, uint32_t sequence)
{
	begin(w, 5);
	put(w, count, 2);
	put(w, UPTIME, 4);
	put(w, SECS, 4);
	put(w, 0, 4);
	put(w, sequence, 4);
	put(w, 0, 4);
}

void
begin_v9(struct wire *w, uint32_t source_id, uint32_t sequence)
{
	begin(w, 9);
	put(w, 1, 2);
	put(w, UPTIME, 4);
	put(w, SECS, 4);
	put(w, sequence, 4);
	put(w, source_id, 4);
}

void
begin_ipfix(struct wire *w, uint32_t domain, uint32_t sequence)
{
	begin(w, 10);
	put(w, 0, 2);
	put(w, SECS, 4);
	put(w, sequence, 4);
	put(w, domain, 4);
}

void
put_v5(struct wire *w, uint32_t first, uint32_t last)
{
	put(w, 0x0a010203, 4);
	put(w, 0x0a040506, 4);
	put(w, 0, 4);
	put(w, 0x00010002, 4);
	put(w, 1, 4);
	put(w, 10, 4);
	put(w, first, 4);
	put(w, last, 4);
	put(w, 1234, 2);
	put(w, 443, 2);
	put(w, 0x00120600, 4);
	put(w, 0, 8);
}

void
begin_set(struct wire *w, uint16_t id)
{
	w->set = w->len;
	put(w, id, 2);
	put(w, 0, 2);
}

void
end_set(struct wire *w)
{
	size_t len = w->len - w->set;

	w->bytes[w->set + 2] = (uint8_t)(len >> 8);
	w->bytes[w->set + 3] = (uint8_t)len;
	w->set = 0;
}

void
put_template(struct wire *w, uint16_t id, const struct spec *f, size_t n)
{
	bool ipfix = w->bytes[1] == 10;

	begin_set(w, ipfix ? 2 : 0);
	put(w, id, 2);
	put(w, n, 2);
	for (size_t i = 0; i < n; i++) {
		uint64_t pen = f[i].id >> 16;

		put(w, f[i].id | (pen ? 0x8000 : 0), 2);
		put(w, f[i].len, 2);
		if (pen)
			put(w, pen, 4);
	}
	end_set(w);
}

static int
take_batch(void *ctx, const struct batch *b, struct err *e)
{
	struct flows *f = ctx;
	const struct shape *s;

	ck_assert_uint_lt(f->n, sizeof(f->batches) / sizeof(f->batches[0]));
	ck_assert_int_eq(
	    shapes_get(f->shapes, b->shape->fields, b->shape->n, &s, e), 0);
	f->batches[f->n] = batch_new(s);
	ck_assert_int_eq(batch_append(f->batches[f->n], b, 0, b->rows, e), 0);
	f->batches[f->n]->number = b->number;
	f->n++;
	f->rows += b->rows;
	return 0;
}

static int
take_commit(void *ctx, struct err *e)
{
	struct flows *f = ctx;

	(void)e;
	f->commits++;
	return 0;
}

void
flows_init(struct flows *f)
{
	struct sink sink = {
	    .ctx = f, .batch = take_batch, .commit = take_commit};

	memset(f, 0, sizeof(*f));
	f->shapes = shapes_new(FLOWS_SHAPES);
	ck_assert_ptr_nonnull(f->shapes);
	f->decoder = decoder_new(7, &sink);
	ck_assert_ptr_nonnull(f->decoder);
}

void
flows_forget(struct flows *f)
{
	for (size_t i = 0; i < f->n; i++)
		batch_free(f->batches[i]);
	f->n = 0;
	f->rows = 0;
	f->commits = 0;
}

void
flows_clear(struct flows *f)
{
	flows_forget(f);
	shapes_free(f->shapes);
	f->shapes = NULL;
	decoder_free(f->decoder);
}

/* It adds up at any moment. */
static void
check_ledger(const struct flows *f)
{
	struct ledger t;

	if (exporters_count(decoder_exporters(f->decoder)) > CHECKED)
		return;
	decoder_total(f->decoder, &t);
	if (t.n[LEDGER_SETS] !=
	    t.n[LEDGER_SETS_DECODED] + t.n[LEDGER_SETS_OPTIONS] +
		t.n[LEDGER_SETS_TEMPLATES] + t.n[LEDGER_SETS_WAITING] +
		t.n[LEDGER_SETS_EXPIRED] + t.n[LEDGER_SETS_MALFORMED])
		ck_abort_msg("the ledger does not add up");
}

void
send_only(struct flows *f, struct wire *w)
{
	struct datagram dg = {.time_us = w->time_us,
			      .port = w->port,
			      .binding = "default",
			      .binding_len = 7,
			      .len = w->len};
	struct err e;
	uint8_t *exact = malloc(w->len ? w->len : 1);

	/* memory of just that size, so that a sanitizer sees a byte too far */
	ck_assert_ptr_nonnull(exact);
	if (w->len >= 4 && w->bytes[1] == 10 && !w->bytes[2] && !w->bytes[3]) {
		w->bytes[2] = (uint8_t)(w->len >> 8);
		w->bytes[3] = (uint8_t)w->len;
	}
	memcpy(exact, w->bytes, w->len);
	dg.payload = exact;
	memcpy(dg.addr, w->addr, sizeof(dg.addr));
	ck_assert_int_eq(decoder_datagram(f->decoder, &dg, &e), 0);
	free(exact);
	check_ledger(f);
}

void
send_wire(struct flows *f, struct wire *w)
{
	struct err e;

	send_only(f, w);
	ck_assert_int_eq(decoder_flush(f->decoder, &e), 0);
}

uint64_t
counted(const struct flows *f, enum ledger_count c)
{
	struct ledger total;

	decoder_total(f->decoder, &total);
	return total.n[c];
}

struct value
value_of(const struct flows *f, uint32_t i, const char *name)
{
	struct value v = {.type = COL_NULL};

	for (size_t b = 0; b < f->n; b++) {
		const struct batch *batch = f->batches[b];
		int at = shape_find(batch->shape, name);

		if (i >= batch->rows) {
			i -= batch->rows;
			continue;
		}
		if (at >= 0)
			column_value(&batch->cols[at],
				     batch->shape->fields[at].type, i, &v);
		return v;
	}
	ck_abort_msg("there is no row %u", i);
	return v;
}

uint64_t
number_of(const struct flows *f, uint32_t i, const char *name)
{
	struct value v = value_of(f, i, name);

	ck_assert_msg(v.type != COL_NULL, "row %u has no %s", i, name);
	return v.u;
}
