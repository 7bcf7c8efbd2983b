/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fields that no record has but that follow from others:
 *
 *	duration	end_time - start_time
 *	bytes		octet_count, else octet_total_count, else
 *			initiator_octets + responder_octets
 *	packets		the same of packets
 */
#ifndef COMMON_FIELD_H
#define COMMON_FIELD_H

#include "common/eval.h"

/*
 * 1 if NAME is such a field, and its node, made of what NAMED gives for the
 * names above (a null literal for a field that is not there); *out is NULL if
 * binding failed.  0 if it is none.  Ask after the fields that records have.
 */
int field_virtual(struct binder *, const char *name,
		  struct node *(*named)(void *ctx, const char *name), void *ctx,
		  struct node **out);

#endif
