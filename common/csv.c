/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/csv.h"

#include <string.h>

/* The length of what is before a separator or newline; -1: more. */
static int64_t
plain(const char *p, size_t len, char sep, bool eof)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] == sep || p[i] == '\n')
			return (int64_t)i;
	return eof ? (int64_t)len : -1;
}

/* The length of what is in quotes, with them. */
static int64_t
quoted(const char *p, size_t len, bool eof, bool *escaped)
{
	const char *q = p + 1, *end = p + len;

	while (q < end && (q = memchr(q, '"', (size_t)(end - q)))) {
		if (q + 1 == end)
			return eof ? q + 1 - p : -1;
		if (q[1] != '"')
			return q + 1 - p;
		*escaped = true;
		q += 2;
	}
	return -1;
}

/* The end of a value at P[at]: separator, newline, or CR and newline. */
static int64_t
end_value(const char *p, size_t at, size_t len, struct csv_cell *c)
{
	if (at < len && p[at] == '\r')
		at++;
	c->last = at == len || p[at] == '\n';
	return (int64_t)(at + (at < len));
}

static int64_t
read_quoted(const char *p, size_t len, char sep, bool eof, struct csv_cell *c)
{
	int64_t n = quoted(p, len, eof, &c->escaped), more;
	size_t at = (size_t)n;

	if (n < 0)
		return eof ? -1 : 0;
	c->p = p + 1;
	c->len = at - 2;
	if ((at == len || (p[at] == '\r' && at + 1 == len)) && !eof)
		return 0;
	if (at == len || p[at] == sep || p[at] == '\n' ||
	    (p[at] == '\r' && (at + 1 == len || p[at + 1] == '\n')))
		return end_value(p, at, len, c);
	more = plain(p + at, len - at, sep, eof);
	if (more < 0)
		return 0;
	at += (size_t)more;
	*c = (struct csv_cell){.p = p, .len = at, .odd = true};
	if (at < len && p[at] == '\n' && p[at - 1] == '\r')
		c->len--;
	return end_value(p, at, len, c);
}

int64_t
csv_read(const char *p, size_t len, char sep, bool eof, struct csv_cell *c)
{
	int64_t n;

	*c = (struct csv_cell){0};
	if (len && *p == '"')
		return read_quoted(p, len, sep, eof, c);
	n = plain(p, len, sep, eof);
	if (n < 0)
		return 0;
	c->len = (size_t)n;
	c->last = c->len == len || p[n] == '\n';
	if (c->last && c->len && p[n - 1] == '\r')
		c->len--;
	c->p = c->len ? p : NULL;
	return n + ((size_t)n < len);
}

size_t
csv_unescape(const char *p, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		out[n++] = p[i];
		i += p[i] == '"';
	}
	return n;
}

char
csv_separator(const char *line, size_t len)
{
	static const char seps[] = ",;\t|";
	size_t best = 0;
	char sep = ',';

	for (const char *s = seps; *s; s++) {
		bool in = false;
		size_t n = 0;

		for (size_t i = 0; i < len && (in || line[i] != '\n'); i++) {
			in ^= line[i] == '"';
			n += !in && line[i] == *s;
		}
		if (n > best) {
			best = n;
			sep = *s;
		}
	}
	return sep;
}
