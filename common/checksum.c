/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/checksum.h"

#include <xxhash.h>

/* Where there is one, the variant that picks the machine's best SIMD. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

uint64_t
checksum(const void *p, size_t len)
{
	return XXH3_64bits(p, len);
}

uint64_t
checksum_seeded(const void *p, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, len, seed);
}
