/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that speak to a running flowrecv: control.h.
 */
#ifndef FLOWRECV_CLIENT_H
#define FLOWRECV_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_line {
	const char *control; /* path; NULL: where it is by default */
	const char *verb;
	char **words;
	size_t nwords;
	bool json, hex;
	uint64_t count; /* of datagrams to show; 0: until stopped */
};

bool client_is_verb(const char *word);
/* " (did you mean COMMAND?)" or "", in BUF. */
const char *client_hint(const char *word, char *buf, size_t size);

/* Exits with the usage of the command where words are missing or too many;
 * else returns the exit status. */
int client_run(const struct command_line *);

#endif
