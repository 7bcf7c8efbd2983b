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
	CHUNKS_MAX = 1 << 20,
	KEEP = 64 << 20,    /* bytes of free chunks that keep their memory */
	LAG_MAX = 64 << 20, /* how far a passing reader is waited for */
};

static const char magic[8] = "flowring";

/* The beginning of the file.  Words that change are stored one at a time, and
 * whenever the process ends what is in the file makes sense. */
struct ring_file {
	char magic[8];
	uint32_t version;
	uint32_t check; /* of what follows up to first */
	uint64_t stream;
	uint64_t chunk; /* bytes of one, a power of two */
	uint64_t chunks;
	uint64_t extra;
	_Alignas(64) uint64_t first;
	uint64_t end;
	_Alignas(64) struct ring_mark marks[RING_MARKS];
	/* Which chunk is at the positions from i * chunk on: table[i % slots].
	 * It does not change as long as something is there. */
	uint32_t table[];
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
	unsigned shift;	 /* of a chunk */
	uint64_t mask;	 /* of the table */
	uint64_t tail;	 /* where what was added ends */
	uint64_t number; /* of what is added next */
	uint64_t taken;	 /* some reader has all before it */
	/* chunks that nothing is in, the last freed on top */
	uint32_t *free;
	size_t nfree;
	uint8_t *backed; /* by chunk: it has memory, or room on the disk */
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

static uint32_t *
table_at(const struct ring *r, uint64_t position)
{
	return &r->file->table[position >> r->shift & r->mask];
}

static uint64_t
place_in_chunk(const struct ring *r, uint64_t position)
{
	return position & (r->file->chunk - 1);
}

static struct entry *
entry_at(const struct ring *r, uint64_t position)
{
	return (struct entry *)(r->data +
				((uint64_t)*table_at(r, position) << r->shift) +
				place_in_chunk(r, position));
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
	uint64_t left = r->file->chunk - place_in_chunk(r, position);

	if (!next_good(r, position) || e->check != entry_check(e) ||
	    e->stride > end - position)
		return false;
	return e->len ? e->stride == stride_of(e->len) && e->stride < left
		      : e->stride == left;
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
ring_chunk(const struct ring *r)
{
	return r->file->chunk;
}

size_t
ring_free_chunks(const struct ring *r)
{
	return r->nfree;
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
	return r->data - r->file->extra;
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

/* ---- chunks ---- */

/* It has memory no more; what was in it is gone. */
static void
give_back(struct ring *r, uint32_t chunk)
{
	off_t at = r->data - (char *)r->file + ((off_t)chunk << r->shift);

	if (!r->backed[chunk])
		return;
	r->backed[chunk] = 0;
	fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		  (off_t)r->file->chunk);
}

static void
free_chunk(struct ring *r, uint32_t chunk)
{
	size_t keep = KEEP >> r->shift;

	r->free[r->nfree++] = chunk;
	if (r->nfree > keep)
		give_back(r, r->free[r->nfree - 1 - keep]);
}

/* On a disk room is taken before it is written to: a page that cannot be had
 * would end the process. */
static bool
back(struct ring *r, uint32_t chunk)
{
	off_t at = r->data - (char *)r->file + ((off_t)chunk << r->shift);

	if (r->backed[chunk])
		return true;
	if (ring_durable(r) &&
	    fallocate(r->fd, 0, at, (off_t)r->file->chunk) != 0 &&
	    errno != EOPNOTSUPP)
		return false;
	r->backed[chunk] = 1;
	return true;
}

/* A chunk for the positions from POSITION on. */
static bool
take_chunk(struct ring *r, uint64_t position)
{
	uint32_t chunk;

	if (r->nfree == 0)
		return false;
	chunk = r->free[r->nfree - 1];
	if (!back(r, chunk))
		return false;
	r->nfree--;
	__atomic_store_n(table_at(r, position), chunk, __ATOMIC_RELEASE);
	return true;
}

/* Frees the chunks between two positions. */
static void
free_between(struct ring *r, uint64_t from, uint64_t to)
{
	for (uint64_t i = from >> r->shift; i < to >> r->shift; i++)
		free_chunk(r, *table_at(r, i << r->shift));
}

/* What has been taken before TO goes. */
static void
advance(struct ring *r, uint64_t to)
{
	uint64_t from = r->file->first;

	for (uint64_t at = from; at < to && r->release;) {
		const struct entry *e = entry_at(r, at);

		if (e->len)
			r->release(r->release_ctx, e->tag, at < r->taken);
		at += e->stride;
	}
	store(&r->file->first, to);
	free_between(r, from, to);
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

bool
ring_make_room(struct ring *r, size_t chunks)
{
	while (r->nfree < chunks)
		if (!pass_oldest(r))
			return false;
	return true;
}

/* The entry at the tail leads to a new chunk. */
static bool
begin_chunk(struct ring *r, bool may_pass)
{
	uint64_t left = r->file->chunk - place_in_chunk(r, r->tail);

	while (!take_chunk(r, r->tail + left))
		if (!may_pass || !pass_oldest(r))
			return false;
	put_next(r, r->tail + left, r->number);
	put_entry(entry_at(r, r->tail), left, 0, 0);
	r->tail += left;
	return true;
}

static char *
reserve(struct ring *r, size_t len, bool may_pass)
{
	uint64_t need = stride_of(len) + UNIT;

	if (need > r->file->chunk)
		return NULL;
	if (place_in_chunk(r, r->tail) + need > r->file->chunk &&
	    !begin_chunk(r, may_pass))
		return NULL;
	return object_of(entry_at(r, r->tail));
}

char *
ring_reserve(struct ring *r, size_t len)
{
	return reserve(r, len, true);
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
	store(&r->file->end, r->tail);
}

/* Whether a chunk could be at the positions from POSITION on, and is not among
 * those that are in use. */
static bool
chunk_good(const struct ring *r, uint64_t position)
{
	uint32_t chunk = *table_at(r, position);

	if (chunk >= r->file->chunks)
		return false;
	for (size_t i = 0; i < r->nfree; i++)
		if (r->free[i] == chunk)
			return true;
	return false;
}

static void
use_chunk(struct ring *r, uint64_t position)
{
	uint32_t chunk = *table_at(r, position);
	size_t i = 0;

	while (r->free[i] != chunk)
		i++;
	r->free[i] = r->free[--r->nfree];
	r->backed[chunk] = 1;
}

int
ring_restore(struct ring *r, uint64_t last, struct err *e)
{
	uint64_t at = r->file->end, to;

	while (entry_at(r, at)->number <= last &&
	       entry_good(r, at, UINT64_MAX)) {
		to = at + entry_at(r, at)->stride;
		if (to >> r->shift != at >> r->shift && !chunk_good(r, to))
			break;
		if (to >> r->shift != at >> r->shift)
			use_chunk(r, to);
		at = to;
	}
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

uint64_t
ring_mark_tags(const struct ring *r, size_t i)
{
	const struct ring_mark *m = &r->file->marks[i];
	const struct entry *e;
	uint64_t sum = 0;

	if (!m->used)
		return 0;
	for (uint64_t at = m->acknowledged; at < r->file->end;
	     at += e->stride) {
		e = entry_at(r, at);
		if (e->len)
			sum += e->tag;
	}
	return sum;
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

static uint64_t
whole(uint64_t bytes, uint64_t of)
{
	return (bytes + of - 1) / of * of;
}

/* As many as there may be chunks with something in them. */
static uint64_t
table_slots(uint64_t chunks)
{
	uint64_t n = 2;

	while (n < chunks)
		n *= 2;
	return n;
}

/* Of the data in the file; the extra bytes end there. */
static size_t
data_offset(uint64_t chunks, uint64_t extra)
{
	return whole(sizeof(struct ring_file) +
			 table_slots(chunks) * sizeof(uint32_t),
		     PAGE) +
	       extra;
}

static uint32_t
file_check(const struct ring_file *f)
{
	return mix(f->stream ^ f->version,
		   mix(f->chunks << 32 ^ f->chunk, f->extra));
}

/* What is asked for, as it can be. */
static struct ring_file
shape_of(const struct ring_options *o)
{
	struct ring_file f = {
	    .version = VERSION, .chunk = PAGE, .extra = whole(o->extra, PAGE)};

	while (f.chunk < o->chunk)
		f.chunk *= 2;
	f.chunks = (o->size + f.chunk - 1) / f.chunk;
	f.chunks = f.chunks > CHUNKS_MAX ? CHUNKS_MAX : f.chunks;
	f.chunks = f.chunks < 2 ? 2 : f.chunks;
	return f;
}

static int
map(struct ring *r, const struct ring_file *f, struct err *e)
{
	size_t head = data_offset(f->chunks, f->extra);
	void *p;

	while (UINT64_C(1) << r->shift < f->chunk)
		r->shift++;
	r->size = f->chunks * f->chunk;
	r->mask = table_slots(f->chunks) - 1;
	r->bytes = head + r->size;
	r->free = calloc(f->chunks, sizeof(*r->free));
	r->backed = calloc(f->chunks, sizeof(*r->backed));
	if (!r->free || !r->backed)
		return err_set(e, "out of memory");
	p = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, r->fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "cannot map %zu bytes", r->bytes);
	r->file = p;
	r->data = (char *)p + head;
	return 0;
}

static void
unmap(struct ring *r)
{
	if (r->file)
		munmap(r->file, r->bytes);
	if (r->fd >= 0)
		close(r->fd);
	free(r->free);
	free(r->backed);
	r->file = NULL;
	r->free = NULL;
	r->backed = NULL;
	r->nfree = 0;
	r->shift = 0;
	r->fd = -1;
}

/* A new stream, with nothing in it. */
static int
begin(struct ring *r, const struct ring_file *shape, struct err *e)
{
	struct ring_file *f = r->file;

	if (getrandom(&f->stream, sizeof(f->stream), 0) != sizeof(f->stream))
		return err_sys(e, "no random identity");
	f->stream += f->stream == 0;
	f->version = VERSION;
	f->chunk = shape->chunk;
	f->chunks = shape->chunks;
	f->extra = shape->extra;
	f->check = file_check(f);
	f->first = f->end = 0;
	for (size_t i = 0; i < RING_MARKS; i++)
		f->marks[i].acknowledged = 0;
	r->tail = r->taken = 0;
	r->number = 1;
	r->nfree = f->chunks;
	for (uint32_t i = 0; i < f->chunks; i++)
		r->free[i] = (uint32_t)f->chunks - 1 - i;
	if (!take_chunk(r, 0))
		return err_sys(e, "no room");
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
	return begin(r, f, e);
}

/* The file, which is empty, becomes a ring. */
static int
make(struct ring *r, const struct ring_options *o, struct err *e)
{
	struct ring_file shape = shape_of(o);
	size_t head = data_offset(shape.chunks, shape.extra);
	uint64_t bytes = head + shape.chunks * shape.chunk;

	if (ftruncate(r->fd, 0) != 0 || ftruncate(r->fd, (off_t)bytes) != 0 ||
	    (ring_durable(r) && fallocate(r->fd, 0, 0, (off_t)head) != 0 &&
	     errno != EOPNOTSUPP))
		return err_sys(e, "no room for %llu bytes",
			       (unsigned long long)bytes);
	if (map(r, &shape, e) != 0)
		return -1;
	return begin(r, &shape, e);
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
	if (f->check != file_check(f) || f->chunk < PAGE ||
	    f->chunk > RING_SIZE_MAX || (f->chunk & (f->chunk - 1)) != 0 ||
	    f->chunks < 2 || f->chunks > CHUNKS_MAX || f->extra % PAGE != 0 ||
	    f->extra > (uint64_t)bytes ||
	    (uint64_t)bytes !=
		data_offset(f->chunks, f->extra) + f->chunks * f->chunk)
		return err_set(e, "its head is damaged");
	return 0;
}

/* Which chunks are in use, and that none is twice. */
static int
check_chunks(struct ring *r, struct err *e)
{
	struct ring_file *f = r->file;

	if (f->end < f->first || f->end > UINT64_MAX / 2 ||
	    f->first % UNIT != 0 || f->end % UNIT != 0 ||
	    (f->end >> r->shift) - (f->first >> r->shift) >= f->chunks)
		return err_set(e, "its ends are damaged");
	for (uint64_t i = f->first >> r->shift; i <= f->end >> r->shift; i++) {
		uint32_t chunk = *table_at(r, i << r->shift);

		if (chunk >= f->chunks || r->backed[chunk])
			return err_set(e, "its table is damaged");
		r->backed[chunk] = 1;
	}
	for (uint32_t i = (uint32_t)f->chunks; i-- > 0;)
		if (!r->backed[i])
			r->free[r->nfree++] = i;
	return 0;
}

static int
check_entry(const struct ring *r, uint64_t at, struct err *e)
{
	struct entry *x = entry_at(r, at);
	const char *reason;

	if (entry_good(r, at, r->file->end) &&
	    (!x->len ||
	     stream_extent(object_of(x), x->len, x->len, &reason) == x->len))
		return 0;
	return err_set(e, "entry %llu is damaged",
		       (unsigned long long)x->number);
}

/* Walks over all; marks that point nowhere keep everything. */
static int
check_entries(struct ring *r, struct err *e)
{
	struct ring_file *f = r->file;
	uint64_t at, number = entry_at(r, f->first)->number;
	bool found[RING_MARKS] = {false};

	for (at = f->first;; at += entry_at(r, at)->stride) {
		for (size_t i = 0; i < RING_MARKS; i++)
			found[i] |= f->marks[i].acknowledged == at;
		if (entry_at(r, at)->number != number || !next_good(r, at))
			return err_set(e, "an entry has no number");
		if (at == f->end)
			break;
		if (check_entry(r, at, e) != 0)
			return -1;
		number += entry_at(r, at)->len > 0;
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
	if (head.extra != whole(o->extra, PAGE)) {
		err_set(e, "it is another program's");
		return FOUND_DAMAGED;
	}
	if (map(r, &head, e) != 0)
		return FOUND_ERROR;
	return check_chunks(r, e) == 0 && check_entries(r, e) == 0
		   ? FOUND_RING
		   : FOUND_DAMAGED;
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

static void
copy_marks(struct ring *to, const struct ring *from, uint64_t at)
{
	for (size_t i = 0; i < RING_MARKS; i++)
		if (from->file->marks[i].acknowledged == at)
			to->file->marks[i].acknowledged = to->tail;
}

static int
copy_object(struct ring *to, struct entry *x, struct err *e)
{
	char *p;

	if (!x->len)
		return 0;
	p = reserve(to, x->len, false);
	if (!p)
		return err_set(e, "what is in it does not fit");
	memcpy(p, object_of(x), x->len);
	ring_add(to, x->len, x->tag);
	return 0;
}

/* What ring_restore may ask for. */
static int
copy_unpublished(struct ring *to, struct ring *from, struct err *e)
{
	uint64_t at = from->file->end, next;

	while (entry_good(from, at, UINT64_MAX)) {
		if (copy_object(to, entry_at(from, at), e) != 0)
			return -1;
		next = at + entry_at(from, at)->stride;
		if (next >> from->shift != at >> from->shift &&
		    !chunk_good(from, next))
			break;
		at = next;
	}
	/* as it would be after a kill */
	for (uint64_t i = (to->file->end >> to->shift) + 1;
	     i <= to->tail >> to->shift; i++)
		to->free[to->nfree++] = *table_at(to, i << to->shift);
	to->tail = to->file->end;
	to->number = entry_at(to, to->tail)->number;
	return 0;
}

static int
copy(struct ring *to, struct ring *from, struct err *e)
{
	struct ring_file *f = from->file, *t = to->file;

	t->stream = f->stream;
	t->check = file_check(t);
	memcpy(t->marks, f->marks, sizeof(t->marks));
	memcpy(ring_extra(to), ring_extra(from), f->extra);
	to->number = entry_at(from, f->first)->number;
	put_next(to, 0, to->number);
	for (uint64_t at = f->first; at < f->end;
	     at += entry_at(from, at)->stride) {
		copy_marks(to, from, at);
		if (copy_object(to, entry_at(from, at), e) != 0)
			return -1;
	}
	copy_marks(to, from, f->end);
	ring_publish(to);
	return copy_unpublished(to, from, e);
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
		return r->size == shape_of(o).chunks * shape_of(o).chunk
			   ? 0
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
