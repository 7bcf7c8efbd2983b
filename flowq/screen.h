/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the text of an answer goes: a descriptor, and where that is a terminal
 * that the text is too long for, a pager ($PAGER, else less -SFRX).
 *
 * Text is held until it fills the screen, or for a moment; what comes slowly
 * is shown as it comes.
 */
#ifndef FLOWQ_SCREEN_H
#define FLOWQ_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct screen;

/* PAGER: a terminal may have one. NULL when memory is out. */
struct screen *screen_new(int fd, bool pager);
/* Waits for the pager if there is one. */
void screen_free(struct screen *);

/* BEFORE is called before anything is written to a terminal. */
void screen_before(struct screen *, void (*before)(void *), void *ctx);

/* Columns of the terminal; 0: it is none. */
unsigned screen_width(const struct screen *);
int screen_fd(const struct screen *);

/* err->code is EPIPE where the reader has enough, EINTR after Ctrl-C. */
int screen_write(struct screen *, const char *, size_t len, struct err *);
/* No more comes: what was held goes out, and a pager is waited for. */
int screen_end(struct screen *, struct err *);
/* Now and then, from any thread. */
void screen_tick(struct screen *);

#endif
