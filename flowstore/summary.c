/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/summary.h"

int
summary_of(struct summary *s, const struct table *t, const char *dir,
	   struct err *e)
{
	*s = (struct summary){.first = INT64_MAX, .last = INT64_MIN};
	s->blocks = table_blocks(t);
	s->segments = table_segments(t);
	for (size_t i = 0; i < s->segments; i++) {
		const struct table_segment *g = table_segment(t, i);

		s->rows += g->rows;
		s->bytes += g->bytes;
		s->first = g->first < s->first ? g->first : s->first;
		s->last = g->last > s->last ? g->last : s->last;
	}
	return retention_read(&s->retention, dir, e);
}
