/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records as msgpack maps: the row half of flowrecord(5), behind record.h.
 *
 * A map's keys are field names (or aliases of them); its values give the
 * types.  Rows of one shape gather in a batch.
 */
#ifndef COMMON_ROWS_H
#define COMMON_ROWS_H

#include <msgpack.h>

#include "common/batch.h"
#include "common/err.h"

struct rows;

struct rows *rows_new(struct shapes *);
void rows_free(struct rows *);

/* Adds a map. 0, or -1 if it is no record. */
int rows_add(struct rows *, const msgpack_object *map, struct err *);

/* See record_reader_take. */
const struct batch *rows_take(struct rows *, uint32_t min);

/* One value on the wire: integers, floats, booleans, str; ip and bytes as
 * bin; nil. */
void record_pack_value(msgpack_packer *, const struct value *);
/* And back, for a column of type T; -1 if it does not fit that type. */
int record_unpack_value(const msgpack_object *, enum col_type, struct value *);

#endif
