/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of one field of many records to one column: the innermost loops.
 *
 * A copy says where the field is in each record, and how the wire's form
 * becomes the column's.  The caller has made sure that the bytes are there and
 * that the column has room.
 */
#ifndef FLOWDECODE_COLUMNS_H
#define FLOWDECODE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/err.h"

enum copy_kind {
	COPY_U8,
	COPY_U16,
	COPY_U24, /* to U32 */
	COPY_U32,
	COPY_UINT, /* 5 to 7 bytes, to U64 */
	COPY_U64,
	COPY_SINT, /* 1 to 8 bytes, to I64 */
	COPY_F32,
	COPY_F64,
	COPY_BOOL, /* 1 is true (RFC 7011, 6.1.5) */
	COPY_IP,
	COPY_MAC,
	COPY_SECONDS, /* 1 to 8 bytes since 1970, to TIME */
	COPY_MILLISECONDS,
	COPY_NTP,    /* RFC 7011, 6.1.9, to TIME */
	COPY_NTP_NS, /* the same, to nanoseconds since 1970 in U64 */
	COPY_CHOICE, /* IPv4 at src, IPv6 at aux: v4 unless it is 0.0.0.0 and
			v6 is not :: */
	COPY_UPTIME, /* ms of uptime, to TIME by the header's clock */
	COPY_INIT,  /* ms of uptime at src, ms since 1970 of the start at aux */
	COPY_DELTA, /* us before the export, to TIME */
	COPY_LATER_MS, /* the TIME column at aux plus a duration of 1..8 bytes
			*/
	COPY_LATER_US,
	COPY_SOONER_MS, /* minus */
	COPY_SOONER_US,
	COPY_FIXED, /* kinds above are run by copy_run */
	COPY_STRING = COPY_FIXED,
	COPY_BYTES,
	COPY_LABEL, /* the name of a number, by labels_copy */
};

/* What the header of a datagram says about time. */
struct clock {
	int64_t export_us; /* when it was made, since 1970 */
	uint32_t uptime;   /* ms, at that time */
};

/* A cell as in plan.h: where a segment of a record lies. */
struct cell;

struct copy {
	enum copy_kind kind;
	uint32_t n; /* records */
	size_t len; /* bytes of the field; 0: as the cell says */
	/* field i is at src + i * stride or, where there are cells, at src +
	 * cells[i * step].off; the same for a second field, which is the
	 * first again where a kind has none */
	const uint8_t *src, *aux;
	size_t stride, step;
	const struct cell *cells, *aux_cells;
	const struct clock *clock;
	const int64_t *times; /* the other column, of the first row */
	void *out;	      /* of the first row */
};

/* Whether a kind reads another column. */
static inline bool
copy_adds(unsigned kind)
{
	return kind >= COPY_LATER_MS && kind <= COPY_SOONER_US;
}

/* For kinds before COPY_FIXED. */
void copy_run(const struct copy *);

/*
 * For strings and bytes: rows [row, row + n) of the column, which must be the
 * next ones.  Strings lose their trailing NULs, and what is no UTF-8 in them
 * becomes U+FFFD.
 */
int copy_run_bytes(const struct copy *, struct column *, uint32_t row,
		   struct err *);

/* Rows [row, row + n) of a column that has room become the value. */
void fill_run(struct column *, size_t width, const void *value, uint32_t row,
	      uint32_t n);

#endif
