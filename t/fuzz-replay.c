/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without libFuzzer:
 *
 *	replay-TARGET FILE...		each file once
 *	replay-TARGET -r SEED N		N random inputs
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { INPUT_MAX = 1 << 16, RANDOM_MAX = 1500 };

static uint8_t input[INPUT_MAX];

static int
replay(const char *path)
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
	int rc = 0;

	if (argc == 4 && strcmp(argv[1], "-r") == 0) {
		run_random((unsigned)atoi(argv[2]), atol(argv[3]));
		return 0;
	}
	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	return rc;
}
