/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/bucket.h"

static int
eval_bucket(struct call *c)
{
	const struct span *s = c->nd->data;
	int64_t *out = call_out(c);

	if (!out)
		return -1;
	for (uint32_t i = 0; i < c->n; i++)
		out[i] = span_start(s, VEC_AT(c->args[0], int64_t, i));
	return 0;
}

struct node *
bucket_node(struct binder *b, struct node *time, const struct span *s)
{
	struct node *nd = node_new(b, NODE_CALL, 1);

	if (!nd)
		return NULL;
	nd->args[0] = time;
	nd->type = TYPE_TIME;
	nd->nullable = time->nullable;
	nd->fn = eval_bucket;
	nd->name = "bucket";
	nd->data = s;
	return nd;
}

bool
node_is_bucket(const struct node *nd)
{
	return nd->kind == NODE_CALL && nd->fn == eval_bucket;
}
