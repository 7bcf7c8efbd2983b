/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/help.h"

#include <string.h>
#include <strings.h>

#include "common/function.h"
#include "common/nearest.h"
#include "flowq/aggregate.h"
#include "flowq/verb.h"

/* Each example runs over the table that t/try makes; flowq(1) has them too. */
static const struct topic {
	const char *name, *usage, *text, *example;
} topics[] = {
    {"table", "table [OPTION=VALUE ...] NAME, ...",
     "The rows of tables, newest first.  A name may have * in it; NAME? may "
     "be\n"
     "absent.  Options: from= and to= (20261101, 2026-11-01T15:30, now-1h; to "
     "is\n"
     "not included), duration=10m (s m h d w mon) back from now, order=asc,\n"
     "offset=N, limit=N.",
     "table duration=1mon netflows | stats count"},
    {"csvfile", "csvfile [header=f] [sep=C] PATH",
     "The rows of a CSV file; - is standard input.  A field has the narrowest\n"
     "type that fits all its values.",
     NULL},
    {"jsonfile", "jsonfile PATH",
     "The same of JSON objects, one after another or in one array.  Members "
     "of an\n"
     "object inside are fields a.b.",
     NULL},
    {"system", "system tables | count | disk | exporters | loggers | pipeline",
     "Tables with rows, bytes, times; their counts; the disk; what flowdecode "
     "and\n"
     "flowlog know; what came and what became of it, stage by stage.",
     "system tables | fields table, rows, newest"},
    {"search", "search [limit=N] EXPR",
     "Keeps the rows for which EXPR is true.  A string is a flow filter as\n"
     "nfdump has them.  where is the same word.",
     "table netflows | search dst_port == 443 and protocol == tcp | stats "
     "count"},
    {"where", "where [limit=N] EXPR", "The same as search.",
     "table netflows | where octet_count > 10K | stats count"},
    {"eval", "eval NAME = EXPR, ...", "Adds fields, or replaces them.",
     "table netflows | eval size = octet_count / packet_count | stats "
     "max(size)"},
    {"fields", "fields [-] F, ...",
     "Only these fields, in this order; with - all but these.",
     "table netflows | fields _time, src_addr, dst_addr, octet_count | limit "
     "5"},
    {"rename", "rename F as NAME, ...", "Other names for fields.",
     "table netflows | rename octet_count as octets | stats sum(octets)"},
    {"stats", "stats F, ... [by K, ...]",
     "Aggregates, one row for each value of the keys, in their order; without "
     "by\n"
     "one row, also over no input.  See help aggregates.",
     "table netflows | stats count, sum(octet_count) as octets by protocol"},
    {"timechart", "timechart [span=1m] [limit=N] [fill=no] F, ... [by K]",
     "Aggregates for each span of time: 10s, 5m, 1h, 1d, 1w, 1mon, 1y; "
     "without\n"
     "span= some hundred of them.  With by each value becomes a column, the "
     "10\n"
     "largest (limit=N) by the first aggregate, and other.  Spans without "
     "rows\n"
     "are there too, unless fill=no.  --format chart draws it.",
     "table netflows | timechart span=1m sum(octet_count) by protocol"},
    {"top", "top [limit=N] K, ... [by F]",
     "The 10 (limit=N) largest groups by an aggregate, which is count if none\n"
     "is named, and their share of all in percent.",
     "table netflows | top limit=5 src_addr by sum(octet_count)"},
    {"sort", "sort [limit=N] [-]F, ...",
     "Rows in order; - for descending.  Nulls come first, or last if "
     "descending.",
     "table netflows | stats sum(octet_count) as octets by src_addr | sort "
     "limit=10 -octets"},
    {"limit", "limit [SKIP] N",
     "Only so many rows.  No more is read than it takes.",
     "table netflows | limit 3"},
    {"dedup", "dedup K, ...",
     "The first row of each key, in the order in which rows would be shown.",
     "table netflows | dedup src_addr | fields src_addr | limit 5"},
    {"join", "join [type=left] K, ... [ QUERY ]",
     "Each row with those that the query in brackets has for its key.  "
     "type=left\n"
     "keeps rows without any.",
     "table netflows | stats count by src_addr | join src_addr [ table "
     "netflows | stats sum(octet_count) as octets by src_addr ] | limit 5"},
    {"union", "union [ QUERY ]", "The rows of both.",
     "table netflows | stats count | union [ table netflows | search dst_port "
     "== 443 | stats count ]"},
    {"lookup", "lookup FILE K [as COLUMN] output F [as NAME], ...",
     "Fields from a CSV file whose column has the value of K, or the longest\n"
     "network that has the address; or from a MaxMind database: country, "
     "city,\n"
     "asn, as_org ...",
     NULL},
    {"outputcsv", "outputcsv [overwrite=t] PATH [F, ...]",
     "Writes the rows to a file instead of showing them.", NULL},
    {"outputjson", "outputjson [overwrite=t] PATH [F, ...]",
     "Writes the rows to a file instead of showing them.", NULL},
    {"import", "import TABLE", "Stores the rows in a table.", NULL},
    {"explain", "explain QUERY",
     "Tells what the query would read, and reads nothing.",
     "explain table netflows | search src_addr in 10.0.0.0/8 | stats count"},
    {"expressions", NULL,
     "From the tightest: -   * / %   + -   == != < <= > >= in has   not   and "
     "  or\n"
     "Literals: 10K, 1.5M; \"text\", where * after == stands for any text;\n"
     "10.0.0.1, 10.0.0.0/8, 2001:db8::1; 10m, 1h30m; 2026-11-23T15:30; tcp; "
     "syn.\n"
     "  src_addr in 10.0.0.0/8         dst_port in (80, 443)\n"
     "  tcp_flags has syn and not tcp_flags has ack\n"
     "  start_time > now - 1h          interface_name == \"eth*\"\n"
     "A null equals nothing; an operation on null is null; division is real.\n"
     "A name that is no word stands in backquotes.",
     "table netflows | search src_addr in 127.0.0.0/8 or dst_port in (80, "
     "443) | stats count"},
    {"functions", NULL, NULL,
     "table netflows | stats count by network(src_addr, 24) as net"},
    {"aggregates", NULL, NULL,
     "table netflows | stats count, avg(octet_count), max(packet_count)"},
};

enum { TOPICS = sizeof topics / sizeof *topics };

static bool
is_command(const struct topic *t)
{
	size_t n = strlen(t->name);

	return verb_find(true, t->name, n) || verb_find(false, t->name, n) ||
	       strcmp(t->name, "explain") == 0;
}

/* What this flowq has. */
static bool
is_there(const struct topic *t)
{
	return is_command(t) || !t->usage;
}

const char *
help_topic(size_t i)
{
	for (size_t k = 0; k < TOPICS; k++)
		if (is_there(&topics[k]) && i-- == 0)
			return topics[k].name;
	return NULL;
}

static void
print_functions(FILE *f)
{
	int column = 0;

	for (const struct function *p = functions; p->name; p++) {
		int n = (int)(strlen(p->name) + strlen(p->usage));

		if (column && column + n > 76) {
			fputc('\n', f);
			column = 0;
		}
		fprintf(f, "%s%s%s", column ? "  " : "", p->name, p->usage);
		column += n + 2;
	}
	fputc('\n', f);
}

static void
print_topic(FILE *f, const struct topic *t)
{
	if (t->usage)
		fprintf(f, "%s\n\n", t->usage);
	if (strcmp(t->name, "functions") == 0)
		print_functions(f);
	else if (strcmp(t->name, "aggregates") == 0)
		fprintf(f, "%s\n", aggregate_names());
	else
		fprintf(f, "%s\n", t->text);
	if (t->example)
		fprintf(f, "\nexample: %s\n", t->example);
}

static void
print_all(FILE *f)
{
	fputs("A query is commands joined by |, the first a source:\n\n", f);
	for (size_t i = 0; i < TOPICS; i++)
		if (is_command(&topics[i]) && topics[i].usage)
			fprintf(f, "  %s\n", topics[i].usage);
	fputs("\nhelp COMMAND, help expressions, help functions, help "
	      "aggregates\n"
	      "\n"
	      "  \\format NAME     row, table, json, csv, tsv, chart\n"
	      "  \\units           large numbers of a table as 1.2M, or not\n"
	      "  \\timing          rows and time at the end, or not\n"
	      "  \\pager           a pager for long answers, or not\n"
	      "  \\tables          the tables there are\n"
	      "  \\q               ends it; Ctrl-D does too\n"
	      "\n"
	      "A line that ends in | or \\ goes on in the next.  Ctrl-C ends a "
	      "query.\n",
	      f);
}

int
help_print(FILE *f, const char *name, size_t len)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	if (len == 0) {
		print_all(f);
		return 0;
	}
	nearest_init(&near, name, len);
	for (size_t i = 0; i < TOPICS; i++) {
		if (!is_there(&topics[i]))
			continue;
		nearest_try(&near, topics[i].name);
		if (strlen(topics[i].name) == len &&
		    !strncasecmp(topics[i].name, name, len)) {
			print_topic(f, &topics[i]);
			return 0;
		}
	}
	fprintf(f, "there is no help about %.*s%s\n",
		(int)(len > 40 ? 40 : len), name,
		nearest_hint(&near, hint, sizeof hint));
	return -1;
}
