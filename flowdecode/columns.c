/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowdecode/columns.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "flowdecode/plan.h"
#include "flowdecode/reader.h"

enum { NTP_TO_UNIX = 2208988800u };

/*
 * A kernel: EXPR makes the value of type T from the bytes at p and, where it is
 * used, from those at q, or from row i of another column.
 */
#define KERNEL(name, T, expr)                                       \
	static void name(const struct copy *c)                      \
	{                                                           \
		const size_t len = c->len, stride = c->stride;      \
		const uint8_t *p = c->src, *q = c->aux;             \
		const struct clock *clock = c->clock;               \
		const uint32_t n = c->n;                            \
		__typeof__(T) *restrict out = c->out;               \
                                                                    \
		(void)len;                                          \
		(void)q;                                            \
		(void)clock;                                        \
		for (uint32_t i = 0; !c->cells && i < n; i++) {     \
			out[i] = (__typeof__(T))(expr);             \
			p += stride;                                \
			q += stride;                                \
		}                                                   \
		for (uint32_t i = 0; c->cells && i < n; i++) {      \
			p = c->src + c->cells[i * c->step].off;     \
			q = c->aux + c->aux_cells[i * c->step].off; \
			out[i] = (__typeof__(T))(expr);             \
		}                                                   \
	}

static int64_t
sint(const uint8_t *p, size_t len)
{
	unsigned shift = (unsigned)(64 - 8 * len);

	return (int64_t)(wire_uint(p, len) << shift) >> shift;
}

static double
f32(const uint8_t *p)
{
	uint32_t u = wire_u32(p);
	float f;

	memcpy(&f, &u, sizeof(f));
	return (double)f;
}

static double
f64(const uint8_t *p)
{
	uint64_t u = wire_u64(p);
	double f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Microseconds from a count of units of US microseconds each. */
static int64_t
time_of(uint64_t v, uint64_t us)
{
	return v > INT64_MAX / us ? INT64_MAX : (int64_t)(v * us);
}

static int64_t
add(int64_t a, int64_t b)
{
	int64_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return b > 0 ? INT64_MAX : INT64_MIN;
}

/* Seconds since 1970; those before are of the era that begins in 2036. Zero
 * stays zero: a clock that was never set. */
static uint64_t
ntp_seconds(const uint8_t *p)
{
	uint64_t s = wire_u32(p);

	if (s == 0)
		return 0;
	return s >= NTP_TO_UNIX ? s - NTP_TO_UNIX
				: s + (1ull << 32) - NTP_TO_UNIX;
}

static int64_t
ntp_us(const uint8_t *p)
{
	return (int64_t)(ntp_seconds(p) * 1000000 +
			 ((uint64_t)wire_u32(p + 4) * 1000000 >> 32));
}

static uint64_t
ntp_ns(const uint8_t *p)
{
	return ntp_seconds(p) * 1000000000 +
	       ((uint64_t)wire_u32(p + 4) * 1000000000 >> 32);
}

/* The difference is signed: a flow may begin before the uptime wrapped, and
 * end after the header was made. */
static int64_t
uptime_us(const struct clock *k, uint32_t ms)
{
	return k->export_us - (int64_t)(int32_t)(k->uptime - ms) * 1000;
}

static uint64_t
mac_of(const uint8_t *p)
{
	return (uint64_t)wire_u16(p) << 32 | wire_u32(p + 2);
}

KERNEL(copy_u8, uint8_t, *p)
KERNEL(copy_u16, uint16_t, wire_u16(p))
KERNEL(copy_u24, uint32_t, (uint32_t)wire_u16(p) << 8 | p[2])
KERNEL(copy_u32, uint32_t, wire_u32(p))
KERNEL(copy_uint, uint64_t, wire_uint(p, len))
KERNEL(copy_u64, uint64_t, wire_u64(p))
KERNEL(copy_sint, int64_t, sint(p, len))
KERNEL(copy_f32, double, f32(p))
KERNEL(copy_f64, double, f64(p))
KERNEL(copy_bool, uint8_t, *p == 1)
KERNEL(copy_mac, uint64_t, mac_of(p))
KERNEL(copy_seconds, int64_t, time_of(wire_uint(p, len), 1000000))
KERNEL(copy_milliseconds, int64_t, time_of(wire_uint(p, len), 1000))
KERNEL(copy_ntp, int64_t, ntp_us(p))
KERNEL(copy_ntp_ns, uint64_t, ntp_ns(p))
KERNEL(copy_uptime, int64_t, uptime_us(clock, (uint32_t)wire_uint(p, len)))
KERNEL(copy_uptime4, int64_t, uptime_us(clock, wire_u32(p)))
KERNEL(copy_init, int64_t,
       add(time_of(wire_u64(q), 1000), (int64_t)wire_u32(p) * 1000))
KERNEL(copy_delta, int64_t, clock->export_us - (int64_t)wire_u32(p))
KERNEL(copy_later_ms, int64_t,
       add(c->times[i], time_of(wire_uint(p, len), 1000)))
KERNEL(copy_later_us, int64_t, add(c->times[i], time_of(wire_uint(p, len), 1)))
KERNEL(copy_sooner_ms, int64_t,
       add(c->times[i], -time_of(wire_uint(p, len), 1000)))
KERNEL(copy_sooner_us, int64_t,
       add(c->times[i], -time_of(wire_uint(p, len), 1)))

struct ip {
	uint8_t bytes[16];
};

static struct ip
ip(const uint8_t *p)
{
	struct ip v;

	memcpy(v.bytes, p, sizeof(v.bytes));
	return v;
}

static struct ip
choice(const uint8_t *v4, const uint8_t *v6)
{
	static const uint8_t none[16];
	struct ip v;

	if (wire_u32(v4) == 0 && memcmp(v6, none, sizeof(none)) != 0)
		return ip(v6);
	ip_from_v4(v.bytes, wire_u32(v4));
	return v;
}

KERNEL(copy_ip, struct ip, ip(p))
KERNEL(copy_choice, struct ip, choice(p, q))

static void (*const kernels[COPY_FIXED])(const struct copy *) = {
    [COPY_U8] = copy_u8,
    [COPY_U16] = copy_u16,
    [COPY_U24] = copy_u24,
    [COPY_U32] = copy_u32,
    [COPY_UINT] = copy_uint,
    [COPY_U64] = copy_u64,
    [COPY_SINT] = copy_sint,
    [COPY_F32] = copy_f32,
    [COPY_F64] = copy_f64,
    [COPY_BOOL] = copy_bool,
    [COPY_IP] = copy_ip,
    [COPY_MAC] = copy_mac,
    [COPY_SECONDS] = copy_seconds,
    [COPY_MILLISECONDS] = copy_milliseconds,
    [COPY_NTP] = copy_ntp,
    [COPY_NTP_NS] = copy_ntp_ns,
    [COPY_CHOICE] = copy_choice,
    [COPY_UPTIME] = copy_uptime,
    [COPY_INIT] = copy_init,
    [COPY_DELTA] = copy_delta,
    [COPY_LATER_MS] = copy_later_ms,
    [COPY_LATER_US] = copy_later_us,
    [COPY_SOONER_MS] = copy_sooner_ms,
    [COPY_SOONER_US] = copy_sooner_us,
};

void
copy_run(const struct copy *c)
{
	if (c->kind == COPY_UPTIME && c->len == 4)
		copy_uptime4(c);
	else
		kernels[c->kind](c);
}

/* Strings and bytes. */

static int
put_text(struct column *col, uint32_t row, const uint8_t *p, size_t len,
	 struct err *e)
{
	static const char bad[] = "\xef\xbf\xbd";
	char *clean = NULL;
	size_t n = 0, good;
	int rc;

	while (len > 0 && p[len - 1] == 0)
		len--;
	good = text_utf8((const char *)p, len);
	if (good == len)
		return column_put_bytes(col, row, p, len, e);
	clean = malloc(3 * len);
	if (!clean)
		return err_set(e, "out of memory for a string");
	while (len > 0) {
		memcpy(clean + n, p, good);
		n += good;
		if (good < len) {
			memcpy(clean + n, bad, 3);
			n += 3;
			good++;
		}
		p += good;
		len -= good;
		good = text_utf8((const char *)p, len);
	}
	rc = column_put_bytes(col, row, clean, n, e);
	free(clean);
	return rc;
}

int
copy_run_bytes(const struct copy *c, struct column *col, uint32_t row,
	       struct err *e)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct cell *cell = c->cells;
		const uint8_t *p = c->src + i * c->stride;
		size_t len = c->len;
		int rc;

		if (cell) {
			cell += i * c->step;
			p = c->src + cell->off;
			len = len ? len : cell->len;
		}
		rc = c->kind == COPY_STRING
			 ? put_text(col, row + i, p, len, e)
			 : column_put_bytes(col, row + i, p, len, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

#define FILL(T)                                   \
	do {                                      \
		T v, *out = (T *)col->data + row; \
                                                  \
		memcpy(&v, value, sizeof(v));     \
		for (uint32_t i = 0; i < n; i++)  \
			out[i] = v;               \
	} while (0)

void
fill_run(struct column *col, size_t width, const void *value, uint32_t row,
	 uint32_t n)
{
	switch (width) {
	case 1:
		FILL(uint8_t);
		break;
	case 2:
		FILL(uint16_t);
		break;
	case 4:
		FILL(uint32_t);
		break;
	case 8:
		FILL(uint64_t);
		break;
	default:
		for (uint32_t i = 0; i < n; i++)
			memcpy((char *)col->data + (row + i) * width, value,
			       width);
	}
}
