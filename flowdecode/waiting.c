/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/waiting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "flowdecode/hash.h"

enum {
	CLASSES = 2, /* on trial, settled */
	BLOCK = 16,  /* what malloc takes for itself */
};

/* What waits for one template. */
struct queue {
	struct queue *next; /* of the chain */
	uint64_t hash;
	const struct waiter *waiter;
	struct held *first, *last;
	uint16_t id;
};

/* Those of a class that hold any, the one with the most first. */
struct heap {
	struct waiter **at;
	size_t n, cap;
	size_t bytes;
};

struct waiting {
	struct queue **chains;
	size_t queues, mask;
	uint64_t seed;
	struct heap heaps[CLASSES];
	struct held *oldest, *newest;
	size_t bytes, bytes_max;
	int64_t now_ms, ms_max;
	uint64_t number; /* of the last that was held */
	uint64_t *gone;	 /* saved ones */
	size_t gone_n, gone_cap;
	bool journal, gone_lost;
};

struct waiting *
waiting_new(void)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->mask = SLOTS_FIRST - 1;
	w->chains = calloc(SLOTS_FIRST, sizeof(struct queue *));
	if (!w->chains ||
	    getrandom(&w->seed, sizeof(w->seed), 0) != sizeof(w->seed)) {
		waiting_free(w);
		return NULL;
	}
	waiting_limit(w, WAIT_BYTES, WAIT_MS);
	return w;
}

void
waiting_free(struct waiting *w)
{
	struct held *h, *newer;

	if (!w)
		return;
	for (h = w->oldest; h; h = newer) {
		newer = h->newer;
		if (!h->behind)
			free(h->queue);
		free(h);
	}
	for (int i = 0; i < CLASSES; i++)
		free(w->heaps[i].at);
	free(w->gone);
	free(w->chains);
	free(w);
}

void
waiting_limit(struct waiting *w, size_t bytes, int64_t ms)
{
	w->bytes_max = bytes;
	w->ms_max = ms;
}

size_t
waiting_bytes(const struct waiting *w)
{
	return w->bytes;
}

/* The heap of a class. */

static void
heap_put(struct heap *h, size_t place, struct waiter *x)
{
	h->at[place] = x;
	x->place = place;
}

static void
heap_up(struct heap *h, struct waiter *x)
{
	size_t at = x->place;

	for (; at > 0 && h->at[(at - 1) / 2]->bytes < x->bytes;
	     at = (at - 1) / 2)
		heap_put(h, at, h->at[(at - 1) / 2]);
	heap_put(h, at, x);
}

static void
heap_down(struct heap *h, struct waiter *x)
{
	size_t at = x->place, child;

	while ((child = 2 * at + 1) < h->n) {
		if (child + 1 < h->n &&
		    h->at[child + 1]->bytes > h->at[child]->bytes)
			child++;
		if (h->at[child]->bytes <= x->bytes)
			break;
		heap_put(h, at, h->at[child]);
		at = child;
	}
	heap_put(h, at, x);
}

static int
heap_add(struct heap *h, struct waiter *x)
{
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 64;
		struct waiter **more =
		    realloc(h->at, cap * sizeof(struct waiter *));

		if (!more)
			return -1;
		h->at = more;
		h->cap = cap;
	}
	h->bytes += x->bytes;
	x->place = h->n++;
	heap_up(h, x);
	return 0;
}

static void
heap_drop(struct heap *h, struct waiter *x)
{
	struct waiter *last = h->at[--h->n];

	h->bytes -= x->bytes;
	if (last == x)
		return;
	last->place = x->place;
	heap_up(h, last);
	heap_down(h, last);
}

/* Queues, by waiter and template. */

static uint64_t
hash_of(const struct waiting *w, const struct waiter *x, uint16_t id)
{
	return hash_mix(w->seed, (uint64_t)(uintptr_t)x ^ (uint64_t)id << 48);
}

static struct queue **
queue_find(const struct waiting *w, const struct waiter *x, uint16_t id)
{
	struct queue **q = &w->chains[hash_of(w, x, id) & w->mask];

	while (*q && ((*q)->waiter != x || (*q)->id != id))
		q = &(*q)->next;
	return q;
}

/* Chains may grow long if there is no memory for more of them. */
static void
chains_grow(struct waiting *w)
{
	size_t mask = 2 * w->mask + 1;
	struct queue **chains = calloc(mask + 1, sizeof(struct queue *));

	if (!chains)
		return;
	for (size_t i = 0; i <= w->mask; i++)
		for (struct queue *q = w->chains[i], *next; q; q = next) {
			next = q->next;
			q->next = chains[q->hash & mask];
			chains[q->hash & mask] = q;
		}
	free(w->chains);
	w->chains = chains;
	w->mask = mask;
}

static struct queue *
queue_get(struct waiting *w, const struct waiter *x, uint16_t id)
{
	struct queue *q = *queue_find(w, x, id);

	if (q)
		return q;
	if (w->queues > w->mask)
		chains_grow(w);
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->waiter = x;
	q->id = id;
	q->hash = hash_of(w, x, id);
	q->next = w->chains[q->hash & w->mask];
	w->chains[q->hash & w->mask] = q;
	w->queues++;
	return q;
}

/* Takes the first out; an empty queue goes. */
static void
queue_shift(struct waiting *w, struct queue *q)
{
	struct queue **at;

	q->first = q->first->behind;
	if (q->first)
		return;
	at = queue_find(w, q->waiter, q->id);
	*at = q->next;
	free(q);
	w->queues--;
}

/* Sets. */

/* What a set takes in memory, as if each had a queue. */
static size_t
cost(const struct held *h)
{
	return sizeof(*h) + sizeof(struct queue) + sizeof(void *) + 2 * BLOCK +
	       h->len + h->binding_len;
}

static void
count_bytes(struct waiting *w, struct waiter *x, const struct held *h, int sign)
{
	size_t n = sign < 0 ? -cost(h) : cost(h);

	w->bytes += n;
	x->bytes += n;
	w->heaps[x->class].bytes += n;
	x->n += (size_t)sign;
	x->ledger->n[LEDGER_SETS_WAITING] += (uint64_t)sign;
}

static void
journal(struct waiting *w, uint64_t number)
{
	if (w->gone_n == w->gone_cap) {
		size_t cap = w->gone_cap ? 2 * w->gone_cap : 256;
		uint64_t *more = realloc(w->gone, cap * sizeof(*more));

		w->gone_lost |= !more;
		if (!more)
			return;
		w->gone = more;
		w->gone_cap = cap;
	}
	w->gone[w->gone_n++] = number;
}

/* Takes what X holds, the oldest of its queue, out of all lists. */
static void
drop(struct waiting *w, struct waiter *x, struct held *h)
{
	struct heap *heap = &w->heaps[x->class];

	if (h->saved && w->journal)
		journal(w, h->number);
	queue_shift(w, h->queue);
	*(h->older ? &h->older->newer : &w->oldest) = h->newer;
	*(h->newer ? &h->newer->older : &w->newest) = h->older;
	*(h->prev ? &h->prev->next : &x->oldest) = h->next;
	*(h->next ? &h->next->prev : &x->newest) = h->prev;
	count_bytes(w, x, h, -1);
	if (x->n == 0)
		heap_drop(heap, x);
	else
		heap_down(heap, x);
}

/* The oldest of an exporter is that of its queue, too. */
static void
expire_oldest(struct waiting *w, struct waiter *x)
{
	struct held *h = x->oldest;

	assert(!h->prev);
	x->ledger->n[LEDGER_SETS_EXPIRED]++;
	drop(w, x, h);
	free(h);
}

static struct held *
copy_of(const struct held *from)
{
	struct held *h = malloc(sizeof(*h) + from->len + from->binding_len);
	char *at;

	if (!h)
		return NULL;
	at = (char *)(h + 1);
	*h = (struct held){
	    .time_us = from->time_us,
	    .clock = from->clock,
	    .id = from->id,
	    .port = from->port,
	    .len = from->len,
	    .binding_len = from->binding_len,
	    .body = at,
	    .binding = at + from->len,
	    .held_ms = from->held_ms,
	    .number = from->number,
	};
	memcpy(at, from->body, from->len);
	memcpy(at + from->len, from->binding, from->binding_len);
	return h;
}

void
waiting_settle(struct waiting *w, struct waiter *x, bool settled)
{
	uint8_t old = x->class;

	if (old == settled)
		return;
	if (x->n > 0)
		heap_drop(&w->heaps[old], x);
	x->class = settled;
	if (x->n == 0 || heap_add(&w->heaps[x->class], x) == 0)
		return;
	/* out of memory; where it was there is room for it */
	x->class = old;
	heap_add(&w->heaps[old], x);
}

/* At the end of all lists. */
static void
append(struct waiting *w, struct waiter *x, struct queue *q, struct held *h)
{
	h->waiter = x;
	h->queue = q;
	w->number = h->number;
	h->older = w->newest;
	*(h->older ? &h->older->newer : &w->oldest) = h;
	w->newest = h;
	h->prev = x->newest;
	*(h->prev ? &h->prev->next : &x->oldest) = h;
	x->newest = h;
	*(q->first ? &q->last->behind : &q->first) = h;
	q->last = h;
	count_bytes(w, x, h, 1);
	heap_up(&w->heaps[x->class], x);
}

static bool
keep(struct waiting *w, struct waiter *x, const struct held *what)
{
	struct held *h = copy_of(what);
	struct queue *q;

	/* the queue last: it must not stay empty */
	if (!h || (x->n == 0 && heap_add(&w->heaps[x->class], x) != 0)) {
		free(h);
		return false;
	}
	q = queue_get(w, x, what->id);
	if (!q) {
		if (x->n == 0)
			heap_drop(&w->heaps[x->class], x);
		free(h);
		return false;
	}
	append(w, x, q, h);
	return true;
}

/* The one to give something up. */
static struct waiter *
greediest(const struct waiting *w)
{
	const struct heap *trial = &w->heaps[0], *settled = &w->heaps[1];

	if (settled->n == 0 || trial->bytes > w->bytes_max / 2)
		return trial->at[0];
	return settled->at[0];
}

static void
hold(struct waiting *w, struct waiter *x, const struct held *h)
{
	/* a set without a byte has no record */
	if (h->len == 0 || cost(h) > w->bytes_max || !keep(w, x, h)) {
		x->ledger->n[LEDGER_SETS_EXPIRED]++;
		return;
	}
	while (w->bytes > w->bytes_max)
		expire_oldest(w, greediest(w));
}

void
waiting_hold(struct waiting *w, struct waiter *x, const struct held *what)
{
	struct held h = *what;

	h.held_ms = w->now_ms;
	h.number = w->number + 1;
	hold(w, x, &h);
}

void
waiting_restore(struct waiting *w, struct waiter *x, const struct held *what)
{
	struct held h = *what;

	if (h.held_ms > w->now_ms)
		h.held_ms = w->now_ms;
	if (w->newest && h.held_ms < w->newest->held_ms)
		h.held_ms = w->newest->held_ms;
	if (h.number <= w->number)
		h.number = w->number + 1;
	hold(w, x, &h);
}

struct held *
waiting_unsaved(const struct waiting *w, bool all)
{
	struct held *h = w->newest;

	if (all)
		return w->oldest;
	if (!h || h->saved)
		return NULL;
	while (h->older && !h->older->saved)
		h = h->older;
	return h;
}

int64_t
waiting_now(const struct waiting *w)
{
	return w->now_ms;
}

int
waiting_journal(struct waiting *w, const uint64_t **gone, size_t *n)
{
	w->journal = true;
	*gone = w->gone;
	*n = w->gone_n;
	return w->gone_lost ? -1 : 0;
}

void
waiting_saved(struct waiting *w)
{
	for (struct held *h = w->newest; h && !h->saved; h = h->older)
		h->saved = true;
	w->gone_n = 0;
	w->gone_lost = false;
}

struct held *
waiting_take(struct waiting *w, struct waiter *x, uint16_t id)
{
	struct queue *q = x->n > 0 ? *queue_find(w, x, id) : NULL;
	struct held *h = q ? q->first : NULL;

	if (h)
		drop(w, x, h);
	return h;
}

void
waiting_done(struct held *h)
{
	free(h);
}

void
waiting_give_up(struct waiting *w, struct waiter *x, uint16_t id)
{
	struct held *h;

	while ((h = waiting_take(w, x, id))) {
		x->ledger->n[LEDGER_SETS_EXPIRED]++;
		free(h);
	}
}

void
waiting_clear(struct waiting *w, struct waiter *x)
{
	while (x->n > 0)
		expire_oldest(w, x);
}

void
waiting_tick(struct waiting *w, int64_t now_ms)
{
	if (now_ms > w->now_ms)
		w->now_ms = now_ms;
	while (w->oldest && w->now_ms - w->oldest->held_ms >= w->ms_max)
		expire_oldest(w, w->oldest->waiter);
}
