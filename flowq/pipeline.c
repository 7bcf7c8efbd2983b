/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system pipeline: the ledger end to end, a row for each binding of flowrecv,
 * each exporter of flowdecode and each logger of flowlog.
 *
 * flowrecv is asked at its control socket; the others keep what they know in
 * files.  One that cannot be asked has a row that says why.
 */
#include <msgpack.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/batch.h"
#include "common/json.h"
#include "common/stream.h"
#include "common/text.h"
#include "common/unixsock.h"
#include "flowq/system.h"

enum {
	ANSWER_MS = 3000,
	ANSWER_MAX = 16 << 20,
	NAME_MAX_BYTES = 256,
	PATH_ROOM = 4096
};

enum place {
	STAGE,
	NAME,
	VERSION,
	SOURCE,
	RECEIVED,
	KERNEL,
	GAPS,
	MISSING,
	WAITING,
	MALFORMED,
	EXPIRED,
	RECORDS,
	FILTERED,
	STORED,
	DROPPED,
	LOST,
	SILENT,
	CLOCK,
	PROBLEM,
	COLUMNS
};

const char *const pipeline_names[] = {
    [STAGE] = "stage",	     [NAME] = "name",
    [VERSION] = "version",   [SOURCE] = "source_id",
    [RECEIVED] = "received", [KERNEL] = "kernel_dropped",
    [GAPS] = "gaps",	     [MISSING] = "missing",
    [WAITING] = "waiting",   [MALFORMED] = "malformed",
    [EXPIRED] = "expired",   [RECORDS] = "records",
    [FILTERED] = "filtered", [STORED] = "stored",
    [DROPPED] = "dropped",   [LOST] = "lost",
    [SILENT] = "silent",     [CLOCK] = "clock_offset",
    [PROBLEM] = "problem",
};

const enum expr_type pipeline_types[] = {
    [STAGE] = TYPE_STRING,   [NAME] = TYPE_STRING,   [VERSION] = TYPE_UINT,
    [SOURCE] = TYPE_UINT,    [RECEIVED] = TYPE_UINT, [KERNEL] = TYPE_UINT,
    [GAPS] = TYPE_UINT,	     [MISSING] = TYPE_UINT,  [WAITING] = TYPE_UINT,
    [MALFORMED] = TYPE_UINT, [EXPIRED] = TYPE_UINT,  [RECORDS] = TYPE_UINT,
    [FILTERED] = TYPE_UINT,  [STORED] = TYPE_UINT,   [DROPPED] = TYPE_UINT,
    [LOST] = TYPE_UINT,	     [SILENT] = TYPE_REAL,   [CLOCK] = TYPE_REAL,
    [PROBLEM] = TYPE_STRING,
};

const size_t pipeline_columns = COLUMNS;

/* Which member of an object goes where. */
struct member {
	const char *name;
	enum place column;
};

static const struct member of_binding[] = {
    {"name", NAME},	   {"received", RECEIVED},
    {"refused", FILTERED}, {"queue_dropped", DROPPED},
    {"queued", WAITING},   {"kernel_dropped", KERNEL},
    {NULL, COLUMNS},
};

static const struct member of_exporter[] = {
    {"exporter", NAME},
    {"version", VERSION},
    {"source_id", SOURCE},
    {"datagrams", RECEIVED},
    {"gaps", GAPS},
    {"missing", MISSING},
    {"sets_waiting", WAITING},
    {"sets_malformed", MALFORMED},
    {"sets_expired", EXPIRED},
    {"records", RECORDS},
    {"records_dropped", DROPPED},
    {"last_seen", SILENT},
    {"clock_offset", CLOCK},
    {NULL, COLUMNS},
};

static const struct member of_logger[] = {
    {"name", NAME},	     {"log_count", STORED}, {"filter_count", FILTERED},
    {"drop_count", DROPPED}, {NULL, COLUMNS},
};

static const struct member of_reader[] = {
    {"reader", NAME},
    {"waiting", WAITING},
    {"lost", LOST},
    {NULL, COLUMNS},
};

/* A row in the making, and its name without escapes. */
struct row {
	const struct member *members;
	struct literal values[COLUMNS];
	char name[NAME_MAX_BYTES];
};

static void
begin_row(struct row *r, const char *stage, const struct member *members)
{
	*r = (struct row){.members = members};
	for (int i = 0; i < COLUMNS; i++)
		r->values[i].type = TYPE_NULL;
	r->values[STAGE] = literal_text(stage);
}

static bool
is_set(const struct row *r, enum place c)
{
	return r->values[c].type != TYPE_NULL;
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static struct literal
real(double f)
{
	return (struct literal){.type = TYPE_REAL, .f = f};
}

static void
set_text(struct row *r, const struct json_value *v)
{
	size_t len = v->len;

	if (len >= sizeof r->name)
		return;
	if (v->escaped)
		len = json_unescape(v->p, len, r->name);
	else
		memcpy(r->name, v->p, len);
	r->name[len] = '\0';
	r->values[NAME] = literal_text(r->name);
}

/* What is no such value is left out. */
static void
set_value(struct row *r, enum place c, const struct json_value *v)
{
	char text[TEXT_MAX + 1];
	int64_t us;
	uint64_t n;

	if (c == NAME) {
		set_text(r, v);
	} else if (c == SILENT) {
		if (text_read_time(v->p, v->len, &us) == 0)
			r->values[c] = real((double)(now_us() - us) / 1e6);
	} else if (c == CLOCK) {
		snprintf(text, sizeof text, "%.*s",
			 v->len < TEXT_MAX ? (int)v->len : 0, v->p);
		r->values[c] = real(strtod(text, NULL));
	} else if (text_read_u64(v->p, v->len, &n) == 0) {
		r->values[c] = literal_number(n);
	}
}

static int
take_member(void *ctx, const char *name, size_t len, const struct json_value *v)
{
	struct row *r = ctx;

	for (const struct member *m = r->members; v->p && m->name; m++)
		if (strlen(m->name) == len && memcmp(m->name, name, len) == 0)
			set_value(r, m->column, v);
	return 0;
}

/* The next object of a text goes into R; *P moves on.  False: there is none. */
static bool
next_object(const char **p, const char *end, struct row *r)
{
	const struct json_visit visit = {r, take_member};
	bool is_object = false;

	while (*p < end && !is_object) {
		int64_t n =
		    json_read(*p, (size_t)(end - *p), true, &visit, &is_object);

		if (n <= 0)
			return false;
		*p += n;
	}
	return is_object;
}

static int
add_problem(struct making *m, const char *stage, const struct err *why,
	    struct err *err)
{
	struct row r;

	begin_row(&r, stage, NULL);
	r.values[PROBLEM] = literal_text(why->text);
	return making_row(m, r.values, err);
}

/*
 * flowrecv.
 */

static int
connect_control(struct err *err)
{
	const char *run = getenv("FLOW_RUN"), *own = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");
	char path[PATH_ROOM];
	int fd;

	snprintf(path, sizeof path, "%s/flowrecv.sock",
		 run && *run ? run : "/run/flow");
	fd = unixsock_connect(path, err);
	if (fd >= 0 || (run && *run))
		return fd;
	if (own && *own)
		snprintf(path, sizeof path, "%s/flow/flowrecv.sock", own);
	else if (home && *home == '/')
		snprintf(path, sizeof path,
			 "%s/.local/state/flow/flowrecv.sock", home);
	else
		return -1;
	return unixsock_connect(path, err);
}

/* [verb, json, most]: see flowrecv's control socket. */
static bool
ask(int fd)
{
	msgpack_sbuffer b;
	msgpack_packer pk;
	bool sent;

	msgpack_sbuffer_init(&b);
	msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_str_with_body(&pk, "stats", 5);
	msgpack_pack_true(&pk);
	msgpack_pack_int(&pk, 0);
	sent = send(fd, b.data, b.size, MSG_NOSIGNAL) == (ssize_t)b.size;
	msgpack_sbuffer_destroy(&b);
	return sent;
}

/* The object of an answer; NULL. */
static const char *
await_answer(struct stream_in *in, size_t *len, struct err *err)
{
	struct pollfd p = {.fd = in->fd, .events = POLLIN};
	const char *obj;
	int rc;

	while ((rc = stream_next(in, &obj, len, err)) == 0) {
		if (in->eof || poll(&p, 1, ANSWER_MS) <= 0) {
			err_set(err, "flowrecv does not answer");
			return NULL;
		}
		if (stream_fill(in, err) < 0)
			return NULL;
	}
	return rc < 0 ? NULL : obj;
}

/* Ports, but not their exporters: those have no kernel_dropped. */
static int
add_bindings(struct making *m, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;
	struct row r;

	for (;;) {
		begin_row(&r, "flowrecv", of_binding);
		if (!next_object(&text, end, &r))
			return 0;
		if (!is_set(&r, KERNEL))
			continue;
		if (!is_set(&r, NAME))
			r.values[NAME] = literal_text("(closed)");
		if (making_row(m, r.values, err))
			return -1;
	}
}

/* [status, text] */
static int
take_answer(struct making *m, const char *obj, size_t len, struct err *why,
	    struct err *err)
{
	msgpack_unpacked u;
	const msgpack_object *o;
	int rc = 0;

	msgpack_unpacked_init(&u);
	o = msgpack_unpack_next(&u, obj, len, NULL) == MSGPACK_UNPACK_SUCCESS
		? &u.data
		: NULL;
	if (o && o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 2 &&
	    o->via.array.ptr[1].type == MSGPACK_OBJECT_STR)
		rc = add_bindings(m, o->via.array.ptr[1].via.str.ptr,
				  o->via.array.ptr[1].via.str.size, err);
	else
		err_set(why, "flowrecv gives no answer that makes sense");
	msgpack_unpacked_destroy(&u);
	return rc;
}

static int
add_flowrecv(struct making *m, struct err *err)
{
	struct err why = {0};
	int fd = connect_control(&why), rc = 0;
	struct stream_in in = {0};
	const char *obj;
	size_t len;

	if (fd < 0)
		return add_problem(m, "flowrecv", &why, err);
	if (stream_in_init(&in, fd, ANSWER_MAX, err) != 0) {
		close(fd);
		return -1;
	}
	if (!ask(fd))
		err_sys(&why, "flowrecv cannot be asked");
	else if ((obj = await_answer(&in, &len, &why)))
		rc = take_answer(m, obj, len, &why, err);
	stream_in_clear(&in);
	close(fd);
	return rc == 0 && why.text[0] ? add_problem(m, "flowrecv", &why, err)
				      : rc;
}

/*
 * flowdecode.
 */

static uint64_t
number_of(const struct row *r, int c)
{
	return r->values[c].type == TYPE_UINT ? r->values[c].u : 0;
}

/* What is in the total and of no exporter that is known any more. */
static int
add_others(struct making *m, struct row *total, const struct row *sum,
	   struct err *err)
{
	bool any = false;

	for (int c = RECEIVED; c < SILENT; c++) {
		if (!is_set(total, c))
			continue;
		total->values[c].u -= number_of(sum, c);
		any = any || total->values[c].u > 0;
	}
	total->values[NAME] = literal_text("(forgotten)");
	return any ? making_row(m, total->values, err) : 0;
}

static int
add_exporters(struct making *m, const char *json, size_t len, struct err *err)
{
	const char *list, *part;
	size_t list_len, part_len;
	struct row r, total, sum;

	if (json_member(json, len, "exporters", &list, &list_len) ||
	    json_member(json, len, "total", &part, &part_len))
		return err_set(err, "it is no ledger of flowdecode");
	begin_row(&total, "flowdecode", of_exporter);
	next_object(&part, part + part_len, &total);
	begin_row(&sum, "flowdecode", of_exporter);
	for (const char *end = list + list_len;;) {
		begin_row(&r, "flowdecode", of_exporter);
		if (!next_object(&list, end, &r))
			return add_others(m, &total, &sum, err);
		if (making_row(m, r.values, err))
			return -1;
		for (int c = RECEIVED; c < SILENT; c++)
			sum.values[c] = literal_number(number_of(&sum, c) +
						       number_of(&r, c));
	}
}

static int
add_flowdecode(struct making *m, const char *path, char **json, size_t *len,
	       struct err *err)
{
	struct err why = {0};

	*json = system_read(path, len, &why);
	if (*json && add_exporters(m, *json, *len, &why) == 0)
		return 0;
	return add_problem(m, "flowdecode", &why, err);
}

/*
 * flowlog.
 */

struct loggers {
	struct making *making;
	const char *readers; /* of flowdecode, as JSON */
	size_t len;
};

/* What flowdecode holds for the logger. */
static void
take_reader(const struct loggers *l, struct row *r)
{
	const char *p = l->readers;
	struct row reader;

	for (;;) {
		begin_row(&reader, "", of_reader);
		if (!p || !next_object(&p, l->readers + l->len, &reader))
			return;
		if (strcmp(reader.name, r->name) != 0)
			continue;
		r->values[WAITING] = reader.values[WAITING];
		r->values[LOST] = reader.values[LOST];
		return;
	}
}

static int
add_logger(void *ctx, const char *path, struct err *err)
{
	struct loggers *l = ctx;
	struct err why = {0};
	size_t len;
	char *json = system_read(path, &len, &why);
	const char *p = json;
	struct row r;
	int rc;

	if (!json)
		return add_problem(l->making, "flowlog", &why, err);
	begin_row(&r, "flowlog", of_logger);
	if (next_object(&p, json + len, &r)) {
		r.values[RECEIVED] = literal_number(number_of(&r, STORED) +
						    number_of(&r, FILTERED) +
						    number_of(&r, DROPPED));
		take_reader(l, &r);
		rc = making_row(l->making, r.values, err);
	} else {
		err_set(&why, "%s is no logger's state", path);
		rc = add_problem(l->making, "flowlog", &why, err);
	}
	free(json);
	return rc;
}

int
pipeline_fill(struct making *m, const char *stats, const char *loggers,
	      struct err *err)
{
	struct loggers l = {.making = m};
	struct err why = {0};
	char *json = NULL;
	size_t len;
	int rc = add_flowrecv(m, err);

	if (rc == 0)
		rc = add_flowdecode(m, stats, &json, &len, err);
	if (json && json_member(json, len, "readers", &l.readers, &l.len))
		l.readers = NULL;
	if (rc == 0 && access(loggers, R_OK) != 0) {
		err_sys(&why, "cannot read the directory %s", loggers);
		rc = add_problem(m, "flowlog", &why, err);
	} else if (rc == 0) {
		rc = system_each(loggers, add_logger, &l, err);
	}
	free(json);
	return rc;
}
