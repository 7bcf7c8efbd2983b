/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where loggers are defined, where their state is, and where the sockets are.
 *
 *	config	--config, else /etc/flow/loggers, or ~/.config/flow/loggers
 *	state	--state, else $FLOW_LOGGERS, else /var/lib/flowlog, or
 *		~/.local/state/flowlog
 *	run	$FLOW_RUN, else /run/flow, or $XDG_RUNTIME_DIR/flow
 *
 * the first of two for root and the user `flow`, the other for anyone else.
 */
#ifndef FLOWLOG_DIRS_H
#define FLOWLOG_DIRS_H

#include <limits.h>
#include <stddef.h>

#include "common/err.h"

struct dirs {
	char config[PATH_MAX], state[PATH_MAX], run[PATH_MAX];
};

/* CONFIG and STATE are what the options said, or NULL. */
int dirs_find(struct dirs *, const char *config, const char *state,
	      struct err *);

/* Makes DIR, and those that it is in. */
int dirs_make(const char *dir, struct err *);

/* DIR/encoded NAME and SUFFIX: place_encode. */
int dirs_file(char path[PATH_MAX], const char *dir, const char *name,
	      const char *suffix, struct err *);

/*
 * Puts TEXT into the file PATH: the whole new file is there, or the old one.
 */
int dirs_replace(const char *path, const char *text, size_t len, struct err *);

/* All of a file of at most MAX bytes and a NUL, to be freed; NULL: err, with
 * code ENOENT if there is none. */
char *dirs_read(const char *path, size_t max, size_t *len, struct err *);

#endif
