/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/flowfilter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/service.h"
#include "common/text.h"

enum { NESTED_MAX = 100, LIST_MAX = 4096, SHOWN = 40 };

/* A word, or one of ( ) [ ] , and the comparisons. */
struct word {
	const char *p;
	size_t len; /* 0 at the end */
};

struct parser {
	struct flowfilter *f;
	struct word now;
	unsigned depth;
};

/*
 * Words.
 */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_sign(char c)
{
	return c && strchr("()[],=!<>&|", c);
}

static void
next(struct parser *p)
{
	const char *text = p->f->text;
	size_t at = (size_t)(p->now.p - text) + p->now.len, start;

	while (at < p->f->len && is_blank(text[at]))
		at++;
	start = at;
	if (at < p->f->len && is_sign(text[at])) {
		char c = text[at++];

		/* == != <= >= && || */
		if (at < p->f->len &&
		    ((strchr("=!<>", c) && text[at] == '=') ||
		     ((c == '&' || c == '|') && text[at] == c)))
			at++;
	} else {
		while (at < p->f->len && !is_blank(text[at]) &&
		       !is_sign(text[at]))
			at++;
	}
	p->now = (struct word){text + start, at - start};
}

static bool
is(const struct parser *p, const char *word)
{
	return strlen(word) == p->now.len &&
	       strncasecmp(word, p->now.p, p->now.len) == 0;
}

static bool
take(struct parser *p, const char *word)
{
	if (!is(p, word))
		return false;
	next(p);
	return true;
}

/* Always NULL. */
static struct expr *fail(struct parser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static struct expr *
fail(struct parser *p, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	p->f->err_pos = p->f->base + (size_t)(p->now.p - p->f->text);
	err_set(p->f->err, "flow filter: %s", text);
	return NULL;
}

static struct expr *
expected(struct parser *p, const char *what)
{
	if (p->now.len == 0)
		return fail(p, "expected %s, found the end", what);
	return fail(p, "expected %s, found %.*s", what,
		    p->now.len > SHOWN ? SHOWN : (int)p->now.len, p->now.p);
}

/*
 * Trees.
 */

static struct expr *
node(struct parser *p, enum expr_op op, size_t n)
{
	struct expr *e = expr_new(p->f->arena, op, n);

	if (!e)
		return fail(p, "out of memory");
	e->pos = p->f->base + (size_t)(p->now.p - p->f->text);
	e->len = p->now.len;
	return e;
}

static struct expr *
field(struct parser *p, const char *name)
{
	struct expr *e = node(p, EXPR_FIELD, 0);

	if (e)
		e->name = name;
	return e;
}

static struct expr *
literal(struct parser *p, const struct literal *lit)
{
	struct expr *e = node(p, EXPR_LITERAL, 0);

	if (e)
		e->lit = *lit;
	return e;
}

static struct expr *
number(struct parser *p, uint64_t v)
{
	return literal(p, &(struct literal){.type = TYPE_UINT, .u = v});
}

static struct expr *
binary(struct parser *p, enum expr_op op, struct expr *a, struct expr *b)
{
	struct expr *e = a && b ? node(p, op, 2) : NULL;

	if (e) {
		e->args[0] = a;
		e->args[1] = b;
	}
	return e;
}

static struct expr *
negate(struct parser *p, struct expr *a)
{
	struct expr *e = a ? node(p, EXPR_NOT, 1) : NULL;

	if (e)
		e->args[0] = a;
	return e;
}

static struct expr *
call(struct parser *p, const char *name, struct expr *a)
{
	struct expr *e = a ? node(p, EXPR_CALL, 1) : NULL;

	if (e) {
		e->name = name;
		e->args[0] = a;
	}
	return e;
}

/*
 * Values: what stands after a word, as a condition on a field.
 */

/* A value for a field: a literal, or a range from lo to hi. */
struct operand {
	struct literal lo, hi;
	bool range;
};

/* Reads the word at hand; -1: it is none (said why). */
typedef int read_fn(struct parser *, struct operand *);

/* Digits with K, M, G or T (powers of 1000); 1.5M too. */
static int
read_scaled(const char *s, size_t len, uint64_t *v)
{
	static const char units[] = "KMGT";
	const char *unit = len ? strchr(units, s[len - 1] & ~32) : NULL;
	uint64_t factor = 1, part = 0, scale = 1;
	unsigned __int128 more;
	const char *dot;
	size_t whole;

	if (unit && *unit) {
		for (const char *u = units; u <= unit; u++)
			factor *= 1000;
		len--;
	}
	dot = memchr(s, '.', len);
	whole = dot ? (size_t)(dot - s) : len;
	if (text_read_u64(s, whole, v) || __builtin_mul_overflow(*v, factor, v))
		return -1;
	if (!dot)
		return 0;
	if (len - whole > 10 || text_read_u64(dot + 1, len - whole - 1, &part))
		return -1;
	for (size_t i = whole + 1; i < len; i++)
		scale *= 10;
	more = (unsigned __int128)part * factor / scale;
	return __builtin_add_overflow(*v, (uint64_t)more, v) ? -1 : 0;
}

static int
read_number(struct parser *p, struct operand *o)
{
	*o = (struct operand){.lo = {.type = TYPE_UINT}};
	if (read_scaled(p->now.p, p->now.len, &o->lo.u) == 0)
		return 0;
	expected(p, "a number (1500, 10K, 1.5M)");
	return -1;
}

/* 80, https, 1-1023 */
static int
read_port(struct parser *p, struct operand *o)
{
	const char *dash = memchr(p->now.p, '-', p->now.len);
	size_t len = dash ? (size_t)(dash - p->now.p) : p->now.len;
	int n = port_number(p->now.p, p->now.len);

	*o = (struct operand){.lo = {.type = TYPE_UINT},
			      .hi = {.type = TYPE_UINT}};
	o->lo.u = (uint64_t)n;
	if (n >= 0)
		return 0;
	o->range = dash != NULL;
	if (text_read_u64(p->now.p, len, &o->lo.u) == 0 && o->lo.u <= 65535 &&
	    (!dash ||
	     (text_read_u64(dash + 1, p->now.len - len - 1, &o->hi.u) == 0 &&
	      o->hi.u <= 65535)))
		return 0;
	expected(p, "a port (443, https, 1-1023)");
	return -1;
}

static int
read_as(struct parser *p, struct operand *o)
{
	size_t skip =
	    p->now.len > 2 && strncasecmp(p->now.p, "AS", 2) == 0 ? 2 : 0;

	*o = (struct operand){.lo = {.type = TYPE_UINT}};
	if (text_read_u64(p->now.p + skip, p->now.len - skip, &o->lo.u) == 0)
		return 0;
	expected(p, "the number of an AS");
	return -1;
}

static int
read_interface(struct parser *p, struct operand *o)
{
	*o = (struct operand){.lo = {.type = TYPE_UINT}};
	if (text_read_u64(p->now.p, p->now.len, &o->lo.u) == 0)
		return 0;
	expected(p, "the number of an interface");
	return -1;
}

static int
read_protocol(struct parser *p, struct operand *o)
{
	int n = protocol_number(p->now.p, p->now.len);

	*o = (struct operand){.lo = {.type = TYPE_UINT, .u = (uint64_t)n}};
	if (n >= 0 || (text_read_u64(p->now.p, p->now.len, &o->lo.u) == 0 &&
		       o->lo.u <= 255))
		return 0;
	expected(p, "a protocol (tcp, udp, icmp, or a number)");
	return -1;
}

/* In milliseconds, or with a unit. */
static int
read_duration(struct parser *p, struct operand *o)
{
	uint64_t ms;

	*o = (struct operand){.lo = {.type = TYPE_DURATION}};
	if (literal_duration(p->now.p, p->now.len, &o->lo.i) == 0)
		return 0;
	if (text_read_u64(p->now.p, p->now.len, &ms) == 0 &&
	    ms < INT64_MAX / 1000) {
		o->lo.i = (int64_t)ms * 1000;
		if (!p->f->strict)
			return 0;
		p->f->refused = true;
		fail(p,
		     "%.*s is milliseconds in a flow filter and seconds in an "
		     "expression: write %.*sms or %.*ss",
		     (int)p->now.len, p->now.p, (int)p->now.len, p->now.p,
		     (int)p->now.len, p->now.p);
		return -1;
	}
	expected(p, "a duration (500ms, 2s, 1m30s)");
	return -1;
}

static void
set_address(struct literal *lit, unsigned __int128 ip)
{
	if (ip >> 32 == 0xffff)
		*lit = (struct literal){.type = TYPE_IPV4, .u = (uint32_t)ip};
	else
		*lit = (struct literal){.type = TYPE_IP, .ip = ip};
}

/* An address or a network: host takes both. */
static int
read_host(struct parser *p, struct operand *o)
{
	unsigned __int128 ip;

	*o = (struct operand){.range = false};
	if (literal_ip(p->now.p, p->now.len, &ip) == 0) {
		set_address(&o->lo, ip);
		return 0;
	}
	if (literal_cidr(p->now.p, p->now.len, &o->lo) == 0)
		return 0;
	expected(p, "an address (10.0.0.1, 2001:db8::1)");
	return -1;
}

/* 10.1 or 172.16/12: what is missing is 0, and the prefix. */
static int
read_part(const char *s, size_t len, struct literal *lit)
{
	char full[64];
	const char *slash = memchr(s, '/', len);
	size_t n = slash ? (size_t)(slash - s) : len, dots = 0;

	for (size_t i = 0; i < n; i++)
		dots += s[i] == '.';
	if (dots > 2 || n == 0 || n > 12)
		return -1;
	snprintf(full, sizeof full, "%.*s%s%.*s", (int)n, s,
		 dots == 2   ? ".0"
		 : dots == 1 ? ".0.0"
			     : ".0.0.0",
		 slash ? (int)(len - n > 8 ? 8 : len - n) : 0,
		 slash ? slash : "");
	if (!slash)
		snprintf(full + strlen(full), sizeof full - strlen(full),
			 "/%zu", 8 * (dots + 1));
	return literal_cidr(full, strlen(full), lit);
}

/* The bits of a mask: 24 for 255.255.255.0; -1 if it is none. */
static int
mask_bits(const char *s, size_t len)
{
	unsigned __int128 ip;
	uint32_t hosts;

	if (literal_ip(s, len, &ip) || ip >> 32 != 0xffff)
		return -1;
	hosts = ~(uint32_t)ip;
	if (hosts & (hosts + 1))
		return -1;
	return hosts ? __builtin_clz(hosts) : 32;
}

static int
read_net(struct parser *p, struct operand *o)
{
	const char *s = p->now.p;
	size_t len = p->now.len;
	unsigned __int128 ip;
	struct parser ahead = *p;
	int bits;

	*o = (struct operand){.range = false};
	if (literal_cidr(s, len, &o->lo) == 0 || read_part(s, len, &o->lo) == 0)
		return 0;
	if (literal_ip(s, len, &ip)) {
		expected(p, "a network (10.0.0.0/8, 2001:db8::/32)");
		return -1;
	}
	next(&ahead);
	bits = mask_bits(ahead.now.p, ahead.now.len);
	if (bits < 0 || ip >> 32 != 0xffff) {
		set_address(&o->lo, ip);
		return 0;
	}
	next(p); /* 10.0.0.0 255.0.0.0 */
	o->lo.type = TYPE_CIDR;
	o->lo.bits = 96 + (unsigned)bits;
	o->lo.ip = ip & ~(unsigned __int128)0 << (32 - bits);
	return 0;
}

/* [=|==|!=|<|<=|>|>=|eq|ne|lt|le|gt|ge]; without one it is ==. */
static enum expr_op
take_comparison(struct parser *p)
{
	static const struct {
		const char *word;
		enum expr_op op;
	} ops[] = {{"=", EXPR_EQ},  {"==", EXPR_EQ}, {"!=", EXPR_NE},
		   {"<", EXPR_LT},  {"<=", EXPR_LE}, {">", EXPR_GT},
		   {">=", EXPR_GE}, {"eq", EXPR_EQ}, {"ne", EXPR_NE},
		   {"lt", EXPR_LT}, {"le", EXPR_LE}, {"gt", EXPR_GT},
		   {"ge", EXPR_GE}};

	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (take(p, ops[i].word))
			return ops[i].op;
	return EXPR_EQ;
}

/* Several values for a field. */
struct values {
	enum expr_op op;
	size_t n;
	struct operand *list;
};

static int
add_value(struct parser *p, read_fn *read, struct values *v)
{
	struct operand *more;

	/* Full at each power of two. */
	if ((v->n & (v->n - 1)) == 0) {
		more = arena_alloc(p->f->arena,
				   (v->n ? 2 * v->n : 1) * sizeof *more);
		if (!more || v->n > LIST_MAX) {
			fail(p, more ? "list too long" : "out of memory");
			return -1;
		}
		if (v->n)
			memcpy(more, v->list, v->n * sizeof *more);
		v->list = more;
	}
	if (read(p, &v->list[v->n]))
		return -1;
	v->n++;
	next(p);
	return 0;
}

/* "in" "[" value ([","] value)* "]" | [comparison] value */
static int
parse_values(struct parser *p, read_fn *read, struct values *v)
{
	*v = (struct values){.op = EXPR_EQ};
	if (!is(p, "in")) {
		v->op = take_comparison(p);
		return add_value(p, read, v);
	}
	next(p);
	if (!take(p, "[")) {
		expected(p, "[ and a list");
		return -1;
	}
	do {
		if (add_value(p, read, v))
			return -1;
		while (take(p, ","))
			;
	} while (p->now.len && !is(p, "]"));
	if (!take(p, "]")) {
		expected(p, "a value or ]");
		return -1;
	}
	return 0;
}

static struct expr *
one_condition(struct parser *p, const char *name, enum expr_op op,
	      const struct operand *o)
{
	struct expr *e;

	if (o->range) {
		e = binary(
		    p, EXPR_AND,
		    binary(p, EXPR_GE, field(p, name), literal(p, &o->lo)),
		    binary(p, EXPR_LE, field(p, name), literal(p, &o->hi)));
	} else if (o->lo.type == TYPE_CIDR) {
		e = binary(p, EXPR_IN, field(p, name), literal(p, &o->lo));
	} else {
		return binary(p, op, field(p, name), literal(p, &o->lo));
	}
	return op == EXPR_NE ? negate(p, e) : e;
}

/* The field is one of the values (or compares with the only one). */
static struct expr *
condition(struct parser *p, const char *name, const struct values *v)
{
	struct expr *e;

	if (v->n == 1)
		return one_condition(p, name, v->op, &v->list[0]);
	e = node(p, EXPR_OR, v->n);
	for (size_t i = 0; e && i < v->n; i++) {
		e->args[i] = one_condition(p, name, v->op, &v->list[i]);
		if (!e->args[i])
			return NULL;
	}
	return e;
}

/*
 * Terms.
 */

enum direction { EITHER, SRC, DST, BOTH, NEXT, EXPORTER };

static const struct kind {
	const char *word;
	read_fn *read;
	const char *src, *dst;
	bool address;
} kinds[] = {
    {"ip", read_host, "src_addr", "dst_addr", true},
    {"host", read_host, "src_addr", "dst_addr", true},
    {"net", read_net, "src_addr", "dst_addr", true},
    {"port", read_port, "src_port", "dst_port", false},
    {"portrange", read_port, "src_port", "dst_port", false},
    {"as", read_as, "src_as", "dst_as", false},
    {"if", read_interface, "input", "output", false},
};

static const struct kind *
find_kind(const struct parser *p)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (is(p, kinds[i].word))
			return &kinds[i];
	return NULL;
}

static bool
starts_value(const struct parser *p)
{
	struct literal lit;
	unsigned __int128 ip;

	return literal_ip(p->now.p, p->now.len, &ip) == 0 ||
	       literal_cidr(p->now.p, p->now.len, &lit) == 0;
}

/* ["src" | "dst" | "any" | "in" | "out" | "src" "or"|"and" "dst" | "next"
 * | "exporter"]: true if there is one. */
static bool
take_direction(struct parser *p, enum direction *d)
{
	struct parser ahead = *p;
	bool src = is(p, "src");

	if (src || is(p, "dst")) {
		*d = src ? SRC : DST;
		next(p);
		ahead = *p;
		if ((is(p, "or") || is(p, "and"))) {
			bool both = is(p, "and");

			next(&ahead);
			if (take(&ahead, src ? "dst" : "src") &&
			    (find_kind(&ahead) || starts_value(&ahead))) {
				*p = ahead;
				*d = both ? BOTH : EITHER;
			}
		}
		return true;
	}
	if (take(p, "in")) /* as in nfdump: "in if 3" */
		*d = SRC;
	else if (take(p, "out"))
		*d = DST;
	else if (take(p, "any"))
		*d = EITHER;
	else if (take(p, "next"))
		*d = NEXT;
	else if (take(p, "exporter") || take(p, "router"))
		*d = EXPORTER;
	else
		return false;
	return true;
}

/* On the fields of the kind in that direction. */
static struct expr *
directed(struct parser *p, const struct kind *k, enum direction d,
	 const struct values *v)
{
	bool unequal = v->n == 1 && v->op == EXPR_NE;
	struct expr *src, *dst;

	if (d == NEXT || d == EXPORTER)
		return condition(p, d == NEXT ? "next_hop" : "exporter", v);
	if (d == SRC || d == DST)
		return condition(p, d == SRC ? k->src : k->dst, v);
	src = condition(p, k->src, v);
	dst = condition(p, k->dst, v);
	/* "port != 80": neither is 80 */
	return binary(p, d == BOTH || unequal ? EXPR_AND : EXPR_OR, src, dst);
}

/* KIND values, the direction being taken; KIND may be left out before an
 * address. */
static struct expr *
parse_directed(struct parser *p, enum direction d)
{
	const struct kind *k = find_kind(p);
	struct values v;

	if (k) {
		next(p);
	} else if (starts_value(p)) {
		k = &kinds[0];
	} else {
		return expected(p, "ip, host, net, port, as or if");
	}
	if ((d == NEXT || d == EXPORTER) && !k->address)
		return expected(p, "ip, host or net");
	if (parse_values(p, k->read, &v))
		return NULL;
	return directed(p, k, d, &v);
}

/* S, SA, syn, syn,ack, 2: the bits that are set. */
static int
read_flags(struct parser *p, struct operand *o)
{
	static const char letters[] = "FSRPAUEC";
	uint64_t bits = 0;
	int named;

	*o = (struct operand){.lo = {.type = TYPE_UINT}};
	if (text_read_u64(p->now.p, p->now.len, &o->lo.u) == 0 &&
	    o->lo.u <= 65535)
		return 0;
	named = tcp_flag_bit(p->now.p, p->now.len);
	if (named >= 0) {
		o->lo.u = (uint64_t)named;
		return 0;
	}
	for (size_t i = 0; i < p->now.len; i++) {
		char c = p->now.p[i] & ~32;
		const char *at = c ? strchr(letters, c) : NULL;

		if (!at && c != 'X')
			break;
		bits |= c == 'X' ? 63u : 1u << (at - letters);
		if (i + 1 == p->now.len) {
			o->lo.u = bits;
			return 0;
		}
	}
	expected(p, "TCP flags (S, SA, syn, or a number)");
	return -1;
}

/* "flags" ["="] flags ("," flags)*: these are set; with "=" no others. */
static struct expr *
parse_flags(struct parser *p)
{
	bool exact = take(p, "=") || take(p, "==");
	struct operand o;
	uint64_t bits = 0;

	do {
		if (read_flags(p, &o))
			return NULL;
		bits |= o.lo.u;
		next(p);
	} while (take(p, ","));
	return binary(p, exact ? EXPR_EQ : EXPR_HAS, field(p, "tcp_flags"),
		      number(p, bits));
}

/* bps, pps and bpp: what they are worked out from. */
static struct expr *
rate(struct parser *p, char what)
{
	struct expr *bytes = field(p, "bytes"), *packets = field(p, "packets");
	struct expr *seconds = call(p, "double", field(p, "duration"));

	if (what == 'p')
		return binary(p, EXPR_DIV, packets, seconds);
	if (what == 's')
		return binary(p, EXPR_DIV,
			      binary(p, EXPR_MUL, bytes, number(p, 8)),
			      seconds);
	return binary(p, EXPR_DIV, bytes, packets);
}

static struct expr *
parse_rate(struct parser *p, char what)
{
	struct values v;
	struct expr *e;

	if (parse_values(p, read_number, &v))
		return NULL;
	if (v.n != 1)
		return fail(p, "a rate compares with one number");
	e = literal(p, &v.list[0].lo);
	return binary(p, v.op, rate(p, what), e);
}

static struct expr *
protocol_is(struct parser *p, uint64_t n)
{
	return binary(p, EXPR_EQ, field(p, "protocol"), number(p, n));
}

/* "inet" and "inet6", by the source's address. */
static struct expr *
family(struct parser *p, bool v4)
{
	struct literal all = {.type = TYPE_CIDR, .bits = 96};
	struct expr *e;

	all.ip = (unsigned __int128)0xffff << 32;
	e = binary(p, EXPR_IN, field(p, "src_addr"), literal(p, &all));
	return v4 ? e : negate(p, e);
}

/* Words of which each has a field. */
static struct expr *
parse_plain(struct parser *p)
{
	static const struct {
		const char *word, *field;
		read_fn *read;
	} plain[] = {
	    {"bytes", "bytes", read_number},
	    {"packets", "packets", read_number},
	    {"duration", "duration", read_duration},
	    {"proto", "protocol", read_protocol},
	    {"tos", "tos", read_number},
	};
	struct values v;

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		if (!is(p, plain[i].word))
			continue;
		next(p);
		if (parse_values(p, plain[i].read, &v))
			return NULL;
		return condition(p, plain[i].field, &v);
	}
	return expected(p, "src, dst, ip, host, net, port, as, if, proto, "
			   "flags, bytes, packets or duration");
}

/* One word that says all; *e stays NULL with 0 if there is none. */
static int
parse_single(struct parser *p, struct expr **e)
{
	static const struct literal yes = {.type = TYPE_BOOL, .u = 1};
	int n = protocol_number(p->now.p, p->now.len);

	if (take(p, "any"))
		*e = literal(p, &yes);
	else if (take(p, "inet") || take(p, "ipv4") || take(p, "ip4"))
		*e = family(p, true);
	else if (take(p, "inet6") || take(p, "ipv6") || take(p, "ip6"))
		*e = family(p, false);
	else if (n >= 0 && p->now.len) {
		next(p);
		*e = protocol_is(p, (uint64_t)n);
	} else {
		return 0;
	}
	return *e ? 0 : -1;
}

/* [direction] KIND values | flags | rate | FIELD values | single
 * [direction KIND values] */
static struct expr *
parse_term(struct parser *p)
{
	struct parser ahead = *p;
	enum direction d = EITHER;
	struct expr *e = NULL;

	if (take_direction(&ahead, &d) &&
	    (!is(p, "any") || find_kind(&ahead) || starts_value(&ahead))) {
		*p = ahead;
		return parse_directed(p, d);
	}
	if (find_kind(p))
		return parse_directed(p, EITHER);
	if (take(p, "flags"))
		return parse_flags(p);
	if (take(p, "bps"))
		return parse_rate(p, 's');
	if (take(p, "pps"))
		return parse_rate(p, 'p');
	if (take(p, "bpp"))
		return parse_rate(p, 'b');
	if (parse_single(p, &e))
		return NULL;
	if (!e)
		return parse_plain(p);
	/* As in tcpdump: "tcp dst port 80". */
	if (is(p, "src") || is(p, "dst") || find_kind(p))
		return binary(p, EXPR_AND, e, parse_term(p));
	return e;
}

static struct expr *parse_or(struct parser *);

/* ("not" | "!") not | "(" or ")" | term */
static struct expr *
parse_not(struct parser *p)
{
	struct expr *e;

	if (++p->depth > NESTED_MAX)
		return fail(p, "nested too deep");
	if (take(p, "not") || take(p, "!")) {
		e = negate(p, parse_not(p));
	} else if (take(p, "(")) {
		e = parse_or(p);
		if (e && !take(p, ")"))
			return expected(p, "and, or or )");
	} else {
		e = parse_term(p);
	}
	p->depth--;
	return e;
}

/* rule (WORD rule)*: one node of as many arguments. */
static struct expr *
parse_chain(struct parser *p, const char *word, const char *sign,
	    enum expr_op op, struct expr *(*rule)(struct parser *))
{
	struct expr *first = rule(p), *e;
	size_t cap = 2;

	if (!first || (!is(p, word) && !is(p, sign)))
		return first;
	e = node(p, op, cap);
	if (!e)
		return NULL;
	e->n = 0;
	e->args[e->n++] = first;
	while (take(p, word) || take(p, sign)) {
		if (e->n == cap) {
			struct expr **more =
			    arena_alloc(p->f->arena, 2 * cap * sizeof *more);

			if (!more || cap > EXPR_ARGS_MAX)
				return fail(p, "too long");
			memcpy(more, e->args, cap * sizeof *more);
			e->args = more;
			cap *= 2;
		}
		e->args[e->n] = rule(p);
		if (!e->args[e->n++])
			return NULL;
	}
	return e;
}

/* not (("and" | "&&") not)* */
static struct expr *
parse_and(struct parser *p)
{
	return parse_chain(p, "and", "&&", EXPR_AND, parse_not);
}

/* and (("or" | "||") and)* */
static struct expr *
parse_or(struct parser *p)
{
	return parse_chain(p, "or", "||", EXPR_OR, parse_and);
}

struct expr *
flowfilter_parse(struct flowfilter *f)
{
	struct parser p = {.f = f, .now = {f->text, 0}};
	struct expr *e;

	next(&p);
	e = parse_or(&p);
	if (e && p.now.len)
		return expected(&p, "and, or or the end");
	/* cppcheck-suppress returnDanglingLifetime */
	return e; /* no part of p */
}
