/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much memory a query may take, and files for what is more.
 *
 * A query has one budget.  Each thread of a stage that keeps rows or groups may
 * hold a share of it; what is above goes to a file of its own, which has no
 * name, so that nothing is left behind however the program ends.  Each file is
 * written by one thread, to its end, and read by any.
 */
#ifndef FLOWQ_SPILL_H
#define FLOWQ_SPILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct budget {
	const char *dir;	      /* of the files; borrowed */
	size_t memory;		      /* bytes; 0: any */
	atomic_uint_fast64_t spilled; /* bytes that were written */
};

enum { BUDGET_MIN = 4 << 20 };

/* Half of the memory of the machine. */
size_t budget_default(void);
/* TMPDIR, else /var/tmp. */
const char *budget_dir(void);
/* What each of so many threads may hold: two stages may be at work, one that
 * gives rows and one that takes them.  SIZE_MAX: any.  B may be NULL: any. */
size_t budget_share(const struct budget *, size_t threads);
/* WHAT takes more than SIZE bytes and can not be spilled. Always -1. */
int budget_exceeded(struct err *, const char *what, size_t size);

struct spill {
	struct budget *budget;
	bool open;
	int fd;
	uint64_t end; /* bytes that are in the file, */
	char *buf;    /* and those that are to be */
	size_t n;
};

void spill_init(struct spill *, struct budget *);
/* Forgets what is in the file, too; a zeroed one is fine. */
void spill_clear(struct spill *);

/* Appends bytes, which can be read after a flush. */
int spill_put(struct spill *, const void *, size_t, struct err *);
int spill_flush(struct spill *, struct err *);
/* Where the next byte goes. */
uint64_t spill_at(const struct spill *);
/* The file's memory, shared: SIZE bytes at its end.  NULL: err says why. */
void *spill_map(struct spill *, size_t size, struct err *);

/* Reads bytes [at, end). */
struct spill_reader {
	const struct spill *file;
	uint64_t at, end; /* of what is not in buf */
	char *buf;
	size_t cap, pos, len;
};

/* SIZE: of its buffer at first. */
int spill_reader_init(struct spill_reader *, const struct spill *,
		      const uint64_t range[2], size_t size, struct err *);
void spill_reader_clear(struct spill_reader *);
bool spill_reader_done(const struct spill_reader *);
/* The next N bytes, until the next call; NULL: err says why. */
const void *spill_take(struct spill_reader *, size_t n, struct err *);

#endif
