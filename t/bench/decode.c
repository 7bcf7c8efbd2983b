/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode: nanoseconds a record from datagrams in memory to columns, the
 * decoder alone.
 *
 *	decode [SECONDS]	about so long each (default 1)
 *
 * v5 with 30 records a datagram, v9 and IPFIX with 25 records of 20 fields, v9
 * with the names of 64 interfaces announced, so that records have two more, and
 * IPFIX of 20 fields of which one is of variable length; by one exporter and
 * by 200 in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flowdecode/decoder.h"

enum {
	DATAGRAMS = 2000,
	SIZE = 2048,
	TEMPLATE_EVERY = 1000, /* datagrams of an exporter */
};

enum form { V5, V9, V9_NAMES, IPFIX, IPFIX_VARIABLE, FORMS };

enum { INTERFACES = 64, NAME_SIZE = 16 };

static const char *const form_names[FORMS] = {
    "v5, 30 records", "v9, 25 of 20 fields", "v9, the same and 2 names",
    "ipfix, 25 of 20 fields", "ipfix, 24 of 20, 1 variable"};

struct load {
	uint8_t bytes[DATAGRAMS][SIZE];
	size_t len[DATAGRAMS];
	uint8_t templates[SIZE];
	size_t templates_len;
	unsigned records; /* in each */
};

static const uint16_t fields[20][2] = {
    {8, 4},  {12, 4}, {15, 4}, {10, 4}, {14, 4}, {2, 8},  {1, 8},
    {22, 4}, {21, 4}, {7, 2},  {11, 2}, {6, 1},	 {4, 1},  {5, 1},
    {16, 4}, {17, 4}, {9, 1},  {13, 1}, {61, 1}, {136, 1}};

static uint8_t *
put(uint8_t *p, uint64_t v, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(v >> 8 * (len - 1 - i));
	return p + len;
}

static uint8_t *
put_random(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)random();
	return p + len;
}

static uint8_t *
put_header(uint8_t *p, enum form f, unsigned count)
{
	p = put(p, f == V5 ? 5 : f < IPFIX ? 9 : 10, 2);
	p = put(p, f >= IPFIX ? 0 : count, 2); /* ipfix: length, later */
	if (f < IPFIX)
		p = put(p, 5000000, 4); /* uptime */
	p = put(p, 1700000000, 4);
	if (f == V5)
		p = put(p, 0, 4);
	p = put(p, 0, 4); /* sequence: gaps cost nothing */
	return put(p, f == V5 ? 0 : 7, 4);
}

static size_t
field_length(enum form f, int i)
{
	return f == IPFIX_VARIABLE && i == 19 ? 65535 : fields[i][1];
}

/* Closes a datagram that begins at P and ends at END. */
static size_t
finish(uint8_t *p, uint8_t *end, enum form f)
{
	if (f >= IPFIX)
		put(p + 2, (uint64_t)(end - p), 2);
	return (size_t)(end - p);
}

/* Options: the template, and a record of each interface. */
static uint8_t *
put_names(uint8_t *p)
{
	static const uint16_t head[] = {1, 22, 301, 4,	8,	  1,
					4, 10, 4,   82, NAME_SIZE};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		p = put(p, head[i], 2);
	p = put(p, 301, 2);
	p = put(p, 4 + INTERFACES * (8 + NAME_SIZE), 2);
	for (int i = 0; i < INTERFACES; i++) {
		p = put(p, 1, 4);
		p = put(p, (uint64_t)i, 4);
		memset(p, 0, NAME_SIZE);
		snprintf((char *)p, NAME_SIZE, "TenGigE0/0/0/%u",
			 (unsigned)i % 64);
		p += NAME_SIZE;
	}
	return p;
}

static void
make_templates(struct load *l, enum form f)
{
	uint8_t *p = put_header(l->templates, f, 1);

	p = put(p, f < IPFIX ? 0 : 2, 2);
	p = put(p, 8 + 20 * 4, 2);
	p = put(p, 300, 2);
	p = put(p, 20, 2);
	for (int i = 0; i < 20; i++) {
		/* 82: interfaceName, a string */
		p = put(p, field_length(f, i) == 65535 ? 82 : fields[i][0], 2);
		p = put(p, field_length(f, i), 2);
	}
	if (f == V9_NAMES)
		p = put_names(p);
	l->templates_len = finish(l->templates, p, f);
}

static size_t
make_v5(uint8_t *out, unsigned records)
{
	uint8_t *p = put_header(out, V5, records);

	return (size_t)(put_random(p, records * 48u) - out);
}

static size_t
make_data(uint8_t *out, enum form f, unsigned records)
{
	uint8_t *p = put_header(out, f, records), *set = p;

	p = put(p, 300, 2);
	p = put(p, 0, 2);
	for (unsigned r = 0; r < records; r++)
		for (int i = 0; i < 20; i++) {
			if (field_length(f, i) == 65535) {
				p = put(p, 5, 1);
				memcpy(p, "Gi0/1", 5);
				p += 5;
				continue;
			}
			p = put_random(p, fields[i][1]);
			if (fields[i][0] == 10 || fields[i][0] == 14)
				put(p - 4, (uint64_t)random() % INTERFACES, 4);
		}
	put(set + 2, (uint64_t)(p - set), 2);
	return finish(out, p, f);
}

static void
make(struct load *l, enum form f)
{
	l->records = f == V5 ? 30 : f == IPFIX_VARIABLE ? 24 : 25;
	make_templates(l, f);
	for (int i = 0; i < DATAGRAMS; i++)
		l->len[i] = f == V5 ? make_v5(l->bytes[i], l->records)
				    : make_data(l->bytes[i], f, l->records);
}

static uint64_t rows;

static int
sink_batch(void *ctx, const struct batch *b, struct err *e)
{
	(void)ctx;
	(void)e;
	rows += b->rows;
	return 0;
}

static int
sink_commit(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct decoder *decoder;

static void
send_datagram(const uint8_t *p, size_t len, uint64_t n, unsigned exporters)
{
	struct datagram dg = {.time_us = 1700000000000000 + (int64_t)n * 10,
			      .port = 2055,
			      .binding = "default",
			      .binding_len = 7,
			      .payload = p,
			      .len = len};
	struct err e;

	dg.addr[10] = dg.addr[11] = 0xff;
	dg.addr[12] = 10;
	dg.addr[15] = (uint8_t)(n % exporters);
	if (decoder_datagram(decoder, &dg, &e) != 0) {
		fprintf(stderr, "decode: %s\n", e.text);
		exit(1);
	}
}

/* Nanoseconds a record. */
static double
measure(const struct load *l, enum form f, unsigned exporters, double limit)
{
	struct sink sink = {.batch = sink_batch, .commit = sink_commit};
	uint64_t n = 0;
	double start, took;
	struct err e;

	decoder = decoder_new(1, &sink);
	rows = 0;
	start = seconds();
	do {
		for (int i = 0; i < DATAGRAMS; i++, n++) {
			if (f != V5 && n / exporters % TEMPLATE_EVERY == 0)
				send_datagram(l->templates, l->templates_len, n,
					      exporters);
			send_datagram(l->bytes[i], l->len[i], n, exporters);
		}
		took = seconds() - start;
	} while (took < limit);
	decoder_flush(decoder, &e);
	took = seconds() - start;
	decoder_free(decoder);
	if (rows != n * l->records) {
		fprintf(stderr, "decode: %llu rows, not %llu\n",
			(unsigned long long)rows,
			(unsigned long long)n * l->records);
		exit(1);
	}
	return took * 1e9 / (double)rows;
}

int
main(int argc, char **argv)
{
	double limit = argc > 1 ? strtod(argv[1], NULL) : 1;
	struct load *l = malloc(sizeof(*l));

	if (!l)
		return 1;
	printf("%-30s %14s %14s %6s\n", "ns a record", "1 exporter",
	       "200 exporters", "ratio");
	for (enum form f = V5; f < FORMS; f++) {
		double one, many;

		make(l, f);
		one = measure(l, f, 1, limit);
		many = measure(l, f, 200, limit);
		printf("%-30s %14.1f %14.1f %6.2f\n", form_names[f], one, many,
		       many / one);
	}
	free(l);
	return 0;
}
