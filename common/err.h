/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a call failed, in words for the person at the keyboard.
 *
 * A function that can fail takes a struct err of the caller's, returns -1 and
 * fills it.  The text names the thing and the remedy; it has no newline and no
 * program name.  Only the first cause counts: callers add context in front
 * with err_prefix().
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#define ERR_MAX 512

struct err {
	int code; /* errno where err_sys was told of one, else 0 */
	char text[ERR_MAX];
};

/* Fills the text. Always returns -1, so that `return err_set(...)` reads well.
 */
int err_set(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, followed by ": " and the text of errno. */
int err_sys(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "PREFIX: " before what is there. Always returns -1. */
int err_prefix(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts more behind what is there, a remedy. Always returns -1. */
int err_append(struct err *, const char *text);

/* A checker that sees one file at a time is told what they return. */
#ifdef __clang_analyzer__
static inline int
err_returns(int r)
{
	(void)r;
	return -1;
}
#define err_set(...) err_returns(err_set(__VA_ARGS__))
#define err_sys(...) err_returns(err_sys(__VA_ARGS__))
#define err_prefix(...) err_returns(err_prefix(__VA_ARGS__))
#define err_append(...) err_returns(err_append(__VA_ARGS__))
#endif

#endif
