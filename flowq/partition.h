/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of one size, spread over partitions by the top bits of a hash: what
 * is too much for a table that fits a cache is grouped partition by partition.
 *
 * Records lie in runs, whose memory comes in large pieces, and stay until all
 * is cleared or their partition is dropped.
 */
#ifndef FLOWQ_PARTITION_H
#define FLOWQ_PARTITION_H

#include <stddef.h>
#include <stdint.h>

enum { PARTITION_BITS = 11, PARTITIONS = 1 << PARTITION_BITS };

struct run {
	struct run *next;
	size_t n; /* records */
	char records[];
};

struct partition {
	char *at, *end;	  /* where the next record goes */
	struct run *runs; /* the newest first */
};

struct partitions {
	size_t size;  /* of a record, a multiple of 8 */
	size_t room;  /* records of a run */
	size_t piece; /* bytes of memory that is taken at once */
	struct partition *parts;
	struct run *spare;
	struct piece *pieces;
	char *left, *left_end; /* what no run has of the newest piece */
	size_t bytes;	       /* of all pieces */
};

static inline size_t
partition_of(uint64_t hash)
{
	return hash >> (64 - PARTITION_BITS);
}

/* Records of SIZE bytes, in no more memory than about LIMIT if they are dropped
 * by then. -1: memory is out. */
int partitions_init(struct partitions *, size_t size, size_t limit);
/* Zeroed ones are fine. */
void partitions_clear(struct partitions *);

/* A run more for a partition, and its first record. */
char *partitions_grow(struct partitions *, size_t part);

/* Where the next record of a partition goes, aligned to 8; NULL: memory is
 * out. */
static inline char *
partitions_put(struct partitions *p, size_t part)
{
	struct partition *c = &p->parts[part];
	char *at = c->at;

	if (at == c->end)
		return partitions_grow(p, part);
	c->at = at + p->size;
	return at;
}

/* The runs of a partition, each with its number of records. */
const struct run *partitions_runs(struct partitions *, size_t part);
/* Forgets the records of a partition. */
void partitions_drop(struct partitions *, size_t part);

#endif
