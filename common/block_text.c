/* SPDX-License-Identifier: BSD-2-Clause */
/* Strings of a block: each once, and which one a row has, or all of them. */
#include <string.h>
#include <zstd.h>

#include "common/block_format.h"
#include "common/block_parts.h"
#include "common/checksum.h"

enum {
	ZSTD_LEVEL = 1,
	COMPRESS_MIN = 512, /* bytes */
};

struct text {
	const char *p;
	size_t len;
};

static struct text
text_at(const struct source *s, uint32_t i)
{
	const uint8_t *off = s->c->data;
	uint32_t row = s->c->constant ? 0 : s->from + i;
	uint32_t a = get32(off + 4 * (size_t)row);

	/* no bytes at all: nothing to point into */
	return (struct text){s->c->bytes ? s->c->bytes + a : "",
			     get32(off + 4 * (size_t)row + 4) - a};
}

/* The bytes of strings, compressed where that saves a tenth. */
static int
encode_text(const uint8_t *raw, size_t len, struct bytes *out)
{
	size_t bound = ZSTD_compressBound(len), stored = len;
	uint8_t head[9], *to = bytes_room(out, sizeof(head) + bound);

	if (!to)
		return -1;
	if (len >= COMPRESS_MIN)
		stored = ZSTD_compress(to + 9, bound, raw, len, ZSTD_LEVEL);
	head[0] = CODEC_ZSTD;
	if (len < COMPRESS_MIN || ZSTD_isError(stored) ||
	    stored > len - len / 10) {
		head[0] = CODEC_NONE;
		stored = len;
		if (len > 0)
			memcpy(to + 9, raw, len);
	}
	put32(head + 1, (uint32_t)len);
	put32(head + 5, (uint32_t)stored);
	memcpy(to, head, 9);
	out->len += 9 + stored;
	return 0;
}

/* K strings: those of the rows in AT, or the first K if that is NULL. */
static int
encode_list(struct encoder *e, const struct source *s, const uint64_t *at,
	    size_t k, struct bytes *out)
{
	size_t mark = encoder_mark(e);
	uint32_t *len = encoder_take32(e, k + 1);
	struct bytes raw = {0};
	int r;

	for (size_t i = 0; i < k; i++) {
		struct text t = text_at(s, (uint32_t)(at ? at[i] : i));

		len[i] = (uint32_t)t.len;
		bytes_add(&raw, t.p, t.len);
	}
	if (k > 0)
		encode_small(e, len, k, NULL, NULL, out);
	encoder_release(e, mark);
	r = raw.failed || raw.len > STRINGS_MAX
		? -1
		: encode_text(raw.p, raw.len, out);
	bytes_clear(&raw);
	return r;
}

/* The rows where the distinct strings come first, and each row's code; 0 if
 * they are many.  Strings are told apart by their hash, then compared. */
static size_t
distinct_texts(struct encoder *e, const struct source *s, uint64_t *first,
	       uint32_t *code)
{
	size_t max = s->n / 4 + 1, mark = encoder_mark(e), d;
	uint64_t *hash = encoder_take(e, s->n);

	if (s->c->constant) {
		first[0] = 0;
		encoder_release(e, mark);
		return 1;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		struct text t = text_at(s, i);

		hash[i] = checksum(t.p, t.len);
	}
	d = encode_distinct(e, hash, s->n, max, first, code);
	encoder_release(e, mark);
	for (size_t i = s->n; d > 0 && i-- > 0;)
		first[code[i]] = i;
	for (uint32_t i = 0; d > 0 && i < s->n; i++) {
		struct text t = text_at(s, i);
		struct text u = text_at(s, (uint32_t)first[code[i]]);

		if (t.len != u.len ||
		    (t.len > 0 && memcmp(t.p, u.p, t.len) != 0))
			return 0;
	}
	return d;
}

int
encode_texts(struct encoder *e, const struct source *s, struct bytes *out)
{
	size_t mark = encoder_mark(e), d;
	uint64_t *first = encoder_take(e, s->n);
	uint32_t *code = encoder_take32(e, s->n);
	uint8_t head[5] = {STRINGS_DICT};
	int r;

	d = distinct_texts(e, s, first, code);
	if (d > 0) {
		put32(head + 1, (uint32_t)d);
		bytes_add(out, head, 5);
		r = encode_list(e, s, first, d, out);
		if (d == 1)
			encode_constant(0, out);
		else
			encode_small(e, code, s->n, NULL, NULL, out);
	} else {
		head[0] = STRINGS_PLAIN;
		bytes_add(out, head, 1);
		r = encode_list(e, s, NULL, s->n, out);
	}
	encoder_release(e, mark);
	return r;
}
