/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char digits2[201] = "0001020304050607080910111213141516171819"
				 "2021222324252627282930313233343536373839"
				 "4041424344454647484950515253545556575859"
				 "6061626364656667686970717273747576777879"
				 "8081828384858687888990919293949596979899";

static const char hex[] = "0123456789abcdef";

static void
put2(char *p, unsigned v)
{
	memcpy(p, digits2 + 2 * v, 2);
}

static void
put_hex2(char *p, unsigned v)
{
	p[0] = hex[v >> 4 & 15];
	p[1] = hex[v & 15];
}

static unsigned
digit_count(uint64_t v)
{
	static const uint64_t power[] = {0,
					 10,
					 100,
					 1000,
					 10000,
					 100000,
					 1000000,
					 10000000,
					 100000000,
					 1000000000,
					 10000000000,
					 100000000000,
					 1000000000000,
					 10000000000000,
					 100000000000000,
					 1000000000000000,
					 10000000000000000,
					 100000000000000000,
					 1000000000000000000,
					 10000000000000000000u};
	unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
	unsigned low = bits * 1233 >> 12; /* log10(2) is about 1233 / 4096 */

	return low + (v >= power[low]);
}

size_t
text_u64(char *p, uint64_t v)
{
	unsigned n = digit_count(v), i = n;

	while (v >= 100) {
		i -= 2;
		put2(p + i, (unsigned)(v % 100));
		v /= 100;
	}
	if (v >= 10)
		put2(p, (unsigned)v);
	else
		p[0] = (char)('0' + v);
	return n;
}

size_t
text_i64(char *p, int64_t v)
{
	if (v >= 0)
		return text_u64(p, (uint64_t)v);
	*p = '-';
	return 1 + text_u64(p + 1, 0 - (uint64_t)v);
}

size_t
text_f64(char *p, double v)
{
	int n = 0;

	/* Whole numbers are most of them; all up to 10^15 are exact. */
	if (fabs(v) < 1e15 && v == (double)(int64_t)v &&
	    !(v == 0 && signbit(v)))
		return text_i64(p, (int64_t)v);
	if (isnan(v)) {
		memcpy(p, "nan", 3);
		return 3;
	}
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(p, TEXT_MAX, "%.*g", digits, v);
		if (isinf(v) || strtod(p, NULL) == v)
			break;
	}
	return (size_t)n;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar.  Years are
 * counted from March, so that the leap day comes last. */
static void
civil_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int64_t)yoe + era * 400 + (*month <= 2);
}

static int64_t
civil_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy =
	    (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

/* Four digits; years outside 0000 to 9999 have a sign and as many as needed. */
static size_t
put_year(char *p, int64_t year)
{
	uint64_t abs = year < 0 ? 0 - (uint64_t)year : (uint64_t)year;
	size_t n = 0;

	if (year < 0 || year > 9999)
		p[n++] = year < 0 ? '-' : '+';
	if (abs > 9999)
		return n + text_u64(p + n, abs);
	put2(p + n, (unsigned)abs / 100);
	put2(p + n + 2, (unsigned)abs % 100);
	return n + 4;
}

static size_t
put_fraction(char *p, unsigned us)
{
	size_t n = 7;

	if (us == 0)
		return 0;
	p[0] = '.';
	put2(p + 1, us / 10000);
	put2(p + 3, us / 100 % 100);
	put2(p + 5, us % 100);
	while (p[n - 1] == '0')
		n--;
	return n;
}

/* "2026-11-23T": the date of a day since 1970.  Times come in order or nearly,
 * so the last one is kept. */
static size_t
put_date(char *p, int64_t days)
{
	static _Thread_local struct {
		bool known;
		int64_t days;
		size_t len;
		char text[16];
	} last;
	unsigned month, day;
	int64_t year;
	size_t n;

	if (!last.known || last.days != days) {
		civil_date(days, &year, &month, &day);
		n = put_year(last.text, year);
		last.text[n] = last.text[n + 3] = '-';
		put2(last.text + n + 1, month);
		put2(last.text + n + 4, day);
		last.text[n + 6] = 'T';
		last.len = n + 7;
		last.days = days;
		last.known = true;
	}
	memcpy(p, last.text, sizeof last.text);
	return last.len;
}

size_t
text_time(char *p, int64_t us)
{
	int64_t days = us / 86400000000;
	int64_t left = us % 86400000000;
	unsigned second;
	size_t n;

	if (left < 0) {
		left += 86400000000;
		days--;
	}
	second = (unsigned)(left / 1000000);
	n = put_date(p, days);
	put2(p + n, second / 3600);
	p[n + 2] = ':';
	put2(p + n + 3, second / 60 % 60);
	p[n + 5] = ':';
	put2(p + n + 6, second % 60);
	n += 8;
	n += put_fraction(p + n, (unsigned)(left % 1000000));
	p[n++] = 'Z';
	return n;
}

static size_t
put_octet(char *p, unsigned v)
{
	if (v >= 100) {
		p[0] = (char)('0' + v / 100);
		put2(p + 1, v % 100);
		return 3;
	}
	if (v >= 10) {
		put2(p, v);
		return 2;
	}
	p[0] = (char)('0' + v);
	return 1;
}

size_t
text_ipv4(char *p, uint32_t v)
{
	size_t n = put_octet(p, v >> 24);

	p[n++] = '.';
	n += put_octet(p + n, v >> 16 & 255);
	p[n++] = '.';
	n += put_octet(p + n, v >> 8 & 255);
	p[n++] = '.';
	return n + put_octet(p + n, v & 255);
}

static size_t
put_hex16(char *p, unsigned v)
{
	size_t n = 0;

	for (int shift = 12; shift >= 0; shift -= 4)
		if (n || v >> shift || shift == 0)
			p[n++] = hex[v >> shift & 15];
	return n;
}

/* The first of the longest runs of at least two zero words: its start, and
 * its length in *len (0 if there is none). */
static int
zero_run(const unsigned w[8], int *len)
{
	int best = 0, run = 0;

	*len = 1;
	for (int i = 0; i < 8; i++) {
		run = w[i] ? 0 : run + 1;
		if (run > *len) {
			*len = run;
			best = i + 1 - run;
		}
	}
	if (*len == 1)
		*len = 0;
	return best;
}

size_t
text_ip(char *p, const uint8_t ip[16])
{
	unsigned w[8];
	size_t n = 0;
	int len, at;

	if (ip_is_v4(ip))
		return text_ipv4(p, ip_v4(ip));
	for (int i = 0; i < 8; i++)
		w[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	at = zero_run(w, &len);
	for (int i = 0; i < 8; i++) {
		if (len && i == at) {
			p[n++] = ':';
			p[n++] = ':';
			i += len - 1;
			continue;
		}
		/* inet_ntop shows ::a.b.c.d (RFC 4291, 2.5.5.1) so. */
		if (i == 6 && len == 6 && at == 0)
			return n + text_ipv4(p + n, ip_v4(ip));
		if (i && !(len && i == at + len))
			p[n++] = ':';
		n += put_hex16(p + n, w[i]);
	}
	return n;
}

size_t
text_mac(char *p, uint64_t v)
{
	for (int i = 0; i < 6; i++) {
		put_hex2(p + 3 * i, (unsigned)(v >> (40 - 8 * i)));
		p[3 * i + 2] = ':';
	}
	return 17;
}

static size_t
put_word(char *p, const char *word)
{
	size_t n = strlen(word);

	memcpy(p, word, n);
	return n;
}

size_t
text_value(char *p, const struct value *v)
{
	switch (v->type) {
	case COL_BOOL:
		return put_word(p, v->u ? "true" : "false");
	case COL_U8:
	case COL_U16:
	case COL_U32:
	case COL_U64:
		return text_u64(p, v->u);
	case COL_I64:
		return text_i64(p, v->i);
	case COL_F64:
		return text_f64(p, v->f);
	case COL_TIME:
		return text_time(p, v->i);
	case COL_IPV4:
		return text_ipv4(p, (uint32_t)v->u);
	case COL_IP:
		return text_ip(p, v->ip);
	case COL_MAC:
		return text_mac(p, v->u);
	default:
		return put_word(p, "null");
	}
}

int
text_read_u64(const char *p, size_t len, uint64_t *v)
{
	uint64_t sum = 0;

	if (len == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (unsigned)(p[i] - '0'), &sum))
			return -1;
	}
	*v = sum;
	return 0;
}

int
text_read_size(const char *p, size_t len, uint64_t *v)
{
	static const char units[] = {'K', 'M', 'G', 'T'};
	const char *u = len ? memchr(units, p[len - 1], sizeof units) : NULL;
	unsigned shift = u ? 10 * (unsigned)(u - units + 1) : 0;

	if (text_read_u64(p, len - (u != NULL), v) || *v > UINT64_MAX >> shift)
		return -1;
	*v <<= shift;
	return 0;
}

int
text_read_f64(const char *p, size_t len, double *v)
{
	char buf[TEXT_MAX], *end;

	if (len == 0 || len >= sizeof buf)
		return -1;
	memcpy(buf, p, len);
	buf[len] = 0;
	if (strspn(buf, "0123456789+-.eE") != len &&
	    strcmp(buf + (*buf == '-'), "inf") != 0 &&
	    strcmp(buf + (*buf == '-'), "nan") != 0)
		return -1;
	*v = strtod(buf, &end);
	return *end || end == buf ? -1 : 0;
}

int
text_read_ip(const char *p, size_t len, uint8_t ip[16])
{
	char s[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (len >= sizeof s || memchr(p, 0, len))
		return -1;
	memcpy(s, p, len);
	s[len] = 0;
	if (inet_pton(AF_INET, s, &v4) == 1) {
		ip_from_v4(ip, ntohl(v4.s_addr));
		return 0;
	}
	return inet_pton(AF_INET6, s, ip) == 1 ? 0 : -1;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
text_read_mac(const char *p, size_t len, uint64_t *v)
{
	uint64_t sum = 0;

	if (len != 17)
		return -1;
	for (int i = 0; i < 17; i += 3) {
		int hi = hex_digit(p[i]), lo = hex_digit(p[i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		if (i < 15 && p[i + 2] != ':' && p[i + 2] != '-')
			return -1;
		sum = sum << 8 | (unsigned)(hi << 4 | lo);
	}
	*v = sum;
	return 0;
}

/* What is left to read of a time; ok goes false for good. */
struct scan {
	const char *p;
	size_t len;
	bool ok;
};

static bool
scan_char(struct scan *s, const char *set)
{
	if (!s->len || !*s->p || !strchr(set, *s->p))
		return false;
	s->p++;
	s->len--;
	return true;
}

static size_t
scan_count(const struct scan *s)
{
	size_t n = 0;

	while (n < s->len && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	return n;
}

/* Exactly N digits. */
static int64_t
scan_digits(struct scan *s, size_t n)
{
	int64_t v = 0;

	if (n > 9 || scan_count(s) < n) {
		s->ok = false;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (s->p[i] - '0');
	s->p += n;
	s->len -= n;
	return v;
}

/* As put_year writes it. */
static int64_t
scan_year(struct scan *s)
{
	int64_t sign = scan_char(s, "-") ? -1 : 1;
	size_t n = 4;

	if (sign < 0 || scan_char(s, "+"))
		n = scan_count(s);
	if (n < 4)
		s->ok = false;
	return sign * scan_digits(s, n);
}

/* Microseconds; digits past the sixth are cut off. */
static int
scan_fraction(struct scan *s)
{
	int us = 0, unit = 100000;
	size_t n = scan_count(s);

	if (n == 0)
		s->ok = false;
	for (size_t i = 0; i < n; i++, unit /= 10)
		us += (s->p[i] - '0') * unit;
	s->p += n;
	s->len -= n;
	return us;
}

static void
scan_clock(struct scan *s, struct tm *tm, int *us)
{
	tm->tm_hour = (int)scan_digits(s, 2);
	if (!scan_char(s, ":"))
		s->ok = false;
	tm->tm_min = (int)scan_digits(s, 2);
	if (scan_char(s, ":")) {
		tm->tm_sec = (int)scan_digits(s, 2);
		if (scan_char(s, ".,"))
			*us = scan_fraction(s);
	}
	/* 60 is a leap second; it counts as the first of the next minute. */
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		s->ok = false;
}

/* +hh:mm, +hhmm or +hh in seconds east of UTC; Z is 0. False: no zone. */
static bool
scan_zone(struct scan *s, int *east)
{
	int sign = 1, hour, minute = 0;

	*east = 0;
	if (scan_char(s, "Zz"))
		return true;
	if (scan_char(s, "-"))
		sign = -1;
	else if (!scan_char(s, "+"))
		return false;
	hour = (int)scan_digits(s, 2);
	if (scan_char(s, ":") || s->len)
		minute = (int)scan_digits(s, 2);
	if (hour > 23 || minute > 59)
		s->ok = false;
	*east = sign * (hour * 3600 + minute * 60);
	return true;
}

static bool
date_exists(int64_t year, unsigned month, unsigned day)
{
	int64_t y;
	unsigned m, d;

	if (month < 1 || month > 12 || day < 1 || day > 31 || year < -300000 ||
	    year > 300000)
		return false;
	civil_date(civil_days(year, month, day), &y, &m, &d);
	return y == year && m == month && d == day;
}

static int64_t
utc_seconds(const struct tm *tm, int64_t year)
{
	int64_t days =
	    civil_days(year, (unsigned)tm->tm_mon + 1, (unsigned)tm->tm_mday);

	return days * 86400 + tm->tm_hour * 3600 + tm->tm_min * 60 + tm->tm_sec;
}

/* Seconds since 1970 of a local time. A time that a change of the clocks
 * skips or repeats is what mktime makes of it. */
static int64_t
local_seconds(struct tm *tm, int64_t year, bool *ok)
{
	time_t t;

	tm->tm_year = (int)(year - 1900);
	tm->tm_isdst = -1;
	errno = 0;
	t = mktime(tm);
	if (t == -1 && errno)
		*ok = false;
	return t;
}

int
text_read_time(const char *p, size_t len, int64_t *us)
{
	struct scan s = {p, len, true};
	struct tm tm = {0};
	int64_t year = scan_year(&s), second;
	int fraction = 0, east = 0;
	bool zone = false;
	__int128 sum;

	if (!scan_char(&s, "-"))
		return -1;
	tm.tm_mon = (int)scan_digits(&s, 2) - 1;
	if (!scan_char(&s, "-"))
		return -1;
	tm.tm_mday = (int)scan_digits(&s, 2);
	if (scan_char(&s, "Tt ")) {
		scan_clock(&s, &tm, &fraction);
		zone = scan_zone(&s, &east);
	}
	if (!s.ok || s.len ||
	    !date_exists(year, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday))
		return -1;
	if (zone)
		second = utc_seconds(&tm, year) - east;
	else
		second = local_seconds(&tm, year, &s.ok);
	sum = (__int128)second * 1000000 + fraction;
	if (!s.ok || sum < INT64_MIN || sum > INT64_MAX)
		return -1;
	*us = (int64_t)sum;
	return 0;
}

int
ip_is_v4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, mapped, sizeof mapped) == 0;
}

uint32_t
ip_v4(const uint8_t ip[16])
{
	return (uint32_t)ip[12] << 24 | (uint32_t)ip[13] << 16 |
	       (uint32_t)ip[14] << 8 | ip[15];
}

void
ip_from_v4(uint8_t ip[16], uint32_t v)
{
	memset(ip, 0, 10);
	ip[10] = ip[11] = 0xff;
	ip[12] = (uint8_t)(v >> 24);
	ip[13] = (uint8_t)(v >> 16);
	ip[14] = (uint8_t)(v >> 8);
	ip[15] = (uint8_t)v;
}

/* The length of the UTF-8 sequence at p, 0 if it is not one (RFC 3629: no
 * surrogates, no longer forms than needed, nothing past U+10FFFF). */
static size_t
utf8_sequence(const unsigned char *p, size_t len)
{
	unsigned c = p[0], low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len < n)
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t
text_utf8(const char *p, size_t len)
{
	size_t at = 0, n;
	uint64_t w;

	for (;;) {
		while (len - at >= 8) {
			memcpy(&w, p + at, 8);
			if (w & 0x8080808080808080)
				break;
			at += 8;
		}
		if (at == len)
			return at;
		n = utf8_sequence((const unsigned char *)p + at, len - at);
		if (n == 0)
			return at;
		at += n;
	}
}

static size_t
control(const unsigned char *p, size_t len)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	return p[0] == 0xc2 && len > 1 && p[1] < 0xa0 ? 2 : 0;
}

bool
text_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (control((const unsigned char *)s + i, len - i))
			return true;
	return false;
}

/* How many bytes at p are a control character, or no character; 0 if neither.
 */
static size_t
not_text(const unsigned char *p, size_t len)
{
	return utf8_sequence(p, len) == 0 ? 1 : control(p, len);
}

void
text_defuse(char *s, size_t len)
{
	unsigned char *p = (unsigned char *)s;
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = not_text(p + at, len - at);
		memset(p + at, '?', n);
		if (n == 0)
			n = utf8_sequence(p + at, len - at);
	}
}
