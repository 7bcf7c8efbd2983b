/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowq: asks tables.
 *
 * in:    a query on the command line; tables below the root
 * out:   rows on stdout; hints and errors on stderr
 * keeps: nothing
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/text.h"
#include "flowq/output.h"
#include "flowq/parse.h"
#include "flowq/plan.h"
#include "flowq/source_table.h"

static const char usage[] =
    "usage: flowq [-q] [--root DIR] [--format FORMAT] [--footer] [--utc] "
    "QUERY\n"
    "\n"
    "Asks the tables that flowstore keeps.  QUERY is commands joined by |:\n"
    "\n"
    "  table [from=T] [to=T] [duration=D] [order=asc] [offset=N] [limit=N]\n"
    "        NAME, ...\n"
    "  search [limit=N] EXPR        keep rows where EXPR is true\n"
    "  stats F, ... [by K, ...]     count, sum(x), avg(x), min(x), max(x)\n"
    "  sort [limit=N] [-]F, ...     - for descending\n"
    "  limit [SKIP] N\n"
    "  fields F, ...                fields - F, ... drops them\n"
    "  rename F as NAME, ...\n"
    "  eval NAME = EXPR, ...\n"
    "\n"
    "  --root DIR         where the tables are (else FLOW_ROOT)\n"
    "  --format FORMAT    row, table, json, csv or tsv; without it table on\n"
    "                     a terminal, else row\n"
    "  --footer           end with the number of rows and the time it took\n"
    "  --utc              times in the query are in UTC, not local\n"
    "  -q, --quiet        no hints about names that no row has\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "example: flowq 'table duration=1h netflows | search dst_port == 443 |\n"
    "         stats sum(octet_count) as octets by src_addr |\n"
    "         sort limit=10 -octets'\n";

struct options {
	const char *root;
	int format;
	bool footer, quiet;
};

struct run {
	const struct options *opts;
	const char *text;
	struct arena arena;
	struct lexer lexer;
	struct query query;
	struct source *src;
	struct plan plan;
	struct output *out;
	struct err err;
	double start;
};

enum { OPT_ROOT = 256, OPT_FORMAT, OPT_FOOTER, OPT_UTC };

static void
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
	    {"root", required_argument, NULL, OPT_ROOT},
	    {"format", required_argument, NULL, OPT_FORMAT},
	    {"footer", no_argument, NULL, OPT_FOOTER},
	    {"utc", no_argument, NULL, OPT_UTC},
	    {"quiet", no_argument, NULL, 'q'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hqV", longs, NULL)) != -1)
		switch (c) {
		case OPT_ROOT:
			o->root = optarg;
			break;
		case OPT_FORMAT:
			o->format = output_find(optarg);
			if (o->format < 0)
				cli_usage("flowq",
					  "unknown format %s (row, table, "
					  "json, csv, tsv)",
					  optarg);
			break;
		case OPT_FOOTER:
			o->footer = true;
			break;
		case OPT_UTC:
			setenv("TZ", "UTC", 1);
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			cli_help(usage);
		case 'V':
			cli_version("flowq");
		default:
			cli_bad_option("flowq", argv);
		}
}

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

static unsigned
terminal_width(void)
{
	struct winsize w;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0)
		return 0;
	return w.ws_col;
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
	size_t pos = r->lexer.err_pos, len = strlen(t), start, end;
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
	log_line("%s", r->err.text);
	return EXIT_FAILED;
}

static void
say_hint(const char *text)
{
	log_line("%s", text);
}

static int
open_table(struct run *r)
{
	const struct table_name *bad;
	char root[4096];

	if (table_root(r->opts->root, root, sizeof root, &r->err))
		return failure(r);
	if (table_source_new(root, &r->query.source.spec, &r->src, &bad,
			     &r->err))
		return failure(r);
	return EXIT_DONE;
}

static int
run_stages(struct run *r)
{
	bool footer =
	    r->opts->footer || (r->opts->format < 0 && isatty(STDOUT_FILENO));
	uint64_t overflows = 0;
	struct err err;

	for (struct stage *s = r->plan.first; s; s = s->next) {
		struct scan scan = {
		    .src = s->src, .filter = s->filter, .sink = s->sink};

		if (scan_run(&scan, &r->err)) {
			output_end(r->out, -1, &err); /* what there was */
			return failure(r);
		}
		overflows += scan.overflows;
	}
	if (output_end(r->out, footer ? seconds() - r->start : -1, &r->err))
		return failure(r);
	if (overflows)
		log_line("values that left 64 bits and count as null: %llu",
			 (unsigned long long)overflows);
	return EXIT_DONE;
}

static int
run_query(struct run *r)
{
	int format = r->opts->format;
	struct writer writer;
	int64_t now = now_us();
	int rc;

	lexer_init(&r->lexer, r->text, strlen(r->text), &r->arena, &r->err);
	if (query_parse(&r->lexer, now, &r->query))
		return syntax_error(r);
	rc = open_table(r);
	if (rc)
		return rc;
	if (format < 0)
		format = isatty(STDOUT_FILENO) ? OUTPUT_TABLE : OUTPUT_ROW;
	r->out = output_new(STDOUT_FILENO, (enum output_format)format,
			    terminal_width());
	if (!r->out) {
		err_set(&r->err, "out of memory");
		return failure(r);
	}
	writer = (struct writer){r->out, output_write};
	r->plan.arena = &r->arena;
	r->plan.lexer = &r->lexer;
	r->plan.binder.now = now;
	r->plan.hint = r->opts->quiet ? NULL : say_hint;
	if (plan_make(&r->plan, r->src, &r->query, r->out, &writer))
		return syntax_error(r);
	if (r->query.explain) {
		plan_explain(&r->plan, stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	return run_stages(r);
}

int
main(int argc, char **argv)
{
	struct options opts = {.format = -1};
	struct run run = {.opts = &opts, .start = seconds()};
	int rc;

	log_init("flowq");
	parse_options(argc, argv, &opts);
	if (argc - optind != 1)
		cli_usage("flowq",
			  argc == optind ? "no query" : "one query, in quotes");
	signal(SIGPIPE, SIG_IGN);
	tzset();
	run.text = argv[optind];
	rc = run_query(&run);
	plan_clear(&run.plan);
	output_free(run.out);
	source_free(run.src);
	arena_free(&run.arena);
	return rc;
}
