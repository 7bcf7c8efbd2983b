/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/textrow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/element.h"
#include "common/text.h"

enum {
	MAP_HEAD = 5, /* 0xdf and how many pairs, filled in at the end */
	NUMBER_MAX = 64,
	HEX_MAX = 4096,
};

void
textrow_init(struct textrow *r)
{
	memset(r, 0, sizeof(*r));
	msgpack_sbuffer_init(&r->buf);
	msgpack_packer_init(&r->pk, &r->buf, msgpack_sbuffer_write);
}

void
textrow_clear(struct textrow *r)
{
	msgpack_sbuffer_destroy(&r->buf);
	free(r->scratch);
	r->scratch = NULL;
}

void
textrow_begin(struct textrow *r)
{
	static const char head[MAP_HEAD] = {(char)0xdf};

	msgpack_sbuffer_clear(&r->buf);
	msgpack_sbuffer_write(&r->buf, head, sizeof(head));
	r->fields = 0;
}

const char *
textrow_end(struct textrow *r, size_t *len)
{
	if (r->buf.size < MAP_HEAD)
		return NULL;
	for (int i = 0; i < 4; i++)
		r->buf.data[1 + i] = (char)(r->fields >> (24 - 8 * i));
	*len = r->buf.size;
	return r->buf.data;
}

char *
textrow_scratch(struct textrow *r, size_t len)
{
	char *p;

	if (len + 1 <= r->cap)
		return r->scratch;
	p = realloc(r->scratch, len + 1);
	if (!p)
		return NULL;
	r->scratch = p;
	r->cap = len + 1;
	return p;
}

static void
key(struct textrow *r, const char *name)
{
	msgpack_pack_str_with_body(&r->pk, name, strlen(name));
	r->fields++;
}

void
textrow_text(struct textrow *r, const char *name, const char *value, size_t len)
{
	key(r, name);
	msgpack_pack_str_with_body(&r->pk, value, len);
}

void
textrow_number(struct textrow *r, const char *name, uint64_t x)
{
	key(r, name);
	msgpack_pack_uint64(&r->pk, x);
}

void
textrow_bytes(struct textrow *r, const char *name, const void *p, size_t len)
{
	key(r, name);
	msgpack_pack_bin_with_body(&r->pk, p, len);
}

/* e<enterprise>_<id>: an element of which nothing is known but its bytes. */
static bool
is_unknown(const char *name)
{
	size_t digits;

	if (*name++ != 'e')
		return false;
	digits = strspn(name, "0123456789");
	if (digits == 0 || name[digits] != '_')
		return false;
	name += digits + 1;
	digits = strspn(name, "0123456789");
	return digits > 0 && !name[digits];
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
add_hex(struct textrow *r, const char *name, const char *value, size_t len)
{
	uint8_t bytes[HEX_MAX / 2];

	if (len % 2 != 0 || len > HEX_MAX)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = nibble(value[i]), low = nibble(value[i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	textrow_bytes(r, name, bytes, len / 2);
	return true;
}

static bool
add_integer(struct textrow *r, const char *name, const char *value, size_t len)
{
	bool minus = len > 0 && *value == '-';
	uint64_t x;

	/* 007 is a code and no number */
	if (len - minus > 1 && value[minus] == '0')
		return false;
	if (text_read_u64(value + minus, len - minus, &x) != 0 ||
	    (minus && x > (uint64_t)INT64_MAX + 1))
		return false;
	key(r, name);
	if (minus)
		msgpack_pack_int64(&r->pk, (int64_t)-x);
	else
		msgpack_pack_uint64(&r->pk, x);
	return true;
}

static bool
add_real(struct textrow *r, const char *name, const char *value, size_t len)
{
	char buf[NUMBER_MAX], *end;
	double f;

	if (len == 0 || len >= sizeof(buf))
		return false;
	memcpy(buf, value, len);
	buf[len] = 0;
	if (strspn(buf, "0123456789+-.eE") != len ||
	    !strpbrk(buf, "0123456789") ||
	    (len > 1 && buf[0] == '0' && nibble(buf[1]) >= 0 &&
	     nibble(buf[1]) < 10))
		return false;
	f = strtod(buf, &end);
	if (*end)
		return false;
	key(r, name);
	msgpack_pack_double(&r->pk, f);
	return true;
}

static bool
add_boolean(struct textrow *r, const char *name, const char *value, size_t len)
{
	bool yes = len == 4 && memcmp(value, "true", 4) == 0;

	if (!yes && !(len == 5 && memcmp(value, "false", 5) == 0))
		return false;
	key(r, name);
	if (yes)
		msgpack_pack_true(&r->pk);
	else
		msgpack_pack_false(&r->pk);
	return true;
}

/* What a field's name says of its values. */
static enum textrow_kind
kind_of(const char *name)
{
	int type = element_type_of(name);

	if (type == ELEMENT_BYTES || (type < 0 && is_unknown(name)))
		return TEXTROW_BYTES;
	/* names and the like may look like numbers */
	return type == ELEMENT_STRING || strcmp(name, "binding") == 0 ||
		       strcmp(name, "_host") == 0
		   ? TEXTROW_TEXT
		   : TEXTROW_ANY;
}

/* Records are mostly like the one before. */
static enum textrow_kind
find_kind(struct textrow *r, const char *name)
{
	struct textrow_known *k = &r->known[r->fields % SHAPE_FIELDS_MAX];

	if (strcmp(k->name, name) != 0) {
		snprintf(k->name, sizeof(k->name), "%s", name);
		k->kind = kind_of(name);
	}
	return k->kind;
}

void
textrow_add(struct textrow *r, const char *name, const char *value, size_t len,
	    bool quoted)
{
	enum textrow_kind kind = find_kind(r, name);

	if (kind == TEXTROW_BYTES && add_hex(r, name, value, len))
		return;
	if (kind == TEXTROW_ANY && !quoted &&
	    (add_integer(r, name, value, len) ||
	     add_real(r, name, value, len) || add_boolean(r, name, value, len)))
		return;
	textrow_text(r, name, value, len);
}
