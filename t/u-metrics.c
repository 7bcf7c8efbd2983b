/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/metrics.h"

static struct err e;

static void
collect(void *ctx, struct metrics *m)
{
	static const char *const values[] = {
	    "plain", "", "\"\\\n", "a\"b\\c\nd", "\xff\x80-\xc3\xa9\xc3",
	    "\x01",
	};
	struct metrics_label labels[] = {{"one", "1"}, {"two", NULL}};

	metrics_gauge(m, "g", "A gauge");
	metrics_value(m, UINT64_MAX);
	metrics_counter(m, "c_total", "A counter");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		labels[1].value = values[i];
		metrics_sample(m, i, labels, 2);
	}
	metrics_counter(m, ctx, "What the caller wants");
}

static const char wanted[] = "# HELP g A gauge\n"
			     "# TYPE g gauge\n"
			     "g 18446744073709551615\n"
			     "# HELP c_total A counter\n"
			     "# TYPE c_total counter\n"
			     "c_total{one=\"1\",two=\"plain\"} 0\n"
			     "c_total{one=\"1\",two=\"\"} 1\n"
			     "c_total{one=\"1\",two=\"\\\"\\\\\\n\"} 2\n"
			     "c_total{one=\"1\",two=\"a\\\"b\\\\c\\nd\"} 3\n"
			     "c_total{one=\"1\",two=\"?\?-\xc3\xa9?\"} 4\n"
			     "c_total{one=\"1\",two=\"\x01\"} 5\n"
			     "# HELP name_total What the caller wants\n"
			     "# TYPE name_total counter\n";

/* A port that nobody has, as text. */
static void
free_port(char text[8])
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	snprintf(text, 8, "%u", ntohs(a.sin_port));
}

/* What is answered; connects as soon as someone listens. */
static void
get(const char *port, char *buf, size_t size)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port =
				    htons((uint16_t)strtoul(port, NULL, 10)),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	size_t len = 0;
	ssize_t n;
	int fd = -1;

	for (int i = 0; i < 1000 && fd < 0; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
		close(fd);
		fd = -1;
		usleep(10000);
	}
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, request, sizeof(request) - 1),
			 sizeof(request) - 1);
	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
}

START_TEST(test_text)
{
	char port[8], buf[4096], *body;
	struct event_base *base;
	pid_t pid;

	free_port(port);
	pid = fork();
	if (pid == 0) {
		char name[] = "name_total";

		base = event_base_new();
		if (metrics_new(base, port, collect, name, &e))
			event_base_dispatch(base);
		_exit(1);
	}
	get(port, buf, sizeof(buf));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_ptr_nonnull(strstr(buf, "HTTP/1.0 200 OK\r\n"));
	body = strstr(buf, "\r\n\r\n");
	ck_assert_ptr_nonnull(body);
	ck_assert_str_eq(body + 4, wanted);
}
END_TEST

START_TEST(test_free)
{
	struct event_base *base = event_base_new();
	char port[8];

	metrics_free(NULL);
	free_port(port);
	for (int i = 0; i < 3; i++) {
		struct metrics *m = metrics_new(base, port, collect, NULL, &e);

		ck_assert_ptr_nonnull(m);
		metrics_free(m);
	}
	event_base_free(base);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tc = tcase_create("metrics");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_free);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
