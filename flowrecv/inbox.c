/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/text.h"

enum {
	/* No power of two: else the datagrams of all slots would compete for
	 * the same few lines of the processor's caches. */
	STRIDE = 65536 + INBOX_HEADER + 4096 - 512 + 64,
};

static void
slot_reset(struct inbox *in, unsigned i)
{
	struct msghdr *m = &in->msgs[i].msg_hdr;

	m->msg_namelen = sizeof(in->from[i]);
	m->msg_controllen = INBOX_CONTROL;
}

int
inbox_init(struct inbox *in, struct err *e)
{
	void *p =
	    mmap(NULL, (size_t)INBOX_SLOTS * STRIDE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return err_sys(e, "memory to receive into");
	madvise(p, (size_t)INBOX_SLOTS * STRIDE, MADV_NOHUGEPAGE);
	memset(in, 0, sizeof(*in));
	in->memory = p;
	for (unsigned i = 0; i < INBOX_SLOTS; i++) {
		in->iov[i].iov_base =
		    in->memory + (size_t)i * STRIDE + INBOX_HEADER;
		in->iov[i].iov_len = DATAGRAM_PAYLOAD_MAX;
		in->msgs[i].msg_hdr = (struct msghdr){
		    .msg_name = &in->from[i],
		    .msg_iov = &in->iov[i],
		    .msg_iovlen = 1,
		    .msg_control = in->control[i],
		};
		slot_reset(in, i);
	}
	return 0;
}

void
inbox_clear(struct inbox *in)
{
	if (in->memory)
		munmap(in->memory, (size_t)INBOX_SLOTS * STRIDE);
	in->memory = NULL;
}

int
inbox_receive(struct inbox *in, int fd, struct err *e)
{
	int n;

	for (unsigned i = 0; i < in->used; i++)
		slot_reset(in, i);
	in->used = 0;
	do
		n = recvmmsg(fd, in->msgs, INBOX_SLOTS, MSG_DONTWAIT, NULL);
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
	const struct sockaddr_in6 *from = &in->from[i];
	struct sockaddr_in v4;

	d->time_us = time_of(&in->msgs[i].msg_hdr);
	d->port = ntohs(from->sin6_port); /* at one place in both families */
	if (from->sin6_family == AF_INET6) {
		memcpy(d->addr, &from->sin6_addr, 16);
	} else {
		memcpy(&v4, from, sizeof(v4));
		ip_from_v4(d->addr, ntohl(v4.sin_addr.s_addr));
	}
	d->payload = in->iov[i].iov_base;
	d->len = in->msgs[i].msg_len;
}
