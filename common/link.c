/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/link.h"

#include <errno.h>
#include <fcntl.h>
#include <msgpack.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/handed.h"
#include "common/stream.h"

enum {
	SOCKET_MODE = 0660,
	SEND_BUFFER = 1 << 20, /* as a pipe is widened to */
};

/* ---- what is said ---- */

/* A packer's output of a bounded length. */
struct out {
	char *p;
	size_t len, max;
};

static int
out_write(void *data, const char *p, size_t len)
{
	struct out *o = data;

	if (len > o->max - o->len)
		return -1;
	memcpy(o->p + o->len, p, len);
	o->len += len;
	return 0;
}

static void
put_text(msgpack_packer *pk, const char *key, const char *text)
{
	if (!text[0])
		return;
	msgpack_pack_str_with_body(pk, key, strlen(key));
	msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void
put_number(msgpack_packer *pk, const char *key, uint64_t v)
{
	msgpack_pack_str_with_body(pk, key, strlen(key));
	msgpack_pack_uint64(pk, v);
}

size_t
hello_pack(char buf[HELLO_MAX], const struct hello *h)
{
	struct out o = {.p = buf, .max = HELLO_MAX};
	size_t texts = (h->name[0] != 0) + (h->table[0] != 0) +
		       (h->host[0] != 0) + (h->error[0] != 0);
	msgpack_packer pk;

	msgpack_packer_init(&pk, &o, out_write);
	msgpack_pack_map(&pk, 4 + texts + h->forget);
	put_number(&pk, "version", LINK_VERSION);
	put_text(&pk, "role", h->role);
	put_text(&pk, "name", h->name);
	put_text(&pk, "table", h->table);
	put_text(&pk, "host", h->host);
	put_text(&pk, "error", h->error);
	put_number(&pk, "stream", h->stream);
	put_number(&pk, "number", h->number);
	if (h->forget) {
		msgpack_pack_str_with_body(&pk, "forget", 6);
		msgpack_pack_true(&pk);
	}
	return o.len;
}

static bool
is_text(const msgpack_object *o, const char *text)
{
	return o->type == MSGPACK_OBJECT_STR &&
	       o->via.str.size == strlen(text) &&
	       memcmp(o->via.str.ptr, text, o->via.str.size) == 0;
}

/* The value of a key, NULL if it is not there. */
static const msgpack_object *
value_of(const msgpack_object *map, const char *key)
{
	for (uint32_t i = 0; i < map->via.map.size; i++)
		if (is_text(&map->via.map.ptr[i].key, key))
			return &map->via.map.ptr[i].val;
	return NULL;
}

static int
get_text(const msgpack_object *map, const char *key, char *to, size_t size,
	 struct err *e)
{
	const msgpack_object *o = value_of(map, key);

	to[0] = '\0';
	if (!o)
		return 0;
	if (o->type != MSGPACK_OBJECT_STR || o->via.str.size >= size ||
	    memchr(o->via.str.ptr, 0, o->via.str.size))
		return err_set(e, "hello: %s is no text of up to %zu bytes",
			       key, size - 1);
	memcpy(to, o->via.str.ptr, o->via.str.size);
	to[o->via.str.size] = '\0';
	return 0;
}

static int
get_number(const msgpack_object *map, const char *key, uint64_t *v,
	   struct err *e)
{
	const msgpack_object *o = value_of(map, key);

	*v = 0;
	if (!o)
		return 0;
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return err_set(e, "hello: %s is no number", key);
	*v = o->via.u64;
	return 0;
}

static int
read_hello(const msgpack_object *o, const char *role, struct hello *h,
	   struct err *e)
{
	const msgpack_object *r, *forget;
	uint64_t version;

	if (o->type != MSGPACK_OBJECT_MAP ||
	    get_number(o, "version", &version, e) != 0 || version == 0)
		return err_set(e, "what it says first is no hello");
	if (version != LINK_VERSION)
		return err_set(e, "it speaks version %llu, this program %d",
			       (unsigned long long)version, LINK_VERSION);
	if (get_text(o, "error", h->error, sizeof(h->error), e) != 0)
		return -1;
	if (h->error[0])
		return err_set(e, "it says: %.400s", h->error);
	r = value_of(o, "role");
	if (!r || !is_text(r, role))
		return err_set(e, "it is not about %s", role);
	h->role = role;
	forget = value_of(o, "forget");
	h->forget = forget && forget->type == MSGPACK_OBJECT_BOOLEAN &&
		    forget->via.boolean;
	if (get_text(o, "name", h->name, sizeof(h->name), e) != 0 ||
	    get_text(o, "table", h->table, sizeof(h->table), e) != 0 ||
	    get_text(o, "host", h->host, sizeof(h->host), e) != 0 ||
	    get_number(o, "stream", &h->stream, e) != 0)
		return -1;
	return get_number(o, "number", &h->number, e);
}

/* What msgpack-c may be given: see stream.h. */
static bool
is_object(const char *obj, size_t len)
{
	const char *reason;

	return stream_extent(obj, len, HELLO_MAX, &reason) == (int64_t)len;
}

int
hello_read(const char *obj, size_t len, const char *role, struct hello *h,
	   struct err *e)
{
	msgpack_unpacked u;
	size_t off = 0;
	int rc;

	memset(h, 0, sizeof(*h));
	msgpack_unpacked_init(&u);
	if (len == 0 || !is_object(obj, len) ||
	    msgpack_unpack_next(&u, obj, len, &off) != MSGPACK_UNPACK_SUCCESS)
		rc = err_set(e, "what it says first is no hello");
	else
		rc = read_hello(&u.data, role, h, e);
	msgpack_unpacked_destroy(&u);
	return rc;
}

size_t
mark_pack(char buf[MARK_MAX], const struct mark *m)
{
	struct out o = {.p = buf, .max = MARK_MAX};
	msgpack_packer pk;

	msgpack_packer_init(&pk, &o, out_write);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_uint64(&pk, m->stream);
	msgpack_pack_uint64(&pk, m->number);
	return o.len;
}

int
mark_read(const char *obj, size_t len, struct mark *m, struct err *e)
{
	const msgpack_object *v;
	msgpack_unpacked u;
	size_t off = 0;
	int rc = -1;

	msgpack_unpacked_init(&u);
	if (len > 0 && is_object(obj, len) &&
	    msgpack_unpack_next(&u, obj, len, &off) == MSGPACK_UNPACK_SUCCESS &&
	    u.data.type == MSGPACK_OBJECT_ARRAY && u.data.via.array.size == 2) {
		v = u.data.via.array.ptr;
		if (v[0].type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
		    v[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
			*m = (struct mark){v[0].via.u64, v[1].via.u64};
			rc = 0;
		}
	}
	msgpack_unpacked_destroy(&u);
	return rc == 0 ? 0 : err_set(e, "a mark is no pair of numbers");
}

static int
mail_object(struct mail *m, const char **obj, size_t *len, struct err *e)
{
	const char *reason;
	int64_t n = stream_extent(m->buf + m->start, m->end - m->start,
				  HELLO_MAX, &reason);

	if (n < 0)
		return err_set(e, "%s", reason);
	if (n == 0)
		return 0;
	*obj = m->buf + m->start;
	*len = (size_t)n;
	m->start += (size_t)n;
	return 1;
}

int
mail_next(struct mail *m, int fd, const char **obj, size_t *len, struct err *e)
{
	int rc = mail_object(m, obj, len, e);
	ssize_t n;

	if (rc != 0)
		return rc;
	memmove(m->buf, m->buf + m->start, m->end - m->start);
	m->end -= m->start;
	m->start = 0;
	do
		n = read(fd, m->buf + m->end, sizeof(m->buf) - m->end);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		errno = n == 0 ? EPIPE : errno;
		return err_sys(e, "the connection is gone");
	}
	m->end += (size_t)n;
	return mail_object(m, obj, len, e);
}

/* ---- sockets ---- */

const char *
link_path(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 && text[5] ? text + 5 : NULL;
}

static void
widen(int fd)
{
	int size = SEND_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int
link_connect(const char *path, struct err *e)
{
	int fd = unixsock_connect(path, e);

	if (fd < 0)
		return -1;
	widen(fd);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	err_sys(e, "%s", path);
	close(fd);
	return -1;
}

int
link_send(int fd, const char *p, size_t len, struct err *e)
{
	ssize_t n;

	do
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = EPIPE; /* what is small goes as a whole or not at all */
	return err_sys(e, "cannot send");
}

/* Waits for the answer. */
static int
await_hello(int fd, const char *role, struct hello *theirs, int ms,
	    struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct mail mail = {0};
	const char *obj;
	size_t len;
	int rc;

	while ((rc = mail_next(&mail, fd, &obj, &len, e)) == 0)
		if (poll(&p, 1, ms) <= 0)
			return err_set(e, "it does not answer");
	if (rc < 0 || hello_read(obj, len, role, theirs, e) != 0)
		return -1;
	/* it speaks again only when it has got something */
	return mail.start == mail.end
		   ? 0
		   : err_set(e, "it says more than it was asked");
}

int
link_join(const char *path, const struct hello *mine, struct hello *theirs,
	  int ms, struct err *e)
{
	char buf[HELLO_MAX];
	int fd = link_connect(path, e);

	if (fd < 0)
		return -1;
	if (link_send(fd, buf, hello_pack(buf, mine), e) == 0 &&
	    await_hello(fd, mine->role, theirs, ms, e) == 0 &&
	    fcntl(fd, F_SETFL, 0) == 0)
		return fd;
	close(fd);
	return err_prefix(e, "%s", path);
}

int
link_listen(struct link_listener *l, const char *path, struct err *e)
{
	*l = (struct link_listener){.sock.fd = handed_unix(path)};
	if (l->sock.fd < 0)
		return unixsock_listen(&l->sock, path, SOCKET_MODE, e);
	l->handed = true;
	return fcntl(l->sock.fd, F_SETFL, O_NONBLOCK) == 0
		   ? 0
		   : err_sys(e, "%s", path);
}

void
link_unlisten(struct link_listener *l)
{
	if (l->handed)
		close(l->sock.fd);
	else
		unixsock_close(&l->sock);
	*l = (struct link_listener){.sock.fd = -1};
}

int
link_accept(const struct link_listener *l)
{
	int fd = accept4(l->sock.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		widen(fd);
	return fd;
}
