/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reader of bytes from the wire.  After a read past the end it is bad: that
 * read and all later ones give 0, so a parser reads on and checks once.
 * Sub-readers are carved by length and cannot leave it.
 *
 * The wire_ functions load from where the caller has made sure that bytes are.
 */
#ifndef FLOWDECODE_READER_H
#define FLOWDECODE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
wire_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t
wire_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t
wire_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

/* The low 64 bits of an unsigned integer of LEN bytes. */
static inline uint64_t
wire_uint(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct reader
reader_of(const void *p, size_t len)
{
	return (struct reader){.p = p, .left = len};
}

/* The next LEN bytes, or NULL. */
static inline const uint8_t *
reader_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (len > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

static inline uint8_t
reader_u8(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 1);

	return p ? *p : 0;
}

static inline uint16_t
reader_u16(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 2);

	return p ? wire_u16(p) : 0;
}

static inline uint32_t
reader_u32(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 4);

	return p ? wire_u32(p) : 0;
}

/* A reader of the next LEN bytes; bad, as this one, if they are not there. */
static inline struct reader
reader_sub(struct reader *r, size_t len)
{
	const uint8_t *p = reader_bytes(r, len);

	return (struct reader){.p = p, .left = p ? len : 0, .bad = p == NULL};
}

/* Whether nothing but zeros is left. */
static inline bool
reader_zeros(const struct reader *r)
{
	for (size_t i = 0; i < r->left; i++)
		if (r->p[i])
			return false;
	return true;
}

#endif
