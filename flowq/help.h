/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the console says to `help`.
 */
#ifndef FLOWQ_HELP_H
#define FLOWQ_HELP_H

#include <stddef.h>
#include <stdio.h>

/* About all, or about TOPIC: a command, or functions, aggregates, expressions.
 * -1: there is nothing about it. */
int help_print(FILE *, const char *topic, size_t len);

/* The i-th topic, NULL past the last. */
const char *help_topic(size_t i);

#endif
