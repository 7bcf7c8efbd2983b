/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/show.h"

#include <inttypes.h>

#include "common/text.h"

enum { HEX_ROW = 16 };

/* A number in a header: SIZE bytes AT its begin, shifted, masked. */
struct number {
	const char *name;
	uint8_t at, size, shift;
	uint32_t mask; /* 0: all of it */
};

struct header {
	uint16_t version;
	uint16_t size;
	struct number fields[10]; /* those after the version */
};

static const struct header headers[] = {
    {1,
     16,
     {{"count", 2, 2, 0, 0},
      {"sysuptime", 4, 4, 0, 0},
      {"unixsecs", 8, 4, 0, 0},
      {"unixnsecs", 12, 4, 0, 0}}},
    {5,
     24,
     {{"count", 2, 2, 0, 0},
      {"sysuptime", 4, 4, 0, 0},
      {"unixsecs", 8, 4, 0, 0},
      {"unixnsecs", 12, 4, 0, 0},
      {"seq", 16, 4, 0, 0},
      {"engine_type", 20, 1, 0, 0},
      {"engine_id", 21, 1, 0, 0},
      {"sampling_mode", 22, 2, 14, 0},
      {"sampling_interval", 22, 2, 0, 0x3fff}}},
    {7,
     24,
     {{"count", 2, 2, 0, 0},
      {"sysuptime", 4, 4, 0, 0},
      {"unixsecs", 8, 4, 0, 0},
      {"unixnsecs", 12, 4, 0, 0},
      {"seq", 16, 4, 0, 0}}},
    /* RFC 3954, 5.1 */
    {9,
     20,
     {{"count", 2, 2, 0, 0},
      {"sys_uptime", 4, 4, 0, 0},
      {"unixsecs", 8, 4, 0, 0},
      {"seq", 12, 4, 0, 0},
      {"source", 16, 4, 0, 0}}},
    /* IPFIX: RFC 7011, 3.1 */
    {10,
     16,
     {{"message_length", 2, 2, 0, 0},
      {"unixsecs", 4, 4, 0, 0},
      {"seq", 8, 4, 0, 0},
      {"domain", 12, 4, 0, 0}}},
};

static uint16_t
version_of(const struct traced *t)
{
	return (uint16_t)(t->payload[0] << 8 | t->payload[1]);
}

/* NULL: of no version that is known. */
static const struct header *
header_of(const struct traced *t)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (t->n >= 2 && headers[i].version == version_of(t))
			return &headers[i];
	return NULL;
}

static uint32_t
value_of(const struct number *f, const uint8_t *p)
{
	uint32_t v = 0;

	for (int i = 0; i < f->size; i++)
		v = v << 8 | p[f->at + i];
	v >>= f->shift;
	return f->mask ? v & f->mask : v;
}

static void
put_hex(FILE *f, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%02x", p[i]);
}

/* "  0010  00 09 00 03 ...  |....|" */
static void
put_dump(FILE *f, const uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n; at += HEX_ROW) {
		fprintf(f, "  %04zx ", at);
		for (size_t i = at; i < at + HEX_ROW; i++)
			if (i < n)
				fprintf(f, " %02x", p[i]);
			else
				fputs("   ", f);
		fputs("  |", f);
		for (size_t i = at; i < at + HEX_ROW && i < n; i++)
			fputc(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.', f);
		fputs("|\n", f);
	}
}

void
show_text(FILE *f, const struct traced *t, bool hex)
{
	const struct header *h = header_of(t);
	char who[TEXT_MAX + 1];

	if (t->skipped) {
		fprintf(f, "skipped %" PRIu64 "\n", t->skipped);
		return;
	}
	who[text_ip(who, t->addr)] = '\0';
	fprintf(f, ip_is_v4(t->addr) ? "[%s:%u] " : "[[%s]:%u] ", who, t->port);
	if (t->n >= 2)
		fprintf(f, "ver=%u, ", version_of(t));
	if (h && t->n >= h->size)
		for (const struct number *x = h->fields; x->name; x++)
			fprintf(f, "%s%s=%" PRIu32, x == h->fields ? "" : ", ",
				x->name, value_of(x, t->payload));
	else
		fprintf(f, "length=%" PRIu32 "%s", t->len,
			h ? ", header cut short" : "");
	fputs(t->refused ? ", refused\n" : "\n", f);
	if (hex)
		put_dump(f, t->payload, t->n);
}

void
show_json(FILE *f, const struct traced *t, const char *port, bool hex)
{
	const struct header *h = header_of(t);
	char who[TEXT_MAX + 1], when[TEXT_MAX + 1];

	if (t->skipped) {
		fprintf(f, "{\"skipped\":%" PRIu64 "}\n", t->skipped);
		return;
	}
	who[text_ip(who, t->addr)] = '\0';
	when[text_time(when, t->time_us)] = '\0';
	/* a port's name has no character that JSON would escape */
	fprintf(f,
		"{\"time\":\"%s\",\"binding\":\"%s\",\"exporter\":\"%s\","
		"\"port\":%u,\"length\":%" PRIu32 ",\"refused\":%s",
		when, port, who, t->port, t->len,
		t->refused ? "true" : "false");
	if (t->n >= 2)
		fprintf(f, ",\"version\":%u", version_of(t));
	else
		fputs(",\"version\":null", f);
	if (h && t->n >= h->size)
		for (const struct number *x = h->fields; x->name; x++)
			fprintf(f, ",\"%s\":%" PRIu32, x->name,
				value_of(x, t->payload));
	if (hex) {
		fputs(",\"payload\":\"", f);
		put_hex(f, t->payload, t->n);
		fputc('"', f);
	}
	fputs("}\n", f);
}
