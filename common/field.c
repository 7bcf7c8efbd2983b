/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/field.h"

#include <string.h>

struct names {
	struct binder *binder;
	struct node *(*named)(void *, const char *);
	void *ctx;
};

static struct node *
join(const struct names *n, enum expr_op op, const char *a, const char *b)
{
	return node_binary(n->binder, op, n->named(n->ctx, a),
			   n->named(n->ctx, b), NULL);
}

static struct node *
either(const struct names *n, const char *delta, const char *total,
       const char *there, const char *back)
{
	struct node *parts[] = {
	    n->named(n->ctx, delta),
	    n->named(n->ctx, total),
	    join(n, EXPR_ADD, there, back),
	};

	return node_nvl(n->binder, parts, 3);
}

int
field_virtual(struct binder *b, const char *name,
	      struct node *(*named)(void *, const char *), void *ctx,
	      struct node **out)
{
	struct names n = {b, named, ctx};

	if (strcmp(name, "duration") == 0)
		*out = join(&n, EXPR_SUB, "end_time", "start_time");
	else if (strcmp(name, "bytes") == 0)
		*out = either(&n, "octet_count", "octet_total_count",
			      "initiator_octets", "responder_octets");
	else if (strcmp(name, "packets") == 0)
		*out = either(&n, "packet_count", "packet_total_count",
			      "initiator_packets", "responder_packets");
	else
		return 0;
	return 1;
}
