/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/range.h"

bool
scale_has(enum expr_type t)
{
	switch (t) {
	case TYPE_UINT:
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
	case TYPE_IPV4:
	case TYPE_IP:
	case TYPE_MAC:
		return true;
	default:
		return false;
	}
}

static scale_t
scale_bytes(const uint8_t ip[16])
{
	scale_t v = 0;

	for (int i = 0; i < 16; i++)
		v = v << 8 | ip[i];
	return v;
}

scale_t
scale_value(const struct value *v)
{
	switch (v->type) {
	case COL_I64:
	case COL_TIME:
		return SCALE_ZERO + (scale_t)(__int128)v->i;
	case COL_IPV4:
		return SCALE_IPV4 | (uint32_t)v->u;
	case COL_IP:
		return scale_bytes(v->ip);
	default:
		return SCALE_ZERO + v->u;
	}
}

scale_t
scale_literal(const struct literal *lit)
{
	switch (lit->type) {
	case TYPE_INT:
	case TYPE_TIME:
	case TYPE_DURATION:
		return SCALE_ZERO + (scale_t)(__int128)lit->i;
	case TYPE_IPV4:
		return SCALE_IPV4 | (uint32_t)lit->u;
	case TYPE_IP:
		return lit->ip;
	default:
		return SCALE_ZERO + lit->u;
	}
}

/* What a column of that type can hold. */
static struct range
scale_domain(enum col_type t)
{
	switch (t) {
	case COL_BOOL:
	case COL_U8:
		return (struct range){SCALE_ZERO, SCALE_ZERO + UINT8_MAX};
	case COL_U16:
		return (struct range){SCALE_ZERO, SCALE_ZERO + UINT16_MAX};
	case COL_U32:
		return (struct range){SCALE_ZERO, SCALE_ZERO + UINT32_MAX};
	case COL_I64:
	case COL_TIME:
		return (struct range){SCALE_ZERO - ((scale_t)1 << 63),
				      SCALE_ZERO + INT64_MAX};
	case COL_IPV4:
		return (struct range){SCALE_IPV4, SCALE_IPV4 | UINT32_MAX};
	default:
		return (struct range){SCALE_ZERO, SCALE_ZERO + UINT64_MAX};
	}
}

bool
scale_clamp(struct range r, enum col_type t, uint64_t *lo, uint64_t *hi)
{
	struct range d = scale_domain(t);
	scale_t zero = t == COL_IPV4 ? SCALE_IPV4 : SCALE_ZERO;

	if (r.lo < d.lo)
		r.lo = d.lo;
	if (r.hi > d.hi)
		r.hi = d.hi;
	if (r.lo > r.hi)
		return false;
	*lo = (uint64_t)(r.lo - zero);
	*hi = (uint64_t)(r.hi - zero);
	return true;
}
