/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/sieve.h"

#include <math.h>
#include <string.h>

#include "common/block_format.h"
#include "common/checksum.h"

enum {
	HEAD = 24,
	SUMMED = 16, /* where what the head's checksum covers begins */
	ENTRY = 8,
	BUCKET = 32,
	CHUNK = 31, /* buckets under one checksum */
	SUM = 8,
	WORDS = 8,
	COUNT_BITS = 1 << 17,
	BUCKETS_MAX = 1 << 16,
};

/* ---- writing ---- */

void
sieves_begin(struct bytes *out, uint64_t first_id)
{
	uint8_t head[HEAD] = {0};

	out->len = 0;
	put32(head, SIEVES_MAGIC);
	put16(head + 4, SIEVES_VERSION);
	put64(head + 16, first_id);
	bytes_add(out, head, sizeof(head));
}

size_t
sieve_count(const uint64_t *hashes, size_t n)
{
	uint64_t seen[COUNT_BITS / 64] = {0};
	size_t zero = COUNT_BITS;

	for (size_t i = 0; i < n; i++) {
		uint64_t bit = hashes[i] % COUNT_BITS;

		seen[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	for (size_t i = 0; i < COUNT_BITS / 64; i++)
		zero -= (size_t)__builtin_popcountll(seen[i]);
	return (size_t)(-COUNT_BITS * log((double)zero / COUNT_BITS) + 1);
}

static size_t
filter_size(size_t buckets)
{
	return buckets * BUCKET + (buckets + CHUNK - 1) / CHUNK * SUM;
}

static size_t
bucket_of(uint64_t hash, size_t buckets)
{
	return (size_t)((hash >> 40) * buckets >> 24);
}

/* Where a bucket lies, between the checksums. */
static size_t
place(size_t bucket)
{
	return bucket * BUCKET + bucket / CHUNK * SUM;
}

static uint64_t
chunk_sum(const uint8_t *p, size_t buckets, size_t chunk, uint64_t seed)
{
	size_t n = buckets - chunk * CHUNK;

	return checksum_seeded(p + place(chunk * CHUNK),
			       (n < CHUNK ? n : CHUNK) * BUCKET,
			       seed + ((uint64_t)chunk << 32));
}

static size_t
sum_place(size_t buckets, size_t chunk)
{
	size_t last = (chunk + 1) * CHUNK;

	return last < buckets ? place(last) - SUM : filter_size(buckets) - SUM;
}

static uint64_t
seed_of(uint64_t first_id, unsigned column)
{
	return first_id + ((uint64_t)column << 48);
}

/* Entries are before all filters: what is there moves up. */
static uint8_t *
make_room(struct bytes *out, size_t filter)
{
	size_t n = get16(out->p + 6), at = HEAD + n * ENTRY;
	uint8_t *to;

	if (!bytes_room(out, ENTRY + filter))
		return NULL;
	to = out->p + at;
	memmove(to + ENTRY, to, out->len - at);
	put16(out->p + 6, (unsigned)n + 1);
	out->len += ENTRY + filter;
	memset(out->p + out->len - filter, 0, filter);
	return to;
}

void
sieves_add(struct bytes *out, unsigned column, const uint64_t *hashes, size_t n,
	   size_t distinct)
{
	size_t buckets =
	    (distinct * SIEVE_BITS + BUCKET * 8 - 1) / (BUCKET * 8);
	uint64_t seed;
	uint8_t *entry, *p;

	if (out->failed || buckets == 0)
		return;
	buckets = buckets < BUCKETS_MAX ? buckets : BUCKETS_MAX;
	entry = make_room(out, filter_size(buckets));
	if (!entry)
		return;
	put16(entry, column);
	put16(entry + 2, 0);
	put32(entry + 4, (uint32_t)buckets);
	p = out->p + out->len - filter_size(buckets);
	for (size_t i = 0; i < n; i++) {
		uint8_t *at = p + place(bucket_of(hashes[i], buckets));
		uint32_t words[WORDS];

		memcpy(words, at, sizeof(words));
		for (int k = 0; k < WORDS; k++)
			words[k] |= UINT32_C(1) << (hashes[i] >> 5 * k & 31);
		memcpy(at, words, sizeof(words));
	}
	seed = seed_of(get64(out->p + 16), column);
	for (size_t c = 0; c * CHUNK < buckets; c++)
		put64(p + sum_place(buckets, c),
		      chunk_sum(p, buckets, c, seed));
}

void
sieves_end(struct bytes *out)
{
	size_t n;

	if (out->failed)
		return;
	n = get16(out->p + 6);
	if (n == 0)
		out->len = 0;
	else
		put64(out->p + 8,
		      checksum(out->p + SUMMED, HEAD - SUMMED + n * ENTRY));
}

/* ---- reading ---- */

int
sieves_parse(struct sieves *s, const void *data, size_t len, uint64_t first_id,
	     struct err *e)
{
	const uint8_t *p = data;
	size_t need;

	*s = (struct sieves){.p = p, .len = len, .first_id = first_id};
	if (len < HEAD || get32(p) != SIEVES_MAGIC ||
	    get16(p + 4) != SIEVES_VERSION)
		return err_set(e, "its filters do not begin with their mark");
	s->n = get16(p + 6);
	need = HEAD + s->n * ENTRY;
	if (len < need || checksum(p + SUMMED, need - SUMMED) != get64(p + 8) ||
	    get64(p + 16) != first_id)
		return err_set(e, "the head of its filters is damaged");
	for (size_t i = 0; i < s->n; i++) {
		size_t buckets = get32(p + HEAD + i * ENTRY + 4);

		if (buckets == 0 || buckets > BUCKETS_MAX)
			return err_set(e, "a filter of no possible size");
		need += filter_size(buckets);
	}
	if (need != len)
		return err_set(e, "its filters have %zu bytes, not %zu", len,
			       need);
	return 0;
}

/* The filter of a column, NULL if there is none. */
static const uint8_t *
find(const struct sieves *s, unsigned column, size_t *buckets)
{
	const uint8_t *entry = s->p + HEAD, *p = entry + s->n * ENTRY;

	for (size_t i = 0; i < s->n; i++, entry += ENTRY) {
		*buckets = get32(entry + 4);
		if (get16(entry) == column)
			return p;
		p += filter_size(*buckets);
	}
	return NULL;
}

static bool
is_chunk_sound(const uint8_t *p, size_t buckets, size_t chunk, uint64_t seed)
{
	return chunk_sum(p, buckets, chunk, seed) ==
	       get64(p + sum_place(buckets, chunk));
}

bool
sieves_may_hold(const struct sieves *s, unsigned column, uint64_t hash)
{
	size_t buckets, bucket;
	const uint8_t *p = find(s, column, &buckets), *at;
	bool all = true;

	if (!p)
		return true;
	bucket = bucket_of(hash, buckets);
	at = p + place(bucket);
	for (int k = 0; k < WORDS; k++)
		all &= get32(at + 4 * (size_t)k) >> (hash >> 5 * k & 31) & 1;
	/* that it is there costs no more than a look */
	return all || !is_chunk_sound(p, buckets, bucket / CHUNK,
				      seed_of(s->first_id, column));
}

int
sieves_check(const struct sieves *s, struct err *e)
{
	const uint8_t *entry = s->p + HEAD, *p = entry + s->n * ENTRY;

	for (size_t i = 0; i < s->n; i++, entry += ENTRY) {
		size_t buckets = get32(entry + 4);
		unsigned column = get16(entry);

		for (size_t c = 0; c * CHUNK < buckets; c++)
			if (!is_chunk_sound(p, buckets, c,
					    seed_of(s->first_id, column)))
				return err_set(e,
					       "the filter of column %u does "
					       "not match its checksum",
					       column);
		p += filter_size(buckets);
	}
	return 0;
}
