/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[LEDGER_COUNTS] = {
    [LEDGER_DATAGRAMS] = "datagrams",
    [LEDGER_SETS] = "sets",
    [LEDGER_SETS_DECODED] = "sets_decoded",
    [LEDGER_SETS_OPTIONS] = "sets_options",
    [LEDGER_SETS_TEMPLATES] = "sets_templates",
    [LEDGER_SETS_WAITING] = "sets_waiting",
    [LEDGER_SETS_EXPIRED] = "sets_expired",
    [LEDGER_SETS_MALFORMED] = "sets_malformed",
    [LEDGER_RECORDS] = "records",
    [LEDGER_RECORDS_DROPPED] = "records_dropped",
    [LEDGER_RECORDS_OPTIONS] = "options",
    [LEDGER_NAMES_DROPPED] = "names_dropped",
    [LEDGER_TEMPLATES] = "templates",
    [LEDGER_TEMPLATES_OPTIONS] = "options_templates",
    [LEDGER_TEMPLATES_WITHDRAWN] = "templates_withdrawn",
    [LEDGER_TEMPLATES_EVICTED] = "templates_evicted",
    [LEDGER_GAPS] = "gaps",
    [LEDGER_MISSING] = "missing",
    [LEDGER_REORDERED] = "reordered",
    [LEDGER_RESTARTS] = "restarts",
    [LEDGER_BAD_VERSION] = "bad_version",
    [LEDGER_BAD_HEADER] = "bad_header",
    [LEDGER_BAD_COUNT] = "bad_count",
    [LEDGER_BAD_LENGTH] = "bad_length",
    [LEDGER_BAD_SET] = "bad_set",
    [LEDGER_BAD_SET_ID] = "bad_set_id",
    [LEDGER_BAD_TEMPLATE] = "bad_template",
    [LEDGER_BAD_RECORD] = "bad_record",
    [LEDGER_BAD_TRAILING] = "bad_trailing",
};

const char *
ledger_name(enum ledger_count c)
{
	return names[c];
}

void
ledger_add(struct ledger *to, const struct ledger *from)
{
	for (int i = 0; i < LEDGER_COUNTS; i++)
		to->n[i] += from->n[i];
}

enum ledger_count
ledger_find(const char *name, size_t len)
{
	int i = 0;

	while (i < LEDGER_COUNTS &&
	       (strlen(names[i]) != len || memcmp(names[i], name, len) != 0))
		i++;
	return (enum ledger_count)i;
}

void
ledger_subtract(struct ledger *from, const struct ledger *what)
{
	for (int i = 0; i < LEDGER_COUNTS; i++)
		from->n[i] -= what->n[i];
}

uint64_t
ledger_print(const struct ledger *l)
{
	uint64_t print = 0;

	for (int i = 0; i < LEDGER_COUNTS; i++)
		print = (print + l->n[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return print ? print : 1;
}

char *
ledger_text(const struct ledger *l, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < LEDGER_COUNTS && at < size; i++)
		if (l->n[i] > 0)
			at += (size_t)snprintf(buf + at, size - at,
					       "%s%s=%" PRIu64, at ? " " : "",
					       names[i], l->n[i]);
	return buf;
}
