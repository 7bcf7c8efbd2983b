/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.
 */
#ifndef FLOWRECV_OPTIONS_H
#define FLOWRECV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowrecv/allow.h"
#include "flowrecv/tee.h"

enum { PORTS_BYTES = 65536 / 8 };

struct options {
	uint64_t queue, buffer;
	const char *read, *name;
	const char *serve, *ring;
	uint8_t ports[PORTS_BYTES]; /* bitmap, used if some_ports */
	bool some_ports;
	bool verbose, json, hex;
	struct allow allow;
	const char *control, *metrics, *state, *user;
	uint64_t count;
	const char *verb; /* a command; NULL: none */
	const char *tees[TEE_TARGETS];
	size_t ntees;
	const char *to; /* where a capture goes; NULL: to the output */
	double rate;	/* datagrams a second; 0: as fast as it goes */
	double speed;	/* times the capture's own; 0: rate counts */
	char **words;	/* of the command; else the ports */
	size_t nwords;
};

/* Exits where it is wrong, and for --help and --version. */
void options_read(struct options *, int argc, char **argv);
void options_clear(struct options *);

#endif
