/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/stream.h"

enum {
	VERSION = 1,
	PAGE = 4096,
	UNIT = RING_ENTRY, /* entries begin at multiples of it */
	DIR_MODE = 0750,
	FILE_MODE = 0640,
	PATH_ROOM = PATH_MAX + 64,
	GROW = 16 << 20,    /* a file takes room on the disk in such steps */
	REWIND = 128 << 10, /* of a ring that is empty: begin anew */
	KEEP = 16 << 20,    /* memory that an empty ring goes on to hold */
	LAG_MAX = 64 << 20, /* how long a passing reader is waited for */
};

static const char magic[8] = "flowring";

/* The beginning of the file.  Words that change are stored one at a time, and
 * whenever the process ends what is in the file makes sense. */
struct ring_file {
	char magic[8];
	uint32_t version;
	uint32_t check; /* of what follows up to first */
	uint64_t stream;
	uint64_t size;
	uint64_t extra;
	_Alignas(64) uint64_t first;
	uint64_t end;
	_Alignas(64) struct ring_mark marks[RING_MARKS];
};

/* Before each object.  number and place_check are written when the one before
 * it is added, the rest when it is. */
struct entry {
	uint64_t number;
	uint64_t stride; /* to the next */
	uint32_t len;	 /* of the object; 0: a skip */
	uint32_t tag;
	uint32_t place_check; /* of number and position */
	uint32_t check;	      /* of all */
};

_Static_assert(sizeof(struct entry) == RING_ENTRY, "an entry's header");

struct ring {
	int fd;
	char path[PATH_ROOM]; /* empty: in memory */
	struct ring_file *file;
	size_t bytes; /* that are mapped */
	char *data;
	uint64_t size;
	uint64_t tail;	 /* where what was added ends */
	uint64_t number; /* of what is added next */
	uint64_t taken;	 /* some reader has all before it */
	uint64_t grown;	 /* bytes of data that the disk has room for */
	uint64_t high;	 /* bytes that were used since the last rewinding */
	struct ring_reader *readers;
	void (*release)(void *ctx, uint32_t tag, bool sent);
	void *release_ctx;
};

static void
store(uint64_t *at, uint64_t v)
{
	__atomic_store_n(at, v, __ATOMIC_RELEASE);
}

static uint32_t
mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
		     (b + 7) * UINT64_C(0xc2b2ae3d27d4eb4f);

	return (uint32_t)((h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static struct entry *
entry_at(const struct ring *r, uint64_t position)
{
	return (struct entry *)(r->data + position % r->size);
}

static uint32_t
entry_check(const struct entry *e)
{
	return mix(e->number ^ (uint64_t)e->tag << 32,
		   e->stride ^ (uint64_t)e->len << 32 ^ e->place_check);
}

static uint64_t
stride_of(size_t len)
{
	return UNIT + (((uint64_t)len + UNIT - 1) & ~(uint64_t)(UNIT - 1));
}

static char *
object_of(struct entry *e)
{
	return (char *)(e + 1);
}

/* The entry that is to come. */
static void
put_next(struct ring *r, uint64_t position, uint64_t number)
{
	struct entry *e = entry_at(r, position);

	e->number = number;
	e->place_check = mix(number, position ^ r->file->stream);
}

/* Whether what put_next wrote is there. */
static bool
next_good(const struct ring *r, uint64_t position)
{
	const struct entry *e = entry_at(r, position);

	return e->place_check == mix(e->number, position ^ r->file->stream);
}

static void
put_entry(struct entry *e, uint64_t stride, size_t len, uint32_t tag)
{
	e->stride = stride;
	e->len = (uint32_t)len;
	e->tag = tag;
	e->check = entry_check(e);
}

/* Whether there is a whole entry that ends at END at last. */
static bool
entry_good(const struct ring *r, uint64_t position, uint64_t end)
{
	const struct entry *e = entry_at(r, position);
	uint64_t left = r->size - position % r->size;

	return next_good(r, position) && e->check == entry_check(e) &&
	       e->stride <= left && e->stride <= end - position &&
	       (e->len ? e->stride == stride_of(e->len) : e->stride == left);
}

uint64_t
ring_end(const struct ring *r)
{
	return r->file->end;
}

uint64_t
ring_next(const struct ring *r)
{
	return r->number;
}

uint64_t
ring_size(const struct ring *r)
{
	return r->size;
}

uint64_t
ring_stream(const struct ring *r)
{
	return r->file->stream;
}

bool
ring_durable(const struct ring *r)
{
	return r->path[0] != '\0';
}

uint64_t
ring_used(const struct ring *r)
{
	return r->file->end - r->file->first;
}

uint64_t
ring_objects(const struct ring *r)
{
	return entry_at(r, r->file->end)->number -
	       entry_at(r, r->file->first)->number;
}

void *
ring_extra(struct ring *r)
{
	return (char *)r->file + (r->data - (char *)r->file) - r->file->extra;
}

void
ring_on_release(struct ring *r, void (*f)(void *, uint32_t, bool), void *ctx)
{
	r->release = f;
	r->release_ctx = ctx;
}

/* ---- what is kept ---- */

static uint64_t
acknowledged(const struct ring_reader *rd)
{
	return rd->kind == RING_DURABLE
		   ? rd->ring->file->marks[rd->mark].acknowledged
		   : rd->position;
}

/* What those who hold have, the one furthest behind and the one before all. */
struct holders {
	size_t n;
	uint64_t least, most;
};

static void
add_holder(struct holders *h, uint64_t position)
{
	if (h->n == 0 || position < h->least)
		h->least = position;
	if (h->n == 0 || position > h->most)
		h->most = position;
	h->n++;
}

static struct holders
holders_of(const struct ring *r)
{
	struct holders h = {0};

	for (size_t i = 0; i < RING_MARKS; i++)
		if (r->file->marks[i].used)
			add_holder(&h, r->file->marks[i].acknowledged);
	for (const struct ring_reader *p = r->readers; p; p = p->next)
		if (p->kind == RING_HOLDING)
			add_holder(&h, p->position);
	return h;
}

/* Passing ones count if there are no others; else as far as they are near. */
static uint64_t
passing_least(const struct ring *r, uint64_t least, bool alone)
{
	uint64_t lag = r->size / 4 < LAG_MAX ? r->size / 4 : LAG_MAX;

	for (const struct ring_reader *p = r->readers; p; p = p->next)
		if (p->kind == RING_PASSING && p->position < least &&
		    p->position >= r->file->first &&
		    (alone || r->file->end - p->position <= lag))
			least = p->position;
	return least;
}

static bool
any_passing(const struct ring *r)
{
	for (const struct ring_reader *p = r->readers; p; p = p->next)
		if (p->kind == RING_PASSING)
			return true;
	return false;
}

/* What has been taken before TO goes. */
static void
advance(struct ring *r, uint64_t to)
{
	uint64_t at = r->file->first;

	while (at < to && r->release) {
		const struct entry *e = entry_at(r, at);

		if (e->len)
			r->release(r->release_ctx, e->tag, at < r->taken);
		at += e->stride;
	}
	store(&r->file->first, to);
}

static void
move_readers(struct ring *r, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < RING_MARKS; i++)
		if (r->file->marks[i].used &&
		    r->file->marks[i].acknowledged == from)
			store(&r->file->marks[i].acknowledged, to);
	for (struct ring_reader *p = r->readers; p; p = p->next)
		if (p->position == from)
			p->position = to;
}

/* A skip to the next multiple of the size, where there is room. */
static void
skip(struct ring *r)
{
	uint64_t stride = r->size - r->tail % r->size;

	put_entry(entry_at(r, r->tail), stride, 0, 0);
	r->tail += stride;
	put_next(r, r->tail, r->number);
}

/* Nothing is in the ring: it begins anew. */
static void
rewind_empty(struct ring *r)
{
	uint64_t from = r->tail;

	skip(r);
	store(&r->file->end, r->tail);
	move_readers(r, from, r->tail);
	store(&r->file->first, r->tail);
	r->taken = r->tail;
	if (r->high <= KEEP)
		return;
	/* it gives back memory that it needed once */
	fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  r->data - (char *)r->file + KEEP, (off_t)(r->size - KEEP));
	r->grown = r->grown < KEEP ? r->grown : KEEP;
	r->high = 0;
}

/* Lets go of what nobody waits for. */
static void
release(struct ring *r)
{
	struct holders h = holders_of(r);
	uint64_t least = h.n ? h.least : r->file->end;

	if (h.n == 0 && !any_passing(r))
		return;
	least = passing_least(r, least, h.n == 0);
	if (least > r->file->first)
		advance(r, least);
	if (r->file->first == r->tail && r->tail % r->size >= REWIND)
		rewind_empty(r);
}

/* ---- the writer's side ---- */

/* Passes by the oldest object: unless those who hold are all far behind, for
 * then it is not one of them that is stuck. */
static bool
pass_oldest(struct ring *r)
{
	uint64_t at = r->file->first, to;
	struct holders h = holders_of(r);
	struct entry *e = entry_at(r, at);

	if (at == r->file->end ||
	    (h.n > 0 && h.least == at &&
	     (h.most == at || r->tail - h.most > r->size / 2)))
		return false;
	to = at + e->stride;
	for (size_t i = 0; i < RING_MARKS; i++) {
		struct ring_mark *m = &r->file->marks[i];

		if (!m->used || m->acknowledged != at)
			continue;
		m->lost += e->len > 0;
		m->lost_tags += e->tag;
		store(&m->acknowledged, to);
	}
	advance(r, to);
	return true;
}

/* Takes room on the disk before it is written to: a page that cannot be had
 * would end the process. */
static bool
grow(struct ring *r, uint64_t to)
{
	uint64_t want = (to / GROW + 1) * GROW;

	if (to <= r->grown || !ring_durable(r))
		return true;
	want = want < r->size ? want : r->size;
	if (fallocate(r->fd, 0, r->data - (char *)r->file + (off_t)r->grown,
		      (off_t)(want - r->grown)) != 0 &&
	    errno != EOPNOTSUPP)
		return false;
	r->grown = want;
	return true;
}

/* Whether an entry of NEED bytes, with the header of the next, cannot be at
 * PLACE. */
static bool
is_over(struct ring *r, uint64_t place, uint64_t need)
{
	return place + need - UNIT > r->size ||
	       !grow(r, place + need < r->size ? place + need : r->size);
}

char *
ring_reserve(struct ring *r, size_t len)
{
	uint64_t need = stride_of(len) + UNIT, gap = 0;

	if (need > r->size)
		return NULL;
	if (is_over(r, r->tail % r->size, need)) {
		if (r->file->first == r->tail)
			rewind_empty(r);
		gap = (r->size - r->tail % r->size) % r->size;
		if (is_over(r, 0, need) || gap + need > r->size)
			return NULL;
	}
	while (r->size - (r->tail - r->file->first) < gap + need)
		if (!pass_oldest(r))
			return NULL;
	if (gap)
		skip(r);
	return object_of(entry_at(r, r->tail));
}

void
ring_add(struct ring *r, size_t len, uint32_t tag)
{
	uint64_t stride = stride_of(len);

	put_entry(entry_at(r, r->tail), stride, len, tag);
	r->tail += stride;
	put_next(r, r->tail, ++r->number);
}

void
ring_publish(struct ring *r)
{
	uint64_t used = r->tail - r->file->first;

	store(&r->file->end, r->tail);
	if (used > r->high)
		r->high = used;
}

int
ring_restore(struct ring *r, uint64_t last, struct err *e)
{
	uint64_t at = r->file->end;

	while (entry_at(r, at)->number <= last &&
	       entry_good(r, at, r->file->first + r->size))
		at += entry_at(r, at)->stride;
	if (!next_good(r, at) || entry_at(r, at)->number != last + 1)
		return err_set(e,
			       "%s: it holds what comes before number %llu, "
			       "not %llu",
			       r->path, (unsigned long long)r->number,
			       (unsigned long long)last + 1);
	r->tail = at;
	r->number = last + 1;
	ring_publish(r);
	return 0;
}

int
ring_walk(struct ring *r, int (*f)(void *, const char *, size_t, uint32_t *),
	  void *ctx)
{
	struct entry *e;

	for (uint64_t at = r->file->first; at < r->file->end; at += e->stride) {
		e = entry_at(r, at);
		if (e->len && f(ctx, object_of(e), e->len, &e->tag) != 0)
			return -1;
		e->check = entry_check(e);
	}
	return 0;
}

/* ---- readers ---- */

static int64_t
now_s(void)
{
	return (int64_t)time(NULL);
}

static int
find_mark(const struct ring *r, const char *name)
{
	for (int i = 0; i < RING_MARKS; i++)
		if (r->file->marks[i].used &&
		    strcmp(r->file->marks[i].name, name) == 0)
			return i;
	return -1;
}

static bool
is_there(const struct ring *r, int mark)
{
	for (const struct ring_reader *p = r->readers; p; p = p->next)
		if (p->kind == RING_DURABLE && p->mark == mark)
			return true;
	return false;
}

/* A free place, or that of the one unseen for longest. */
static int
mark_place(const struct ring *r)
{
	int oldest = -1;

	for (int i = 0; i < RING_MARKS; i++) {
		if (!r->file->marks[i].used)
			return i;
		if (!is_there(r, i) &&
		    (oldest < 0 ||
		     r->file->marks[i].seen_s < r->file->marks[oldest].seen_s))
			oldest = i;
	}
	return oldest;
}

static int
make_mark(struct ring *r, const char *name, struct err *e)
{
	int i = mark_place(r);
	struct ring_mark *m = &r->file->marks[i < 0 ? 0 : i];

	if (i < 0)
		return err_set(e, "there are %d named readers already",
			       RING_MARKS);
	m->used = 0;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*m = (struct ring_mark){.acknowledged = r->file->first};
	snprintf(m->name, sizeof(m->name), "%s", name);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	m->used = 1;
	return i;
}

static int
add_durable(struct ring *r, struct ring_reader *rd, const char *name,
	    struct err *e)
{
	int i;

	if (!name[0] || strlen(name) >= RING_NAME_MAX)
		return err_set(e, "a reader's name has 1 to %d bytes",
			       RING_NAME_MAX - 1);
	i = find_mark(r, name);
	if (i >= 0 && is_there(r, i))
		return err_set(e, "a reader named %s is connected already",
			       name);
	rd->mark = i >= 0 ? i : make_mark(r, name, e);
	if (rd->mark < 0)
		return -1;
	r->file->marks[rd->mark].seen_s = now_s();
	rd->position = r->file->marks[rd->mark].acknowledged;
	return 0;
}

int
ring_reader_add(struct ring *r, struct ring_reader *rd, enum ring_kind kind,
		const char *name, struct err *e)
{
	bool held = holders_of(r).n > 0;

	*rd = (struct ring_reader){.ring = r, .kind = kind, .mark = -1};
	rd->position =
	    kind == RING_PASSING && held ? r->file->end : r->file->first;
	if (kind == RING_DURABLE && add_durable(r, rd, name, e) != 0) {
		rd->ring = NULL;
		return -1;
	}
	rd->number = entry_at(r, rd->position)->number;
	rd->next = r->readers;
	r->readers = rd;
	return 0;
}

void
ring_reader_remove(struct ring_reader *rd)
{
	struct ring_reader **at;

	if (!rd->ring)
		return;
	at = &rd->ring->readers;
	while (*at != rd)
		at = &(*at)->next;
	*at = rd->next;
	if (rd->kind == RING_DURABLE)
		rd->ring->file->marks[rd->mark].seen_s = now_s();
	release(rd->ring);
	rd->ring = NULL;
}

/* It is passed by if it is behind what there is. */
static void
catch_up(struct ring_reader *rd)
{
	struct ring *r = rd->ring;
	uint64_t number = entry_at(r, r->file->first)->number;

	if (rd->position >= r->file->first)
		return;
	rd->broken = rd->offset > 0;
	rd->skipped += number - rd->number;
	rd->position = r->file->first;
	rd->number = number;
}

/* The position from AT on of what comes after NUMBER. */
static uint64_t
position_after(const struct ring *r, uint64_t at, uint64_t number)
{
	while (at < r->file->end && entry_at(r, at)->number <= number)
		at += entry_at(r, at)->stride;
	return at;
}

void
ring_reader_seek(struct ring_reader *rd, uint64_t number)
{
	struct ring *r = rd->ring;

	/* one that comes back may have a part of what others hold */
	if (rd->kind == RING_PASSING && number > 0)
		rd->position = r->file->first;
	rd->position = position_after(r, acknowledged(rd), number);
	rd->number = entry_at(r, rd->position)->number;
	rd->offset = 0;
	if (rd->kind != RING_DURABLE)
		release(r);
}

void
ring_acknowledge(struct ring_reader *rd, uint64_t number)
{
	struct ring *r = rd->ring;
	uint64_t *mark = &r->file->marks[rd->mark].acknowledged;
	uint64_t at = position_after(r, *mark, number);

	if (at > r->taken)
		r->taken = at;
	store(mark, at);
	catch_up(rd);
	release(r);
}

size_t
ring_gather(struct ring_reader *rd, struct iovec *iov, size_t max, size_t bytes)
{
	struct ring *r = rd->ring;
	size_t n = 0, offset, all = 0;
	struct entry *e;

	catch_up(rd);
	offset = rd->offset;
	for (uint64_t at = rd->position;
	     at < r->file->end && n < max && all < bytes; at += e->stride) {
		e = entry_at(r, at);
		if (!e->len)
			continue;
		iov[n++] =
		    (struct iovec){object_of(e) + offset, e->len - offset};
		all += e->len - offset;
		offset = 0;
	}
	return n;
}

void
ring_take(struct ring_reader *rd, size_t bytes)
{
	struct ring *r = rd->ring;

	while (rd->position < r->file->end) {
		const struct entry *e = entry_at(r, rd->position);

		if (bytes < e->len - rd->offset) {
			rd->offset += bytes;
			break;
		}
		bytes -= e->len - rd->offset;
		rd->offset = 0;
		rd->position += e->stride;
		rd->number += e->len > 0;
	}
	if (rd->kind == RING_DURABLE)
		return;
	if (rd->position > r->taken)
		r->taken = rd->position;
	release(r);
}

const struct ring_mark *
ring_mark(const struct ring *r, size_t i, uint64_t *behind)
{
	const struct ring_mark *m = &r->file->marks[i];

	if (!m->used)
		return NULL;
	*behind = entry_at(r, r->file->end)->number -
		  entry_at(r, m->acknowledged)->number;
	return m;
}

int
ring_forget(struct ring *r, const char *name)
{
	int i = find_mark(r, name);

	if (i < 0 || is_there(r, i))
		return -1;
	r->file->marks[i].used = 0;
	release(r);
	return 0;
}

/* ---- files ---- */

static size_t
data_offset(uint64_t extra)
{
	return (sizeof(struct ring_file) + extra + PAGE - 1) / PAGE * PAGE;
}

static uint32_t
file_check(const struct ring_file *f)
{
	return mix(f->stream ^ f->version, mix(f->size, f->extra));
}

static int
map(struct ring *r, uint64_t size, uint64_t extra, struct err *e)
{
	size_t head = data_offset(extra);
	void *p;

	r->bytes = head + size;
	p = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, r->fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "cannot map %zu bytes", r->bytes);
	r->file = p;
	r->data = (char *)p + head;
	r->size = size;
	return 0;
}

static void
unmap(struct ring *r)
{
	if (r->file)
		munmap(r->file, r->bytes);
	if (r->fd >= 0)
		close(r->fd);
	r->file = NULL;
	r->fd = -1;
}

/* A new stream, with nothing in it. */
static int
begin(struct ring *r, uint64_t size, uint64_t extra, struct err *e)
{
	struct ring_file *f = r->file;

	if (getrandom(&f->stream, sizeof(f->stream), 0) != sizeof(f->stream))
		return err_sys(e, "no random identity");
	f->stream += f->stream == 0;
	f->version = VERSION;
	f->size = size;
	f->extra = extra;
	f->check = file_check(f);
	f->first = f->end = 0;
	for (size_t i = 0; i < RING_MARKS; i++)
		f->marks[i].acknowledged = 0;
	r->tail = r->taken = 0;
	r->number = 1;
	put_next(r, 0, 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(f->magic, magic, sizeof(magic));
	return 0;
}

int
ring_renew(struct ring *r, struct err *e)
{
	struct ring_file *f = r->file;

	memset(f->magic, 0, sizeof(f->magic));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return begin(r, f->size, f->extra, e);
}

static uint64_t
whole_pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* The file, which is empty, becomes a ring. */
static int
make(struct ring *r, const struct ring_options *o, struct err *e)
{
	uint64_t extra = whole_pages(o->extra), size = whole_pages(o->size);
	size_t head = data_offset(extra);

	if (ftruncate(r->fd, (off_t)(head + size)) != 0 ||
	    (ring_durable(r) && fallocate(r->fd, 0, 0, (off_t)head) != 0 &&
	     errno != EOPNOTSUPP))
		return err_sys(e, "no room for %llu bytes",
			       (unsigned long long)(head + size));
	if (map(r, size, extra, e) != 0)
		return -1;
	if (!grow(r, PAGE))
		return err_sys(e, "no room");
	return begin(r, size, extra, e);
}

/* 1: the file is a ring, else err says what is wrong with it. */
static int
check_head(const struct ring_file *f, off_t bytes, struct err *e)
{
	if (bytes < (off_t)sizeof(*f) ||
	    memcmp(f->magic, magic, sizeof(magic)) != 0)
		return err_set(e, "it is no ring");
	if (f->version != VERSION)
		return err_set(e, "it has version %u, this program reads %d",
			       f->version, VERSION);
	if (f->check != file_check(f) || f->size < PAGE ||
	    f->size > RING_SIZE_MAX + PAGE || f->size % PAGE != 0 ||
	    f->extra % PAGE != 0 || f->extra > (uint64_t)bytes ||
	    (uint64_t)bytes != data_offset(f->extra) + f->size)
		return err_set(e, "its head is damaged");
	return 0;
}

/* Walks over all; marks that point nowhere keep everything. */
static int
check_entries(struct ring *r, struct err *e)
{
	struct ring_file *f = r->file;
	uint64_t at = f->first, number;
	bool found[RING_MARKS] = {false};
	const char *reason;

	if (f->end < f->first || f->end - f->first > r->size - UNIT ||
	    f->first % UNIT != 0 || f->end % UNIT != 0 ||
	    f->end > UINT64_MAX / 2)
		return err_set(e, "its ends are damaged");
	number = entry_at(r, at)->number;
	for (;;) {
		struct entry *x = entry_at(r, at);

		for (size_t i = 0; i < RING_MARKS; i++)
			found[i] |= f->marks[i].acknowledged == at;
		if (x->number != number || !next_good(r, at))
			return err_set(e, "an entry has no number");
		if (at == f->end)
			break;
		if (!entry_good(r, at, f->end) ||
		    (x->len && stream_extent(object_of(x), x->len, x->len,
					     &reason) != x->len))
			return err_set(e, "entry %llu is damaged",
				       (unsigned long long)x->number);
		number += x->len > 0;
		at += x->stride;
	}
	r->number = number;
	r->tail = f->end;
	r->taken = f->first;
	for (size_t i = 0; i < RING_MARKS; i++) {
		f->marks[i].name[RING_NAME_MAX - 1] = '\0';
		if (!found[i])
			f->marks[i].acknowledged = f->first;
	}
	return 0;
}

static int
lock(int fd, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_SETLK, &l) == 0)
		return 0;
	return err_set(e, "another process uses it");
}

enum found { FOUND_ERROR = -1, FOUND_RING, FOUND_EMPTY, FOUND_DAMAGED };

static enum found
open_old(struct ring *r, const struct ring_options *o, struct err *e)
{
	struct ring_file head;
	struct stat st;
	ssize_t n;

	if (lock(r->fd, e) != 0)
		return FOUND_ERROR;
	n = pread(r->fd, &head, sizeof(head), 0);
	if (n < 0 || fstat(r->fd, &st) != 0) {
		err_sys(e, "cannot read it");
		return FOUND_ERROR;
	}
	/* or it was killed while it made the file */
	if (n == 0 || (n == (ssize_t)sizeof(head) && !head.magic[0]))
		return FOUND_EMPTY;
	if (check_head(&head, n < (ssize_t)sizeof(head) ? 0 : st.st_size, e))
		return FOUND_DAMAGED;
	if (head.extra != whole_pages(o->extra)) {
		err_set(e, "it is another program's");
		return FOUND_DAMAGED;
	}
	if (map(r, head.size, head.extra, e) != 0)
		return FOUND_ERROR;
	return check_entries(r, e) == 0 ? FOUND_RING : FOUND_DAMAGED;
}

static int
set_aside(struct ring *r, const struct err *why, struct err *note,
	  struct err *e)
{
	char to[PATH_ROOM + 32];

	snprintf(to, sizeof(to), "%s.damaged-%lld", r->path,
		 (long long)time(NULL));
	if (rename(r->path, to) != 0)
		return err_sys(e, "cannot rename it");
	err_set(note,
		"%.200s: %.100s: set aside as %.150s, and with it what had not "
		"been taken",
		r->path, why->text, strrchr(to, '/') + 1);
	return 0;
}

/* The objects of FROM between two positions, with their numbers, and the marks
 * on the way. */
static int
copy_objects(struct ring *to, struct ring *from, uint64_t at, uint64_t end,
	     struct err *e)
{
	for (;;) {
		struct entry *x = entry_at(from, at);
		char *p;

		for (size_t i = 0; i < RING_MARKS; i++)
			if (from->file->marks[i].acknowledged == at)
				to->file->marks[i].acknowledged = to->tail;
		if (at == end || !entry_good(from, at, end))
			return 0;
		at += x->stride;
		if (!x->len)
			continue;
		p = ring_reserve(to, x->len);
		if (!p)
			return err_set(e, "what is in it does not fit");
		memcpy(p, object_of(x), x->len);
		ring_add(to, x->len, x->tag);
	}
}

static int
copy(struct ring *to, struct ring *from, struct err *e)
{
	struct ring_file *f = from->file, *t = to->file;

	t->stream = f->stream;
	t->check = file_check(t);
	memcpy(t->marks, f->marks, sizeof(t->marks));
	to->number = entry_at(from, f->first)->number;
	put_next(to, 0, to->number);
	memcpy(ring_extra(to), ring_extra(from), f->extra);
	if (copy_objects(to, from, f->first, f->end, e) != 0)
		return -1;
	ring_publish(to);
	/* and what ring_restore may ask for */
	if (copy_objects(to, from, f->end, f->first + from->size, e) != 0)
		return -1;
	to->tail = t->end;
	to->number = entry_at(to, to->tail)->number;
	return 0;
}

static int
make_copy(struct ring *new, struct ring *r, const struct ring_options *o,
	  struct err *e)
{
	char path[PATH_ROOM + 8];

	memcpy(new->path, r->path, sizeof(new->path));
	snprintf(path, sizeof(path), "%s.new", r->path);
	unlink(path);
	new->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (new->fd < 0)
		return err_sys(e, "cannot make %s", path);
	if (lock(new->fd, e) == 0 && make(new, o, e) == 0 &&
	    copy(new, r, e) == 0) {
		if (rename(path, r->path) == 0)
			return 0;
		err_sys(e, "cannot rename it");
	}
	unlink(path);
	return -1;
}

/* The ring at the size asked for, in a new file in place of the old one. */
static int
resize(struct ring *r, const struct ring_options *o, struct err *note,
       struct err *e)
{
	struct ring *new = calloc(1, sizeof(*new));
	struct ring old = *r;
	struct err why;

	if (!new)
		return err_set(e, "out of memory");
	new->fd = -1;
	if (make_copy(new, r, o, &why) == 0) {
		*r = *new;
		*new = old;
	} else {
		err_set(note, "%.200s: it keeps its size of %llu: %.200s",
			r->path, (unsigned long long)r->size, why.text);
	}
	unmap(new);
	free(new);
	return 0;
}

static int
open_path(struct ring *r, struct err *e)
{
	r->fd =
	    open(r->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, FILE_MODE);
	return r->fd < 0 ? err_sys(e, "cannot open it") : 0;
}

static int
open_file(struct ring *r, const struct ring_options *o, struct err *note,
	  struct err *e)
{
	enum found found;
	struct err why;

	if (open_path(r, e) != 0)
		return -1;
	found = open_old(r, o, &why);
	if (found == FOUND_RING)
		return r->size == whole_pages(o->size) ? 0
						       : resize(r, o, note, e);
	if (found == FOUND_EMPTY)
		return make(r, o, e);
	if (found == FOUND_ERROR) {
		*e = why;
		return -1;
	}
	unmap(r);
	if (set_aside(r, &why, note, e) != 0 || open_path(r, e) != 0 ||
	    lock(r->fd, e) != 0)
		return -1;
	return make(r, o, e);
}

static int
open_in_dir(struct ring *r, const struct ring_options *o, struct err *note,
	    struct err *e)
{
	if (snprintf(r->path, sizeof(r->path), "%s/%s", o->dir, o->file) >=
	    PATH_MAX)
		return err_set(e, "the path %.100s... is too long", o->dir);
	if (mkdir(o->dir, DIR_MODE) != 0 && errno != EEXIST)
		return err_sys(e, "cannot make the directory %s", o->dir);
	if (open_file(r, o, note, e) == 0)
		return 0;
	return err_prefix(e, "%s", r->path);
}

static int
open_memory(struct ring *r, const struct ring_options *o, struct err *e)
{
	r->fd = memfd_create("ring", MFD_CLOEXEC);
	if (r->fd < 0)
		return err_sys(e, "no memory for a ring");
	return make(r, o, e);
}

struct ring *
ring_open(const struct ring_options *o, struct err *note, struct err *e)
{
	struct ring *r = calloc(1, sizeof(*r));

	note->text[0] = '\0';
	if (!r) {
		err_set(e, "out of memory");
		return NULL;
	}
	r->fd = -1;
	if (o->dir ? open_in_dir(r, o, note, e) == 0
		   : open_memory(r, o, e) == 0)
		return r;
	ring_close(r);
	return NULL;
}

void
ring_close(struct ring *r)
{
	if (!r)
		return;
	unmap(r);
	free(r);
}
