/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the decoder: datagrams made byte by byte, and the records that
 * come of them kept for looking at.
 */
#ifndef T_FLOWS_H
#define T_FLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "flowdecode/decoder.h"

/* A datagram in the making. */
struct wire {
	uint8_t bytes[65536];
	size_t len;
	size_t set; /* where the open set begins; 0: none */
	int64_t time_us;
	uint8_t addr[16]; /* 10.0.0.1 unless set */
	uint16_t port;
};

enum { SECS = 1700000000, UPTIME = 100000 };

void put(struct wire *, uint64_t v, size_t len);
void put_bytes(struct wire *, const void *, size_t len);

/* Empties it and begins anew. */
void begin_v5(struct wire *, uint16_t count, uint32_t sequence);
void begin_v9(struct wire *, uint32_t source_id, uint32_t sequence);
void begin_ipfix(struct wire *, uint32_t domain, uint32_t sequence);
/* Sends from 10.0.n.n. */
void from(struct wire *, unsigned n);

/* A v5 record of 48 bytes: octets and packets of 10 and 1. */
void put_v5(struct wire *, uint32_t first, uint32_t last);

void begin_set(struct wire *, uint16_t id);
/* Writes the length of the open set. */
void end_set(struct wire *);

/* A set with one template: N pairs of id and length (65536 * PEN + id in
 * IPFIX). */
struct spec {
	uint64_t id;
	uint16_t len;
};
void put_template(struct wire *, uint16_t id, const struct spec *, size_t n);
#define TEMPLATE(w, id, ...)                                      \
	put_template(w, id, (const struct spec[]){__VA_ARGS__},   \
		     sizeof((const struct spec[]){__VA_ARGS__}) / \
			 sizeof(struct spec))

enum { FLOWS_SHAPES = 32768 };

/* A decoder and what it gave. */
struct flows {
	struct decoder *decoder;
	struct shapes *shapes; /* of batches: the decoder's may end before */
	struct batch *batches[4096];
	size_t n;
	uint32_t rows;
	size_t commits;
};

void flows_init(struct flows *);
void flows_clear(struct flows *);
/* Forgets records so far. */
void flows_forget(struct flows *);

/* Decodes and takes what comes of it. */
void send_wire(struct flows *, struct wire *);
/* Without making what is open come out. */
void send_only(struct flows *, struct wire *);

uint64_t counted(const struct flows *, enum ledger_count);

/* The value of a field in row I of all; COL_NULL if it has no such field. */
struct value value_of(const struct flows *, uint32_t i, const char *name);
uint64_t number_of(const struct flows *, uint32_t i, const char *name);

#endif
