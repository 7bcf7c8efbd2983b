/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/delivery.h"

#include <stdlib.h>

#include "common/link.h"
#include "common/log.h"
#include "common/outlet.h"
#include "common/record.h"
#include "common/stream.h"

enum {
	CHUNK = 32 << 20, /* holds the largest batch, but for freaks */
	ROOM_CHUNKS = 3,  /* for what the open batches may become */
};

struct delivery {
	struct ring *ring;
	struct outlet *outlet;
	struct stream_out out;
	size_t pending;
	uint64_t batches, too_large;
	struct log_limit log;
};

struct delivery *
delivery_new(const char *dir, uint64_t size, struct err *e)
{
	struct ring_options o = {.dir = dir,
				 .file = "flowdecode.ring",
				 .size = size,
				 .chunk = CHUNK};
	struct delivery *d = calloc(1, sizeof(*d));
	struct err note;

	if (!d) {
		err_set(e, "out of memory");
		return NULL;
	}
	stream_out_init(&d->out, -1);
	if (o.size < (uint64_t)CHUNK * (ROOM_CHUNKS + 1))
		o.size = (uint64_t)CHUNK * (ROOM_CHUNKS + 1);
	d->ring = ring_open(&o, &note, e);
	if (!d->ring) {
		delivery_free(d);
		return NULL;
	}
	if (note.text[0])
		log_line("%s", note.text);
	return d;
}

void
delivery_free(struct delivery *d)
{
	if (!d)
		return;
	outlet_free(d->outlet);
	ring_close(d->ring);
	stream_out_clear(&d->out);
	free(d);
}

struct ring *
delivery_ring(struct delivery *d)
{
	return d->ring;
}

int
delivery_serve(struct delivery *d, struct event_base *base, const char *path,
	       void (*room)(void *ctx), void *ctx, struct err *e)
{
	d->outlet = outlet_new(base, d->ring, path, LINK_RECORDS, e);
	if (!d->outlet)
		return -1;
	outlet_on_room(d->outlet, room, ctx);
	return 0;
}

void
delivery_unserve(struct delivery *d)
{
	outlet_free(d->outlet);
	d->outlet = NULL;
}

/* The records of one that fits into no chunk are lost; its number is not. */
static int
drop_too_large(struct delivery *d, const struct batch *b, struct err *e)
{
	struct batch empty = *b;

	d->too_large += b->rows;
	log_limited(&d->log,
		    "a batch is larger than %d MiB: %llu records dropped so "
		    "far",
		    CHUNK >> 20, (unsigned long long)d->too_large);
	empty.rows = 0;
	stream_out_discard(&d->out);
	return record_write(&d->out, &empty, e);
}

int
delivery_batch(void *ctx, const struct batch *b, struct err *e)
{
	struct delivery *d = ctx;
	size_t len;
	char *p;

	if (record_write(&d->out, b, e) != 0)
		return -1;
	if (stream_out_pending(&d->out) > CHUNK - 2 * RING_ENTRY &&
	    drop_too_large(d, b, e) != 0)
		return -1;
	len = stream_out_pending(&d->out);
	p = ring_reserve(d->ring, len);
	if (!p) {
		stream_out_discard(&d->out);
		return err_set(e, "the ring has no room for what is at hand");
	}
	if (stream_out_take(&d->out, p, e) != 0)
		return -1;
	ring_add(d->ring, len, b->rows);
	d->pending += len;
	d->batches++;
	return 0;
}

int
delivery_commit(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

bool
delivery_room(struct delivery *d)
{
	return ring_make_room(d->ring, ROOM_CHUNKS);
}

size_t
delivery_pending(const struct delivery *d)
{
	return d->pending;
}

void
delivery_publish(struct delivery *d)
{
	d->pending = 0;
	ring_publish(d->ring);
	if (d->outlet)
		outlet_wake(d->outlet);
}

bool
delivery_waits(const struct delivery *d)
{
	struct outlet_reader who;

	return d->outlet && !ring_durable(d->ring) &&
	       ring_objects(d->ring) > 0 && outlet_reader(d->outlet, 0, &who);
}

uint64_t
delivery_batches(const struct delivery *d)
{
	return d->batches;
}
