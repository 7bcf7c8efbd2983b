/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch is turned into a list of steps, each a piece of fixed text and then
 * one value; a row is the list once.  Keys, separators, quotes and the values
 * of constant columns are all fixed text, so a step is mostly one short copy
 * and one number.
 */
#include "common/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum {
	COPY = 16, /* fixed text is copied in pieces of this size */
	GROW_MIN = 1 << 16,
	EXPANSION = 6, /* the longest escape of one byte, \u00xx */
};

struct buf {
	char *p;
	size_t len, cap;
};

struct step;
typedef char *put_fn(char *, const struct step *, uint32_t row);

struct step {
	size_t fixed, fixed_len; /* in format.fixed */
	put_fn *put;		 /* NULL: fixed text only */
	const struct column *col;
	const struct style *style;
	bool quote; /* the value, but not null, is put between quotes */
};

struct format {
	const struct style *style;
	size_t n;
	char **names;
	enum col_type *types;
	size_t *order; /* columns as they are written */
	struct buf text;
	/* rebuilt by each format_rows */
	struct step *steps; /* n + 1 of them */
	size_t nsteps;
	struct buf fixed;
	size_t row_max; /* bound of a row, strings apart */
};

typedef char *string_fn(char *, const char *, size_t);

/* What tells one format from another. */
struct style {
	const char *name;
	const char *open, *between, *close; /* of a row */
	const char *equals;		    /* after the key; NULL: no keys */
	const char *null;
	bool quotes; /* all but numbers and booleans */
	bool sorted, header;
	string_fn *string;
};

static char *string_json(char *, const char *, size_t);
static char *string_csv(char *, const char *, size_t);
static char *string_tsv(char *, const char *, size_t);
static char *string_row(char *, const char *, size_t);

static const struct style styles[FORMAT_TYPES] = {
    [FORMAT_JSON] = {"json", "{", ",", "}\n", ":", "null", true, false, false,
		     string_json},
    [FORMAT_CSV] = {"csv", "", ",", "\n", NULL, "", false, false, true,
		    string_csv},
    [FORMAT_TSV] = {"tsv", "", "\t", "\n", NULL, "", false, false, true,
		    string_tsv},
    [FORMAT_ROW] = {"row", "{", ", ", "}\n", "=", "null", false, true, false,
		    string_row},
};

int
format_find(const char *name)
{
	for (int i = 0; i < FORMAT_TYPES; i++)
		if (strcmp(styles[i].name, name) == 0)
			return i;
	return -1;
}

/* Room for ROOM more bytes, and for a last piece copied in full. */
static int
buf_room(struct buf *b, size_t room, struct err *err)
{
	size_t cap = b->cap ? b->cap : GROW_MIN;
	char *p;

	room += COPY;
	if (b->cap - b->len >= room)
		return 0;
	if (room > SIZE_MAX / 4 - b->len)
		return err_set(err, "a row of text too long");
	while (cap - b->len < room)
		cap *= 2;
	p = realloc(b->p, cap);
	if (!p)
		return err_set(err, "out of memory for %zu bytes of text", cap);
	b->p = p;
	b->cap = cap;
	return 0;
}

/* Copies in whole pieces: both sides have COPY bytes to spare. */
static inline char *
copy_fixed(char *p, const char *from, size_t len)
{
	char *end = p + len;

	do {
		memcpy(p, from, COPY);
		p += COPY;
		from += COPY;
	} while (p < end);
	return end;
}

static char *
copy_word(char *p, const char *s)
{
	size_t n = strlen(s);

	memcpy(p, s, n);
	return p + n;
}

/*
 * Strings.
 */

static const char hex[] = "0123456789abcdef";
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static char *
put_hex(char *p, const char *before, unsigned char c)
{
	p = copy_word(p, before);
	*p++ = hex[c >> 4];
	*p++ = hex[c & 15];
	return p;
}

/* The bytes of a control character at s: 1 for ASCII's, 2 for those of
 * U+0080 to U+009F, which some terminals act on; 0 if it is none. */
static inline size_t
control(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[0];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c == 0xc2 && len > 1 && (unsigned char)s[1] < 0xa0)
		return 2;
	return 0;
}

static char *
escape_json(char *p, const char *s, size_t n)
{
	switch (*s) {
	case '\n':
		return copy_word(p, "\\n");
	case '\t':
		return copy_word(p, "\\t");
	case '\r':
		return copy_word(p, "\\r");
	case '"':
		return copy_word(p, "\\\"");
	case '\\':
		return copy_word(p, "\\\\");
	default: /* the second byte of two is the code point */
		return put_hex(p, "\\u00", (unsigned char)s[n - 1]);
	}
}

static char *
escape_bytes(char *p, const char *s, size_t n)
{
	switch (*s) {
	case '\n':
		return copy_word(p, "\\n");
	case '\t':
		return copy_word(p, "\\t");
	case '\r':
		return copy_word(p, "\\r");
	case '\\':
		return copy_word(p, "\\\\");
	}
	for (size_t i = 0; i < n; i++)
		p = put_hex(p, "\\x", (unsigned char)s[i]);
	return p;
}

static char *
escape_csv(char *p, const char *s, size_t n)
{
	(void)n;
	if (*s == '"')
		return copy_word(p, "\"\"");
	if (*s == '\n' || *s == '\t' || *s == '\r') {
		*p++ = *s;
		return p;
	}
	return copy_word(p, replacement);
}

/* Copies valid UTF-8 and gives control characters and the bytes in SPECIAL to
 * escape. */
static char *
put_valid(char *p, const char *s, size_t len, const char special[2],
	  char *(*escape)(char *, const char *, size_t))
{
	for (size_t i = 0, n; i < len; i += n) {
		n = control(s + i, len - i);
		if (!n && (s[i] == special[0] || s[i] == special[1]))
			n = 1;
		if (n) {
			p = escape(p, s + i, n);
		} else {
			*p++ = s[i];
			n = 1;
		}
	}
	return p;
}

static char *
string_json(char *p, const char *s, size_t len)
{
	for (;;) {
		size_t good = text_utf8(s, len);

		p = put_valid(p, s, good, "\"\\", escape_json);
		if (good == len)
			return p;
		p = copy_word(p, replacement);
		s += good + 1;
		len -= good + 1;
	}
}

static char *
string_csv(char *p, const char *s, size_t len)
{
	bool quote = len == 0;

	for (size_t i = 0; i < len && !quote; i++)
		quote =
		    s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r';
	if (quote)
		*p++ = '"';
	for (;;) {
		size_t good = text_utf8(s, len);

		p = put_valid(p, s, good, "\"\"", escape_csv);
		if (good == len)
			break;
		p = copy_word(p, replacement);
		s += good + 1;
		len -= good + 1;
	}
	if (quote)
		*p++ = '"';
	return p;
}

static char *
string_tsv(char *p, const char *s, size_t len)
{
	for (;;) {
		size_t good = text_utf8(s, len);

		p = put_valid(p, s, good, "\\\\", escape_bytes);
		if (good == len)
			return p;
		p = put_hex(p, "\\x", (unsigned char)s[good]);
		s += good + 1;
		len -= good + 1;
	}
}

/* Backslashes stay as they are: this is for people. */
static char *
string_row(char *p, const char *s, size_t len)
{
	for (;;) {
		size_t good = text_utf8(s, len);

		p = put_valid(p, s, good, "\n\n", escape_bytes);
		if (good == len)
			return p;
		p = copy_word(p, replacement);
		s += good + 1;
		len -= good + 1;
	}
}

/*
 * Values: one function for each type, row of an ordinary column.
 */

#define LOAD(type) \
	type v;    \
	memcpy(&v, (const char *)s->col->data + sizeof v * row, sizeof v)

static char *
put_bool(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint8_t);
	return copy_word(p, v ? "true" : "false");
}

static char *
put_u8(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint8_t);
	return p + text_u64(p, v);
}

static char *
put_u16(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint16_t);
	return p + text_u64(p, v);
}

static char *
put_u32(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint32_t);
	return p + text_u64(p, v);
}

static char *
put_u64(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint64_t);
	return p + text_u64(p, v);
}

static char *
put_i64(char *p, const struct step *s, uint32_t row)
{
	LOAD(int64_t);
	return p + text_i64(p, v);
}

static char *
put_f64(char *p, const struct step *s, uint32_t row)
{
	LOAD(double);
	if (s->style->quotes && !isfinite(v)) /* JSON has no such numbers */
		return copy_word(p, "null");
	return p + text_f64(p, v);
}

static char *
put_time(char *p, const struct step *s, uint32_t row)
{
	LOAD(int64_t);
	return p + text_time(p, v);
}

static char *
put_ipv4(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint32_t);
	return p + text_ipv4(p, v);
}

static char *
put_ip(char *p, const struct step *s, uint32_t row)
{
	return p + text_ip(p, (const uint8_t *)s->col->data + 16 * (size_t)row);
}

static char *
put_mac(char *p, const struct step *s, uint32_t row)
{
	LOAD(uint64_t);
	return p + text_mac(p, v);
}

static const char *
bytes_at(const struct column *c, uint32_t row, size_t *len)
{
	uint32_t at[2];

	memcpy(at, (const char *)c->data + 4 * (size_t)row, sizeof at);
	*len = at[1] - at[0];
	return *len ? c->bytes + at[0] : "";
}

static char *
put_string(char *p, const struct step *s, uint32_t row)
{
	size_t len;
	const char *text = bytes_at(s->col, row, &len);

	return s->style->string(p, text, len);
}

static char *
put_bytes(char *p, const struct step *s, uint32_t row)
{
	size_t len;
	const char *text = bytes_at(s->col, row, &len);

	for (size_t i = 0; i < len; i++) {
		*p++ = hex[(unsigned char)text[i] >> 4];
		*p++ = hex[text[i] & 15];
	}
	return p;
}

/* Those from time on stand between quotes where numbers do not. */
static put_fn *const put_functions[COL_TYPES] = {
    [COL_BOOL] = put_bool,   [COL_U8] = put_u8,	    [COL_U16] = put_u16,
    [COL_U32] = put_u32,     [COL_U64] = put_u64,   [COL_I64] = put_i64,
    [COL_F64] = put_f64,     [COL_TIME] = put_time, [COL_IPV4] = put_ipv4,
    [COL_IP] = put_ip,	     [COL_MAC] = put_mac,   [COL_STRING] = put_string,
    [COL_BYTES] = put_bytes,
};

static bool
is_bytes(enum col_type type)
{
	return type == COL_STRING || type == COL_BYTES;
}

/*
 * Columns.
 */

struct format *
format_new(enum format_type type)
{
	struct format *f = calloc(1, sizeof *f);

	if (f)
		f->style = &styles[type];
	return f;
}

static void
forget_columns(struct format *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	free(f->types);
	free(f->order);
	free(f->steps);
	f->names = NULL;
	f->types = NULL;
	f->order = NULL;
	f->steps = NULL;
	f->n = 0;
}

void
format_free(struct format *f)
{
	if (!f)
		return;
	forget_columns(f);
	free(f->text.p);
	free(f->fixed.p);
	free(f);
}

static int
compare_names(const void *a, const void *b, void *names)
{
	char *const *n = names;

	return strcmp(n[*(const size_t *)a], n[*(const size_t *)b]);
}

int
format_columns(struct format *f, const char *const names[],
	       const enum col_type types[], size_t n, struct err *err)
{
	forget_columns(f);
	f->names = calloc(n + 1, sizeof *f->names);
	f->types = calloc(n + 1, sizeof *f->types);
	f->order = calloc(n + 1, sizeof *f->order);
	f->steps = calloc(n + 1, sizeof *f->steps);
	if (!f->names || !f->types || !f->order || !f->steps)
		return err_set(err, "out of memory");
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		f->names[i] = strdup(names[i]);
		if (!f->names[i])
			return err_set(err, "out of memory");
		f->types[i] = types[i];
		f->order[i] = i;
	}
	if (f->style->sorted)
		qsort_r(f->order, n, sizeof *f->order, compare_names, f->names);
	return 0;
}

static int
add_word(struct buf *b, const char *s, struct err *err)
{
	if (buf_room(b, strlen(s), err))
		return -1;
	b->len = (size_t)(copy_word(b->p + b->len, s) - b->p);
	return 0;
}

static int
add_name(struct buf *b, const struct style *style, const char *name,
	 struct err *err)
{
	if (buf_room(b, EXPANSION * strlen(name) + 2, err))
		return -1;
	if (style->quotes)
		b->p[b->len++] = '"';
	b->len =
	    (size_t)(style->string(b->p + b->len, name, strlen(name)) - b->p);
	if (style->quotes)
		b->p[b->len++] = '"';
	return 0;
}

int
format_header(struct format *f, struct err *err)
{
	struct buf *b = &f->text;
	size_t start = b->len;

	if (!f->style->header)
		return 0;
	for (size_t i = 0; i < f->n; i++)
		if ((i && add_word(b, f->style->between, err)) ||
		    add_name(b, f->style, f->names[f->order[i]], err))
			goto fail;
	if (add_word(b, f->style->close, err) == 0)
		return 0;
fail:
	b->len = start;
	return -1;
}

/*
 * Rows.
 */

static size_t
value_room(const struct column *c, enum col_type type, uint32_t row)
{
	size_t len = 0;

	if (is_bytes(type))
		bytes_at(c, row, &len);
	return TEXT_MAX + EXPANSION * len;
}

/* Ends the step whose fixed text began at START with a value. */
static struct step *
end_step(struct format *f, size_t start)
{
	struct step *s = &f->steps[f->nsteps++];

	*s = (struct step){
	    .fixed = start,
	    .fixed_len = f->fixed.len - start,
	    .style = f->style,
	};
	f->row_max += s->fixed_len + COPY + TEXT_MAX + 2;
	return s;
}

static int
add_constant(struct format *f, const struct column *c, enum col_type type,
	     bool quote, struct err *err)
{
	struct step s = {.col = c, .style = f->style};
	struct buf *b = &f->fixed;

	if (!c || !put_functions[type] || column_is_null(c, 0))
		return add_word(b, f->style->null, err);
	if (buf_room(b, value_room(c, type, 0) + 2, err))
		return -1;
	if (quote)
		b->p[b->len++] = '"';
	b->len = (size_t)(put_functions[type](b->p + b->len, &s, 0) - b->p);
	if (quote)
		b->p[b->len++] = '"';
	return 0;
}

static int
plan_column(struct format *f, size_t i, const struct column *c, size_t *start,
	    struct err *err)
{
	const struct style *style = f->style;
	enum col_type type = f->types[i];
	bool quote = style->quotes && type >= COL_TIME;
	struct step *s;

	if (style->equals && (add_name(&f->fixed, style, f->names[i], err) ||
			      add_word(&f->fixed, style->equals, err)))
		return -1;
	if (!c || c->constant || !put_functions[type])
		return add_constant(f, c, type, quote, err);
	/* Where nothing is null the quotes are fixed text too. */
	if (quote && !c->valid && add_word(&f->fixed, "\"", err))
		return -1;
	s = end_step(f, *start);
	s->put = put_functions[type];
	s->col = c;
	s->quote = quote && c->valid;
	*start = f->fixed.len;
	if (quote && !c->valid)
		return add_word(&f->fixed, "\"", err);
	return 0;
}

static int
plan_row(struct format *f, const struct column *const cols[], struct err *err)
{
	size_t start = 0;

	f->fixed.len = 0;
	f->nsteps = 0;
	f->row_max = 0;
	if (add_word(&f->fixed, f->style->open, err))
		return -1;
	for (size_t k = 0; k < f->n; k++) {
		size_t i = f->order[k];

		if (k && add_word(&f->fixed, f->style->between, err))
			return -1;
		if (plan_column(f, i, cols[i], &start, err))
			return -1;
	}
	if (add_word(&f->fixed, f->style->close, err))
		return -1;
	end_step(f, start);
	return 0;
}

static size_t
strings_room(const struct format *f, uint32_t row)
{
	size_t room = 0, len;

	for (size_t i = 0; i < f->nsteps; i++)
		if (f->steps[i].put == put_string ||
		    f->steps[i].put == put_bytes) {
			bytes_at(f->steps[i].col, row, &len);
			room += EXPANSION * len;
		}
	return room;
}

static char *
put_row(const struct format *f, char *p, uint32_t row)
{
	for (size_t i = 0; i < f->nsteps; i++) {
		const struct step *s = &f->steps[i];
		const uint8_t *valid;

		p = copy_fixed(p, f->fixed.p + s->fixed, s->fixed_len);
		if (!s->put)
			continue;
		valid = s->col->valid;
		if (valid && !(valid[row >> 3] >> (row & 7) & 1)) {
			p = copy_word(p, s->style->null);
			continue;
		}
		if (s->quote)
			*p++ = '"';
		p = s->put(p, s, row);
		if (s->quote)
			*p++ = '"';
	}
	return p;
}

int
format_rows(struct format *f, const struct column *const cols[], uint32_t from,
	    uint32_t to, struct err *err)
{
	bool strings = false;

	if (from >= to)
		return 0;
	if (plan_row(f, cols, err))
		return -1;
	for (size_t i = 0; i < f->nsteps; i++)
		strings |= f->steps[i].put == put_string ||
			   f->steps[i].put == put_bytes;
	for (uint32_t row = from; row < to; row++) {
		size_t room = f->row_max;

		if (strings)
			room += strings_room(f, row);
		if (buf_room(&f->text, room, err))
			return -1;
		f->text.len =
		    (size_t)(put_row(f, f->text.p + f->text.len, row) -
			     f->text.p);
	}
	return 0;
}

const char *
format_text(const struct format *f, size_t *len)
{
	*len = f->text.len;
	return f->text.p ? f->text.p : "";
}

void
format_clear(struct format *f)
{
	f->text.len = 0;
}
