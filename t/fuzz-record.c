/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile bytes into the reader of record streams: framing, batches and rows.
 * What it accepts is then read to the last value, printed, and written again:
 * a batch that was read must be one that can be passed on.
 *
 * An input that begins with 0xc1, which msgpack does not have, is no stream but
 * steps to make one, so that what mutates are rows, types and values, and not
 * only lengths that no longer fit:
 *
 *	0 ROWS N (NAME TYPE FORM)*N COLUMN*N	a batch
 *	1 N (NAME VALUE)*N			a row
 *	2 N BYTE*N				bytes as they are
 *	3 AT BYTE				change a byte
 *
 * FORM is what a column is (see enum form), plus ways in which it is wrong.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/format.h"
#include "common/record.h"
#include "common/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum {
	OBJECT_MAX = 1 << 20,
	PRINTED = 64,
	STEPS = 0xc1,
	FIELDS = 16,
};

enum form {
	FORM_PACKED,
	FORM_NULLS,
	FORM_CONSTANT,
	FORM_NULL,
	FORM_KINDS,
	/* wrong */
	FORM_SHORT = 4, /* a byte too few */
	FORM_LONG = 8,
	FORM_OFFSET = 16, /* one of the offsets */
	FORM_OTHER = 32,  /* a constant of another type */
	FORM_ALONE = 64,  /* in an array, or not in one, as it should not be */
};

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
print(const struct batch *b, enum format_type type)
{
	const struct column *cols[SHAPE_FIELDS_MAX];
	const char *names[SHAPE_FIELDS_MAX];
	enum col_type types[SHAPE_FIELDS_MAX];
	struct format *f = format_new(type);
	size_t len, n = b->shape->n;
	struct err err;

	must(f != NULL);
	for (size_t i = 0; i < n; i++) {
		names[i] = b->shape->fields[i].name;
		types[i] = b->shape->fields[i].type;
		cols[i] = &b->cols[i];
	}
	must(format_columns(f, names, types, n, &err) == 0);
	must(format_header(f, &err) == 0);
	must(format_rows(f, cols, 0, b->rows < PRINTED ? b->rows : PRINTED,
			 &err) == 0);
	format_text(f, &len);
	format_free(f);
}

/* Touches every value; the sum keeps the compiler from leaving it out. */
static uint64_t
touch(const struct batch *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < b->shape->n; i++) {
		enum col_type type = b->shape->fields[i].type;
		struct value v;

		for (uint32_t row = 0; row < b->rows; row++) {
			column_value(&b->cols[i], type, row, &v);
			sum += v.type;
			if (v.type == COL_STRING || v.type == COL_BYTES)
				for (size_t k = 0; k < v.len; k++)
					sum += (unsigned char)v.s[k];
		}
	}
	return sum;
}

static void
copy(const struct batch *b)
{
	struct batch *mine = batch_new(b->shape);
	struct err err;

	must(mine != NULL);
	must(batch_append(mine, b, 0, b->rows, &err) == 0);
	must(touch(mine) == touch(b));
	batch_free(mine);
}

/* Writes into a file that is then read back. */
static void
write_again(const struct batch *b, struct record_reader *other)
{
	static int fd = -1;
	const struct batch *back;
	struct stream_out out;
	struct err err;
	uint64_t sum = touch(b);
	uint32_t rows = b->rows;
	size_t len;
	char *p;

	if (fd < 0)
		fd = memfd_create("fuzz", 0);
	must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	stream_out_init(&out, fd);
	must(record_write(&out, b, &err) == 0);
	must(stream_out_flush(&out, &err) == 0);
	len = out.written;
	stream_out_clear(&out);
	p = malloc(len);
	must(p && pread(fd, p, len, 0) == (ssize_t)len);
	must(record_read(other, p, len, &back, &err) == 1);
	must(back->rows == rows && touch(back) == sum);
	free(p);
}

static void
use(const struct batch *b, struct record_reader *other)
{
	for (int type = 0; type < FORMAT_TYPES; type++)
		print(b, (enum format_type)type);
	copy(b);
	write_again(b, other);
}

static void
read_stream(const char *p, size_t size)
{
	struct shapes *shapes = shapes_new(64);
	struct record_reader *reader = record_reader_new(shapes);
	struct record_reader *other = record_reader_new(shapes);
	const struct batch *b;
	const char *reason;
	struct err err;
	int64_t n;
	int rc = 0;

	must(shapes && reader && other);
	while (rc >= 0 &&
	       (n = stream_extent(p, size, OBJECT_MAX, &reason)) > 0) {
		must((uint64_t)n <= size);
		rc = record_read(reader, p, (size_t)n, &b, &err);
		if (rc == 1)
			use(b, other);
		p += n;
		size -= (size_t)n;
	}
	while ((b = record_reader_take(reader, 1)))
		use(b, other);
	record_reader_free(other);
	record_reader_free(reader);
	shapes_free(shapes);
}

/* Steps. */

struct steps {
	const uint8_t *p;
	size_t left;
	msgpack_sbuffer out;
	msgpack_packer pk;
};

/* Zeros behind the last. */
static uint8_t
next(struct steps *s)
{
	if (s->left == 0)
		return 0;
	s->left--;
	return *s->p++;
}

static uint64_t
next_uint(struct steps *s, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | next(s);
	return v;
}

static void
next_bytes(struct steps *s, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = next(s);
}

static void
put_name(struct steps *s, uint8_t which)
{
	static const char *const names[] = {
	    "_time",	"src_addr",    "dst_addr",
	    "exporter", "octet_count", "start_time",
	    "src_mac",	"protocol",    "e9_1",
	    "a",	"b",	       "sourceIPv4Address",
	    "_id",	"input_name",  "OctetDeltaCount",
	    ""};
	const char *name = names[which & 15];

	msgpack_pack_str_with_body(&s->pk, name, strlen(name));
}

static void
put_bin(struct steps *s, const uint8_t *p, size_t n)
{
	msgpack_pack_bin_with_body(&s->pk, p, n);
}

/* A value of any kind. */
static void
put_value(struct steps *s, uint8_t kind)
{
	static const char *const texts[] = {"10.1.2.3", "2001:db8::7",
					    "00:11:22:33:44:55",
					    "2026-01-02T03:04:05Z", ""};
	uint8_t bytes[255], n;

	switch (kind % 10) {
	case 0:
		msgpack_pack_uint64(&s->pk, next_uint(s, 1u + kind / 10 % 8));
		break;
	case 1:
		msgpack_pack_int64(&s->pk, (int64_t)next_uint(s, 8));
		break;
	case 2:
		msgpack_pack_double(&s->pk, (double)next_uint(s, 3) / 7);
		break;
	case 3:
		if (next(s) & 1)
			msgpack_pack_true(&s->pk);
		else
			msgpack_pack_false(&s->pk);
		break;
	case 4:
		msgpack_pack_nil(&s->pk);
		break;
	case 5:
	case 6:
		n = kind % 10 == 5 ? 16 : next(s);
		next_bytes(s, bytes, n);
		put_bin(s, bytes, n);
		break;
	case 7:
		n = next(s);
		next_bytes(s, bytes, n);
		msgpack_pack_str_with_body(&s->pk, bytes, n);
		break;
	case 8:
		n = next(s) % 5;
		msgpack_pack_str_with_body(&s->pk, texts[n], strlen(texts[n]));
		break;
	default:
		msgpack_pack_array(&s->pk, kind / 10 % 3);
		for (int i = 0; i < kind / 10 % 3; i++)
			msgpack_pack_nil(&s->pk);
		break;
	}
}

static size_t
wrong_size(size_t n, uint8_t form)
{
	return n + (form & FORM_LONG ? 1 : 0) - (form & FORM_SHORT && n > 0);
}

/* Offsets, and strings of 31 bytes at most. */
static void
put_packed_text(struct steps *s, uint32_t rows, uint8_t form)
{
	static uint8_t body[256 * 4 + 256 * 32];
	uint32_t at = 0;
	size_t head = (rows + 1u) * 4;

	memcpy(body, &at, 4);
	for (uint32_t i = 0; i < rows; i++) {
		size_t n = next(s) & 31;

		next_bytes(s, body + head + at, n);
		at += (uint32_t)n;
		memcpy(body + 4 * (i + 1u), &at, 4);
	}
	if (form & FORM_OFFSET)
		body[next_uint(s, 2) % head] = next(s);
	put_bin(s, body, wrong_size(head + at, form));
}

static void
put_packed(struct steps *s, enum col_type t, uint32_t rows, uint8_t form)
{
	static uint8_t body[256 * 16 + 1];
	size_t n = rows * col_type_width(t);

	if (t == COL_STRING || t == COL_BYTES) {
		put_packed_text(s, rows, form);
		return;
	}
	next_bytes(s, body, n);
	put_bin(s, body, wrong_size(n, form));
}

static void
put_constant(struct steps *s, enum col_type t, uint8_t form)
{
	static const uint8_t kinds[] = {
	    [COL_BOOL] = 3,  [COL_U8] = 0,  [COL_U16] = 10, [COL_U32] = 30,
	    [COL_U64] = 70,  [COL_I64] = 1, [COL_F64] = 2,  [COL_TIME] = 1,
	    [COL_IPV4] = 30, [COL_IP] = 5,  [COL_MAC] = 50, [COL_STRING] = 7,
	    [COL_BYTES] = 6};
	bool alone = t == COL_IP || t == COL_BYTES;

	if (alone != !!(form & FORM_ALONE))
		msgpack_pack_array(&s->pk, 1);
	put_value(s, form & FORM_OTHER ? next(s) : kinds[t]);
}

static void
put_column(struct steps *s, enum col_type t, uint32_t rows, uint8_t form)
{
	uint8_t valid[33];

	switch (form % FORM_KINDS) {
	case FORM_PACKED:
		put_packed(s, t, rows, form);
		break;
	case FORM_NULLS:
		msgpack_pack_array(&s->pk, form & FORM_ALONE ? 3 : 2);
		put_packed(s, t, rows, form & FORM_OFFSET);
		next_bytes(s, valid, sizeof(valid));
		put_bin(s, valid, wrong_size((rows + 7) / 8, form));
		if (form & FORM_ALONE)
			msgpack_pack_nil(&s->pk);
		break;
	case FORM_CONSTANT:
		put_constant(s, t, form);
		break;
	default:
		msgpack_pack_nil(&s->pk);
		break;
	}
}

static void
put_batch(struct steps *s)
{
	uint8_t rows = next(s), n = next(s) % FIELDS;
	uint8_t names[FIELDS], forms[FIELDS];
	enum col_type types[FIELDS];

	for (int i = 0; i < n; i++) {
		names[i] = next(s);
		types[i] = next(s) % COL_BYTES + 1;
		forms[i] = next(s);
	}
	msgpack_pack_array(&s->pk, 7);
	msgpack_pack_int(&s->pk, RECORD_VERSION);
	msgpack_pack_int(&s->pk, 77);
	msgpack_pack_int(&s->pk, 1);
	msgpack_pack_int(&s->pk, rows);
	msgpack_pack_array(&s->pk, n);
	for (int i = 0; i < n; i++)
		put_name(s, names[i]);
	msgpack_pack_array(&s->pk, n);
	for (int i = 0; i < n; i++)
		msgpack_pack_str_with_body(&s->pk, col_type_name(types[i]),
					   strlen(col_type_name(types[i])));
	msgpack_pack_array(&s->pk, n);
	for (int i = 0; i < n; i++)
		put_column(s, types[i], rows, forms[i]);
}

static void
put_row(struct steps *s)
{
	uint8_t n = next(s) % FIELDS;

	msgpack_pack_map(&s->pk, n);
	for (int i = 0; i < n; i++) {
		put_name(s, next(s));
		put_value(s, next(s));
	}
}

static void
step(struct steps *s)
{
	uint8_t bytes[255], n;
	size_t at;

	switch (next(s) & 3) {
	case 0:
		put_batch(s);
		break;
	case 1:
		put_row(s);
		break;
	case 2:
		n = next(s);
		next_bytes(s, bytes, n);
		if (n > 0)
			msgpack_sbuffer_write(&s->out, (const char *)bytes, n);
		break;
	default:
		at = next_uint(s, 2);
		if (at < s->out.size)
			s->out.data[at] = (char)next(s);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct steps s = {.p = data + 1, .left = size - 1};
	char *exact;

	if (size == 0 || data[0] != STEPS) {
		read_stream((const char *)data, size);
		return 0;
	}
	msgpack_sbuffer_init(&s.out);
	msgpack_packer_init(&s.pk, &s.out, msgpack_sbuffer_write);
	while (s.left > 0 && s.out.size < OBJECT_MAX)
		step(&s);
	exact = malloc(s.out.size); /* a byte too far is seen */
	must(exact || s.out.size == 0);
	if (s.out.size > 0)
		memcpy(exact, s.out.data, s.out.size);
	read_stream(exact, s.out.size);
	free(exact);
	msgpack_sbuffer_destroy(&s.out);
	return 0;
}
