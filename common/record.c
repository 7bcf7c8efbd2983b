/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/rows.h"

/* Elements of the array that a batch is. */
enum { VERSION, STREAM, NUMBER, ROWS, NAMES, TYPES, COLUMNS, ELEMENTS };

static bool
has_bytes(enum col_type t)
{
	return t == COL_STRING || t == COL_BYTES;
}

/* Writing. */

static void
pack_text(msgpack_packer *pk, const char *s)
{
	msgpack_pack_str_with_body(pk, s, strlen(s));
}

/* The one value of a constant column. A value of type ip or bytes stands in
 * an array of one, for as a plain bin it would look like packed values. */
static void
pack_constant(msgpack_packer *pk, const struct column *c, enum col_type t)
{
	struct value v;

	column_value(c, t, 0, &v);
	if (v.type == COL_IP || v.type == COL_BYTES)
		msgpack_pack_array(pk, 1);
	record_pack_value(pk, &v);
}

static size_t
offsets_size(const struct batch *b)
{
	return (b->rows + 1u) * sizeof(uint32_t);
}

static void
write_values(struct stream_out *o, msgpack_packer *pk, const struct batch *b,
	     const struct column *c, enum col_type t)
{
	static const uint32_t none;
	uint32_t first, last;

	if (!has_bytes(t)) {
		msgpack_pack_bin(pk, b->rows * col_type_width(t));
		stream_out_refer(o, c->data, b->rows * col_type_width(t));
		return;
	}
	if (b->rows == 0) {
		msgpack_pack_bin_with_body(pk, &none, sizeof(none));
		return;
	}
	memcpy(&first, c->data, sizeof(first));
	memcpy(&last, (const char *)c->data + b->rows * sizeof(last),
	       sizeof(last));
	msgpack_pack_bin(pk, offsets_size(b) + (last - first));
	stream_out_refer(o, c->data, offsets_size(b));
	if (last > first)
		stream_out_refer(o, c->bytes + first, last - first);
}

static void
write_column(struct stream_out *o, msgpack_packer *pk, const struct batch *b,
	     size_t i)
{
	const struct column *c = &b->cols[i];
	enum col_type t = b->shape->fields[i].type;

	if (c->constant && b->rows > 0) {
		pack_constant(pk, c, t);
		return;
	}
	if (!c->valid || b->rows == 0) {
		write_values(o, pk, b, c, t);
		return;
	}
	msgpack_pack_array(pk, 2);
	write_values(o, pk, b, c, t);
	msgpack_pack_bin(pk, (b->rows + 7) / 8);
	stream_out_refer(o, c->valid, (b->rows + 7) / 8);
}

int
record_write(struct stream_out *o, const struct batch *b, struct err *e)
{
	const struct shape *s = b->shape;
	msgpack_packer pk;

	stream_out_packer(o, &pk);
	msgpack_pack_array(&pk, ELEMENTS);
	msgpack_pack_uint8(&pk, RECORD_VERSION);
	msgpack_pack_uint64(&pk, b->stream);
	msgpack_pack_uint64(&pk, b->number);
	msgpack_pack_uint32(&pk, b->rows);
	msgpack_pack_array(&pk, s->n);
	for (size_t i = 0; i < s->n; i++)
		pack_text(&pk, s->fields[i].name);
	msgpack_pack_array(&pk, s->n);
	for (size_t i = 0; i < s->n; i++)
		pack_text(&pk, col_type_name(s->fields[i].type));
	msgpack_pack_array(&pk, s->n);
	for (size_t i = 0; i < s->n; i++)
		write_column(o, &pk, b, i);
	return o->failed ? err_set(e, "out of memory for output") : 0;
}

/* Reading. */

struct record_reader {
	struct shapes *shapes;
	struct rows *rows;
	msgpack_zone zone;
	struct batch batch; /* borrows from the object at hand */
	struct column cols[SHAPE_FIELDS_MAX];
	struct field fields[SHAPE_FIELDS_MAX]; /* in the object's order */
	char names[SHAPE_FIELDS_MAX][FIELD_NAME_MAX];
	struct constant {
		uint64_t data[2]; /* a value, or two offsets */
	} constants[SHAPE_FIELDS_MAX];
};

struct record_reader *
record_reader_new(struct shapes *shapes)
{
	struct record_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->shapes = shapes;
	r->batch.cols = r->cols;
	r->rows = rows_new(shapes);
	if (!r->rows || !msgpack_zone_init(&r->zone, 8192)) {
		rows_free(r->rows);
		free(r);
		return NULL;
	}
	return r;
}

void
record_reader_free(struct record_reader *r)
{
	if (!r)
		return;
	rows_free(r->rows);
	msgpack_zone_destroy(&r->zone);
	free(r);
}

static int
read_field(struct record_reader *r, size_t i, const msgpack_object *name,
	   const msgpack_object *type, struct err *e)
{
	if (name->type != MSGPACK_OBJECT_STR || name->via.str.size == 0 ||
	    name->via.str.size >= FIELD_NAME_MAX ||
	    memchr(name->via.str.ptr, '\0', name->via.str.size))
		return err_set(e, "batch: name %zu is no text of 1 to %d bytes",
			       i, FIELD_NAME_MAX - 1);
	memcpy(r->names[i], name->via.str.ptr, name->via.str.size);
	r->names[i][name->via.str.size] = '\0';
	r->fields[i].name = r->names[i];
	r->fields[i].type =
	    type->type == MSGPACK_OBJECT_STR
		? col_type_find(type->via.str.ptr, type->via.str.size)
		: COL_NULL;
	if (r->fields[i].type == COL_NULL)
		return err_set(e, "batch: field %s is of no known type",
			       r->names[i]);
	return 0;
}

static int
read_shape(struct record_reader *r, const msgpack_object *f, struct err *e)
{
	uint32_t n = f[NAMES].via.array.size;

	if (f[NAMES].type != MSGPACK_OBJECT_ARRAY ||
	    f[TYPES].type != MSGPACK_OBJECT_ARRAY ||
	    f[COLUMNS].type != MSGPACK_OBJECT_ARRAY ||
	    f[TYPES].via.array.size != n || f[COLUMNS].via.array.size != n ||
	    n > SHAPE_FIELDS_MAX)
		return err_set(e,
			       "batch: names, types and columns are not "
			       "arrays of one length up to %d",
			       SHAPE_FIELDS_MAX);
	for (uint32_t i = 0; i < n; i++)
		if (read_field(r, i, &f[NAMES].via.array.ptr[i],
			       &f[TYPES].via.array.ptr[i], e) != 0)
			return -1;
	return shapes_get(r->shapes, r->fields, n, &r->batch.shape, e);
}

/* u32 offsets[rows+1] from 0, ascending, and as many bytes as the last says. */
static int
check_offsets(const char *p, size_t len, uint32_t rows)
{
	size_t head = (rows + 1u) * sizeof(uint32_t);
	uint32_t off, last = 0;

	if (len < head)
		return -1;
	for (uint32_t i = 0; i <= rows; i++) {
		memcpy(&off, p + i * sizeof(off), sizeof(off));
		if (off < last || (i == 0 && off != 0))
			return -1;
		last = off;
	}
	return last == len - head ? 0 : -1;
}

static int
read_packed(const msgpack_object *o, struct column *c, enum col_type t,
	    uint32_t rows)
{
	size_t len = o->via.bin.size;
	size_t head = (rows + 1u) * sizeof(uint32_t);

	if (o->type != MSGPACK_OBJECT_BIN)
		return -1;
	*c = (struct column){.data = (void *)(uintptr_t)o->via.bin.ptr};
	if (!has_bytes(t))
		return len == rows * col_type_width(t) ? 0 : -1;
	if (check_offsets(o->via.bin.ptr, len, rows) != 0)
		return -1;
	c->bytes = (char *)c->data + head;
	c->bytes_len = len - head;
	return 0;
}

static uint8_t no_rows_valid[1];

static int
read_constant(const msgpack_object *o, struct column *c, enum col_type t,
	      struct constant *k)
{
	struct value v;

	if (record_unpack_value(o, t, &v) != 0)
		return -1;
	*k = (struct constant){0};
	*c = (struct column){.constant = true, .data = k->data};
	if (v.type == COL_NULL) {
		c->valid = no_rows_valid;
		return 0;
	}
	if (!has_bytes(t)) {
		memcpy(k->data, v.ip, col_type_width(t));
		return 0;
	}
	((uint32_t *)k->data)[1] = (uint32_t)v.len;
	c->bytes = (char *)(uintptr_t)v.s;
	c->bytes_len = v.len;
	return 0;
}

static int
read_column(const msgpack_object *o, struct column *c, enum col_type t,
	    uint32_t rows, struct constant *k)
{
	const msgpack_object *a = o->via.array.ptr;

	if (o->type == MSGPACK_OBJECT_BIN)
		return read_packed(o, c, t, rows);
	if (o->type != MSGPACK_OBJECT_ARRAY)
		return read_constant(o, c, t, k);
	if (o->via.array.size == 1)
		return read_constant(&a[0], c, t, k);
	if (o->via.array.size != 2 || read_packed(&a[0], c, t, rows) != 0 ||
	    a[1].type != MSGPACK_OBJECT_BIN ||
	    a[1].via.bin.size != (rows + 7) / 8)
		return -1;
	c->valid = (uint8_t *)(uintptr_t)a[1].via.bin.ptr;
	return 0;
}

static int
read_columns(struct record_reader *r, const msgpack_object *f, struct err *e)
{
	const msgpack_object *cols = f[COLUMNS].via.array.ptr;
	struct batch *b = &r->batch;

	for (size_t i = 0; i < b->shape->n; i++) {
		int at = shape_find(b->shape, r->names[i]);

		if (read_column(&cols[i], &b->cols[at], r->fields[i].type,
				b->rows, &r->constants[i]) != 0)
			return err_set(
			    e, "batch: column %s is not %u values of type %s",
			    r->names[i], b->rows,
			    col_type_name(r->fields[i].type));
	}
	return 0;
}

static int
read_batch(struct record_reader *r, const msgpack_object *o, struct err *e)
{
	const msgpack_object *f = o->via.array.ptr;

	if (o->via.array.size < 1 ||
	    f[VERSION].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return err_set(e, "not a record stream: its arrays begin "
				  "with a version");
	if (f[VERSION].via.u64 != RECORD_VERSION)
		return err_set(
		    e, "record stream of version %llu, this program reads %d",
		    (unsigned long long)f[VERSION].via.u64, RECORD_VERSION);
	if (o->via.array.size != ELEMENTS)
		return err_set(e,
			       "not a record stream: an array of %u, not "
			       "%d elements (a datagram stream goes "
			       "through flowdecode first)",
			       o->via.array.size, ELEMENTS);
	for (int i = STREAM; i <= ROWS; i++)
		if (f[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return err_set(e, "batch: stream, number and rows "
					  "are not integers");
	if (f[ROWS].via.u64 > BATCH_ROWS_MAX)
		return err_set(e, "batch of %llu rows (%d may be)",
			       (unsigned long long)f[ROWS].via.u64,
			       BATCH_ROWS_MAX);
	r->batch.stream = f[STREAM].via.u64;
	r->batch.number = f[NUMBER].via.u64;
	r->batch.rows = (uint32_t)f[ROWS].via.u64;
	if (read_shape(r, f, e) != 0)
		return -1;
	return read_columns(r, f, e);
}

int
record_read(struct record_reader *r, const char *obj, size_t len,
	    const struct batch **b, struct err *e)
{
	msgpack_object o;
	size_t off = 0;

	msgpack_zone_clear(&r->zone);
	if (msgpack_unpack(obj, len, &off, &r->zone, &o) !=
	    MSGPACK_UNPACK_SUCCESS)
		return err_set(e, "not msgpack");
	if (o.type == MSGPACK_OBJECT_MAP)
		return rows_add(r->rows, &o, e);
	if (o.type != MSGPACK_OBJECT_ARRAY)
		return err_set(e, "not a record stream: flowdecode writes "
				  "one, and flowlog as batch or rows");
	if (read_batch(r, &o, e) != 0)
		return -1;
	*b = &r->batch;
	return 1;
}

const struct batch *
record_reader_take(struct record_reader *r, uint32_t min)
{
	return rows_take(r->rows, min);
}
