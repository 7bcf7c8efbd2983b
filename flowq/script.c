/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/script.h"

#include <stdlib.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What the text is in at its end. */
struct state {
	char quote; /* an open one, or 0 */
	int brackets;
	char last; /* that is no blank and in no comment */
};

/* Reads a character that is in no comment. */
static void
take(struct state *s, char c, bool *escaped)
{
	if (*escaped) {
		*escaped = false;
		return;
	}
	if (s->quote) {
		*escaped = c == '\\' && s->quote == '"';
		if (c == s->quote)
			s->quote = 0;
		return;
	}
	if (c == '"' || c == '`')
		s->quote = c;
	s->brackets += (c == '[' || c == '(') - (c == ']' || c == ')');
}

static struct state
read_all(const char *p, size_t len)
{
	struct state s = {0};
	bool escaped = false;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '#' && !s.quote) {
			while (i < len && p[i] != '\n')
				i++;
			continue;
		}
		take(&s, p[i], &escaped);
		if (!is_blank(p[i]))
			s.last = p[i];
	}
	return s;
}

bool
script_open(const char *p, size_t len)
{
	struct state s = read_all(p, len);

	return s.quote || s.brackets > 0 || s.last == '|' || s.last == '\\';
}

bool
script_empty(const char *p, size_t len)
{
	return read_all(p, len).last == 0;
}

bool
script_continues(const char *p, size_t len)
{
	while (len && is_blank(*p)) {
		p++;
		len--;
	}
	return len && *p == '|';
}

char *
script_one_line(const char *p, size_t len)
{
	struct state s = {0};
	bool escaped = false;
	char *out = malloc(len + 1);
	size_t n = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '#' && !s.quote) {
			while (i < len && p[i] != '\n')
				i++;
			continue;
		}
		take(&s, p[i], &escaped);
		if (s.quote || !is_blank(p[i])) {
			/* The one at the end of a line. */
			if (p[i] == '\\' && !s.quote && i + 1 < len &&
			    is_blank(p[i + 1]))
				continue;
			out[n++] = p[i] == '\n' ? ' ' : p[i];
		} else if (n && out[n - 1] != ' ') {
			out[n++] = ' ';
		}
	}
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = 0;
	return out;
}
