/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One datagram as it travels from flowrecv to flowdecode: flowdatagram(5).
 */
#ifndef COMMON_DATAGRAM_H
#define COMMON_DATAGRAM_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/stream.h"

enum {
	DATAGRAM_VERSION = 1, /* of the format */
	DATAGRAM_PAYLOAD_MAX = 65535,
	BINDING_NAME_MAX = 64, /* with the NUL */
};

struct datagram {
	uint64_t stream;  /* identity of the stream, random */
	uint64_t number;  /* in the stream, from 1, without holes */
	int64_t time_us;  /* when it arrived, microseconds since 1970 UTC */
	uint8_t addr[16]; /* of the exporter; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	const char *binding; /* borrowed, no NUL */
	size_t binding_len;
	const uint8_t *payload; /* borrowed */
	size_t len;
};

/* Longest that datagram_header writes. */
enum { DATAGRAM_HEADER_MAX = 64 + BINDING_NAME_MAX };

/* Packs all but the payload into BUF; the payload must follow. Returns the
 * length. */
size_t datagram_header(char buf[DATAGRAM_HEADER_MAX], const struct datagram *);

/* Reads an object that stream_next gave; strings point into it. Z is scratch
 * for msgpack-c, cleared by the call. */
int datagram_read(const char *obj, size_t len, msgpack_zone *z,
		  struct datagram *, struct err *);

#endif
