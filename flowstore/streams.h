/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far each stream has come: the highest number of a batch that is stored.
 * A batch that comes again has a number that is not above it.
 *
 * Streams are bounded: the one unheard of for longest makes room.
 */
#ifndef FLOWSTORE_STREAMS_H
#define FLOWSTORE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAMS_MAX = 4096 };

struct stream_mark {
	uint64_t id;
	uint64_t number;
	int64_t time; /* when it was set, microseconds since 1970 */
	bool dirty;   /* not yet written */
};

struct streams {
	struct stream_mark *marks;
	size_t n;
	size_t last; /* the one found last: mostly the next too */
};

void streams_clear(struct streams *);

/*
 * What a stream is called in a table that several loggers write: each has
 * batches of its own under the numbers of the stream that all read.  Without a
 * name it is the stream itself, and 0, no stream, stays that.
 */
uint64_t streams_id(const char *logger, uint64_t stream);

/* The highest number of a stream, 0 if it is not known. */
uint64_t streams_reached(struct streams *, uint64_t id);
/* -1: memory is out. */
int streams_set(struct streams *, uint64_t id, uint64_t number, int64_t time,
		bool dirty);

#endif
