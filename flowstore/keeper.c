/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "flowstore/listing.h"
#include "flowstore/lock.h"
#include "flowstore/roll.h"

enum {
	LOOK_MS = 1000,
	DISK_MS = 100,
	LOOKS = 4,	/* segments opened at a time, not to hold writing up */
	PARTS = 16,	/* of a retention that a segment may be */
	REMOVE_MAX = 8, /* segments at a time, for room on the disk */
	JUMP_S = 3600,	/* of the clock, that is not believed at once */
	DISTRUST_S = 3600,
};

#define SEGMENT_MIN (UINT64_C(64) << 10)

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t
clock_offset(void)
{
	return clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME);
}

/* A retention is kept to more exactly, the smaller segments are. */
static void
fit_segments(struct keeper *k)
{
	uint64_t size = k->retention.size / PARTS;
	int64_t age = k->retention.age / PARTS;

	k->segment_size = k->opt.segment_size;
	k->segment_age = k->opt.segment_age;
	if (k->retention.size && size < k->segment_size)
		k->segment_size = size > SEGMENT_MIN ? size : SEGMENT_MIN;
	if (k->retention.age && age < k->segment_age)
		k->segment_age = age > 1 ? age : 1;
}

void
keeper_init(struct keeper *k, const char *dir, int lock,
	    const struct keeper_options *o)
{
	*k = (struct keeper){.opt = *o, .lock = lock, .clock = clock_offset()};
	snprintf(k->finished.dir, sizeof(k->finished.dir), "%s", dir);
	fit_segments(k);
}

void
keeper_clear(struct keeper *k)
{
	finished_clear(&k->finished);
}

static void
tell(struct keeper *k, const struct removed *r, const char *why)
{
	char bytes[16];

	if (r->segments == 0)
		return;
	k->removed += r->segments;
	log_line("%s: %" PRIu64 " segment%s removed, %s (%s)", k->finished.dir,
		 r->segments, r->segments == 1 ? "" : "s",
		 listing_bytes(bytes, r->bytes), why);
}

/* A clock that is set forward makes all records old at once: it is believed
 * only after a while, in which somebody may set it right. */
static bool
is_clock_sound(struct keeper *k)
{
	int64_t now = clock_offset(), boot = clock_us(CLOCK_BOOTTIME);

	if (now - k->clock > (int64_t)JUMP_S * 1000000) {
		log_line("%s: the clock was set forward by %" PRId64
			 " s: retention waits for an hour",
			 k->finished.dir, (now - k->clock) / 1000000);
		k->trust = boot + (int64_t)DISTRUST_S * 1000000;
	}
	k->clock = now;
	return boot >= k->trust;
}

static void
retain(struct keeper *k)
{
	struct removed r = {0};
	struct err e;
	int rc;

	if (!is_clock_sound(k) ||
	    lock_more(k->lock, k->finished.dir, LOCK_UPKEEP, false, &e) != 0)
		return;
	rc = finished_list(&k->finished, &e);
	if (rc == 0)
		rc = finished_retain(&k->finished, &k->retention,
				     clock_us(CLOCK_REALTIME), LOOKS, &r, &e);
	lock_less(k->lock, LOCK_UPKEEP);
	tell(k, &r, "retention");
	if (rc < 0)
		log_limited(&k->complaint, "%s", e.text);
}

/* ---- free disk ---- */

static bool
is_short(struct keeper *k, struct statvfs *v)
{
	uint64_t floor = k->opt.min_free, part;

	if (statvfs(k->finished.dir, v) != 0)
		return false;
	part = (uint64_t)(k->opt.min_free_part * (double)v->f_blocks *
			  (double)v->f_frsize);
	return (uint64_t)v->f_bavail * v->f_frsize <
	       (part > floor ? part : floor);
}

static void
hold(struct keeper *k, bool holds, const struct statvfs *v)
{
	char bytes[16];

	if (k->holds == holds)
		return;
	k->holds = holds;
	if (!holds) {
		log_line("%s: there is room again: going on", k->finished.dir);
		return;
	}
	log_line("%s: only %s of the disk are free (--min-free): records are "
		 "held back until there is room%s",
		 k->finished.dir,
		 listing_bytes(bytes, (uint64_t)v->f_bavail * v->f_frsize),
		 k->opt.remove_oldest
		     ? "; there is no finished segment left to remove"
		     : "; --when-full remove-oldest would make some");
}

static void
keep_disk_free(struct keeper *k)
{
	struct removed r = {0};
	struct statvfs v;
	bool is = is_short(k, &v);
	struct err e;

	if (is && k->opt.remove_oldest &&
	    lock_more(k->lock, k->finished.dir, LOCK_UPKEEP, false, &e) == 0) {
		if (finished_list(&k->finished, &e) == 0)
			while (is && k->finished.n > 0 &&
			       r.segments < REMOVE_MAX &&
			       finished_remove(&k->finished, 0, &r, &e) == 0)
				is = is_short(k, &v);
		lock_less(k->lock, LOCK_UPKEEP);
		tell(k, &r, "the disk is full");
		if (r.segments > 0)
			is = false; /* until the next look */
	}
	hold(k, is, &v);
}

bool
keeper_look(struct keeper *k)
{
	int64_t now = clock_us(CLOCK_MONOTONIC) / 1000;
	struct err e;

	if (now < k->next_disk)
		return false;
	k->next_disk = now + DISK_MS;
	keep_disk_free(k);
	k->roll = roll_is_wished(k->finished.dir);
	if (now < k->next_look)
		return true;
	k->next_look = now + LOOK_MS;
	if (retention_read(&k->retention, k->finished.dir, &e) != 0)
		log_limited(&k->complaint, "%s", e.text);
	fit_segments(k);
	if (k->retention.age || k->retention.size)
		retain(k);
	return true;
}

void
keeper_rolled(struct keeper *k)
{
	k->roll = false;
	k->next_look = k->next_disk = 0; /* one more is finished */
	roll_done(k->finished.dir);
}
