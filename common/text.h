/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as text and back.
 *
 * Text is the same everywhere: addresses as inet_ntop writes them (an IPv4 one
 * inside COL_IP as IPv4), MACs as 00:11:22:33:44:55, times as ISO 8601 in UTC
 * with microseconds only as far as needed (2026-11-23T10:00:00.25Z), numbers
 * in decimal, floats in the shortest form that reads back equal, booleans as
 * true and false, bytes as lower-case hex.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"

enum { TEXT_MAX = 64 }; /* fits every value but strings and bytes */

/* Writers put no NUL, need TEXT_MAX bytes of room and return the length. */
size_t text_u64(char *, uint64_t);
size_t text_i64(char *, int64_t);
size_t text_f64(char *, double); /* nan, inf, -inf as such */
size_t text_time(char *, int64_t us);
size_t text_ipv4(char *, uint32_t);
size_t text_ip(char *, const uint8_t ip[16]);
size_t text_mac(char *, uint64_t);
/* Any value but strings and bytes; null is "null". */
size_t text_value(char *, const struct value *);

/* Readers take the whole text or return -1. */
int text_read_u64(const char *, size_t len, uint64_t *);
/* Bytes: digits, and K, M, G or T, which are powers of 1024. */
int text_read_size(const char *, size_t len, uint64_t *);
int text_read_f64(const char *, size_t len, double *); /* also inf and nan */
int text_read_ip(const char *, size_t len, uint8_t ip[16]); /* v4 as mapped */
int text_read_mac(const char *, size_t len, uint64_t *);
/* ISO 8601: date, optional time, optional fraction, Z or +hh:mm; local time
 * without a zone. */
int text_read_time(const char *, size_t len, int64_t *us);

/* Whether 16 bytes are ::ffff:0:0/96, and the IPv4 address in them. */
int ip_is_v4(const uint8_t ip[16]);
uint32_t ip_v4(const uint8_t ip[16]);
void ip_from_v4(uint8_t ip[16], uint32_t);

/* The length of the longest prefix that is valid UTF-8. */
size_t text_utf8(const char *, size_t len);
/* Whether there is a control character in it (U+0000 to U+001F, U+007F to
 * U+009F; some terminals act on all of them). */
bool text_control(const char *, size_t len);
/* Makes text fit for a terminal: every byte of a control character (U+0000 to
 * U+001F, U+007F to U+009F) and every one that is not UTF-8 becomes '?'. */
void text_defuse(char *, size_t len);

#endif
