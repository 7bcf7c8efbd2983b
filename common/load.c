/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/load.h"

#include <string.h>

struct load {
	const struct column *col;
	const uint32_t *sel; /* NULL: rows from AT on */
	uint32_t at, n;
};

static uint32_t
row_of(const struct load *l, uint32_t i)
{
	return l->sel ? l->sel[i] : l->at + i;
}

#define WIDEN(fname, type)                                               \
	static void fname(const struct load *l, uint64_t *out)           \
	{                                                                \
		const char *in = l->col->data;                           \
		type v;                                                  \
                                                                         \
		if (l->sel) {                                            \
			for (uint32_t i = 0; i < l->n; i++) {            \
				memcpy(&v, in + sizeof v * l->sel[i],    \
				       sizeof v);                        \
				out[i] = v;                              \
			}                                                \
			return;                                          \
		}                                                        \
		in += sizeof v * l->at;                                  \
		for (uint32_t i = 0; i < l->n; i++) {                    \
			memcpy(&v, in + sizeof v * (size_t)i, sizeof v); \
			out[i] = v;                                      \
		}                                                        \
	}

WIDEN(widen8, uint8_t)
WIDEN(widen16, uint16_t)
WIDEN(widen32, uint32_t)
WIDEN(widen64, uint64_t)

static void
load_bool(const struct load *l, uint8_t *out)
{
	const uint8_t *in = l->col->data;

	for (uint32_t i = 0; i < l->n; i++)
		out[i] = in[row_of(l, i)] != 0;
}

static void
load_ip(const struct load *l, unsigned __int128 *out)
{
	const char *in = l->col->data;

	for (uint32_t i = 0; i < l->n; i++) {
		const char *p = in + 16 * (size_t)row_of(l, i);
		uint64_t hi, lo;

		memcpy(&hi, p, 8);
		memcpy(&lo, p + 8, 8);
		out[i] = (unsigned __int128)__builtin_bswap64(hi) << 64 |
			 __builtin_bswap64(lo);
	}
}

static void
load_str(const struct load *l, struct str *out)
{
	const char *offsets = l->col->data;

	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t at[2];

		memcpy(at, offsets + 4 * (size_t)row_of(l, i), sizeof at);
		out[i] = (struct str){
		    l->col->bytes ? l->col->bytes + at[0] : "", at[1] - at[0]};
	}
}

static void
load_values(const struct load *l, enum col_type type, void *out)
{
	switch (type) {
	case COL_BOOL:
		load_bool(l, out);
		break;
	case COL_U8:
		widen8(l, out);
		break;
	case COL_U16:
		widen16(l, out);
		break;
	case COL_U32:
	case COL_IPV4:
		widen32(l, out);
		break;
	case COL_IP:
		load_ip(l, out);
		break;
	case COL_STRING:
	case COL_BYTES:
		load_str(l, out);
		break;
	default:
		widen64(l, out);
	}
}

static int
load_nulls(struct eval *e, const struct load *l, struct vec *out)
{
	const uint8_t *valid = l->col->valid;
	uint8_t *null, any = 0;

	if (!valid)
		return 0;
	null = arena_alloc(e->arena, l->n + 1);
	if (!null)
		return eval_oom(e);
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t row = row_of(l, i);

		null[i] = !(valid[row >> 3] >> (row & 7) & 1);
		any |= null[i];
	}
	out->null = any ? null : NULL;
	return 0;
}

/* Whether the values lie as the vector wants them. */
static bool
lies_ready(const struct load *l, enum col_type type)
{
	return !l->sel && col_type_width(type) == 8 &&
	       (uintptr_t)l->col->data % sizeof(uint64_t) == 0;
}

int
vec_load(struct eval *e, const struct column *col, enum col_type type,
	 const uint32_t *sel, uint32_t at, struct vec *out)
{
	struct load l = {col, sel, at, e->n};
	void *data;

	*out = (struct vec){.type = expr_type_of(type)};
	if (col->constant) {
		l = (struct load){col, NULL, 0, 1};
		out->constant = true;
	}
	if (lies_ready(&l, type)) {
		out->data = (const uint64_t *)col->data + l.at;
		return load_nulls(e, &l, out);
	}
	data =
	    arena_alloc(e->arena, expr_type_size(out->type) * (size_t)l.n + 1);
	if (!data)
		return eval_oom(e);
	load_values(&l, type, data);
	out->data = data;
	return load_nulls(e, &l, out);
}

void
vec_load_null(enum expr_type type, struct vec *out)
{
	static const uint8_t null = 1;
	static const unsigned __int128 zero;

	*out = (struct vec){type, true, &null, &zero};
}
