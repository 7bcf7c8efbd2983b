/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which encoding of flowtable(5) suits a vector of integers.
 *
 * What is known of all values (their range, their runs, their steps) and a
 * sorted sample of them are enough to estimate what each encoding takes; none
 * is tried out.  What it takes is bits, and work: encodings that are slow to
 * make and to read pay for it in bits, so a slower one is taken only where it
 * saves more than a little.
 */
#ifndef COMMON_CHOOSE_H
#define COMMON_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are part of flowtable(5): never renumber. */
enum encoding {
	ENC_CONST = 0,
	ENC_PACKED = 1, /* base + scale * packed */
	ENC_RUNS = 2,
	ENC_DICT = 3,
	ENC_PATCHED = 4, /* another vector, and exceptions to it */
	ENC_DELTA = 5,
	ENC_LINEAR = 6, /* another column of the block, and a residue */
	ENC_ESCAPE = 7, /* few frequent values, the rest apart */
	ENC_MAP = 8,	/* a value per entry of another column's dictionary */
	ENCODINGS
};

enum {
	CHOOSE_SAMPLE = 512,
	CHOOSE_NEAR = 65536,  /* ranges below it are looked up, not hashed */
	ENC_ESCAPE_MAX = 255, /* frequent values */
};

/* What is known of n values; all of them less their minimum. */
struct facts {
	size_t n;
	uint64_t range; /* the largest */
	size_t runs;	/* of equal values */
	uint64_t steps; /* largest difference of neighbours less the least;
			   UINT64_MAX if it is not known */
	bool no_escape;
};

struct choice {
	enum encoding kind; /* CONST, PACKED, RUNS, PATCHED, DELTA, ESCAPE */
	double cost;	    /* bits */
	unsigned width;	    /* of PACKED, and of PATCHED */
	uint64_t base;	    /* of PATCHED */
	size_t distinct;    /* up to so many entries a dictionary is better */
	size_t frequent;    /* of ESCAPE */
	uint64_t top[ENC_ESCAPE_MAX];
};

/* The rows to sample: fills AT, returns how many. */
size_t choose_rows(size_t n, uint32_t at[CHOOSE_SAMPLE]);

/* What needs no sample.  True if a sample may show something better. */
bool choose_simple(const struct facts *, struct choice *);
/* The rest. The sample, which is sorted here, holds k values at choose_rows. */
void choose_sampled(const struct facts *, uint64_t *sample, size_t k,
		    struct choice *);

#endif
