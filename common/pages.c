/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/pages.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* LMDB's mdb.c has these as MDB_page, MDB_meta, MDB_db and MDB_node. */
enum {
	PAGE_HEAD = 16,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
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

struct file {
	const uint8_t *map;
	uint64_t size, pages;
	uint32_t page; /* bytes of one */
	uint64_t seen; /* pages so far: a tree has no page twice */
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

static int
bad(struct file *f, uint64_t page, const char *why)
{
	return err_set(f->e, "page %llu is damaged: %s",
		       (unsigned long long)page, why);
}

static int
read_meta(struct file *f, unsigned which, struct meta *m)
{
	const uint8_t *p = f->map + (size_t)which * f->page;

	memcpy(m, p + PAGE_HEAD, sizeof(*m));
	if (m->magic != META_MAGIC || m->version != 1 ||
	    !(get16(p + 10) & PAGE_META))
		return bad(f, which, "it is no head of an LMDB file");
	if (m->free.pad != f->page)
		return bad(f, which, "it has another page size");
	if (m->mapsize < 2 * f->page || m->mapsize > MAP_MAX ||
	    m->last > MAP_MAX / f->page)
		return bad(f, which, "impossible sizes");
	return 0;
}

static int
map_file(struct file *f, const char *path)
{
	/* of a FIFO the opening would wait */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err_sys(f->e, "cannot open it");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(f->e, "it is no file");
	}
	f->size = (uint64_t)st.st_size;
	if (f->size < PAGE_HEAD + META_SIZE) {
		close(fd);
		err_set(f->e, "it is cut short at %llu bytes",
			(unsigned long long)f->size);
		return -1;
	}
	p = mmap(NULL, f->size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED || !p) {
		err_sys(f->e, "cannot map it");
		return -1;
	}
	f->map = p;
	memcpy(&f->page, f->map + PAGE_HEAD + META_DBS, sizeof(f->page));
	if (f->page < PAGE_MIN || f->page > PAGE_MAX ||
	    (f->page & (f->page - 1)) != 0)
		return bad(f, 0, "it is no head of an LMDB file");
	f->pages = f->size / f->page;
	if (f->pages < 2) {
		err_set(f->e, "it is cut short at %llu bytes",
			(unsigned long long)f->size);
		return -1;
	}
	return 0;
}

static void
unmap(struct file *f)
{
	if (f->map)
		munmap((void *)f->map, f->size);
}

int
pages_check_start(const char *path, struct err *e)
{
	struct file f = {.e = e};
	struct meta m;
	int r = -1;

	if (map_file(&f, path) == 0 && read_meta(&f, 0, &m) == 0 &&
	    read_meta(&f, 1, &m) == 0)
		r = 0;
	unmap(&f);
	return r;
}

/* The pages of a value that lies apart. */
static int
check_big(struct file *f, uint64_t at, const uint8_t *data, uint64_t size)
{
	uint64_t first = get64(data);
	uint64_t pages = (PAGE_HEAD - 1 + size) / f->page + 1;

	if (first < 2 || first >= f->pages || pages > f->pages - first)
		return bad(f, at, "a value lies outside the file");
	return 0;
}

/* A free page must be one that may be written. */
static int
check_free(struct file *f, uint64_t at, const uint8_t *data, uint64_t size,
	   uint64_t last)
{
	uint64_t n = size >= 8 ? get64(data) : 0;

	if (size < 8 || n > size / 8 - 1)
		return bad(f, at, "a list of free pages is cut short");
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t page = get64(data + 8 * i);

		if (page < 2 || page > last)
			return bad(f, at, "a free page that cannot be");
	}
	return 0;
}

/* A tree being walked. */
struct walk {
	struct file *f;
	const struct db *db;
	uint64_t last; /* of the free list: the last page; else 0 */
	bool names;    /* values are databases */
};

static int check_tree(struct file *, const struct db *, uint64_t last,
		      bool names);

static int
check_value(const struct walk *w, uint64_t at, const uint8_t *node,
	    const uint8_t *data, uint64_t size)
{
	unsigned flags = get16(node + 4);
	struct db sub;

	if (flags & NODE_BIG) {
		if (check_big(w->f, at, data, size) != 0)
			return -1;
		data = w->f->map + get64(data) * w->f->page + PAGE_HEAD;
	}
	if (w->last)
		return check_free(w->f, at, data, size, w->last);
	if (!w->names)
		return flags & ~NODE_BIG ? bad(w->f, at, "unknown flags") : 0;
	if (flags != NODE_SUB || size != DB_SIZE)
		return bad(w->f, at, "no name of a database");
	memcpy(&sub, data, sizeof(sub));
	return check_tree(w->f, &sub, 0, false);
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
	    ptr > w->f->page - NODE_HEAD)
		return bad(w->f, at, "a node outside of it");
	room = w->f->page - ptr - NODE_HEAD;
	key = get16(node + 6);
	size = leaf ? get16(node) | (uint64_t)get16(node + 2) << 16 : 0;
	inside = leaf && get16(node + 4) & NODE_BIG ? 8 : size;
	if (key > KEY_MAX || key + inside > room)
		return bad(w->f, at, "a node that is too long");
	/* the first key of a branch is never looked at */
	if (w->db->flags & DB_INTEGERKEY && key != 8 && (leaf || i > 0))
		return bad(w->f, at, "a key that is no number");
	return leaf ? check_value(w, at, node, node + NODE_HEAD + key, size)
		    : 0;
}

static int
check_page(const struct walk *w, uint64_t at, unsigned depth)
{
	struct file *f = w->f;
	const uint8_t *page, *node;
	unsigned flags, lower, upper;
	bool leaf = depth == w->db->depth;

	if (at < 2 || at >= f->pages || ++f->seen > f->pages)
		return bad(f, at, "it is not where a page can be");
	page = f->map + at * f->page;
	flags = get16(page + 10) & ~(unsigned)PAGE_TRANSIENT;
	lower = get16(page + 12);
	upper = get16(page + 14);
	if (get64(page) != at || flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
		return bad(f, at, "it is another page");
	if (lower < PAGE_HEAD || lower > upper || upper > f->page ||
	    lower % 2 != 0 || (!leaf && lower < PAGE_HEAD + 4))
		return bad(f, at, "impossible bounds");
	for (size_t i = 0; i < (lower - PAGE_HEAD) / 2; i++) {
		if (check_node(w, at, page, i, leaf) != 0)
			return -1;
		node = page + get16(page + PAGE_HEAD + 2 * i);
		if (!leaf &&
		    check_page(w,
			       get16(node) | (uint64_t)get16(node + 2) << 16 |
				   (uint64_t)get16(node + 4) << 32,
			       depth + 1) != 0)
			return -1;
	}
	return 0;
}

static int
check_tree(struct file *f, const struct db *db, uint64_t last, bool names)
{
	struct walk w = {f, db, last, names};

	/* all else than plain or integer keys is not ours */
	if (db->flags & ~DB_INTEGERKEY || db->depth > DEPTH_MAX)
		return err_set(f->e, "a database of an unknown kind");
	if (db->root == NO_PAGE)
		return 0;
	if (db->depth == 0)
		return err_set(f->e, "a database without depth");
	return check_page(&w, db->root, 1);
}

int
pages_check(const char *path, uint64_t txn, bool with_free, struct err *e)
{
	struct file f = {.e = e};
	struct meta m[2], *now;
	struct db free;
	int r = -1;

	if (map_file(&f, path) != 0 || read_meta(&f, 0, &m[0]) != 0 ||
	    read_meta(&f, 1, &m[1]) != 0)
		goto out;
	now = &m[txn ? txn & 1 : m[1].txn > m[0].txn];
	if (txn && now->txn != txn) {
		r = 1;
		goto out;
	}
	/* the page size is kept in what the free list does not use; its keys
	 * are numbers */
	free = now->free;
	free.flags = DB_INTEGERKEY;
	r = check_tree(&f, &now->main, 0, true);
	if (r == 0 && with_free)
		r = check_tree(&f, &free, now->last, false);
out:
	unmap(&f);
	return r;
}
