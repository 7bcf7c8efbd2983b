/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/glyph.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Ranges that take two columns, and none. */
static const uint32_t wide[][2] = {
    {0x1100, 0x115f},	{0x231a, 0x231b},   {0x2e80, 0x303e}, {0x3041, 0x33ff},
    {0x3400, 0x4dbf},	{0x4e00, 0x9fff},   {0xa000, 0xa4cf}, {0xac00, 0xd7a3},
    {0xf900, 0xfaff},	{0xfe30, 0xfe6f},   {0xff00, 0xff60}, {0xffe0, 0xffe6},
    {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
};

static const uint32_t none[][2] = {
    {0x0300, 0x036f},	{0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},
    {0x064b, 0x065f},	{0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2069},
    {0x20d0, 0x20ff},	{0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
    {0xe0100, 0xe01ef},
};

static bool
within(const uint32_t ranges[][2], size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

/* The character at P and the bytes it has; a byte that begins none is one. */
static uint32_t
next(const char *p, size_t len, size_t *n)
{
	unsigned char c = (unsigned char)*p;
	size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
	uint32_t v = want == 1 ? c : c & (0xffu >> (want + 1));

	*n = 1;
	if (want > len)
		return c;
	for (size_t i = 1; i < want; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return c;
		v = v << 6 | ((unsigned char)p[i] & 0x3f);
	}
	*n = want;
	return v;
}

static unsigned
columns(uint32_t c)
{
	if (c < 0x300)
		return 1;
	if (within(none, sizeof none / sizeof *none, c))
		return 0;
	return within(wide, sizeof wide / sizeof *wide, c) ? 2 : 1;
}

size_t
glyph_cut(const char *p, size_t len, unsigned max, unsigned *width)
{
	size_t at = 0;

	*width = 0;
	while (at < len) {
		size_t n = 1;
		unsigned w = 1;

		if ((unsigned char)p[at] >= 0x80)
			w = columns(next(p + at, len - at, &n));
		if (*width + w > max)
			break;
		*width += w;
		at += n;
	}
	return at;
}

unsigned
glyph_width(const char *p, size_t len)
{
	unsigned w;

	glyph_cut(p, len, UINT32_MAX, &w);
	return w;
}

void
glyph_defuse(char *p, size_t len)
{
	for (size_t at = 0; at + 2 < len; at++) {
		size_t n;
		uint32_t c;

		if ((unsigned char)p[at] != 0xe2)
			continue;
		c = next(p + at, len - at, &n);
		if ((c >= 0x202a && c <= 0x202e) ||
		    (c >= 0x2066 && c <= 0x2069))
			memset(p + at, '?', n);
	}
}

bool
glyph_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (int i = 0; i < 3; i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strstr(v, "UTF-8") || strstr(v, "utf8") ||
			       strstr(v, "UTF8") || strstr(v, "utf-8");
	}
	return false;
}
