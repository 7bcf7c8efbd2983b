/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about tables: flowstore VERB ...  A verb is no table's name.
 */
#ifndef FLOWSTORE_COMMAND_H
#define FLOWSTORE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* Of the files that are exported and imported. */
enum form { FORM_UNKNOWN, FORM_CSV, FORM_JSON, FORM_MSGPACK };

/* What the command line said, checked against what the command takes. */
struct command_args {
	const char *root; /* directory of the tables */
	int n;		  /* words after the verb */
	char **words;
	const char *host; /* NULL where not given */
	enum form form;
	bool json, yes, apply, repair;
	bool backup; /* words are files */
};

struct command {
	const char *name;
	const char *words;   /* "TABLE FROM TO", for people */
	const char *options; /* letters of enum command_option it takes */
	int min, max;	     /* how many words */
	/* 0; 1: it ran and the answer is bad; -1: see err. */
	int (*run)(const struct command_args *, struct err *);
};

/* The command that the command line names, or NULL: its first word, after
 * --root at most. */
const struct command *command_find(int argc, char **argv);

/* Whether a name is kept for a command. */
bool command_is_verb(const char *name);

/* " (did you mean COMMAND?)" or "", in BUF, for what may be one misspelt. */
const char *command_hint(const char *name, char *buf, size_t size);

/* How each is called, a line each, for --help; SIZE has to do. */
void command_synopses(char *text, size_t size);

/* Parses and runs; an exit code. */
int command_main(const struct command *, int argc, char **argv);

/* Asks on the terminal whether to go on with what cannot be undone: "TEXT?
 * [y/N]".  --yes answers it; without a terminal and --yes it is an error. */
int command_confirm(const struct command_args *, struct err *, const char *fmt,
		    ...) __attribute__((format(printf, 3, 4)));

/* A line on stdout, fit for a terminal. */
void command_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One noun a file. */
int backup_run(const struct command_args *, struct err *);
int restore_run(const struct command_args *, struct err *);
int tables_run(const struct command_args *, struct err *);
int check_run(const struct command_args *, struct err *);
/* As check_run, the table in DIR, which nobody writes; says what is wrong. */
int check_dir(const char *dir, const char *name, struct err *);
int export_run(const struct command_args *, struct err *);
int import_run(const struct command_args *, struct err *);
int info_run(const struct command_args *, struct err *);
int create_run(const struct command_args *, struct err *);
int drop_run(const struct command_args *, struct err *);
int purge_run(const struct command_args *, struct err *);
int retention_run(const struct command_args *, struct err *);

#endif
