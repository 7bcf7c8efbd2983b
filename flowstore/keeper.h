/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a table's writer does beside writing, about once a second: retention,
 * the floor of free disk, readers that died, and the wish of another process
 * to have the newest segment finished (flowtable(5), .roll).
 *
 * What goes wrong here is told and tried again; writing goes on.
 */
#ifndef FLOWSTORE_KEEPER_H
#define FLOWSTORE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "flowstore/finished.h"

struct keeper_options {
	uint64_t segment_size; /* bytes; a segment beyond it is finished */
	int64_t segment_age;   /* seconds; and so is one older than this */
	/* free disk, the larger of the two; 0: any */
	uint64_t min_free;    /* bytes */
	double min_free_part; /* 0.05 is 5 % */
	bool remove_oldest;   /* when less is free; else writing is held */
};

/* 1 GiB, a day, 5 % */
#define KEEPER_DEFAULTS                                                      \
	{                                                                    \
		.segment_size = UINT64_C(1) << 30,                           \
		.segment_age = (int64_t)24 * 60 * 60, .min_free_part = 0.05, \
	}

struct keeper {
	struct keeper_options opt;
	int lock; /* of the table; the writer's */
	struct finished finished;
	struct retention retention;
	int64_t next_look, next_disk; /* ms */
	int64_t clock;		      /* wall clock less boot clock, us */
	int64_t trust;		      /* boot clock from which it is believed */
	bool left;		      /* retention has more to look at */
	/* what the writer does */
	bool roll;  /* begin a new segment now */
	bool holds; /* take no more records until there is room */
	uint64_t segment_size;
	int64_t segment_age;
	uint64_t removed; /* segments */
	struct log_limit complaint;
};

/* DIR is borrowed until the return only. */
void keeper_init(struct keeper *, const char *dir, int lock,
		 const struct keeper_options *);
void keeper_clear(struct keeper *);

/* May be called as often as one likes. True: it is time for the writer to look
 * at what is said above. */
bool keeper_look(struct keeper *);

/* A new segment was begun: whoever wished for it is told. */
void keeper_rolled(struct keeper *);

#endif
