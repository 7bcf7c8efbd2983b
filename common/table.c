/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/table.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/block.h"
#include "common/nearest.h"
#include "common/pages.h"
#include "common/place.h"
#include "common/sieve.h"

/* Transactions that are begun before it is said that the writer is too fast. */
enum { TRIES = 100 };

/* ---- where tables are ---- */

/* The home directory, and whether this is root or the service's user. */
static const char *
home(bool *service)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *dir = getenv("HOME");

	*service = geteuid() == 0 || (pw && strcmp(pw->pw_name, "flow") == 0);
	if (dir && *dir)
		return dir;
	return pw ? pw->pw_dir : NULL;
}

int
table_root(const char *dir, char *buf, size_t size, struct err *e)
{
	bool service;
	const char *at = home(&service);
	const char *tail = "";
	int n;

	if (!dir || !*dir)
		dir = getenv("FLOW_ROOT");
	if (!dir || !*dir) {
		dir = service ? "/var/lib/flow" : at;
		tail = service ? "" : "/.local/share/flow";
	}
	if (!dir)
		return err_set(e, "no home directory: say --root DIR");
	n = snprintf(buf, size, "%s%s", dir, tail);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, "the path %s%s is too long", dir, tail);
	return 0;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_name(char ***names, size_t *n, const char *name)
{
	char **p = realloc(*names, (*n + 1) * sizeof(*p));

	if (!p)
		return -1;
	*names = p;
	p[*n] = strdup(name);
	if (!p[*n])
		return -1;
	++*n;
	return 0;
}

/* A directory that was made as a table: others may lie beside it. */
static bool
is_table(int root, const char *dir)
{
	char path[NAME_MAX + SEGMENT_NAME_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/.lock", dir);
	return fstatat(root, path, &st, 0) == 0;
}

int
table_names(const char *root, char ***names, size_t *n, struct err *e)
{
	char name[TABLE_NAME_MAX + 1];
	struct dirent *f;
	DIR *d = opendir(root);
	int r = 0;

	*names = NULL;
	*n = 0;
	if (!d && errno == ENOENT)
		return 0;
	if (!d) {
		err_sys(e, "cannot read the directory %s", root);
		return -1;
	}
	while (r == 0 && (f = readdir(d))) {
		if (f->d_name[0] != '.' && place_decode(f->d_name, name) == 0 &&
		    is_table(dirfd(d), f->d_name))
			r = add_name(names, n, name);
	}
	closedir(d);
	if (r != 0) {
		table_names_free(*names, *n);
		err_sys(e, "cannot list the tables of %s", root);
		return -1;
	}
	if (*n > 1)
		qsort(*names, *n, sizeof(**names), by_text);
	return 0;
}

void
table_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* ---- environments ---- */

/*
 * LMDB forbids to open an environment twice in a process, as the second
 * closing would drop the locks of the first.  So the newest segments of
 * tables are shared between all that open them.  Closed ones need no lock and
 * may be opened as often as one likes.
 */
struct env {
	struct env *next; /* in the list of shared ones */
	dev_t dev;
	ino_t ino;
	unsigned refs;
	bool shared;
	MDB_env *env;
	MDB_dbi meta, heads, data, filters;
	bool has_filters; /* segments of before there were any lack them */
};

static pthread_mutex_t envs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct env *envs;

static void
env_close(struct env *v)
{
	if (v->shared) {
		pthread_mutex_lock(&envs_lock);
		if (--v->refs > 0) {
			pthread_mutex_unlock(&envs_lock);
			return;
		}
		for (struct env **p = &envs; *p; p = &(*p)->next)
			if (*p == v) {
				*p = v->next;
				break;
			}
	}
	mdb_env_close(v->env);
	if (v->shared)
		pthread_mutex_unlock(&envs_lock);
	free(v);
}

static int
err_lmdb(struct err *e, int rc, const char *what)
{
	if (rc == EACCES)
		return err_set(e,
			       "%s: permission denied: readers need to write "
			       "the -lock file beside it",
			       what);
	err_set(e, "%s: %s", what, mdb_strerror(rc));
	e->code = rc > 0 ? rc : 0;
	return -1;
}

/* 1: the snapshot is no longer there. */
static int
check_pages(MDB_env *env, MDB_txn *txn, struct err *e)
{
	struct pages *p;
	int fd, r;

	/* the file that LMDB has open: its path may be another's by now */
	if (mdb_env_get_fd(env, &fd) != 0)
		return err_set(e, "cannot read it");
	p = pages_open_fd(fd, e);
	if (!p)
		return -1;
	r = pages_check(p, mdb_txn_id(txn), false, e);
	pages_close(p);
	return r;
}

/* Begins a transaction whose pages are sound. */
static int
begin(MDB_env *env, MDB_txn **txn, struct err *e)
{
	for (int tries = 0; tries < TRIES; tries++) {
		int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, txn), r;

		if (rc != 0) {
			*txn = NULL;
			return err_lmdb(e, rc, "cannot begin to read");
		}
		r = check_pages(env, *txn, e);
		if (r == 0)
			return 0;
		mdb_txn_abort(*txn);
		*txn = NULL;
		if (r < 0)
			return -1;
	}
	err_set(e, "its writer commits faster than it can be read");
	e->code = EAGAIN;
	return -1;
}

/* Handles opened in a committed transaction are good for all later ones. */
static int
open_databases(struct env *v, MDB_txn *txn, struct err *e)
{
	int rc = mdb_dbi_open(txn, PLACE_META, 0, &v->meta);

	if (rc == 0)
		rc = mdb_dbi_open(txn, PLACE_HEADS, MDB_INTEGERKEY, &v->heads);
	if (rc == 0)
		rc = mdb_dbi_open(txn, PLACE_DATA, MDB_INTEGERKEY, &v->data);
	if (rc == 0)
		v->has_filters = mdb_dbi_open(txn, PLACE_FILTERS,
					      MDB_INTEGERKEY, &v->filters) == 0;
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc == 0 ? 0 : err_lmdb(e, rc, "its databases are not there");
}

static struct env *
env_new(const char *path, bool newest, struct err *e)
{
	struct env *v = calloc(1, sizeof(*v));
	unsigned flags = MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS;
	struct pages *p;
	MDB_txn *txn;
	int rc;

	if (!v || mdb_env_create(&v->env) != 0) {
		free(v);
		err_set(e, "out of memory");
		return NULL;
	}
	p = pages_open(path, e);
	if (!p) {
		mdb_env_close(v->env);
		free(v);
		return NULL;
	}
	pages_close(p);
	mdb_env_set_maxdbs(v->env, 4);
	if (!newest)
		flags |= MDB_NOLOCK;
	rc = mdb_env_open(v->env, path, flags, 0660);
	if (rc != 0)
		err_lmdb(e, rc, "cannot open it");
	else if (begin(v->env, &txn, e) == 0 && open_databases(v, txn, e) == 0)
		return v;
	mdb_env_close(v->env);
	free(v);
	return NULL;
}

static struct env *
env_open(const char *path, bool newest, struct err *e)
{
	struct env *v;
	struct stat st;

	if (stat(path, &st) != 0) {
		err_sys(e, "cannot open it");
		return NULL;
	}
	if (!newest)
		return env_new(path, false, e);
	pthread_mutex_lock(&envs_lock);
	for (v = envs; v; v = v->next)
		if (v->dev == st.st_dev && v->ino == st.st_ino)
			break;
	if (!v) {
		v = env_new(path, true, e);
		if (v) {
			v->shared = true;
			v->dev = st.st_dev;
			v->ino = st.st_ino;
			v->next = envs;
			envs = v;
		}
	}
	if (v)
		v->refs++;
	pthread_mutex_unlock(&envs_lock);
	return v;
}

/* ---- the snapshot ---- */

struct segment {
	struct table_segment pub;
	struct env *env;
	MDB_txn *txn;
};

struct stored {
	struct block_in *block;
	/* mapped, as long as the transaction lives */
	const void *head, *body, *filters; /* filters: NULL for none */
	size_t head_len, filters_len;
	uint32_t segment; /* its number */
};

struct table {
	char name[TABLE_NAME_MAX + 1];
	struct shapes *shapes; /* borrowed */
	struct segment *segments;
	size_t nsegments;
	struct stored *blocks;
	size_t nblocks, cap;
};

static int
in_block(const struct table *t, uint32_t segment, uint64_t id, struct err *e)
{
	char file[SEGMENT_NAME_MAX];

	place_segment(segment, file);
	return err_prefix(e, "table %s, %s, block %llu", t->name, file,
			  (unsigned long long)id);
}

static int
check_version(struct segment *s, struct err *e)
{
	MDB_val k = {strlen(META_VERSION), META_VERSION}, v;
	uint32_t version;

	if (mdb_get(s->txn, s->env->meta, &k, &v) != 0 || v.mv_size != 4)
		return err_set(e, "it has no version");
	memcpy(&version, v.mv_data, 4);
	if (version != TABLE_VERSION)
		return err_set(e, "version %u (this program reads %d)",
			       (unsigned)version, TABLE_VERSION);
	return 0;
}

static struct stored *
new_block(struct table *t)
{
	if (t->nblocks == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct stored *p = realloc(t->blocks, cap * sizeof(*p));

		if (!p)
			return NULL;
		t->blocks = p;
		t->cap = cap;
	}
	return &t->blocks[t->nblocks];
}

static void
add_up(struct table_segment *s, const struct block *b)
{
	int c = shape_find(b->shape, "_time");
	const struct column_stat *st = c < 0 ? NULL : &b->stats[c];

	s->n++;
	s->rows += b->rows;
	if (!st || !st->has_minmax || st->min.type != COL_TIME)
		return;
	if (st->min.i < s->first)
		s->first = st->min.i;
	if (st->max.i > s->last)
		s->last = st->max.i;
}

static int
read_block(struct table *t, struct segment *s, MDB_val *key, MDB_val *head,
	   struct err *e)
{
	struct stored *b = new_block(t);
	const struct block_in *like = NULL;
	uint64_t id = 0;
	MDB_val body;
	int rc;

	if (!b)
		return err_sys(e, "cannot open table %s", t->name);
	if (t->nblocks > s->pub.block)
		like = t->blocks[t->nblocks - 1].block;
	if (key->mv_size != sizeof(id)) {
		err_set(e, "a key of %zu bytes", key->mv_size);
		return in_block(t, s->pub.number, id, e);
	}
	memcpy(&id, key->mv_data, sizeof(id));
	/* a damaged branch may lead to the same blocks again */
	if (like && id <= like->pub.first_id) {
		err_set(e, "it comes after block %llu",
			(unsigned long long)like->pub.first_id);
		return in_block(t, s->pub.number, id, e);
	}
	if (block_parse_like(head->mv_data, head->mv_size, t->shapes, like,
			     &b->block, e) != 0)
		return in_block(t, s->pub.number, id, e);
	b->segment = s->pub.number;
	b->head = head->mv_data;
	b->head_len = head->mv_size;
	t->nblocks++;
	add_up(&s->pub, &b->block->pub);
	rc = mdb_get(s->txn, s->env->data, key, &body);
	if (rc != 0)
		err_lmdb(e, rc, "its data");
	else if (body.mv_size != b->block->body)
		rc = err_set(e, "its data has %zu bytes, its head says %llu",
			     body.mv_size, (unsigned long long)b->block->body);
	else if (b->block->pub.first_id != id)
		rc = err_set(e, "its head says it is block %llu",
			     (unsigned long long)b->block->pub.first_id);
	if (rc != 0)
		return in_block(t, s->pub.number, id, e);
	b->body = body.mv_data;
	b->filters = NULL;
	if (s->env->has_filters &&
	    mdb_get(s->txn, s->env->filters, key, &body) == 0) {
		b->filters = body.mv_data;
		b->filters_len = body.mv_size;
	}
	return 0;
}

static int
read_blocks(struct table *t, struct segment *s, struct err *e)
{
	MDB_cursor *c;
	MDB_val key, head;
	int rc = mdb_cursor_open(s->txn, s->env->heads, &c), r = 0;

	s->pub.block = t->nblocks;
	s->pub.first = INT64_MAX;
	s->pub.last = INT64_MIN;
	if (rc != 0)
		return err_lmdb(e, rc, "cannot read it");
	while (r == 0 && (rc = mdb_cursor_get(c, &key, &head, MDB_NEXT)) == 0)
		r = read_block(t, s, &key, &head, e);
	mdb_cursor_close(c);
	if (r == 0 && rc != MDB_NOTFOUND)
		r = err_lmdb(e, rc, "cannot read it");
	return r;
}

/* 0 if it is not there. */
static uint64_t
meta_number(struct segment *s, const char *key)
{
	MDB_val k = {strlen(key), (void *)key}, v;
	uint64_t x = 0;

	if (mdb_get(s->txn, s->env->meta, &k, &v) == 0 && v.mv_size == 8)
		memcpy(&x, v.mv_data, 8);
	return x;
}

static void
measure(struct segment *s)
{
	struct stat st;
	int fd;

	if (mdb_env_get_fd(s->env->env, &fd) == 0 && fstat(fd, &st) == 0)
		s->pub.bytes = (uint64_t)st.st_size;
	s->pub.table = meta_number(s, META_TABLE);
	s->pub.next_id = meta_number(s, META_NEXT_ID);
	s->pub.created = (int64_t)meta_number(s, META_CREATED);
	s->pub.counted_rows = meta_number(s, META_ROWS);
	s->pub.counted_blocks = meta_number(s, META_BLOCKS);
}

static int
open_segment(struct table *t, const char *dir, struct segment *s, bool newest,
	     struct err *e)
{
	char file[SEGMENT_NAME_MAX], path[PATH_MAX];

	place_segment(s->pub.number, file);
	if (place_segment_file(dir, s->pub.number, "", path, sizeof(path), e) !=
	    0)
		return -1;
	s->env = env_open(path, newest, e);
	if (!s->env)
		return err_prefix(e, "table %s, %s", t->name, file);
	if (begin(s->env->env, &s->txn, e) != 0 || check_version(s, e) != 0)
		return err_prefix(e, "table %s, %s", t->name, file);
	measure(s);
	return read_blocks(t, s, e);
}

/* "no table NAME in ROOT; there are: ..." */
static int
missing(const char *root, const char *name, struct err *e)
{
	char list[ERR_MAX / 2] = "", hint[NEAREST_HINT];
	struct nearest near;
	char **names;
	size_t n, len = 0;

	if (table_names(root, &names, &n, e) != 0)
		return -1;
	nearest_init(&near, name, strlen(name));
	for (size_t i = 0; i < n; i++)
		nearest_try(&near, names[i]);
	nearest_hint(&near, hint, sizeof(hint));
	for (size_t i = 0; i < n; i++) {
		if (len + strlen(names[i]) + 8 > sizeof(list)) {
			len += (size_t)snprintf(list + len, sizeof(list) - len,
						", ...");
			break;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
					i ? ", " : "", names[i]);
	}
	table_names_free(names, n);
	if (len == 0)
		return err_set(e, "no table %s in %s; there are none", name,
			       root);
	return err_set(e, "no table %s in %s%s; there are: %s", name, root,
		       hint, list);
}

int
table_dir(const char *root, const char *name, char *buf, size_t size,
	  struct err *e)
{
	struct stat st;

	if (place_table(root, name, buf, size, e) != 0)
		return -1;
	if (stat(buf, &st) == 0)
		return 0;
	if (errno == ENOENT)
		return missing(root, name, e);
	return err_sys(e, "cannot open table %s in %s%s", name, root,
		       errno == EACCES ? " (its user and group may read it)"
				       : "");
}

static void
close_segments(struct table *t)
{
	for (size_t i = 0; i < t->nsegments; i++) {
		if (t->segments[i].txn)
			mdb_txn_abort(t->segments[i].txn);
		if (t->segments[i].env)
			env_close(t->segments[i].env);
	}
	for (size_t i = 0; i < t->nblocks; i++)
		block_in_free(t->blocks[i].block);
	free(t->segments);
	t->segments = NULL;
	t->nsegments = t->nblocks = 0;
}

static struct table *
new_table(const char *name, struct shapes *shapes, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t) {
		err_sys(e, "cannot open table %s", name);
		return NULL;
	}
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->shapes = shapes;
	return t;
}

int
table_open_segment(struct table **out, const char *dir, uint32_t number,
		   bool newest, struct shapes *shapes, struct err *e)
{
	char name[TABLE_NAME_MAX + 1] = "?";
	struct table *t;

	place_decode(strrchr(dir, '/') ? strrchr(dir, '/') + 1 : dir, name);
	t = new_table(name, shapes, e);
	if (!t)
		return -1;
	t->segments = calloc(1, sizeof(*t->segments));
	if (!t->segments) {
		table_close(t);
		return err_sys(e, "cannot open table %s", name);
	}
	t->nsegments = 1;
	t->segments->pub.number = number;
	e->code = 0;
	if (open_segment(t, dir, t->segments, newest, e) != 0) {
		table_close(t);
		return -1;
	}
	*out = t;
	return 0;
}

static int
open_segments(struct table *t, const char *dir, struct err *e)
{
	uint32_t *numbers;
	size_t n;

	if (place_segments(dir, &numbers, &n, e) != 0)
		return -1;
	t->segments = calloc(n ? n : 1, sizeof(*t->segments));
	if (!t->segments) {
		free(numbers);
		return err_sys(e, "cannot open table %s", t->name);
	}
	for (size_t i = 0; i < n; i++) {
		struct segment *s = &t->segments[t->nsegments++];

		s->pub.number = numbers[i];
		if (open_segment(t, dir, s, i + 1 == n, e) != 0) {
			free(numbers);
			return -1;
		}
	}
	free(numbers);
	return 0;
}

int
table_open(struct table **out, const char *root, const char *name,
	   struct shapes *shapes, struct err *e)
{
	char dir[PATH_MAX];
	struct table *t;
	int r;

	if (table_dir(root, name, dir, sizeof(dir), e) != 0)
		return -1;
	t = new_table(name, shapes, e);
	if (!t)
		return -1;
	/* finished segments may go or be replaced while they are opened */
	for (int i = 0; i < TRIES; i++) {
		e->code = 0;
		r = open_segments(t, dir, e);
		if (r == 0 || (e->code != ENOENT && e->code != EAGAIN))
			break;
		close_segments(t);
	}
	if (r == 0) {
		*out = t;
		return 0;
	}
	table_close(t);
	/* or all of the table went */
	return e->code == ENOENT && access(dir, F_OK) != 0
		   ? missing(root, name, e)
		   : -1;
}

void
table_close(struct table *t)
{
	if (!t)
		return;
	close_segments(t);
	free(t->blocks);
	free(t);
}

size_t
table_blocks(const struct table *t)
{
	return t->nblocks;
}

const struct block *
table_block(const struct table *t, size_t i)
{
	return &t->blocks[i].block->pub;
}

/* Which block an error is about. */
static int
of_block(const struct table *t, const struct stored *b, int rc, struct err *e)
{
	if (rc < 0)
		in_block(t, b->segment, b->block->pub.first_id, e);
	return rc;
}

int
table_column(const struct table *t, size_t i, size_t col,
	     struct table_scratch *s, struct column *c, struct err *e)
{
	const struct stored *b = &t->blocks[i];

	return of_block(t, b, block_column(b->block, b->body, col, s, c, e), e);
}

int
table_batch(const struct table *t, size_t i, struct table_scratch *s,
	    struct batch *to, struct err *e)
{
	const struct block *b = table_block(t, i);

	for (size_t k = 0; k < b->shape->n; k++)
		if (table_column(t, i, k, s, &to->cols[k], e) != 0)
			return -1;
	to->rows = b->rows;
	return 0;
}

int
table_entries(const struct table *t, size_t i, size_t col,
	      struct table_scratch *s, struct coded *c, struct err *e)
{
	const struct stored *b = &t->blocks[i];

	return of_block(t, b, block_entries(b->block, b->body, col, s, c, e),
			e);
}

int
table_codes(const struct table *t, size_t i, size_t col,
	    struct table_scratch *s, struct coded *c, struct err *e)
{
	const struct stored *b = &t->blocks[i];

	return of_block(t, b, block_codes(b->block, b->body, col, s, c, e), e);
}

size_t
table_segments(const struct table *t)
{
	return t->nsegments;
}

const struct table_segment *
table_segment(const struct table *t, size_t i)
{
	return &t->segments[i].pub;
}

void
table_block_raw(const struct table *t, size_t i, struct table_raw *r)
{
	const struct stored *b = &t->blocks[i];

	*r = (struct table_raw){.head = b->head,
				.body = b->body,
				.filters = b->filters,
				.head_len = b->head_len,
				.body_len = (size_t)b->block->body,
				.filters_len = b->filters ? b->filters_len : 0};
}

bool
table_may_hold(const struct table *t, size_t i, size_t col, uint64_t hash)
{
	const struct stored *b = &t->blocks[i];
	struct sieves s;
	struct err e;

	if (!b->filters || sieves_parse(&s, b->filters, b->filters_len,
					b->block->pub.first_id, &e) != 0)
		return true;
	return sieves_may_hold(&s, (unsigned)col, hash);
}

int
table_check_filters(const struct table *t, size_t i, struct err *e)
{
	const struct stored *b = &t->blocks[i];
	struct sieves s;

	if (!b->filters || (sieves_parse(&s, b->filters, b->filters_len,
					 b->block->pub.first_id, e) == 0 &&
			    sieves_check(&s, e) == 0))
		return 0;
	return in_block(t, b->segment, b->block->pub.first_id, e);
}

const char *
table_encoding(const struct table *t, size_t i, size_t col,
	       struct table_scratch *s)
{
	return block_encoding(t->blocks[i].block, t->blocks[i].body, col, s);
}

int
table_streams(const struct table *t, struct table_stream **out, size_t *n,
	      struct err *e)
{
	const struct segment *s;
	struct table_stream *p;
	MDB_cursor *c;
	MDB_stat st;
	MDB_val k, v;
	int rc;

	*out = NULL;
	*n = 0;
	if (t->nsegments == 0)
		return 0;
	s = &t->segments[t->nsegments - 1];
	rc = mdb_stat(s->txn, s->env->meta, &st);
	if (rc != 0)
		return err_lmdb(e, rc, "cannot read it");
	p = calloc(st.ms_entries + 1, sizeof(*p));
	if (!p)
		return err_sys(e, "cannot read it");
	rc = mdb_cursor_open(s->txn, s->env->meta, &c);
	if (rc != 0) {
		free(p);
		return err_lmdb(e, rc, "cannot read it");
	}
	while (*n < st.ms_entries && mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct place_stream at;

		if (k.mv_size != 9 || *(char *)k.mv_data != META_STREAM ||
		    v.mv_size != sizeof(at))
			continue;
		memcpy(&at, v.mv_data, sizeof(at));
		memcpy(&p[*n].id, (char *)k.mv_data + 1, 8);
		p[*n].number = at.number;
		p[(*n)++].time = at.time;
	}
	mdb_cursor_close(c);
	*out = p;
	return 0;
}

/* ---- readers ---- */

struct readers {
	struct table_reader *p;
	size_t n;
	uint64_t newest; /* transaction */
	bool failed;
};

/* A line of LMDB's: process, thread, transaction or '-'. */
static int
on_reader(const char *line, void *ctx)
{
	struct readers *r = ctx;
	struct table_reader *p;
	char *end, *at;
	long pid = strtol(line, &end, 10);

	if (end == line || pid <= 0 || pid == (long)getpid())
		return 0;
	end += strspn(end, " ");
	end += strcspn(end, " ");
	p = realloc(r->p, (r->n + 1) * sizeof(*p));
	if (!p) {
		r->failed = true;
		return -1;
	}
	r->p = p;
	p[r->n].pid = pid;
	p[r->n].behind = strtoull(end, &at, 10);
	if (at == end) /* it has the file open and reads nothing now */
		return 0;
	p[r->n].behind =
	    r->newest > p[r->n].behind ? r->newest - p[r->n].behind : 0;
	r->n++;
	return 0;
}

int
table_readers(const struct table *t, struct table_reader **out, size_t *n,
	      struct err *e)
{
	struct readers r = {0};
	MDB_envinfo info;
	MDB_env *env;
	int dead;

	*out = NULL;
	*n = 0;
	if (t->nsegments == 0)
		return 0;
	env = t->segments[t->nsegments - 1].env->env;
	if (mdb_reader_check(env, &dead) != 0 || mdb_env_info(env, &info) != 0)
		return err_set(e, "cannot list the readers");
	r.newest = info.me_last_txnid;
	mdb_reader_list(env, on_reader, &r);
	if (r.failed) {
		free(r.p);
		return err_set(e, "cannot list the readers: out of memory");
	}
	*out = r.p;
	*n = r.n;
	return 0;
}
