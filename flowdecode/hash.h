/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hashes of what strangers send.  A table begins with a seed of its own, so
 * that nobody can choose keys that fall into one place.
 */
#ifndef FLOWDECODE_HASH_H
#define FLOWDECODE_HASH_H

#include <stdint.h>

/* H, a seed or the hash of what came before, with V in it. */
static inline uint64_t
hash_mix(uint64_t h, uint64_t v)
{
	__uint128_t m = (__uint128_t)(h ^ v) * 0x9e3779b97f4a7c15;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#endif
