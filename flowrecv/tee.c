/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/tee.h"

int
tee_to(struct tee *t, const char *name, struct err *e)
{
	if (t->ntargets == TEE_TARGETS)
		return err_set(e, "--tee %s: %d others are the most", name,
			       TEE_TARGETS);
	if (target_open(&t->targets[t->ntargets], name, e) != 0)
		return err_prefix(e, "--tee");
	t->ntargets++;
	return 0;
}

void
tee_clear(struct tee *t)
{
	for (size_t i = 0; i < t->ntargets; i++)
		target_close(&t->targets[i]);
	t->ntargets = 0;
}

void
tee_flush(struct tee *t)
{
	for (size_t i = 0; i < t->ntargets && t->n > 0; i++)
		target_send(&t->targets[i], t->msgs, t->n, MSG_DONTWAIT);
	t->n = 0;
}

void
tee_add(struct tee *t, const struct datagram *d)
{
	if (t->ntargets == 0)
		return;
	if (t->n == TEE_HANDFUL)
		tee_flush(t);
	t->iov[t->n] = (struct iovec){(void *)(uintptr_t)d->payload, d->len};
	t->msgs[t->n].msg_hdr =
	    (struct msghdr){.msg_iov = &t->iov[t->n], .msg_iovlen = 1};
	t->n++;
}
