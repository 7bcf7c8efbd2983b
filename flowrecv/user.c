/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/user.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

int
user_find(struct user *u, const char *name, struct err *e)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw)
		return err_set(e, "--user %s: there is no such user", name);
	*u = (struct user){name, pw->pw_uid, pw->pw_gid};
	if (geteuid() != 0 && geteuid() != u->uid)
		return err_set(e, "--user %s: only root can become another",
			       name);
	return 0;
}

int
user_become(const struct user *u, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	if (initgroups(u->name, u->gid) != 0 || setgid(u->gid) != 0 ||
	    setuid(u->uid) != 0)
		return err_sys(e, "--user %s: cannot become that", u->name);
	if (u->uid != 0 && setuid(0) == 0)
		return err_set(e, "--user %s: root's rights are still there",
			       u->name);
	return 0;
}
