/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/streams.h"

#include <stdlib.h>

void
streams_clear(struct streams *s)
{
	free(s->marks);
	*s = (struct streams){0};
}

static struct stream_mark *
find(struct streams *s, uint64_t id)
{
	if (s->last < s->n && s->marks[s->last].id == id)
		return &s->marks[s->last];
	for (size_t i = 0; i < s->n; i++)
		if (s->marks[i].id == id) {
			s->last = i;
			return &s->marks[i];
		}
	return NULL;
}

/* FNV-1a over the name, its NUL and the stream. */
uint64_t
streams_id(const char *logger, uint64_t stream)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	const uint64_t prime = UINT64_C(0x100000001b3);

	if (!logger[0] || stream == 0)
		return stream;
	for (const char *p = logger; *p; p++)
		h = (h ^ (unsigned char)*p) * prime;
	h *= prime;
	for (int shift = 0; shift < 64; shift += 8)
		h = (h ^ (stream >> shift & 0xff)) * prime;
	return h ? h : 1;
}

uint64_t
streams_reached(struct streams *s, uint64_t id)
{
	const struct stream_mark *m = find(s, id);

	return m ? m->number : 0;
}

static struct stream_mark *
make_room(struct streams *s)
{
	struct stream_mark *oldest;

	if (!s->marks)
		s->marks = calloc(STREAMS_MAX, sizeof(*s->marks));
	if (!s->marks)
		return NULL;
	if (s->n < STREAMS_MAX)
		return &s->marks[s->n++];
	oldest = s->marks;
	for (size_t i = 1; i < s->n; i++)
		if (s->marks[i].time < oldest->time)
			oldest = &s->marks[i];
	return oldest;
}

int
streams_set(struct streams *s, uint64_t id, uint64_t number, int64_t time,
	    bool dirty)
{
	struct stream_mark *m = find(s, id);

	if (!m)
		m = make_room(s);
	if (!m)
		return -1;
	*m = (struct stream_mark){id, number, time, dirty};
	return 0;
}
