/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowstore drop: a table goes for good.
 *
 * Its directory is renamed first, to a name that no table has, so that it is
 * there or not there and never half; what a drop that was killed left behind
 * goes with the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/place.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/lock.h"

static const char dropped[] = ".dropped.";

/* Whether a file in a table's directory is one of ours. */
static bool
is_ours(const char *name)
{
	static const char *const own[] = {
	    ".",
	    "..",
	    ".lock",
	    ".retention",
	    ".retention.new",
	    ".roll",
	    ".new.flow",
	    ".new.flow-lock",
	    ".cut.flow",
	    ".cut.flow-lock",
	};
	static const char *const tails[] = {".flow-lock", ".flow-damaged"};
	char segment[SEGMENT_NAME_MAX];
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	if (place_segment_number(name))
		return true;
	snprintf(segment, sizeof(segment), "%.8s.flow", name);
	if (len <= 8 || !place_segment_number(segment))
		return false;
	return strcmp(name + 8, tails[0]) == 0 ||
	       strcmp(name + 8, tails[1]) == 0;
}

/* What somebody else has put there is not ours to remove. */
static int
check_files(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read the directory %s", dir);
	while (r == 0 && (f = readdir(d)))
		if (!is_ours(f->d_name))
			r = err_set(e,
				    "%s holds %s, which is no part of a table; "
				    "nothing was dropped",
				    dir, f->d_name);
	closedir(d);
	return r;
}

/* A directory that was renamed for dropping, and what is in it. */
static int
remove_dir(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read the directory %s", dir);
	while (r == 0 && (f = readdir(d))) {
		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), f->d_name, 0) != 0 && errno != ENOENT)
			r = err_sys(e, "cannot remove %s/%s", dir, f->d_name);
	}
	closedir(d);
	if (r == 0 && rmdir(dir) != 0 && errno != ENOENT)
		r = err_sys(e, "cannot remove the directory %s", dir);
	return r;
}

/* What drops that were killed have left. */
static int
remove_leftovers(const char *root, struct err *e)
{
	DIR *d = opendir(root);
	char path[PATH_MAX];
	struct dirent *f;
	struct stat st;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read the directory %s", root);
	while (r == 0 && (f = readdir(d))) {
		if (strncmp(f->d_name, dropped, strlen(dropped)) != 0 ||
		    fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISDIR(st.st_mode))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", root, f->d_name) <
		    (int)sizeof(path))
			r = remove_dir(path, e);
	}
	closedir(d);
	return r;
}

/* The locks are held while the table gets its other name. */
static int
rename_table(const char *root, const char *dir, struct err *e)
{
	char to[PATH_MAX];
	int lock = lock_take(dir, LOCK_WRITER, e), r;

	if (lock < 0)
		return -1;
	r = lock_more(lock, dir, LOCK_UPKEEP, true, e);
	if (r == 0 &&
	    snprintf(to, sizeof(to), "%s/%s%s.%ld", root, dropped,
		     strrchr(dir, '/') + 1, (long)getpid()) >= (int)sizeof(to))
		r = err_set(e, "the path %s is too long", dir);
	if (r == 0 && rename(dir, to) != 0)
		r = err_sys(e, "cannot rename %s", dir);
	close(lock);
	return r;
}

static int
drop(const struct command_args *a, const char *name, struct err *e)
{
	char dir[PATH_MAX];
	struct stat st;

	if (table_dir(a->root, name, dir, sizeof(dir), e) != 0)
		return -1;
	if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(e,
			       "%s is no directory but a link or a file: "
			       "remove it yourself",
			       dir);
	if (check_files(dir, e) != 0 ||
	    command_confirm(a, e, "drop the table %s with all its records",
			    name) != 0 ||
	    rename_table(a->root, dir, e) != 0 ||
	    remove_leftovers(a->root, e) != 0)
		return -1;
	command_say("table dropped: %s", name);
	return 0;
}

int
drop_run(const struct command_args *a, struct err *e)
{
	for (int i = 0; i < a->n; i++)
		if (drop(a, a->words[i], e) != 0)
			return -1;
	return 0;
}
