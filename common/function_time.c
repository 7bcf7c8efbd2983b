/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of times: their text, their parts, their arithmetic, in the local
 * time zone.
 *
 * A format is written as the old platform had it (yyyy-MM-dd HH:mm:ss) or, if
 * it has a %, as in strftime(3).  Either is made into a list of items first.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/function_bind.h"
#include "common/span.h"

enum {
	ITEMS_MAX = 64,
	ITEM_ROOM = 16, /* text of one item */
	TEXT_ROOM = ITEM_ROOM * ITEMS_MAX,
};

struct item {
	char code; /* as in strftime; 'L' ms, 'f' us, '=' a character */
	char arg;  /* that character, or the least number of digits */
};

struct layout {
	size_t n;
	struct item items[ITEMS_MAX];
};

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
				   "Thu", "Fri", "Sat"};

static int
add_item(struct layout *l, char code, char arg)
{
	if (l->n == ITEMS_MAX)
		return -1;
	l->items[l->n++] = (struct item){code, arg};
	return 0;
}

/* Letters as strftime has them, with their digits. */
static int
layout_percent(struct layout *l, struct str s)
{
	static const char codes[] = "YymdHIMSLfpabzj";
	static const char digits[] = "\4\2\2\2\2\2\2\2\3\6\0\0\0\0\3";

	for (size_t i = 0; i < s.len; i++) {
		const char *code;

		if (s.p[i] != '%') {
			if (add_item(l, '=', s.p[i]))
				return -1;
			continue;
		}
		if (++i == s.len || !s.p[i])
			return -1;
		if (s.p[i] == '%') {
			if (add_item(l, '=', '%'))
				return -1;
		} else if (s.p[i] == 'F') {
			if (layout_percent(l, (struct str){"%Y-%m-%d", 8}))
				return -1;
		} else if (s.p[i] == 'T') {
			if (layout_percent(l, (struct str){"%H:%M:%S", 8}))
				return -1;
		} else {
			code = strchr(codes, s.p[i]);
			if (!code || add_item(l, *code, digits[code - codes]))
				return -1;
		}
	}
	return 0;
}

/* A run of N letters C. */
static int
layout_letters(struct layout *l, char c, size_t n)
{
	static const char from[] = "yMdHhmsSaEZD", to[] = "YmdHIMSLpabzj";
	const char *at = strchr(from, c);

	if (!at)
		return -1;
	if (c == 'M' && n > 2)
		return add_item(l, 'b', 0);
	if (c == 'y' && n == 2)
		return add_item(l, 'y', 2);
	if (c == 'S' && n > 3)
		return add_item(l, 'f', 6);
	switch (c) {
	case 'E':
		return add_item(l, 'a', 0);
	case 'Z':
		return add_item(l, 'z', 0);
	case 'D':
		return n > 3 ? -1 : add_item(l, 'j', (char)n);
	default:
		return n > 4 ? -1 : add_item(l, to[at - from], (char)n);
	}
}

/* yyyy-MM-dd'T'HH:mm:ss */
static int
layout_words(struct layout *l, struct str s)
{
	for (size_t i = 0, n; i < s.len; i += n) {
		char c = s.p[i];

		n = 1;
		if (c == '\'') {
			while (i + n < s.len && s.p[i + n] != '\'')
				if (add_item(l, '=', s.p[i + n++]))
					return -1;
			if (i + n++ == s.len)
				return -1;
		} else if ((c | 32) >= 'a' && (c | 32) <= 'z') {
			while (i + n < s.len && s.p[i + n] == c)
				n++;
			if (layout_letters(l, c, n))
				return -1;
		} else if (add_item(l, '=', c)) {
			return -1;
		}
	}
	return 0;
}

/* Argument I as a layout in the arena; NULL: said why. */
static const struct layout *
layout_arg(struct binder *b, const struct node *nd, const struct expr *e,
	   size_t i)
{
	struct layout *l = arena_zalloc(b->arena, sizeof *l);
	struct str s;

	if (function_literal(b, nd, e, i, "a format", &s))
		return NULL;
	if (!l) {
		bind_fail(b, e, "out of memory");
		return NULL;
	}
	if (s.len && (memchr(s.p, '%', s.len) ? layout_percent(l, s)
					      : layout_words(l, s)) == 0)
		return l;
	bind_fail(b, e->args[i],
		  "%s: no format for a time (\"yyyy-MM-dd HH:mm:ss\" or "
		  "\"%%Y-%%m-%%d %%H:%%M:%%S\")",
		  nd->name);
	return NULL;
}

/* Seconds, rounded down, and what is left of them. */
static time_t
seconds_of(int64_t us, int *rest)
{
	int64_t s = us / 1000000;

	*rest = (int)(us % 1000000);
	if (*rest < 0) {
		*rest += 1000000;
		s--;
	}
	return (time_t)s;
}

static bool
broken_down(int64_t us, struct tm *tm, int *rest)
{
	time_t t = seconds_of(us, rest);

	return localtime_r(&t, tm) != NULL;
}

/* What ONE makes of each row; false: null. */
static inline __attribute__((always_inline)) int
eval_each(struct call *c,
	  bool (*one)(const struct call *, uint32_t i, int64_t *out))
{
	int64_t *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		null[i] = null[i] || !one(c, i, &out[i]);
		if (null[i])
			out[i] = 0;
	}
	return 0;
}

static int64_t
time_at(const struct call *c, size_t arg, uint32_t i)
{
	return VEC_AT(c->args[arg], int64_t, i);
}

/*
 * str(time, format)
 */

static int
number_of(const struct item *it, const struct tm *tm, int us)
{
	switch (it->code) {
	case 'Y':
		return tm->tm_year + 1900;
	case 'y':
		return (tm->tm_year % 100 + 100) % 100;
	case 'm':
		return tm->tm_mon + 1;
	case 'd':
		return tm->tm_mday;
	case 'H':
		return tm->tm_hour;
	case 'I':
		return (tm->tm_hour + 11) % 12 + 1;
	case 'M':
		return tm->tm_min;
	case 'S':
		return tm->tm_sec;
	case 'j':
		return tm->tm_yday + 1;
	case 'L':
		return us / 1000;
	default:
		return us;
	}
}

static size_t
put_item(char *p, const struct item *it, const struct tm *tm, int us)
{
	long off = tm->tm_gmtoff / 60;

	switch (it->code) {
	case '=':
		*p = it->arg;
		return 1;
	case 'p':
		memcpy(p, tm->tm_hour < 12 ? "AM" : "PM", 2);
		return 2;
	case 'a':
		memcpy(p, days[tm->tm_wday], 3);
		return 3;
	case 'b':
		memcpy(p, months[tm->tm_mon], 3);
		return 3;
	case 'z':
		return (size_t)snprintf(p, ITEM_ROOM, "%c%02d%02d",
					off < 0 ? '-' : '+',
					(int)(off < 0 ? -off : off) / 60 % 100,
					(int)(off < 0 ? -off : off) % 60);
	default: /* a year has up to six digits and a sign */
		return (size_t)snprintf(p, ITEM_ROOM, "%0*d", it->arg,
					number_of(it, tm, us));
	}
}

static int
eval_str_time(struct call *c)
{
	const struct layout *l = c->nd->data;
	struct str *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		char *p = arena_bytes(c->e->arena, TEXT_ROOM), *at = p;
		struct tm tm;
		int us;

		if (!p)
			return eval_oom(c->e);
		out[i] = (struct str){p, 0};
		if (!broken_down(VEC_AT(c->args[0], int64_t, i), &tm, &us)) {
			null[i] = 1;
			continue;
		}
		for (size_t k = 0; k < l->n; k++)
			at += put_item(at, &l->items[k], &tm, us);
		out[i].len = (size_t)(at - p);
	}
	return 0;
}

static int
want_time(struct binder *b, const struct node *nd, const struct expr *e,
	  size_t i)
{
	enum expr_type t = nd->args[i]->type;

	return t == TYPE_TIME || t == TYPE_NULL
		   ? 0
		   : function_want(b, nd, e, i, "a time");
}

int
function_str_time(struct binder *b, struct node *nd, const struct expr *e)
{
	if (want_time(b, nd, e, 0))
		return -1;
	nd->data = layout_arg(b, nd, e, 1);
	nd->type = TYPE_STRING;
	nd->nullable = true;
	nd->fn = eval_str_time;
	return nd->data ? 0 : -1;
}

/*
 * date(text[, format])
 */

/* Up to MAX digits, all of them if the item says how many: -1 if none. */
static int
read_digits(struct str *s, size_t min, size_t max)
{
	size_t n = 0;
	int v = 0;

	while (n < max && n < s->len && s->p[n] >= '0' && s->p[n] <= '9')
		v = 10 * v + (s->p[n++] - '0');
	if (n < min || n == 0)
		return -1;
	s->p += n;
	s->len -= n;
	return v;
}

static int
read_word(struct str *s, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (s->len >= 3 && !strncasecmp(s->p, words[i], 3)) {
			s->p += 3;
			s->len -= 3;
			return i;
		}
	return -1;
}

/* +hhmm, +hh:mm or Z, in seconds east. */
static int
read_zone(struct str *s, long *off)
{
	int sign, h, m;

	if (s->len && *s->p == 'Z') {
		s->p++;
		s->len--;
		*off = 0;
		return 0;
	}
	if (!s->len || (*s->p != '+' && *s->p != '-'))
		return -1;
	sign = *s->p == '-' ? -1 : 1;
	s->p++;
	s->len--;
	h = read_digits(s, 2, 2);
	if (s->len && *s->p == ':') {
		s->p++;
		s->len--;
	}
	m = read_digits(s, 2, 2);
	if (h < 0 || m < 0)
		return -1;
	*off = sign * (h * 3600L + m * 60L);
	return 0;
}

struct parts {
	struct tm tm;
	int us;
	bool pm, half, zoned;
	long off;
};

/* -1: it is not as the item says. */
static int
read_number(struct str *s, const struct item *it, struct parts *p)
{
	size_t most = it->code == 'f'			   ? 6
		      : it->code == 'Y'			   ? 4
		      : it->code == 'L' || it->code == 'j' ? 3
							   : 2;
	int v = read_digits(s, it->arg > 1 ? most : 1, most);

	if (v < 0)
		return -1;
	switch (it->code) {
	case 'Y':
		p->tm.tm_year = v - 1900;
		return 0;
	case 'y':
		p->tm.tm_year = v < 70 ? v + 100 : v;
		return 0;
	case 'm':
		p->tm.tm_mon = v - 1;
		return v >= 1 && v <= 12 ? 0 : -1;
	case 'd':
		p->tm.tm_mday = v;
		return v >= 1 && v <= 31 ? 0 : -1;
	case 'I':
		p->half = true;
		/* fallthrough */
	case 'H':
		p->tm.tm_hour = v;
		return v <= 23 ? 0 : -1;
	case 'M':
		p->tm.tm_min = v;
		return v <= 59 ? 0 : -1;
	case 'S':
		p->tm.tm_sec = v;
		return v <= 60 ? 0 : -1;
	case 'L':
		p->us = 1000 * v;
		return 0;
	case 'f':
		p->us = v;
		return 0;
	default: /* the day of the year says nothing new */
		return 0;
	}
}

static int
read_item(struct str *s, const struct item *it, struct parts *p)
{
	switch (it->code) {
	case '=':
		if (!s->len || *s->p != it->arg)
			return -1;
		s->p++;
		s->len--;
		return 0;
	case 'p':
		if (s->len < 2 || (s->p[1] | 32) != 'm')
			return -1;
		p->pm = (*s->p | 32) == 'p';
		s->p += 2;
		s->len -= 2;
		return 0;
	case 'a':
		return read_word(s, days, 7) < 0 ? -1 : 0;
	case 'b':
		p->tm.tm_mon = read_word(s, months, 12);
		return p->tm.tm_mon < 0 ? -1 : 0;
	case 'z':
		p->zoned = true;
		return read_zone(s, &p->off);
	default:
		return read_number(s, it, p);
	}
}

static int
read_layout(const struct layout *l, struct str s, int64_t *out)
{
	struct parts p = {.tm = {.tm_year = 70, .tm_mday = 1, .tm_isdst = -1}};
	struct tm tm;
	time_t t;

	for (size_t i = 0; i < l->n; i++)
		if (read_item(&s, &l->items[i], &p))
			return -1;
	if (s.len)
		return -1;
	if (p.half)
		p.tm.tm_hour = p.tm.tm_hour % 12 + (p.pm ? 12 : 0);
	tm = p.tm;
	t = p.zoned ? timegm(&tm) - p.off : mktime(&tm);
	if (tm.tm_mday != p.tm.tm_mday) /* the 31st of February */
		return -1;
	*out = (int64_t)t * 1000000 + p.us;
	return 0;
}

static bool
date_of(const struct call *c, uint32_t i, int64_t *out)
{
	const struct layout *l = c->nd->data;
	struct str s = VEC_AT(c->args[0], struct str, i);

	return (l ? read_layout(l, s, out)
		  : literal_time(s.p, s.len, 0, out)) == 0;
}

static int
eval_date(struct call *c)
{
	return eval_each(c, date_of);
}

int
function_date(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[0]->type;

	if (t == TYPE_TIME && nd->n == 1) {
		*nd = *nd->args[0];
		return 0;
	}
	if (t != TYPE_STRING && t != TYPE_NULL)
		return function_want(b, nd, e, 0, "a string");
	if (nd->n > 1) {
		nd->data = layout_arg(b, nd, e, 1);
		if (!nd->data)
			return -1;
	}
	nd->type = TYPE_TIME;
	nd->nullable = true;
	nd->fn = eval_date;
	return 0;
}

/*
 * Units.
 */

static const struct time_unit {
	const char *name;
	char code;
	int64_t us; /* 0: not always as long */
} time_units[] = {
    {"year", 'Y', 0},
    {"month", 'm', 0},
    {"mon", 'm', 0},
    {"week", 'W', INT64_C(604800000000)},
    {"day", 'd', INT64_C(86400000000)},
    {"hour", 'H', INT64_C(3600000000)},
    {"minute", 'M', 60000000},
    {"min", 'M', 60000000},
    {"second", 'S', 1000000},
    {"sec", 'S', 1000000},
    {"msec", 'L', 1000},
    {"usec", 'f', 1},
    {"weekday", 'u', 0},
    {"yearday", 'j', 0},
};

/* Argument I as a unit, one of those whose code is in CODES. */
static const struct time_unit *
unit_arg(struct binder *b, const struct node *nd, const struct expr *e,
	 size_t i, const char *codes)
{
	struct str s;

	if (function_literal(b, nd, e, i, "a unit", &s))
		return NULL;
	for (size_t k = 0; k < sizeof time_units / sizeof *time_units; k++) {
		const struct time_unit *u = &time_units[k];
		size_t len = strlen(u->name);

		if (strchr(codes, u->code) && !strncasecmp(u->name, s.p, len) &&
		    (s.len == len || (s.len == len + 1 && s.p[len] == 's')))
			return u;
	}
	bind_fail(b, e->args[i],
		  "%s: no such unit (year, month, week, day, hour, min, sec, "
		  "msec%s)",
		  nd->name, strchr(codes, 'u') ? ", weekday, yearday" : "");
	return NULL;
}

/* The week of ISO 8601: that of the year in which its Thursday is. */
static int
iso_week(const struct tm *tm)
{
	char text[4];

	strftime(text, sizeof text, "%V", tm);
	return 10 * (text[0] - '0') + (text[1] - '0');
}

static int64_t
part_of(char code, const struct tm *tm, int us)
{
	switch (code) {
	case 'W':
		return iso_week(tm);
	case 'u':
		return (tm->tm_wday + 6) % 7 + 1; /* Monday is 1 */
	default:
		return number_of(&(struct item){code, 0}, tm, us);
	}
}

static bool
datepart_of(const struct call *c, uint32_t i, int64_t *out)
{
	const struct time_unit *u = c->nd->data;
	struct tm tm;
	int us;

	if (!broken_down(time_at(c, 0, i), &tm, &us))
		return false;
	*out = part_of(u->code, &tm, us);
	return true;
}

static int
eval_datepart(struct call *c)
{
	return eval_each(c, datepart_of);
}

int
function_datepart(struct binder *b, struct node *nd, const struct expr *e)
{
	if (want_time(b, nd, e, 0))
		return -1;
	nd->data = unit_arg(b, nd, e, 1, "YmWdHMSLfuj");
	nd->type = TYPE_INT;
	nd->nullable = true;
	nd->fn = eval_datepart;
	return nd->data ? 0 : -1;
}

/* N months on: the day stays, or is the last of a shorter month. */
static int
add_months(int64_t us, int64_t n, int64_t *out)
{
	struct tm tm;
	int rest, day;
	time_t t;

	if (n > 120000 || n < -120000 || !broken_down(us, &tm, &rest))
		return -1;
	day = tm.tm_mday;
	n += tm.tm_mon;
	tm.tm_year += (int)(n / 12);
	tm.tm_mon = (int)(n % 12);
	tm.tm_isdst = -1;
	t = mktime(&tm);
	if (tm.tm_mday != day) {
		tm.tm_mday = 0; /* the day before the first */
		tm.tm_isdst = -1;
		t = mktime(&tm);
	}
	return __builtin_mul_overflow((int64_t)t, 1000000, out) ||
		       __builtin_add_overflow(*out, rest, out)
		   ? -1
		   : 0;
}

static bool
dateadd_of(const struct call *c, uint32_t i, int64_t *out)
{
	const struct time_unit *u = c->nd->data;
	int64_t t = time_at(c, 0, i), n = VEC_AT(c->args[2], int64_t, i), d;

	if (u->us)
		return !__builtin_mul_overflow(n, u->us, &d) &&
		       !__builtin_add_overflow(t, d, out);
	return !__builtin_mul_overflow(n, u->code == 'Y' ? 12 : 1, &d) &&
	       add_months(t, d, out) == 0;
}

static int
eval_dateadd(struct call *c)
{
	return eval_each(c, dateadd_of);
}

int
function_dateadd(struct binder *b, struct node *nd, const struct expr *e)
{
	if (want_time(b, nd, e, 0) || function_whole(b, nd, e, 2))
		return -1;
	nd->data = unit_arg(b, nd, e, 1, "YmWdHMSLf");
	nd->type = TYPE_TIME;
	nd->nullable = true;
	nd->fn = eval_dateadd;
	return nd->data ? 0 : -1;
}

/* Whole months from one time to another. */
static int
months_between(int64_t from, int64_t to, int64_t *out)
{
	struct tm a, b;
	int64_t n, at;
	int rest;

	if (!broken_down(from, &a, &rest) || !broken_down(to, &b, &rest))
		return -1;
	n = 12 * ((int64_t)b.tm_year - a.tm_year) + (b.tm_mon - a.tm_mon);
	if (add_months(from, n, &at))
		return -1;
	if (n > 0 && at > to)
		n--;
	if (n < 0 && at < to)
		n++;
	*out = n;
	return 0;
}

static bool
datediff_of(const struct call *c, uint32_t i, int64_t *out)
{
	const struct time_unit *u = c->nd->data;
	int64_t a = time_at(c, 0, i), b = time_at(c, 1, i), d;

	if (u->us ? __builtin_sub_overflow(b, a, &d) : months_between(a, b, &d))
		return false;
	*out = d / (u->us ? u->us : u->code == 'Y' ? 12 : 1);
	return true;
}

static int
eval_datediff(struct call *c)
{
	return eval_each(c, datediff_of);
}

int
function_datediff(struct binder *b, struct node *nd, const struct expr *e)
{
	if (want_time(b, nd, e, 0) || want_time(b, nd, e, 1))
		return -1;
	nd->data = unit_arg(b, nd, e, 2, "YmWdHMSLf");
	nd->type = TYPE_INT;
	nd->nullable = true;
	nd->fn = eval_datediff;
	return nd->data ? 0 : -1;
}

/* With a span that is the same for all rows, or one for each. */
static bool
datetrunc_of(const struct call *c, uint32_t i, int64_t *out)
{
	const struct span *s = c->nd->data;
	struct span one = {0};

	if (!s) {
		one.us = VEC_AT(c->args[1], int64_t, i);
		s = &one;
		if (one.us <= 0 || one.us > SPAN_MAX)
			return false;
	}
	*out = span_start(s, time_at(c, 0, i));
	return true;
}

static int
eval_datetrunc(struct call *c)
{
	return eval_each(c, datetrunc_of);
}

/* Argument 1, text, as a span: "1mon", or "month". NULL: said why. */
static const struct span *
span_arg(struct binder *b, const struct node *nd, const struct expr *e)
{
	struct span *s = arena_zalloc(b->arena, sizeof *s);
	const struct time_unit *u;
	struct str text;

	if (function_literal(b, nd, e, 1, "a span", &text))
		return NULL;
	if (!s) {
		bind_fail(b, e, "out of memory");
		return NULL;
	}
	if (span_parse(text.p, text.len, s) == 0)
		return s;
	u = unit_arg(b, nd, e, 1, "YmWdHMSL");
	if (!u)
		return NULL;
	*s = (struct span){.us = u->us};
	if (!u->us)
		s->months = u->code == 'Y' ? 12 : 1;
	return s;
}

int
function_datetrunc(struct binder *b, struct node *nd, const struct expr *e)
{
	enum expr_type t = nd->args[1]->type;

	if (want_time(b, nd, e, 0))
		return -1;
	if (t == TYPE_STRING)
		nd->data = span_arg(b, nd, e);
	else if (t != TYPE_DURATION && t != TYPE_NULL)
		return function_want(b, nd, e, 1, "a span (1m, 1h, \"1mon\")");
	nd->type = TYPE_TIME;
	nd->nullable |= t != TYPE_STRING;
	nd->fn = eval_datetrunc;
	return nd->data || t != TYPE_STRING ? 0 : -1;
}
