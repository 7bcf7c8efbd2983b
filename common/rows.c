/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/record.h"
#include "common/text.h"

enum {
	OPEN_MAX = 64,		   /* batches that gather rows at one time */
	ROWS_BYTES_MAX = 64 << 20, /* what they may hold together, about */
};

struct rows {
	struct shapes *shapes;
	struct batch *open[OPEN_MAX];
	size_t sizes[OPEN_MAX]; /* bytes of their rows, roughly */
	size_t n;
	size_t last;  /* the one that the last row went to */
	size_t bytes; /* all sizes */
	struct batch *taken;
	struct field fields[SHAPE_FIELDS_MAX];
	struct value values[SHAPE_FIELDS_MAX];
	char names[SHAPE_FIELDS_MAX][FIELD_NAME_MAX];
	/* Rows are mostly like the one before: what its keys mean, and the
	 * shape that they and their types make. */
	enum col_type means[SHAPE_FIELDS_MAX];
	size_t nmeans;	/* keys that are known */
	size_t nfields; /* of the shape; NULL: there is none to go by */
	bool same;	/* this row is like it so far */
	const struct shape *shape;
	int at[SHAPE_FIELDS_MAX]; /* columns */
};

struct rows *
rows_new(struct shapes *shapes)
{
	struct rows *r = calloc(1, sizeof(*r));

	if (r)
		r->shapes = shapes;
	return r;
}

void
rows_free(struct rows *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		batch_free(r->open[i]);
	batch_free(r->taken);
	free(r);
}

/* Values on the wire. */

void
record_pack_value(msgpack_packer *pk, const struct value *v)
{
	switch (v->type) {
	case COL_BOOL:
		if (v->u)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		break;
	case COL_I64:
	case COL_TIME:
		msgpack_pack_int64(pk, v->i);
		break;
	case COL_F64:
		msgpack_pack_double(pk, v->f);
		break;
	case COL_IP:
		msgpack_pack_bin_with_body(pk, v->ip, sizeof(v->ip));
		break;
	case COL_STRING:
		msgpack_pack_str_with_body(pk, v->s, v->len);
		break;
	case COL_BYTES:
		msgpack_pack_bin_with_body(pk, v->s, v->len);
		break;
	case COL_NULL:
		msgpack_pack_nil(pk);
		break;
	default:
		msgpack_pack_uint64(pk, v->u);
	}
}

static uint64_t
unsigned_max(enum col_type t)
{
	switch (t) {
	case COL_U8:
		return UINT8_MAX;
	case COL_U16:
		return UINT16_MAX;
	case COL_U32:
	case COL_IPV4:
		return UINT32_MAX;
	case COL_MAC:
		return (1ull << 48) - 1;
	default:
		return UINT64_MAX;
	}
}

static int
unpack_signed(const msgpack_object *o, struct value *v)
{
	if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
	    o->via.u64 > INT64_MAX)
		return -1;
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER &&
	    o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
		return -1;
	v->i = o->via.i64;
	return 0;
}

static int
unpack_bin(const msgpack_object *o, struct value *v)
{
	if (o->type != MSGPACK_OBJECT_BIN)
		return -1;
	if (v->type == COL_IP && o->via.bin.size != 16)
		return -1;
	if (v->type == COL_IP) {
		memcpy(v->ip, o->via.bin.ptr, 16);
		return 0;
	}
	v->s = o->via.bin.ptr;
	v->len = o->via.bin.size;
	return 0;
}

int
record_unpack_value(const msgpack_object *o, enum col_type t, struct value *v)
{
	*v = (struct value){.type = t};
	if (o->type == MSGPACK_OBJECT_NIL) {
		v->type = COL_NULL;
		return 0;
	}
	switch (t) {
	case COL_BOOL:
		v->u = o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
		return o->type == MSGPACK_OBJECT_BOOLEAN ? 0 : -1;
	case COL_I64:
	case COL_TIME:
		return unpack_signed(o, v);
	case COL_F64:
		v->f = o->via.f64;
		return o->type == MSGPACK_OBJECT_FLOAT32 ||
			       o->type == MSGPACK_OBJECT_FLOAT64
			   ? 0
			   : -1;
	case COL_IP:
	case COL_BYTES:
		return unpack_bin(o, v);
	case COL_STRING:
		v->s = o->via.str.ptr;
		v->len = o->via.str.size;
		return o->type == MSGPACK_OBJECT_STR ? 0 : -1;
	default:
		v->u = o->via.u64;
		return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
			       o->via.u64 <= unsigned_max(t)
			   ? 0
			   : -1;
	}
}

/* Rows out. */

static void
pack_row_value(msgpack_packer *pk, const struct value *v)
{
	char text[TEXT_MAX];

	if (v->type == COL_IPV4 || v->type == COL_IP || v->type == COL_MAC)
		msgpack_pack_str_with_body(pk, text, text_value(text, v));
	else
		record_pack_value(pk, v);
}

static void
write_row(msgpack_packer *pk, const struct batch *b, uint32_t row)
{
	struct value v;
	uint32_t n = 0;

	for (size_t i = 0; i < b->shape->n; i++)
		n += !column_is_null(&b->cols[i], row);
	msgpack_pack_map(pk, n);
	for (size_t i = 0; i < b->shape->n; i++) {
		const struct field *f = &b->shape->fields[i];

		column_value(&b->cols[i], f->type, row, &v);
		if (v.type == COL_NULL)
			continue;
		msgpack_pack_str_with_body(pk, f->name, strlen(f->name));
		pack_row_value(pk, &v);
	}
}

int
record_write_rows(struct stream_out *o, const struct batch *b, struct err *e)
{
	msgpack_packer pk;

	stream_out_packer(o, &pk);
	for (uint32_t row = 0; row < b->rows; row++)
		write_row(&pk, b, row);
	return o->failed ? err_set(e, "out of memory for output") : 0;
}

/* Rows in. */

/* What a field's values are when a row has them as text or as an integer;
 * COL_NULL where the value speaks for itself. */
static enum col_type
type_of_name(const char *name)
{
	if (strcmp(name, "_time") == 0)
		return COL_TIME;
	if (strcmp(name, "exporter") == 0)
		return COL_IP;
	switch (element_type_of(name)) {
	case ELEMENT_IPV4:
	case ELEMENT_IPV6:
		return COL_IP;
	case ELEMENT_MAC:
		return COL_MAC;
	case ELEMENT_SECONDS:
	case ELEMENT_MILLISECONDS:
	case ELEMENT_MICROSECONDS:
	case ELEMENT_NANOSECONDS:
		return COL_TIME;
	default:
		return COL_NULL;
	}
}

/* An address: IPv4 as the narrow type, as flowdecode does. */
static void
set_ip(struct value *v, const uint8_t ip[16])
{
	if (ip_is_v4(ip)) {
		v->type = COL_IPV4;
		v->u = ip_v4(ip);
		return;
	}
	v->type = COL_IP;
	memcpy(v->ip, ip, 16);
}

static void
read_text(enum col_type t, const msgpack_object *o, struct value *v)
{
	const char *s = o->via.str.ptr;
	size_t len = o->via.str.size;
	uint8_t ip[16];

	*v = (struct value){.type = COL_STRING};
	if (t == COL_IP && text_read_ip(s, len, ip) == 0) {
		set_ip(v, ip);
	} else if (t == COL_MAC && text_read_mac(s, len, &v->u) == 0) {
		v->type = COL_MAC;
	} else if (t == COL_TIME && text_read_time(s, len, &v->i) == 0) {
		v->type = COL_TIME;
	} else {
		v->s = s;
		v->len = len;
	}
}

static void
read_bin(enum col_type t, const msgpack_object *o, struct value *v)
{
	if (t == COL_IP && o->via.bin.size == 16) {
		set_ip(v, (const uint8_t *)o->via.bin.ptr);
		return;
	}
	*v = (struct value){
	    .type = COL_BYTES, .s = o->via.bin.ptr, .len = o->via.bin.size};
}

static void
read_integer(enum col_type t, const msgpack_object *o, struct value *v)
{
	bool negative = o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;

	*v = (struct value){.type = negative ? COL_I64 : COL_U64,
			    .u = o->via.u64};
	if (t == COL_TIME && (negative || o->via.u64 <= INT64_MAX))
		v->type = COL_TIME;
	else if (t == COL_IP && !negative && o->via.u64 <= UINT32_MAX)
		v->type = COL_IPV4;
	else if (t == COL_MAC && !negative && o->via.u64 < 1ull << 48)
		v->type = COL_MAC;
}

/* T is what the field's name says of its type. */
static int
read_value(const char *name, enum col_type t, const msgpack_object *o,
	   struct value *v, struct err *e)
{
	switch (o->type) {
	case MSGPACK_OBJECT_STR:
		read_text(t, o, v);
		return 0;
	case MSGPACK_OBJECT_BIN:
		read_bin(t, o, v);
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		read_integer(t, o, v);
		return 0;
	case MSGPACK_OBJECT_BOOLEAN:
		return record_unpack_value(o, COL_BOOL, v);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return record_unpack_value(o, COL_F64, v);
	default:
		return err_set(e, "row: value of %s is no plain value", name);
	}
}

/* Whether key N is that of the row before. */
static bool
is_known(const struct rows *r, size_t n, const msgpack_object_str *key)
{
	return n < r->nmeans && memcmp(r->names[n], key->ptr, key->size) == 0 &&
	       r->names[n][key->size] == '\0';
}

static int
read_pair(struct rows *r, size_t n, const msgpack_object_kv *kv, struct err *e)
{
	const msgpack_object_str *key = &kv->key.via.str;

	if (kv->key.type != MSGPACK_OBJECT_STR || key->size == 0 ||
	    key->size >= FIELD_NAME_MAX || memchr(key->ptr, '\0', key->size))
		return err_set(e, "row: a key is no text of 1 to %d bytes",
			       FIELD_NAME_MAX - 1);
	if (!is_known(r, n, key)) {
		memcpy(r->names[n], key->ptr, key->size);
		r->names[n][key->size] = '\0';
		r->fields[n].name = element_canonical(r->names[n]);
		r->means[n] = type_of_name(r->fields[n].name);
		r->nmeans = n + 1;
		r->same = false;
	}
	if (read_value(r->fields[n].name, r->means[n], &kv->val, &r->values[n],
		       e) != 0)
		return -1;
	r->same &= r->fields[n].type == r->values[n].type;
	r->fields[n].type = r->values[n].type;
	return 0;
}

/* The open batch of a shape, NULL if there is none. */
static struct batch *
find_open(struct rows *r, const struct shape *s)
{
	if (r->last < r->n && r->open[r->last]->shape == s)
		return r->open[r->last];
	for (size_t i = 0; i < r->n; i++)
		if (r->open[i]->shape == s) {
			r->last = i;
			return r->open[i];
		}
	return NULL;
}

static int
put_row(struct rows *r, struct batch *b, size_t n, struct err *e)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++) {
		if (column_put(&b->cols[r->at[i]], r->fields[i].type, b->rows,
			       &r->values[i], e) != 0)
			return -1;
		size += 8;
		if (r->fields[i].type >= COL_STRING)
			size += r->values[i].len;
	}
	r->sizes[r->last] += size;
	r->bytes += size;
	b->rows++;
	return 0;
}

/* The shape of the N fields of this row, and where they are in it. */
static int
find_shape(struct rows *r, size_t n, struct err *e)
{
	if (r->shape && r->same && n == r->nfields)
		return 0;
	r->shape = NULL;
	if (shapes_get(r->shapes, r->fields, n, &r->shape, e) != 0) {
		r->shape = NULL;
		return err_prefix(e, "row");
	}
	for (size_t i = 0; i < n; i++)
		r->at[i] = shape_find(r->shape, r->fields[i].name);
	r->nfields = n;
	return 0;
}

int
rows_add(struct rows *r, const msgpack_object *map, struct err *e)
{
	struct batch *b;
	size_t n = 0;

	if (map->via.map.size > SHAPE_FIELDS_MAX)
		return err_set(e, "row of %u fields (%d may be)",
			       map->via.map.size, SHAPE_FIELDS_MAX);
	r->same = true;
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		if (map->via.map.ptr[i].val.type == MSGPACK_OBJECT_NIL)
			continue;
		if (read_pair(r, n++, &map->via.map.ptr[i], e) != 0) {
			r->shape = NULL; /* the fields are of no row */
			return -1;
		}
	}
	if (find_shape(r, n, e) != 0)
		return -1;
	b = find_open(r, r->shape);
	if (b && b->rows == BATCH_ROWS_MAX)
		return err_set(e, "row: batch is full"); /* not taken */
	if (!b) {
		if (r->n == OPEN_MAX)
			return err_set(e, "row: too many shapes are open");
		b = batch_new(r->shape);
		if (!b)
			return err_set(e, "out of memory for records");
		r->last = r->n;
		r->sizes[r->n] = 0;
		r->open[r->n++] = b;
	}
	return put_row(r, b, n, e);
}

const struct batch *
rows_take(struct rows *r, uint32_t min)
{
	size_t best = 0;

	batch_free(r->taken);
	r->taken = NULL;
	if (r->n == 0)
		return NULL;
	for (size_t i = 1; i < r->n; i++)
		if (r->open[i]->rows > r->open[best]->rows)
			best = i;
	if (r->open[best]->rows < min && r->n < OPEN_MAX &&
	    r->bytes < ROWS_BYTES_MAX)
		return NULL;
	r->taken = r->open[best];
	r->bytes -= r->sizes[best];
	r->n--;
	r->open[best] = r->open[r->n];
	r->sizes[best] = r->sizes[r->n];
	return r->taken;
}
