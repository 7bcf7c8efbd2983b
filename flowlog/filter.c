/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/filter.h"

int
filters_apply(struct filter *f, struct view *v, struct err *err)
{
	for (; f; f = f->next)
		if (f->apply(f, v, err) != 0)
			return -1;
	return 0;
}

void
filters_finish(const struct filter *f)
{
	for (; f; f = f->next)
		if (f->finish)
			f->finish(f);
}

void
filters_free(struct filter *f)
{
	struct filter *next;

	for (; f; f = next) {
		next = f->next;
		f->free(f);
	}
}

void
filters_add(struct filter **list, struct filter *f)
{
	while (*list)
		list = &(*list)->next;
	*list = f;
}
