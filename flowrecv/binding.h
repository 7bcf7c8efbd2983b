/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UDP port that is open for collection under a name.
 *
 * Written [NAME=][ADDRESS:]PORT, see where.h.
 */
#ifndef FLOWRECV_BINDING_H
#define FLOWRECV_BINDING_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"
#include "common/err.h"
#include "common/log.h"
#include "flowrecv/tally.h"
#include "flowrecv/where.h"

struct binding {
	char name[BINDING_NAME_MAX];
	size_t name_len;
	struct where where;
	int fd;	       /* -1 while closed */
	size_t buffer; /* bytes that the kernel granted */
	struct tally tally;
	uint64_t kernel_drops;
	uint32_t kernel_seen; /* the kernel's counter, which wraps */
	struct log_limit drop_log, error_log;
	/* who receives from it, and what it waits for: one of the two */
	struct view *views; /* who looks on */
	uint32_t slot;	    /* by which its datagrams in the ring know it */
	void *owner;
	struct binding *next;
	struct event *readable, *pause;
};

/* Reads TEXT; without a name the name is the port.  Opens nothing. */
struct binding *binding_new(const char *text, struct err *);
/* Closes it; takes NULL. */
void binding_free(struct binding *);
int binding_rename(struct binding *, const char *name, struct err *);

/* A name is 1 to 63 letters, digits, dots, dashes and underscores. */
int binding_name_check(const char *name, struct err *);

/* Opens the socket with a receive buffer of BUFFER bytes or what the kernel
 * grants. */
int binding_open(struct binding *, size_t buffer, struct err *);
/* One for a socket that is bound already, FD, which it takes over and whose
 * receive buffer it raises to BUFFER if it is less; without a name ("") it is
 * called by its port. */
struct binding *binding_adopt(int fd, const char *name, size_t buffer,
			      struct err *);
/* Frees events and closes the socket; what was counted stays. */
void binding_close(struct binding *);

/* Asks the kernel what it dropped: adds to kernel_drops and returns the new
 * ones.  Unlike SO_RXQ_OVFL this also sees drops that no later datagram
 * told of, and costs nothing per datagram. */
uint64_t binding_kernel_drops(struct binding *);

#endif
