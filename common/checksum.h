/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checksum and hash of tables: XXH3, 64 bits, seed 0.
 */
#ifndef COMMON_CHECKSUM_H
#define COMMON_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum(const void *, size_t len);
/* The same with another seed. */
uint64_t checksum_seeded(const void *, size_t len, uint64_t seed);

#endif
