/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { START_MIN = 3 }; /* a shorter common start says nothing */

static int
fold(char c)
{
	return tolower((unsigned char)c);
}

/* Edits from A to B, at most MAX + 1; two neighbours that changed places are
 * one. */
static size_t
distance(const char *a, size_t n, const char *b, size_t max)
{
	size_t m = strlen(b);
	size_t rows[3][NEAREST_MAX + 1], *last = rows[0], *row = rows[1],
					 *before = rows[2];

	if (n > NEAREST_MAX || m > NEAREST_MAX || (n > m ? n - m : m - n) > max)
		return max + 1;
	for (size_t k = 0; k <= m; k++)
		last[k] = k;
	for (size_t i = 1; i <= n; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t k = 1; k <= m; k++) {
			int x = fold(a[i - 1]), y = fold(b[k - 1]);
			size_t d = last[k - 1] + (x != y);

			if (last[k] + 1 < d)
				d = last[k] + 1;
			if (row[k - 1] + 1 < d)
				d = row[k - 1] + 1;
			if (i > 1 && k > 1 && x == fold(b[k - 2]) &&
			    y == fold(a[i - 2]) && before[k - 2] + 1 < d)
				d = before[k - 2] + 1;
			row[k] = d;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[m];
}

void
nearest_init(struct nearest *n, const char *name, size_t len)
{
	*n = (struct nearest){.name = name,
			      .len = len,
			      .edits = (len < 3 ? 1 : len / 3) + 1,
			      .start = START_MIN};
}

void
nearest_try(struct nearest *n, const char *candidate)
{
	size_t d, s = 0;

	/* One edit more than is allowed stands for none yet. */
	d = distance(n->name, n->len, candidate, n->edits - 1);
	if (d < n->edits && d < n->len) {
		n->edits = d > 0 ? d : 1;
		n->close = candidate;
	}
	while (s < n->len && candidate[s] &&
	       fold(candidate[s]) == fold(n->name[s]))
		s++;
	if (s > n->start) {
		n->start = s;
		n->longest = candidate;
	}
}

const char *
nearest_name(const struct nearest *n)
{
	return n->close ? n->close : n->longest;
}

const char *
nearest_hint(const struct nearest *n, char *buf, size_t size)
{
	const char *name = nearest_name(n);

	*buf = 0;
	if (name)
		snprintf(buf, size, " (did you mean %.*s?)", NEAREST_MAX, name);
	return buf;
}
