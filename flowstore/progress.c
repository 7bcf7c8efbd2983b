/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

enum { WIDTH = 40, FIRST_MS = 500, EVERY_MS = 100, NAME_SHOWN = 30 };

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
progress_start(struct progress *p, const char *what, const char *name,
	       uint64_t total)
{
	*p = (struct progress){.what = what,
			       .name = name,
			       .total = total,
			       .next_ms = now_ms() + FIRST_MS,
			       .terminal = isatty(STDERR_FILENO)};
}

void
progress_add(struct progress *p, uint64_t done)
{
	char name[NAME_SHOWN + 1], bar[WIDTH + 1];
	size_t filled;

	p->done += done;
	if (!p->terminal || p->total == 0 || now_ms() < p->next_ms)
		return;
	p->next_ms = now_ms() + EVERY_MS;
	p->shown = true;
	if (p->done > p->total)
		p->done = p->total;
	filled = (size_t)((double)p->done / (double)p->total * WIDTH);
	memset(bar, ' ', WIDTH);
	memset(bar, '=', filled);
	if (filled < WIDTH)
		bar[filled] = '>';
	bar[WIDTH] = 0;
	snprintf(name, sizeof(name), "%s", p->name);
	text_defuse(name, strlen(name));
	fprintf(stderr, "\r%s %s [%s] %d %%", p->what, name, bar,
		(int)((double)p->done / (double)p->total * 100));
}

void
progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
