/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/json.h"

#include <string.h>

#include "common/batch.h"
#include "common/text.h"

enum { DEPTH_MAX = 64, NAME_MAX_BYTES = FIELD_NAME_MAX - 1 };

/* A piece of JSON that is looked at. */
struct scan_json {
	const struct json_visit *visit; /* NULL: values are passed over */
	const char *p, *end;
	bool eof;
	int bad; /* 0, JSON_BAD, -1, or 1: more is needed */
	char name[FIELD_NAME_MAX];
	size_t name_len;
};

static int
fail(struct scan_json *s, int bad)
{
	if (!s->bad)
		s->bad = bad;
	return -1;
}

/* At the end of what there is: more may come. */
static int
ended(struct scan_json *s)
{
	return fail(s, s->eof ? JSON_BAD : 1);
}

static void
blanks(struct scan_json *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
				 *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* The next character that is no blank, or 0. */
static char
peek(struct scan_json *s)
{
	blanks(s);
	if (s->p < s->end)
		return *s->p ? *s->p : 1;
	ended(s);
	return 0;
}

static int
take(struct scan_json *s, char c)
{
	char have = peek(s);

	if (!have)
		return -1;
	if (have != c)
		return fail(s, JSON_BAD);
	s->p++;
	return 0;
}

/* "..." : what is between the quotes. */
static int
string(struct scan_json *s, struct json_value *c)
{
	if (take(s, '"'))
		return -1;
	*c = (struct json_value){.p = s->p};
	for (;; s->p++) {
		if (s->p == s->end)
			return ended(s);
		if (*s->p == '"')
			break;
		if ((unsigned char)*s->p < ' ')
			return fail(s, JSON_BAD);
		if (*s->p == '\\') {
			c->escaped = true;
			if (++s->p == s->end)
				return ended(s);
		}
	}
	c->len = (uint32_t)(s->p++ - c->p);
	return 0;
}

/* A number, true, false or null. */
static int
word(struct scan_json *s, struct json_value *c)
{
	*c = (struct json_value){.p = s->p, .bare = true};
	while (s->p < s->end && (((*s->p | 32) >= 'a' && (*s->p | 32) <= 'z') ||
				 (*s->p >= '0' && *s->p <= '9') ||
				 *s->p == '+' || *s->p == '-' || *s->p == '.'))
		s->p++;
	if (s->p == s->end && !s->eof)
		return ended(s);
	c->len = (uint32_t)(s->p - c->p);
	if (c->len == 4 && !memcmp(c->p, "null", 4))
		c->p = NULL;
	else if (!(c->len == 4 && !memcmp(c->p, "true", 4)) &&
		 !(c->len == 5 && !memcmp(c->p, "false", 5)) &&
		 (!c->len || !strchr("-0123456789", *c->p)))
		return fail(s, JSON_BAD);
	return 0;
}

static int object(struct scan_json *s, unsigned depth);

/* Passes over an array, or an object: it is text. */
static int
array(struct scan_json *s, struct json_value *c)
{
	unsigned depth = 0;
	struct json_value skipped;

	*c = (struct json_value){.p = s->p, .text = true};
	do {
		char ch = peek(s);

		if (!ch)
			return -1;
		if (ch == '"') {
			if (string(s, &skipped))
				return -1;
			continue;
		}
		if (ch == '[' || ch == '{')
			depth++;
		if (ch == ']' || ch == '}')
			depth--;
		if (depth > DEPTH_MAX)
			return fail(s, JSON_BAD);
		s->p++;
	} while (depth);
	c->len = (uint32_t)(s->p - c->p);
	return 0;
}

static int
set(struct scan_json *s, const struct json_value *c)
{
	if (s->visit->member(s->visit->ctx, s->name, s->name_len, c) != 0)
		return fail(s, -1);
	return 0;
}

static int
value(struct scan_json *s, unsigned depth)
{
	char ch = peek(s);
	struct json_value c;

	switch (ch) {
	case 0:
		return -1;
	case '{':
		return object(s, depth + 1);
	case '[':
		return array(s, &c) || set(s, &c) ? -1 : 0;
	case '"':
		return string(s, &c) || set(s, &c) ? -1 : 0;
	default:
		return word(s, &c) || set(s, &c) ? -1 : 0;
	}
}

/* Puts a member's name behind that of the object it is in. */
static void
extend_name(struct scan_json *s, const struct json_value *c)
{
	size_t room = NAME_MAX_BYTES - s->name_len, len;
	char plain[6 * FIELD_NAME_MAX];
	size_t cut = c->len < sizeof plain ? c->len : sizeof plain;

	if (s->name_len && room) {
		s->name[s->name_len++] = '.';
		room--;
	}
	len = c->escaped ? json_unescape(c->p, cut, plain) : c->len;
	if (len > room)
		len = room;
	memcpy(s->name + s->name_len, c->escaped ? plain : c->p, len);
	s->name_len += text_utf8(s->name + s->name_len, len);
	text_defuse(s->name, s->name_len);
}

/* "{" [STRING ":" value ("," STRING ":" value)*] "}" */
static int
object(struct scan_json *s, unsigned depth)
{
	size_t mark = s->name_len;

	if (depth > DEPTH_MAX)
		return fail(s, JSON_BAD);
	if (take(s, '{'))
		return -1;
	if (peek(s) == '}') {
		s->p++;
		return 0;
	}
	for (;;) {
		struct json_value name;

		if (string(s, &name) || take(s, ':'))
			return -1;
		extend_name(s, &name);
		if (value(s, depth))
			return -1;
		s->name_len = mark;
		switch (peek(s)) {
		case ',':
			s->p++;
			break;
		case '}':
			s->p++;
			return 0;
		case 0:
			return -1;
		default:
			return fail(s, JSON_BAD);
		}
	}
}

int64_t
json_read(const char *p, size_t len, bool eof, const struct json_visit *v,
	  bool *is_object)
{
	struct scan_json s = {.visit = v, .p = p, .end = p + len, .eof = eof};

	while (s.p < s.end && (strchr(" \t\r\n,[]", *s.p) && *s.p))
		s.p++;
	if (s.p > p)
		return s.p - p;
	if (object(&s, 0))
		return s.bad == 1 ? 0 : s.bad;
	*is_object = true;
	return s.p - p;
}

size_t
json_skip(const char *p, size_t len, bool eof)
{
	const char *nl = memchr(p, '\n', len);

	if (nl)
		return (size_t)(nl - p) + 1;
	return eof ? len : 0;
}

/*
 * Escapes.
 */

static int
hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0'
			: (c | 32) >= 'a' && (c | 32) <= 'f'
			    ? (c | 32) - 'a' + 10
			    : -1;

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static size_t
put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What follows \u at P, with the other half of a pair: how far it goes. */
static size_t
unescape_u(const char *p, const char *end, char *out, size_t *n)
{
	int hi = hex4(p, end), lo;
	size_t used = 4;

	if (hi < 0) {
		out[(*n)++] = 'u';
		return 0;
	}
	if (hi >= 0xd800 && hi < 0xdc00 && end - p >= 10 && p[4] == '\\' &&
	    p[5] == 'u' && (lo = hex4(p + 6, end)) >= 0xdc00 && lo < 0xe000) {
		hi = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
		used = 10;
	} else if (hi >= 0xd800 && hi < 0xe000) {
		hi = 0xfffd;
	}
	*n += put_utf8(out + *n, (unsigned)hi);
	return used;
}

size_t
json_unescape(const char *p, size_t len, char *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *end = p + len;
	size_t n = 0;

	while (p < end) {
		const char *at;

		if (*p != '\\' || p + 1 == end) {
			out[n++] = *p++;
			continue;
		}
		p++;
		if (*p == 'u') {
			p += 1 + unescape_u(p + 1, end, out, &n);
			continue;
		}
		at = *p ? strchr(from, *p) : NULL;
		out[n++] = at ? to[at - from] : *p;
		p++;
	}
	return n;
}

int
json_member(const char *p, size_t len, const char *name, const char **value,
	    size_t *value_len)
{
	struct scan_json s = {.p = p, .end = p + len, .eof = true};
	char c = '{';

	while (take(&s, c) == 0) {
		struct json_value key, v;

		if (string(&s, &key) || take(&s, ':'))
			return -1;
		c = peek(&s);
		if (c == '"'		   ? string(&s, &v)
		    : c == '[' || c == '{' ? array(&s, &v)
					   : word(&s, &v))
			return -1;
		if (key.len == strlen(name) && !memcmp(key.p, name, key.len)) {
			*value = v.p;
			*value_len = v.len;
			return v.p ? 0 : -1;
		}
		c = ',';
	}
	return -1;
}
