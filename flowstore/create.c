/* SPDX-License-Identifier: BSD-2-Clause */
/* flowstore create: an empty table. */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/place.h"
#include "flowstore/command.h"
#include "flowstore/lock.h"
#include "flowstore/segment.h"

/* Any will do: the writer opens it with its own. */
#define SIZE_MAX_OF_EMPTY (UINT64_C(1) << 30)

static int
create(const char *root, const char *name, struct err *e)
{
	struct segment s = {0};
	struct ledger l = {0};
	char dir[PATH_MAX];
	uint32_t *numbers;
	size_t n;
	int lock, r;

	if (command_is_verb(name))
		return err_set(e, "'%s' is a command, no table's name", name);
	if (place_table(root, name, dir, sizeof(dir), e) != 0 ||
	    lock_make_dirs(dir, e) != 0)
		return -1;
	lock = lock_take(dir, LOCK_WRITER, e);
	if (lock < 0)
		return -1;
	r = place_segments(dir, &numbers, &n, e);
	if (r == 0)
		free(numbers);
	if (r == 0 && n > 0)
		r = err_set(e, "there is a table %s", name);
	if (r == 0)
		r = segment_open(&s, dir, SIZE_MAX_OF_EMPTY, &l, e);
	if (r == 0) {
		segment_close(&s);
		streams_clear(&l.streams);
		command_say("table created: %s", name);
	}
	close(lock);
	return r;
}

int
create_run(const struct command_args *a, struct err *e)
{
	for (int i = 0; i < a->n; i++)
		if (create(a->root, a->words[i], e) != 0)
			return -1;
	return 0;
}
