/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that were open before the program began, as systemd hands them over:
 * sd_listen_fds(3).  LISTEN_PID says whom they are for, LISTEN_FDS how many
 * there are, from descriptor 3 on, and LISTEN_FDNAMES what they are called.
 */
#ifndef COMMON_HANDED_H
#define COMMON_HANDED_H

#include <stddef.h>

/* How many there are; 0 if they are not for this process.  From then on no
 * program that this one runs inherits them. */
int handed_count(void);
/* Number I below that: its descriptor, and its name ("" if it has none), cut
 * to SIZE with the NUL. */
int handed_get(int i, char *name, size_t size);
/* The one that listens at the path of a Unix socket, or -1. */
int handed_unix(const char *path);

#endif
