/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/session.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/text.h"
#include "flowq/interrupt.h"
#include "flowq/output.h"
#include "flowq/parse.h"
#include "flowq/plan.h"
#include "flowq/progress.h"

struct run {
	const struct settings *set;
	const char *text;
	size_t len;
	struct arena arena;
	struct lexer lexer;
	struct query query;
	struct plan plan;
	struct screen *screen;
	struct output *out;
	struct writer writer;
	struct progress progress;
	struct err err;
	uint64_t overflows;
	double start;
};

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A byte of a character, but not its first. */
static bool
is_inside(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

enum { CONTEXT = 512 }; /* of a long line that is shown on each side */

/* Columns of text[0, len), tabs counted as the one that is printed. */
static int
caret_column(const char *text, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += !is_inside(text[i]);
	return n;
}

/* The error, the query's line that it is in, and a caret. */
static int
syntax_error(const struct run *r)
{
	const char *t = r->text;
	size_t pos = r->lexer.err_pos, len = r->len, start, end;
	char line[2 * CONTEXT + 1];
	size_t n;

	pos = pos > len ? len : pos;
	for (start = pos; start > 0 && t[start - 1] != '\n';)
		start--;
	for (end = pos; end < len && t[end] != '\n';)
		end++;
	start = pos - start > CONTEXT ? pos - CONTEXT : start;
	while (start < pos && is_inside(t[start]))
		start++;
	end = end - pos > CONTEXT ? pos + CONTEXT : end;
	while (end > pos && is_inside(t[end]))
		end--;
	n = end - start;
	memcpy(line, t + start, n);
	line[n] = 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = ' ';
	text_defuse(line, n);
	pos = pos - start < n ? pos - start : n;
	log_line("%s", r->err.text);
	fprintf(stderr, "  %s\n  %*s^\n", line, caret_column(line, pos), "");
	return EXIT_USAGE;
}

static int
failure(const struct run *r)
{
	if (r->err.code == EPIPE)
		return EXIT_DONE;
	if (atomic_load(&interrupted)) {
		log_line("interrupted");
		return EXIT_INTERRUPTED;
	}
	log_line("%s", r->err.text);
	return EXIT_FAILED;
}

static void
say_hint(const char *text)
{
	log_line("%s", text);
}

/* What a stage did. */
static void
profile(const struct scan *scan, int n, uint64_t spilled, double took)
{
	log_line("step %d, %s: %zu blocks read, %zu answered from their "
		 "headers, %zu pruned; %llu columns decoded, %llu rows; "
		 "%.1f MiB spilled; %.3fs",
		 n, scan->sink->ops->name, scan->read, scan->from_header,
		 scan->pruned, (unsigned long long)scan->columns_read,
		 (unsigned long long)atomic_load(&scan->watch->rows),
		 (double)spilled / (1 << 20), took);
}

static int
run_stage(struct run *r, struct stage *s, int n)
{
	struct scan scan = {.src = s->src,
			    .filter = s->filter,
			    .sink = s->sink,
			    .watch = &r->progress.watch};
	uint64_t spilled = atomic_load(&r->plan.budget.spilled);
	double start = seconds();

	atomic_store(&r->progress.stage, n);
	atomic_store(&scan.watch->rows, 0);
	if (scan_run(&scan, &r->err))
		return -1;
	s->done = true;
	r->overflows += scan.overflows;
	if (r->set->profile)
		profile(&scan, n,
			atomic_load(&r->plan.budget.spilled) - spilled,
			seconds() - start);
	return 0;
}

/* Those that did not run yet. */
static int
run_stages(struct run *r)
{
	int n = 0;

	if (!r->progress.running) {
		progress_start(&r->progress, r->out);
		screen_before(r->screen, progress_hide, &r->progress);
	}
	for (const struct stage *s = r->plan.first; s; s = s->next)
		n++;
	atomic_store(&r->progress.stages, n);
	n = 0;
	for (struct stage *s = r->plan.first; s; s = s->next) {
		n++;
		if (!s->done && run_stage(r, s, n))
			return -1;
	}
	return 0;
}

/* The plan's. */
static int
run_some(struct plan *p)
{
	struct run *r = (struct run *)((char *)p - offsetof(struct run, plan));

	return run_stages(r);
}

static int
run_all(struct run *r)
{
	bool footer =
	    r->set->footer || (r->set->format < 0 && isatty(STDOUT_FILENO));
	struct err err;

	if (run_stages(r)) {
		output_end(r->out, -1, &err); /* what there was */
		return -1;
	}
	if (output_end(r->out, footer ? seconds() - r->start : -1, &r->err))
		return -1;
	if (r->overflows)
		log_line("values that left 64 bits and count as null: %llu",
			 (unsigned long long)r->overflows);
	return 0;
}

static int
make_output(struct run *r)
{
	bool terminal = isatty(STDOUT_FILENO);
	int format = r->set->format;
	struct output_style style = {.units = r->set->units};

	if (format < 0)
		format = terminal ? OUTPUT_TABLE : OUTPUT_ROW;
	style.format = (enum output_format)format;
	r->screen = screen_new(STDOUT_FILENO, !r->set->no_pager);
	if (r->screen)
		r->out = output_new(r->screen, &style);
	return r->out ? 0 : err_set(&r->err, "out of memory");
}

static int
run_query(struct run *r)
{
	int rc;

	lexer_init(&r->lexer, r->text, r->len, &r->arena, &r->err);
	r->lexer.now = now_us();
	if (query_parse(&r->lexer, &r->query))
		return syntax_error(r);
	if (make_output(r))
		return failure(r);
	r->plan.arena = &r->arena;
	r->plan.lexer = &r->lexer;
	r->plan.site = &r->set->site;
	r->plan.hint = r->set->quiet ? NULL : say_hint;
	if (!r->query.explain)
		r->plan.run = run_some;
	r->writer = (struct writer){r->out, output_write};
	if (plan_make(&r->plan, &r->query, r->out, &r->writer)) {
		progress_end(&r->progress);
		return r->plan.failed ? failure(r) : syntax_error(r);
	}
	if (r->query.explain) {
		plan_explain(&r->plan, stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	rc = run_all(r);
	progress_end(&r->progress);
	return rc ? failure(r) : EXIT_DONE;
}

int
session_ask(const struct settings *set, const char *text, size_t len)
{
	struct run r = {
	    .set = set, .text = text, .len = len, .start = seconds()};
	int rc;

	interrupt_catch();
	if (set->console)
		interrupt_keep();
	rc = run_query(&r);
	plan_clear(&r.plan);
	output_free(r.out);
	screen_free(r.screen);
	arena_free(&r.arena);
	return rc;
}

/* The columns of a query of which only the first COMMANDS count. */
static int
list_columns(const struct settings *set, const char *text, size_t len,
	     bool source_only, char ***names, size_t *n)
{
	struct run r = {.set = set, .text = text, .len = len};
	int rc = -1;

	lexer_init(&r.lexer, text, len, &r.arena, &r.err);
	r.lexer.now = now_us();
	r.plan.arena = &r.arena;
	r.plan.lexer = &r.lexer;
	r.plan.site = &set->site;
	if (query_parse(&r.lexer, &r.query) == 0 && r.query.commands) {
		if (source_only)
			r.query.commands->next = NULL;
		rc = plan_begin(&r.plan, &r.query);
	}
	*n = 0;
	*names = rc ? NULL : calloc(r.plan.ncols + 1, sizeof(**names));
	for (size_t i = 0; *names && i < r.plan.ncols; i++) {
		(*names)[*n] = strdup(r.plan.cols[i].name);
		*n += (*names)[*n] != NULL;
	}
	plan_clear(&r.plan);
	arena_free(&r.arena);
	return *names ? 0 : -1;
}

void
session_columns(const struct settings *set, const char *text, size_t len,
		char ***names, size_t *n)
{
	const char *bar = memchr(text, '|', len);

	if (list_columns(set, text, len, false, names, n))
		list_columns(set, text, bar ? (size_t)(bar - text) : len, true,
			     names, n);
}
