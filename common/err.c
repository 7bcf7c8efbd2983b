/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set
#undef err_sys
#undef err_prefix
#undef err_append

int
err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->code = 0;
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(code));
	e->code = code;
	return -1;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char head[ERR_MAX];
	size_t n, left;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(head, sizeof(head) - 2, fmt, ap);
	va_end(ap);
	n = strlen(head);
	memcpy(head + n, ": ", 2);
	n += 2;
	left = sizeof(e->text) - n - 1;
	if (strlen(e->text) < left)
		left = strlen(e->text);
	memmove(e->text + n, e->text, left);
	e->text[n + left] = '\0';
	memcpy(e->text, head, n);
	return -1;
}

int
err_append(struct err *e, const char *text)
{
	size_t n = strlen(e->text);

	snprintf(e->text + n, sizeof(e->text) - n, "%s", text);
	return -1;
}
