/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bare: the least that a receiver can do, to measure flowrecv against.
 *
 * in:    UDP datagrams to 127.0.0.1:PORT
 * out:   how many came, at SIGTERM
 * keeps: nothing
 *
 * recvmmsg(2) into 512 buffers with the kernel's receive times, and a pause
 * of 2 ms when there is no more: what flowrecv does, without doing anything
 * with what came.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	SLOTS = 512,
	ROOM = 2048 + 64,
	CONTROL = CMSG_SPACE(sizeof(struct timespec)),
	BUFFER = 64 << 20,
	PAUSE_NS = 2000000,
};

static char room[SLOTS][ROOM];
static struct sockaddr_in from[SLOTS];
static _Alignas(struct cmsghdr) char control[SLOTS][CONTROL];
static struct iovec iov[SLOTS];
static struct mmsghdr msgs[SLOTS];
static volatile sig_atomic_t stopped;

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

static int
open_port(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port =
				    htons((uint16_t)strtoul(port, NULL, 10)),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER, on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	perror("bare: bind");
	exit(1);
}

static void
reset(unsigned i)
{
	iov[i] = (struct iovec){room[i], ROOM};
	msgs[i].msg_hdr = (struct msghdr){
	    .msg_name = &from[i],
	    .msg_namelen = sizeof(from[i]),
	    .msg_iov = &iov[i],
	    .msg_iovlen = 1,
	    .msg_control = control[i],
	    .msg_controllen = CONTROL,
	};
}

int
main(int argc, char **argv)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};
	unsigned long long datagrams = 0;
	int fd, n = SLOTS;

	if (argc != 2)
		return 2;
	signal(SIGTERM, on_signal);
	fd = open_port(argv[1]);
	while (!stopped) {
		for (int i = 0; i < n; i++)
			reset((unsigned)i);
		n = recvmmsg(fd, msgs, SLOTS, MSG_DONTWAIT, NULL);
		n = n < 0 ? 0 : n;
		datagrams += (unsigned)n;
		if (n < SLOTS)
			nanosleep(&pause, NULL);
	}
	printf("%llu\n", datagrams);
	return 0;
}
