/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How stages are joined by Unix sockets, below what travels on them.
 *
 * One end listens: --serve for readers, --accept for writers.  The other
 * connects: --from and --to, unix:PATH.  The one that connects says hello
 * first, the other answers with its own; each is a map, described in
 * flowdatagram(5).  From then on objects go one way as they would on a pipe,
 * and the other way go marks, [stream, number]: of those that a reader sends
 * to --serve the first says after which number it wants to begin, and each
 * that follows that all up to that number is safe with it.
 *
 *	reader			 writer (--serve)
 *	hello name		 ->
 *				 <- hello stream, number
 *	[stream, number]	 ->    begin after it
 *				 <- objects ...
 *	[stream, number]	 ->    safe
 *
 *	writer			 store (--accept)
 *	hello name, table,
 *	host, stream		 ->
 *				 <- hello stream, number: what is safe already
 *	objects ...		 ->
 *				 <- [stream, number]: safe
 *
 * An end that cannot serve the other says why in its hello, and closes.
 */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/unixsock.h"

enum {
	LINK_VERSION = 1,
	LINK_NAME_MAX = 64,   /* of a reader or logger, with the NUL */
	LINK_TABLE_MAX = 256, /* of a table or host, with the NUL */
	HELLO_MAX = 4096,     /* bytes of a hello, at most */
	MARK_MAX = 32,
};

/* What an end says of itself. Strings that are not said are empty. */
struct hello {
	const char *role; /* of what travels: LINK_DATAGRAMS, LINK_RECORDS */
	char name[LINK_NAME_MAX];
	char table[LINK_TABLE_MAX];
	char host[LINK_TABLE_MAX];
	uint64_t stream; /* 0: none */
	uint64_t number;
	bool forget; /* nothing is to be kept for a reader of the name */
	char error[ERR_MAX];
};

#define LINK_DATAGRAMS "datagrams"
#define LINK_RECORDS "records"

/* Packs it, and returns the length. */
size_t hello_pack(char buf[HELLO_MAX], const struct hello *);
/* Reads the object; anything but ROLE is an error, and so is an error that it
 * tells of. */
int hello_read(const char *obj, size_t len, const char *role, struct hello *,
	       struct err *);

struct mark {
	uint64_t stream, number;
};

size_t mark_pack(char buf[MARK_MAX], const struct mark *);
int mark_read(const char *obj, size_t len, struct mark *, struct err *);

/* What comes in small pieces: hellos and marks. */
struct mail {
	char buf[2 * HELLO_MAX];
	size_t start, end;
};

/* One read(2) if need be: 1 and the next object, which lies in the mail until
 * the next call; 0 if there is no more now; -1 at the end of input (the error
 * has code EPIPE) or an error. */
int mail_next(struct mail *, int fd, const char **obj, size_t *len,
	      struct err *);

/* "unix:PATH": the path, or NULL. */
const char *link_path(const char *text);

/* Connects; the socket does not block. -1: nobody listens there now. */
int link_connect(const char *path, struct err *);

/* Sends a small object at once. -1: it could not be (EAGAIN: now). */
int link_send(int fd, const char *p, size_t len, struct err *);

/*
 * Connects and exchanges hellos, waiting up to MS for an answer: for a program
 * that has nothing else to do.  A socket that blocks, or -1.
 */
int link_join(const char *path, const struct hello *mine, struct hello *theirs,
	      int ms, struct err *);

struct link_listener {
	struct unixsock sock;
	bool handed; /* over by who started the program: the path stays */
};

/*
 * Listens at PATH, mode 0660: at the socket that was handed over for it, else
 * at a new one, as unixsock_listen has it.
 */
int link_listen(struct link_listener *, const char *path, struct err *);
/* One that is zeroed or closed is fine. */
void link_unlisten(struct link_listener *);
/* The next who connects: a socket that does not block, or -1 if there is none
 * (errno). */
int link_accept(const struct link_listener *);

#endif
