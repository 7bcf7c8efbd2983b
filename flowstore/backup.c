/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore backup: a table as of one moment, in one file.
 *
 * One snapshot is read, which holds no writer up.  Blocks go as they are, after
 * a look at their checksums: a damaged table is no backup.
 */
#include "flowstore/backup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/stream.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/outfile.h"
#include "flowstore/progress.h"

struct backup {
	const char *name;
	struct outfile file;
	struct stream_out out;
	struct shapes *shapes;
	struct table *table;
	struct table_scratch scratch;
	struct column column;
	struct progress progress;
	char *buf;
	size_t cap;
	uint64_t sum, blocks, rows;
};

static void
pack_text(msgpack_packer *pk, const char *s)
{
	msgpack_pack_str_with_body(pk, s, strlen(s));
}

static void
pack_bin(msgpack_packer *pk, struct stream_out *o, const void *p, size_t len)
{
	msgpack_pack_bin(pk, len);
	stream_out_refer(o, p, len);
}

/* Writes the object that was packed, behind its checksum. */
static int
put(struct backup *b, struct err *e)
{
	size_t len = stream_out_pending(&b->out), n;
	msgpack_packer pk;
	char sum[16], *p;

	if (len > b->cap) {
		p = realloc(b->buf, len);
		if (!p)
			return err_set(e, "out of memory");
		b->buf = p;
		b->cap = len;
	}
	if (stream_out_take(&b->out, b->buf, e) != 0)
		return -1;
	b->sum = checksum_seeded(b->buf, len, b->sum);
	stream_out_packer(&b->out, &pk);
	msgpack_pack_uint64(&pk, b->sum);
	n = stream_out_pending(&b->out);
	if (stream_out_take(&b->out, sum, e) != 0 ||
	    outfile_write(&b->file, sum, n, e) != 0)
		return -1;
	return outfile_write(&b->file, b->buf, len, e);
}

static int
put_head(struct backup *b, struct err *e)
{
	size_t n = table_segments(b->table);
	const struct table_segment *last =
	    n ? table_segment(b->table, n - 1) : NULL;
	msgpack_packer pk;

	stream_out_packer(&b->out, &pk);
	msgpack_pack_array(&pk, 6);
	pack_text(&pk, BACKUP_MAGIC);
	msgpack_pack_uint64(&pk, BACKUP_VERSION);
	pack_text(&pk, b->name);
	msgpack_pack_uint64(&pk, last ? last->table : 0);
	msgpack_pack_uint64(&pk, last ? last->next_id : 1);
	msgpack_pack_uint64(&pk, n);
	return put(b, e);
}

static int
put_streams(struct backup *b, struct err *e)
{
	struct table_stream *s;
	msgpack_packer pk;
	size_t n;
	int r = 0;

	if (table_streams(b->table, &s, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++) {
		stream_out_packer(&b->out, &pk);
		msgpack_pack_array(&pk, 4);
		pack_text(&pk, "stream");
		msgpack_pack_uint64(&pk, s[i].id);
		msgpack_pack_uint64(&pk, s[i].number);
		msgpack_pack_int64(&pk, s[i].time);
		r = put(b, e);
	}
	free(s);
	return r;
}

static int
put_block(struct backup *b, size_t i, struct err *e)
{
	const struct block *block = table_block(b->table, i);
	struct table_raw raw;
	msgpack_packer pk;

	for (size_t k = 0; k < block->shape->n; k++)
		if (table_column(b->table, i, k, &b->scratch, &b->column, e) !=
		    0)
			return -1;
	if (table_check_filters(b->table, i, e) != 0)
		return -1;
	table_block_raw(b->table, i, &raw);
	stream_out_packer(&b->out, &pk);
	msgpack_pack_array(&pk, 6);
	pack_text(&pk, "block");
	msgpack_pack_uint64(&pk, block->first_id);
	msgpack_pack_uint64(&pk, block->rows);
	pack_bin(&pk, &b->out, raw.head, raw.head_len);
	pack_bin(&pk, &b->out, raw.body, raw.body_len);
	pack_bin(&pk, &b->out, raw.filters, raw.filters_len);
	b->blocks++;
	b->rows += block->rows;
	progress_add(&b->progress, block->bytes);
	return put(b, e);
}

static int
put_segment(struct backup *b, const struct table_segment *s, struct err *e)
{
	msgpack_packer pk;
	int r;

	stream_out_packer(&b->out, &pk);
	msgpack_pack_array(&pk, 6);
	pack_text(&pk, "segment");
	msgpack_pack_uint64(&pk, s->number);
	msgpack_pack_int64(&pk, s->created);
	msgpack_pack_uint64(&pk, s->next_id);
	msgpack_pack_uint64(&pk, s->n);
	msgpack_pack_uint64(&pk, s->bytes);
	r = put(b, e);
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = put_block(b, s->block + i, e);
	return r;
}

static int
put_all(struct backup *b, struct err *e)
{
	msgpack_packer pk;
	uint64_t bytes = 0;
	int r;

	for (size_t i = 0; i < table_blocks(b->table); i++)
		bytes += table_block(b->table, i)->bytes;
	progress_start(&b->progress, "backup", b->name, bytes);
	r = put_head(b, e);
	if (r == 0)
		r = put_streams(b, e);
	for (size_t i = 0; i < table_segments(b->table) && r == 0; i++)
		r = put_segment(b, table_segment(b->table, i), e);
	if (r == 0) {
		stream_out_packer(&b->out, &pk);
		msgpack_pack_array(&pk, 3);
		pack_text(&pk, "end");
		msgpack_pack_uint64(&pk, b->blocks);
		msgpack_pack_uint64(&pk, b->rows);
		r = put(b, e);
	}
	progress_end(&b->progress);
	return r;
}

static int
run(struct backup *b, const struct command_args *a, struct err *e)
{
	const char *path = a->n > 1 ? a->words[1] : "-";
	int r;

	b->shapes = shapes_new(SHAPES_MAX);
	if (!b->shapes)
		return err_set(e, "out of memory");
	if (table_open(&b->table, a->root, b->name, b->shapes, e) != 0 ||
	    outfile_open(&b->file, path, a->yes, e) != 0)
		return -1;
	r = isatty(b->file.fd) ? err_set(e, "a backup is no text for a "
					    "terminal: name a file")
			       : put_all(b, e);
	r = outfile_close(&b->file, r, e);
	if (r == 0 && b->file.named)
		command_say("%s: %" PRIu64 " records backed up", b->name,
			    b->rows);
	return r;
}

int
backup_run(const struct command_args *a, struct err *e)
{
	struct backup b = {.name = a->words[0]};
	int r;

	stream_out_init(&b.out, -1);
	r = run(&b, a, e);
	stream_out_clear(&b.out);
	free(b.buf);
	column_clear(&b.column);
	table_scratch_clear(&b.scratch);
	table_close(b.table);
	shapes_free(b.shapes);
	return r;
}
