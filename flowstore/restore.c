/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore restore: a table out of its backup.
 *
 * It is made under a name that no table has, checked as `flowstore check` does,
 * and only then gets its own; nothing in the backup says where anything is
 * written.  What a killed restore left goes with the next one of that table.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/log.h"
#include "common/place.h"
#include "common/stream.h"
#include "common/table.h"
#include "flowstore/backup.h"
#include "flowstore/command.h"
#include "flowstore/cut.h"
#include "flowstore/lock.h"
#include "flowstore/progress.h"

enum { PARTS_MAX = 6, CHUNK = 1 << 20 };

#define SEGMENT_BYTES_MAX (UINT64_C(1) << 40)

struct restore {
	const char *path;
	const char *dir; /* NULL: the backup is looked at only */
	int fd;
	struct stream_in in;
	struct progress progress;
	bool begun;    /* its head was read */
	uint64_t told; /* bytes, to progress */
	uint64_t sum;
	msgpack_zone zone;
	msgpack_object o[PARTS_MAX];
	uint32_t n;		 /* parts of the object at hand */
	struct ledger ledger;	 /* of the newest segment */
	uint64_t segments, left; /* segments and blocks to come */
	uint32_t number;	 /* of the segment at hand; 0: none yet */
	struct table_segment of;
	struct cut cut;
	bool cutting;
	struct shapes *shapes;
	uint64_t last_id, blocks, rows;
};

/* ---- objects ---- */

static int
damaged(struct restore *x, struct err *e, const char *what)
{
	if (!x->begun)
		return err_set(e,
			       "%s is no backup of a table, or its beginning "
			       "is damaged",
			       x->path);
	return err_set(e, "%s is damaged at offset %" PRIu64 ": %s", x->path,
		       x->in.offset, what);
}

/* The next object of any kind, not yet looked at. */
static int
next(struct restore *x, const char **obj, size_t *len, struct err *e)
{
	int r;

	while ((r = stream_next(&x->in, obj, len, e)) == 0) {
		if (x->in.eof)
			return err_set(
			    e, "%s is cut: it ends after %" PRIu64 " records",
			    x->path, x->rows);
		if (stream_fill(&x->in, e) < 0)
			break;
		progress_add(&x->progress, x->in.offset - x->told);
		x->told = x->in.offset;
	}
	if (r == 1)
		return 0;
	return err_prefix(e, "%s is cut or damaged, after %" PRIu64 " records",
			  x->path, x->rows);
}

static int
take_sum(struct restore *x, uint64_t *sum, struct err *e)
{
	const char *obj;
	size_t len, off = 0;
	msgpack_object o;

	if (next(x, &obj, &len, e) != 0)
		return -1;
	msgpack_zone_clear(&x->zone);
	if (msgpack_unpack(obj, len, &off, &x->zone, &o) !=
		MSGPACK_UNPACK_SUCCESS ||
	    o.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return damaged(x, e, "there is no checksum");
	*sum = o.via.u64;
	return 0;
}

/* The next object, its parts in x->o: valid until the next call. */
static int
take(struct restore *x, struct err *e)
{
	const char *obj;
	size_t len, off = 0;
	msgpack_object o;
	uint64_t sum = 0;

	if (take_sum(x, &sum, e) != 0 || next(x, &obj, &len, e) != 0)
		return -1;
	x->sum = checksum_seeded(obj, len, x->sum);
	if (x->sum != sum)
		return damaged(x, e, "its checksum is wrong");
	msgpack_zone_clear(&x->zone);
	if (msgpack_unpack(obj, len, &off, &x->zone, &o) !=
		MSGPACK_UNPACK_SUCCESS ||
	    o.type != MSGPACK_OBJECT_ARRAY || o.via.array.size == 0 ||
	    o.via.array.size > PARTS_MAX ||
	    o.via.array.ptr[0].type != MSGPACK_OBJECT_STR)
		return damaged(x, e, "it is no part of a backup");
	x->n = o.via.array.size;
	memcpy(x->o, o.via.array.ptr, x->n * sizeof(o));
	return 0;
}

/* Whether the object is of a kind, with parts of such types: u, i, s, b. */
static bool
is(const struct restore *x, const char *kind, const char *types)
{
	const msgpack_object_str *s = &x->o[0].via.str;

	if (s->size != strlen(kind) || memcmp(s->ptr, kind, s->size) != 0 ||
	    x->n != strlen(types) + 1)
		return false;
	for (uint32_t i = 1; i < x->n; i++) {
		msgpack_object_type t = x->o[i].type;

		switch (types[i - 1]) {
		case 's':
			if (t != MSGPACK_OBJECT_STR)
				return false;
			break;
		case 'b':
			if (t != MSGPACK_OBJECT_BIN)
				return false;
			break;
		default:
			if (t != MSGPACK_OBJECT_POSITIVE_INTEGER &&
			    (t != MSGPACK_OBJECT_NEGATIVE_INTEGER ||
			     types[i - 1] != 'i'))
				return false;
		}
	}
	return true;
}

/* ---- what they say ---- */

static int
take_head(struct restore *x, struct err *e)
{
	if (take(x, e) != 0)
		return -1;
	if (!is(x, BACKUP_MAGIC, "usuuu"))
		return damaged(x, e, "");
	x->begun = true;
	if (x->o[1].via.u64 != BACKUP_VERSION)
		return err_set(e,
			       "%s is a backup of version %" PRIu64
			       " (this program reads %d)",
			       x->path, x->o[1].via.u64, BACKUP_VERSION);
	x->ledger.table = x->o[3].via.u64;
	x->ledger.next_id = x->o[4].via.u64;
	x->segments = x->o[5].via.u64;
	return 0;
}

static int
end_segment(struct restore *x, struct err *e)
{
	int r;

	if (!x->cutting)
		return 0;
	r = cut_end(&x->cut, e);
	cut_clear(&x->cut);
	x->cutting = false;
	/* the newest is there even when it is empty, and says how far it is */
	if (r == 1 && x->segments == 0)
		r = segment_make_next(x->dir, x->number - 1, &x->ledger, e);
	return r < 0 ? -1 : 0;
}

/* Readers may not be allowed to make this file. */
static int
make_lock_file(struct restore *x, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	if (place_segment_file(x->dir, x->number, "-lock", path, sizeof(path),
			       e) != 0)
		return -1;
	fd = lock_make_file(path, READERS_MODE, e);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int
copy_streams(struct ledger *to, const struct ledger *from, struct err *e)
{
	for (size_t i = 0; i < from->streams.n; i++) {
		const struct stream_mark *m = &from->streams.marks[i];

		if (streams_set(&to->streams, m->id, m->number, m->time,
				false) != 0)
			return err_set(e, "out of memory");
	}
	return 0;
}

static int
begin_segment(struct restore *x, struct err *e)
{
	struct ledger l = {.table = x->ledger.table,
			   .next_id = x->o[3].via.u64};
	uint64_t number = x->o[1].via.u64, bytes = x->o[5].via.u64;

	if (x->left > 0 || x->segments == 0 || number <= x->number ||
	    number > SEGMENT_NUMBER_MAX)
		return damaged(x, e, "there is no such segment");
	if (end_segment(x, e) != 0)
		return -1;
	x->segments--;
	x->number = (uint32_t)number;
	x->left = x->o[4].via.u64;
	x->of = (struct table_segment){
	    .number = x->number,
	    .created = x->o[2].via.i64,
	    .bytes = bytes < SEGMENT_BYTES_MAX ? bytes : SEGMENT_BYTES_MAX};
	if (!x->dir)
		return 0;
	x->cutting = true;
	if (make_lock_file(x, e) != 0 ||
	    (x->segments == 0 && copy_streams(&l, &x->ledger, e) != 0)) {
		streams_clear(&l.streams);
		x->cutting = false;
		return -1;
	}
	return cut_begin(&x->cut, x->dir, &x->of, &l, e);
}

static int
take_block(struct restore *x, struct err *e)
{
	uint64_t id = x->o[1].via.u64, rows = x->o[2].via.u64;
	const msgpack_object_bin *head = &x->o[3].via.bin;
	const msgpack_object_bin *body = &x->o[4].via.bin;
	const msgpack_object_bin *filters = &x->o[5].via.bin;
	struct table_raw raw = {.head = head->ptr,
				.body = body->ptr,
				.filters = filters->size ? filters->ptr : NULL,
				.head_len = head->size,
				.body_len = body->size,
				.filters_len = filters->size};
	struct block_in *b;
	bool good;

	if (x->left == 0 || id <= x->last_id)
		return damaged(x, e, "a block is out of order");
	if (block_parse(raw.head, raw.head_len, x->shapes, &b, e) != 0)
		return err_prefix(e, "%s: block %" PRIu64, x->path, id);
	good = b->pub.first_id == id && b->pub.rows == rows &&
	       b->body == raw.body_len;
	block_in_free(b);
	if (!good)
		return damaged(x, e, "a block is not what its head says");
	x->left--;
	x->last_id = id;
	x->blocks++;
	x->rows += rows;
	if (!x->dir)
		return 0;
	/* it goes with the next object */
	if (cut_copy(&x->cut, id, (uint32_t)rows, &raw, e) != 0)
		return -1;
	return cut_flush(&x->cut, e);
}

static int
take_stream(struct restore *x, struct err *e)
{
	if (x->number > 0)
		return damaged(x, e, "a stream comes too late");
	return streams_set(&x->ledger.streams, x->o[1].via.u64, x->o[2].via.u64,
			   x->o[3].via.i64, false) == 0
		   ? 0
		   : err_set(e, "out of memory");
}

/* Nothing may come behind it. */
static int
take_end(struct restore *x, struct err *e)
{
	const char *obj;
	size_t len;

	if (x->segments > 0 || x->left > 0 || x->o[1].via.u64 != x->blocks ||
	    x->o[2].via.u64 != x->rows)
		return damaged(x, e, "it has not what its end says");
	while (stream_next(&x->in, &obj, &len, e) == 0 && !x->in.eof)
		if (stream_fill(&x->in, e) < 0)
			return -1;
	if (x->in.start != x->in.end || !x->in.eof)
		return damaged(x, e, "something comes behind its end");
	return end_segment(x, e);
}

static int
take_all(struct restore *x, struct err *e)
{
	int r = take_head(x, e);

	while (r == 0 && take(x, e) == 0) {
		if (is(x, "end", "uu"))
			return take_end(x, e);
		if (is(x, "block", "uubbb"))
			r = take_block(x, e);
		else if (is(x, "segment", "uiuuu"))
			r = begin_segment(x, e);
		else if (is(x, "stream", "uui"))
			r = take_stream(x, e);
		else
			r = damaged(x, e, "it is no part of a backup");
	}
	return -1;
}

/* ---- input ---- */

static int
open_input(struct restore *x, struct err *e)
{
	struct stat st;

	x->fd = STDIN_FILENO;
	if (strcmp(x->path, "-") == 0)
		x->path = "standard input";
	else
		x->fd = open(x->path, O_RDONLY | O_CLOEXEC);
	if (x->fd < 0 || fstat(x->fd, &st) != 0)
		return err_sys(e, "cannot open %s", x->path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, "%s is a directory", x->path);
	x->shapes = shapes_new(SHAPES_MAX);
	if (!x->shapes)
		return err_set(e, "out of memory");
	progress_start(&x->progress, x->dir ? "restore" : "check", x->path,
		       S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	return stream_in_init(&x->in, x->fd, BACKUP_OBJECT_MAX, e);
}

/* Reads the backup, into x->dir if that is set. */
static int
read_backup(struct restore *x, struct err *e)
{
	int r;

	msgpack_zone_init(&x->zone, CHUNK);
	r = open_input(x, e);
	if (r == 0)
		r = take_all(x, e);
	progress_end(&x->progress);
	if (x->cutting)
		cut_clear(&x->cut);
	stream_in_clear(&x->in);
	streams_clear(&x->ledger.streams);
	shapes_free(x->shapes);
	msgpack_zone_destroy(&x->zone);
	if (x->fd > STDIN_FILENO)
		close(x->fd);
	return r;
}

int
restore_check(const char *path, struct err *e)
{
	struct restore x = {.path = path, .fd = -1};

	if (read_backup(&x, e) != 0) {
		log_line("%s", e->text);
		return 1;
	}
	command_say("%s: %" PRIu64 " blocks, %" PRIu64 " records: sound",
		    x.path, x.blocks, x.rows);
	return 0;
}

/* ---- the table ---- */

/* Removes the files of a table that is not there yet. */
static int
empty(const char *dir, bool lock_too, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read the directory %s", dir);
	while (r == 0 && (f = readdir(d))) {
		if (strcmp(f->d_name, ".") == 0 ||
		    strcmp(f->d_name, "..") == 0 ||
		    (!lock_too && strcmp(f->d_name, ".lock") == 0))
			continue;
		if (unlinkat(dirfd(d), f->d_name, 0) != 0)
			r = err_sys(e, "cannot remove %s/%s", dir, f->d_name);
	}
	closedir(d);
	return r;
}

static int
place_dir(const char *root, const char *from, const char *to, const char *name,
	  struct err *e)
{
	int fd, r;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0) {
		if (errno == EEXIST)
			return err_set(e, "there is a table %s", name);
		return err_sys(e, "cannot rename %s to %s", from, to);
	}
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -1 : fsync(fd);
	if (r != 0)
		err_sys(e, "cannot sync the directory %s", root);
	if (fd >= 0)
		close(fd);
	return r;
}

/* FROM is the directory that becomes TO. */
static int
restore(struct restore *x, const struct command_args *a, const char *to,
	struct err *e)
{
	const char *name = a->words[0];
	int lock = lock_take(x->dir, LOCK_WRITER, e), r;

	if (lock < 0)
		return -1;
	r = lock_more(lock, x->dir, LOCK_UPKEEP, false, e);
	if (r != 0) {
		close(lock);
		return -1;
	}
	r = empty(x->dir, false, e);
	if (r == 0)
		r = read_backup(x, e);
	if (r == 0)
		r = check_dir(x->dir, name, e);
	if (r == 0)
		r = place_dir(a->root, x->dir, to, name, e);
	if (r != 0) {
		struct err later;

		if (empty(x->dir, true, &later) == 0)
			rmdir(x->dir);
	}
	close(lock);
	return r;
}

int
restore_run(const struct command_args *a, struct err *e)
{
	const char *name = a->words[0];
	struct restore x = {.path = a->n > 1 ? a->words[1] : "-", .fd = -1};
	char dir[PATH_MAX], from[PATH_MAX];
	struct stat st;

	if (command_is_verb(name))
		return err_set(e, "'%s' is a command, no table's name", name);
	if (place_table(a->root, name, dir, sizeof(dir), e) != 0)
		return -1;
	if (lstat(dir, &st) == 0)
		return err_set(e,
			       "there is a table %s: restore it under another "
			       "name, or drop that first",
			       name);
	if (snprintf(from, sizeof(from), "%s/.restoring.%s", a->root,
		     strrchr(dir, '/') + 1) >= (int)sizeof(from))
		return err_set(e, "the path %s is too long", dir);
	x.dir = from;
	if (lock_make_dirs(from, e) != 0 || restore(&x, a, dir, e) != 0)
		return -1;
	command_say("%s: %" PRIu64 " records restored", name, x.rows);
	return 0;
}
