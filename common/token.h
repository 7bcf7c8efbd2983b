/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of the query language.  Each token knows its place in the text, so
 * that an error can point at it.
 *
 * Literals that need no quotes are recognised here: numbers with K, M, G, T
 * (powers of 1000), durations (10m, 1h30m), addresses, CIDRs, MACs, dates.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"

/* The types that expressions have; finer than enum col_type where meaning
 * differs, coarser where only the width does. */
enum expr_type {
	TYPE_NULL,
	TYPE_BOOL,
	TYPE_UINT,     /* uint64_t: never below 0 */
	TYPE_INT,      /* int64_t */
	TYPE_REAL,     /* double */
	TYPE_TIME,     /* int64_t, microseconds since 1970 UTC */
	TYPE_DURATION, /* int64_t, microseconds */
	TYPE_IPV4,     /* in 64 bits, host order */
	TYPE_IP,       /* 128 bits, host order; IPv4 as ::ffff:a.b.c.d */
	TYPE_MAC,      /* in 64 bits */
	TYPE_STRING,
	TYPE_BYTES,
	TYPE_CIDR, /* literals only */
	TYPES
};

/* "number", and "a number": for people.  "integer": what typeof says. */
const char *expr_type_name(enum expr_type);
const char *expr_type_article(enum expr_type);
const char *expr_type_word(enum expr_type);

struct str {
	const char *p;
	size_t len;
};

/* A value of the language. */
struct literal {
	enum expr_type type;
	unsigned bits; /* of a CIDR, of 128 */
	union {
		uint64_t u; /* BOOL, UINT, IPV4, MAC */
		int64_t i;  /* INT, TIME, DURATION */
		double f;
		unsigned __int128 ip; /* IP, CIDR */
		struct str s;	      /* borrowed from the arena */
	};
};

enum token_type {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_LITERAL,
	TOKEN_EQ = 256, /* == ; single characters are themselves */
	TOKEN_NE,
	TOKEN_LE,
	TOKEN_GE,
	TOKEN_BAD,
};

struct token {
	int type; /* enum token_type or a character */
	size_t pos, len;
	struct str name; /* of a NAME, without backquotes */
	bool quoted;	 /* a NAME in backquotes */
	struct literal lit;
};

struct lexer {
	const char *text; /* borrowed */
	size_t len;
	struct arena *arena; /* borrowed */
	struct token tok;    /* the one to look at */
	size_t end;	     /* where the token before it ended */
	unsigned depth;	     /* of nested rules */
	int64_t now;	     /* what `now` means to those who parse times */
	/* where a parser or the lexer failed */
	struct err *err;
	size_t err_pos;
};

/*
 * The first token is read at once, and the next by each of the calls below.  A
 * text that is no token gives TOKEN_BAD, which no rule accepts: lexer_expected
 * then tells what the lexer said.
 */
void lexer_init(struct lexer *, const char *text, size_t len, struct arena *,
		struct err *);
void lexer_next(struct lexer *);

/* Whether the token is the word, in any case. */
bool lexer_is(const struct lexer *, const char *word);
/* If the token is C (or the word), goes on and says true. */
bool lexer_take(struct lexer *, int c);
bool lexer_take_word(struct lexer *, const char *word);

/*
 * The token's place read as a word of any characters but blanks, comma, bar,
 * parentheses, brackets, quotes, # and those in STOP; or as a string if it is
 * one.  Goes on after it.  Its len is 0 if there is none.
 */
struct str lexer_word(struct lexer *, const char *stop);

/* "expected WHAT, found ..." at the token. Always -1. */
int lexer_expected(struct lexer *, const char *what);
/* Always -1. */
int lexer_fail(struct lexer *, size_t pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Times as people write them: yyyy to yyyyMMddHHmmss padded on the right (local
 * time), ISO 8601, `now`, and `now-1h`.  NOW is in microseconds.
 */
int literal_time(const char *, size_t len, int64_t now, int64_t *us);
/* 10m, 1h30m, 1.5s; units us ms s m h d w mon. */
int literal_duration(const char *, size_t len, int64_t *us);
/* 10.0.0.0/8 and 2001:db8::/32. */
int literal_cidr(const char *, size_t len, struct literal *);
int literal_ip(const char *, size_t len, unsigned __int128 *);

#endif
