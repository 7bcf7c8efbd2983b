/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A logger's definition: a small text file in the config directory, called by
 * the logger's name (place_encode) and ".conf".
 *
 *	# comment
 *	table = netflows
 *	source-id = 71,106
 *	where = dst_port == 443
 *
 * One setting a line, KEY = VALUE to its end; steps in their order, the rest
 * in any.  Whatever reads one says the file and the line that are wrong.
 */
#ifndef FLOWLOG_LOGGER_H
#define FLOWLOG_LOGGER_H

#include "common/link.h"
#include "flowlog/dirs.h"
#include "flowlog/setting.h"

/* What a definition has besides steps, each at most once. */
enum logger_text {
	LOGGER_DESCRIPTION,
	LOGGER_TABLE,
	LOGGER_HOST,
	LOGGER_FROM, /* unix:PATH */
	LOGGER_TO,
	LOGGER_TEXTS
};

/* "description" ... */
const char *logger_text_name(enum logger_text);

struct logger {
	char name[LINK_NAME_MAX];
	char *texts[LOGGER_TEXTS]; /* NULL: not said */
	struct settings steps;
};

void logger_clear(struct logger *);

/* Whether a logger may be called so; -1: why not. */
int logger_check_name(const char *name, struct err *);
/* Copies; an empty text is none. -1: it is not what the setting takes. */
int logger_set_text(struct logger *, enum logger_text, const char *,
		    struct err *);
/* The path of a socket, LOGGER_FROM or LOGGER_TO: what the definition says,
 * else the usual one in the directory RUN. */
int logger_path(const struct logger *, enum logger_text which, const char *run,
		char path[UNIXSOCK_PATH_MAX], struct err *);
/* Whether the steps are what filters take. */
int logger_check_steps(const struct logger *, struct err *);

/* Reads the definition of NAME. -1: there is none, or it is wrong. */
int logger_read(struct logger *, const struct dirs *, const char *name,
		struct err *);
/* Writes it; FRESH: there must be none of the name. */
int logger_write(const struct logger *, const struct dirs *, bool fresh,
		 struct err *);
int logger_remove(const struct dirs *, const char *name, struct err *);

/* The names of all there are, sorted; each and the array to be freed. */
int logger_names(const struct dirs *, char ***names, size_t *n, struct err *);

#endif
