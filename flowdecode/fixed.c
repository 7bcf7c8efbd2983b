/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/fixed.h"

#define FIELDS(a) (sizeof(a) / sizeof((a)[0]))

/* What the three begin with: srcaddr, dstaddr, nexthop, input, output, dPkts,
 * dOctets, First, Last, srcport, dstport. */
/* clang-format off */
#define HEAD \
	{0, 8, 4}, {0, 12, 4}, {0, 15, 4}, {0, 10, 2}, {0, 14, 2}, {0, 2, 4}, \
	{0, 1, 4}, {0, 22, 4}, {0, 21, 4}, {0, 7, 2}, {0, 11, 2}
/* Element 210 is padding: no column. */
static const struct wire_field v1[] = {
	HEAD,
	{0, 210, 2}, /* pad */
	{0, 4, 1}, /* prot */
	{0, 5, 1}, /* tos */
	{0, 6, 1}, /* flags */
	{0, 210, 7}, /* retransmissions, never filled in; reserved */
};

static const struct wire_field v5[] = {
	HEAD,
	{0, 210, 1}, /* pad1 */
	{0, 6, 1}, /* tcp_flags */
	{0, 4, 1}, /* prot */
	{0, 5, 1}, /* tos */
	{0, 16, 2}, /* src_as */
	{0, 17, 2}, /* dst_as */
	{0, 9, 1}, /* src_mask */
	{0, 13, 1}, /* dst_mask */
	{0, 210, 2}, /* pad2 */
};

static const struct wire_field v7[] = {
	HEAD,
	{0, 210, 1}, /* flags: which fields are not valid */
	{0, 6, 1}, /* tcp_flags */
	{0, 4, 1}, /* prot */
	{0, 5, 1}, /* tos */
	{0, 16, 2}, /* src_as */
	{0, 17, 2}, /* dst_as */
	{0, 9, 1}, /* src_mask */
	{0, 13, 1}, /* dst_mask */
	{0, 210, 2}, /* flags */
	{0, 43, 4}, /* router_sc */
};
/* clang-format on */

const struct fixed fixed_formats[FIXED_FORMATS] = {
    {1, FIELDS(v1), v1},
    {5, FIELDS(v5), v5},
    {7, FIELDS(v7), v7},
};
