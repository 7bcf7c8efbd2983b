/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

struct listing {
	const struct cell_name *names;
	size_t n, rows;
	char **text; /* rows * n, as text; NULL for null */
	char **json; /* the same as JSON */
	size_t cap;  /* rows */
	bool failed;
};

struct listing *
listing_new(const struct cell_name *names, size_t n)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->names = names;
	l->n = n;
	return l;
}

void
listing_free(struct listing *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->rows * l->n; i++) {
		free(l->text[i]);
		free(l->json[i]);
	}
	free(l->text);
	free(l->json);
	free(l);
}

const char *
listing_bytes(char *to, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double x = (double)bytes;
	size_t u = 0;

	for (; x >= 999.5 && u + 2 < sizeof(units); u++)
		x /= 1024;
	snprintf(to, 16, u == 0 || x >= 9.95 ? "%.0f%c" : "%.1f%c", x,
		 units[u]);
	return to;
}

/* 1,234,567 */
static void
grouped(char *to, uint64_t x)
{
	char digits[TEXT_MAX];
	size_t n = text_u64(digits, x);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
}

/* A JSON string; what is no UTF-8 was made '?' before. */
static char *
quoted(const char *s)
{
	size_t len = strlen(s), n = 0;
	char *to = malloc(6 * len + 3);

	if (!to)
		return NULL;
	to[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			to[n++] = '\\';
		to[n++] = s[i];
	}
	to[n++] = '"';
	to[n] = 0;
	return to;
}

static int
put_text(const char *s, char **text, char **json)
{
	*text = strdup(s);
	if (!*text)
		return -1;
	text_defuse(*text, strlen(*text));
	*json = quoted(*text);
	return *json ? 0 : -1;
}

static int
put_time(int64_t us, char **text, char **json)
{
	char at[TEXT_MAX + 1];

	at[text_time(at, us)] = 0;
	return put_text(at, text, json);
}

static int
put(enum cell_type type, const struct cell *c, char **text, char **json)
{
	char t[TEXT_MAX + 1], j[TEXT_MAX + 1];

	*text = *json = NULL;
	if (c->null)
		return 0;
	j[text_u64(j, c->number)] = 0;
	switch (type) {
	case CELL_TEXT:
		return put_text(c->text, text, json);
	case CELL_TIME:
		return put_time(c->time, text, json);
	case CELL_NUMBER:
		grouped(t, c->number);
		break;
	case CELL_ID:
		t[text_u64(t, c->number)] = 0;
		break;
	case CELL_BYTES:
		listing_bytes(t, c->number);
		break;
	case CELL_REAL:
		snprintf(t, sizeof(t), "%.1f", c->real);
		snprintf(j, sizeof(j), "%.3f", c->real);
	}
	*text = strdup(t);
	*json = strdup(j);
	return *text && *json ? 0 : -1;
}

static int
grow(struct listing *l)
{
	size_t cap = l->cap ? 2 * l->cap : 16;
	char **p;

	if (l->rows < l->cap)
		return 0;
	p = realloc(l->text, cap * l->n * sizeof(*p));
	if (!p)
		return -1;
	l->text = p;
	p = realloc(l->json, cap * l->n * sizeof(*p));
	if (!p)
		return -1;
	l->json = p;
	l->cap = cap;
	return 0;
}

void
listing_add(struct listing *l, const struct cell *cells)
{
	size_t at = l->rows * l->n;

	if (grow(l) != 0) {
		l->failed = true;
		return;
	}
	for (size_t i = 0; i < l->n; i++)
		if (put(l->names[i].type, &cells[i], &l->text[at + i],
			&l->json[at + i]) != 0)
			l->failed = true;
	l->rows++;
}

/* Characters, not bytes. */
static int
width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const char *s, int width, bool left, bool last)
{
	int pad = width - width_of(s);

	if (left)
		printf("%s%*s", s, last ? 0 : pad, "");
	else
		printf("%*s%s", pad, "", s);
	fputs(last ? "\n" : "  ", stdout);
}

static const char *
shown(const struct listing *l, size_t row, size_t i)
{
	const char *s = l->text[row * l->n + i];

	return s ? s : "-";
}

static int
print_text(const struct listing *l, struct err *e)
{
	int *width = calloc(l->n, sizeof(*width));

	if (!width)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < l->n; i++) {
		width[i] = width_of(l->names[i].name);
		for (size_t r = 0; r < l->rows; r++)
			if (width_of(shown(l, r, i)) > width[i])
				width[i] = width_of(shown(l, r, i));
	}
	for (size_t r = 0; r <= l->rows; r++)
		for (size_t i = 0; i < l->n; i++)
			print_cell(r == 0 ? l->names[i].name
					  : shown(l, r - 1, i),
				   width[i],
				   l->names[i].type == CELL_TEXT ||
				       l->names[i].type == CELL_TIME,
				   i + 1 == l->n);
	free(width);
	return 0;
}

static void
print_json(const struct listing *l, const char *kind)
{
	for (size_t r = 0; r < l->rows; r++) {
		const char *between = "";

		putchar('{');
		if (kind) {
			printf("\"kind\":\"%s\"", kind);
			between = ",";
		}
		for (size_t i = 0; i < l->n; i++) {
			const char *s = l->json[r * l->n + i];

			printf("%s\"%s\":%s", between, l->names[i].name,
			       s ? s : "null");
			between = ",";
		}
		puts("}");
	}
}

int
listing_print(const struct listing *l, bool json, const char *kind,
	      struct err *e)
{
	if (l->failed)
		return err_set(e, "out of memory");
	if (!json)
		return print_text(l, e);
	print_json(l, kind);
	return 0;
}

void
listing_print_card(const struct listing *l)
{
	int width = 0;

	for (size_t i = 0; i < l->n; i++)
		if (width_of(l->names[i].name) > width)
			width = width_of(l->names[i].name);
	for (size_t i = 0; l->rows > 0 && i < l->n; i++)
		printf("%-*s  %s\n", width, l->names[i].name, shown(l, 0, i));
}
