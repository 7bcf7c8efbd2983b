/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bar on stderr while something takes long, if that is a terminal:
 *
 *	check netflows [=======>            ] 38 %
 */
#ifndef FLOWSTORE_PROGRESS_H
#define FLOWSTORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what, *name; /* borrowed */
	uint64_t done, total;
	int64_t next_ms;
	bool shown, terminal;
};

void progress_start(struct progress *, const char *what, const char *name,
		    uint64_t total);
void progress_add(struct progress *, uint64_t done);
/* Takes the bar away. To be called before other lines are written. */
void progress_end(struct progress *);

#endif
