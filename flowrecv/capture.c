/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flowrecv/packet.h"

enum { READ_SIZE = 256 << 10 };

/* libpcap reads through these, so that it is known when it is about to wait
 * for more. */
static ssize_t
cookie_read(void *cookie, char *buf, size_t len)
{
	struct capture *c = cookie;

	if (c->wait && c->wait(c->wait_arg, c->fd) != 0) {
		errno = EINTR;
		return -1;
	}
	return read(c->fd, buf, len);
}

static int
cookie_close(void *cookie)
{
	struct capture *c = cookie;
	int fd = c->fd;

	c->fd = -1;
	return fd == STDIN_FILENO ? 0 : close(fd);
}

static int
open_stream(struct capture *c, FILE **f, const char *path, struct err *e)
{
	static const cookie_io_functions_t io = {.read = cookie_read,
						 .close = cookie_close};

	c->fd = STDIN_FILENO;
	if (strcmp(path, "-") != 0)
		c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0)
		return err_sys(e, "%s", c->name);
	*f = fopencookie(c, "r", io);
	if (!*f)
		return err_sys(e, "%s", c->name);
	/* glibc takes a size only with a buffer; without one it has its own */
	c->buffer = malloc(READ_SIZE);
	if (c->buffer)
		setvbuf(*f, c->buffer, _IOFBF, READ_SIZE);
	return 0;
}

int
capture_open(struct capture *c, const char *path, struct err *e)
{
	char reason[PCAP_ERRBUF_SIZE];
	FILE *f = NULL;

	c->name = strcmp(path, "-") == 0 ? "standard input" : path;
	if (open_stream(c, &f, path, e) != 0)
		return -1;
	c->pcap = pcap_fopen_offline(f, reason);
	if (!c->pcap) {
		fclose(f);
		return err_set(e, "%s: not a capture that can be read: %s",
			       c->name, reason);
	}
	c->link = pcap_datalink(c->pcap);
	if (packet_link_known(c->link))
		return 0;
	return err_set(e,
		       "%s: link type %s is not supported: Ethernet, Linux "
		       "cooked, raw IP and BSD loopback are",
		       c->name,
		       pcap_datalink_val_to_name(c->link)
			   ? pcap_datalink_val_to_name(c->link)
			   : "unknown");
}

void
capture_close(struct capture *c)
{
	if (c->pcap)
		pcap_close(c->pcap);
	free(c->buffer);
	c->pcap = NULL;
	c->buffer = NULL;
}

static bool
port_wanted(const struct capture *c, uint16_t port)
{
	return !c->ports || c->ports[port >> 3] >> (port & 7) & 1;
}

/* Counts a packet; true if it is a datagram to pass on. */
static bool
count(struct capture *c, enum packet_kind kind, const struct packet *p)
{
	struct capture_counts *n = &c->counts;

	n->packets++;
	switch (kind) {
	case PACKET_UDP:
		if (port_wanted(c, p->dst_port)) {
			n->passed++;
			return true;
		}
		n->port++;
		return false;
	case PACKET_FRAGMENT:
		n->fragments++;
		return false;
	case PACKET_CUT:
		n->cut++;
		return false;
	case PACKET_BAD:
		n->bad++;
		return false;
	case PACKET_OTHER:
		break;
	}
	n->other++;
	return false;
}

int
capture_next(struct capture *c, struct datagram *d, struct err *e)
{
	struct pcap_pkthdr *h;
	const uint8_t *data;
	struct packet p;
	int rc;

	while ((rc = pcap_next_ex(c->pcap, &h, &data)) == 1) {
		if (!count(c, packet_read(c->link, data, h->caplen, &p), &p))
			continue;
		d->time_us = (int64_t)h->ts.tv_sec * 1000000 + h->ts.tv_usec;
		memcpy(d->addr, p.src, sizeof(d->addr));
		d->port = p.src_port;
		d->payload = p.payload;
		d->len = p.len;
		return 1;
	}
	if (rc == PCAP_ERROR_BREAK)
		return 0;
	return err_set(e, "%s: after packet %llu: %s", c->name,
		       (unsigned long long)c->counts.packets,
		       pcap_geterr(c->pcap));
}
