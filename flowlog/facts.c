/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/facts.h"

#include <stdio.h>
#include <string.h>

#include "common/format.h"
#include "common/text.h"

static uint8_t none_valid[1];

static struct column *
add(struct facts *f, const char *name, enum col_type type)
{
	struct column *c = &f->cols[f->n];

	f->names[f->n] = name;
	f->types[f->n] = type;
	*c = (struct column){.constant = true, .data = f->values[f->n].data};
	f->values[f->n++] = (struct fact){{0}};
	return c;
}

void
facts_text(struct facts *f, const char *name, const char *text)
{
	struct column *c = add(f, name, COL_STRING);
	uint32_t offsets[2] = {0, text ? (uint32_t)strlen(text) : 0};

	memcpy(c->data, offsets, sizeof offsets);
	c->bytes = (char *)(uintptr_t)text;
	c->bytes_len = offsets[1];
	if (!text)
		c->valid = none_valid;
}

void
facts_number(struct facts *f, const char *name, uint64_t v)
{
	memcpy(add(f, name, COL_U64)->data, &v, sizeof v);
}

void
facts_bool(struct facts *f, const char *name, bool v)
{
	*(uint8_t *)add(f, name, COL_BOOL)->data = v;
}

void
facts_time(struct facts *f, const char *name, int64_t us)
{
	struct column *c = add(f, name, COL_TIME);

	memcpy(c->data, &us, sizeof us);
	if (us == NO_TIME)
		c->valid = none_valid;
}

char *
facts_json(const struct facts *f, size_t *len, struct err *e)
{
	struct format *format = format_new(FORMAT_JSON);
	const struct column *cols[FACTS_MAX];
	char *line = NULL;

	for (size_t i = 0; i < f->n; i++)
		cols[i] = &f->cols[i];
	if (!format || format_columns(format, f->names, f->types, f->n, e) ||
	    format_rows(format, cols, 0, 1, e)) {
		err_set(e, "out of memory");
	} else {
		const char *text = format_text(format, len);

		line = strndup(text, *len);
		if (!line)
			err_set(e, "out of memory");
	}
	format_free(format);
	return line;
}

/* A name cannot be found inside of a text, where quotes are escaped. */
static const char *
value_of(const char *json, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof key, "\"%s\":", name);
	at = strstr(json, key);
	return at ? at + strlen(key) : NULL;
}

int
facts_find_number(const char *json, const char *name, uint64_t *v)
{
	const char *p = value_of(json, name);

	return p ? text_read_u64(p, strspn(p, "0123456789"), v) : -1;
}

int
facts_find_time(const char *json, const char *name, int64_t *us)
{
	const char *p = value_of(json, name);

	if (!p || *p != '"')
		return -1;
	p++;
	return text_read_time(p, strcspn(p, "\""), us);
}
