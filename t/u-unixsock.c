/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/unixsock.h"

static char dir[] = "/tmp/u-unixsock-XXXXXX";
static char path[64], want[ERR_MAX];
static struct unixsock s, other;
static struct err e;

static void
setup(void)
{
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/run/s", dir);
}

static void
teardown(void)
{
	unixsock_close(&s);
	unixsock_close(&other);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(dir);
}

START_TEST(test_listen)
{
	struct stat st;
	int fd;

	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	fd = unixsock_connect(path, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	unixsock_close(&s);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(s.fd, -1);
	unixsock_close(&s);
}
END_TEST

START_TEST(test_in_use)
{
	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), 0);
	ck_assert_int_eq(unixsock_listen(&other, path, 0660, &e), -1);
	snprintf(want, sizeof(want), "%s: in use by process %d", path,
		 (int)getpid());
	ck_assert_str_eq(e.text, want);
	ck_assert_int_eq(other.fd, -1);
	unixsock_close(&other);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_stale)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unixsock_listen(&s, path, 0600, &e) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(unixsock_connect(path, &e), -1);
	snprintf(want, sizeof(want), "%s: Connection refused", path);
	ck_assert_str_eq(e.text, want);
	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), 0);
}
END_TEST

START_TEST(test_others)
{
	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), 0);
	/* somebody removed it and another took its place */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unixsock_listen(&other, path, 0660, &e), 0);
	unixsock_close(&s);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_file)
{
	int fd;

	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), 0);
	unixsock_close(&s);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(unixsock_listen(&s, path, 0660, &e), -1);
	snprintf(want, sizeof(want),
		 "%s: something else than a socket is there", path);
	ck_assert_str_eq(e.text, want);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_paths)
{
	char longest[UNIXSOCK_PATH_MAX + 1];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(unixsock_listen(&s, longest, 0660, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "has 1 to 107 bytes"));
	ck_assert_int_eq(unixsock_connect("", &e), -1);
	ck_assert_str_eq(e.text, "'': the path of a socket has 1 to 107 bytes");
	ck_assert_int_eq(unixsock_listen(&s, "/none/at/all", 0660, &e), -1);
	ck_assert_str_eq(e.text, "/none/at/all: the directory /none/at: No "
				 "such file or directory");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("unixsock");
	TCase *tc = tcase_create("unixsock");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_listen);
	tcase_add_test(tc, test_in_use);
	tcase_add_test(tc, test_stale);
	tcase_add_test(tc, test_others);
	tcase_add_test(tc, test_file);
	tcase_add_test(tc, test_paths);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
