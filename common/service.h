/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of protocols, ports and TCP flags: the well known ones, the same on
 * every machine.
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/* 6 for "tcp" in any case; -1 if there is no such protocol. */
int protocol_number(const char *, size_t len);
/* And back; NULL. */
const char *protocol_name(uint64_t number);

/* 443 for "https", in any case; -1. */
int port_number(const char *, size_t len);
const char *port_name(uint64_t number);

/* 2 for "syn"; -1. */
int tcp_flag_bit(const char *, size_t len);
/* "fin" for 0, up to 7; NULL past the last. */
const char *tcp_flag_name(unsigned bit);

#endif
