/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/trace.h"

#include <string.h>

#include "common/text.h"

enum {
	FIELDS = 6,
	HEAD_MAX = 64, /* of an object, before the payload */
};

struct head {
	char p[HEAD_MAX];
	size_t len;
};

static int
head_write(void *data, const char *p, size_t len)
{
	struct head *h = data;

	if (len > HEAD_MAX - h->len)
		return -1;
	memcpy(h->p + h->len, p, len);
	h->len += len;
	return 0;
}

static void
head_pack(struct head *h, const struct datagram *d, size_t n, bool refused)
{
	size_t skip = ip_is_v4(d->addr) ? 12 : 0;
	msgpack_packer pk;

	h->len = 0;
	msgpack_packer_init(&pk, h, head_write);
	msgpack_pack_array(&pk, FIELDS);
	msgpack_pack_int64(&pk, d->time_us);
	msgpack_pack_bin_with_body(&pk, d->addr + skip, 16 - skip);
	msgpack_pack_uint16(&pk, d->port);
	msgpack_pack_uint32(&pk, (uint32_t)d->len);
	if (refused)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
	msgpack_pack_bin(&pk, n);
}

static bool
has_room(const struct view *v, size_t len)
{
	return evbuffer_get_length(v->to) + len <= TRACE_QUEUE;
}

void
trace_skipped(struct view *v)
{
	if (has_room(v, HEAD_MAX))
		trace_end(v);
}

void
trace_tell(struct view *v)
{
	for (; v; v = v->next)
		trace_skipped(v);
}

void
trace_end(struct view *v)
{
	struct head h = {.len = 0};
	msgpack_packer pk;

	if (v->skipped == 0)
		return;
	msgpack_packer_init(&pk, &h, head_write);
	msgpack_pack_uint64(&pk, v->skipped);
	if (evbuffer_add(v->to, h.p, h.len) == 0)
		v->skipped = 0;
}

static void
show(struct view *v, const struct datagram *d, bool refused)
{
	size_t n = d->len < v->most ? d->len : v->most;
	struct head h;

	if (!has_room(v, 2 * HEAD_MAX + n) ||
	    evbuffer_expand(v->to, 2 * HEAD_MAX + n) != 0) {
		v->skipped++;
		return;
	}
	trace_skipped(v);
	head_pack(&h, d, n, refused);
	evbuffer_add(v->to, h.p, h.len);
	evbuffer_add(v->to, d->payload, n);
}

void
trace_datagram(struct view *v, const struct datagram *d, bool refused)
{
	for (; v; v = v->next)
		show(v, d, refused);
}

void
trace_skip(struct view *v)
{
	for (; v; v = v->next)
		v->skipped++;
}

static bool
is_uint(const msgpack_object *o, uint64_t max)
{
	return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= max;
}

static int
read_address(const msgpack_object *o, uint8_t addr[16])
{
	uint32_t v4 = 0;

	if (o->type != MSGPACK_OBJECT_BIN)
		return -1;
	if (o->via.bin.size == 16) {
		memcpy(addr, o->via.bin.ptr, 16);
		return 0;
	}
	if (o->via.bin.size != 4)
		return -1;
	for (int i = 0; i < 4; i++)
		v4 = v4 << 8 | (uint8_t)o->via.bin.ptr[i];
	ip_from_v4(addr, v4);
	return 0;
}

int
trace_read(const msgpack_object *o, struct traced *t)
{
	const msgpack_object *f;

	*t = (struct traced){0};
	if (is_uint(o, UINT64_MAX)) {
		t->skipped = o->via.u64;
		return t->skipped > 0 ? 0 : -1;
	}
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != FIELDS)
		return -1;
	f = o->via.array.ptr;
	if ((f[0].type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
	     !is_uint(&f[0], INT64_MAX)) ||
	    read_address(&f[1], t->addr) != 0 || !is_uint(&f[2], UINT16_MAX) ||
	    !is_uint(&f[3], UINT32_MAX) ||
	    f[4].type != MSGPACK_OBJECT_BOOLEAN ||
	    f[5].type != MSGPACK_OBJECT_BIN || f[5].via.bin.size > f[3].via.u64)
		return -1;
	t->time_us = f[0].via.i64;
	t->port = (uint16_t)f[2].via.u64;
	t->len = (uint32_t)f[3].via.u64;
	t->refused = f[4].via.boolean;
	t->payload = (const uint8_t *)f[5].via.bin.ptr;
	t->n = f[5].via.bin.size;
	return 0;
}
