/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/place.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/table.h"

static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("_-.,+=@", c));
}

int
place_encode(const char *name, char buf[PLACE_NAME_MAX], struct err *e)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = strlen(name);
	char *p = buf;

	if (len == 0)
		return err_set(e, "a table's name is empty");
	if (len > TABLE_NAME_MAX)
		return err_set(e, "a table's name has %zu bytes (%d may be)",
			       len, TABLE_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)name[i];

		if (c < 0x20 || c == 0x7f)
			return err_set(e, "a table's name has a control byte");
		if (is_plain(name[i]) && !(i == 0 && c == '.')) {
			*p++ = name[i];
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = 0;
	return 0;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
place_decode(const char *dir, char buf[TABLE_NAME_MAX + 1])
{
	char again[PLACE_NAME_MAX];
	struct err e;
	size_t n = 0;

	for (const char *p = dir; *p; p++) {
		int c = (uint8_t)*p;

		if (*p == '%') {
			if (digit(p[1]) < 0 || digit(p[2]) < 0)
				return -1;
			c = digit(p[1]) * 16 + digit(p[2]);
			p += 2;
		}
		if (n == TABLE_NAME_MAX || c == 0)
			return -1;
		buf[n++] = (char)c;
	}
	buf[n] = 0;
	/* one name, one directory */
	return place_encode(buf, again, &e) == 0 && strcmp(again, dir) == 0
		   ? 0
		   : -1;
}

int
place_table(const char *root, const char *name, char *buf, size_t size,
	    struct err *e)
{
	char dir[PLACE_NAME_MAX];
	int n;

	if (place_encode(name, dir, e) != 0)
		return -1;
	n = snprintf(buf, size, "%s/%s", root, dir);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, "the path %s/%s is too long", root, dir);
	return 0;
}

void
place_segment(uint32_t number, char buf[SEGMENT_NAME_MAX])
{
	snprintf(buf, SEGMENT_NAME_MAX, "%08u.flow",
		 (unsigned)(number % (SEGMENT_NUMBER_MAX + 1)));
}

int
place_segment_file(const char *dir, uint32_t number, const char *tail,
		   char *buf, size_t size, struct err *e)
{
	char file[SEGMENT_NAME_MAX];
	int n;

	place_segment(number, file);
	n = snprintf(buf, size, "%s/%s%s", dir, file, tail);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, "the path %s/%s is too long", dir, file);
	return 0;
}

uint32_t
place_segment_number(const char *file)
{
	uint32_t n = 0;

	for (int i = 0; i < 8; i++) {
		if (file[i] < '0' || file[i] > '9')
			return 0;
		n = n * 10 + (uint32_t)(file[i] - '0');
	}
	return strcmp(file + 8, ".flow") == 0 ? n : 0;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Appends, growing by doubling. */
static int
add_number(uint32_t **list, size_t *n, uint32_t x)
{
	if ((*n & (*n - 1)) == 0) {
		size_t cap = *n ? 2 * *n : 1;
		uint32_t *p = realloc(*list, cap * sizeof(*p));

		if (!p)
			return -1;
		*list = p;
	}
	(*list)[(*n)++] = x;
	return 0;
}

static int
list(const char *dir, uint32_t **numbers, size_t *n, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int r = 0;

	*numbers = NULL;
	*n = 0;
	if (!d)
		return err_sys(e, "cannot read the directory %s", dir);
	errno = 0;
	while (r == 0 && (f = readdir(d))) {
		uint32_t x = place_segment_number(f->d_name);

		if (x)
			r = add_number(numbers, n, x);
	}
	if (errno != 0)
		r = -1;
	if (r != 0) {
		err_sys(e, "cannot read the directory %s", dir);
		free(*numbers);
		*numbers = NULL;
	}
	closedir(d);
	if (r == 0 && *n > 1)
		qsort(*numbers, *n, sizeof(**numbers), by_number);
	return r;
}

/* A file that is renamed while a directory is read may be missed, so it is
 * read until it is the same twice. */
int
place_segments(const char *dir, uint32_t **numbers, size_t *n, struct err *e)
{
	uint32_t *again;
	size_t k;

	if (list(dir, numbers, n, e) != 0)
		return -1;
	for (;;) {
		bool same;

		if (list(dir, &again, &k, e) != 0) {
			free(*numbers);
			*numbers = NULL;
			return -1;
		}
		same = k == *n && (k == 0 || memcmp(again, *numbers,
						    k * sizeof(*again)) == 0);
		free(*numbers);
		*numbers = again;
		*n = k;
		if (same)
			return 0;
	}
}
