/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/joinkey.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for the keys of a join");
}

void
joinkey_init(struct joinkey *k, size_t n, const enum expr_type *types)
{
	*k = (struct joinkey){.n = n, .types = types};
}

void
joinkey_clear(struct joinkey *k)
{
	room_free(k->room, k->at);
	room_free(k->room, k->bytes);
	room_free(k->room, k->head);
	room_free(k->room, k->next);
	free(k->key);
	*k = (struct joinkey){0};
}

size_t
joinkey_memory(const struct joinkey *k)
{
	return k->cap + (size_t)k->rows * 24;
}

/* Room for MORE bytes behind LEN. */
static int
room(char **buf, size_t *cap, size_t len, size_t more)
{
	char *p;
	size_t want;

	if (len + more <= *cap)
		return 0;
	want = 2 * (len + more) + 64;
	p = realloc(*buf, want);
	if (!p)
		return -1;
	*buf = p;
	*cap = want;
	return 0;
}

/* Equal numbers have equal bytes. */
static uint64_t
real_bits(double d)
{
	uint64_t u;

	if (d == 0)
		d = 0;
	if (d != d)
		return UINT64_C(0x7ff8) << 48;
	memcpy(&u, &d, 8);
	return u;
}

/* Appends a value to *BUF: its length, SIZE_MAX when memory is out. */
static size_t
put_value(const struct vec *v, uint32_t i, char **buf, size_t *cap, size_t at)
{
	uint64_t u;

	switch (v->type) {
	case TYPE_STRING:
	case TYPE_BYTES: {
		struct str s = VEC_AT(*v, struct str, i);
		uint32_t len = (uint32_t)s.len;

		if (room(buf, cap, at, 4 + s.len))
			return SIZE_MAX;
		memcpy(*buf + at, &len, 4);
		if (s.len)
			memcpy(*buf + at + 4, s.p, s.len);
		return 4 + s.len;
	}
	case TYPE_IP:
		if (room(buf, cap, at, 16))
			return SIZE_MAX;
		memcpy(*buf + at, &VEC_AT(*v, unsigned __int128, i), 16);
		return 16;
	case TYPE_BOOL:
		u = VEC_AT(*v, uint8_t, i) != 0;
		break;
	case TYPE_REAL:
		u = real_bits(VEC_AT(*v, double, i));
		break;
	default:
		u = VEC_AT(*v, uint64_t, i);
	}
	if (room(buf, cap, at, 8))
		return SIZE_MAX;
	memcpy(*buf + at, &u, 8);
	return 8;
}

static size_t
put_key(const struct joinkey *k, const struct vec *vecs, uint32_t i, char **buf,
	size_t *cap, size_t at)
{
	size_t len = 0;

	for (size_t p = 0; p < k->n; p++)
		if (vecs[p].type == TYPE_NULL || VEC_NULL(vecs[p], i))
			return 0;
	for (size_t p = 0; p < k->n; p++) {
		size_t n = put_value(&vecs[p], i, buf, cap, at + len);

		if (n == SIZE_MAX)
			return n;
		len += n;
	}
	return len;
}

size_t
joinkey_bytes(const struct joinkey *k, const struct vec *vecs, uint32_t i,
	      char **buf, size_t *cap)
{
	return put_key(k, vecs, i, buf, cap, 0);
}

/* The key that was made. */
static int
add_bytes(struct joinkey *k, size_t len, struct err *err)
{
	size_t need = k->len + len, cap = 2 * need + 64;
	char *p;

	if (need > k->cap) {
		p = room_grow(k->room, k->bytes, k->cap, cap, err);
		if (!p)
			return -1;
		k->bytes = p;
		k->cap = cap;
	}
	if (len)
		memcpy(k->bytes + k->len, k->key, len);
	k->len = need;
	return 0;
}

int
joinkey_add(struct joinkey *k, const struct vec *vecs, uint32_t count,
	    struct err *err)
{
	size_t rows = (size_t)k->rows + count;
	uint64_t *at;

	if (rows >= UINT32_MAX)
		return err_set(err, "a join of more than 2^32 rows");
	at = room_grow(k->room, k->at,
		       k->at ? (k->rows + (size_t)1) * sizeof(*at) : 0,
		       (rows + 1) * sizeof(*at), err);
	if (!at)
		return -1;
	k->at = at;
	at[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		size_t len = put_key(k, vecs, i, &k->key, &k->key_cap, 0);

		if (len == SIZE_MAX)
			return oom(err);
		if (add_bytes(k, len, err))
			return -1;
		at[++k->rows] = k->len;
	}
	return 0;
}

static uint64_t
hash(const char *key, size_t len)
{
	return XXH3_64bits(key, len);
}

int
joinkey_finish(struct joinkey *k, struct err *err)
{
	size_t heads = 16;

	while (heads < 2 * (size_t)k->rows)
		heads *= 2;
	k->mask = heads - 1;
	k->head = room_grow(k->room, NULL, 0, heads * sizeof(*k->head), err);
	if (!k->head)
		return -1;
	k->next = room_grow(k->room, NULL, 0,
			    ((size_t)k->rows + 1) * sizeof(*k->next), err);
	if (!k->next)
		return -1;
	memset(k->head, 0xff, heads * sizeof(*k->head));
	for (uint32_t i = k->rows; i-- > 0;) {
		size_t len = k->at[i + 1] - k->at[i];
		uint32_t *head;

		if (len == 0)
			continue;
		head = &k->head[hash(k->bytes + k->at[i], len) & k->mask];
		k->next[i] = *head;
		*head = i;
	}
	return 0;
}

static uint32_t
walk(const struct joinkey *k, uint32_t row, const char *key, size_t len)
{
	while (row != UINT32_MAX &&
	       (k->at[row + 1] - k->at[row] != len ||
		memcmp(k->bytes + k->at[row], key, len) != 0))
		row = k->next[row];
	return row;
}

uint32_t
joinkey_first(const struct joinkey *k, const char *key, size_t len)
{
	return len ? walk(k, k->head[hash(key, len) & k->mask], key, len)
		   : UINT32_MAX;
}

uint32_t
joinkey_next(const struct joinkey *k, uint32_t row, const char *key, size_t len)
{
	return walk(k, k->next[row], key, len);
}
