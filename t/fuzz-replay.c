/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without libFuzzer:
 *
 *	replay-TARGET [-r SEED N] [FILE|DIRECTORY]...
 *
 * N random inputs, then each file once.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { INPUT_MAX = 1 << 16, RANDOM_MAX = 1500 };

static uint8_t input[INPUT_MAX];

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	n = fread(input, 1, sizeof(input), f);
	fclose(f);
	LLVMFuzzerTestOneInput(input, n);
	return 0;
}

static int
replay(const char *path)
{
	char name[4096];
	struct dirent *entry;
	DIR *dir = opendir(path);
	int rc = 0;

	if (!dir)
		return replay_file(path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		rc |= replay_file(name);
	}
	closedir(dir);
	return rc;
}

/* Small numbers are likelier: they are what steps and lengths are made of. */
static void
run_random(unsigned seed, long n)
{
	srandom(seed);
	for (long i = 0; i < n; i++) {
		size_t len = (size_t)random() % RANDOM_MAX;

		for (size_t k = 0; k < len; k++) {
			long v = random();

			input[k] = (uint8_t)(v & 0x700 ? v % 16 : v);
		}
		LLVMFuzzerTestOneInput(input, len);
	}
}

int
main(int argc, char **argv)
{
	int rc = 0, i = 1;

	if (argc >= 4 && strcmp(argv[1], "-r") == 0) {
		run_random((unsigned)strtoul(argv[2], NULL, 10),
			   strtol(argv[3], NULL, 10));
		i = 4;
	}
	for (; i < argc; i++)
		rc |= replay(argv[i]);
	return rc;
}
