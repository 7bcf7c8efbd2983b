/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/text.h"

enum { REPORT_LINE_MAX = 320 };

static void
tally_text(const struct tally *t, char *buf, size_t size)
{
	snprintf(buf, size,
		 "received %" PRIu64 ", refused %" PRIu64
		 ", queue-dropped %" PRIu64 ", queued %" PRIu64
		 ", sent %" PRIu64,
		 t->received, t->refused, t->dropped, t->queued, t->sent);
}

static void
put_port(const char *name, const struct tally *t, uint64_t kernel_drops,
	 report_line *put, void *ctx)
{
	char text[REPORT_LINE_MAX / 2], line[REPORT_LINE_MAX];

	tally_text(t, text, sizeof(text));
	snprintf(line, sizeof(line), "%s: %s, kernel-dropped %" PRIu64, name,
		 text, kernel_drops);
	put(ctx, line);
}

/* What is in all and not in those that are open. */
static void
put_closed(struct receiver *r, report_line *put, void *ctx)
{
	struct tally t = r->total;

	for (struct binding *b = r->bindings; b; b = b->next) {
		t.received -= b->tally.received;
		t.refused -= b->tally.refused;
		t.dropped -= b->tally.dropped;
		t.queued -= b->tally.queued;
		t.sent -= b->tally.sent;
	}
	if (t.received > 0 || r->kernel_drops > 0)
		put_port("closed ports", &t, r->kernel_drops, put, ctx);
}

static void
put_ports(struct receiver *r, const struct binding *only, report_line *put,
	  void *ctx)
{
	for (struct binding *b = r->bindings; b; b = b->next) {
		if (only && b != only)
			continue;
		binding_kernel_drops(b);
		put_port(b->name, &b->tally, b->kernel_drops, put, ctx);
	}
	if (!only)
		put_closed(r, put, ctx);
}

static void
put_exporters(struct receiver *r, const struct binding *only, report_line *put,
	      void *ctx)
{
	char text[REPORT_LINE_MAX / 2], line[REPORT_LINE_MAX];
	char who[TEXT_MAX + 1];

	for (size_t i = 0; i < EXPORTERS_MAX; i++) {
		const struct exporter *x = &r->exporters.all[i];

		if (!x->binding || x->binding->fd < 0 ||
		    (only && x->binding != only))
			continue;
		who[text_ip(who, x->addr)] = '\0';
		tally_text(&x->tally, text, sizeof(text));
		snprintf(line, sizeof(line), "%s %s: %s", x->binding->name, who,
			 text);
		put(ctx, line);
	}
}

void
report_text(struct receiver *r, const struct binding *only, report_line *put,
	    void *ctx)
{
	char line[REPORT_LINE_MAX];

	put_ports(r, only, put, ctx);
	if (!only) {
		snprintf(line, sizeof(line),
			 "exporters: known %zu, evicted %" PRIu64,
			 r->exporters.n, r->exporters.evicted);
		put(ctx, line);
	}
	put_exporters(r, only, put, ctx);
}

static void
to_log(void *ctx, const char *line)
{
	(void)ctx;
	log_line("%s", line);
}

void
report_log(struct receiver *r, bool all)
{
	if (all)
		report_text(r, NULL, to_log, NULL);
	else
		put_ports(r, NULL, to_log, NULL);
}

bool
report_lost(struct receiver *r)
{
	bool lost = r->total.dropped > 0 || r->kernel_drops > 0;

	for (struct binding *b = r->bindings; b; b = b->next) {
		binding_kernel_drops(b);
		lost = lost || b->kernel_drops > 0;
	}
	return lost;
}
