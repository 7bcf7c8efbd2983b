/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/filter.h"

#include <string.h>

#include "common/element.h"
#include "common/text.h"

int
filters_apply(struct filter *f, struct view *v, struct err *err)
{
	for (; f; f = f->next) {
		uint32_t rows = v->rows;

		if (f->apply(f, v, err) != 0)
			return -1;
		f->removed += rows - v->rows;
	}
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

void
filters_names(const struct filter *f, struct names *n)
{
	n->n = 0;
	for (; f; f = f->next)
		if (f->names)
			f->names(f, n);
}

uint64_t
filters_removed(const struct filter *f, bool dropped)
{
	uint64_t n = 0;

	for (; f; f = f->next)
		if (f->drops == dropped)
			n += f->removed;
	return n;
}

void
names_add(struct names *n, const char *name)
{
	if (n->n == 0 || n->n == SHAPE_FIELDS_MAX)
		return;
	for (size_t i = 0; i < n->n; i++)
		if (strcmp(n->names[i], name) == 0)
			return;
	n->names[n->n++] = name;
}

void
names_drop(struct names *n, const char *name)
{
	size_t k = 0;

	for (size_t i = 0; i < n->n; i++)
		if (strcmp(n->names[i], name) != 0)
			n->names[k++] = n->names[i];
	n->n = k;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

int
filter_name(const char *text, bool alias, char name[FIELD_NAME_MAX],
	    const char **value, struct err *err)
{
	const char *start = skip_blanks(text), *equals = strchr(start, '=');
	size_t len;

	if (!equals)
		return err_set(err, "'%.200s': expected NAME=...", text);
	for (len = (size_t)(equals - start);
	     len && (start[len - 1] == ' ' || start[len - 1] == '\t');)
		len--;
	if (len == 0 || len >= FIELD_NAME_MAX)
		return err_set(err, "'%.200s': a name has 1 to %d bytes", text,
			       FIELD_NAME_MAX - 1);
	memcpy(name, start, len);
	name[len] = 0;
	if (text_control(name, len) || text_utf8(name, len) != len)
		return err_set(err, "'%.200s' is no field name", name);
	if (alias) {
		const char *canonical = element_canonical(name);

		memmove(name, canonical, strlen(canonical) + 1);
	}
	*value = skip_blanks(equals + 1);
	return 0;
}
