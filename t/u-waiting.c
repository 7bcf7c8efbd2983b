/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets that come before their template: what becomes of them, and bounds. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "t/flows.h"

static struct wire w;
static struct flows f;

static void
setup(void)
{
	flows_init(&f);
}

static void
teardown(void)
{
	flows_clear(&f);
}

static void
put_data(uint16_t id, uint64_t v, size_t len)
{
	begin_set(&w, id);
	put(&w, v, len);
	end_set(&w);
}

static void
tick(int64_t ms)
{
	struct err e;

	ck_assert_int_eq(decoder_tick(f.decoder, ms, &e), 0);
}

static void
check_counts(uint64_t waiting, uint64_t expired, uint64_t decoded)
{
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), waiting);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_EXPIRED), expired);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_DECODED), decoded);
}

/* With the receive time, port and clock of its own datagram. */
START_TEST(decoded_as_it_came)
{
	begin_v9(&w, 1, 0);
	w.time_us = 1111;
	w.port = 4444;
	put_data(256, 90000, 4);
	send_wire(&f, &w);
	check_counts(1, 0, 0);
	ck_assert_uint_eq(f.rows, 0);
	begin_v9(&w, 1, 1);
	w.bytes[5] = 0x7f; /* another uptime */
	TEMPLATE(&w, 256, {21, 4});
	send_wire(&f, &w);
	check_counts(0, 0, 1);
	ck_assert_uint_eq(f.rows, 1);
	ck_assert_uint_eq(number_of(&f, 0, "_time"), 1111);
	ck_assert_uint_eq(number_of(&f, 0, "exporter_port"), 4444);
	ck_assert_uint_eq(number_of(&f, 0, "end_time"),
			  (uint64_t)SECS * 1000000 - 10000000);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS), 2);
}
END_TEST

START_TEST(in_the_order_that_they_came)
{
	for (uint32_t i = 0; i < 100; i++) {
		begin_v9(&w, 1, i);
		put_data((uint16_t)(256 + i % 2), i, 2);
		send_wire(&f, &w);
	}
	begin_v9(&w, 1, 100);
	TEMPLATE(&w, 257, {7, 2});
	put_data(257, 100, 2);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	check_counts(0, 0, 101);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert_uint_eq(number_of(&f, i, "src_port"), 2 * i + 1);
	ck_assert_uint_eq(number_of(&f, 50, "src_port"), 100);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert_uint_eq(number_of(&f, 51 + i, "src_port"), 2 * i);
}
END_TEST

/* A template of another exporter, version or source is none of theirs. */
START_TEST(for_their_own_template)
{
	begin_v9(&w, 1, 0);
	put_data(256, 7, 2);
	send_wire(&f, &w);
	begin_v9(&w, 2, 0);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	begin_v9(&w, 1, 0);
	from(&w, 2);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	TEMPLATE(&w, 257, {7, 2});
	send_wire(&f, &w);
	check_counts(1, 0, 0);
	begin_v9(&w, 1, 2);
	w.port = 999; /* the port does not matter */
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	check_counts(0, 0, 1);
}
END_TEST

/* Records of sets that wait are not known to a sequence number that counts
 * them: no gap comes of it, and none when they are decoded. */
START_TEST(sequence_of_ipfix)
{
	for (uint32_t i = 0; i < 5; i++) {
		begin_ipfix(&w, 1, i);
		put_data(256, i, 2);
		send_wire(&f, &w);
	}
	begin_ipfix(&w, 1, 5);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 5, 2);
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 6);
	put_data(256, 6, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_REORDERED), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_RESTARTS), 0);
	begin_ipfix(&w, 1, 9);
	put_data(256, 9, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), 2);
	check_counts(0, 0, 8);
}
END_TEST

static void
put_rate_template(uint16_t id)
{
	begin_set(&w, 1);
	put(&w, id, 2);
	put(&w, 4, 2);
	put(&w, 4, 2);
	put(&w, 0x00010004, 4); /* scope: system, 4 bytes */
	put(&w, 0x00220004, 4); /* samplingInterval */
	end_set(&w);
}

/* Sends data of template 256 at a time. */
static void
send_at(int64_t us, uint64_t port)
{
	begin_v9(&w, 1, 0);
	w.time_us = us;
	put_data(256, port, 2);
	send_wire(&f, &w);
}

/* A rate holds from its announcement on, whenever that can be read. */
START_TEST(options_template_that_comes_late)
{
	begin_v9(&w, 1, 0);
	w.time_us = 2000;
	put_data(300, 50, 8);
	send_wire(&f, &w);
	send_at(1000, 1);
	send_at(3000, 3);
	begin_v9(&w, 1, 0);
	w.time_us = 4000;
	put_rate_template(300);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 4, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_OPTIONS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS_OPTIONS), 1);
	check_counts(0, 0, 3);
	ck_assert_uint_eq(number_of(&f, 0, "sampling_rate"), 1);
	ck_assert_uint_eq(number_of(&f, 1, "sampling_rate"), 50);
	ck_assert_uint_eq(number_of(&f, 2, "sampling_rate"), 50);
}
END_TEST

/* What waited is older than what is known: it does not undo it. */
START_TEST(options_older_than_what_is_known)
{
	begin_v9(&w, 1, 0);
	w.time_us = 1000;
	put_data(300, 50, 8);
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	w.time_us = 2000;
	put_rate_template(301);
	put_data(301, 70, 8);
	send_wire(&f, &w);
	begin_v9(&w, 1, 2);
	w.time_us = 3000;
	put_rate_template(300);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 4, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_OPTIONS), 2);
	ck_assert_uint_eq(number_of(&f, 0, "sampling_rate"), 70);
}
END_TEST

START_TEST(redefinition_while_sets_wait)
{
	begin_v9(&w, 1, 0);
	put_data(256, 1, 2);
	put_data(257, 2, 4);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 3, 2);
	TEMPLATE(&w, 256, {11, 4}); /* not for the one decoded already */
	put_data(256, 4, 4);
	begin_set(&w, 0); /* no definition: drops the old one */
	put(&w, 256, 2);
	put(&w, 9, 2);
	end_set(&w);
	put_data(256, 5, 2);
	send_wire(&f, &w);
	check_counts(2, 0, 3);
	ck_assert_uint_eq(number_of(&f, 0, "src_port"), 1);
	ck_assert_uint_eq(number_of(&f, 1, "src_port"), 3);
	ck_assert_uint_eq(number_of(&f, 2, "dst_port"), 4);
	begin_v9(&w, 1, 1);
	put_rate_template(257);		    /* 4 bytes are no record of it */
	TEMPLATE(&w, 256, {7, 2}, {11, 2}); /* nor 2 of this */
	send_wire(&f, &w);
	check_counts(0, 0, 3);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_RECORD), 2);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_MALFORMED), 3);
}
END_TEST

/* What waited for a template that is withdrawn is not of its successor. */
START_TEST(withdrawal_while_sets_wait)
{
	begin_ipfix(&w, 1, 0);
	put_data(256, 1, 2);
	put_data(257, 2, 2);
	begin_set(&w, 2);
	put(&w, 256, 2);
	put(&w, 0, 2);
	end_set(&w);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	check_counts(1, 1, 0);
	begin_ipfix(&w, 1, 0);
	put_data(258, 2, 2);
	begin_set(&w, 2); /* all */
	put(&w, 2, 2);
	put(&w, 0, 2);
	end_set(&w);
	TEMPLATE(&w, 257, {7, 2});
	send_wire(&f, &w);
	check_counts(0, 3, 0);
	ck_assert_uint_eq(f.rows, 0);
}
END_TEST

START_TEST(given_up_when_too_old)
{
	decoder_wait(f.decoder, WAIT_BYTES, 5000);
	tick(100000);
	send_at(1, 1);
	tick(103000);
	send_at(1, 2);
	tick(104999);
	check_counts(2, 0, 0);
	tick(105000);
	check_counts(1, 1, 0);
	tick(50); /* time does not go back */
	check_counts(1, 1, 0);
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	check_counts(0, 1, 1);
	ck_assert_uint_eq(number_of(&f, 0, "src_port"), 2);
	tick(999999);
	check_counts(0, 1, 1);
}
END_TEST

START_TEST(nothing_waits_when_told_so)
{
	decoder_wait(f.decoder, 0, 0);
	send_at(1, 1);
	check_counts(0, 1, 0);
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	check_counts(0, 1, 0);
	ck_assert_uint_eq(f.rows, 0);
}
END_TEST

START_TEST(impossible_sizes)
{
	decoder_wait(f.decoder, 1000, WAIT_MS);
	begin_v9(&w, 1, 0);
	begin_set(&w, 256); /* empty */
	end_set(&w);
	put_data(256, 1, 1000); /* larger than all there is */
	put_data(256, 1, 2);
	send_wire(&f, &w);
	check_counts(1, 2, 0);
	ck_assert_uint_le(decoder_waiting_bytes(f.decoder), 1000);
}
END_TEST

/* N datagrams of 1000 bytes of exporters FIRST, FIRST + 1 ... in turn */
static void
flood(unsigned first, unsigned exporters, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		begin_v9(&w, 1, i / exporters);
		from(&w, first + i % exporters);
		put_data((uint16_t)(256 + i % 1000), i, 1000);
		send_only(&f, &w);
		ck_assert_uint_le(decoder_waiting_bytes(f.decoder), 1 << 20);
	}
}

static void
modest(uint16_t id, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		begin_v9(&w, 1, i);
		from(&w, 9999);
		put_data(id, i, 20);
		send_only(&f, &w);
	}
}

/* What the modest one sent is there, all N. */
static void
check_modest(uint16_t id, unsigned n)
{
	uint64_t decoded = counted(&f, LEDGER_SETS_DECODED);

	begin_v9(&w, 1, n);
	from(&w, 9999);
	TEMPLATE(&w, id, {7, 2}, {210, 18});
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_DECODED), decoded + n);
}

START_TEST(a_flood_of_one_pushes_out_its_own)
{
	decoder_wait(f.decoder, 1 << 20, WAIT_MS);
	modest(256, 10);
	flood(1, 1, 5000);
	check_modest(256, 10);
	/* the newest of the flood are there */
	ck_assert_uint_gt(counted(&f, LEDGER_SETS_WAITING), 500);
	begin_v9(&w, 1, 5000);
	from(&w, 1);
	TEMPLATE(&w, 256 + 4999 % 1000, {7, 2}, {210, 998});
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_DECODED), 11);
	ck_assert_uint_gt(counted(&f, LEDGER_SETS_EXPIRED), 4000);
}
END_TEST

START_TEST(a_flood_of_many_leaves_a_modest_one_alone)
{
	decoder_wait(f.decoder, 1 << 20, WAIT_MS);
	modest(256, 10);
	flood(1, 200, 50000);
	check_modest(256, 10);
}
END_TEST

/* Invented ones have one set each, less than one that is well known. */
START_TEST(a_flood_of_invented_ones_leaves_known_ones_alone)
{
	decoder_wait(f.decoder, 1 << 20, WAIT_MS);
	modest(256, 1000);
	flood(10000, 30000, 30000);
	check_modest(256, 1000);
}
END_TEST

/* Those that are forgotten give up what waits, and it is counted. */
START_TEST(exporters_that_are_forgotten)
{
	modest(256, 20);
	for (unsigned i = 0; i < EXPORTERS_MAX + 1000; i++) {
		begin_v9(&w, 1, 0);
		from(&w, 20000 + i);
		put_data(256, i, 2);
		send_only(&f, &w);
	}
	check_counts(EXPORTERS_MAX - 1 + 20, 1001, 0);
	check_modest(256, 20);
	check_counts(EXPORTERS_MAX - 1, 1001, 20);
}
END_TEST

/* Against a plain count of what there should be. */
START_TEST(at_random)
{
	unsigned waiting[8][4] = {{0}}, sum = 0;

	srandom(1);
	for (int i = 0; i < 20000; i++) {
		unsigned who = (unsigned)random() % 8;
		unsigned id = (unsigned)random() % 4;

		begin_v9(&w, 1, 0);
		from(&w, who);
		if (random() % 10 > 0) {
			put_data((uint16_t)(256 + id), 1, 2);
			waiting[who][id]++;
			sum++;
			send_only(&f, &w);
		} else {
			uint64_t before = counted(&f, LEDGER_SETS_DECODED);

			TEMPLATE(&w, (uint16_t)(256 + id), {7, 2});
			begin_set(&w, 0); /* and away again */
			put(&w, 256 + id, 2);
			put(&w, 9, 2);
			end_set(&w);
			send_only(&f, &w);
			ck_assert_uint_eq(counted(&f, LEDGER_SETS_DECODED),
					  before + waiting[who][id]);
			sum -= waiting[who][id];
			waiting[who][id] = 0;
		}
		ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), sum);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_EXPIRED), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("waiting");
	TCase *t = tcase_create("waiting");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, decoded_as_it_came);
	tcase_add_test(t, in_the_order_that_they_came);
	tcase_add_test(t, for_their_own_template);
	tcase_add_test(t, sequence_of_ipfix);
	tcase_add_test(t, options_template_that_comes_late);
	tcase_add_test(t, options_older_than_what_is_known);
	tcase_add_test(t, redefinition_while_sets_wait);
	tcase_add_test(t, withdrawal_while_sets_wait);
	tcase_add_test(t, given_up_when_too_old);
	tcase_add_test(t, nothing_waits_when_told_so);
	tcase_add_test(t, impossible_sizes);
	tcase_add_test(t, a_flood_of_one_pushes_out_its_own);
	tcase_add_test(t, a_flood_of_many_leaves_a_modest_one_alone);
	tcase_add_test(t, a_flood_of_invented_ones_leaves_known_ones_alone);
	tcase_add_test(t, exporters_that_are_forgotten);
	tcase_add_test(t, at_random);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
