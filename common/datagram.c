/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/datagram.h"

#include <string.h>

enum { FIELDS = 8 };

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

/* A packer's output that ends where the header does. */
struct head {
	char *p;
	size_t len;
};

static int
head_write(void *data, const char *p, size_t len)
{
	struct head *h = data;

	if (len > DATAGRAM_HEADER_MAX - h->len)
		return -1;
	memcpy(h->p + h->len, p, len);
	h->len += len;
	return 0;
}

size_t
datagram_header(char buf[DATAGRAM_HEADER_MAX], const struct datagram *d)
{
	struct head h = {.p = buf};
	msgpack_packer pk;
	bool v4 = memcmp(d->addr, v4_mapped, sizeof(v4_mapped)) == 0;
	size_t skip = v4 ? 12 : 0;

	msgpack_packer_init(&pk, &h, head_write);
	msgpack_pack_array(&pk, FIELDS);
	msgpack_pack_uint8(&pk, DATAGRAM_VERSION);
	msgpack_pack_uint64(&pk, d->stream);
	msgpack_pack_uint64(&pk, d->number);
	msgpack_pack_str_with_body(&pk, d->binding,
				   d->binding_len < BINDING_NAME_MAX
				       ? d->binding_len
				       : BINDING_NAME_MAX - 1);
	msgpack_pack_int64(&pk, d->time_us);
	msgpack_pack_bin_with_body(&pk, d->addr + skip, 16 - skip);
	msgpack_pack_uint16(&pk, d->port);
	msgpack_pack_bin(&pk, d->len);
	return h.len;
}

static int
is_uint(const msgpack_object *o, uint64_t max)
{
	return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= max;
}

static int
read_time(const msgpack_object *o, int64_t *us)
{
	if (o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
	    !is_uint(o, INT64_MAX))
		return -1;
	*us = o->via.i64;
	return 0;
}

static int
read_address(const msgpack_object *o, uint8_t addr[16])
{
	if (o->type != MSGPACK_OBJECT_BIN)
		return -1;
	if (o->via.bin.size == 16) {
		memcpy(addr, o->via.bin.ptr, 16);
		return 0;
	}
	if (o->via.bin.size != 4)
		return -1;
	memcpy(addr, v4_mapped, 12);
	memcpy(addr + 12, o->via.bin.ptr, 4);
	return 0;
}

static int
read_fields(const msgpack_object *f, struct datagram *d, struct err *e)
{
	if (!is_uint(&f[1], UINT64_MAX) || !is_uint(&f[2], UINT64_MAX))
		return err_set(e, "datagram: stream or number is no integer");
	d->stream = f[1].via.u64;
	d->number = f[2].via.u64;
	if (f[3].type != MSGPACK_OBJECT_STR ||
	    f[3].via.str.size >= BINDING_NAME_MAX)
		return err_set(e, "datagram: binding is no short string");
	d->binding = f[3].via.str.ptr;
	d->binding_len = f[3].via.str.size;
	if (read_time(&f[4], &d->time_us) != 0)
		return err_set(e, "datagram: time is no integer");
	if (read_address(&f[5], d->addr) != 0)
		return err_set(e, "datagram: address is not 4 or 16 bytes");
	if (!is_uint(&f[6], UINT16_MAX))
		return err_set(e, "datagram: port is not 0 to 65535");
	d->port = (uint16_t)f[6].via.u64;
	if (f[7].type != MSGPACK_OBJECT_BIN ||
	    f[7].via.bin.size > DATAGRAM_PAYLOAD_MAX)
		return err_set(e, "datagram: payload is not 0 to 65535 bytes");
	d->payload = (const uint8_t *)f[7].via.bin.ptr;
	d->len = f[7].via.bin.size;
	return 0;
}

int
datagram_read(const char *obj, size_t len, msgpack_zone *z, struct datagram *d,
	      struct err *e)
{
	msgpack_object o;
	size_t off = 0;

	msgpack_zone_clear(z);
	if (msgpack_unpack(obj, len, &off, z, &o) != MSGPACK_UNPACK_SUCCESS)
		return err_set(e, "datagram: not msgpack");
	if (o.type != MSGPACK_OBJECT_ARRAY || o.via.array.size < 1 ||
	    !is_uint(&o.via.array.ptr[0], UINT8_MAX))
		return err_set(e, "not a datagram stream: flowrecv writes "
				  "one, also of a capture (--read FILE)");
	if (o.via.array.ptr[0].via.u64 != DATAGRAM_VERSION)
		return err_set(
		    e, "datagram stream of version %d, this program reads %d",
		    (int)o.via.array.ptr[0].via.u64, DATAGRAM_VERSION);
	if (o.via.array.size != FIELDS)
		return err_set(e,
			       "not a datagram stream: an array of %u, not %d "
			       "elements (a record stream goes into flowlog "
			       "or flowstore)",
			       o.via.array.size, FIELDS);
	return read_fields(o.via.array.ptr, d, e);
}
