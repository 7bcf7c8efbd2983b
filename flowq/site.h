/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a query may reach besides its text, and its bounds.
 */
#ifndef FLOWQ_SITE_H
#define FLOWQ_SITE_H

#include <stddef.h>

#include "common/err.h"

struct source;

struct site {
	const char *root; /* where tables are */
	size_t memory;	  /* bytes that rows may take; 0: any */
	const char *tmp;  /* where temporary files are made */
	/* For tests: stands for every source, so that no file is touched. */
	int (*open)(struct source **, struct err *);
};

#endif
