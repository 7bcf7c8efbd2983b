/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/report.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/link.h"
#include "common/log.h"
#include "common/text.h"

/* What is in all and not in those that are open. */
static struct tally
closed_tally(const struct receiver *r)
{
	struct tally t = r->total;

	for (const struct binding *b = r->bindings; b; b = b->next) {
		t.received -= b->tally.received;
		t.refused -= b->tally.refused;
		t.dropped -= b->tally.dropped;
		t.queued -= b->tally.queued;
		t.sent -= b->tally.sent;
	}
	return t;
}

void
report_ports(struct receiver *r, const struct binding *only, report_take *take,
	     void *ctx)
{
	struct tally closed = closed_tally(r);

	for (struct binding *b = r->bindings; b; b = b->next) {
		if (only && b != only)
			continue;
		binding_kernel_drops(b);
		take(ctx,
		     &(struct report_row){.port = b->name,
					  .tally = &b->tally,
					  .kernel_drops = b->kernel_drops});
	}
	if (!only && (closed.received > 0 || r->kernel_drops > 0))
		take(ctx,
		     &(struct report_row){.tally = &closed,
					  .kernel_drops = r->kernel_drops});
}

void
report_exporters(struct receiver *r, const struct binding *only,
		 report_take *take, void *ctx)
{
	char who[TEXT_MAX + 1];

	for (size_t i = 0; i < EXPORTERS_MAX; i++) {
		const struct exporter *x = &r->exporters.all[i];

		if (!x->binding || x->binding->fd < 0 ||
		    (only && x->binding != only))
			continue;
		who[text_ip(who, x->addr)] = '\0';
		take(ctx, &(struct report_row){.port = x->binding->name,
					       .exporter = who,
					       .tally = &x->tally});
	}
}

void
report_tee(struct receiver *r, report_target *take, void *ctx)
{
	for (size_t i = 0; r->tee && i < r->tee->ntargets; i++)
		take(ctx, &r->tee->targets[i]);
}

void
report_target_text(const struct target *t, char line[REPORT_LINE_MAX])
{
	snprintf(line, REPORT_LINE_MAX,
		 "copies to %.128s: sent %" PRIu64 ", failed %" PRIu64, t->name,
		 t->sent, t->failed);
}

/* A name has no character that JSON would escape, or it had not been found. */
void
report_target_json(const struct target *t, char line[REPORT_LINE_MAX])
{
	snprintf(line, REPORT_LINE_MAX,
		 "{\"tee\":\"%.128s\",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
		 "}",
		 t->name, t->sent, t->failed);
}

void
report_readers(struct receiver *r, report_reader *take, void *ctx)
{
	struct outlet_reader one, rest = {.name = ""};
	bool any = false;

	if (!r->out.outlet)
		return;
	for (size_t i = 0; outlet_reader(r->out.outlet, i, &one); i++) {
		if (one.name[0]) {
			take(ctx, &one);
			continue;
		}
		rest.sent += one.sent;
		rest.skipped += one.skipped;
		any = true;
	}
	if (any)
		take(ctx, &rest);
}

/* A reader calls itself what it likes. */
static void
plain_name(const char *name, char buf[LINK_NAME_MAX])
{
	snprintf(buf, LINK_NAME_MAX, "%s", name);
	text_defuse(buf, strlen(buf));
	for (char *p = buf; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '?';
}

void
report_reader_text(const struct outlet_reader *d, char line[REPORT_LINE_MAX])
{
	char name[LINK_NAME_MAX];

	plain_name(d->name, name);
	snprintf(line, REPORT_LINE_MAX,
		 "%s%s: sent %" PRIu64 ", skipped %" PRIu64,
		 name[0] ? "reader " : "readers without a name", name, d->sent,
		 d->skipped);
}

void
report_reader_json(const struct outlet_reader *d, char line[REPORT_LINE_MAX])
{
	char name[LINK_NAME_MAX];

	plain_name(d->name, name);
	snprintf(line, REPORT_LINE_MAX,
		 "{\"reader\":\"%s\",\"sent\":%" PRIu64 ",\"skipped\":%" PRIu64
		 "}",
		 name, d->sent, d->skipped);
}

void
report_text(const struct report_row *w, char line[REPORT_LINE_MAX])
{
	const struct tally *t = w->tally;
	int n = snprintf(
	    line, REPORT_LINE_MAX,
	    "%s%s%s: received %" PRIu64 ", refused %" PRIu64
	    ", queue-dropped %" PRIu64 ", queued %" PRIu64 ", sent %" PRIu64,
	    w->port ? w->port : "closed ports", w->exporter ? " " : "",
	    w->exporter ? w->exporter : "", t->received, t->refused, t->dropped,
	    t->queued, t->sent);

	if (!w->exporter)
		snprintf(line + n, (size_t)(REPORT_LINE_MAX - n),
			 ", kernel-dropped %" PRIu64, w->kernel_drops);
}

/* No name or address has a character that JSON would escape. */
void
report_json(const struct report_row *w, char line[REPORT_LINE_MAX])
{
	const struct tally *t = w->tally;
	char port[BINDING_NAME_MAX + 2] = "null", kernel[64] = "";
	char exporter[TEXT_MAX + 16] = "";

	if (w->port)
		snprintf(port, sizeof(port), "\"%s\"", w->port);
	if (w->exporter)
		snprintf(exporter, sizeof(exporter), ",\"exporter\":\"%s\"",
			 w->exporter);
	else
		snprintf(kernel, sizeof(kernel), ",\"kernel_dropped\":%" PRIu64,
			 w->kernel_drops);
	snprintf(line, REPORT_LINE_MAX,
		 "{\"name\":%s%s,\"received\":%" PRIu64 ",\"refused\":%" PRIu64
		 ",\"queue_dropped\":%" PRIu64 ",\"queued\":%" PRIu64
		 ",\"sent\":%" PRIu64 "%s}",
		 port, exporter, t->received, t->refused, t->dropped, t->queued,
		 t->sent, kernel);
}

static void
to_log(void *ctx, const struct report_row *w)
{
	char line[REPORT_LINE_MAX];

	(void)ctx;
	report_text(w, line);
	log_line("%s", line);
}

static void
target_to_log(void *ctx, const struct target *t)
{
	char line[REPORT_LINE_MAX];

	(void)ctx;
	report_target_text(t, line);
	log_line("%s", line);
}

static void
reader_to_log(void *ctx, const struct outlet_reader *d)
{
	char line[REPORT_LINE_MAX];

	(void)ctx;
	report_reader_text(d, line);
	log_line("%s", line);
}

void
report_log(struct receiver *r, bool all)
{
	report_ports(r, NULL, to_log, NULL);
	report_tee(r, target_to_log, NULL);
	report_readers(r, reader_to_log, NULL);
	if (!all)
		return;
	log_line("exporters: known %zu, evicted %" PRIu64, r->exporters.n,
		 r->exporters.evicted);
	report_exporters(r, NULL, to_log, NULL);
}

bool
report_lost(struct receiver *r)
{
	bool left = r->total.queued > 0 && !ring_durable(r->out.ring);
	bool lost = left || r->total.dropped > 0 || r->kernel_drops > 0;

	for (size_t i = 0; r->tee && i < r->tee->ntargets; i++)
		lost = lost || r->tee->targets[i].failed > 0;
	for (struct binding *b = r->bindings; b; b = b->next) {
		binding_kernel_drops(b);
		lost = lost || b->kernel_drops > 0;
	}
	return lost;
}

/* For Prometheus. */

/* What there is of a tally. */
static const struct figure {
	const char *name, *help;
	size_t at;
	bool gauge;
} figures[] = {
    {"received_total", "Datagrams taken from the kernel",
     offsetof(struct tally, received), false},
    {"refused_total", "Datagrams of exporters that --allow does not list",
     offsetof(struct tally, refused), false},
    {"dropped_total", "Datagrams dropped because the queue was full",
     offsetof(struct tally, dropped), false},
    {"queued", "Datagrams on their way to the reader",
     offsetof(struct tally, queued), true},
    {"sent_total", "Datagrams handed to the reader",
     offsetof(struct tally, sent), false},
};

enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

struct samples {
	struct metrics *to;
	const struct figure *figure; /* NULL: the kernel's drops */
};

static void
put_sample(void *ctx, const struct report_row *w)
{
	const struct samples *s = ctx;
	const struct metrics_label labels[] = {
	    {"binding", w->port ? w->port : "(closed)"},
	    {"exporter", w->exporter},
	};
	uint64_t value = w->kernel_drops;

	if (s->figure)
		memcpy(&value, (const char *)w->tally + s->figure->at,
		       sizeof(value));
	metrics_sample(s->to, value, labels, w->exporter ? 2 : 1);
}

static void
begin_family(struct metrics *m, const char *of, const struct figure *f,
	     char name[64])
{
	snprintf(name, 64, "flowrecv%s_datagrams_%s", of, f->name);
	if (f->gauge)
		metrics_gauge(m, name, f->help);
	else
		metrics_counter(m, name, f->help);
}

/* One figure of targets, or of readers. */
struct either {
	struct metrics *to;
	bool second;
};

static void
put_target(void *ctx, const struct target *t)
{
	const struct either *s = ctx;
	const struct metrics_label label = {"target", t->name};

	metrics_sample(s->to, s->second ? t->failed : t->sent, &label, 1);
}

static void
put_reader(void *ctx, const struct outlet_reader *d)
{
	const struct either *s = ctx;
	const struct metrics_label label = {"reader", d->name};

	metrics_sample(s->to, s->second ? d->skipped : d->sent, &label, 1);
}

static void
put_readers(struct receiver *r, struct metrics *m)
{
	struct either s = {.to = m};

	if (!r->out.outlet)
		return;
	metrics_counter(m, "flowrecv_reader_datagrams_sent_total",
			"Datagrams sent to readers that are connected");
	report_readers(r, put_reader, &s);
	s.second = true;
	metrics_counter(m, "flowrecv_reader_datagrams_skipped_total",
			"Datagrams that they were too slow for");
	report_readers(r, put_reader, &s);
}

static void
put_targets(struct receiver *r, struct metrics *m)
{
	struct either s = {.to = m};

	if (!r->tee)
		return;
	metrics_counter(m, "flowrecv_tee_datagrams_sent_total",
			"Copies sent to other collectors");
	report_tee(r, put_target, &s);
	s.second = true;
	metrics_counter(m, "flowrecv_tee_datagrams_failed_total",
			"Copies that could not be sent");
	report_tee(r, put_target, &s);
}

void
report_metrics(struct receiver *r, struct metrics *m)
{
	struct samples s = {.to = m};
	char name[64];

	for (int i = 0; i < FIGURES; i++) {
		s.figure = &figures[i];
		begin_family(m, "", s.figure, name);
		report_ports(r, NULL, put_sample, &s);
	}
	s.figure = NULL;
	metrics_counter(m, "flowrecv_kernel_dropped_total",
			"Datagrams that the kernel dropped because the "
			"receive buffer was full");
	report_ports(r, NULL, put_sample, &s);
	put_targets(r, m);
	put_readers(r, m);
	metrics_gauge(m, "flowrecv_exporters", "Exporters known");
	metrics_value(m, r->exporters.n);
	metrics_counter(m, "flowrecv_exporters_evicted_total",
			"Exporters forgotten for want of room");
	metrics_value(m, r->exporters.evicted);
	for (int i = 0; i < FIGURES; i++) {
		s.figure = &figures[i];
		begin_family(m, "_exporter", s.figure, name);
		report_exporters(r, NULL, put_sample, &s);
	}
}
