/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

enum { LINE_MAX_BYTES = 1024 };

static const char *tool = "flow";
static uint64_t skipped; /* lines that a full stderr did not take */

/*
 * What a program opens takes the lowest number that is free.  If that were
 * the number of a closed standard descriptor, lines for people would go into
 * a table.  So it is taken, by something that fails when it is used for what
 * it is not: reading from the input, writing to the output.
 */
static void
take_standard_descriptors(void)
{
	static const int flags[] = {
	    [STDIN_FILENO] = O_WRONLY,
	    [STDOUT_FILENO] = O_RDONLY,
	    [STDERR_FILENO] = O_WRONLY,
	};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", flags[fd]) != fd)
			_exit(1); /* nowhere to say so */
}

void
log_init(const char *name)
{
	tool = name;
	take_standard_descriptors();
}

/* Whether a write of one line will not wait. */
static int
writable(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void
put(char *line, size_t n)
{
	text_defuse(line, n);
	line[n] = '\n';
	if (write(STDERR_FILENO, line, n + 1) < 0)
		skipped++;
}

static void
put_skipped(void)
{
	char line[128];
	int n =
	    snprintf(line, sizeof(line) - 1,
		     "%s: %" PRIu64 " lines before this one found stderr full",
		     tool, skipped);

	skipped = 0;
	put(line, (size_t)n);
}

static void
vline(const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	const size_t max = sizeof(line) - 2;
	size_t n;

	if (!writable()) {
		skipped++;
		return;
	}
	if (skipped)
		put_skipped();
	snprintf(line, max, "%s: ", tool);
	n = strlen(line);
	vsnprintf(line + n, max - n, fmt, ap);
	put(line, n + strlen(line + n));
}

void
log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline(fmt, ap);
	va_end(ap);
}

void
log_limited(struct log_limit *l, const char *fmt, ...)
{
	struct timespec ts;
	int64_t now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (now < l->next_ms) {
		l->held++;
		return;
	}
	if (l->held)
		log_line("the next line, %" PRIu64 " times before it", l->held);
	l->held = 0;
	l->next_ms = now + 1000;
	va_start(ap, fmt);
	vline(fmt, ap);
	va_end(ap);
}
