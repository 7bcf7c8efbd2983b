/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outbox: objects that a program has made and that its readers have not
 * all taken yet, in one shared mapping of a file.
 *
 * The file outlives the process, kill -9 included: in a directory it waits for
 * the next one, which goes on where this one was; without a directory it is a
 * nameless one in memory and ends with the process.
 *
 * The file's data are chunks of one size; a position is an offset that only
 * grows, and a table says which chunk is behind it.  A chunk that nothing is in
 * any more is the next to be used, so that while readers keep up the same few
 * are used over and over, and memory is taken for what waits and no more.  An
 * entry is a header of 32 bytes and an object behind it, in one piece; what
 * does not fit into a chunk begins the next.
 *
 *	first            end               tail
 *	| entry | entry | entry added, not published | number of the next
 *
 * Every object has a number, one more than the one before it.  What is added
 * is seen by nobody and gone after a kill until it is published, which is the
 * store of one word.
 *
 * Readers.  A durable one has a name and a mark in the file: what it has not
 * acknowledged is kept, whether it is there or not.  A holding one is the same
 * without a name, as long as it is there, and what it took it has
 * acknowledged.  A passing one is waited for as far as that costs nothing.
 *
 * When there is no room, the readers furthest behind are passed by, and what
 * they miss is counted against them, if they are passing ones or if another
 * keeps up: one that is stuck does not starve the others.  If all who hold are
 * more than half the ring behind there is no room, and the writer decides.
 */
#ifndef COMMON_RING_H
#define COMMON_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"

enum {
	RING_NAME_MAX = 64, /* of a reader, with the NUL */
	RING_MARKS = 32,    /* durable readers; the one unseen for longest
			       makes room for another */
	RING_ENTRY = 32,    /* bytes before each object, and beyond the last */
};

#define RING_SIZE_MAX ((uint64_t)1 << 40)

struct ring;

struct ring_options {
	const char *dir;  /* NULL: in memory */
	const char *file; /* name in the directory */
	uint64_t size;	  /* of all entries; rounded up to whole chunks */
	uint64_t chunk;	  /* rounded up to a power of two: an object and two
			     headers must fit into it */
	size_t extra;	  /* bytes of the file for the writer's own use */
};

/*
 * Opens the ring of a directory, which is made if it is missing, or a new one.
 * Another process that has it open is an error.  A file that is damaged or
 * none of ours is set aside, and NOTE says so (else its text is empty).  One of
 * another size is copied to a new file if what is in it fits.  NULL: see err.
 */
struct ring *ring_open(const struct ring_options *, struct err *note,
		       struct err *);
/* Readers are gone by then. */
void ring_close(struct ring *);

/* Whether there is a file. */
bool ring_durable(const struct ring *);
uint64_t ring_size(const struct ring *);
uint64_t ring_chunk(const struct ring *);
/* Chunks that nothing is in. */
size_t ring_free_chunks(const struct ring *);
/* Whether there are so many, if need be after readers were passed by. */
bool ring_make_room(struct ring *, size_t chunks);
/* Identity of the stream of objects, random, as long as the file lives. */
uint64_t ring_stream(const struct ring *);
/* The number that the next object gets. */
uint64_t ring_next(const struct ring *);
/* Objects that are not released. */
uint64_t ring_objects(const struct ring *);
/* Bytes of them, headers and all. */
uint64_t ring_used(const struct ring *);
/* Where the published ones end. */
uint64_t ring_end(const struct ring *);
/* The writer's own bytes, zero in a new file. */
void *ring_extra(struct ring *);

/*
 * Told of each object that leaves the ring, with its tag: SENT if a reader has
 * it, else it was passed by.
 */
void ring_on_release(struct ring *,
		     void (*f)(void *ctx, uint32_t tag, bool sent), void *ctx);

/* Room for an object of up to LEN bytes, valid until the next call; NULL if
 * there is none. */
char *ring_reserve(struct ring *, size_t len);
/* The object is there, LEN bytes of it; it gets the number ring_next. */
void ring_add(struct ring *, size_t len, uint32_t tag);
void ring_publish(struct ring *);

/*
 * For a writer that keeps elsewhere how far it has come: it had added all up to
 * LAST and may have died before it published that.  -1: that is not so, and
 * what the ring holds is of no use to it.
 */
int ring_restore(struct ring *, uint64_t last, struct err *);
/* Empty and under a new identity, with the marks of its readers at its start.
 */
int ring_renew(struct ring *, struct err *);

/* Calls F with every object in order, which may change its tag and returns -1
 * to end that. */
int ring_walk(struct ring *,
	      int (*f)(void *ctx, const char *obj, size_t len, uint32_t *tag),
	      void *ctx);

enum ring_kind { RING_DURABLE, RING_HOLDING, RING_PASSING };

struct ring_reader {
	struct ring *ring;
	struct ring_reader *next;
	enum ring_kind kind;
	int mark;	   /* of a durable one */
	uint64_t position; /* of what it gets next */
	uint64_t number;   /* of that */
	size_t offset;	   /* bytes of that it has got */
	uint64_t skipped;  /* objects, by which it was passed */
	/* it was passed by in the middle of an object: it is of no more use */
	bool broken;
};

/*
 * A durable reader (NAME) goes on where its mark is, a new one begins with the
 * oldest object; so does a holding one, and a passing one if nobody holds what
 * there is, else with what comes from now on.  -1: a durable one of the name
 * is there.
 */
int ring_reader_add(struct ring *, struct ring_reader *, enum ring_kind,
		    const char *name, struct err *);
void ring_reader_remove(struct ring_reader *);
/* It gets what follows NUMBER, as far as that is there. */
void ring_reader_seek(struct ring_reader *, uint64_t number);

/* What it gets next, as it lies in the ring: how many pieces, up to MAX and
 * about BYTES in all. */
size_t ring_gather(struct ring_reader *, struct iovec *, size_t max,
		   size_t bytes);
/* It has got so many bytes of that. */
void ring_take(struct ring_reader *, size_t bytes);
/* A durable reader has all up to NUMBER safe. */
void ring_acknowledge(struct ring_reader *, uint64_t number);

static inline bool
ring_reader_waits(const struct ring_reader *r)
{
	return r->position < ring_end(r->ring);
}

/* What is known of a durable reader. */
struct ring_mark {
	char name[RING_NAME_MAX];
	uint64_t acknowledged; /* a position */
	uint64_t lost;	       /* objects that it was passed by with */
	uint64_t lost_tags;    /* the sum of their tags */
	int64_t seen_s;	       /* when it last came or went, since 1970 */
	uint32_t used;
	uint32_t spare[3];
};

/* The mark at place I below RING_MARKS, NULL if there is none; *BEHIND is how
 * many objects it has not acknowledged. */
const struct ring_mark *ring_mark(const struct ring *, size_t i,
				  uint64_t *behind);
/* The sum of the tags of those. */
uint64_t ring_mark_tags(const struct ring *, size_t i);
/* Nothing is kept for NAME any more; -1 if there is no such mark. */
int ring_forget(struct ring *, const char *name);

#endif
