/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flowq/interrupt.h"

enum {
	BUFFER = 256 << 10,
	PAGE = 4096,
	SHARE_MIN = 1 << 20,
};

static int
oom(struct err *err)
{
	return err_set(err, "out of memory for temporary files");
}

size_t
budget_default(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	if (pages <= 0 || page <= 0)
		return (size_t)4 << 30;
	return (size_t)pages / 2 * (size_t)page;
}

const char *
budget_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

size_t
budget_share(const struct budget *b, size_t threads)
{
	size_t share = b ? b->memory / 2 / threads : 0;

	if (!b || !b->memory)
		return SIZE_MAX;
	return share < SHARE_MIN ? SHARE_MIN : share;
}

int
budget_exceeded(struct err *err, const char *what, size_t size)
{
	return err_set(err,
		       "%s take more than %zu MiB: allow more with --memory",
		       what, (size + (1 << 20) - 1) >> 20);
}

void
spill_init(struct spill *s, struct budget *b)
{
	*s = (struct spill){.budget = b};
}

void
spill_clear(struct spill *s)
{
	if (s->open)
		close(s->fd);
	free(s->buf);
	*s = (struct spill){.budget = s->budget};
}

/* Where there are no files without a name, one whose name goes at once. */
static int
open_unlinked(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof path, "%s/flowq-XXXXXX", dir) >=
	    (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int
open_file(struct spill *s, struct err *err)
{
	const char *dir = s->budget->dir;

	if (s->open)
		return 0;
	s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		s->fd = open_unlinked(dir);
	if (s->fd < 0) {
		err_sys(err, "no temporary file can be made in %s", dir);
		return err_append(err, " (--tmp names another directory, "
				       "--memory allows more memory)");
	}
	s->open = true;
	return 0;
}

static int
write_failed(const struct spill *s, struct err *err)
{
	uint64_t mib = (uint64_t)atomic_load(&s->budget->spilled) >> 20;

	err_sys(err, "%s: a temporary file does not fit, after %llu MiB",
		s->budget->dir, (unsigned long long)mib);
	return err_append(err, " (--tmp names another directory, --memory "
			       "allows more memory)");
}

static int
write_all(struct spill *s, const char *p, size_t n, struct err *err)
{
	if (open_file(s, err))
		return -1;
	while (n > 0) {
		ssize_t k;

		if (atomic_load(&interrupted))
			return interrupt_err(err);
		k = pwrite(s->fd, p, n, (off_t)s->end);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return write_failed(s, err);
		p += k;
		n -= (size_t)k;
		s->end += (uint64_t)k;
		atomic_fetch_add(&s->budget->spilled, (uint64_t)k);
	}
	return 0;
}

int
spill_put(struct spill *s, const void *p, size_t n, struct err *err)
{
	if (!s->buf) {
		s->buf = malloc(BUFFER);
		if (!s->buf)
			return oom(err);
	}
	if (n > BUFFER - s->n && spill_flush(s, err))
		return -1;
	if (n > BUFFER)
		return write_all(s, p, n, err);
	if (n)
		memcpy(s->buf + s->n, p, n);
	s->n += n;
	return 0;
}

int
spill_flush(struct spill *s, struct err *err)
{
	size_t n = s->n;

	s->n = 0;
	return n ? write_all(s, s->buf, n, err) : 0;
}

uint64_t
spill_at(const struct spill *s)
{
	return s->end + s->n;
}

/* Room is there before it is touched: a page that can not be had later would
 * end the program. */
void *
spill_map(struct spill *s, size_t size, struct err *err)
{
	uint64_t at = (s->end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	void *p;
	int rc;

	if (open_file(s, err))
		return NULL;
	do
		rc = posix_fallocate(s->fd, (off_t)at, (off_t)size);
	while (rc == EINTR && !atomic_load(&interrupted));
	if (rc) {
		errno = rc;
		if (rc == EINTR)
			interrupt_err(err);
		else
			write_failed(s, err);
		return NULL;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
		 (off_t)at);
	if (p == MAP_FAILED) {
		oom(err);
		return NULL;
	}
	s->end = at + size;
	atomic_fetch_add(&s->budget->spilled, size);
	return p;
}

int
spill_reader_init(struct spill_reader *r, const struct spill *s,
		  const uint64_t range[2], size_t size, struct err *err)
{
	*r = (struct spill_reader){s,	 range[0], range[1], malloc(size),
				   size, 0,	   0};
	return r->buf ? 0 : oom(err);
}

void
spill_reader_clear(struct spill_reader *r)
{
	free(r->buf);
	*r = (struct spill_reader){0};
}

bool
spill_reader_done(const struct spill_reader *r)
{
	return r->pos == r->len && r->at == r->end;
}

/* At least N bytes in the buffer, which grows if it has to. */
static int
fill(struct spill_reader *r, size_t n, struct err *err)
{
	if (r->len - r->pos + (r->end - r->at) < n)
		return err_set(err, "a temporary file ends too early");
	if (n > r->cap) {
		char *p = realloc(r->buf, 2 * n);

		if (!p)
			return oom(err);
		r->buf = p;
		r->cap = 2 * n;
	}
	memmove(r->buf, r->buf + r->pos, r->len - r->pos);
	r->len -= r->pos;
	r->pos = 0;
	while (r->len < n) {
		size_t want = r->cap - r->len;
		ssize_t k;

		if (want > r->end - r->at)
			want = (size_t)(r->end - r->at);
		k = pread(r->file->fd, r->buf + r->len, want, (off_t)r->at);
		if (atomic_load(&interrupted))
			return interrupt_err(err);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return err_sys(err, "reading a temporary file in %s",
				       r->file->budget->dir);
		r->len += (size_t)k;
		r->at += (uint64_t)k;
	}
	return 0;
}

const void *
spill_take(struct spill_reader *r, size_t n, struct err *err)
{
	const void *p;

	if (r->len - r->pos < n && fill(r, n, err))
		return NULL;
	p = r->buf + r->pos;
	r->pos += n;
	return p;
}
