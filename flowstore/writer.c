/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/writer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/block.h"
#include "common/log.h"
#include "common/place.h"
#include "flowstore/adapt.h"
#include "flowstore/lock.h"
#include "flowstore/segment.h"

enum {
	COMMIT_MS = 500,   /* how long a record waits for a commit at most */
	COMMIT_BLOCKS = 8, /* full blocks that wait for one */
	RETRY_MS = 500,	   /* on a full disk */
	PIECES_MAX = 16,
	PIECE_RATIO = 4, /* how much larger a piece is than the next */
	OPEN_BYTES_MAX = 128 << 20, /* of all open blocks */
	BLOCK_BYTES_MAX = 64 << 20, /* of one */
};

/* A stored part of an open block. */
struct piece {
	uint64_t first_id;
	uint32_t rows;
};

struct open {
	struct batch *rows;
	uint32_t committed; /* rows that are in pieces */
	size_t npieces;
	struct piece pieces[PIECES_MAX];
	size_t bytes; /* of memory */
};

/* A route of shapes and the open block it leads to. */
struct way {
	struct route route;
	bool hosted;	   /* whether it adds a _host */
	struct open *open; /* NULL where the route leads nowhere */
};

struct writer {
	const struct writer_options *opt;
	int lock;
	struct segment segment;
	struct keeper keeper;
	struct ledger ledger;
	struct encoder *encoder;
	struct shapes *shapes; /* of the table */
	struct adapt adapt;
	struct way *ways;
	size_t nways, last; /* last: the one found last */
	struct open **opens;
	size_t nopens;
	size_t open_bytes;
	/* the commit in the making */
	struct change *changes;
	size_t nchanges, changes_cap;
	struct block_out **blocks; /* memory, used again */
	size_t nblocks, blocks_cap;
	uint64_t pending; /* records */
	int64_t since;	  /* ms; when the first of it came; 0: nothing did */
	int64_t retry;	  /* ms; the disk was full, try again; 0: it is not */
	bool failed;	  /* what is in memory is not what it should be */
	struct writer_stats stats;
	struct log_limit complaint;
};

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t
now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000 + 1;
}

static int
no_memory(struct err *e)
{
	return err_set(e, "out of memory");
}

/* ---- the commit in the making ---- */

static struct change *
add_change(struct writer *w)
{
	if (w->nchanges == w->changes_cap) {
		size_t cap = w->changes_cap ? 2 * w->changes_cap : 64;
		struct change *p = realloc(w->changes, cap * sizeof(*p));

		if (!p)
			return NULL;
		w->changes = p;
		w->changes_cap = cap;
	}
	return &w->changes[w->nchanges++];
}

static struct block_out *
take_block(struct writer *w)
{
	if (w->nblocks == w->blocks_cap) {
		size_t cap = w->blocks_cap + 1;
		struct block_out **p = realloc(w->blocks, cap * sizeof(*p));

		if (!p)
			return NULL;
		w->blocks = p;
		p[w->blocks_cap] = calloc(1, sizeof(**p));
		if (!p[w->blocks_cap])
			return NULL;
		w->blocks_cap = cap;
	}
	return w->blocks[w->nblocks++];
}

/* Encodes rows [from, rows) of an open block, to be stored by the commit. */
static int
put_rows(struct writer *w, struct open *o, uint32_t from, bool closed,
	 struct err *e)
{
	int id = shape_find(o->rows->shape, "_id");
	uint32_t n = o->rows->rows - from;
	struct block_out *out = take_block(w);
	struct change *c = out ? add_change(w) : NULL;
	struct value v;

	if (!c)
		return no_memory(e);
	/* pieces are few and go again */
	out->with_filters = closed;
	if (block_encode(w->encoder, o->rows, from, n, out, e) != 0)
		return -1;
	column_value(&o->rows->cols[id], COL_U64, from, &v);
	*c = (struct change){v.u, n, out};
	w->stats.bytes += out->head.len + out->body.len + out->filters.len;
	return 0;
}

/* The last piece goes; returns its rows. */
static int
drop_piece(struct writer *w, struct open *o, uint32_t *rows, struct err *e)
{
	const struct piece *p = &o->pieces[--o->npieces];
	struct change *c = add_change(w);

	if (!c)
		return no_memory(e);
	*c = (struct change){p->first_id, p->rows, NULL};
	*rows = p->rows;
	return 0;
}

/* Stores the new rows of an open block as a piece, with those pieces before
 * it that are not much larger. */
static int
put_piece(struct writer *w, struct open *o, struct err *e)
{
	uint32_t n = o->rows->rows - o->committed, more = 0;

	if (n == 0)
		return 0;
	while (o->npieces > 0 &&
	       (o->npieces == PIECES_MAX ||
		o->pieces[o->npieces - 1].rows / PIECE_RATIO < n)) {
		if (drop_piece(w, o, &more, e) != 0)
			return -1;
		n += more;
	}
	if (put_rows(w, o, o->rows->rows - n, false, e) != 0)
		return -1;
	o->pieces[o->npieces++] =
	    (struct piece){w->changes[w->nchanges - 1].first_id, n};
	o->committed = o->rows->rows;
	w->stats.pieces++;
	return 0;
}

static void
forget_rows(struct writer *w, struct open *o)
{
	batch_clear(o->rows);
	o->committed = 0;
	o->npieces = 0;
	w->open_bytes -= o->bytes;
	o->bytes = batch_bytes(o->rows);
	w->open_bytes += o->bytes;
}

/* The block is as large as it will be: its pieces become one. */
static int
close_block(struct writer *w, struct open *o, struct err *e)
{
	uint32_t rows;

	if (o->rows->rows == 0)
		return 0;
	w->stats.blocks++;
	if (o->npieces == 1 && o->committed == o->rows->rows) {
		forget_rows(w, o);
		return 0;
	}
	while (o->npieces > 0)
		if (drop_piece(w, o, &rows, e) != 0)
			return -1;
	if (put_rows(w, o, 0, true, e) != 0)
		return -1;
	forget_rows(w, o);
	return 0;
}

/* What writing has come to: 0; -1; or 1: the disk is full, and what there is
 * waits for room. */
static int
hold(struct writer *w, int rc, const struct err *e)
{
	if (rc == 0 || e->code != ENOSPC)
		return rc;
	if (w->retry == 0)
		log_line("%s; records are held back until there is room",
			 e->text);
	w->retry = now_ms() + RETRY_MS;
	return 1;
}

static void
go_on(struct writer *w)
{
	if (w->retry != 0)
		log_line("%s: there is room again: going on", w->segment.dir);
	w->retry = 0;
}

static int
write_changes(struct writer *w, struct err *e)
{
	int rc = hold(
	    w,
	    segment_commit(&w->segment, w->changes, w->nchanges, &w->ledger, e),
	    e);

	if (rc != 0)
		return rc;
	w->nchanges = 0;
	w->nblocks = 0;
	w->since = 0;
	w->stats.commits++;
	w->stats.records += w->pending;
	w->pending = 0;
	return 0;
}

static int
close_all(struct writer *w, struct err *e)
{
	for (size_t i = 0; i < w->nopens; i++)
		if (close_block(w, w->opens[i], e) != 0)
			return -1;
	return write_changes(w, e);
}

static bool
is_full(const struct writer *w)
{
	int64_t age = (clock_us(CLOCK_REALTIME) - w->segment.created) / 1000000;

	/* one of the future is from before the clock was set back */
	return w->segment.rows > 0 &&
	       (w->segment.bytes >= w->keeper.segment_size || age < 0 ||
		age >= w->keeper.segment_age);
}

/* Ends the segment, if there is anything in it, and begins the next. */
static int
roll(struct writer *w, struct err *e)
{
	int rc = close_all(w, e);

	if (rc == 0 && w->segment.rows > 0) {
		rc = hold(w, segment_roll(&w->segment, &w->ledger, e), e);
		w->stats.segments += rc == 0;
	}
	if (rc == 0)
		keeper_rolled(&w->keeper);
	return rc;
}

static int
commit(struct writer *w, struct err *e)
{
	int rc;

	for (size_t i = 0; i < w->nopens; i++)
		if (put_piece(w, w->opens[i], e) != 0)
			return -1;
	rc = write_changes(w, e);
	return rc == 0 && is_full(w) ? roll(w, e) : rc;
}

/* ---- batches ---- */

/* The open block of a shape of the table, new if there is none. */
static struct open *
find_open(struct writer *w, const struct shape *s)
{
	struct open **p, *o;

	for (size_t i = 0; i < w->nopens; i++)
		if (w->opens[i]->rows->shape == s)
			return w->opens[i];
	p = realloc(w->opens, (w->nopens + 1) * sizeof(*p));
	if (!p)
		return NULL;
	w->opens = p;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->rows = batch_new(s);
	if (!o->rows) {
		free(o);
		return NULL;
	}
	p[w->nopens++] = o;
	return o;
}

static struct way *
add_way(struct writer *w, const struct shape *s, struct err *e)
{
	struct way *p = realloc(w->ways, (w->nways + 1) * sizeof(*p)), *way;

	if (!p) {
		no_memory(e);
		return NULL;
	}
	w->ways = p;
	way = &p[w->nways];
	way->open = NULL;
	way->hosted = w->adapt.host != NULL;
	if (route_init(&way->route, s, w->shapes, w->adapt.host, e) != 0)
		return NULL;
	if (way->route.to) {
		way->open = find_open(w, way->route.to);
		if (!way->open) {
			route_clear(&way->route);
			no_memory(e);
			return NULL;
		}
	} else {
		log_limited(&w->complaint, "records of a new kind dropped: %s",
			    e->text);
	}
	w->last = w->nways++;
	return way;
}

static bool
is_way(const struct writer *w, size_t i, const struct shape *s)
{
	return w->ways[i].route.from == s &&
	       w->ways[i].hosted == (w->adapt.host != NULL);
}

static struct way *
find_way(struct writer *w, const struct shape *s, struct err *e)
{
	if (w->last < w->nways && is_way(w, w->last, s))
		return &w->ways[w->last];
	for (size_t i = 0; i < w->nways; i++)
		if (is_way(w, i, s)) {
			w->last = i;
			return &w->ways[i];
		}
	return add_way(w, s, e);
}

void
writer_forget_shapes(struct writer *w)
{
	for (size_t i = 0; i < w->nways; i++)
		route_clear(&w->ways[i].route);
	w->nways = 0;
}

/* Open blocks are bounded in memory: the largest are closed as they are. */
static int
bound_memory(struct writer *w, struct open *o, struct err *e)
{
	if (o->bytes > BLOCK_BYTES_MAX && close_block(w, o, e) != 0)
		return -1;
	while (w->open_bytes > OPEN_BYTES_MAX) {
		struct open *most = w->opens[0];
		const struct shape *shape;

		for (size_t i = 1; i < w->nopens; i++)
			if (w->opens[i]->bytes > most->bytes)
				most = w->opens[i];
		if (close_block(w, most, e) != 0)
			return -1;
		/* clearing keeps the memory, and that is what is short */
		shape = most->rows->shape;
		batch_free(most->rows);
		most->rows = batch_new(shape);
		if (!most->rows)
			return no_memory(e);
		w->open_bytes -= most->bytes;
		most->bytes = 0;
	}
	return 0;
}

static int
append(struct writer *w, struct open *o, const struct batch *b, struct err *e)
{
	uint32_t at = 0;

	while (at < b->rows) {
		uint32_t room = BATCH_ROWS_MAX - o->rows->rows;
		uint32_t n = b->rows - at < room ? b->rows - at : room;

		if (batch_append(o->rows, b, at, n, e) != 0)
			return -1;
		at += n;
		w->open_bytes -= o->bytes;
		o->bytes = batch_bytes(o->rows);
		w->open_bytes += o->bytes;
		if (o->rows->rows == BATCH_ROWS_MAX &&
		    close_block(w, o, e) != 0)
			return -1;
	}
	return bound_memory(w, o, e);
}

static int
store(struct writer *w, const struct batch *b, struct err *e)
{
	struct way *way = find_way(w, b->shape, e);
	const struct batch *view;

	if (!way)
		return -1;
	if (!way->open) {
		w->stats.dropped += b->rows;
		return 0;
	}
	view = adapt_view(&w->adapt, &way->route, b, w->ledger.next_id,
			  clock_us(CLOCK_REALTIME));
	if (!view)
		return no_memory(e);
	w->ledger.next_id += b->rows;
	w->pending += b->rows;
	return append(w, way->open, view, e);
}

static int
add_batch(struct writer *w, const struct batch *b, struct err *e)
{
	struct streams *s = &w->ledger.streams;

	if (b->stream != 0 && b->number <= streams_reached(s, b->stream)) {
		w->stats.duplicates += b->rows;
		return 0;
	}
	if (b->rows > 0 && store(w, b, e) != 0)
		return -1;
	if (b->stream != 0 && streams_set(s, b->stream, b->number,
					  clock_us(CLOCK_REALTIME), true) != 0)
		return no_memory(e);
	if (w->since == 0)
		w->since = now_ms();
	return 0;
}

/* After a failure the open blocks and their pieces may not agree any more:
 * nothing is written then. */
static int
keep(struct writer *w, int r)
{
	if (r >= 0)
		return r;
	w->failed = true;
	w->stats.dropped += w->pending;
	w->pending = 0;
	return -1;
}

void
writer_set_host(struct writer *w, const char *host)
{
	adapt_set_host(&w->adapt, host);
}

int
writer_add(struct writer *w, const struct batch *b, struct err *e)
{
	return keep(w, add_batch(w, b, e));
}

/* Something has waited long enough, or much waits. */
static bool
is_due(const struct writer *w)
{
	return w->since != 0 && (w->nblocks >= COMMIT_BLOCKS ||
				 now_ms() - w->since >= COMMIT_MS);
}

int
writer_tick(struct writer *w, struct err *e)
{
	bool looked = keeper_look(&w->keeper), again = w->retry != 0;
	int rc = 0;

	w->stats.removed = w->keeper.removed;
	if (w->failed || w->retry > now_ms())
		return 0;
	if (again)
		rc = write_changes(w, e);
	if (rc == 0 && (looked || again) && (w->keeper.roll || is_full(w)))
		rc = roll(w, e);
	if (rc == 0 && is_due(w))
		rc = commit(w, e);
	if (rc == 0)
		go_on(w);
	return keep(w, rc) < 0 ? -1 : 0;
}

int
writer_commit(struct writer *w, struct err *e)
{
	if (w->failed)
		return err_set(e, "the writer has failed before");
	return w->since == 0 ? 0 : keep(w, commit(w, e));
}

bool
writer_waits(const struct writer *w)
{
	return w->since != 0;
}

uint64_t
writer_reached(struct writer *w, uint64_t stream)
{
	return streams_reached(&w->ledger.streams, stream);
}

bool
writer_holds(const struct writer *w)
{
	return w->keeper.holds || w->retry != 0;
}

int
writer_finish(struct writer *w, struct err *e)
{
	if (w->failed)
		return err_set(e, "the writer has failed before");
	if (keep(w, close_all(w, e)) != 0)
		return w->failed ? -1 : 1;
	go_on(w);
	return 0;
}

/* ---- life ---- */

static int
set_up(struct writer *w, struct err *e)
{
	const struct writer_options *o = w->opt;
	char dir[PATH_MAX];

	if (place_table(o->root, o->table, dir, sizeof(dir), e) != 0 ||
	    lock_make_dirs(dir, e) != 0)
		return -1;
	w->lock = lock_take(dir, LOCK_WRITER, e);
	if (w->lock < 0)
		return -1;
	keeper_init(&w->keeper, dir, w->lock, &o->keep);
	if (segment_open(&w->segment, dir, o->keep.segment_size, &w->ledger,
			 e) != 0)
		return -1;
	keeper_look(&w->keeper);
	if (is_full(w) && segment_roll(&w->segment, &w->ledger, e) != 0)
		return -1;
	w->encoder = encoder_new();
	w->shapes = shapes_new(SHAPES_MAX);
	if (!w->encoder || !w->shapes)
		return no_memory(e);
	return adapt_init(&w->adapt, e);
}

struct writer *
writer_new(const struct writer_options *o, struct err *e)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w) {
		no_memory(e);
		return NULL;
	}
	w->opt = o;
	w->lock = -1;
	if (set_up(w, e) == 0)
		return w;
	writer_free(w);
	return NULL;
}

void
writer_free(struct writer *w)
{
	if (!w)
		return;
	writer_forget_shapes(w);
	free(w->ways);
	for (size_t i = 0; i < w->nopens; i++) {
		batch_free(w->opens[i]->rows);
		free(w->opens[i]);
	}
	free(w->opens);
	for (size_t i = 0; i < w->blocks_cap; i++) {
		block_out_clear(w->blocks[i]);
		free(w->blocks[i]);
	}
	free(w->blocks);
	free(w->changes);
	adapt_clear(&w->adapt);
	shapes_free(w->shapes);
	encoder_free(w->encoder);
	segment_close(&w->segment);
	keeper_clear(&w->keeper);
	streams_clear(&w->ledger.streams);
	if (w->lock >= 0)
		close(w->lock);
	free(w);
}

const struct writer_stats *
writer_stats(const struct writer *w)
{
	return &w->stats;
}
