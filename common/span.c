/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/span.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/token.h"

enum { QUARTER = 900, BUCKETS_MOST = 200 };

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

/* 1970-01-01 was a Thursday. */
#define MONDAY (3 * DAY)

/* A number and "mon", "y" or what literal_duration knows. */
int
span_parse(const char *p, size_t len, struct span *s)
{
	static const struct {
		const char *name;
		unsigned months;
	} units[] = {{"mon", 1}, {"y", 12}};
	unsigned n = 0;
	size_t i = 0;

	for (; i < len && i < 6 && p[i] >= '0' && p[i] <= '9'; i++)
		n = 10 * n + (unsigned)(p[i] - '0');
	*s = (struct span){0};
	for (size_t k = 0; k < sizeof units / sizeof *units; k++)
		if (len - i == strlen(units[k].name) &&
		    !strncasecmp(p + i, units[k].name, len - i) && n > 0 &&
		    n <= 1200) {
			s->months = n * units[k].months;
			return 0;
		}
	return literal_duration(p, len, &s->us) || s->us <= 0 ||
		       s->us > SPAN_MAX
		   ? -1
		   : 0;
}

struct span
span_choose(double seconds)
{
	static const int64_t usual[] = {
	    1,	 2,    5,    10,   15,	  30,	 60,	120,   300,   600,
	    900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800};

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (seconds <= (double)(BUCKETS_MOST * usual[i]))
			return (struct span){.us = usual[i] * SECOND};
	return (struct span){.months = 1};
}

double
span_seconds(const struct span *s)
{
	return s->months ? s->months * 86400 * 30.436875 : (double)s->us / 1e6;
}

static int64_t
floor_to(int64_t x, int64_t unit)
{
	int64_t rest = x % unit;

	return x - (rest < 0 ? rest + unit : rest);
}

/* What the local time is ahead of UTC. Zones change on quarters of an hour, and
 * times mostly come close to one another. */
static int64_t
zone_offset(int64_t us)
{
	static _Thread_local int64_t known = INT64_MIN, offset;
	int64_t quarter = floor_to(us, QUARTER * SECOND);
	time_t t = (time_t)(quarter / SECOND);
	struct tm tm;

	if (quarter != known) {
		offset = localtime_r(&t, &tm) ? tm.tm_gmtoff * SECOND : 0;
		known = quarter;
	}
	return offset;
}

/* Local to UTC; GUESS is the offset nearby. */
static int64_t
from_local(int64_t local, int64_t guess)
{
	int64_t us = local - guess, offset = zone_offset(us);

	return offset == guess ? us : local - offset;
}

static int64_t
month_start(const struct span *s, int64_t us, int64_t more)
{
	time_t t = (time_t)(floor_to(us, SECOND) / SECOND);
	struct tm tm;
	int64_t month;

	if (!localtime_r(&t, &tm))
		return us;
	month = ((int64_t)tm.tm_year + 1900) * 12 + tm.tm_mon;
	month = floor_to(month, s->months) + more * s->months;
	tm = (struct tm){.tm_year = (int)(month / 12 - 1900),
			 .tm_mon = (int)(month % 12),
			 .tm_mday = 1,
			 .tm_isdst = -1};
	return (int64_t)mktime(&tm) * SECOND;
}

/* Times whose arithmetic could leave 64 bits begin their own spans. */
static bool
is_far(int64_t us)
{
	return us > INT64_MAX / 4 || us < INT64_MIN / 4;
}

int64_t
span_start(const struct span *s, int64_t us)
{
	int64_t offset, base, local;

	if (is_far(us))
		return us;
	if (s->months)
		return month_start(s, us, 0);
	offset = zone_offset(us);
	base = s->us % (7 * DAY) == 0 ? MONDAY : 0;
	local = floor_to(us + offset + base, s->us) - base;
	return s->us < 3600 * SECOND ? local - offset
				     : from_local(local, offset);
}

int64_t
span_next(const struct span *s, int64_t start)
{
	int64_t offset, next;

	if (is_far(start))
		return start + 1;
	if (s->months)
		return month_start(s, start, 1);
	if (s->us < DAY) {
		next = span_start(s, start + s->us);
		if (next > start)
			return next;
		/* Clocks were put back, and it is longer than others. */
	}
	offset = zone_offset(start);
	next = from_local(start + offset + s->us, offset);
	return next > start ? next : start + s->us;
}
