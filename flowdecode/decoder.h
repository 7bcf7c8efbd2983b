/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder: NetFlow v1, v5, v7, v9 (RFC 3954) and IPFIX (RFC 7011)
 * datagrams in, batches of flow records out to a sink.
 *
 * Nothing in a datagram is an error: what is wrong in it is counted in its
 * exporter's ledger, and the rest goes on.  Calls fail only when memory is out
 * or the sink fails.
 */
#ifndef FLOWDECODE_DECODER_H
#define FLOWDECODE_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"
#include "common/err.h"
#include "flowdecode/exporter.h"
#include "flowdecode/pile.h"
#include "flowdecode/saved.h"

struct decoder;

/* STREAM is the identity of the batches, which are numbered from 1. The sink
 * is copied. */
struct decoder *decoder_new(uint64_t stream, const struct sink *);
/* Before anything else: the stream of the batches, and the number of the last
 * that was made in it. */
void decoder_continue(struct decoder *, uint64_t stream, uint64_t number);
/* Flush before: rows that are still held are lost. */
void decoder_free(struct decoder *);

/* Records of the exporter ADDR (v4 as mapped) were sampled 1 in RATE, whatever
 * it announces. -1 when memory is out. */
int decoder_configure_rate(struct decoder *, const uint8_t addr[16],
			   uint32_t rate);

/* Data without their template wait, within BYTES and MS in all; 0: they do not.
 * Unless this is called it is WAIT_BYTES and WAIT_MS.  For a decoder that has
 * taken nothing yet. */
void decoder_wait(struct decoder *, size_t bytes, int64_t ms);
/* Whether records get the names that exporters announce for their interfaces,
 * applications and VRFs; on at first. */
void decoder_names(struct decoder *, bool on);

/* Whether exporters of one address are told apart by their ports. */
void decoder_scope(struct decoder *, bool port);

int decoder_datagram(struct decoder *, const struct datagram *, struct err *);

/* Tells the time (monotonic), gives the sink what is old, and gives up what
 * has waited for too long. */
int decoder_tick(struct decoder *, int64_t now_ms, struct err *);
/* Gives the sink all that there is. */
int decoder_flush(struct decoder *, struct err *);

/* The ledger. */
void decoder_total(const struct decoder *, struct ledger *);
const struct exporters *decoder_exporters(const struct decoder *);
size_t decoder_shapes(const struct decoder *);
/* What sets that wait take. */
size_t decoder_waiting_bytes(const struct decoder *);
/* What a state keeps. */
struct known decoder_known(const struct decoder *);

/*
 * Calls F when an exporter first sends something malformed of a kind (or its
 * records had to be dropped), with a text for a log.
 */
void decoder_on_notice(struct decoder *,
		       void (*f)(void *ctx, const struct exporter *,
				 enum ledger_count),
		       void *ctx);

#endif
