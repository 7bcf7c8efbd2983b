/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/period.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "common/token.h"

enum { SECOND = 1000000 };

static int
bad(const char *text, struct err *e)
{
	return err_set(e,
		       "'%s' is no day or time (20261101, 202611011530, "
		       "2026-11-01T15:30, now-7d)",
		       text);
}

/* The start of the year, month, day, hour, minute or second after the one that
 * so many digits name. */
static int64_t
next_unit(int64_t us, size_t digits)
{
	time_t t = (time_t)(us / SECOND);
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_isdst = -1;
	switch (digits) {
	case 4:
		tm.tm_year++;
		break;
	case 6:
		tm.tm_mon++;
		break;
	case 8:
		tm.tm_mday++;
		break;
	case 10:
		return us + (int64_t)3600 * SECOND;
	case 12:
		return us + (int64_t)60 * SECOND;
	default:
		return us + SECOND;
	}
	return (int64_t)mktime(&tm) * SECOND;
}

/* How many digits would name as much as an ISO 8601 text does; 0: a moment. */
static size_t
iso_digits(const char *text)
{
	size_t n = strcspn(text, "TtZ "), colons = 0;

	if (!text[n])
		return n <= 4 ? 4 : n <= 7 ? 6 : 8;
	for (const char *p = text + n + 1; *p && !strchr("Zz+-", *p); p++) {
		if (*p == '.')
			return 0;
		colons += *p == ':';
	}
	return colons == 0 ? 10 : colons == 1 ? 12 : 14;
}

static int
end_of(const char *text, int64_t now, int64_t *us, struct err *e)
{
	size_t len = strlen(text), digits = len;

	if (literal_time(text, len, now, us) != 0)
		return bad(text, e);
	if (strncmp(text, "now", 3) == 0)
		return 0;
	if (strspn(text, "0123456789") != len)
		digits = iso_digits(text);
	if (digits)
		*us = next_unit(*us, digits) - 1;
	return 0;
}

int
period_parse(struct period *p, const char *from, const char *to, int64_t now,
	     struct err *e)
{
	if (literal_time(from, strlen(from), now, &p->from) != 0)
		return bad(from, e);
	if (end_of(to, now, &p->to, e) != 0)
		return -1;
	if (p->from > p->to)
		return err_set(e, "%s is after %s", from, to);
	return 0;
}
