/* SPDX-License-Identifier: BSD-2-Clause */
#include "t/bench/output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	POOL_BYTES = 1 << 30,
	POOL_DATAGRAMS = POOL_BYTES / 1024,
	UDP_PAYLOAD_MAX = 65507,
	SEGMENTS_MAX = 64, /* the kernel's bound */
	MESSAGES = 16,	   /* of one sendmmsg */
	PCAP_PORT = 2055,
};

/* Datagrams that are made and wait to be sent. */
struct pool {
	uint8_t *bytes;
	struct datagram_made *made;
	size_t n;
};

/* Datagrams of one exporter and one size (the last may be smaller). */
struct run {
	const uint8_t *bytes;
	size_t len, n;
	uint64_t flows;
	uint16_t segment;
};

struct sender {
	int sockets[EXPORTERS_MAX];
	uint32_t nsockets, burst;
	double rate;
	uint64_t sent; /* flows */
	double started;
};

static int
fail(const char *what)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(errno));
	return -1;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int
pool_init(struct pool *p)
{
	p->bytes = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->bytes == MAP_FAILED)
		return fail("memory");
	madvise(p->bytes, POOL_BYTES, MADV_HUGEPAGE);
	p->made = malloc(POOL_DATAGRAMS * sizeof *p->made);
	if (!p->made)
		return fail("memory");
	return 0;
}

static void
pool_clear(struct pool *p)
{
	munmap(p->bytes, POOL_BYTES);
	free(p->made);
}

static void
pool_fill(struct pool *p, struct export *x)
{
	size_t len = 0;

	p->n = 0;
	while (p->n < POOL_DATAGRAMS &&
	       POOL_BYTES - len >= EXPORT_DATAGRAM_MAX &&
	       export_next(x, p->bytes + len, &p->made[p->n]))
		len += p->made[p->n++].len;
}

/* ADDRESS:PORT, an IPv6 address in brackets. */
static struct addrinfo *
resolve(const char *to)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
	char host[256];
	const char *colon = strrchr(to, ':');
	size_t len;
	int e;

	if (!colon || (len = colon - to) >= sizeof host) {
		fprintf(stderr, "gen: %s: want ADDRESS:PORT\n", to);
		return NULL;
	}
	if (to[0] == '[' && len >= 2 && to[len - 1] == ']') {
		to++;
		len -= 2;
	}
	memcpy(host, to, len);
	host[len] = '\0';
	e = getaddrinfo(host, colon + 1, &hints, &found);
	if (e != 0) {
		fprintf(stderr, "gen: %s: %s\n", to, gai_strerror(e));
		return NULL;
	}
	return found;
}

/* The address of exporter I, if they have some of their own. */
static int
bind_from(int fd, const char *from, uint32_t i)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	if (!from)
		return 0;
	if (inet_pton(AF_INET, from, &a.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	a.sin_addr.s_addr = htonl(ntohl(a.sin_addr.s_addr) + i);
	return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int
sender_init(struct sender *s, const char *from, const char *to, uint32_t n)
{
	struct addrinfo *a = resolve(to);
	int fd, size = 4 << 20;

	if (!a)
		return -1;
	for (s->nsockets = 0; s->nsockets < n; s->nsockets++) {
		fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd == -1 || bind_from(fd, from, s->nsockets) == -1 ||
		    connect(fd, a->ai_addr, a->ai_addrlen) == -1) {
			freeaddrinfo(a);
			return fail(to);
		}
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
		s->sockets[s->nsockets] = fd;
	}
	freeaddrinfo(a);
	return 0;
}

static void
sender_clear(struct sender *s)
{
	for (uint32_t i = 0; i < s->nsockets; i++)
		close(s->sockets[i]);
}

/* The longest run that starts at datagram i. */
static struct run
run_at(const struct sender *s, const struct pool *p, size_t i,
       const uint8_t *bytes)
{
	const struct datagram_made *first = &p->made[i], *d = first;
	struct run r = {.bytes = bytes, .segment = first->len};

	while (i + r.n < p->n && r.n < s->burst &&
	       r.len + d->len <= UDP_PAYLOAD_MAX &&
	       d->exporter == first->exporter && d->len <= first->len) {
		r.len += d->len;
		r.flows += d->flows;
		r.n++;
		if (d->len < first->len)
			break;
		d++;
	}
	return r;
}

static void
wait_until(double t)
{
	struct timespec at = {.tv_sec = t, .tv_nsec = (t - (time_t)t) * 1e9};

	if (t > now())
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void
set_segment(struct msghdr *m, char *control, uint16_t segment)
{
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(sizeof segment);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof segment);
	memcpy(CMSG_DATA(c), &segment, sizeof segment);
}

static int
send_runs(int fd, const struct run *runs, unsigned n)
{
	struct mmsghdr m[MESSAGES] = {0};
	struct iovec iov[MESSAGES];
	_Alignas(struct cmsghdr) char control[MESSAGES][CMSG_SPACE(2)] = {0};
	unsigned done = 0;
	int got;

	for (unsigned i = 0; i < n; i++) {
		iov[i].iov_base = (void *)runs[i].bytes;
		iov[i].iov_len = runs[i].len;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		if (runs[i].n > 1)
			set_segment(&m[i].msg_hdr, control[i], runs[i].segment);
	}
	while (done < n) {
		got = sendmmsg(fd, m + done, n - done, 0);
		if (got > 0)
			done += got;
		else if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
			return fail(errno == ECONNREFUSED
					? "nothing listens there (any more)"
					: "cannot send");
	}
	return 0;
}

/* Sends what starts at datagram *i, when it is due. */
static int
send_some(struct sender *s, const struct pool *p, size_t *i,
	  const uint8_t **bytes)
{
	struct run runs[MESSAGES];
	uint32_t exporter = p->made[*i].exporter;
	unsigned n = 0, most = s->rate > 0 ? 1 : MESSAGES;

	if (s->rate > 0)
		wait_until(s->started + s->sent / s->rate);
	while (n < most && *i < p->n && p->made[*i].exporter == exporter) {
		runs[n] = run_at(s, p, *i, *bytes);
		*i += runs[n].n;
		*bytes += runs[n].len;
		s->sent += runs[n].flows;
		n++;
	}
	return send_runs(s->sockets[exporter], runs, n);
}

/* Datagrams handed over at once: what is due within a millisecond. */
static uint32_t
burst_at(double rate)
{
	double n = rate / 1000 / 25;

	if (rate <= 0 || n > SEGMENTS_MAX)
		return SEGMENTS_MAX;
	return n < 1 ? 1 : n;
}

int
output_udp(struct export *x, const char *from, const char *to, double rate,
	   double *seconds)
{
	struct sender s = {.rate = rate, .burst = burst_at(rate)};
	struct pool p = {0};
	int result = 0;

	*seconds = 0;
	prctl(PR_SET_TIMERSLACK, 1);
	if (x->burst == 0)
		x->burst = s.burst;
	if (sender_init(&s, from, to, x->exporters) == -1 ||
	    pool_init(&p) == -1)
		return -1;
	while (result == 0) {
		const uint8_t *bytes = p.bytes;
		size_t i = 0;

		pool_fill(&p, x);
		if (p.n == 0)
			break;
		s.sent = 0;
		s.started = now();
		while (i < p.n && result == 0)
			result = send_some(&s, &p, &i, &bytes);
		*seconds += now() - s.started;
	}
	pool_clear(&p);
	sender_clear(&s);
	return result;
}

static void
put(uint8_t *p, uint32_t v, int bytes)
{
	while (bytes-- > 0) {
		p[bytes] = v;
		v >>= 8;
	}
}

/* Ethernet, IPv4 and UDP in front of a datagram; no UDP checksum. */
static void
pcap_headers(uint8_t h[42], const struct datagram_made *d)
{
	uint32_t e = d->exporter, sum = 0;

	memset(h, 0, 42);
	h[5] = 1;
	h[11] = 2;
	put(h + 12, 0x0800, 2);
	h[14] = 0x45;
	put(h + 16, 28 + d->len, 2);
	h[22] = 64;
	h[23] = 17;
	put(h + 26, 198u << 24 | 51 << 16 | e / 250 << 8 | (e % 250 + 1), 4);
	put(h + 30, 203u << 24 | 113 << 8 | 1, 4);
	for (int i = 14; i < 34; i += 2)
		sum += h[i] << 8 | h[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put(h + 24, ~(sum + (sum >> 16)), 2);
	put(h + 34, 30000 + e, 2);
	put(h + 36, PCAP_PORT, 2);
	put(h + 38, 8 + d->len, 2);
}

static int
pcap_write(struct export *x, FILE *f)
{
	uint32_t file[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	uint8_t buf[EXPORT_DATAGRAM_MAX], headers[42];
	struct datagram_made d;

	fwrite(file, sizeof file, 1, f);
	while (!ferror(f) && export_next(x, buf, &d)) {
		uint32_t packet[4] = {d.time_us / 1000000, d.time_us % 1000000,
				      42 + d.len, 42 + d.len};

		pcap_headers(headers, &d);
		fwrite(packet, sizeof packet, 1, f);
		fwrite(headers, sizeof headers, 1, f);
		fwrite(buf, d.len, 1, f);
	}
	return ferror(f) ? -1 : 0;
}

int
output_pcap(struct export *x, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	int result;

	if (!f)
		return fail(path);
	if (x->burst == 0)
		x->burst = 1;
	result = pcap_write(x, f);
	if (fclose(f) == EOF || result == -1)
		return fail(path);
	return 0;
}
