/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

struct unit {
	char letter;
	uint64_t factor;
};

/* Ascending, as the texts want it. */
static const struct unit sizes[] = {
    {'K', 1 << 10},
    {'M', 1 << 20},
    {'G', 1 << 30},
    {'T', UINT64_C(1) << 40},
    {0},
};
static const struct unit ages[] = {
    {'s', 1},	      {'m', 60},	  {'h', 3600}, {'d', 86400},
    {'w', 7 * 86400}, {'y', 365 * 86400}, {0},
};

int
quantity_plain(const char *text, uint64_t *x)
{
	return text_read_u64(text, strlen(text), x);
}

int
quantity_size(const char *text, uint64_t *x)
{
	if (text_read_size(text, strlen(text), x) != 0)
		return -1;
	return *x > 0 && *x <= INT64_MAX ? 0 : -1;
}

int
quantity_age(const char *text, uint64_t *x)
{
	size_t len = strlen(text);
	const struct unit *u = ages;

	while (u->letter && (len == 0 || u->letter != text[len - 1]))
		u++;
	/* without a letter it would be taken for a size */
	if (!u->letter || text_read_u64(text, len - 1, x) != 0 || *x == 0 ||
	    *x > INT64_MAX / u->factor)
		return -1;
	*x *= u->factor;
	return 0;
}

static void
print(char buf[QUANTITY_MAX], const struct unit *u, uint64_t x)
{
	const struct unit *best = NULL;

	for (; u->letter; u++)
		if (x % u->factor == 0)
			best = u;
	if (best)
		snprintf(buf, QUANTITY_MAX, "%" PRIu64 "%c", x / best->factor,
			 best->letter);
	else
		snprintf(buf, QUANTITY_MAX, "%" PRIu64, x);
}

void
quantity_size_text(char buf[QUANTITY_MAX], uint64_t bytes)
{
	print(buf, sizes, bytes);
}

void
quantity_age_text(char buf[QUANTITY_MAX], uint64_t seconds)
{
	print(buf, ages, seconds);
}
