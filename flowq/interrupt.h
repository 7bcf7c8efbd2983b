/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ctrl-C: the query at work ends, the program goes on to say so; a second one
 * ends the program.
 */
#ifndef FLOWQ_INTERRUPT_H
#define FLOWQ_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/err.h"

/* Set by SIGINT and SIGTERM. */
extern atomic_bool interrupted;

/* "interrupted", code EINTR. Always -1. */
int interrupt_err(struct err *);

/* From now on; also forgets what came before. */
void interrupt_catch(void);
/* The second one ends the program no more: a pager or a console is there. */
void interrupt_keep(void);

#endif
