/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

void
report_name(const struct exporter *x, char *buf, size_t size)
{
	char addr[TEXT_MAX + 1], port[16] = "";

	addr[text_ip(addr, x->key.addr)] = '\0';
	if (x->key.port)
		snprintf(port, sizeof(port), " port %u", x->key.port);
	if (x->key.version == 0)
		snprintf(buf, size, "%s%s (not NetFlow)", addr, port);
	else
		snprintf(buf, size, "%s%s version %u source %" PRIu32, addr,
			 port, x->key.version, x->key.source_id);
}

/* What there is beside the ledger. */
struct figure {
	const char *name;
	uint64_t value;
};

enum { FIGURES = 5 };

static void
figures(const struct report *r, struct figure all[FIGURES])
{
	const struct exporters *es = decoder_exporters(r->decoder);

	all[0] = (struct figure){"exporters", exporters_count(es)};
	all[1] = (struct figure){"evicted", exporters_evicted(es)};
	all[2] = (struct figure){"shapes", decoder_shapes(r->decoder)};
	all[3] = (struct figure){"batches", output_batches(r->output)};
	all[4] =
	    (struct figure){"waiting_bytes", decoder_waiting_bytes(r->decoder)};
}

/* Text. */

static void
exporter_text(void *ctx, const struct exporter *x)
{
	char name[EXPORTER_NAME_MAX], text[1000];

	(void)ctx;
	report_name(x, name, sizeof(name));
	log_line("%s: %s", name, ledger_text(&x->ledger, text, sizeof(text)));
}

void
report_text(const struct report *r)
{
	struct figure all[FIGURES];
	struct ledger total;
	char text[1000];
	size_t at = 0;

	decoder_total(r->decoder, &total);
	log_line("total: %s", ledger_text(&total, text, sizeof(text)));
	figures(r, all);
	for (int i = 0; i < FIGURES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s%s=%" PRIu64, at ? " " : "",
				       all[i].name, all[i].value);
	log_line("%s", text);
	/* last, for many of them fill a stderr that is a pipe */
	exporters_each(decoder_exporters(r->decoder), exporter_text, NULL);
}

/* JSON: no text in it needs an escape. */

static void
put_ledger(FILE *f, const struct ledger *l)
{
	for (int i = 0; i < LEDGER_COUNTS; i++)
		fprintf(f, "%s\"%s\":%" PRIu64, i ? "," : "", ledger_name(i),
			l->n[i]);
	fputc('}', f);
}

struct list {
	FILE *f;
	bool more;
};

/* When it was heard of last, and how far its clock was ahead of ours. */
static void
put_clock(FILE *f, const struct exporter *x)
{
	char at[TEXT_MAX + 1];

	if (x->seen_us) {
		at[text_time(at, x->seen_us)] = '\0';
		fprintf(f, "\"last_seen\":\"%s\",", at);
	}
	if (x->ahead_us)
		fprintf(f, "\"clock_offset\":%.3f,", (double)x->ahead_us / 1e6);
}

static void
put_exporter(void *ctx, const struct exporter *x)
{
	struct list *l = ctx;
	char addr[TEXT_MAX + 1];

	addr[text_ip(addr, x->key.addr)] = '\0';
	fprintf(l->f, "%s{\"exporter\":\"%s\",", l->more ? ",\n" : "\n", addr);
	if (x->key.port)
		fprintf(l->f, "\"exporter_port\":%u,", x->key.port);
	fprintf(l->f, "\"version\":%u,\"source_id\":%" PRIu32 ",",
		x->key.version, x->key.source_id);
	put_clock(l->f, x);
	put_ledger(l->f, &x->ledger);
	l->more = true;
}

/* A name is what a reader calls itself. */
static void
put_name(FILE *f, const char *name)
{
	char plain[RING_NAME_MAX];

	snprintf(plain, sizeof(plain), "%s", name);
	text_defuse(plain, strlen(plain));
	for (const char *p = plain; *p; p++)
		fprintf(f, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
}

/* What readers with a name have not acknowledged, and were passed by with. */
static void
put_readers(FILE *f, const struct ring *ring)
{
	const struct ring_mark *m;
	uint64_t behind;
	bool more = false;

	for (size_t i = 0; ring && i < RING_MARKS; i++) {
		m = ring_mark(ring, i, &behind);
		if (!m)
			continue;
		fprintf(f, "%s{\"reader\":\"", more ? ",\n" : "\n");
		put_name(f, m->name);
		fprintf(f, "\",\"waiting\":%" PRIu64 ",\"lost\":%" PRIu64 "}",
			ring_mark_tags(ring, i), m->lost_tags);
		more = true;
	}
}

static void
put_all(FILE *f, const struct report *r)
{
	struct figure all[FIGURES];
	struct ledger total;
	struct timespec now;
	struct list l = {.f = f};
	char at[TEXT_MAX + 1];

	clock_gettime(CLOCK_REALTIME, &now);
	at[text_time(at, now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000)] =
	    '\0';
	fprintf(f, "{\"time\":\"%s\",\"pid\":%d,", at, (int)getpid());
	figures(r, all);
	for (int i = 0; i < FIGURES; i++)
		fprintf(f, "\"%s\":%" PRIu64 ",",
			i ? all[i].name : "exporters_known", all[i].value);
	fputs("\n\"total\":{", f);
	decoder_total(r->decoder, &total);
	put_ledger(f, &total);
	fputs(",\n\"readers\":[", f);
	put_readers(f, r->ring);
	fputs("\n],\n\"exporters\":[", f);
	exporters_each(decoder_exporters(r->decoder), put_exporter, &l);
	fputs("\n]}\n", f);
}

int
report_json(const struct report *r, const char *path, struct err *e)
{
	char tmp[PATH_MAX];
	FILE *f;
	int bad;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return err_set(e, "--stats %s: the name is too long", path);
	f = fopen(tmp, "we");
	if (!f)
		return err_sys(e, "--stats %s: cannot write %s", path, tmp);
	put_all(f, r);
	bad = ferror(f);
	if (fclose(f) != 0 || bad) {
		err_sys(e, "--stats %s: cannot write %s", path, tmp);
		unlink(tmp);
		return -1;
	}
	if (rename(tmp, path) != 0)
		return err_sys(e, "--stats %s: cannot rename %s", path, tmp);
	return 0;
}

/* For Prometheus. */

/* Those that also shrink. */
static bool
is_gauge(int count)
{
	return count == LEDGER_SETS_WAITING || count == LEDGER_MISSING;
}

static void
begin_family(struct metrics *m, const char *what, int count, char name[64])
{
	bool gauge = is_gauge(count);

	snprintf(name, 64, "flowdecode%s_%s%s", what, ledger_name(count),
		 gauge ? "" : "_total");
	if (gauge)
		metrics_gauge(m, name, "See flowdecode(1), the ledger");
	else
		metrics_counter(m, name, "See flowdecode(1), the ledger");
}

/* What there is of an exporter beside its ledger. */
enum { SILENT = LEDGER_COUNTS, AHEAD };

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static void
put_exporter_sample(struct metrics *m, const struct exporter *x, int what)
{
	char addr[TEXT_MAX + 1], version[8], source[16], port[8];
	struct metrics_label labels[] = {
	    {"exporter", addr},
	    {"version", version},
	    {"source_id", source},
	    {"port", port},
	};
	size_t n = x->key.port ? 4 : 3;

	addr[text_ip(addr, x->key.addr)] = '\0';
	snprintf(version, sizeof(version), "%u", x->key.version);
	snprintf(source, sizeof(source), "%" PRIu32, x->key.source_id);
	snprintf(port, sizeof(port), "%u", x->key.port);
	if (what < LEDGER_COUNTS)
		metrics_sample(m, x->ledger.n[what], labels, n);
	else if (what == AHEAD)
		metrics_sample_time(m, x->ahead_us, labels, n);
	else if (x->seen_us)
		metrics_sample_time(m, now_us() - x->seen_us, labels, n);
}

static void
put_exporters(const struct exporters *es, struct metrics *m)
{
	struct exporter *x;
	char name[64];
	size_t n;

	for (int i = 0; i <= AHEAD; i++) {
		if (i < LEDGER_COUNTS)
			begin_family(m, "_exporter", i, name);
		else if (i == SILENT)
			metrics_gauge(m, "flowdecode_exporter_silent_seconds",
				      "Since its last datagram came");
		else
			metrics_gauge(
			    m, "flowdecode_exporter_clock_offset_seconds",
			    "How far its clock was ahead of ours then");
		x = NULL;
		for (n = 0; n < REPORT_METRICS_EXPORTERS &&
			    (x = exporters_next(es, x));
		     n++)
			put_exporter_sample(m, x, i);
	}
}

static void
put_reader_family(const struct ring *ring, struct metrics *m, bool lost)
{
	const struct ring_mark *mark;
	uint64_t behind;

	for (size_t i = 0; i < RING_MARKS; i++) {
		struct metrics_label label = {"reader", NULL};

		mark = ring_mark(ring, i, &behind);
		if (!mark)
			continue;
		label.value = mark->name;
		metrics_sample(m,
			       lost ? mark->lost_tags : ring_mark_tags(ring, i),
			       &label, 1);
	}
}

static void
put_reader_samples(const struct ring *ring, struct metrics *m)
{
	if (!ring)
		return;
	metrics_gauge(m, "flowdecode_reader_records_waiting",
		      "Records that a reader has not acknowledged");
	put_reader_family(ring, m, false);
	metrics_counter(m, "flowdecode_reader_records_lost_total",
			"Records that a reader was passed by with");
	put_reader_family(ring, m, true);
}

static void
put_figures(const struct report *r, struct metrics *m)
{
	struct figure all[FIGURES];

	figures(r, all);
	metrics_gauge(m, "flowdecode_exporters", "Exporters known");
	metrics_value(m, all[0].value);
	metrics_counter(m, "flowdecode_exporters_evicted_total",
			"Exporters forgotten for want of room");
	metrics_value(m, all[1].value);
	metrics_gauge(m, "flowdecode_shapes", "Shapes of records known");
	metrics_value(m, all[2].value);
	metrics_counter(m, "flowdecode_batches_total", "Batches written");
	metrics_value(m, all[3].value);
	metrics_gauge(m, "flowdecode_waiting_bytes",
		      "Bytes of data that wait for their templates");
	metrics_value(m, all[4].value);
}

void
report_metrics(const struct report *r, struct metrics *m)
{
	struct ledger total;
	char name[64];

	decoder_total(r->decoder, &total);
	for (int i = 0; i < LEDGER_COUNTS; i++) {
		begin_family(m, "", i, name);
		metrics_value(m, total.n[i]);
	}
	put_figures(r, m);
	put_reader_samples(r->ring, m);
	put_exporters(decoder_exporters(r->decoder), m);
}
