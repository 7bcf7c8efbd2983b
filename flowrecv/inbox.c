/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/inbox.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/text.h"

enum {
	CONTROL = CMSG_SPACE(sizeof(struct timespec)),
	/* No power of two: else the datagrams of all slots would compete for
	 * the same few lines of the processor's caches. */
	STRIDE = 65536 + 64,
};

/* No datagram has this length: the slot is empty. */
static const unsigned EMPTY = UINT32_MAX;
/* No handful has this mark. */
static const uint64_t NO_MARK = UINT64_MAX;

struct slots {
	uint64_t mark;
	char binding[BINDING_NAME_MAX];
	struct mmsghdr msgs[INBOX_SLOTS];
	struct sockaddr_in6 from[INBOX_SLOTS];
	_Alignas(struct cmsghdr) char control[INBOX_SLOTS][CONTROL];
	char payload[INBOX_SLOTS][STRIDE];
};

size_t
inbox_bytes(void)
{
	return sizeof(struct slots);
}

/* The compiler must not move a store to the other side: a process that is
 * killed has done all that stands before. */
static void
in_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void
slot_reset(struct inbox *in, unsigned i)
{
	struct mmsghdr *m = &in->slots->msgs[i];

	m->msg_len = EMPTY;
	m->msg_hdr.msg_namelen = sizeof(in->slots->from[i]);
	m->msg_hdr.msg_controllen = CONTROL;
}

/* Pointers are of this process; what the kernel wrote stays. */
void
inbox_init(struct inbox *in, void *memory)
{
	struct slots *s = memory;

	*in = (struct inbox){.slots = s, .used = INBOX_SLOTS};
	for (unsigned i = 0; i < INBOX_SLOTS; i++) {
		struct msghdr *m = &s->msgs[i].msg_hdr;

		in->iov[i] =
		    (struct iovec){s->payload[i], DATAGRAM_PAYLOAD_MAX};
		m->msg_name = &s->from[i];
		m->msg_iov = &in->iov[i];
		m->msg_iovlen = 1;
		m->msg_control = s->control[i];
	}
}

unsigned
inbox_left(struct inbox *in, uint64_t mark, char binding[BINDING_NAME_MAX])
{
	const struct slots *s = in->slots;
	unsigned n = 0;

	if (s->mark != mark)
		return 0;
	while (n < INBOX_SLOTS && s->msgs[n].msg_len <= DATAGRAM_PAYLOAD_MAX &&
	       s->msgs[n].msg_hdr.msg_controllen <= CONTROL)
		n++;
	memcpy(binding, s->binding, BINDING_NAME_MAX);
	binding[BINDING_NAME_MAX - 1] = '\0';
	return n;
}

void
inbox_begin(struct inbox *in, uint64_t mark,
	    const char binding[BINDING_NAME_MAX])
{
	struct slots *s = in->slots;

	for (unsigned i = 0; i < in->used; i++)
		slot_reset(in, i);
	in->used = 0;
	memcpy(s->binding, binding, sizeof(s->binding));
	in_order();
	s->mark = mark;
	in_order();
}

void
inbox_done(struct inbox *in)
{
	in_order();
	in->slots->mark = NO_MARK;
	in_order();
}

int
inbox_receive(struct inbox *in, int fd, unsigned max, struct err *e)
{
	int n;

	if (max > INBOX_SLOTS)
		max = INBOX_SLOTS;
	do
		n = recvmmsg(fd, in->slots->msgs, max, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		return err_sys(e, "cannot receive");
	in->used = (unsigned)n;
	return n;
}

static int64_t
time_of(const struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct timespec ts;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	else
		clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void
inbox_datagram(const struct inbox *in, unsigned i, struct datagram *d)
{
	const struct sockaddr_in6 *from = &in->slots->from[i];
	struct sockaddr_in v4;

	d->time_us = time_of(&in->slots->msgs[i].msg_hdr);
	d->port = ntohs(from->sin6_port); /* at one place in both families */
	if (from->sin6_family == AF_INET6) {
		memcpy(d->addr, &from->sin6_addr, 16);
	} else {
		memcpy(&v4, from, sizeof(v4));
		ip_from_v4(d->addr, ntohl(v4.sin_addr.s_addr));
	}
	d->payload = in->iov[i].iov_base;
	d->len = in->slots->msgs[i].msg_len;
}
