/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/cell.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/element.h"
#include "common/service.h"
#include "common/text.h"
#include "flowq/glyph.h"

enum { UNITS_MIN = 10000 };

static bool
one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

enum look
look_of(const char *name, enum expr_type type)
{
	static const char *const ports[] = {"src_port", "dst_port", NULL};
	static const char *const ids[] = {
	    "_id",	"src_as",	  "dst_as",	   "src_mask",
	    "dst_mask", "input",	  "output",	   "tos",
	    "version",	"exporter_port",  "source_id",	   "first",
	    "last",	"icmp_type_code", "sampling_rate", NULL};
	const char *canonical = element_canonical(name);

	if (type == TYPE_TIME)
		return LOOK_TIME;
	if (type != TYPE_UINT)
		return LOOK_PLAIN;
	if (strcmp(canonical, "protocol") == 0)
		return LOOK_PROTOCOL;
	if (strcmp(canonical, "tcp_flags") == 0)
		return LOOK_FLAGS;
	if (one_of(canonical, ports))
		return LOOK_PORT;
	return one_of(canonical, ids) ? LOOK_ID : LOOK_PLAIN;
}

static int
room(struct cell_buf *b, size_t more)
{
	char *p;

	if (b->len + more <= b->cap)
		return 0;
	p = realloc(b->p, 2 * (b->len + more));
	if (!p)
		return -1;
	b->p = p;
	b->cap = 2 * (b->len + more);
	return 0;
}

/* Appends; there is room. */
static void __attribute__((format(printf, 2, 3)))
put(struct cell_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	b->len += (size_t)vsnprintf(b->p + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
}

size_t
cell_units(char *buf, double v)
{
	static const char units[] = " KMGTPE";
	size_t u = 0;

	if (fabs(v) < UNITS_MIN)
		return (size_t)snprintf(buf, CELL_ROOM, "%.4g", v);
	while (fabs(v) >= 999.95 && units[u + 1]) {
		v /= 1000;
		u++;
	}
	return (size_t)snprintf(buf, CELL_ROOM, "%.1f%c", v, units[u]);
}

void
cell_time(char *buf, size_t size, int64_t us)
{
	int64_t s = us / 1000000, fraction = us % 1000000;
	time_t t;
	struct tm tm;
	size_t n;

	if (fraction < 0) {
		fraction += 1000000;
		s--;
	}
	t = (time_t)s;
	if (!localtime_r(&t, &tm) ||
	    !(n = strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm))) {
		snprintf(buf, size, "%" PRId64, us);
		return;
	}
	if (fraction == 0 || n + 8 > size)
		return;
	n += (size_t)snprintf(buf + n, size - n, ".%06d", (int)fraction);
	while (buf[n - 1] == '0')
		buf[--n] = 0;
}

/* Three decimals, as far as they are any. */
static size_t
real_text(char *buf, double v)
{
	size_t n;

	if (!isfinite(v) || fabs(v) >= 1e15 || (v != 0 && fabs(v) < 1e-3)) {
		if (isfinite(v))
			return (size_t)snprintf(buf, CELL_ROOM, "%.6g", v);
		return text_f64(buf, v);
	}
	n = (size_t)snprintf(buf, CELL_ROOM, "%.3f", v);
	while (buf[n - 1] == '0')
		n--;
	return n - (buf[n - 1] == '.');
}

/* "syn,ack" is long: the letters of the flags, in their order from the top. */
static size_t
flags_text(char *buf, uint64_t flags)
{
	static const char letters[] = "CEUAPRSF";

	for (int i = 0; i < 8; i++)
		buf[i] = flags >> (7 - i) & 1 ? letters[i] : '.';
	if (flags > 0xff)
		return text_u64(buf, flags);
	return 8;
}

static size_t
number_text(char *buf, enum look look, bool units, const struct value *v)
{
	const char *name = NULL;

	switch (look) {
	case LOOK_PROTOCOL:
		name = protocol_name(v->u);
		return name ? (size_t)snprintf(buf, CELL_ROOM, "%s", name)
			    : text_value(buf, v);
	case LOOK_PORT:
		name = port_name(v->u);
		if (!name)
			return text_value(buf, v);
		return (size_t)snprintf(buf, CELL_ROOM, "%" PRIu64 " %.16s",
					v->u, name);
	case LOOK_FLAGS:
		return flags_text(buf, v->u);
	case LOOK_TIME:
		cell_time(buf, CELL_ROOM, v->i);
		return strlen(buf);
	case LOOK_ID:
		return text_value(buf, v);
	default:
		break;
	}
	if (units && v->type == COL_F64 && fabs(v->f) >= UNITS_MIN)
		return cell_units(buf, v->f);
	if (units && v->type == COL_I64 && llabs(v->i) >= UNITS_MIN)
		return cell_units(buf, (double)v->i);
	if (units && v->type >= COL_U8 && v->type <= COL_U64 &&
	    v->u >= UNITS_MIN)
		return cell_units(buf, (double)v->u);
	return v->type == COL_F64 ? real_text(buf, v->f) : text_value(buf, v);
}

/* Text with its control characters as escapes, and no bytes that are none. */
static int
string_text(struct cell_buf *b, const char *s, size_t len)
{
	static const char names[] = "abtnvfr";

	if (room(b, 4 * len + 4))
		return -1;
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)s[i];
		size_t n =
		    c < 0x80 ? 1 : text_utf8(s + i, len - i < 4 ? len - i : 4);

		/* One character of those that are valid. */
		if (c >= 0x80 && n)
			n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		if (c >= 7 && c <= 13)
			put(b, "\\%c", names[c - 7]);
		else if (n == 0 || text_control(s + i, n))
			put(b, "\\x%02x", c);
		else {
			memcpy(b->p + b->len, s + i, n);
			b->len += n;
			i += n;
			continue;
		}
		i++;
	}
	glyph_defuse(b->p, b->len);
	return 0;
}

int
cell_text(struct cell_buf *b, enum look look, bool units, enum col_type type,
	  const struct column *c, uint32_t row)
{
	struct value v = {.type = COL_NULL};

	b->len = 0;
	if (c && type != COL_NULL)
		column_value(c, type, row, &v);
	if (v.type == COL_STRING)
		return string_text(b, v.s, v.len);
	if (room(b, v.type == COL_BYTES ? 2 * v.len + 1 : CELL_ROOM))
		return -1;
	if (v.type == COL_BYTES)
		for (size_t i = 0; i < v.len; i++)
			put(b, "%02x", (unsigned char)v.s[i]);
	else if (v.type == COL_NULL)
		put(b, "null");
	else
		b->len = number_text(b->p, look, units, &v);
	return 0;
}
