/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exporters that may send: a list of networks.
 */
#ifndef FLOWRECV_ALLOW_H
#define FLOWRECV_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct network;

/* Zeroed it is empty, and lets everyone in. */
struct allow {
	struct network *list;
	size_t n;
};

/* Adds "192.0.2.0/24,2001:db8::/32"; an address alone is itself. */
int allow_add(struct allow *, const char *list, struct err *);
void allow_clear(struct allow *);

/* IPv4 as ::ffff:a.b.c.d. */
bool allow_has(const struct allow *, const uint8_t addr[16]);

#endif
