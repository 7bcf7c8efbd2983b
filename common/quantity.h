/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes and ages as people write them: 1G, 500M, 30d, 12h.
 */
#ifndef COMMON_QUANTITY_H
#define COMMON_QUANTITY_H

#include <stdint.h>

enum { QUANTITY_MAX = 32 };

/* Each takes the whole text, 1 at least, or returns -1. */
int quantity_plain(const char *, uint64_t *); /* digits; 0 may be */
int quantity_size(const char *, uint64_t *);  /* plain or one of KMGT: bytes */
int quantity_age(const char *, uint64_t *);   /* one of smhdwy: seconds */

/* In the largest unit that divides it. */
void quantity_size_text(char buf[QUANTITY_MAX], uint64_t bytes);
void quantity_age_text(char buf[QUANTITY_MAX], uint64_t seconds);

#endif
