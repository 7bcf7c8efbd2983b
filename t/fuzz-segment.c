/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A segment, made here and damaged as the input says, read as everybody reads
 * one: its pages checked, walked and salvaged, and by LMDB if they are sound.
 * The input is a sequence of edits of three bytes: where (in the pages' heads
 * mostly) and what.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/pages.h"
#include "common/table.h"
#include "flowstore/cut.h"
#include "flowstore/salvage.h"
#include "flowstore/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { BLOCKS = 40, ROWS = 50, EDITS_MAX = 400 };

static uint8_t *whole;
static size_t whole_len;
static char dir[] = "/tmp/fuzz-segment-XXXXXX";
static char path[64];

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static struct batch *
make(struct shapes *shapes, uint64_t first)
{
	static const struct field fields[] = {{"_id", COL_U64},
					      {"_time", COL_TIME},
					      {"addr", COL_IPV4},
					      {"s", COL_STRING}};
	const struct shape *shape;
	struct batch *b;
	struct err e;

	must(shapes_get(shapes, fields, 4, &shape, &e) == 0);
	b = batch_new(shape);
	must(b != NULL);
	for (uint32_t row = 0; row < ROWS; row++) {
		const struct value v[] = {
		    {.type = COL_U64, .u = first + row},
		    {.type = COL_TIME, .i = (int64_t)(first * row)},
		    {.type = COL_IPV4,
		     .u = (first * 2654435761 * row) >> 8 & 0xffffffff},
		    {.type = COL_STRING, .s = "abcdefgh", .len = row % 8}};

		for (size_t i = 0; i < 4; i++)
			must(column_put(&b->cols[i], fields[i].type, row, &v[i],
					&e) == 0);
		b->rows++;
	}
	return b;
}

/* Blocks come one by one and some go again, so that there are free pages and
 * branches. */
static void
build(void)
{
	struct shapes *shapes = shapes_new(8);
	struct encoder *enc = encoder_new();
	struct ledger l = {0};
	struct segment s;
	struct err e;

	must(shapes && enc && mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/00000001.flow", dir);
	must(segment_open(&s, dir, 1 << 20, &l, &e) == 0);
	streams_set(&l.streams, 7, 9, 11, true);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		struct batch *b = make(shapes, 1 + i * ROWS);
		struct block_out out = {0};
		struct change c[2] = {{1 + i * ROWS, ROWS, &out},
				      {1 + (i - 1) * ROWS, ROWS, NULL}};

		must(block_encode(enc, b, 0, ROWS, &out, &e) == 0);
		l.next_id = 1 + (i + 1) * ROWS;
		must(segment_commit(&s, c, i % 5 == 4 ? 2 : 1, &l, &e) == 0);
		bytes_clear(&out.head);
		bytes_clear(&out.body);
		batch_free(b);
	}
	segment_close(&s);
	streams_clear(&l.streams);
	encoder_free(enc);
	shapes_free(shapes);
}

static void
clean(void)
{
	char lock[80];

	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(path);
	unlink(lock);
	rmdir(dir);
}

static void
load(void)
{
	struct stat st;
	int fd;

	build();
	fd = open(path, O_RDONLY);
	must(fd >= 0 && fstat(fd, &st) == 0);
	whole_len = (size_t)st.st_size;
	whole = malloc(whole_len);
	must(whole && read(fd, whole, whole_len) == (ssize_t)whole_len);
	close(fd);
	atexit(clean);
}

/* Two bytes of where: half of all edits near the beginning of a page. */
static size_t
place(const uint8_t *edit)
{
	size_t at = (size_t)(edit[0] | edit[1] << 8) * (whole_len / 65536 + 1);

	if (edit[0] & 1)
		at = at / 4096 * 4096 + edit[1] % 120;
	return at % whole_len;
}

static void
damage(const uint8_t *data, size_t size)
{
	uint8_t *spoilt = malloc(whole_len);
	size_t len = whole_len;
	int fd = open(path, O_WRONLY | O_TRUNC);

	must(spoilt && fd >= 0);
	memcpy(spoilt, whole, whole_len);
	if (size % 3 == 2)
		len = place(data + size - 2);
	for (size_t i = 0; i + 3 <= size && i / 3 < EDITS_MAX; i += 3)
		spoilt[place(data + i)] ^= data[i + 2];
	must(write(fd, spoilt, len) == (ssize_t)len);
	close(fd);
	free(spoilt);
}

static void
tell(void *ctx, const char *text)
{
	must(*text);
	++*(size_t *)ctx;
}

static void
salvage(void)
{
	struct salvage s;
	size_t told = 0, rows = 0;
	struct err e;

	must(salvage_open(&s, path, tell, &told, &e) == 0);
	for (size_t i = 0; i < s.n; i++)
		rows += s.blocks[i].lost ? 0 : s.blocks[i].in->pub.rows;
	/* nothing can be in it that was not stored */
	must(rows <= BLOCKS * ROWS);
	salvage_close(&s);
}

static void
read_all(void)
{
	struct shapes *shapes = shapes_new(8);
	struct table_scratch scratch = {0};
	struct column c = {0};
	struct table *t = NULL;
	struct err e;

	if (table_open_segment(&t, dir, 1, false, shapes, &e) == 0) {
		for (size_t i = 0; i < table_blocks(t); i++)
			for (size_t k = 0; k < table_block(t, i)->shape->n; k++)
				(void)!table_column(t, i, k, &scratch, &c, &e);
		table_close(t);
	}
	column_clear(&c);
	table_scratch_clear(&scratch);
	shapes_free(shapes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pages *p;
	struct err e;

	if (!whole)
		load();
	damage(data, size);
	p = pages_open(path, &e);
	if (p)
		pages_check(p, 0, true, &e);
	pages_close(p);
	salvage();
	read_all();
	return 0;
}
