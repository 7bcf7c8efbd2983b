/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/regex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	WORDS = REGEX_POSITIONS_MAX / 64,
	BEGIN = 256, /* symbols before and after the bytes of the text */
	END = 257,
	SYMBOLS = 258,
	ENDS = 4,
	DEPTH_MAX = 100,
	REPEAT_MAX = 255,
	STEPS_MAX = 100000, /* atoms that are parsed, repeats included */
};

struct regex {
	size_t words;
	bool nullable;
	bool anchors;	  /* BEGIN and END matter */
	uint64_t *first;  /* positions that may begin a match */
	uint64_t *last;	  /* and that end one */
	uint64_t *follow; /* per position: those that may come next */
	uint64_t *mask;	  /* per symbol: positions that take it */
};

/*
 * Building.
 */

struct set {
	uint64_t w[WORDS];
};

struct builder {
	const char *p, *end; /* what is left of the pattern */
	const char *start;
	struct err *err;
	size_t n; /* positions */
	size_t steps;
	unsigned depth;
	bool fold_case, anchors;
	struct set follow[REGEX_POSITIONS_MAX];
	struct set mask[SYMBOLS];
};

/* A piece of the pattern: what may begin and end a match of it. */
struct piece {
	bool nullable;
	struct set first, last;
};

/* Which ASCII bytes, and whether all other characters too. */
struct class
{
	bool in[128];
	bool others;
};

static void
set_add(struct set *s, size_t i)
{
	s->w[i / 64] |= UINT64_C(1) << (i % 64);
}

static void
set_join(struct set *to, const struct set *from)
{
	for (size_t i = 0; i < WORDS; i++)
		to->w[i] |= from->w[i];
}

static int
fail(struct builder *b, const char *why)
{
	return err_set(b->err, "regular expression, character %zu: %s",
		       (size_t)(b->p - b->start) + 1, why);
}

/* Whatever ends in FROM may go on with what begins in TO. */
static void
connect(struct builder *b, const struct set *from, const struct set *to)
{
	for (size_t i = 0; i < WORDS; i++)
		for (uint64_t w = from->w[i]; w; w &= w - 1)
			set_join(
			    &b->follow[64 * i + (size_t)__builtin_ctzll(w)],
			    to);
}

/* Piece A and then B, in A. */
static void
concatenate(struct builder *b, struct piece *a, const struct piece *p)
{
	connect(b, &a->last, &p->first);
	if (a->nullable)
		set_join(&a->first, &p->first);
	if (!p->nullable)
		a->last = (struct set){{0}};
	set_join(&a->last, &p->last);
	a->nullable &= p->nullable;
}

static void
alternate(struct piece *a, const struct piece *p)
{
	a->nullable |= p->nullable;
	set_join(&a->first, &p->first);
	set_join(&a->last, &p->last);
}

/* A position that takes symbols LO to HI; -1: there are too many. */
static int
position(struct builder *b, unsigned lo, unsigned hi)
{
	if (b->n == REGEX_POSITIONS_MAX)
		return fail(b, "too long");
	for (unsigned c = lo; c <= hi; c++)
		set_add(&b->mask[c], b->n);
	return (int)b->n++;
}

/* A piece of one position after another. */
static int
add_byte(struct builder *b, struct piece *p, unsigned lo, unsigned hi)
{
	int at = position(b, lo, hi);
	struct piece one = {0};

	if (at < 0)
		return -1;
	set_add(&one.first, (size_t)at);
	one.last = one.first;
	concatenate(b, p, &one);
	return 0;
}

/* Any character of more than one byte: LEAD and as many bytes after it; the
 * last ones are shared. */
static int
add_others(struct builder *b, struct piece *p)
{
	static const struct {
		unsigned lo, hi;
	} leads[] = {{0xf0, 0xf4}, {0xe0, 0xef}, {0xc2, 0xdf}};
	struct piece all = {0};

	for (size_t i = 0; i < 3; i++) {
		struct piece lead = {.nullable = true}, tail = {0};
		int at;

		if (add_byte(b, &lead, leads[i].lo, leads[i].hi))
			return -1;
		if (i == 0)
			all = lead;
		else
			alternate(&all, &lead);
		at = position(b, 0x80, 0xbf);
		if (at < 0)
			return -1;
		set_add(&tail.first, (size_t)at);
		tail.last = tail.first;
		concatenate(b, &all, &tail);
	}
	alternate(p, &all);
	return 0;
}

static int
add_class(struct builder *b, struct piece *p, const struct class *c)
{
	bool any = false;
	int at;

	*p = (struct piece){0};
	for (unsigned i = 0; i < 128; i++)
		any |= c->in[i];
	if (any) {
		at = position(b, 1, 0); /* no symbols yet */
		if (at < 0)
			return -1;
		for (unsigned i = 0; i < 128; i++)
			if (c->in[i])
				set_add(&b->mask[i], (size_t)at);
		set_add(&p->first, (size_t)at);
		p->last = p->first;
	}
	return c->others ? add_others(b, p) : 0;
}

/*
 * Parsing.
 */

static bool
more(const struct builder *b)
{
	return b->p < b->end;
}

static void
class_add(struct class *c, int (*is)(int), bool yes)
{
	for (int i = 0; i < 128; i++)
		c->in[i] |= (is(i) != 0) == yes;
	c->others |= !yes;
}

static int
is_word(int c)
{
	return isalnum(c) || c == '_';
}

/* What a letter after a backslash stands for: true if it is a class. */
static bool
escape_class(struct class *c, char letter)
{
	switch (letter) {
	case 'd':
	case 'D':
		class_add(c, isdigit, letter == 'd');
		return true;
	case 'w':
	case 'W':
		class_add(c, is_word, letter == 'w');
		return true;
	case 's':
	case 'S':
		class_add(c, isspace, letter == 's');
		return true;
	default:
		return false;
	}
}

/* Or the byte it stands for; -1 if it is none. */
static int
escape_byte(char c)
{
	switch (c) {
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	default:
		return isalnum((unsigned char)c) ? -1 : (unsigned char)c;
	}
}

/* "[:alpha:]" at p */
static int
named_class(struct builder *b, struct class *c)
{
	static const struct {
		const char *name;
		int (*is)(int);
	} table[] = {
	    {"alpha", isalpha}, {"digit", isdigit},   {"alnum", isalnum},
	    {"upper", isupper}, {"lower", islower},   {"space", isspace},
	    {"blank", isblank}, {"punct", ispunct},   {"print", isprint},
	    {"graph", isgraph}, {"xdigit", isxdigit}, {"cntrl", iscntrl},
	};
	size_t left = (size_t)(b->end - b->p);

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		size_t n = strlen(table[i].name);

		if (left >= n + 4 && !memcmp(b->p + 2, table[i].name, n) &&
		    !memcmp(b->p + 2 + n, ":]", 2)) {
			class_add(c, table[i].is, true);
			b->p += n + 4;
			return 0;
		}
	}
	return fail(b, "no class of that name (there are alpha, digit, "
		       "alnum, upper, lower, space ...)");
}

/* The character of several bytes at p, as a sequence. */
static int
add_character(struct builder *b, struct piece *p)
{
	*p = (struct piece){.nullable = true};
	do {
		if (add_byte(b, p, (unsigned char)*b->p, (unsigned char)*b->p))
			return -1;
		b->p++;
	} while (more(b) && ((unsigned char)*b->p & 0xc0) == 0x80);
	return 0;
}

/* A byte in brackets: -1 if it is none, or wrong. */
static int
bracket_byte(struct builder *b)
{
	int c;

	if (!more(b))
		return fail(b, "[ without its ]");
	if (*b->p == '\\') {
		c = b->p + 1 < b->end ? escape_byte(b->p[1]) : -1;
		if (c < 0 || c > 127)
			return fail(b, "unknown escape");
		b->p += 2;
		return c;
	}
	c = (unsigned char)*b->p;
	if (c > 127)
		return fail(b, "a range is of ASCII characters");
	b->p++;
	return c;
}

/* One member: a class, a character, or a range. EXTRA takes characters that
 * are not ASCII. */
static int
bracket_member(struct builder *b, struct class *c, struct piece *extra)
{
	size_t left = (size_t)(b->end - b->p);
	int lo, hi;

	if (left > 1 && b->p[0] == '[' && b->p[1] == ':')
		return named_class(b, c);
	if (left > 1 && *b->p == '\\' && escape_class(c, b->p[1])) {
		b->p += 2;
		return 0;
	}
	if ((unsigned char)*b->p > 127) {
		struct piece one;

		if (add_character(b, &one))
			return -1;
		alternate(extra, &one);
		return 0;
	}
	lo = hi = bracket_byte(b);
	if (lo < 0)
		return -1;
	if (b->end - b->p > 1 && b->p[0] == '-' && b->p[1] != ']') {
		b->p++;
		hi = bracket_byte(b);
		if (hi < 0)
			return -1;
		if (hi < lo)
			return fail(b, "a range that goes backwards");
	}
	for (; lo <= hi; lo++)
		c->in[lo] = true;
	return 0;
}

static void
fold_class(struct class *c)
{
	for (int i = 'a'; i <= 'z'; i++)
		c->in[i] = c->in[i - 32] = c->in[i] || c->in[i - 32];
}

/* "[" ["^"] member+ "]" */
static int
parse_bracket(struct builder *b, struct piece *p)
{
	struct class c = {{false}, false};
	struct piece extra = {0};
	bool negate, first = true;

	b->p++;
	negate = more(b) && *b->p == '^';
	b->p += negate;
	for (; more(b) && (*b->p != ']' || first); first = false)
		if (bracket_member(b, &c, &extra))
			return -1;
	if (!more(b))
		return fail(b, "[ without its ]");
	b->p++;
	if (b->fold_case)
		fold_class(&c);
	if (negate) {
		struct set none = {{0}};

		if (memcmp(&extra.first, &none, sizeof none) != 0)
			return fail(b, "[^ ] takes ASCII characters alone");
		for (int i = 0; i < 128; i++)
			c.in[i] = !c.in[i];
		c.others = !c.others;
	}
	if (add_class(b, p, &c))
		return -1;
	alternate(p, &extra);
	return 0;
}

static int
parse_byte(struct builder *b, struct piece *p, int byte)
{
	struct class c = {{false}, false};

	c.in[byte] = true;
	if (b->fold_case)
		fold_class(&c);
	return add_class(b, p, &c);
}

/* "\" letter */
static int
parse_escape(struct builder *b, struct piece *p)
{
	struct class c = {{false}, false};
	int byte;

	if (b->p + 1 == b->end)
		return fail(b, "a backslash at the end");
	if (escape_class(&c, b->p[1])) {
		b->p += 2;
		return add_class(b, p, &c);
	}
	byte = escape_byte(b->p[1]);
	if (byte < 0 || byte > 127)
		return fail(b, "unknown escape (there are \\d \\w \\s \\t \\n "
			       "\\r, and \\ before signs)");
	b->p += 2;
	return parse_byte(b, p, byte);
}

static int parse_alternatives(struct builder *, struct piece *);

/* "(" alternatives ")" */
static int
parse_group(struct builder *b, struct piece *p)
{
	b->p++;
	if (b->end - b->p > 1 && b->p[0] == '?' && b->p[1] == ':')
		b->p += 2;
	if (++b->depth > DEPTH_MAX)
		return fail(b, "nested too deep");
	if (parse_alternatives(b, p))
		return -1;
	b->depth--;
	if (!more(b) || *b->p != ')')
		return fail(b, "( without its )");
	b->p++;
	return 0;
}

/* group | bracket | "." | "^" | "$" | escape | character */
static int
parse_atom(struct builder *b, struct piece *p)
{
	static const struct class any = {{[0 ... 127] = true}, true};

	if (++b->steps > STEPS_MAX)
		return fail(b, "too long");
	switch (*b->p) {
	case '(':
		return parse_group(b, p);
	case '[':
		return parse_bracket(b, p);
	case '\\':
		return parse_escape(b, p);
	case '.':
		b->p++;
		return add_class(b, p, &any);
	case '^':
	case '$':
		*p = (struct piece){.nullable = true};
		b->anchors = true;
		b->p++;
		return b->p[-1] == '^' ? add_byte(b, p, BEGIN, BEGIN)
				       : add_byte(b, p, END, END);
	case '*':
	case '+':
	case '?':
	case '{':
		return fail(b, "nothing to repeat");
	default:
		if ((unsigned char)*b->p > 127)
			return add_character(b, p);
		return parse_byte(b, p, *b->p++);
	}
}

static int
read_count(struct builder *b, unsigned *n)
{
	if (!more(b) || !isdigit((unsigned char)*b->p))
		return fail(b, "expected {m}, {m,} or {m,n}");
	for (*n = 0; more(b) && isdigit((unsigned char)*b->p); b->p++) {
		*n = 10 * *n + (unsigned)(*b->p - '0');
		if (*n > REPEAT_MAX)
			return fail(b, "repeats up to 255 times");
	}
	return 0;
}

/* "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}"; *max 0 is without end. */
static int
parse_repeat(struct builder *b, unsigned *min, unsigned *max)
{
	char c = *b->p++;

	*min = c == '+';
	*max = c == '?';
	if (c != '{')
		return 0;
	if (read_count(b, min))
		return -1;
	*max = *min;
	if (more(b) && *b->p == ',') {
		b->p++;
		*max = 0;
		if (more(b) && *b->p != '}' && read_count(b, max))
			return -1;
		if (b->p[-1] != ',' && *max < *min)
			return fail(b, "{m,n} with n below m");
		if (b->p[-1] != ',' && *max == 0)
			return fail(b, "repeats nothing");
	} else if (*max == 0) {
		return fail(b, "repeats nothing");
	}
	if (!more(b) || *b->p != '}')
		return fail(b, "{ without its }");
	b->p++;
	return 0;
}

/* The atom at FROM once more, after P. */
static int
again(struct builder *b, const char *from, struct piece *p, bool optional)
{
	const char *after = b->p;
	struct piece q;

	b->p = from;
	if (parse_atom(b, &q))
		return -1;
	b->p = after;
	q.nullable |= optional;
	concatenate(b, p, &q);
	return 0;
}

static bool
at_repeat(const struct builder *b)
{
	return more(b) && strchr("*+?{", *b->p) && *b->p;
}

/* atom [repeat]; of several repeats only one is understood. */
static int
parse_repeated(struct builder *b, struct piece *p)
{
	const char *from = b->p;
	bool anchor = *from == '^' || *from == '$';
	unsigned min, max;

	if (parse_atom(b, p))
		return -1;
	if (!at_repeat(b))
		return 0;
	if (anchor)
		return fail(b, "nothing to repeat");
	if (parse_repeat(b, &min, &max))
		return -1;
	if (at_repeat(b))
		return fail(b, "a repeat of a repeat: use parentheses");
	if (max == 0 && min < 2)
		connect(b, &p->last, &p->first);
	p->nullable |= min == 0;
	for (unsigned i = 1; i < min; i++) {
		struct piece q;

		if (max || i + 1 < min) {
			if (again(b, from, p, false))
				return -1;
			continue;
		}
		/* The last one of {m,} goes on for ever. */
		const char *after = b->p;

		b->p = from;
		if (parse_atom(b, &q))
			return -1;
		b->p = after;
		connect(b, &q.last, &q.first);
		concatenate(b, p, &q);
	}
	for (unsigned i = min ? min : 1; i < max; i++)
		if (again(b, from, p, true))
			return -1;
	return 0;
}

/* repeated* */
static int
parse_sequence(struct builder *b, struct piece *p)
{
	*p = (struct piece){.nullable = true};
	while (more(b) && *b->p != '|' && *b->p != ')') {
		struct piece q;

		if (parse_repeated(b, &q))
			return -1;
		concatenate(b, p, &q);
	}
	return 0;
}

/* sequence ("|" sequence)* */
static int
parse_alternatives(struct builder *b, struct piece *p)
{
	if (parse_sequence(b, p))
		return -1;
	while (more(b) && *b->p == '|') {
		struct piece q;

		b->p++;
		if (parse_sequence(b, &q))
			return -1;
		alternate(p, &q);
	}
	return 0;
}

/*
 * The finished automaton.
 */

static void
copy_set(uint64_t *to, const struct set *from, size_t words)
{
	memcpy(to, from->w, words * sizeof *to);
}

static const struct regex *
finish(struct builder *b, const struct piece *p, struct arena *a)
{
	size_t words = (b->n + 63) / 64 ? (b->n + 63) / 64 : 1;
	struct regex *r = arena_zalloc(a, sizeof *r);
	uint64_t *w = arena_alloc(a, (2 + b->n + SYMBOLS) * words * sizeof *w);

	if (!r || !w) {
		err_set(b->err, "out of memory");
		return NULL;
	}
	r->words = words;
	r->nullable = p->nullable;
	r->anchors = b->anchors;
	r->first = w;
	r->last = r->first + words;
	r->follow = r->last + words;
	r->mask = r->follow + b->n * words;
	copy_set(r->first, &p->first, words);
	copy_set(r->last, &p->last, words);
	for (size_t i = 0; i < b->n; i++)
		copy_set(r->follow + i * words, &b->follow[i], words);
	for (size_t i = 0; i < SYMBOLS; i++)
		copy_set(r->mask + i * words, &b->mask[i], words);
	return r;
}

const struct regex *
regex_new(struct arena *a, const char *pattern, size_t len, struct err *err)
{
	struct builder *b = calloc(1, sizeof *b);
	const struct regex *r = NULL;
	struct piece p;

	if (!b) {
		err_set(err, "out of memory");
		return NULL;
	}
	b->start = b->p = pattern;
	b->end = pattern + len;
	b->err = err;
	if (len >= 4 && memcmp(pattern, "(?i)", 4) == 0) {
		b->fold_case = true;
		b->p += 4;
	}
	if (parse_alternatives(b, &p) == 0) {
		if (more(b))
			fail(b, ") without its (");
		else
			r = finish(b, &p, a);
	}
	free(b);
	return r;
}

/*
 * Matching.
 */

static inline bool
step_one(const struct regex *r, uint64_t *state, unsigned symbol)
{
	uint64_t next = r->first[0];

	for (uint64_t w = *state; w; w &= w - 1)
		next |= r->follow[__builtin_ctzll(w)];
	*state = next & r->mask[symbol];
	return *state & r->last[0];
}

static bool
step_many(const struct regex *r, uint64_t *state, unsigned symbol)
{
	uint64_t next[WORDS], ends = 0;
	size_t n = r->words;

	memcpy(next, r->first, n * sizeof *next);
	for (size_t i = 0; i < n; i++)
		for (uint64_t w = state[i]; w; w &= w - 1) {
			const uint64_t *f =
			    r->follow +
			    (64 * i + (size_t)__builtin_ctzll(w)) * n;

			for (size_t k = 0; k < n; k++)
				next[k] |= f[k];
		}
	for (size_t i = 0; i < n; i++) {
		state[i] = next[i] & r->mask[symbol * n + i];
		ends |= state[i] & r->last[i];
	}
	return ends;
}

/* An end is there for several anchors in a row: ^(^a) */
static bool
step_ends(const struct regex *r, uint64_t *state, unsigned symbol)
{
	for (int i = 0; i < ENDS; i++)
		if (step_many(r, state, symbol))
			return true;
	return false;
}

static bool
match_one(const struct regex *r, const char *text, size_t len)
{
	uint64_t state = 0;

	if (r->anchors && step_ends(r, &state, BEGIN))
		return true;
	for (size_t i = 0; i < len; i++)
		if (step_one(r, &state, (unsigned char)text[i]))
			return true;
	return r->anchors && step_ends(r, &state, END);
}

bool
regex_match(const struct regex *r, const char *text, size_t len)
{
	uint64_t state[WORDS] = {0};

	if (r->nullable)
		return true;
	if (r->words == 1)
		return match_one(r, text, len);
	if (r->anchors && step_ends(r, state, BEGIN))
		return true;
	for (size_t i = 0; i < len; i++)
		if (step_many(r, state, (unsigned char)text[i]))
			return true;
	return r->anchors && step_ends(r, state, END);
}
