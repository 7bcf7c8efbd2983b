/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
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
figures(const struct decoder *d, const struct output *o,
	struct figure all[FIGURES])
{
	const struct exporters *es = decoder_exporters(d);

	all[0] = (struct figure){"exporters", exporters_count(es)};
	all[1] = (struct figure){"evicted", exporters_evicted(es)};
	all[2] = (struct figure){"shapes", decoder_shapes(d)};
	all[3] = (struct figure){"batches", output_batches(o)};
	all[4] = (struct figure){"waiting_bytes", decoder_waiting_bytes(d)};
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
report_text(const struct decoder *d, const struct output *o)
{
	struct figure all[FIGURES];
	struct ledger total;
	char text[1000];
	size_t at = 0;

	decoder_total(d, &total);
	log_line("total: %s", ledger_text(&total, text, sizeof(text)));
	figures(d, o, all);
	for (int i = 0; i < FIGURES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s%s=%" PRIu64, at ? " " : "",
				       all[i].name, all[i].value);
	log_line("%s", text);
	/* last, for many of them fill a stderr that is a pipe */
	exporters_each(decoder_exporters(d), exporter_text, NULL);
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
	put_ledger(l->f, &x->ledger);
	l->more = true;
}

static void
put_all(FILE *f, const struct decoder *d, const struct output *o)
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
	figures(d, o, all);
	for (int i = 0; i < FIGURES; i++)
		fprintf(f, "\"%s\":%" PRIu64 ",",
			i ? all[i].name : "exporters_known", all[i].value);
	fputs("\n\"total\":{", f);
	decoder_total(d, &total);
	put_ledger(f, &total);
	fputs(",\n\"exporters\":[", f);
	exporters_each(decoder_exporters(d), put_exporter, &l);
	fputs("\n]}\n", f);
}

int
report_json(const struct decoder *d, const struct output *o, const char *path,
	    struct err *e)
{
	char tmp[PATH_MAX];
	FILE *f;
	int bad;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return err_set(e, "--stats %s: the name is too long", path);
	f = fopen(tmp, "we");
	if (!f)
		return err_sys(e, "--stats %s: cannot write %s", path, tmp);
	put_all(f, d, o);
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

static void
put_exporter_sample(struct metrics *m, const struct exporter *x, int count)
{
	char addr[TEXT_MAX + 1], version[8], source[16], port[8];
	struct metrics_label labels[] = {
	    {"exporter", addr},
	    {"version", version},
	    {"source_id", source},
	    {"port", port},
	};

	addr[text_ip(addr, x->key.addr)] = '\0';
	snprintf(version, sizeof(version), "%u", x->key.version);
	snprintf(source, sizeof(source), "%" PRIu32, x->key.source_id);
	snprintf(port, sizeof(port), "%u", x->key.port);
	metrics_sample(m, x->ledger.n[count], labels, x->key.port ? 4 : 3);
}

static void
put_exporters(const struct exporters *es, struct metrics *m)
{
	struct exporter *x;
	char name[64];
	size_t n;

	for (int i = 0; i < LEDGER_COUNTS; i++) {
		begin_family(m, "_exporter", i, name);
		x = NULL;
		for (n = 0; n < REPORT_METRICS_EXPORTERS &&
			    (x = exporters_next(es, x));
		     n++)
			put_exporter_sample(m, x, i);
	}
}

static void
put_figures(const struct decoder *d, const struct output *o, struct metrics *m)
{
	struct figure all[FIGURES];

	figures(d, o, all);
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
report_metrics(const struct decoder *d, const struct output *o,
	       struct metrics *m)
{
	struct ledger total;
	char name[64];

	decoder_total(d, &total);
	for (int i = 0; i < LEDGER_COUNTS; i++) {
		begin_family(m, "", i, name);
		metrics_value(m, total.n[i]);
	}
	put_figures(d, o, m);
	put_exporters(decoder_exporters(d), m);
}
