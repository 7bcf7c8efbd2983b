/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile bytes into the reader of record streams: framing, batches and rows.
 * What it accepts is then read to the last value, printed, and written again:
 * a batch that was read must be one that can be passed on.
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

enum { OBJECT_MAX = 1 << 20, PRINTED = 64 };

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shapes *shapes = shapes_new(64);
	struct record_reader *reader = record_reader_new(shapes);
	struct record_reader *other = record_reader_new(shapes);
	const char *reason, *p = (const char *)data;
	const struct batch *b;
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
	return 0;
}
