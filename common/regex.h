/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions over UTF-8 text that may be hostile: a match costs time
 * in proportion to the text, whatever the pattern, and takes no memory.
 *
 * POSIX extended syntax: . [a-z] [^a-z] [[:digit:]] ^ $ ( ) | * + ? {m,n}, and
 * \d \w \s \D \W \S \t \n \r, also in brackets; (?i) at the beginning ignores
 * the case of ASCII letters.  There are no back-references and no look-around.
 * A pattern matches anywhere in the text unless ^ and $ tie it down.  A dot is
 * one character, not one byte; ^ and $ are the ends of the text, not of a line.
 *
 * The pattern becomes its position automaton (Glushkov): a bit for each of its
 * characters, and for each of those the set that may come next.
 */
#ifndef COMMON_REGEX_H
#define COMMON_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/err.h"

enum { REGEX_POSITIONS_MAX = 1024 };

struct regex;

/* In the arena. NULL: the pattern is wrong or too long, err says why. */
const struct regex *regex_new(struct arena *, const char *pattern, size_t len,
			      struct err *);

/* May run in several threads at once. */
bool regex_match(const struct regex *, const char *text, size_t len);

#endif
