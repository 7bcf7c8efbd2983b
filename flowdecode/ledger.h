/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger: what came, and what became of it.  Kept per exporter; what
 * belonged to an evicted one is kept in sum, so totals never shrink.
 *
 * The identity holds after every datagram:
 *	sets = decoded + options + templates + waiting + expired + malformed
 */
#ifndef FLOWDECODE_LEDGER_H
#define FLOWDECODE_LEDGER_H

#include <stddef.h>
#include <stdint.h>

enum ledger_count {
	LEDGER_DATAGRAMS,
	LEDGER_SETS,	     /* seen; each is one of the next six */
	LEDGER_SETS_DECODED, /* data, into records */
	LEDGER_SETS_OPTIONS,
	LEDGER_SETS_TEMPLATES,
	LEDGER_SETS_WAITING, /* data, for its template: up and down */
	LEDGER_SETS_EXPIRED, /* data whose template did not come */
	LEDGER_SETS_MALFORMED,
	LEDGER_RECORDS,		/* written */
	LEDGER_RECORDS_DROPPED, /* their fields make no shape */
	LEDGER_RECORDS_OPTIONS,
	LEDGER_NAMES_DROPPED, /* too many announced by one exporter */
	LEDGER_TEMPLATES,     /* definitions that came, repeated ones too */
	LEDGER_TEMPLATES_OPTIONS,
	LEDGER_TEMPLATES_WITHDRAWN,
	LEDGER_TEMPLATES_EVICTED, /* too many of one exporter */
	LEDGER_GAPS,		  /* in sequence numbers */
	LEDGER_MISSING,	  /* flows (v5, v7), datagrams (v9), records (IPFIX) */
	LEDGER_REORDERED, /* datagrams */
	LEDGER_RESTARTS,
	/* malformed, by reason */
	LEDGER_BAD_VERSION,  /* no NetFlow */
	LEDGER_BAD_HEADER,   /* datagram shorter than its header */
	LEDGER_BAD_COUNT,    /* v1, v5, v7: more records than there is room */
	LEDGER_BAD_LENGTH,   /* IPFIX: length is not the datagram's */
	LEDGER_BAD_SET,	     /* set shorter than its header or past the end */
	LEDGER_BAD_SET_ID,   /* 2 to 255, where v9 and IPFIX have nothing */
	LEDGER_BAD_TEMPLATE, /* cut, without length, too many fields */
	LEDGER_BAD_RECORD,   /* cut by the end of its set */
	LEDGER_BAD_TRAILING, /* bytes behind the last set or record */
	LEDGER_COUNTS
};

struct ledger {
	uint64_t n[LEDGER_COUNTS];
};

/* "sets_decoded" and the like. */
const char *ledger_name(enum ledger_count);

/* Reads that back; LEDGER_COUNTS if it is no name. */
enum ledger_count ledger_find(const char *name, size_t len);

void ledger_add(struct ledger *, const struct ledger *);
/* What was added is taken out again. */
void ledger_subtract(struct ledger *, const struct ledger *);
/* Not 0, and mostly another number when a count has changed. */
uint64_t ledger_print(const struct ledger *);

/*
 * "datagrams=2 sets=3 ...", without what is 0, cut to SIZE with the NUL.
 * Returns BUF.
 */
char *ledger_text(const struct ledger *, char *buf, size_t size);

#endif
