/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/pages.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* LMDB's mdb.c has these as MDB_page, MDB_meta, MDB_db and MDB_node. */
enum {
	PAGE_HEAD = 16,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
	PAGE_TRANSIENT = 0x10 | 0x4000 | 0x8000, /* of no meaning on disk */
	PAGE_MIN = 512,
	PAGE_MAX = 65536,
	META_SIZE = 136,
	META_DBS = 24, /* where they begin in it */
	DB_SIZE = 48,
	NODE_HEAD = 8,
	NODE_BIG = 1, /* the value lies on pages of its own */
	NODE_SUB = 2, /* the value is a named database */
	DB_INTEGERKEY = 8,
	KEY_MAX = 511,
	DEPTH_MAX = 31,
};

#define META_MAGIC 0xbeefc0deu
#define MAP_MAX (UINT64_C(1) << 46)
#define NO_PAGE UINT64_MAX

struct db {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
	uint32_t magic, version;
	uint64_t address, mapsize;
	struct db free, main;
	uint64_t last, txn;
};

struct pages {
	const uint8_t *map;
	uint64_t size, pages;
	uint32_t page;	/* bytes of one */
	bool broken[2]; /* heads that are none */
};

/* A look at the trees: how it ends when something is damaged. */
struct look {
	const struct pages *f;
	uint64_t seen; /* pages so far: a tree has no page twice */
	bool writer;   /* what only a writer uses matters too */
	const struct pages_visit *visit; /* NULL: the first damage ends it */
	struct err *e;
};

_Static_assert(sizeof(struct db) == DB_SIZE, "as LMDB has it");
_Static_assert(sizeof(struct meta) == META_SIZE, "as LMDB has it");

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* -1: that is the end; 1: it was told, pass over it. */
static int
bad(struct look *l, uint64_t page, const char *why)
{
	if (!l->visit)
		return err_set(l->e, "page %llu is damaged: %s",
			       (unsigned long long)page, why);
	l->visit->damage(l->visit->ctx, page, why);
	return 1;
}

static const char *
read_meta(const struct pages *f, unsigned which, struct meta *m)
{
	const uint8_t *p = f->map + (size_t)which * f->page;

	memcpy(m, p + PAGE_HEAD, sizeof(*m));
	if (m->magic != META_MAGIC || m->version != 1 ||
	    !(get16(p + 10) & PAGE_META))
		return "it is no head of an LMDB file";
	if (m->free.pad != f->page)
		return "it has another page size";
	if (m->mapsize < 2 * f->page || m->mapsize > MAP_MAX ||
	    m->last > MAP_MAX / f->page)
		return "impossible sizes";
	return NULL;
}

static int
map_file(struct pages *f, int fd, struct err *e)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "cannot open it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, "it is no file");
	f->size = (uint64_t)st.st_size;
	if (f->size < 2 * PAGE_MIN)
		return err_set(e, "it is cut short at %llu bytes",
			       (unsigned long long)f->size);
	p = mmap(NULL, f->size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || !p)
		return err_sys(e, "cannot map it");
	f->map = p;
	return 0;
}

static bool
has_meta(struct pages *f, uint32_t page, unsigned which)
{
	struct meta m;

	f->page = page;
	return (which + 1) * (uint64_t)page <= f->size &&
	       which * (uint64_t)page + PAGE_HEAD + META_SIZE <= f->size &&
	       read_meta(f, which, &m) == NULL;
}

/* The size of pages, from the first head or, if that is damaged, from the
 * second, which lies a page after it. */
static int
find_page_size(struct pages *f, bool damaged, struct err *e)
{
	uint32_t page;

	memcpy(&page, f->map + PAGE_HEAD + META_DBS, sizeof(page));
	if (page < PAGE_MIN || page > PAGE_MAX || (page & (page - 1)) != 0 ||
	    !has_meta(f, page, 0)) {
		f->broken[0] = true;
		if (!damaged)
			return err_set(e, "page 0 is damaged: it is no head of "
					  "an LMDB file");
		for (page = PAGE_MIN; page < PAGE_MAX; page *= 2)
			if (has_meta(f, page, 1))
				break;
	}
	f->broken[1] = !has_meta(f, page, 1);
	f->pages = f->size / page;
	if (f->broken[1] && f->pages < 2)
		return err_set(e, "it is cut short at %llu bytes",
			       (unsigned long long)f->size);
	if (f->broken[1] && (!damaged || f->broken[0]))
		return err_set(e, "page 1 is damaged: it is no head of an "
				  "LMDB file");
	return 0;
}

static struct pages *
open_fd(int fd, bool damaged, struct err *e)
{
	struct pages *f = calloc(1, sizeof(*f));

	if (!f) {
		err_sys(e, "cannot open it");
		return NULL;
	}
	if (map_file(f, fd, e) == 0 && find_page_size(f, damaged, e) == 0)
		return f;
	pages_close(f);
	return NULL;
}

static struct pages *
open_path(const char *path, bool damaged, struct err *e)
{
	/* of a FIFO the opening would wait */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct pages *f;

	if (fd < 0) {
		err_sys(e, "cannot open it");
		return NULL;
	}
	f = open_fd(fd, damaged, e);
	close(fd);
	return f;
}

struct pages *
pages_open(const char *path, struct err *e)
{
	return open_path(path, false, e);
}

struct pages *
pages_open_damaged(const char *path, struct err *e)
{
	return open_path(path, true, e);
}

struct pages *
pages_open_fd(int fd, struct err *e)
{
	return open_fd(fd, false, e);
}

void
pages_close(struct pages *f)
{
	if (!f)
		return;
	if (f->map)
		munmap((void *)f->map, f->size);
	free(f);
}

/* The pages of a value that lies apart.  What their head says matters to a
 * writer only, which takes them back. */
static int
check_big(struct look *l, uint64_t at, const uint8_t *data, uint64_t size)
{
	const struct pages *f = l->f;
	uint64_t first = get64(data);
	uint64_t pages = (PAGE_HEAD - 1 + size) / f->page + 1;
	const uint8_t *p;

	if (first < 2 || first >= f->pages || pages > f->pages - first)
		return bad(l, at, "a value lies outside the file");
	if (!l->writer)
		return 0;
	p = f->map + first * f->page;
	if (get64(p) != first || !(get16(p + 10) & PAGE_OVERFLOW) ||
	    (get16(p + 12) | (uint64_t)get16(p + 14) << 16) != pages)
		return bad(l, first, "it is no value's");
	return 0;
}

/* A free page must be one that may be written. */
static int
check_free(struct look *l, uint64_t at, const uint8_t *data, uint64_t size,
	   uint64_t last)
{
	uint64_t n = size >= 8 ? get64(data) : 0;

	if (size < 8 || n > size / 8 - 1)
		return bad(l, at, "a list of free pages is cut short");
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t page = get64(data + 8 * i);

		if (page < 2 || page > last)
			return bad(l, at, "a free page that cannot be");
	}
	return 0;
}

enum tree { TREE_FREE, TREE_NAMES, TREE_VALUES };

/* A tree being walked. */
struct walk {
	struct look *l;
	const struct db *db;
	enum tree kind;
	uint64_t last;	  /* of the free list: the last page */
	const char *name; /* of the database */
};

static int check_tree(struct look *, struct walk *);

static int
check_name(const struct walk *w, uint64_t at, const struct pages_data *key,
	   const struct pages_data *value)
{
	char name[KEY_MAX + 1];
	struct db sub;
	struct walk in = {w->l, &sub, TREE_VALUES, 0, name};

	if (value->len != DB_SIZE)
		return bad(w->l, at, "no name of a database");
	memcpy(name, key->p, key->len);
	name[key->len] = 0;
	memcpy(&sub, value->p, sizeof(sub));
	return check_tree(w->l, &in);
}

static int
check_value(const struct walk *w, uint64_t at, const uint8_t *node,
	    const struct pages_data *key, uint64_t size)
{
	unsigned flags = get16(node + 4);
	struct pages_data value = {(const uint8_t *)key->p + key->len, size};
	int r;

	if (flags & NODE_BIG) {
		r = check_big(w->l, at, value.p, size);
		if (r != 0)
			return r;
		value.p =
		    w->l->f->map + get64(value.p) * w->l->f->page + PAGE_HEAD;
	}
	if (w->kind == TREE_FREE)
		return check_free(w->l, at, value.p, size, w->last);
	if (w->kind == TREE_NAMES)
		return flags == NODE_SUB
			   ? check_name(w, at, key, &value)
			   : bad(w->l, at, "no name of a database");
	if (flags & ~NODE_BIG)
		return bad(w->l, at, "unknown flags");
	if (!w->l->visit)
		return 0;
	return w->l->visit->value(w->l->visit->ctx, w->name, key, &value);
}

/* A node within its page: its key and, in a leaf, its value. */
static int
check_node(const struct walk *w, uint64_t at, const uint8_t *page, size_t i,
	   bool leaf)
{
	unsigned ptr = get16(page + PAGE_HEAD + 2 * i);
	const uint8_t *node = page + ptr;
	uint64_t room, key, size, inside;

	if (ptr < get16(page + 14) || ptr % 2 != 0 ||
	    ptr > w->l->f->page - NODE_HEAD)
		return bad(w->l, at, "a node outside of it");
	room = w->l->f->page - ptr - NODE_HEAD;
	key = get16(node + 6);
	size = leaf ? get16(node) | (uint64_t)get16(node + 2) << 16 : 0;
	inside = leaf && get16(node + 4) & NODE_BIG ? 8 : size;
	if (key > KEY_MAX || key + inside > room)
		return bad(w->l, at, "a node that is too long");
	/* the first key of a branch is never looked at */
	if (w->db->flags & DB_INTEGERKEY && key != 8 && (leaf || i > 0))
		return bad(w->l, at, "a key that is no number");
	return leaf ? check_value(w, at, node,
				  &(struct pages_data){node + NODE_HEAD, key},
				  size)
		    : 0;
}

static int
check_page(const struct walk *w, uint64_t at, unsigned depth)
{
	const struct pages *f = w->l->f;
	const uint8_t *page, *node;
	unsigned flags, lower, upper;
	bool leaf = depth == w->db->depth;
	int r;

	if (at < 2 || at >= f->pages || ++w->l->seen > f->pages)
		return bad(w->l, at, "it is not where a page can be");
	page = f->map + at * f->page;
	flags = get16(page + 10) & ~(unsigned)PAGE_TRANSIENT;
	lower = get16(page + 12);
	upper = get16(page + 14);
	if (get64(page) != at || flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
		return bad(w->l, at, "it is another page");
	if (lower < PAGE_HEAD || lower > upper || upper > f->page ||
	    lower % 2 != 0 || (!leaf && lower < PAGE_HEAD + 4))
		return bad(w->l, at, "impossible bounds");
	for (size_t i = 0; i < (lower - PAGE_HEAD) / 2; i++) {
		r = check_node(w, at, page, i, leaf);
		node = page + get16(page + PAGE_HEAD + 2 * i);
		if (r == 0 && !leaf)
			r = check_page(w,
				       get16(node) |
					   (uint64_t)get16(node + 2) << 16 |
					   (uint64_t)get16(node + 4) << 32,
				       depth + 1);
		if (r < 0)
			return -1;
	}
	return 0;
}

static int
check_tree(struct look *l, struct walk *w)
{
	const struct db *db = w->db;

	/* all else than plain or integer keys is not ours */
	if (db->flags & ~DB_INTEGERKEY || db->depth > DEPTH_MAX)
		return bad(l, db->root, "a database of an unknown kind");
	if (db->root == NO_PAGE)
		return 0;
	if (db->depth == 0)
		return bad(l, db->root, "a database without depth");
	return check_page(w, db->root, 1);
}

void
pages_snapshots(const struct pages *f, uint64_t txn[2])
{
	struct meta m[2];

	for (unsigned i = 0; i < 2; i++)
		txn[i] = f->broken[i] || read_meta(f, i, &m[i]) ? 0 : m[i].txn;
	if (txn[1] > txn[0]) {
		uint64_t t = txn[0];

		txn[0] = txn[1];
		txn[1] = t;
	}
}

bool
pages_lacks_head(const struct pages *f)
{
	return f->broken[0] || f->broken[1];
}

static int
look(struct look *l, uint64_t txn)
{
	struct walk names = {l, NULL, TREE_NAMES, 0, NULL};
	struct walk frees = {l, NULL, TREE_FREE, 0, NULL};
	const char *why;
	uint64_t all[2];
	struct db free;
	struct meta m;
	int r;

	pages_snapshots(l->f, all);
	if (!txn)
		txn = all[0];
	if (!txn || (txn != all[0] && txn != all[1]))
		return 1;
	why = read_meta(l->f, txn & 1, &m);
	if (why)
		return bad(l, txn & 1, why);
	if (m.txn != txn)
		return 1;
	names.db = &m.main;
	r = check_tree(l, &names);
	if (r < 0 || !l->writer)
		return r < 0 ? -1 : 0;
	/* the page size is kept in what the free list does not use; its keys
	 * are numbers */
	free = m.free;
	free.flags = DB_INTEGERKEY;
	frees.db = &free;
	frees.last = m.last;
	return check_tree(l, &frees) < 0 ? -1 : 0;
}

int
pages_check(const struct pages *f, uint64_t txn, bool with_free, struct err *e)
{
	struct look l = {.f = f, .writer = with_free, .e = e};

	return look(&l, txn);
}

int
pages_walk(const struct pages *f, uint64_t txn, const struct pages_visit *v)
{
	struct look l = {.f = f, .visit = v};

	return look(&l, txn);
}
