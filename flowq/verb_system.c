/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/json.h"
#include "common/nearest.h"
#include "common/place.h"
#include "common/table.h"
#include "flowq/json.h"
#include "flowq/plan.h"
#include "flowq/source_text.h"
#include "flowq/system.h"

/*
 * Rows about the system itself: what lies on disk, and the states that
 * flowdecode and flowlog keep in files.
 */

enum { STATE_MAX = 256 << 20, PATH_ROOM = 4096 };

struct system_args {
	const struct topic *topic;
	const char *path; /* of a state file or directory; NULL: usual */
};

struct topic {
	const char *name;
	int (*plan)(struct plan *, const struct system_args *);
};

int
making_row(struct making *m, const struct literal *values, struct err *err)
{
	struct vec vecs[SYSTEM_COLUMNS];

	for (size_t i = 0; i < m->n; i++)
		vecs[i] = (struct vec){.type = values[i].type,
				       .constant = true,
				       .data = &values[i].u};
	return rowset_append(m->rows, vecs, 1, err);
}

static int
open_rows(struct plan *p, struct making *m,
	  int (*fill)(struct plan *, struct making *, struct err *))
{
	struct source *src = rowsource_new(m->n, m->names, m->types);
	struct err *err = p->lexer->err;

	m->rows = rowset_new(m->n, m->types);
	if (!src || !m->rows) {
		rowset_free(m->rows);
		source_free(src);
		return plan_oom(p);
	}
	if (fill(p, m, err)) {
		rowset_free(m->rows);
		source_free(src);
		return plan_fail(p);
	}
	/* Even no row is a block. */
	if (rowsource_add(src, m->rows, err)) {
		source_free(src);
		return plan_fail(p);
	}
	return plan_source(p, src);
}

struct literal
literal_number(uint64_t u)
{
	return (struct literal){.type = TYPE_UINT, .u = u};
}

struct literal
literal_text(const char *s)
{
	return (struct literal){.type = TYPE_STRING, .s = {s, strlen(s)}};
}

/*
 * Tables.
 */

/* What the headers of a table and its files say. */
struct summary {
	uint64_t rows, blocks, bytes, segments, shapes;
	bool timed;
	int64_t oldest, newest;
};

static void
count_files(const char *root, const char *name, struct summary *s)
{
	char dir[PATH_ROOM], file[PATH_ROOM + SEGMENT_NAME_MAX];
	char segment[SEGMENT_NAME_MAX];
	struct err err;
	uint32_t *numbers;
	size_t n;

	if (place_table(root, name, dir, sizeof dir, &err) ||
	    place_segments(dir, &numbers, &n, &err))
		return;
	s->segments = n;
	for (size_t i = 0; i < n; i++) {
		struct stat st;

		place_segment(numbers[i], segment);
		snprintf(file, sizeof file, "%s/%s", dir, segment);
		if (stat(file, &st) == 0)
			s->bytes += (uint64_t)st.st_blocks * 512;
	}
	free(numbers);
}

static void
count_times(const struct block *b, struct summary *s)
{
	int c = shape_find(b->shape, "_time");
	const struct column_stat *stat = c < 0 ? NULL : &b->stats[c];

	if (!stat || !stat->has_minmax)
		return;
	if (!s->timed || stat->min.i < s->oldest)
		s->oldest = stat->min.i;
	if (!s->timed || stat->max.i > s->newest)
		s->newest = stat->max.i;
	s->timed = true;
}

static int
summarize(const char *root, const char *name, struct summary *s,
	  struct err *err)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	struct table *t;

	*s = (struct summary){0};
	count_files(root, name, s);
	if (!shapes)
		return err_set(err, "out of memory");
	if (table_open(&t, root, name, shapes, err)) {
		shapes_free(shapes);
		return -1;
	}
	s->blocks = table_blocks(t);
	for (size_t i = 0; i < s->blocks; i++) {
		const struct block *b = table_block(t, i);

		s->rows += b->rows;
		count_times(b, s);
	}
	s->shapes = shapes_count(shapes);
	table_close(t);
	shapes_free(shapes);
	return 0;
}

static struct literal
time_or_null(bool there, int64_t us)
{
	if (!there)
		return (struct literal){.type = TYPE_NULL};
	return (struct literal){.type = TYPE_TIME, .i = us};
}

/* Calls ADD for each table. */
static int
each_table(struct plan *p, struct making *m,
	   int (*add)(struct making *, const char *name, const struct summary *,
		      const struct err *problem, struct err *),
	   struct err *err)
{
	char **names;
	size_t n;
	int rc = 0;

	if (table_names(p->site->root, &names, &n, err))
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct err problem;
		struct summary s;
		int bad = summarize(p->site->root, names[i], &s, &problem);

		rc = add(m, names[i], &s, bad ? &problem : NULL, err);
	}
	table_names_free(names, n);
	return rc;
}

static int
add_table(struct making *m, const char *name, const struct summary *s,
	  const struct err *problem, struct err *err)
{
	const struct literal null = {.type = TYPE_NULL};
	const struct literal values[] = {
	    literal_text(name),
	    problem ? null : literal_number(s->rows),
	    literal_number(s->bytes),
	    time_or_null(s->timed, s->oldest),
	    time_or_null(s->timed, s->newest),
	    literal_number(s->segments),
	    literal_number(s->blocks),
	    literal_number(s->shapes),
	    problem ? literal_text(problem->text)
		    : (struct literal){.type = TYPE_NULL},
	};

	return making_row(m, values, err);
}

static int
fill_tables(struct plan *p, struct making *m, struct err *err)
{
	return each_table(p, m, add_table, err);
}

static int
plan_tables(struct plan *p, const struct system_args *a)
{
	static const char *const names[] = {"table",  "rows",	"bytes",
					    "oldest", "newest", "segments",
					    "blocks", "shapes", "problem"};
	static const enum expr_type types[] = {
	    TYPE_STRING, TYPE_UINT, TYPE_UINT, TYPE_TIME,  TYPE_TIME,
	    TYPE_UINT,	 TYPE_UINT, TYPE_UINT, TYPE_STRING};
	struct making m = {9, names, types, NULL};

	(void)a;
	return open_rows(p, &m, fill_tables);
}

static int
add_count(struct making *m, const char *name, const struct summary *s,
	  const struct err *problem, struct err *err)
{
	const struct literal values[] = {literal_text(name),
					 literal_number(s->rows)};

	if (problem) {
		*err = *problem;
		return -1;
	}
	return making_row(m, values, err);
}

static int
fill_count(struct plan *p, struct making *m, struct err *err)
{
	return each_table(p, m, add_count, err);
}

static int
plan_count(struct plan *p, const struct system_args *a)
{
	static const char *const names[] = {"table", "count"};
	static const enum expr_type types[] = {TYPE_STRING, TYPE_UINT};
	struct making m = {2, names, types, NULL};

	(void)a;
	return open_rows(p, &m, fill_count);
}

static int
fill_disk(struct plan *p, struct making *m, struct err *err)
{
	struct statvfs fs;
	uint64_t bytes = 0, size, available, unit;
	char **names;
	size_t n;

	if (statvfs(p->site->root, &fs))
		return err_sys(err, "%s", p->site->root);
	if (table_names(p->site->root, &names, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct summary s = {0};

		count_files(p->site->root, names[i], &s);
		bytes += s.bytes;
	}
	table_names_free(names, n);
	unit = fs.f_frsize;
	size = fs.f_blocks * unit;
	available = fs.f_bavail * unit;

	const struct literal values[] = {
	    literal_text(p->site->root),
	    literal_number(n),
	    literal_number(bytes),
	    literal_number(size),
	    literal_number(size - fs.f_bfree * unit),
	    literal_number(available),
	    {.type = TYPE_REAL,
	     .f = size ? 100.0 * (double)available / (double)size : 0},
	};

	return making_row(m, values, err);
}

static int
plan_disk(struct plan *p, const struct system_args *a)
{
	static const char *const names[] = {
	    "root",	 "tables",	     "bytes", "disk_size", "disk_used",
	    "disk_free", "disk_free_percent"};
	static const enum expr_type types[] = {
	    TYPE_STRING, TYPE_UINT, TYPE_UINT, TYPE_UINT,
	    TYPE_UINT,	 TYPE_UINT, TYPE_REAL};
	struct making m = {7, names, types, NULL};

	(void)a;
	return open_rows(p, &m, fill_disk);
}

/*
 * States in files.
 */

char *
system_read(const char *path, size_t *len, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct textfile f = {fd, path};
	struct stat st;
	char *buf = NULL;
	int64_t n = -1;

	if (fd < 0) {
		err_sys(err, "cannot read %s", path);
		return NULL;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > STATE_MAX)
		err_set(err, "%s is no state file", path);
	else if (!(buf = malloc((size_t)st.st_size + 1)))
		err_set(err, "out of memory");
	else
		n = textfile_read(&f, 0, buf, (size_t)st.st_size, err);
	close(fd);
	if (n < 0) {
		free(buf);
		return NULL;
	}
	buf[n] = '\0';
	*len = (size_t)n;
	return buf;
}

/* Appends a file, or what is called MEMBER in the object that it holds. */
static int
append_file(int to, const char *path, const char *member, struct err *err)
{
	size_t len;
	char *buf = system_read(path, &len, err);
	const char *part = buf;
	int rc = 0;

	if (!buf)
		return -1;
	if (member && json_member(buf, len, member, &part, &len))
		rc = err_set(err, "%s has no %s in it", path, member);
	else if (write(to, part, len) != (ssize_t)len ||
		 write(to, "\n", 1) != 1)
		rc = err_sys(err, "%s", path);
	free(buf);
	return rc;
}

static int
is_json(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return *d->d_name != '.' && len > 5 &&
	       strcmp(d->d_name + len - 5, ".json") == 0;
}

int
system_each(const char *dir, int (*f)(void *, const char *, struct err *),
	    void *ctx, struct err *err)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_json, alphasort), rc = 0;

	if (n < 0)
		return err_sys(err, "cannot read the directory %s", dir);
	for (int i = 0; i < n; i++) {
		char file[PATH_ROOM];

		snprintf(file, sizeof file, "%s/%s", dir, names[i]->d_name);
		if (rc == 0)
			rc = f(ctx, file, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int
append_whole(void *ctx, const char *path, struct err *err)
{
	return append_file(*(int *)ctx, path, NULL, err);
}

/* HINT: who makes it, and how another is named. */
static int
plan_state(struct plan *p, const char *path, const char *member,
	   const char *hint)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct err *err = p->lexer->err;
	struct text_source *t;
	struct stat st;
	char name[64];
	int rc;

	if (fd < 0) {
		err_sys(err, "cannot keep a copy of %s", path);
		return plan_fail(p);
	}
	if (access(path, R_OK) != 0) {
		err_sys(err, "cannot read %s (%s)", path, hint);
		close(fd);
		return plan_fail(p);
	}
	rc = stat(path, &st) == 0 && S_ISDIR(st.st_mode)
		 ? system_each(path, append_whole, &fd, err)
		 : append_file(fd, path, member, err);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	t = rc ? NULL : text_source_new(&json_format, name, err);
	close(fd);
	if (t)
		t->file.path = path;
	if (!t || text_source_read(t, 0, err)) {
		source_free(t ? &t->src : NULL);
		return plan_fail(p);
	}
	return plan_text(p, t);
}

/* Where a state is: as the query says, else the environment, else where the
 * services have it. */
static const char *
state_path(const struct system_args *a, const char *variable, const char *usual)
{
	const char *path = a->path ? a->path : getenv(variable);

	return path && *path ? path : usual;
}

static const char *
stats_path(const struct system_args *a)
{
	return state_path(a, "FLOW_STATS", "/run/flowdecode/stats.json");
}

static int
plan_exporters(struct plan *p, const struct system_args *a)
{
	return plan_state(p, stats_path(a), "exporters",
			  "flowdecode --stats FILE writes it; stats=FILE says "
			  "where it is");
}

static const char *
loggers_path(const struct system_args *a)
{
	return state_path(a, "FLOW_LOGGERS", "/var/lib/flowlog");
}

static int
plan_loggers(struct plan *p, const struct system_args *a)
{
	return plan_state(p, loggers_path(a), NULL,
			  "flowlog keeps it for loggers; stats=DIRECTORY "
			  "says where it is");
}

static int
fill_pipeline(struct plan *p, struct making *m, struct err *err)
{
	static const struct system_args usual;

	(void)p;
	return pipeline_fill(m, stats_path(&usual), loggers_path(&usual), err);
}

static int
plan_pipeline(struct plan *p, const struct system_args *a)
{
	struct making m = {pipeline_columns, pipeline_names, pipeline_types,
			   NULL};

	if (a->path) {
		err_set(p->lexer->err, "pipeline takes no stats=: its files "
				       "are those of FLOW_STATS and "
				       "FLOW_LOGGERS");
		return plan_fail(p);
	}
	return open_rows(p, &m, fill_pipeline);
}

/*
 * The command.
 */

static const struct topic topics[] = {
    {"tables", plan_tables},   {"count", plan_count},
    {"disk", plan_disk},       {"exporters", plan_exporters},
    {"loggers", plan_loggers}, {"pipeline", plan_pipeline},
};

enum { TOPICS = sizeof topics / sizeof *topics };

static int
no_topic(struct lexer *l, struct str word)
{
	struct nearest near;
	char hint[NEAREST_HINT];

	nearest_init(&near, word.p, word.len);
	for (size_t i = 0; i < TOPICS; i++)
		nearest_try(&near, topics[i].name);
	return lexer_fail(l, l->tok.pos,
			  "expected tables, count, disk, exporters, "
			  "loggers or pipeline, found %.*s%s",
			  (int)(word.len > 40 ? 40 : word.len), word.p,
			  nearest_hint(&near, hint, sizeof hint));
}

/* TOPIC ["stats" "=" PATH] */
static int
system_parse(struct lexer *l, void **out)
{
	struct system_args *a = arena_zalloc(l->arena, sizeof(*a));
	struct token t = l->tok;

	if (!a)
		return lexer_fail(l, t.pos, "out of memory");
	*out = a;
	if (t.type != TOKEN_NAME)
		return lexer_expected(l, "tables, count, disk, exporters, "
					 "loggers or pipeline");
	for (size_t i = 0; i < TOPICS; i++)
		if (lexer_is(l, topics[i].name))
			a->topic = &topics[i];
	if (!a->topic)
		return no_topic(l, t.name);
	lexer_next(l);
	if (parse_option(l, "stats"))
		return parse_path(l, "the path of a state file", &a->path);
	return 0;
}

static int
system_plan(struct plan *p, const struct command *c)
{
	const struct system_args *a = c->args;

	return a->topic->plan(p, a);
}

static enum verb_class
system_class(const void *args)
{
	(void)args;
	return VERB_SOURCE;
}

const struct verb verb_system = {
    "system",
    "system tables | count | disk | exporters | loggers | pipeline",
    system_parse,
    system_plan,
    system_class,
};
