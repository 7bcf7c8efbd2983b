/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/pages.h"
#include "common/place.h"
#include "common/table.h"
#include "flowstore/lock.h"

enum {
	READERS_EVERY = 64, /* commits */
	LOCK_SIZE = 8192,   /* of LMDB's lock file */
};

/* What one transaction may add before the size is looked at again. */
#define MAP_SLACK (UINT64_C(2) << 30)

/* Less than this is a full disk. */
#define DISK_FULL (UINT64_C(16) << 20)

/* A segment that is being made, and one that is being cut. */
static const char newborn[] = ".new.flow", cut[] = ".cut.flow";

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A write that is cut short by a full disk comes back from LMDB as EIO.  A
 * limit on the size of files (ulimit -f) is a full disk, too. */
static bool
is_disk_full(const struct segment *s, int rc)
{
	struct statvfs v;
	struct rlimit limit;

	if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
		return true;
	if (rc != EIO)
		return false;
	if (statvfs(s->dir, &v) == 0 &&
	    (uint64_t)v.f_bavail * v.f_frsize < DISK_FULL)
		return true;
	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       limit.rlim_cur != RLIM_INFINITY;
}

static int
err_lmdb(struct err *e, int rc, const struct segment *s, const char *what)
{
	bool full = is_disk_full(s, rc);

	err_set(e, "cannot %s segment %08u of %s: %s", what,
		(unsigned)s->number, s->dir,
		full ? strerror(ENOSPC) : mdb_strerror(rc));
	e->code = full ? ENOSPC : rc > 0 ? rc : EIO;
	return -1;
}

static int
path_of(const struct segment *s, const char *file, const char *tail,
	char path[PATH_MAX], struct err *e)
{
	if (snprintf(path, PATH_MAX, "%s/%s%s", s->dir, file, tail) >= PATH_MAX)
		return err_set(e, "the path %s is too long", s->dir);
	return 0;
}

/* Readers must be able to write the lock file and nothing else; LMDB would
 * give both files one mode, and take the umask from it.  It maps the lock file,
 * and without room for its pages the first write there would be a SIGBUS. */
static int
make_file(const char *path, mode_t mode, off_t size, struct err *e)
{
	int fd = lock_make_file(path, mode, e), rc = 0;

	if (fd < 0)
		return -1;
	if (size > 0)
		rc = posix_fallocate(fd, 0, size);
	close(fd);
	if (rc != ENOSPC && rc != EDQUOT)
		return 0;
	err_set(e, "cannot make %s: %s", path, strerror(rc));
	e->code = ENOSPC;
	return -1;
}

static int
open_env(struct segment *s, const char *file, unsigned flags, struct err *e)
{
	char path[PATH_MAX], lock[PATH_MAX];
	int rc;

	if (path_of(s, file, "", path, e) != 0 ||
	    path_of(s, file, "-lock", lock, e) != 0 ||
	    make_file(lock, READERS_MODE, LOCK_SIZE, e) != 0)
		return -1;
	rc = mdb_env_create(&s->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, 4);
	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, 2 * s->size_max + MAP_SLACK);
	if (rc == 0)
		rc =
		    mdb_env_open(s->env, path, MDB_NOSUBDIR | flags, DATA_MODE);
	if (rc == 0)
		return 0;
	mdb_env_close(s->env);
	s->env = NULL;
	return err_lmdb(e, rc, s, "open");
}

static int
open_databases(struct segment *s, MDB_txn *txn, unsigned flags)
{
	unsigned ids = flags | MDB_INTEGERKEY;
	int rc = mdb_dbi_open(txn, PLACE_META, flags, &s->meta);

	if (rc == 0)
		rc = mdb_dbi_open(txn, PLACE_HEADS, ids, &s->heads);
	if (rc == 0)
		rc = mdb_dbi_open(txn, PLACE_DATA, ids, &s->data);
	/* segments of before there were filters lack it */
	if (rc == 0)
		rc = mdb_dbi_open(txn, PLACE_FILTERS, ids | MDB_CREATE,
				  &s->filters);
	return rc;
}

static int
put_number(struct segment *s, MDB_txn *txn, const char *key, uint64_t x,
	   size_t width)
{
	MDB_val k = {strlen(key), (void *)key}, v = {width, &x};

	return mdb_put(txn, s->meta, &k, &v, 0);
}

static int
get_number(struct segment *s, MDB_txn *txn, const char *key, uint64_t *x,
	   size_t width)
{
	MDB_val k = {strlen(key), (void *)key}, v;
	int rc = mdb_get(txn, s->meta, &k, &v);

	*x = 0;
	if (rc == 0 && v.mv_size != width)
		return MDB_CORRUPTED;
	if (rc == 0)
		memcpy(x, v.mv_data, width);
	return rc;
}

static int
put_streams(struct segment *s, MDB_txn *txn, const struct streams *st, bool all)
{
	for (size_t i = 0; i < st->n; i++) {
		const struct stream_mark *m = &st->marks[i];
		struct place_stream to = {m->number, m->time};
		char key[9] = {META_STREAM};
		MDB_val k = {sizeof(key), key}, v = {sizeof(to), &to};
		int rc;

		if (!all && !m->dirty)
			continue;
		memcpy(key + 1, &m->id, 8);
		rc = mdb_put(txn, s->meta, &k, &v, 0);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
get_streams(struct segment *s, MDB_txn *txn, struct streams *st)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, s->meta, &c);

	if (rc != 0)
		return rc;
	while (rc == 0 && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct place_stream from;
		uint64_t id;

		if (k.mv_size != 9 || *(char *)k.mv_data != META_STREAM ||
		    v.mv_size != sizeof(from))
			continue;
		memcpy(&id, (char *)k.mv_data + 1, 8);
		memcpy(&from, v.mv_data, sizeof(from));
		if (streams_set(st, id, from.number, from.time, false) != 0)
			rc = ENOMEM;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void
measure(struct segment *s)
{
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &st);
	s->bytes = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
}

/* Everything a segment is born with. */
static int
fill_new(struct segment *s, const struct ledger *l)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	rc = open_databases(s, txn, MDB_CREATE);
	if (rc == 0)
		rc = put_number(s, txn, META_VERSION, TABLE_VERSION, 4);
	if (rc == 0)
		rc = put_number(s, txn, META_TABLE, l->table, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_CREATED, (uint64_t)s->created, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_NEXT_ID, l->next_id, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_ROWS, 0, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_BLOCKS, 0, 8);
	if (rc == 0)
		rc = put_streams(s, txn, &l->streams, true);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
sync_dir(const struct segment *s, struct err *e)
{
	int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd) != 0)
		r = err_sys(e, "cannot sync the directory %s", s->dir);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Leftovers of a segment that was being made when its maker died. */
static int
remove_unborn(const struct segment *s, const char *name, struct err *e)
{
	char path[PATH_MAX], lock[PATH_MAX];

	if (path_of(s, name, "", path, e) != 0 ||
	    path_of(s, name, "-lock", lock, e) != 0)
		return -1;
	if ((unlink(path) != 0 && errno != ENOENT) ||
	    (unlink(lock) != 0 && errno != ENOENT))
		return err_sys(e, "cannot remove %s", path);
	return 0;
}

/* A segment is made under another name, so that one with a number is always
 * whole. */
static int
begin(struct segment *s, const char *name, unsigned flags,
      const struct ledger *l, struct err *e)
{
	char path[PATH_MAX];
	int rc;

	if (path_of(s, name, "", path, e) != 0 ||
	    remove_unborn(s, name, e) != 0 ||
	    make_file(path, DATA_MODE, 0, e) != 0 ||
	    open_env(s, name, flags, e) != 0)
		return -1;
	rc = fill_new(s, l);
	if (rc == 0)
		return 0;
	segment_close(s);
	return err_lmdb(e, rc, s, "make");
}

/* It gets its number. */
static int
place(struct segment *s, const char *name, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];

	segment_close(s);
	if (path_of(s, name, "", from, e) != 0 ||
	    place_segment_file(s->dir, s->number, "", to, PATH_MAX, e) != 0)
		return -1;
	if (rename(from, to) != 0)
		return err_sys(e, "cannot rename %s to %s", from, to);
	if (remove_unborn(s, name, e) != 0)
		return -1;
	return sync_dir(s, e);
}

/* Its readers' file is there before it, for they may not be allowed to make
 * one. */
static int
create(struct segment *s, const struct ledger *l, struct err *e)
{
	char path[PATH_MAX];
	struct err later;

	s->created = now_us();
	if (place_segment_file(s->dir, s->number, "-lock", path, PATH_MAX, e) !=
		0 ||
	    make_file(path, READERS_MODE, LOCK_SIZE, e) != 0 ||
	    begin(s, newborn, 0, l, e) != 0)
		return -1;
	if (place(s, newborn, e) == 0)
		return 0;
	/* the one before is written on: were this the newest after a crash, ids
	 * would come twice, and batches that are stored already */
	if (place_segment_file(s->dir, s->number, "", path, PATH_MAX, &later) ==
	    0)
		unlink(path);
	return -1;
}

static int
read_meta(struct segment *s, struct ledger *l, struct err *e)
{
	uint64_t version = 0, created = 0;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return err_lmdb(e, rc, s, "read");
	rc = open_databases(s, txn, 0);
	if (rc == 0)
		rc = get_number(s, txn, META_VERSION, &version, 4);
	if (rc == 0)
		rc = get_number(s, txn, META_TABLE, &l->table, 8);
	if (rc == 0)
		rc = get_number(s, txn, META_CREATED, &created, 8);
	if (rc == 0)
		rc = get_number(s, txn, META_NEXT_ID, &l->next_id, 8);
	if (rc == 0)
		rc = get_number(s, txn, META_ROWS, &s->rows, 8);
	if (rc == 0)
		rc = get_number(s, txn, META_BLOCKS, &s->blocks, 8);
	if (rc == 0)
		rc = get_streams(s, txn, &l->streams);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	s->created = (int64_t)created;
	if (rc != 0)
		return err_lmdb(e, rc, s, "read");
	if (version != TABLE_VERSION)
		return err_set(e,
			       "segment %08u of %s has version %llu (this "
			       "program writes %d)",
			       (unsigned)s->number, s->dir,
			       (unsigned long long)version, TABLE_VERSION);
	return 0;
}

/* LMDB trusts its file, we do not. */
static int
check_pages(struct segment *s, const char *file, struct err *e)
{
	char path[PATH_MAX];
	struct pages *p;
	int r = -1;

	if (path_of(s, file, "", path, e) != 0)
		return -1;
	p = pages_open(path, e);
	if (p)
		r = pages_check(p, 0, true, e);
	pages_close(p);
	return r == 0 ? 0 : err_prefix(e, "cannot write to %s", path);
}

static int
open_numbered(struct segment *s, struct ledger *l, struct err *e)
{
	char file[SEGMENT_NAME_MAX];

	place_segment(s->number, file);
	streams_clear(&l->streams);
	if (check_pages(s, file, e) != 0 || open_env(s, file, 0, e) != 0)
		return -1;
	if (read_meta(s, l, e) != 0) {
		segment_close(s);
		return -1;
	}
	measure(s);
	return 0;
}

/* Opens what was open before: its ledger and counts are known. */
static int
reopen(struct segment *s, struct err *e)
{
	char file[SEGMENT_NAME_MAX];
	MDB_txn *txn;
	int rc;

	place_segment(s->number, file);
	if (open_env(s, file, 0, e) != 0)
		return -1;
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = open_databases(s, txn, 0);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (rc != 0) {
		segment_close(s);
		return err_lmdb(e, rc, s, "open");
	}
	measure(s);
	return 0;
}

static int
new_identity(uint64_t *id, struct err *e)
{
	if (getrandom(id, sizeof(*id), 0) != (ssize_t)sizeof(*id))
		return err_sys(e, "cannot get random bytes");
	return 0;
}

int
segment_open(struct segment *s, const char *dir, uint64_t size_max,
	     struct ledger *l, struct err *e)
{
	uint32_t *numbers;
	size_t n;

	*s = (struct segment){.size_max = size_max};
	if (snprintf(s->dir, sizeof(s->dir), "%s", dir) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	if (place_segments(dir, &numbers, &n, e) != 0)
		return -1;
	s->number = n > 0 ? numbers[n - 1] : 1;
	free(numbers);
	if (n == 0) {
		l->next_id = 1;
		if (new_identity(&l->table, e) != 0 || create(s, l, e) != 0)
			return -1;
	}
	return open_numbered(s, l, e);
}

void
segment_close(struct segment *s)
{
	if (s->env)
		mdb_env_close(s->env);
	s->env = NULL;
}

static int
put_block(struct segment *s, MDB_txn *txn, const struct change *c)
{
	uint64_t id = c->first_id;
	MDB_val k = {sizeof(id), &id};
	MDB_val head = {c->block->head.len, c->block->head.p};
	MDB_val body = {c->block->body.len, c->block->body.p};
	MDB_val filters = {c->block->filters.len, c->block->filters.p};
	int rc = mdb_put(txn, s->heads, &k, &head, 0);

	if (rc == 0)
		rc = mdb_put(txn, s->data, &k, &body, 0);
	if (rc == 0 && filters.mv_size > 0)
		rc = mdb_put(txn, s->filters, &k, &filters, 0);
	return rc;
}

static int
remove_block(struct segment *s, MDB_txn *txn, const struct change *c)
{
	uint64_t id = c->first_id;
	MDB_val k = {sizeof(id), &id};
	int rc = mdb_del(txn, s->heads, &k, NULL);

	if (rc == 0)
		rc = mdb_del(txn, s->data, &k, NULL);
	if (rc != 0)
		return rc;
	rc = mdb_del(txn, s->filters, &k, NULL);
	return rc == MDB_NOTFOUND ? 0 : rc; /* pieces have none */
}

static int
apply(struct segment *s, MDB_txn *txn, const struct change *c, size_t n,
      struct ledger *l)
{
	uint64_t rows = s->rows, blocks = s->blocks;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (c[i].block) {
			rc = put_block(s, txn, &c[i]);
			rows += c[i].rows;
			blocks++;
		} else {
			rc = remove_block(s, txn, &c[i]);
			rows -= c[i].rows;
			blocks--;
		}
	if (rc == 0)
		rc = put_streams(s, txn, &l->streams, false);
	if (rc == 0)
		rc = put_number(s, txn, META_NEXT_ID, l->next_id, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_ROWS, rows, 8);
	if (rc == 0)
		rc = put_number(s, txn, META_BLOCKS, blocks, 8);
	s->rows = rows;
	s->blocks = blocks;
	return rc;
}

int
segment_commit(struct segment *s, const struct change *c, size_t n,
	       struct ledger *l, struct err *e)
{
	uint64_t rows = s->rows, blocks = s->blocks;
	MDB_txn *txn;
	int rc;

	if (!s->env && reopen(s, e) != 0)
		return -1;
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc != 0) {
		/* after a meta page was not written LMDB wants a new start */
		segment_close(s);
		return err_lmdb(e, rc, s, "write");
	}
	rc = apply(s, txn, c, n, l);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc != 0) {
		s->rows = rows;
		s->blocks = blocks;
		return err_lmdb(e, rc, s, "write");
	}
	for (size_t i = 0; i < l->streams.n; i++)
		l->streams.marks[i].dirty = false;
	measure(s);
	/* readers that died keep pages from being used again */
	if (++s->commits % READERS_EVERY == 0)
		mdb_reader_check(s->env, NULL);
	return 0;
}

int
segment_roll(struct segment *s, struct ledger *l, struct err *e)
{
	struct segment next = {.size_max = s->size_max,
			       .number = s->number + 1};
	struct err later;

	if (s->number >= SEGMENT_NUMBER_MAX)
		return err_set(e, "%s has too many segments", s->dir);
	snprintf(next.dir, sizeof(next.dir), "%s", s->dir);
	if (create(&next, l, e) != 0)
		return -1;
	segment_close(s);
	*s = next;
	/* it is there: if it cannot be opened now, the next commit tries */
	reopen(s, &later);
	return 0;
}

int
segment_cut_begin(struct segment *s, const char *dir,
		  const struct table_segment *of, struct ledger *l,
		  struct err *e)
{
	*s = (struct segment){.size_max = of->bytes,
			      .number = of->number,
			      .created = of->created};
	if (snprintf(s->dir, sizeof(s->dir), "%s", dir) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	return begin(s, cut, MDB_NOSYNC, l, e);
}

int
segment_cut_end(struct segment *s, struct err *e)
{
	int rc = mdb_env_sync(s->env, 1);

	if (rc != 0)
		return err_lmdb(e, rc, s, "write");
	return place(s, cut, e);
}

void
segment_cut_abort(struct segment *s)
{
	struct err e;

	segment_close(s);
	remove_unborn(s, cut, &e);
}

int
segment_make_next(const char *dir, uint32_t number, const struct ledger *l,
		  struct err *e)
{
	struct segment s = {.number = number + 1};

	if (number >= SEGMENT_NUMBER_MAX)
		return err_set(e, "%s has too many segments", dir);
	if (snprintf(s.dir, sizeof(s.dir), "%s", dir) >= PATH_MAX)
		return err_set(e, "the path %s is too long", dir);
	return create(&s, l, e);
}
