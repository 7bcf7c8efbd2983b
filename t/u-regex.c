/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions: beside the C library's, and where it would not end. */
#include "common/regex.h"

#include <check.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool
matches(const char *pattern, const char *text)
{
	struct arena a = {0};
	struct err err;
	const struct regex *r = regex_new(&a, pattern, strlen(pattern), &err);
	bool yes;

	ck_assert_msg(r != NULL, "%s: %s", pattern, r ? "" : err.text);
	yes = regex_match(r, text, strlen(text));
	arena_free(&a);
	return yes;
}

static void
append(char *p, const char *more)
{
	size_t n = strlen(p);

	memcpy(p + n, more, strlen(more) + 1);
}

static char
pick(const char *from)
{
	return from[(size_t)rand() % strlen(from)];
}

enum { DEPTH = 3 };

/* A random pattern of a small alphabet, well formed.  Anchors stay outside of
 * groups: glibc is wrong about some in repeats, (^$.){0,2}. */
static void
make_pattern(char *p, int depth)
{
	int atoms = rand() % 3 + 1;

	for (int i = 0; i < atoms; i++) {
		int kind = rand() % 12;

		if (i && rand() % 5 == 0)
			append(p, "|");
		if (kind < 6 || depth == 0)
			append(p, (char[]){pick("abc."), 0});
		else if (kind < 8)
			append(p, rand() % 2 ? "[ab]" : "[^a]");
		else if (kind == 8 && depth == DEPTH)
			append(p, rand() % 2 ? "^" : "$");
		else {
			append(p, "(");
			make_pattern(p, depth - 1);
			append(p, ")");
		}
		if (!strchr("^$", p[strlen(p) - 1]) && rand() % 3 == 0) {
			static const char *const repeats[] = {
			    "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"};

			append(p, repeats[rand() % 7]);
		}
	}
}

START_TEST(as_the_library)
{
	srand(1);
	for (int i = 0; i < 5000; i++) {
		char pattern[4096] = "", text[16];
		struct arena a = {0};
		const struct regex *r;
		struct err err;
		regex_t re;

		make_pattern(pattern, DEPTH);
		/* $ before ^ holds only of no text at all, and not here. */
		if (strlen(pattern) > 200 ||
		    (strchr(pattern, '$') &&
		     strrchr(pattern, '^') > strchr(pattern, '$')) ||
		    regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
			continue;
		r = regex_new(&a, pattern, strlen(pattern), &err);
		ck_assert_msg(r != NULL, "%s: %s", pattern, r ? "" : err.text);
		for (int k = 0; k < 20; k++) {
			size_t n = (size_t)rand() % 10;

			for (size_t j = 0; j < n; j++)
				text[j] = pick("abcd");
			text[n] = 0;
			ck_assert_msg(regex_match(r, text, n) ==
					  !regexec(&re, text, 0, NULL, 0),
				      "/%s/ on \"%s\"", pattern, text);
		}
		regfree(&re);
		arena_free(&a);
	}
}
END_TEST

static const struct {
	const char *pattern, *text;
	bool yes;
} cases[] = {
    {"", "", true},
    {"", "x", true},
    {"^$", "", true},
    {"^$", "x", false},
    {"$", "x", true},
    {"^", "", true},
    {"(^|/)x", "a/x", true},
    {"(^|/)x", "ax", false},
    {"[]a]", "]", true},
    {"[^]a]", "b", true},
    {"[^]a]", "]", false},
    {"[a-]", "-", true},
    {"[a\\-z]", "b", false},
    {"[\\d.]+$", "a1.2", true},
    {"^[\\w-]+$", "et-h_0", true},
    {"^\\S+\\s\\S+$", "a b", true},
    {"^\\D$", "é", true},
    {"^[[:alpha:][:digit:]]+$", "a1", true},
    {"^[[:alpha:][:digit:]]+$", "a-", false},
    {"\\.", "a", false},
    {"a\\|b", "a|b", true},
    {"^.$", "é", true},
    {"^..$", "é", false},
    {"^.{2}$", "€€", true},
    {"^[äö]$", "ö", true},
    {"^[äö]+x?$", "öäx", true},
    {"^[äö]$", "ü", false},
    {"^é{2}$", "éé", true},
    {"(?i)^ABC[d-f]$", "abcE", true},
    {"ABC", "abc", false},
    {"(?:ab)+$", "xabab", true},
    {"a{2,}b", "aab", true},
    {"a{2,}b", "ab", false},
    {"a{3,}b", "aaaaab", true},
    {"^a{2,3}$", "aaaa", false},
    {"\xff", "a\xff", true},
    {"x$y", "x$y", false},
};

START_TEST(by_example)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_msg(
		    matches(cases[i].pattern, cases[i].text) == cases[i].yes,
		    "/%s/ on \"%s\"", cases[i].pattern, cases[i].text);
}
END_TEST

START_TEST(wrong_patterns)
{
	static const char *const bad[] = {
	    "(",
	    ")",
	    "a)",
	    "[",
	    "[a",
	    "[]",
	    "*",
	    "a**",
	    "a|*",
	    "^*",
	    "a{",
	    "a{2",
	    "a{2,1}",
	    "a{0}",
	    "a{256}",
	    "a{,3}",
	    "\\",
	    "\\1",
	    "(a)\\1",
	    "\\b",
	    "[b-a]",
	    "[[:x:]]",
	    "[a-é]",
	    "[^é]",
	    "(x{99}){99}",
	    "(){255}{255}",
	    "((((){255}){255}){255}){255}",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct arena a = {0};
		struct err err = {0};

		ck_assert_msg(!regex_new(&a, bad[i], strlen(bad[i]), &err),
			      "/%s/ is taken", bad[i]);
		ck_assert(strstr(err.text, "regular expression") != NULL);
		arena_free(&a);
	}
}
END_TEST

/* Parentheses without end, and a pattern of the greatest size. */
START_TEST(long_patterns)
{
	static char deep[100001], wide[20000];
	struct arena a = {0};
	struct err err;

	memset(deep, '(', sizeof deep - 1);
	ck_assert(!regex_new(&a, deep, sizeof deep - 1, &err));
	memset(wide, 'a', sizeof wide);
	ck_assert(regex_new(&a, wide, REGEX_POSITIONS_MAX, &err) != NULL);
	ck_assert(!regex_new(&a, wide, REGEX_POSITIONS_MAX + 1, &err));
	arena_free(&a);
}
END_TEST

/* What takes others exponential time or memory. */
START_TEST(always_linear)
{
	static const char *const slow[] = {"^(a+)+$", "(a|a)*b",
					   "(a|b)*a(a|b){30}c", "(.*)(.*)(.*)x",
					   "((a{0,9}){0,9}){0,9}b"};
	size_t len = 60000;
	char *text = malloc(len + 1);
	clock_t start = clock();

	memset(text, 'a', len);
	text[len] = 0;
	for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
		text[len - 1] = 'd';
		ck_assert(!matches(slow[i], text));
	}
	ck_assert(clock() - start < 60 * CLOCKS_PER_SEC);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("regex");
	TCase *t = tcase_create("regex");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, as_the_library);
	tcase_add_test(t, by_example);
	tcase_add_test(t, wrong_patterns);
	tcase_add_test(t, long_patterns);
	tcase_add_test(t, always_linear);
	suite_add_tcase(s, t);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
