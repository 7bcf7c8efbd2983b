/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address filters of a block: flowtable(5), "Filters".  Of an address a filter
 * tells that no row of the column has it, or that some may (one in 200 of
 * those that none has, at SIEVE_BITS).  To ask it touches a kilobyte.
 *
 * A filter is a split block Bloom filter: buckets of eight 32-bit words, a
 * hash sets one bit in each word of one bucket.
 *
 *	low 40 bits of the hash		8 times 5: the bit of each word
 *	high 24 bits			which bucket
 */
#ifndef COMMON_SIEVE_H
#define COMMON_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/encode.h"
#include "common/err.h"

enum {
	SIEVES_VERSION = 1,
	SIEVES_MAGIC = 0x56455346, /* "FSEV" */
	SIEVE_BITS = 12,	   /* per distinct address */
	SIEVE_DISTINCT_MIN = 64,   /* fewer are left to the column itself */
};

/* An IPv4 address has one hash, wherever it is. */
static inline uint64_t
sieve_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static inline uint64_t
sieve_hash_ipv4(uint32_t a)
{
	return sieve_mix(a + 0x9e3779b97f4a7c15);
}

/* The upper and the lower 64 bits of an address. */
static inline uint64_t
sieve_hash_ip(uint64_t high, uint64_t low)
{
	if (high == 0 && low >> 32 == 0xffff)
		return sieve_hash_ipv4((uint32_t)low);
	return sieve_mix(low + sieve_mix(high));
}

/* The filters of a block, in the making: begin, then columns, each with n
 * hashes in any order; DISTINCT is how many differ, at least about. */
void sieves_begin(struct bytes *, uint64_t first_id);
void sieves_add(struct bytes *, unsigned column, const uint64_t *hashes,
		size_t n, size_t distinct);
/* Without a column it ends empty. */
void sieves_end(struct bytes *);

/* About how many of the hashes differ. */
size_t sieve_count(const uint64_t *hashes, size_t n);

/* Filters that were read; what they lie in is borrowed. */
struct sieves {
	const uint8_t *p;
	size_t len, n;
	uint64_t first_id;
};

/* -1: these are no filters of that block. */
int sieves_parse(struct sieves *, const void *, size_t len, uint64_t first_id,
		 struct err *);

/* False: no row of the column has an address with this hash.  True also where
 * there is no filter, or a damaged one. */
bool sieves_may_hold(const struct sieves *, unsigned column, uint64_t hash);

/* Looks over all of them. */
int sieves_check(const struct sieves *, struct err *);

#endif
