/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/scan.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "flowq/interrupt.h"

enum { THREADS_MAX = 64 };

/* What the threads share. */
struct work {
	struct scan *scan;
	size_t *todo, n;
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t lock; /* of failed and err */
	bool failed;
	struct err err;
};

struct worker {
	struct work *work;
	size_t number;
	struct view view;
	struct err err;
	pthread_t thread;
	bool running;
};

size_t
scan_threads(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

static void
fail(struct work *w, const struct err *err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->failed)
		w->err = *err;
	w->failed = true;
	pthread_mutex_unlock(&w->lock);
	atomic_store(&w->stop, true);
}

static int
do_block(struct worker *k, size_t nth)
{
	struct work *w = k->work;
	struct scan *s = w->scan;
	int rc;

	if (view_open(&k->view, w->todo[nth]))
		return -1;
	rc = filter_run(s->filter, &k->view);
	if (rc == 0)
		rc = s->sink->ops->block(s->sink, k->number, &k->view, nth,
					 &w->stop);
	if (s->watch) {
		atomic_fetch_add(&s->watch->done, 1);
		atomic_fetch_add(&s->watch->rows, k->view.block.rows);
	}
	view_close(&k->view);
	return rc;
}

static void *
worker_run(void *arg)
{
	struct worker *k = arg;
	struct work *w = k->work;

	while (!atomic_load(&w->stop)) {
		size_t nth = atomic_fetch_add(&w->next, 1);

		if (nth >= w->n || atomic_load(&interrupted))
			break;
		if (do_block(k, nth)) {
			fail(w, &k->err);
			break;
		}
	}
	return NULL;
}

/* The blocks that need to be read, after statistics had their say. */
static int
choose(struct work *w, struct err *err)
{
	struct scan *s = w->scan;
	struct sink *sink = s->sink;

	w->todo = malloc((s->src->blocks + 1) * sizeof(*w->todo));
	if (!w->todo)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < s->src->blocks; i++) {
		enum verdict v = filter_check(s->filter, s->src, i);
		int rc = 0;

		if (v == NO_ROW) {
			s->pruned++;
			continue;
		}
		if (v == EVERY_ROW && sink->ops->header && !s->src->lazy)
			rc = sink->ops->header(sink, s->src, i, err);
		if (rc < 0)
			return -1;
		s->from_header += rc > 0;
		if (rc == 0)
			w->todo[w->n++] = i;
	}
	s->read = w->n;
	if (s->watch) {
		atomic_store(&s->watch->done, 0);
		atomic_store(&s->watch->todo, w->n);
	}
	return 0;
}

static int
run_workers(struct work *w, struct worker *workers, size_t threads,
	    struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < threads && rc == 0; i++) {
		workers[i].work = w;
		workers[i].number = i;
		rc = view_init(&workers[i].view, w->scan->src, &workers[i].err);
	}
	if (rc)
		return err_set(err, "out of memory");
	/* A thread that can not be had is work for the others. */
	for (size_t i = 1; i < threads; i++)
		workers[i].running =
		    pthread_create(&workers[i].thread, NULL, worker_run,
				   &workers[i]) == 0;
	worker_run(&workers[0]);
	for (size_t i = 1; i < threads; i++)
		if (workers[i].running)
			pthread_join(workers[i].thread, NULL);
	if (atomic_load(&interrupted))
		return interrupt_err(err);
	if (w->failed) {
		*err = w->err;
		return -1;
	}
	return 0;
}

/* Passes all blocks to the sink: 1 if that is to be done again. */
static int
pass(struct scan *s, size_t threads, struct err *err)
{
	struct work w = {.scan = s, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct worker *workers = NULL;
	int rc = -1;

	s->pruned = s->from_header = s->read = 0;
	s->columns_read = s->overflows = 0;
	if (choose(&w, err))
		goto out;
	if (threads > w.n)
		threads = w.n;
	workers = calloc(threads + 1, sizeof(*workers));
	if (!workers) {
		err_set(err, "out of memory");
		goto out;
	}
	rc = threads ? run_workers(&w, workers, threads, err) : 0;
	for (size_t i = 0; i < threads; i++) {
		s->columns_read += workers[i].view.columns_read;
		s->overflows += workers[i].view.eval.overflows;
		view_clear(&workers[i].view);
	}
	if (rc == 0 && s->sink->ops->again)
		rc = s->sink->ops->again(s->sink, err);
out:
	free(workers);
	free(w.todo);
	return rc;
}

int
scan_run(struct scan *s, struct err *err)
{
	size_t threads = scan_threads();
	int rc;

	if ((s->src->ops->prepare && s->src->ops->prepare(s->src, err)) ||
	    s->sink->ops->start(s->sink, threads, err))
		return -1;
	do
		rc = pass(s, threads, err);
	while (rc > 0);
	return rc < 0 ? -1 : s->sink->ops->finish(s->sink, err);
}
