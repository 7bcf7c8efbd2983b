/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/token.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/text.h"

static const struct type_name {
	const char *bare, *article, *word;
} type_names[TYPES] = {
    [TYPE_NULL] = {"null", "null", "null"},
    [TYPE_BOOL] = {"condition", "a condition", "boolean"},
    [TYPE_UINT] = {"number", "a number", "integer"},
    [TYPE_INT] = {"number", "a number", "integer"},
    [TYPE_REAL] = {"number", "a number", "real"},
    [TYPE_TIME] = {"time", "a time", "time"},
    [TYPE_DURATION] = {"duration", "a duration", "duration"},
    [TYPE_IPV4] = {"IPv4 address", "an IPv4 address", "ipv4"},
    [TYPE_IP] = {"address", "an address", "ip"},
    [TYPE_MAC] = {"MAC address", "a MAC address", "mac"},
    [TYPE_STRING] = {"string", "a string", "string"},
    [TYPE_BYTES] = {"bytes", "bytes", "bytes"},
    [TYPE_CIDR] = {"network", "a network", "network"},
};

const char *
expr_type_name(enum expr_type t)
{
	return t < TYPES ? type_names[t].bare : "value";
}

const char *
expr_type_article(enum expr_type t)
{
	return t < TYPES ? type_names[t].article : "a value";
}

const char *
expr_type_word(enum expr_type t)
{
	return t < TYPES ? type_names[t].word : "value";
}

/*
 * Characters, without the locale's opinion.
 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Errors.
 */

int
lexer_fail(struct lexer *l, size_t pos, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->err_pos = pos;
	return err_set(l->err, "%s", text);
}

int
lexer_expected(struct lexer *l, const char *what)
{
	const struct token *t = &l->tok;

	if (t->type == TOKEN_BAD)
		return -1; /* the lexer has said why */
	if (t->type == TOKEN_END)
		return lexer_fail(l, t->pos, "expected %s, found the end",
				  what);
	return lexer_fail(l, t->pos, "expected %s, found %.*s", what,
			  t->len > 40 ? 40 : (int)t->len, l->text + t->pos);
}

/*
 * Literals from a piece of text.
 */

static const struct unit {
	const char *name;
	int64_t us;
} units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"mon", 30 * INT64_C(86400000000)},
    {"m", 60000000},
    {"h", INT64_C(3600000000)},
    {"d", INT64_C(86400000000)},
    {"w", 7 * INT64_C(86400000000)},
};

/* The digits and at most one dot with digits after it at P: their length. */
static size_t
scan_number(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && is_digit(p[n]))
		n++;
	if (n + 1 < len && p[n] == '.' && is_digit(p[n + 1]))
		for (n++; n < len && is_digit(p[n]);)
			n++;
	return n;
}

static double
read_double(const char *p, size_t len)
{
	char s[64];

	if (len >= sizeof s)
		len = sizeof s - 1;
	memcpy(s, p, len);
	s[len] = 0;
	return strtod(s, NULL);
}

int
literal_duration(const char *p, size_t len, int64_t *us)
{
	double sum = 0;

	if (len == 0)
		return -1;
	while (len > 0) {
		size_t n = scan_number(p, len), w = 0;
		const struct unit *u = NULL;
		double v = read_double(p, n);

		while (n + w < len && is_alpha(p[n + w]))
			w++;
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (strlen(units[i].name) == w &&
			    !strncmp(units[i].name, p + n, w))
				u = &units[i];
		if (n == 0 || !u)
			return -1;
		sum += v * (double)u->us;
		p += n + w;
		len -= n + w;
	}
	if (!(sum < 9e18))
		return -1;
	*us = (int64_t)(sum + 0.5);
	return 0;
}

static int
digits_time(const char *p, size_t len, int64_t *us)
{
	static const int width[] = {4, 2, 2, 2, 2, 2};
	int part[6] = {0, 1, 1, 0, 0, 0};
	struct tm tm = {.tm_isdst = -1};
	size_t at = 0;
	time_t t;

	for (int i = 0; i < 6 && at < len; i++) {
		part[i] = 0;
		for (int k = 0; k < width[i]; k++, at++) {
			if (at >= len || !is_digit(p[at]))
				return -1;
			part[i] = part[i] * 10 + (p[at] - '0');
		}
	}
	if (at != len || len < 4 || part[1] < 1 || part[1] > 12 ||
	    part[2] < 1 || part[2] > 31 || part[3] > 23 || part[4] > 59 ||
	    part[5] > 60)
		return -1;
	tm.tm_year = part[0] - 1900;
	tm.tm_mon = part[1] - 1;
	tm.tm_mday = part[2];
	tm.tm_hour = part[3];
	tm.tm_min = part[4];
	tm.tm_sec = part[5];
	t = mktime(&tm);
	/* The 31st of February is some other day. */
	if (tm.tm_mday != part[2])
		return -1;
	*us = (int64_t)t * 1000000;
	return 0;
}

int
literal_time(const char *p, size_t len, int64_t now, int64_t *us)
{
	int64_t d;

	if (len >= 3 && !strncasecmp(p, "now", 3)) {
		*us = now;
		if (len == 3)
			return 0;
		if ((p[3] != '-' && p[3] != '+') ||
		    literal_duration(p + 4, len - 4, &d))
			return -1;
		return p[3] == '-' ? -__builtin_sub_overflow(now, d, us)
				   : -__builtin_add_overflow(now, d, us);
	}
	if (!digits_time(p, len, us))
		return 0;
	return text_read_time(p, len, us);
}

int
literal_ip(const char *p, size_t len, unsigned __int128 *ip)
{
	uint8_t b[16];

	if (text_read_ip(p, len, b))
		return -1;
	*ip = 0;
	for (int i = 0; i < 16; i++)
		*ip = *ip << 8 | b[i];
	return 0;
}

int
literal_cidr(const char *p, size_t len, struct literal *lit)
{
	const char *slash = memchr(p, '/', len);
	uint64_t bits;
	bool v4;

	if (!slash || literal_ip(p, (size_t)(slash - p), &lit->ip) ||
	    text_read_u64(slash + 1, len - (size_t)(slash + 1 - p), &bits))
		return -1;
	v4 = !memchr(p, ':', (size_t)(slash - p));
	if (bits > (v4 ? 32 : 128))
		return -1;
	lit->type = TYPE_CIDR;
	lit->bits = (unsigned)bits + (v4 ? 96 : 0);
	if (lit->bits == 0)
		lit->ip = 0;
	else
		lit->ip &= ~(unsigned __int128)0 << (128 - lit->bits);
	return 0;
}

/*
 * Tokens.
 */

/* Blanks, comments, and a backslash at the end of a line. */
static size_t
skip_blanks(const struct lexer *l, size_t pos)
{
	while (pos < l->len) {
		char c = l->text[pos];

		if (c == '#') {
			while (pos < l->len && l->text[pos] != '\n')
				pos++;
		} else if (is_blank(c) || (c == '\\' && pos + 1 < l->len &&
					   is_blank(l->text[pos + 1]))) {
			pos++;
		} else {
			break;
		}
	}
	return pos;
}

static int
escape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case '"':
	case '\\':
		return c;
	default:
		return -1;
	}
}

static int
lex_string(struct lexer *l, size_t pos)
{
	const char *p = l->text;
	size_t at = pos + 1, n = 0;
	char *out = arena_bytes(l->arena, l->len - pos);

	if (!out)
		return lexer_fail(l, pos, "out of memory");
	while (at < l->len && p[at] != '"') {
		int c = (unsigned char)p[at++];

		if (c == '\\') {
			c = at < l->len ? escape(p[at++]) : -1;
			if (c < 0)
				return lexer_fail(l, at - 1,
						  "unknown escape in a string "
						  "(there are \\\\ \\\" \\n "
						  "\\t \\r)");
		}
		out[n++] = (char)c;
	}
	if (at >= l->len)
		return lexer_fail(l, pos, "string without its closing quote");
	l->tok.type = TOKEN_LITERAL;
	l->tok.len = at + 1 - pos;
	l->tok.lit.type = TYPE_STRING;
	l->tok.lit.s = (struct str){out, n};
	return 0;
}

static int
lex_backquotes(struct lexer *l, size_t pos)
{
	const char *end = memchr(l->text + pos + 1, '`', l->len - pos - 1);

	if (!end)
		return lexer_fail(l, pos, "name without its closing `");
	l->tok.type = TOKEN_NAME;
	l->tok.quoted = true;
	l->tok.name.p = l->text + pos + 1;
	l->tok.name.len = (size_t)(end - l->tok.name.p);
	l->tok.len = l->tok.name.len + 2;
	if (l->tok.name.len == 0)
		return lexer_fail(l, pos, "a name can not be empty");
	return 0;
}

static void
set_address(struct token *t, unsigned __int128 ip)
{
	if (ip >> 32 == 0xffff) {
		t->lit.type = TYPE_IPV4;
		t->lit.u = (uint32_t)ip;
	} else {
		t->lit.type = TYPE_IP;
		t->lit.ip = ip;
	}
}

/* An address, CIDR or MAC at POS: 1; 0: something else; -1: a bad one. */
static int
lex_address(struct lexer *l, size_t pos)
{
	const char *p = l->text + pos;
	size_t left = l->len - pos, n = 0, colons = 0, dots = 0, bits;
	struct token *t = &l->tok;
	unsigned __int128 ip;

	for (; n < left && (is_hex(p[n]) || p[n] == ':' || p[n] == '.'); n++) {
		colons += p[n] == ':';
		dots += p[n] == '.';
	}
	if (colons < 2 && dots != 3)
		return 0;
	t->type = TOKEN_LITERAL;
	t->len = n;
	if (!text_read_mac(p, n, &t->lit.u)) {
		t->lit.type = TYPE_MAC;
		return 1;
	}
	if (literal_ip(p, n, &ip))
		return lexer_fail(l, pos, "%.*s is no address",
				  n > 60 ? 60 : (int)n, p);
	set_address(t, ip);
	for (bits = n + 1; bits < left && is_digit(p[bits]);)
		bits++;
	if (n + 1 >= left || p[n] != '/' || bits == n + 1)
		return 1;
	t->len = bits;
	if (literal_cidr(p, bits, &t->lit))
		return lexer_fail(l, pos,
				  "%.*s is no network (the prefix is "
				  "too long)",
				  (int)bits, p);
	return 1;
}

/* 2026-11-23, with or without a time: 1; else 0. */
static int
lex_date(struct lexer *l, size_t pos)
{
	static const char form[] = "dddd-dd-dd";
	const char *p = l->text + pos;
	size_t left = l->len - pos, n = 0;

	for (; n < sizeof form - 1; n++)
		if (n >= left ||
		    (form[n] == 'd' ? !is_digit(p[n]) : p[n] != form[n]))
			return 0;
	if (n < left && p[n] == 'T') {
		for (n++; n < left &&
			  (is_digit(p[n]) || p[n] == ':' || p[n] == '.');)
			n++;
		if (n < left && p[n] == 'Z')
			n++;
		else if (n + 5 < left && (p[n] == '+' || p[n] == '-') &&
			 is_digit(p[n + 1]) && p[n + 3] == ':')
			n += 6;
	}
	if (text_read_time(p, n, &l->tok.lit.i))
		return lexer_fail(l, pos, "%.*s is no time", (int)n, p);
	l->tok.type = TOKEN_LITERAL;
	l->tok.lit.type = TYPE_TIME;
	l->tok.len = n;
	return 1;
}

static int
number_suffix(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 1;
	case 'M':
		return 2;
	case 'G':
	case 'g':
		return 3;
	case 'T':
		return 4;
	default:
		return 0;
	}
}

static int
lex_hex(struct lexer *l, size_t pos)
{
	const char *p = l->text + pos;
	size_t left = l->len - pos, n = 2;
	uint64_t v = 0;

	for (; n < left && is_hex(p[n]); n++)
		v = v << 4 |
		    (unsigned)(is_digit(p[n]) ? p[n] - '0'
					      : (p[n] | 32) - 'a' + 10);
	if (n == 2 || n > 18 || (n < left && is_alpha(p[n])))
		return lexer_fail(l, pos, "bad hexadecimal number");
	l->tok.type = TOKEN_LITERAL;
	l->tok.len = n;
	l->tok.lit.type = TYPE_UINT;
	l->tok.lit.u = v;
	return 0;
}

/* N digits and perhaps a fraction, then SUFFIX powers of 1000. */
static int
set_number(struct lexer *l, size_t pos, size_t n, int suffix)
{
	const char *p = l->text + pos;
	struct literal *lit = &l->tok.lit;
	uint64_t scale = 1;
	bool real = text_read_u64(p, n, &lit->u) != 0;

	for (int i = 0; i < suffix; i++)
		scale *= 1000;
	if (!memchr(p, '.', n) && !memchr(p, 'e', n) && !memchr(p, 'E', n) &&
	    (real || __builtin_mul_overflow(lit->u, scale, &lit->u)))
		return lexer_fail(l, pos, "number above 2^64 - 1");
	lit->type = TYPE_UINT;
	if (real) {
		double v = read_double(p, n) * (double)scale;

		lit->type = TYPE_REAL;
		lit->f = v;
		/* 1.5K is a whole number */
		if (suffix && v < 1e15 && v == (double)(uint64_t)v) {
			lit->type = TYPE_UINT;
			lit->u = (uint64_t)v;
		}
	}
	return 0;
}

static int
lex_number(struct lexer *l, size_t pos)
{
	const char *p = l->text + pos;
	size_t left = l->len - pos, n = scan_number(p, left), w, e;

	if (left > 1 && p[0] == '0' && (p[1] | 32) == 'x')
		return lex_hex(l, pos);
	l->tok.type = TOKEN_LITERAL;
	for (w = n;
	     w < left && (is_alpha(p[w]) || is_digit(p[w]) ||
			  (p[w] == '.' && w + 1 < left && is_digit(p[w + 1])));)
		w++;
	e = n + 1;
	if (n < left && (p[n] | 32) == 'e') {
		if (e < left && (p[e] == '-' || p[e] == '+'))
			e++;
		if (e < left && is_digit(p[e])) {
			while (e < left && is_digit(p[e]))
				e++;
			l->tok.len = e;
			return set_number(l, pos, e, 0);
		}
	}
	l->tok.len = w;
	if (w == n)
		return set_number(l, pos, n, 0);
	if (w == n + 1 && number_suffix(p[n]))
		return set_number(l, pos, n, number_suffix(p[n]));
	if (!literal_duration(p, w, &l->tok.lit.i)) {
		l->tok.lit.type = TYPE_DURATION;
		return 0;
	}
	return lexer_fail(l, pos,
			  "%.*s is neither a number (1.5, 10K, 2M) nor "
			  "a duration (10s, 5m, 1h30m)",
			  w > 40 ? 40 : (int)w, p);
}

static int
lex_name(struct lexer *l, size_t pos)
{
	const char *p = l->text + pos;
	size_t left = l->len - pos, n = 0;

	/* A dot joins only what looks like a name on both sides. */
	while (n < left &&
	       (is_alpha(p[n]) || is_digit(p[n]) ||
		(p[n] == '.' && n + 1 < left && is_alpha(p[n + 1]))))
		n++;
	l->tok.type = TOKEN_NAME;
	l->tok.name = (struct str){p, n};
	l->tok.len = n;
	return 0;
}

static int
lex_operator(struct lexer *l, size_t pos)
{
	static const struct {
		char text[3];
		int type;
	} twos[] = {{"==", TOKEN_EQ},
		    {"!=", TOKEN_NE},
		    {"<=", TOKEN_LE},
		    {">=", TOKEN_GE},
		    {"<>", TOKEN_NE}};
	const char *p = l->text + pos;

	l->tok.len = 2;
	for (size_t i = 0; i < sizeof twos / sizeof *twos; i++)
		if (l->len - pos >= 2 && !memcmp(twos[i].text, p, 2)) {
			l->tok.type = twos[i].type;
			return 0;
		}
	l->tok.len = 1;
	l->tok.type = (unsigned char)*p;
	if (*p && strchr("()[],|=<>+-*/%?", *p))
		return 0;
	if ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f)
		return lexer_fail(l, pos, "a stray %c%s", *p,
				  *p == '&'    ? " (and is a word)"
				  : *p == '!'  ? " (not is a word)"
				  : *p == '\'' ? " (text is in double quotes)"
					       : "");
	return lexer_fail(l, pos, "a stray byte 0x%02x", (unsigned char)*p);
}

static int
lex_token(struct lexer *l, size_t pos)
{
	char c = l->text[pos];
	int rc;

	if (c == '"')
		return lex_string(l, pos);
	if (c == '`')
		return lex_backquotes(l, pos);
	if (is_hex(c) || c == ':') {
		rc = lex_address(l, pos);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	if (is_digit(c)) {
		rc = lex_date(l, pos);
		if (rc)
			return rc < 0 ? -1 : 0;
		return lex_number(l, pos);
	}
	if (is_alpha(c))
		return lex_name(l, pos);
	return lex_operator(l, pos);
}

static void
lex_at(struct lexer *l, size_t pos)
{
	pos = skip_blanks(l, pos);
	l->tok = (struct token){.type = TOKEN_END, .pos = pos};
	if (pos < l->len && lex_token(l, pos))
		l->tok.type = TOKEN_BAD;
}

void
lexer_init(struct lexer *l, const char *text, size_t len, struct arena *arena,
	   struct err *err)
{
	*l = (struct lexer){
	    .text = text, .len = len, .arena = arena, .err = err};
	lex_at(l, 0);
}

void
lexer_next(struct lexer *l)
{
	l->end = l->tok.pos + l->tok.len;
	lex_at(l, l->end);
}

bool
lexer_is(const struct lexer *l, const char *word)
{
	const struct token *t = &l->tok;

	return t->type == TOKEN_NAME && !t->quoted &&
	       strlen(word) == t->name.len &&
	       !strncasecmp(word, t->name.p, t->name.len);
}

bool
lexer_take(struct lexer *l, int c)
{
	if (l->tok.type != c)
		return false;
	lexer_next(l);
	return true;
}

bool
lexer_take_word(struct lexer *l, const char *word)
{
	if (!lexer_is(l, word))
		return false;
	lexer_next(l);
	return true;
}

struct str
lexer_word(struct lexer *l, const char *stop)
{
	size_t pos = l->tok.pos, end = pos;
	struct str s;

	if (l->tok.type == TOKEN_LITERAL && l->tok.lit.type == TYPE_STRING) {
		s = l->tok.lit.s;
		lexer_next(l);
		return s;
	}
	while (end < l->len && !is_blank(l->text[end]) && l->text[end] &&
	       !strchr(",|()[]\"#", l->text[end]) &&
	       !strchr(stop, l->text[end]))
		end++;
	s = (struct str){l->text + pos, end - pos};
	if (end > pos) {
		l->end = end;
		lex_at(l, end);
	}
	return s;
}
