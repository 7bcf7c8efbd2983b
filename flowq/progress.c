/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flowq/cell.h"
#include "flowq/output.h"

enum { TICK_MS = 100, SHOW_MS = 700 };

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
put(const char *text)
{
	/* A terminal that is gone shows nothing. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

/* Under the lock. */
static void
show(struct progress *p)
{
	size_t done = atomic_load(&p->watch.done);
	size_t todo = atomic_load(&p->watch.todo);
	int64_t ms = now_ms() - p->start;
	char line[CELL_ROOM + 64], rows[CELL_ROOM], stage[32] = "";

	if (!p->terminal || p->quiet || ms < SHOW_MS)
		return;
	rows[cell_units(rows, (double)atomic_load(&p->watch.rows))] = 0;
	if (atomic_load(&p->stages) > 1)
		snprintf(stage, sizeof stage, "step %d of %d, ",
			 atomic_load(&p->stage), atomic_load(&p->stages));
	snprintf(line, sizeof line, "\r\033[K%s%3zu%%, %s rows, %.1fs", stage,
		 todo ? (done < todo ? done : todo) * 100 / todo : 0, rows,
		 (double)ms / 1000);
	put(line);
	p->shown = true;
}

static void
hide(struct progress *p)
{
	if (p->shown)
		put("\r\033[K");
	p->shown = false;
}

void
progress_hide(void *progress)
{
	struct progress *p = progress;

	pthread_mutex_lock(&p->lock);
	hide(p);
	p->quiet = true;
	pthread_mutex_unlock(&p->lock);
}

static void *
run(void *arg)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += TICK_MS * 1000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&p->ended, &p->lock, &t);
		if (p->end)
			break;
		/* It may hide the line, which takes the lock. */
		pthread_mutex_unlock(&p->lock);
		output_tick(p->out);
		pthread_mutex_lock(&p->lock);
		if (!p->end)
			show(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void
progress_start(struct progress *p, struct output *out)
{
	*p = (struct progress){.out = out, .start = now_ms()};
	p->terminal = isatty(STDERR_FILENO);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->ended, NULL);
	/* Without it a query does as well. */
	p->running = pthread_create(&p->thread, NULL, run, p) == 0;
}

void
progress_end(struct progress *p)
{
	if (!p->running)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	hide(p);
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	p->running = false;
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->ended);
}
