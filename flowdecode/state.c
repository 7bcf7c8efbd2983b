/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/pages.h"

enum {
	DIR_MODE = 0750,
	FILE_MODE = 0640,
	NAME = PATH_MAX + 64,
	/* no other process uses it, and it is no directory */
	ENV_FLAGS = MDB_NOSUBDIR | MDB_NOLOCK,
	DATABASES = 3,
	LEDGERS_MAX = 4096, /* and those of exporters past their trial */
};

/* Sparse: what there is at most of all but waiting sets, with what is being
 * replaced. */
#define MAP_BYTES ((size_t)2 << 30)

struct env {
	MDB_env *env;
	MDB_dbi meta, known, waiting;
};

struct state {
	char path[PATH_MAX];
	struct known what;
	int lock;
	struct env env;
	size_t room;
	bool anew;  /* nothing of what is in the file counts */
	bool moved; /* the position has changed */
	struct position position;
	size_t kept;	       /* ledgers of exporters */
	uint64_t others_print; /* of those of the others */
	struct saved value;
};

static int
err_lmdb(struct err *e, int rc, const char *path, const char *doing)
{
	return err_set(e, "--state: cannot %s %s: %s", doing, path,
		       mdb_strerror(rc));
}

/* Environments. */

static void
env_close(struct env *v)
{
	if (v->env)
		mdb_env_close(v->env);
	v->env = NULL;
}

static int
env_open(struct env *v, const char *path, unsigned flags, size_t map)
{
	int rc = mdb_env_create(&v->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(v->env, DATABASES);
	if (rc == 0 && map)
		rc = mdb_env_set_mapsize(v->env, map);
	if (rc == 0)
		rc = mdb_env_open(v->env, path, ENV_FLAGS | flags, FILE_MODE);
	if (rc != 0)
		env_close(v);
	return rc;
}

static int
open_databases(struct env *v, MDB_txn *txn, unsigned flags)
{
	int rc = mdb_dbi_open(txn, "meta", flags, &v->meta);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "known", flags, &v->known);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "waiting", flags | MDB_INTEGERKEY,
				  &v->waiting);
	return rc;
}

/* Reading. */

/* 1: all is well; 0: damaged, as err says; -1: another error. */
static int
check_version(const struct env *v, MDB_txn *txn, struct err *e)
{
	MDB_val k = {7, "version"}, got;
	uint64_t version;

	if (mdb_get(txn, v->meta, &k, &got) != 0 ||
	    got.mv_size != sizeof(version)) {
		err_set(e, "it does not say its version");
		return 0;
	}
	memcpy(&version, got.mv_data, sizeof(version));
	if (version == STATE_VERSION)
		return 1;
	err_set(e, "it has version %llu, this program reads %d",
		(unsigned long long)version, STATE_VERSION);
	return 0;
}

/* Each value of a database. */
static int
take_values(struct state *s, MDB_txn *txn, MDB_dbi dbi, int64_t clock_us,
	    struct err *e)
{
	bool held = dbi == s->env.waiting;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, dbi, &c), taken = 1;

	if (rc != 0)
		return err_lmdb(e, rc, s->path, "read");
	while (taken == 1 && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		taken = held ? saved_take_held(&s->what, k.mv_data, k.mv_size,
					       v.mv_data, v.mv_size, clock_us)
			     : saved_take_known(&s->what, k.mv_data, k.mv_size,
						v.mv_data, v.mv_size);
	mdb_cursor_close(c);
	if (taken < 0)
		return err_set(e, "--state: out of memory");
	if (taken == 1 && rc == MDB_NOTFOUND)
		return 1;
	err_set(e, "a value is damaged");
	return 0;
}

static void
take_position(struct state *s, MDB_txn *txn)
{
	MDB_val k = {8, "position"}, v;

	if (mdb_get(txn, s->env.meta, &k, &v) == 0 &&
	    v.mv_size == sizeof(s->position))
		memcpy(&s->position, v.mv_data, sizeof(s->position));
}

static int
take_others(struct state *s, MDB_txn *txn)
{
	struct ledger others = {0};
	MDB_val k = {6, "others"}, v;

	if (!s->what.ledgers || mdb_get(txn, s->env.meta, &k, &v) != 0)
		return 1;
	if (!saved_take_counts(&others, k.mv_data, k.mv_size, v.mv_data,
			       v.mv_size))
		return 0;
	exporters_add(s->what.exporters, &others);
	return 1;
}

static int
take_all(struct state *s, int64_t clock_us, struct err *e)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env.env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return err_lmdb(e, rc, s->path, "read");
	if (open_databases(&s->env, txn, 0) != 0) {
		err_set(e, "it lacks a database");
		rc = 0;
	} else {
		rc = check_version(&s->env, txn, e);
	}
	if (rc == 1)
		take_position(s, txn);
	if (rc == 1)
		rc = take_values(s, txn, s->env.known, clock_us, e);
	if (rc == 1)
		rc = take_values(s, txn, s->env.waiting, clock_us, e);
	if (rc == 1 && (rc = take_others(s, txn)) == 0)
		err_set(e, "a value is damaged");
	mdb_txn_abort(txn);
	return rc;
}

static int
read_file(struct state *s, int64_t clock_us, struct err *e)
{
	struct pages *p = pages_open(s->path, e);
	int rc = p ? pages_check(p, 0, false, e) : -1;

	pages_close(p);
	if (rc != 0)
		return 0;
	rc = env_open(&s->env, s->path, MDB_RDONLY, 0);
	if (rc != 0)
		return rc == ENOMEM || rc == EACCES
			   ? err_lmdb(e, rc, s->path, "open")
			   : (err_set(e, "%s", mdb_strerror(rc)), 0);
	rc = take_all(s, clock_us, e);
	env_close(&s->env);
	return rc;
}

static int
set_aside(struct state *s, int64_t real_us, const struct err *why,
	  struct err *note, struct err *e)
{
	char to[NAME];

	snprintf(to, sizeof(to), "%s.damaged-%lld", s->path,
		 (long long)(real_us / 1000000));
	if (rename(s->path, to) != 0)
		return err_sys(e, "--state: cannot rename %s", s->path);
	err_set(note,
		"--state: %.200s: %.100s: set aside as %.150s, what could be "
		"read is kept",
		s->path, why->text, strrchr(to, '/') + 1);
	return 0;
}

static int
take_old(struct state *s, int64_t real_us, int64_t clock_us, struct err *note,
	 struct err *e)
{
	struct err why;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "--state: cannot open %s", s->path);
	close(fd);
	rc = read_file(s, clock_us, &why);
	if (rc == 1)
		return 0;
	if (rc == 0)
		return set_aside(s, real_us, &why, note, e);
	*e = why;
	return -1;
}

/* Writing. */

struct commit {
	struct state *s;
	MDB_txn *txn;
	int64_t clock_us;
	size_t changes;
};

/* The value that is ready. */
static int
put_value(struct commit *c, MDB_dbi dbi, const void *key, size_t key_len)
{
	struct saved *v = &c->s->value;
	MDB_val k = {key_len, (void *)key}, data;

	saved_end(v, key, key_len);
	if (v->bad)
		return ENOMEM;
	data = (MDB_val){v->len, v->p};
	c->changes++;
	return mdb_put(c->txn, dbi, &k, &data, 0);
}

/* Deletes what the file has of an exporter, but templates that are in TS. */
static int
delete_known(struct commit *c, const struct exporter_key *key,
	     const struct templates *ts)
{
	uint8_t start[SAVED_KEY];
	MDB_cursor *cur;
	MDB_val k = {sizeof(start), start}, v;
	int rc = mdb_cursor_open(c->txn, c->s->env.known, &cur);

	if (rc != 0)
		return rc;
	saved_key(start, key, ts ? SAVED_LEDGER + 1 : 0);
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && memcmp(k.mv_data, start, SAVED_EXPORTER_KEY) == 0) {
		const uint8_t *id = (uint8_t *)k.mv_data + SAVED_EXPORTER_KEY;

		if (!ts || !templates_at(ts, (uint16_t)(id[0] << 8 | id[1]))) {
			c->changes++;
			rc = mdb_cursor_del(cur, 0);
		}
		if (rc == 0)
			rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
put_templates(struct commit *c, const struct exporter *x)
{
	const struct templates *ts = &x->templates;
	uint8_t key[SAVED_KEY];
	int rc = 0;

	for (size_t i = 0; ts->slots && i <= ts->mask && rc == 0; i++) {
		const struct template *t = &ts->slots[i];

		if (!t->id || !(t->changed || c->s->anew))
			continue;
		saved_key(key, &x->key, t->id);
		saved_template(&c->s->value, t->plan);
		rc = put_value(c, c->s->env.known, key, sizeof(key));
	}
	return rc;
}

static int
put_exporter(struct commit *c, const struct exporter *x)
{
	struct state *s = c->s;
	uint8_t key[SAVED_KEY];
	int rc = 0;

	if (x->changed || x->sampling.changed || s->anew) {
		saved_key(key, &x->key, SAVED_EXPORTER);
		saved_exporter(&s->value, x);
		rc = put_value(c, s->env.known, key, sizeof(key));
	}
	if (rc == 0 && (x->labels.changed || (s->anew && x->labels.n > 0))) {
		saved_key(key, &x->key, SAVED_NAMES);
		saved_names(&s->value, x);
		rc = put_value(c, s->env.known, key, sizeof(key));
	}
	if (rc == 0 && x->templates.changed && !s->anew)
		rc = delete_known(c, &x->key, &x->templates);
	if (rc == 0 && (x->templates.changed || s->anew))
		rc = put_templates(c, x);
	return rc;
}

/* Exporters that have nothing to keep are many under a flood. */
static bool
worth_keeping(const struct exporter *x)
{
	return x->settled || x->init_ms || x->sampling.changed ||
	       x->templates.changed || x->labels.changed ||
	       x->templates.n > 0 || x->labels.n > 0 || x->sampling.all.rate ||
	       x->sampling.samplers.n > 0 || x->sampling.interfaces.n > 0;
}

static int
put_known(struct commit *c)
{
	struct exporters *es = c->s->what.exporters;
	const struct exporter_key *gone;
	size_t n;
	int rc = 0;

	exporters_journal(es, &gone, &n);
	for (size_t i = 0; i < n && rc == 0 && !c->s->anew; i++)
		rc = delete_known(c, &gone[i], NULL);
	for (struct exporter *x = exporters_next(es, NULL); x && rc == 0;
	     x = exporters_next(es, x))
		if (x->key.version >= 9 && worth_keeping(x))
			rc = put_exporter(c, x);
	return rc;
}

/* Those of a flood have none of their own. */
static bool
keeps_ledger(struct state *s, struct exporter *x)
{
	if (!x->kept && (x->settled || s->kept < LEDGERS_MAX)) {
		x->kept = true;
		x->kept_print = 0;
		s->kept++;
	}
	return x->kept;
}

static int
put_ledger(struct commit *c, struct exporter *x)
{
	uint64_t print = ledger_print(&x->ledger);
	uint8_t key[SAVED_KEY];

	if (print == x->kept_print && !c->s->anew)
		return 0;
	x->kept_print = print;
	saved_key(key, &x->key, SAVED_LEDGER);
	saved_ledger(&c->s->value, x);
	return put_value(c, c->s->env.known, key, sizeof(key));
}

/* What is not of those exporters, in sum. */
static int
put_others(struct commit *c, struct ledger *others)
{
	static const char key[6] = "others";
	uint64_t print = ledger_print(others);

	if (print == c->s->others_print && !c->s->anew)
		return 0;
	c->s->others_print = print;
	saved_counts(&c->s->value, others);
	return put_value(c, c->s->env.meta, key, sizeof(key));
}

static int
put_ledgers(struct commit *c)
{
	struct exporters *es = c->s->what.exporters;
	struct ledger others;
	size_t kept = 0;
	int rc = 0;

	if (!c->s->what.ledgers)
		return 0;
	exporters_total(es, &others);
	for (struct exporter *x = exporters_next(es, NULL); x && rc == 0;
	     x = exporters_next(es, x)) {
		if (!keeps_ledger(c->s, x))
			continue;
		kept++;
		ledger_subtract(&others, &x->ledger);
		rc = put_ledger(c, x);
	}
	c->s->kept = kept; /* without those that were evicted */
	return rc == 0 ? put_others(c, &others) : rc;
}

static int
put_waiting(struct commit *c)
{
	struct state *s = c->s;
	const uint64_t *gone;
	size_t n;
	int rc = 0;

	waiting_journal(s->what.waiting, &gone, &n);
	for (size_t i = 0; i < n && rc == 0 && !s->anew; i++) {
		MDB_val k = {sizeof(gone[i]), (void *)&gone[i]};

		c->changes++;
		rc = mdb_del(c->txn, s->env.waiting, &k, NULL);
		rc = rc == MDB_NOTFOUND ? 0 : rc;
	}
	/* in the order of the keys, which packs pages full */
	for (const struct held *h = waiting_unsaved(s->what.waiting, s->anew);
	     h && rc == 0; h = h->newer) {
		saved_held(&s->value, h, c->clock_us);
		rc =
		    put_value(c, s->env.waiting, &h->number, sizeof(h->number));
	}
	return rc;
}

/* Whether the journals are whole; if not, all is written anew. */
static bool
journals(const struct known *what)
{
	const struct exporter_key *keys;
	const uint64_t *numbers;
	size_t n;

	return exporters_journal(what->exporters, &keys, &n) == 0 &&
	       waiting_journal(what->waiting, &numbers, &n) == 0;
}

static void
all_saved(struct state *s)
{
	struct exporters *es = s->what.exporters;

	for (struct exporter *x = exporters_next(es, NULL); x;
	     x = exporters_next(es, x)) {
		x->changed = x->sampling.changed = x->labels.changed = false;
		if (x->templates.changed)
			templates_saved(&x->templates);
	}
	exporters_journal_done(es);
	waiting_saved(s->what.waiting);
	s->anew = s->moved = false;
}

/* Marks that are set while writing. */
static void
none_saved(struct state *s)
{
	struct exporters *es = s->what.exporters;

	for (struct exporter *x = exporters_next(es, NULL); x;
	     x = exporters_next(es, x))
		x->kept_print = 0;
	s->others_print = 0;
}

static int
put_position(struct commit *c)
{
	struct state *s = c->s;
	MDB_val k = {8, "position"}, v = {sizeof(s->position), &s->position};

	if (!s->moved && !s->anew)
		return 0;
	c->changes++;
	return mdb_put(c->txn, s->env.meta, &k, &v, 0);
}

static int
put_all(struct commit *c)
{
	struct state *s = c->s;
	int rc = put_position(c);

	if (rc == 0 && s->anew)
		rc = mdb_drop(c->txn, s->env.known, 0);
	if (rc == 0 && s->anew)
		rc = mdb_drop(c->txn, s->env.waiting, 0);
	if (rc == 0)
		rc = put_known(c);
	if (rc == 0)
		rc = put_ledgers(c);
	if (rc == 0)
		rc = put_waiting(c);
	return rc;
}

int
state_commit(struct state *s, int64_t real_us, struct err *e)
{
	struct commit c = {.s = s};
	int rc = mdb_txn_begin(s->env.env, NULL, 0, &c.txn);

	if (rc != 0)
		return err_lmdb(e, rc, s->path, "write");
	c.clock_us = real_us - waiting_now(s->what.waiting) * 1000;
	if (!journals(&s->what))
		s->anew = true;
	rc = put_all(&c);
	if (rc != 0 || c.changes == 0)
		mdb_txn_abort(c.txn);
	else
		rc = mdb_txn_commit(c.txn);
	if (rc != 0) {
		none_saved(s);
		return err_lmdb(e, rc, s->path, "write");
	}
	all_saved(s);
	return 0;
}

/* Beginning. */

static int
put_version(struct env *v, MDB_txn *txn)
{
	uint64_t version = STATE_VERSION;
	MDB_val k = {7, "version"}, val = {sizeof(version), &version};

	return mdb_put(txn, v->meta, &k, &val, 0);
}

static int
make_databases(struct env *v)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(v->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	rc = open_databases(v, txn, MDB_CREATE);
	if (rc == 0)
		rc = put_version(v, txn);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static int
sync_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (rc != 0)
		err_sys(e, "--state: cannot sync %s", dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A new file in place of the old one, when all of that is in it. */
static int
begin_new(struct state *s, const char *dir, int64_t real_us, struct err *e)
{
	char path[NAME];
	int rc;

	snprintf(path, sizeof(path), "%s.new", s->path);
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, "--state: cannot remove %s", path);
	rc = env_open(&s->env, path, 0, MAP_BYTES + 4 * s->room);
	if (rc == 0)
		rc = make_databases(&s->env);
	if (rc != 0)
		return err_lmdb(e, rc, path, "make");
	s->anew = true;
	if (state_commit(s, real_us, e) != 0)
		return -1;
	if (rename(path, s->path) != 0)
		return err_sys(e, "--state: cannot rename %s", path);
	return sync_dir(dir, e);
}

static int
take_lock(const char *dir, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[NAME];
	int fd;

	if (mkdir(dir, DIR_MODE) != 0 && errno != EEXIST)
		return err_sys(e, "--state: cannot make the directory %s", dir);
	snprintf(path, sizeof(path), "%s/.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return err_sys(e, "--state: cannot open %s", path);
	if (fcntl(fd, F_SETLK, &l) == 0)
		return fd;
	close(fd);
	return err_set(e, "--state: another flowdecode uses %s", dir);
}

struct state *
state_open(const char *dir, const struct known *what, size_t room,
	   int64_t real_us, struct err *note, struct err *e)
{
	struct state *s = calloc(1, sizeof(*s));
	int64_t clock_us = real_us - waiting_now(what->waiting) * 1000;

	note->text[0] = '\0';
	if (!s) {
		err_set(e, "--state: out of memory");
		return NULL;
	}
	s->what = *what;
	s->room = room;
	s->lock = -1;
	if (snprintf(s->path, sizeof(s->path), "%s/state", dir) >=
	    (int)sizeof(s->path))
		err_set(e, "--state: the path %.100s... is too long", dir);
	else if ((s->lock = take_lock(dir, e)) >= 0 &&
		 take_old(s, real_us, clock_us, note, e) == 0 &&
		 begin_new(s, dir, real_us, e) == 0)
		return s;
	state_free(s);
	return NULL;
}

const struct position *
state_position(const struct state *s)
{
	return &s->position;
}

void
state_reach(struct state *s, const struct position *p)
{
	s->moved |= memcmp(&s->position, p, sizeof(*p)) != 0;
	s->position = *p;
}

void
state_relax(struct state *s)
{
	mdb_env_set_flags(s->env.env, MDB_NOSYNC, 1);
}

void
state_free(struct state *s)
{
	if (!s)
		return;
	env_close(&s->env);
	saved_clear(&s->value);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}
