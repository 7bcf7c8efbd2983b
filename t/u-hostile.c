/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams as no honest exporter sends them: none may do harm, and what is
 * good beside them is decoded.
 *
 * What went wrong in other collectors, and the tests that would show it
 * here, in this file unless another is named:
 *
 * Malformed and hostile
 *	a known field of an odd length
 *		odd_length_of_every_known_field
 *	set length 0 to 3
 *		set_length_0_to_3
 *	set ids 2 to 255
 *		set_ids_2_to_255
 *	trailing 1 to 3 bytes
 *		trailing_1_to_3_bytes
 *	padding taken as a record, or judged by the packet's end
 *		padding_is_no_record_and_ends_with_its_set
 *	lengths that sum past 65535
 *		lengths_that_sum_past_65535
 *	record size 0
 *		record_size_0
 *	redefined as an options template and back
 *		redefined_as_options_and_back_between_data
 *	an invalid redefinition
 *		invalid_redefinition_drops_the_old
 *	options scope length, or count
 *		options_scope_length, options_scope_count
 *	variable length cut at every byte
 *		variable_length_cut_at_every_byte
 *	v5 count, v9 count, IPFIX length
 *		v5_count_is_not_the_size, v9_count_is_wrong,
 *		ipfix_length_is_wrong
 *	hundreds of fields
 *		hundreds_of_fields
 *	the same field twice
 *		u-decoder: a_field_twice
 *	4-byte AS numbers
 *		as_numbers_of_4_bytes
 *	integers of 1 to 8 bytes
 *		u-decoder: integers_of_1_to_8_bytes
 *	IPv4 in 16 bytes
 *		u-decoder: addresses_of_both_families
 *	65,507 bytes
 *		datagrams_of_65507_bytes
 *	a million spoofed exporters
 *		a_million_spoofed_exporters
 *	floods of templates, of names, of rates
 *		a_flood_of_templates, a_flood_of_wide_templates,
 *		what_all_announce_is_bounded; u-names:
 *		names_of_all_exporters_are_bounded; u-sampling:
 *		rates_are_bounded
 *	a datagram that takes long
 *		zeros_before_the_end_of_a_set,
 *		sets_for_templates_that_are_not_there,
 *		all_withdrawn_again_and_again, definitions_of_one_hash
 *	damaged tables
 *		u-block: damaged_columns_are_refused; 4004-flowstore-damage
 *	arrays of 2^32 elements
 *		u-record: many_values; 2010-flowdecode-program;
 *		9030-pipeline-cut
 *	text with control bytes or bad UTF-8
 *		text_from_the_wire; u-names:
 *		names_with_control_bytes_or_bad_utf8; 9060-pipeline-text
 *
 * Wrong numbers
 *	templates keyed by id only
 *		u-decoder: templates_are_of_exporter_version_and_source
 *	one data set of several kept, an unknown one loses all
 *		u-decoder: several_data_sets_in_a_datagram
 *	options and data in one datagram with their templates
 *		u-sampling: a_rate_holds_from_its_announcement_on
 *	uptime before a wrap, or after the header's
 *		u-decoder: uptime_difference_is_signed
 *	seconds read as milliseconds
 *		u-decoder: absolute_times
 *	a rate multiplied in
 *		u-decoder: sampling_is_announced_and_never_multiplied;
 *		9070-pipeline-numbers
 *	a sampler's or an interface's rate for all
 *		u-sampling: of_a_random_sampler_48_49_50, of_an_interface
 *	a rate announced from another port
 *		u-sampling: announced_from_another_port
 *	a rate announced again
 *		u-sampling: announced_again_does_not_double
 *	32-bit counters summed into 32 bits
 *		9070-pipeline-numbers
 *	an unknown field loses the record
 *		u-decoder: unknown_fields_are_kept
 *	a flow counted at ingress and at egress
 *		9070-pipeline-numbers
 *	the exporter's address lost on replay
 *		9070-pipeline-numbers
 *	what sequence numbers count, restarts, reorderings
 *		u-decoder: sequence_of_v5_counts_flows,
 *		sequence_of_v9_counts_datagrams,
 *		sequence_of_ipfix_counts_records
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/element_table.h"
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

/* An exporter that behaves goes on being understood. */
static void
check_alive(void)
{
	uint32_t before = f.rows;

	begin_v9(&w, 99, 0);
	from(&w, 200);
	TEMPLATE(&w, 300, {7, 2}, {1, 4});
	begin_set(&w, 300);
	put(&w, 4242, 2);
	put(&w, 77, 4);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, before + 1);
	ck_assert_uint_eq(number_of(&f, before, "src_port"), 4242);
	ck_assert_uint_eq(number_of(&f, before, "octet_count"), 77);
}

static const uint16_t odd_lengths[] = {0, 1, 3, 5, 17, 255, 65535};

enum { ODD_LENGTHS = sizeof(odd_lengths) / sizeof(odd_lengths[0]) };

/* Whether an element may be of one of the odd lengths. */
static bool
may_be(enum element_type t, uint16_t len)
{
	switch (t) {
	case ELEMENT_BYTES:
	case ELEMENT_STRING:
		return true;
	case ELEMENT_BOOLEAN:
		return len == 1;
	case ELEMENT_UNSIGNED:
	case ELEMENT_SIGNED:
	case ELEMENT_SECONDS:
	case ELEMENT_MILLISECONDS:
		return len <= 8;
	default:
		return false;
	}
}

/* What cannot be what it is called is bytes, and none of them is lost. */
static void
check_odd(const struct element *el, uint16_t len)
{
	char name[32];

	if (len == 0 || may_be(el->type, len))
		return;
	snprintf(name, sizeof(name), "e%u_%u", el->enterprise, el->id);
	for (uint32_t i = 0; i < 2; i++) {
		struct value v = value_of(&f, i, name);

		ck_assert_int_eq(v.type, COL_BYTES);
		ck_assert_uint_eq(v.len, len == 65535 ? 3 : len);
	}
}

/* A field of ID and LEN bytes, then a port, in two records. */
static void
send_odd(const struct element *el, bool v9, uint16_t len)
{
	uint64_t id = (uint64_t)el->enterprise << 16 | el->id;

	if (v9)
		begin_v9(&w, 1, 0);
	else
		begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {id, len}, {11, 2});
	begin_set(&w, 256);
	for (int i = 0; i < 2; i++) {
		size_t n = len;

		if (len == 65535) {
			n = 3;
			put(&w, n, 1);
		}
		for (size_t k = 0; k < n; k++)
			put(&w, 0xf0 + k, 1);
		put(&w, 443 + i, 2);
	}
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	/* a port twice has the second name */
	if (strcmp(el->name, "dst_port") != 0 || len == 0 || len > 8) {
		ck_assert_uint_eq(number_of(&f, 0, "dst_port"), 443);
		ck_assert_uint_eq(number_of(&f, 1, "dst_port"), 444);
	}
	check_odd(el, len);
	flows_forget(&f);
}

static void
each_odd_length(const struct element *table, size_t n, bool v9)
{
	for (size_t i = 0; i < n; i++) {
		if (v9 && table[i].enterprise)
			continue;
		for (int k = 0; k < ODD_LENGTHS; k++)
			send_odd(&table[i], v9, odd_lengths[k]);
		if (i % 100 == 99) {
			/* shapes are bounded */
			flows_clear(&f);
			flows_init(&f);
		}
	}
}

START_TEST(odd_length_of_every_known_field)
{
	each_odd_length(element_ipfix, element_ipfix_n, false);
	flows_clear(&f);
	flows_init(&f);
	each_odd_length(element_v9, element_v9_n, true);
	check_alive();
}
END_TEST

START_TEST(set_length_0_to_3)
{
	for (uint16_t len = 0; len < 4; len++) {
		begin_v9(&w, 1, len);
		put(&w, 256, 2);
		put(&w, len, 2);
		put(&w, 0x0102030405060708, 8);
		send_wire(&f, &w);
		ck_assert_uint_eq(counted(&f, LEDGER_BAD_SET), len + 1u);
	}
	check_alive();
}
END_TEST

START_TEST(set_ids_2_to_255)
{
	for (uint16_t id = 2; id < 256; id++) {
		begin_v9(&w, 1, id);
		begin_set(&w, id);
		put(&w, 0xffffffff, 4);
		end_set(&w);
		TEMPLATE(&w, 256, {7, 2});
		begin_set(&w, 256);
		put(&w, id, 2);
		end_set(&w);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_SET_ID), 254);
	ck_assert_uint_eq(f.rows, 254);
}
END_TEST

START_TEST(trailing_1_to_3_bytes)
{
	for (size_t n = 1; n < 4; n++) {
		begin_ipfix(&w, 1, 0);
		TEMPLATE(&w, 256, {7, 2});
		put(&w, 0xffffff, n);
		send_wire(&f, &w);
		ck_assert_uint_eq(counted(&f, LEDGER_BAD_TRAILING), n);
		/* and behind a withdrawal, inside its set */
		begin_ipfix(&w, 1, 0);
		begin_set(&w, 2);
		put(&w, 256, 2);
		put(&w, 0, 2);
		put(&w, 0xffffff, n);
		end_set(&w);
		send_wire(&f, &w);
		ck_assert_uint_eq(counted(&f, LEDGER_TEMPLATES_WITHDRAWN), n);
	}
	check_alive();
}
END_TEST

START_TEST(padding_is_no_record_and_ends_with_its_set)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2}, {1, 4}, {4, 1});
	for (int set = 0; set < 2; set++) {
		begin_set(&w, 256);
		put(&w, 1000 + set, 2);
		put(&w, 10, 4);
		put(&w, 6, 1);
		put(&w, set ? 0 : 0xff, 1); /* padding, zero or not */
		end_set(&w);
	}
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	ck_assert_uint_eq(number_of(&f, 0, "src_port"), 1000);
	ck_assert_uint_eq(number_of(&f, 1, "src_port"), 1001);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_MALFORMED), 0);
}
END_TEST

START_TEST(lengths_that_sum_past_65535)
{
	begin_ipfix(&w, 1, 0);
	/* 16 bits of the sum would be 4 */
	TEMPLATE(&w, 256, {95, 65534}, {94, 6});
	begin_set(&w, 256);
	put(&w, 1, 4);
	put(&w, 2, 4);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 0);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_RECORD), 1);
	check_alive();
}
END_TEST

START_TEST(record_size_0)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 0}, {11, 0});
	begin_set(&w, 0);
	put(&w, 257, 2);
	put(&w, 0, 2); /* no fields */
	end_set(&w);
	for (uint16_t id = 256; id < 258; id++) {
		begin_set(&w, id);
		put(&w, 1, 8);
		end_set(&w);
	}
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 0);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), 2);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 2);
	check_alive();
}
END_TEST

static void
put_data(uint16_t id, uint64_t v, size_t len)
{
	begin_set(&w, id);
	put(&w, v, len);
	end_set(&w);
}

static void
put_options_template(uint16_t id)
{
	begin_set(&w, 1);
	put(&w, id, 2);
	put(&w, 4, 2);
	put(&w, 4, 2);
	put(&w, 0x00010004, 4); /* scope: system, 4 bytes */
	put(&w, 0x00220004, 4); /* samplingInterval */
	end_set(&w);
}

START_TEST(redefined_as_options_and_back_between_data)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 1001, 2);
	put_options_template(256);
	put_data(256, 100, 8);
	TEMPLATE(&w, 256, {11, 4}, {7, 2});
	put_data(256, (uint64_t)2002 << 16 | 1002, 6);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	ck_assert_uint_eq(number_of(&f, 0, "src_port"), 1001);
	ck_assert_uint_eq(number_of(&f, 1, "src_port"), 1002);
	ck_assert_uint_eq(number_of(&f, 1, "dst_port"), 2002);
	ck_assert_uint_eq(number_of(&f, 1, "sampling_rate"), 100);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS_OPTIONS), 1);
}
END_TEST

START_TEST(invalid_redefinition_drops_the_old)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	begin_set(&w, 0);
	put(&w, 256, 2);
	put(&w, 5, 2); /* five fields, but one is there */
	put(&w, 0x00010004, 4);
	end_set(&w);
	put_data(256, 1001, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 0);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 1);
	check_alive();
}
END_TEST

START_TEST(options_scope_length)
{
	static const uint16_t scopes[] = {1, 2, 3, 5, 6, 7, 9, 400, 65535};
	size_t n = sizeof(scopes) / sizeof(scopes[0]);

	for (size_t i = 0; i < n; i++) {
		begin_v9(&w, 1, (uint32_t)i);
		begin_set(&w, 1);
		put(&w, 256, 2);
		put(&w, scopes[i], 2);
		put(&w, 4, 2);
		put(&w, 0x00010004, 4);
		put(&w, 0x00220004, 4);
		end_set(&w);
		put_data(256, 1, 8);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), n);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS_OPTIONS), 0);
	check_alive();
}
END_TEST

/* ipfix: no scope at all, and more scopes than fields */
START_TEST(options_scope_count)
{
	for (uint16_t scopes = 0; scopes < 4; scopes++) {
		begin_ipfix(&w, 1, 0);
		begin_set(&w, 3);
		put(&w, 256, 2);
		put(&w, 2, 2);
		put(&w, scopes, 2);
		put(&w, 0x00950004, 4);
		put(&w, 0x00220004, 4);
		end_set(&w);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), 2);
	ck_assert_uint_eq(counted(&f, LEDGER_TEMPLATES_OPTIONS), 2);
}
END_TEST

/* A record of a string of LEN bytes, its length in FORM bytes, and a port;
 * CUT bytes are missing at the end of the set. */
static void
send_variable(bool v9, size_t len, size_t form, size_t cut)
{
	if (v9)
		begin_v9(&w, 1, 0);
	else
		begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {82, 65535}, {7, 2});
	begin_set(&w, 256);
	if (form == 3)
		put(&w, 255, 1);
	put(&w, len, form == 3 ? 2 : 1);
	for (size_t i = 0; i < len; i++)
		put(&w, 'a', 1);
	put(&w, 1234, 2);
	w.len -= cut;
	end_set(&w);
	send_wire(&f, &w);
}

START_TEST(variable_length_cut_at_every_byte)
{
	static const size_t lens[] = {0, 1, 254, 255, 300};

	for (size_t i = 0; i < 5; i++)
		for (size_t cut = 0; cut <= lens[i] + 5; cut++) {
			uint32_t whole = cut == 0;

			send_variable(i & 1, lens[i], 3, cut);
			ck_assert_uint_eq(f.rows, whole);
			if (whole)
				ck_assert_uint_eq(
				    value_of(&f, 0, "interface_name").len,
				    lens[i]);
			flows_forget(&f);
		}
	send_variable(false, 20, 1, 0);
	ck_assert_uint_eq(number_of(&f, 0, "src_port"), 1234);
	check_alive();
}
END_TEST

START_TEST(datagram_cut_at_every_byte)
{
	static struct wire whole;

	begin_ipfix(&whole, 1, 0);
	TEMPLATE(&whole, 256, {8, 4}, {12, 4}, {82, 65535}, {7, 2});
	begin_set(&whole, 256);
	for (int i = 0; i < 3; i++) {
		put(&whole, 1, 8);
		put(&whole, 0x0361626300, 5);
		put(&whole, 7, 1);
	}
	end_set(&whole);
	for (size_t n = 0; n <= whole.len; n++) {
		w = whole;
		w.len = n;
		send_wire(&f, &w);
	}
	check_alive();
}
END_TEST

START_TEST(v5_count_is_not_the_size)
{
	static const struct {
		uint16_t count, sent;
		uint32_t rows;
		bool bad;
	} cases[] = {
	    {0, 1, 0, false},	 {31, 31, 31, false}, {31, 30, 30, true},
	    {65535, 2, 2, true}, {1, 3, 1, false},    {2, 0, 0, true},
	};
	uint64_t bad = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_v5(&w, cases[i].count, 0);
		for (int k = 0; k < cases[i].sent; k++)
			put_v5(&w, 1, 2);
		send_wire(&f, &w);
		ck_assert_uint_eq(f.rows, cases[i].rows);
		bad += cases[i].bad;
		ck_assert_uint_eq(counted(&f, LEDGER_BAD_COUNT), bad);
		flows_forget(&f);
	}
	/* a record cut in two */
	begin_v5(&w, 2, 0);
	put_v5(&w, 1, 2);
	put_v5(&w, 1, 2);
	w.len -= 1;
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_COUNT), bad + 1);
}
END_TEST

START_TEST(v9_count_is_wrong)
{
	static const uint16_t counts[] = {0, 1, 2, 4, 65535};

	for (size_t i = 0; i < 5; i++) {
		begin_v9(&w, 1, (uint32_t)i);
		w.bytes[2] = (uint8_t)(counts[i] >> 8);
		w.bytes[3] = (uint8_t)counts[i];
		TEMPLATE(&w, 256, {7, 2});
		put_data(256, 0x00010002, 4);
		put_data(256, 3, 2);
		send_wire(&f, &w);
		ck_assert_uint_eq(f.rows, 3);
		flows_forget(&f);
	}
}
END_TEST

START_TEST(ipfix_length_is_wrong)
{
	static const uint16_t lengths[] = {1, 15, 16, 20, 65535};

	for (size_t i = 0; i < 5; i++) {
		begin_ipfix(&w, 1, 0);
		TEMPLATE(&w, 256, {7, 2});
		put_data(256, 1, 2);
		w.bytes[2] = (uint8_t)(lengths[i] >> 8);
		w.bytes[3] = (uint8_t)lengths[i];
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_LENGTH), 5);
	check_alive();
}
END_TEST

/* N fields: twice each element from 1 on, of a byte. */
static void
put_many_fields(uint16_t n)
{
	begin_set(&w, 0);
	put(&w, 256, 2);
	put(&w, n, 2);
	for (uint16_t i = 0; i < n; i++) {
		put(&w, 1 + i / 2 % 60, 2);
		put(&w, 1, 2);
	}
	end_set(&w);
	begin_set(&w, 256);
	for (uint16_t i = 0; i < n; i++)
		put(&w, i, 1);
	end_set(&w);
}

START_TEST(hundreds_of_fields)
{
	static const uint16_t counts[] = {300, 1000, 1001, 13000};
	static const uint32_t rows[] = {1, 1, 0, 0};

	for (int i = 0; i < 4; i++) {
		begin_v9(&w, 1, 0);
		put_many_fields(counts[i]);
		send_wire(&f, &w);
		ck_assert_uint_eq(f.rows, rows[i]);
		if (rows[i]) {
			ck_assert_uint_eq(number_of(&f, 0, "octet_count"), 0);
			ck_assert_uint_eq(number_of(&f, 0, "octet_count_2"), 1);
			ck_assert_uint_eq(number_of(&f, 0, "octet_count_3"),
					  120);
		}
		flows_forget(&f);
	}
	check_alive();
}
END_TEST

START_TEST(as_numbers_of_4_bytes)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {16, 4}, {17, 2});
	TEMPLATE(&w, 257, {16, 2}, {17, 4});
	put_data(256, (uint64_t)4200000001 << 16 | 23456, 6);
	put_data(257, (uint64_t)64512 << 32 | 4294967295, 6);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	for (uint32_t i = 0; i < 2; i++) {
		bool first = number_of(&f, i, "dst_as") == 23456;

		ck_assert_uint_eq(number_of(&f, i, "src_as"),
				  first ? 4200000001 : 64512);
		ck_assert_uint_eq(number_of(&f, i, "dst_as"),
				  first ? 23456 : 4294967295);
	}
}
END_TEST

START_TEST(field_count_past_the_set)
{
	begin_ipfix(&w, 1, 0);
	begin_set(&w, 2);
	put(&w, 256, 2);
	put(&w, 65535, 2);
	put(&w, 0x80010004, 4); /* enterprise number cut off */
	put(&w, 0, 2);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), 1);
	check_alive();
}
END_TEST

START_TEST(datagrams_of_65507_bytes)
{
	begin_v5(&w, 1364, 0);
	for (int i = 0; i < 1364; i++)
		put_v5(&w, 1, 2);
	put(&w, 0, 65507 - w.len);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1364);
	flows_forget(&f);

	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {4, 1});
	begin_set(&w, 256);
	memset(w.bytes + w.len, 17, 65507 - w.len);
	w.len = 65507;
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 65507 - 20 - 12 - 4);
	ck_assert_uint_eq(number_of(&f, 0, "protocol"), 17);
	ck_assert_uint_eq(number_of(&f, f.rows - 1, "protocol"), 17);
	flows_forget(&f);

	/* nothing but fields of variable length that are empty */
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {82, 65535}, {83, 65535});
	begin_set(&w, 256);
	memset(w.bytes + w.len, 0, 65506 - w.len);
	w.len = 65506;
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, (65506 - 16 - 16 - 4) / 2);
}
END_TEST

/* Sanitizers take a good deal more than they are asked for. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static size_t
peak_memory(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (size_t)u.ru_maxrss << 10;
}

/* N exporters from address FIRST on, each with a template, of 64 kinds. As few
 * checks as can be, for Check writes a file at each. */
static void
spoof(uint32_t first, uint32_t n)
{
	struct datagram dg = {.binding = "default", .binding_len = 7};
	struct err e;
	int rc = 0;

	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2}, {1, 1}, {2, 1});
	dg.payload = w.bytes;
	dg.len = w.len;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		from(&w, first + i);
		memcpy(dg.addr, w.addr, sizeof(dg.addr));
		w.bytes[w.len - 5] = (uint8_t)(1 + i % 8);
		w.bytes[w.len - 1] = (uint8_t)(1 + i / 8 % 8);
		rc = decoder_datagram(f.decoder, &dg, &e);
	}
	ck_assert_int_eq(rc, 0);
}

START_TEST(a_million_spoofed_exporters)
{
	enum { SPOOFED = 1000000 };
	const struct exporters *es = decoder_exporters(f.decoder);
	size_t before = peak_memory();

	/* one in use, past its trial */
	for (uint32_t i = 0; i < 40; i++) {
		begin_v9(&w, 1, i);
		from(&w, i & 1);
		if (i < 2)
			TEMPLATE(&w, 256, {7, 2});
		else
			put_data(256, 1, 2);
		send_only(&f, &w);
	}
	spoof(1000, SPOOFED);
	ck_assert_uint_le(exporters_count(es), EXPORTERS_MAX);
	ck_assert_uint_eq(exporters_evicted(es) + exporters_count(es),
			  SPOOFED + 2);
	ck_assert_uint_eq(counted(&f, LEDGER_DATAGRAMS), SPOOFED + 40);
	/* far below: 65,536 exporters and their templates */
	printf("# %zu MiB at most\n", (peak_memory() - before) >> 20);
	ck_assert_uint_le(peak_memory() - before,
			  EXPORTERS_BYTES * (SANITIZED ? 4ul : 1ul));
	flows_forget(&f);
	for (unsigned n = 0; n < 2; n++) {
		begin_v9(&w, 1, 20);
		from(&w, n);
		put_data(256, 5, 2);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_EXPIRED), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 0);
}
END_TEST

/* Memory stays bounded, and so do shapes; but those who use them up cost
 * nobody a record. */
START_TEST(a_flood_of_templates)
{
	for (uint32_t i = 0; i < 20000; i++) {
		begin_v9(&w, i / 10000, i);
		TEMPLATE(&w, (uint16_t)(256 + i % 65000), {7, 2},
			 {20000 + i, 2});
		put_data((uint16_t)(256 + i % 65000), 0x00010002, 4);
		send_only(&f, &w);
		if (i % 1000 == 0)
			flows_forget(&f);
	}
	flows_forget(&f);
	ck_assert_uint_le(decoder_shapes(f.decoder), SHAPES_MAX);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS), 20000);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS_DROPPED), 0);
	ck_assert_int_eq(decoder_flush(f.decoder, &(struct err){0}), 0);
	flows_forget(&f);
	check_alive();
	ck_assert_uint_ge(counted(&f, LEDGER_TEMPLATES_EVICTED),
			  20000 - 2 * TEMPLATES_MAX);
	ck_assert_uint_le(counted(&f, LEDGER_TEMPLATES_EVICTED),
			  20000 - 2 * (TEMPLATES_MAX / 2));
}
END_TEST

/* Shapes as wide as can be, of the longest names: bounded in bytes. */
START_TEST(a_flood_of_wide_templates)
{
	enum { FLOOD = 1200, WIDTH = 1000 };
	size_t bytes = WIDTH * (sizeof(struct field) + sizeof("e2147483648_"
							      "20000"));

	for (uint32_t i = 0; i < FLOOD; i++) {
		begin_ipfix(&w, 1, i);
		begin_set(&w, 2);
		put(&w, 256 + i, 2);
		put(&w, WIDTH, 2);
		for (unsigned k = 0; k < WIDTH; k++) {
			put(&w, 0x8000 | (20000 + k), 2);
			put(&w, 1, 2);
			put(&w, 0x80000000 + i, 4);
		}
		end_set(&w);
		begin_set(&w, (uint16_t)(256 + i));
		w.len += WIDTH;
		end_set(&w);
		send_only(&f, &w);
	}
	flows_forget(&f);
	ck_assert_uint_le(decoder_shapes(f.decoder) * bytes,
			  SHAPES_BYTES + bytes);
	ck_assert_uint_gt(FLOOD * bytes, SHAPES_BYTES + bytes);
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS), FLOOD);
	ck_assert_int_eq(decoder_flush(f.decoder, &(struct err){0}), 0);
	flows_forget(&f);
	check_alive();
}
END_TEST

/* More templates than are kept: those in use stay. */
START_TEST(a_template_in_use_is_not_evicted)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 60000, {7, 2});
	send_only(&f, &w);
	for (uint32_t i = 0; i < 3 * TEMPLATES_MAX; i++) {
		begin_v9(&w, 1, i);
		TEMPLATE(&w, (uint16_t)(256 + i), {7, 2}, {1, 4});
		if (i % 100 == 0)
			put_data(60000, 1, 2);
		send_only(&f, &w);
	}
	ck_assert_uint_gt(counted(&f, LEDGER_TEMPLATES_EVICTED), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_EXPIRED), 0);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 0);
}
END_TEST

/* Options: rates of 4096 samplers, or interfaces. */
static void
put_rates(uint16_t of)
{
	begin_set(&w, 1);
	put(&w, 300, 2);
	put(&w, 4, 2);
	put(&w, 8, 2);
	put(&w, 0x00010000, 4);
	put(&w, (uint32_t)of << 16 | 4, 4);
	put(&w, 0x00320001, 4); /* samplerRandomInterval */
	end_set(&w);
	begin_set(&w, 300);
	for (uint32_t i = 0; i < RATES_MAX; i++) {
		put(&w, i, 4);
		put(&w, 7, 1);
	}
	end_set(&w);
}

/* Many ids of one definition. */
static void
put_ids(void)
{
	begin_set(&w, 0);
	for (unsigned i = 0; i < TEMPLATES_MAX; i++) {
		put(&w, 256 + i, 2);
		put(&w, 1, 2);
		put(&w, 0x00070002, 4);
	}
	end_set(&w);
}

static void
add_up(void *ctx, const struct exporter *x)
{
	size_t *bytes = ctx;
	size_t slots = x->sampling.samplers.n + x->sampling.interfaces.n;

	*bytes += slots * sizeof(struct rate) +
		  x->templates.n * sizeof(struct template);
}

/* One after another announces much, and nothing that is counted elsewhere. */
START_TEST(what_all_announce_is_bounded)
{
	const struct exporters *es = decoder_exporters(f.decoder);
	size_t bytes = 0;

	for (uint32_t i = 0; i < 3000; i++) {
		begin_v9(&w, 1, 0);
		from(&w, i);
		if (i % 3 < 2)
			put_rates(i % 3 ? 48 : 10);
		else
			put_ids();
		send_only(&f, &w);
	}
	ck_assert_uint_gt(exporters_evicted(es), 100);
	exporters_each(es, add_up, &bytes);
	ck_assert_uint_le(bytes, EXPORTERS_BYTES);
	ck_assert_uint_gt(bytes, EXPORTERS_BYTES / 8);
	check_alive();
}
END_TEST

/*
 * Datagrams that took up to a third of a second each, N of them: who sends
 * a few of these a second must not stop the rest.  The time limit of the case
 * is what fails.
 */
static void
send_again_and_again(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		send_only(&f, &w);
	flows_forget(&f);
	check_alive();
}

START_TEST(zeros_before_the_end_of_a_set)
{
	begin_v9(&w, 1, 0);
	begin_set(&w, 0);
	memset(w.bytes + w.len, 0, 65000);
	w.len += 65000;
	put(&w, 1, 1);
	end_set(&w);
	send_again_and_again(200);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), 200);
}
END_TEST

START_TEST(sets_for_templates_that_are_not_there)
{
	begin_v9(&w, 1, 0);
	put_ids();
	send_only(&f, &w);
	begin_v9(&w, 1, 0);
	for (unsigned i = 0; i < 16000; i++) {
		begin_set(&w, 256 + 8192);
		end_set(&w);
	}
	send_again_and_again(1200);
}
END_TEST

/* Alone, and each time with another definition before it. */
START_TEST(all_withdrawn_again_and_again)
{
	for (int define = 0; define < 2; define++) {
		begin_ipfix(&w, 1, 0);
		begin_set(&w, 2);
		for (unsigned i = 0; i < TEMPLATES_MAX - 1; i++) {
			put(&w, 256 + i, 2);
			put(&w, 1, 2);
			put(&w, 0x00070002, 4);
		}
		end_set(&w);
		send_only(&f, &w);
		begin_ipfix(&w, 1, 0);
		begin_set(&w, 3);
		while (w.len < 65000) {
			if (define) {
				put(&w, 60000, 2);
				put(&w, 0x00010001, 4);
				put(&w, 0x00220004, 4);
			}
			put(&w, 3, 2);
			put(&w, 0, 2);
		}
		end_set(&w);
		send_again_and_again(400);
	}
	/* each datagram withdrew what there was, once */
	ck_assert_uint_eq(counted(&f, LEDGER_TEMPLATES_WITHDRAWN), 800);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_TEMPLATE), 800);
}
END_TEST

/*
 * Definitions that a hash without a seed, of multiplications and shifts, could
 * not tell apart: the highest bit of a factor is that of the product, so two
 * fields in a row can undo what they do.
 */
static void
put_twin_fields(uint32_t which)
{
	for (unsigned i = 0; i < 14; i++) {
		bool other = which >> i & 1;

		put(&w, 1000, 2);
		put(&w, other ? 0x8001 : 1, 2);
		put(&w, other ? 1000 ^ 4 : 1000, 2);
		put(&w, other ? 0x8001 : 1, 2);
	}
}

START_TEST(definitions_of_one_hash)
{
	for (uint32_t i = 0; i < 30 * 16384; i++) {
		if (i % 256 == 0) {
			begin_v9(&w, i / 4096 % 4, i);
			begin_set(&w, 0);
		}
		put(&w, 256 + i % 4096, 2);
		put(&w, 28, 2);
		put_twin_fields(i % 16384);
		if (i % 256 == 255) {
			end_set(&w);
			send_only(&f, &w);
		}
	}
	ck_assert_uint_eq(counted(&f, LEDGER_TEMPLATES), 30 * 16384);
	check_alive();
}
END_TEST

START_TEST(text_from_the_wire)
{
	static const char bad[] = "Gi\xff"
				  "0\x1b[2J\xc3";
	struct value v;

	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {82, 65535}, {83, 12});
	begin_set(&w, 256);
	put(&w, sizeof(bad) - 1, 1);
	put_bytes(&w, bad, sizeof(bad) - 1);
	put_bytes(&w, "uplink\0\0\0\0\0\0", 12);
	end_set(&w);
	send_wire(&f, &w);
	v = value_of(&f, 0, "interface_name");
	ck_assert_uint_eq(v.len, 13);
	ck_assert_mem_eq(v.s,
			 "Gi\xef\xbf\xbd"
			 "0\x1b[2J\xef\xbf\xbd",
			 13);
	v = value_of(&f, 0, "interface_description");
	ck_assert_uint_eq(v.len, 6);
	ck_assert_mem_eq(v.s, "uplink", 6);
}
END_TEST

START_TEST(no_netflow_at_all)
{
	static const uint16_t versions[] = {0, 2, 3, 4, 6, 8, 11, 65535};

	for (size_t i = 0; i < 8; i++) {
		begin_v9(&w, 1, 0);
		w.bytes[0] = (uint8_t)(versions[i] >> 8);
		w.bytes[1] = (uint8_t)versions[i];
		send_wire(&f, &w);
	}
	w.len = 0;
	send_wire(&f, &w);
	begin_v9(&w, 1, 0);
	w.len = 1;
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_BAD_VERSION), 10);
	check_alive();
}
END_TEST

START_TEST(random_bytes_in_a_good_frame)
{
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)random() % 200;

		if (i % 2)
			begin_v9(&w, 1, 0);
		else
			begin_ipfix(&w, 1, 0);
		while (n-- > 0)
			put(&w, (uint64_t)random() % 8 ? 0 : random(), 1);
		send_only(&f, &w);
		if (f.n > 2000)
			flows_forget(&f);
	}
	send_wire(&f, &w);
	flows_forget(&f);
	check_alive();
}
END_TEST

/* Datagrams that once took long: each test takes a second at most. */
static TCase *
costs(void)
{
	TCase *t = tcase_create("costs");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, zeros_before_the_end_of_a_set);
	tcase_add_test(t, sets_for_templates_that_are_not_there);
	tcase_add_test(t, all_withdrawn_again_and_again);
	tcase_add_test(t, definitions_of_one_hash);
	return t;
}

int
main(void)
{
	Suite *s = suite_create("hostile");
	TCase *t = tcase_create("hostile");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, odd_length_of_every_known_field);
	tcase_add_test(t, set_length_0_to_3);
	tcase_add_test(t, set_ids_2_to_255);
	tcase_add_test(t, trailing_1_to_3_bytes);
	tcase_add_test(t, padding_is_no_record_and_ends_with_its_set);
	tcase_add_test(t, lengths_that_sum_past_65535);
	tcase_add_test(t, record_size_0);
	tcase_add_test(t, redefined_as_options_and_back_between_data);
	tcase_add_test(t, invalid_redefinition_drops_the_old);
	tcase_add_test(t, options_scope_length);
	tcase_add_test(t, options_scope_count);
	tcase_add_test(t, variable_length_cut_at_every_byte);
	tcase_add_test(t, datagram_cut_at_every_byte);
	tcase_add_test(t, v5_count_is_not_the_size);
	tcase_add_test(t, v9_count_is_wrong);
	tcase_add_test(t, ipfix_length_is_wrong);
	tcase_add_test(t, hundreds_of_fields);
	tcase_add_test(t, as_numbers_of_4_bytes);
	tcase_add_test(t, field_count_past_the_set);
	tcase_add_test(t, datagrams_of_65507_bytes);
	tcase_add_test(t, a_million_spoofed_exporters);
	tcase_add_test(t, a_flood_of_templates);
	tcase_add_test(t, a_flood_of_wide_templates);
	tcase_add_test(t, a_template_in_use_is_not_evicted);
	tcase_add_test(t, what_all_announce_is_bounded);
	tcase_add_test(t, text_from_the_wire);
	tcase_add_test(t, no_netflow_at_all);
	tcase_add_test(t, random_bytes_in_a_good_frame);
	suite_add_tcase(s, t);
	suite_add_tcase(s, costs());
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
