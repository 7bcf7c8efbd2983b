/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backup: all of a table in one stream of msgpack objects, which needs no
 * seeking.  Each object has its checksum before it, an integer that goes on
 * from the one before, so that all that came so far is known to be right:
 *
 *	["flow table backup", version, table's name, its identity,
 *	 next _id, segments]
 *	["stream", id, number, time]		for each
 *	["segment", number, created, next _id, blocks, bytes]
 *	["block", first _id, rows, head, body, filters]	for each of it
 *	["end", blocks, rows]
 *
 * Heads, bodies and filters are those of flowtable(5).
 */
#ifndef FLOWSTORE_BACKUP_H
#define FLOWSTORE_BACKUP_H

#include "common/err.h"

enum {
	BACKUP_VERSION = 1,
	BACKUP_OBJECT_MAX = 512 << 20, /* bytes */
};

#define BACKUP_MAGIC "flow table backup"

/* Reads the backup PATH to its end and says whether it is whole: 0, or 1 after
 * it said what is wrong. */
int restore_check(const char *path, struct err *);

#endif
