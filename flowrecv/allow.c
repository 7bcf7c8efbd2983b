/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/allow.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/text.h"
#include "common/token.h"

struct network {
	uint8_t addr[16], mask[16];
};

/* An address alone is a network of 128 bits. */
static int
network_read(struct network *w, const char *text, struct err *e)
{
	struct literal lit;
	size_t len = strlen(text);

	memset(w->mask, 0xff, sizeof(w->mask));
	if (text_read_ip(text, len, w->addr) == 0)
		return 0;
	if (literal_cidr(text, len, &lit) != 0)
		return err_set(e,
			       "'%s' is no network: 192.0.2.0/24, "
			       "2001:db8::/32 or an address",
			       text);
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = lit.bits > 8 * i ? lit.bits - 8 * i : 0;

		w->mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
		w->addr[i] = (uint8_t)(lit.ip >> (120 - 8 * i));
	}
	return 0;
}

int
allow_add(struct allow *a, const char *list, struct err *e)
{
	size_t n;
	char **words = cli_list(list, &n);
	struct network *more = NULL;
	int rc = 0;

	if (words)
		more = realloc(a->list, (a->n + n + 1) * sizeof(*more));
	if (!more) {
		free(words);
		return err_set(e, "out of memory");
	}
	a->list = more;
	if (n == 0)
		rc = err_set(e, "a list of networks, as 192.0.2.0/24");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = network_read(&a->list[a->n++], words[i], e);
	free(words);
	return rc;
}

void
allow_clear(struct allow *a)
{
	free(a->list);
	*a = (struct allow){0};
}

static bool
network_has(const struct network *w, const uint8_t addr[16])
{
	for (int i = 0; i < 16; i++)
		if ((addr[i] ^ w->addr[i]) & w->mask[i])
			return false;
	return true;
}

bool
allow_has(const struct allow *a, const uint8_t addr[16])
{
	for (size_t i = 0; i < a->n; i++)
		if (network_has(&a->list[i], addr))
			return true;
	return a->n == 0;
}
