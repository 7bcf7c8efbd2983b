/* SPDX-License-Identifier: BSD-2-Clause */
/* What honest exporters send, and the numbers that come of it. */
#include <check.h>
#include <string.h>

#include "common/text.h"
#include "t/flows.h"

static struct wire w;
static struct flows f;

static const int64_t base_us = (int64_t)SECS * 1000000;

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
check_text(uint32_t row, const char *field, const char *want)
{
	struct value v = value_of(&f, row, field);
	char text[TEXT_MAX + 1];

	if (v.type == COL_STRING || v.type == COL_BYTES) {
		ck_assert_uint_eq(v.len, strlen(want));
		ck_assert_mem_eq(v.s, want, v.len);
		return;
	}
	text[text_value(text, &v)] = '\0';
	ck_assert_msg(strcmp(text, want) == 0, "%s is %s, not %s", field, text,
		      want);
}

static void
check_type(uint32_t row, const char *field, enum col_type want)
{
	struct value v = value_of(&f, row, field);

	ck_assert_msg(v.type == want, "%s is of type %s, not %s", field,
		      col_type_name(v.type), col_type_name(want));
}

START_TEST(v5_record)
{
	begin_v5(&w, 1, 9);
	w.bytes[20] = 2; /* engine type, id; sampling mode 1, interval 100 */
	w.bytes[21] = 71;
	w.bytes[22] = 0x40;
	w.bytes[23] = 100;
	put_v5(&w, 90000, 99000);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1);
	check_text(0, "src_addr", "10.1.2.3");
	check_text(0, "dst_addr", "10.4.5.6");
	check_text(0, "next_hop", "0.0.0.0");
	check_text(0, "input", "1");
	check_text(0, "output", "2");
	check_text(0, "packet_count", "1");
	check_text(0, "octet_count", "10");
	check_text(0, "first", "90000");
	check_text(0, "last", "99000");
	check_text(0, "src_port", "1234");
	check_text(0, "dst_port", "443");
	check_text(0, "tcp_flags", "18");
	check_text(0, "protocol", "6");
	check_text(0, "tos", "0");
	check_text(0, "start_time", "2023-11-14T22:13:10Z");
	check_text(0, "end_time", "2023-11-14T22:13:19Z");
	check_text(0, "_time", "2023-11-14T22:13:20.000042Z");
	check_text(0, "exporter", "10.0.0.1");
	check_text(0, "exporter_port", "2055");
	check_text(0, "binding", "default");
	check_text(0, "source_id", "583");
	check_text(0, "version", "5");
	check_text(0, "sampling_rate", "100");
	check_text(0, "sampling_source", "announced");
	check_type(0, "octet_count", COL_U32);
	check_type(0, "exporter", COL_IPV4);
	check_type(0, "duration", COL_NULL);
	ck_assert_uint_eq(f.batches[0]->number, 1);
}
END_TEST

START_TEST(v1_and_v7_records)
{
	begin_v5(&w, 1, 0);
	w.bytes[1] = 1;
	w.len -= 8; /* no sequence, no engine */
	put_v5(&w, 90000, 99000);
	/* prot, tos and flags are where v5 has flags, prot and tos */
	w.bytes[16 + 38] = 17;
	w.bytes[16 + 39] = 4;
	w.bytes[16 + 40] = 1;
	send_wire(&f, &w);
	check_text(0, "version", "1");
	check_text(0, "protocol", "17");
	check_text(0, "tos", "4");
	check_text(0, "tcp_flags", "1");
	check_text(0, "end_time", "2023-11-14T22:13:19Z");
	flows_forget(&f);

	begin_v5(&w, 1, 0);
	w.bytes[1] = 7;
	put_v5(&w, 90000, 99000);
	put(&w, 0x0a000063, 4);
	send_wire(&f, &w);
	check_text(0, "version", "7");
	check_text(0, "protocol", "6");
	check_text(0, "ipv4_router_sc", "10.0.0.99");
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_MALFORMED), 0);
}
END_TEST

START_TEST(exporter_of_ipv6)
{
	begin_v9(&w, 3, 0);
	memset(w.addr, 0, 16);
	w.addr[0] = 0x20;
	w.addr[15] = 1;
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 1, 2);
	send_wire(&f, &w);
	check_type(0, "exporter", COL_IP);
	check_text(0, "exporter", "2000::1");
}
END_TEST

START_TEST(several_data_sets_in_a_datagram)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	TEMPLATE(&w, 257, {11, 2});
	put_data(256, 1, 2);
	put_data(999, 0, 8); /* unknown: it alone is lost */
	put_data(257, 0x00020003, 4);
	put_data(256, 4, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 4);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_DECODED), 3);
}
END_TEST

START_TEST(several_templates_in_a_set)
{
	begin_ipfix(&w, 1, 0);
	begin_set(&w, 2);
	put(&w, 256, 2);
	put(&w, 1, 2);
	put(&w, 0x00070002, 4);
	put(&w, 257, 2);
	put(&w, 1, 2);
	put(&w, 0x000b0002, 4);
	end_set(&w);
	put_data(256, 1, 2);
	put_data(257, 2, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	ck_assert_uint_eq(number_of(&f, 1, "dst_port"), 2);
}
END_TEST

/* Keyed by id alone, devices overwrite each other's. */
START_TEST(templates_are_of_exporter_version_and_source)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	send_wire(&f, &w);
	begin_v9(&w, 2, 0);
	TEMPLATE(&w, 256, {11, 2});
	send_wire(&f, &w);
	begin_v9(&w, 1, 0);
	from(&w, 2);
	TEMPLATE(&w, 256, {1, 2});
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {2, 2});
	send_wire(&f, &w);

	begin_v9(&w, 1, 1);
	w.port = 7777; /* of another port of the same exporter */
	put_data(256, 42, 2);
	send_wire(&f, &w);
	check_text(0, "src_port", "42");
	check_text(0, "exporter_port", "7777");
	begin_v9(&w, 2, 1);
	put_data(256, 43, 2);
	send_wire(&f, &w);
	check_text(1, "dst_port", "43");
	begin_v9(&w, 1, 1);
	from(&w, 2);
	put_data(256, 44, 2);
	send_wire(&f, &w);
	check_text(2, "octet_count", "44");
	check_text(2, "exporter", "10.0.0.2");
}
END_TEST

START_TEST(redefinition)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 1, 2);
	TEMPLATE(&w, 256, {7, 4});
	put_data(256, 70000, 4);
	TEMPLATE(&w, 256, {7, 4}); /* the same again changes nothing */
	put_data(256, 70001, 4);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 3);
	check_text(0, "src_port", "1");
	check_text(1, "src_port", "70000");
	check_text(2, "src_port", "70001");
	check_type(1, "src_port", COL_U32);
}
END_TEST

/* As exporters do all day: nothing adds up in the bounds. */
START_TEST(templates_sent_again_and_again)
{
	for (uint32_t i = 0; i < 30000; i++) {
		begin_v9(&w, 1, i);
		TEMPLATE(&w, 256, {7, 2});
		TEMPLATE(&w, 257, {7, 2}, {1, 4 + i % 2});
		put_data(256, i, 2);
		put_data(257, 1, 6 + i % 2);
		send_only(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_RECORDS), 60000);
	ck_assert_uint_eq(counted(&f, LEDGER_TEMPLATES_EVICTED), 0);
}
END_TEST

START_TEST(withdrawal)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	TEMPLATE(&w, 257, {7, 2});
	TEMPLATE(&w, 258, {7, 2});
	begin_set(&w, 2);
	put(&w, 256, 2);
	put(&w, 0, 2);
	end_set(&w);
	put_data(256, 1, 2);
	put_data(257, 1, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1);
	begin_ipfix(&w, 1, 1);
	begin_set(&w, 2); /* all */
	put(&w, 2, 2);
	put(&w, 0, 2);
	end_set(&w);
	put_data(257, 1, 2);
	put_data(258, 1, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1);
	/* the first went with its template */
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_EXPIRED), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_SETS_WAITING), 2);
}
END_TEST

START_TEST(integers_of_1_to_8_bytes)
{
	static const enum col_type types[] = {COL_U8,  COL_U16, COL_U32,
					      COL_U32, COL_U64, COL_U64,
					      COL_U64, COL_U64};

	for (uint16_t len = 1; len <= 8; len++) {
		uint64_t v = 0xf1f2f3f4f5f6f7f8 >> (64 - 8 * len);

		begin_v9(&w, 1, 0);
		TEMPLATE(&w, 256, {1, len}, {16, len});
		begin_set(&w, 256);
		for (int i = 0; i < 3; i++) {
			put(&w, v, len);
			put(&w, 1, len);
		}
		end_set(&w);
		send_wire(&f, &w);
		for (uint32_t i = 0; i < 3; i++) {
			ck_assert_uint_eq(number_of(&f, i, "octet_count"), v);
			ck_assert_uint_eq(number_of(&f, i, "src_as"), 1);
		}
		check_type(0, "octet_count", types[len - 1]);
		flows_forget(&f);
	}
}
END_TEST

START_TEST(signed_floats_and_booleans)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {434, 2}, {320, 4}, {321, 8}, {276, 1}, {388, 1});
	begin_set(&w, 256);
	put(&w, 0xfffe, 2);
	put(&w, 0x3fc00000, 4); /* 1.5 */
	put(&w, 0xc004000000000000, 8);
	put(&w, 1, 1);
	put(&w, 2, 1);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "mib_object_value_integer", "-2");
	check_text(0, "absolute_error", "1.5");
	check_text(0, "relative_error", "-2.5");
	check_text(0, "data_records_reliability", "true");
	check_text(0, "dot1q_dei", "false");
}
END_TEST

START_TEST(macs_and_bytes)
{
	struct value v;

	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {56, 6}, {95, 4}, {70, 3}, {313, 65535});
	begin_set(&w, 256);
	put(&w, 0x001122334455, 6);
	put(&w, 0x0d000001, 4);
	put(&w, 0x012345, 3);
	put(&w, 0x02abcd, 3);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "src_mac_address", "00:11:22:33:44:55");
	v = value_of(&f, 0, "application_id");
	ck_assert_uint_eq(v.len, 4);
	ck_assert_mem_eq(v.s, "\x0d\0\0\1", 4);
	v = value_of(&f, 0, "ip_header_packet_section");
	ck_assert_uint_eq(v.len, 2);
	ck_assert_mem_eq(v.s, "\xab\xcd", 2);
}
END_TEST

START_TEST(unknown_fields_are_kept)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {(12345ull << 16) + 7, 3}, {600, 2}, {4, 17}, {1, 8});
	begin_set(&w, 256);
	put_bytes(&w, "abcde", 5);
	put_bytes(&w, "0123456789abcdefg", 17);
	put(&w, 5000000000, 8);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "e12345_7", "abc");
	check_text(0, "e0_600", "de");
	/* of a length that it cannot have: no number */
	check_text(0, "e0_4", "0123456789abcdefg");
	check_text(0, "octet_count", "5000000000");
}
END_TEST

START_TEST(reverse_and_enterprise_elements)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {1, 4}, {(29305ull << 16) + 1, 4},
		 {(9ull << 16) + 4315, 4});
	begin_set(&w, 256);
	put(&w, 10, 4);
	put(&w, 20, 4);
	put(&w, 30, 4);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "octet_count", "10");
	check_text(0, "reverse_octet_count", "20");
	check_text(0, "tcp_window_size_min", "30");
}
END_TEST

START_TEST(v9_types_above_32767)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {40000, 5}, {33002, 2}, {50000, 1});
	begin_set(&w, 256);
	put_bytes(&w, "joe\0\0", 5);
	put(&w, 1001, 2);
	put(&w, 'x', 1);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "user_name", "joe");
	check_text(0, "firewall_event_extended", "1001");
	check_text(0, "e0_50000", "x");
}
END_TEST

START_TEST(fields_without_length_have_no_column)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {11, 0}, {7, 2}, {210, 3}, {4, 1});
	put_data(256, 0x0001ffffff06, 6);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 1);
	check_type(0, "dst_port", COL_NULL);
	check_type(0, "padding_octets", COL_NULL);
	check_text(0, "protocol", "6");
}
END_TEST

static void
put_pair(uint32_t v4, uint64_t high, uint64_t low)
{
	put(&w, v4, 4);
	put(&w, high, 8);
	put(&w, low, 8);
}

START_TEST(addresses_of_both_families)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {8, 4}, {27, 16});
	begin_set(&w, 256);
	put_pair(0x0a000001, 0, 0);
	put_pair(0x0a000001, 0xfe80ull << 48, 1);
	put_pair(0, 0xfe80ull << 48, 1);
	put_pair(0, 0, 0);
	end_set(&w);
	send_wire(&f, &w);
	check_type(0, "src_addr", COL_IP);
	check_text(0, "src_addr", "10.0.0.1");
	check_text(1, "src_addr", "10.0.0.1");
	check_text(2, "src_addr", "fe80::1");
	check_text(3, "src_addr", "0.0.0.0");
	check_text(1, "src_addr_v4", "10.0.0.1");
	check_text(1, "src_addr_v6", "fe80::1");
	check_text(2, "src_addr_v4", "0.0.0.0");
	flows_forget(&f);

	begin_v9(&w, 1, 1);
	TEMPLATE(&w, 256, {27, 16}, {62, 16}, {12, 16});
	begin_set(&w, 256);
	for (int i = 0; i < 3; i++) {
		put(&w, 0x20010db8ull << 32, 8);
		put(&w, 7 + i, 8);
	}
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "src_addr", "2001:db8::7");
	check_text(0, "next_hop", "2001:db8::8");
	check_text(0, "dst_addr", "2001:db8::9"); /* IPv4 in 16 bytes */
	check_type(0, "src_addr_v6", COL_NULL);
}
END_TEST

START_TEST(a_field_twice)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {2, 4}, {2, 2}, {2, 4}, {8, 4}, {8, 4});
	begin_set(&w, 256);
	put(&w, 1, 4);
	put(&w, 2, 2);
	put(&w, 3, 4);
	put(&w, 0x0a000001, 4);
	put(&w, 0x0a000002, 4);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "packet_count", "1");
	check_text(0, "packet_count_2", "2");
	check_text(0, "packet_count_3", "3");
	check_text(0, "src_addr", "10.0.0.1");
	check_text(0, "src_addr_2", "10.0.0.2");
}
END_TEST

/* Uptime arithmetic. */

static void
check_uptime(uint32_t uptime, uint32_t ms, int64_t want_ms)
{
	struct value v;

	begin_v5(&w, 1, 0);
	for (int i = 0; i < 4; i++)
		w.bytes[4 + i] = (uint8_t)(uptime >> (24 - 8 * i));
	put_v5(&w, ms, ms);
	send_wire(&f, &w);
	v = value_of(&f, 0, "start_time");
	ck_assert_int_eq(v.i, base_us + want_ms * 1000);
	ck_assert_int_eq(value_of(&f, 0, "end_time").i, v.i);
	ck_assert_uint_eq(number_of(&f, 0, "first"), ms);
	flows_forget(&f);
}

START_TEST(uptime_difference_is_signed)
{
	check_uptime(100000, 100000, 0);
	check_uptime(100000, 99000, -1000);
	/* after the header's */
	check_uptime(100000, 100500, 500);
	/* before a wrap of 32 bits, the header after it */
	check_uptime(1000, 4294967295u, -1001);
	check_uptime(0, 4294967295u, -1);
	check_uptime(4294967295u, 0, 1);
	check_uptime(4294967295u, 4294967294u, -1);
	/* 24.8 days are the limit */
	check_uptime(0x7fffffff, 0, -2147483647);
}
END_TEST

START_TEST(absolute_times)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {150, 4}, {152, 8}, {151, 4}, {155, 8});
	begin_set(&w, 256);
	put(&w, 1700000000, 4);
	put(&w, 1700000000123, 8);
	put(&w, 1700000001, 4);
	put(&w, 1700000001ull + 2208988800u, 4); /* NTP, and a half */
	put(&w, 0x80000000, 4);
	end_set(&w);
	send_wire(&f, &w);
	/* the finest takes the name */
	check_text(0, "start_time", "2023-11-14T22:13:20.123Z");
	check_text(0, "start_time_2", "2023-11-14T22:13:20Z");
	check_text(0, "end_time", "2023-11-14T22:13:21.5Z");
	check_text(0, "end_time_2", "2023-11-14T22:13:21Z");
	flows_forget(&f);

	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 257, {156, 8}, {157, 8});
	begin_set(&w, 257);
	put(&w, 1700000000ull + 2208988800u, 4);
	put(&w, 0x40000000, 4);
	put(&w, 0, 8);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "start_time", "2023-11-14T22:13:20.25Z");
	check_text(0, "flow_start_nanoseconds", "1700000000250000000");
	check_text(0, "end_time", "1970-01-01T00:00:00Z");
}
END_TEST

START_TEST(times_that_are_worked_out)
{
	/* deltas before the export */
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {158, 4}, {159, 4});
	put_data(256, (uint64_t)3000000 << 32 | 500000, 8);
	send_wire(&f, &w);
	check_text(0, "start_time", "2023-11-14T22:13:17Z");
	check_text(0, "end_time", "2023-11-14T22:13:19.5Z");
	flows_forget(&f);

	/* uptime, and when that began */
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {22, 4}, {160, 8}, {21, 4});
	begin_set(&w, 256);
	for (int i = 0; i < 2; i++) {
		put(&w, 1000, 4);
		put(&w, 1699999000000 + i, 8);
		put(&w, 2000, 4);
	}
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "start_time", "2023-11-14T21:56:41Z");
	check_text(1, "end_time", "2023-11-14T21:56:42.001Z");
	flows_forget(&f);

	/* one end and a duration */
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {152, 8}, {161, 4});
	TEMPLATE(&w, 257, {162, 4}, {153, 8});
	begin_set(&w, 256);
	put(&w, 1700000000000, 8);
	put(&w, 1500, 4);
	end_set(&w);
	begin_set(&w, 257);
	put(&w, 1500, 4);
	put(&w, 1700000000000, 8);
	end_set(&w);
	send_wire(&f, &w);
	check_text(0, "end_time", "2023-11-14T22:13:21.5Z");
	check_text(1, "start_time", "2023-11-14T22:13:19.9985Z");
	flows_forget(&f);

	/* IPFIX has no uptime in its header */
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {22, 4}, {21, 4});
	put_data(256, 1, 8);
	send_wire(&f, &w);
	check_type(0, "start_time", COL_NULL);
	check_type(0, "first", COL_U32);
}
END_TEST

static void
check_start(uint32_t row, int64_t want_us)
{
	ck_assert_int_eq(value_of(&f, row, "start_time").i, want_us);
}

static void
put_init_template(void)
{
	begin_set(&w, 3);
	put(&w, 300, 2);
	put(&w, 2, 2);
	put(&w, 1, 2);
	put(&w, 0x00950004, 4); /* observationDomainId */
	put(&w, 0x00a00008, 4);
	end_set(&w);
}

static void
put_init(uint64_t init_ms)
{
	begin_set(&w, 300);
	put(&w, 1, 4);
	put(&w, init_ms, 8);
	end_set(&w);
}

/* IPFIX exporters tell in options when their uptime began. */
START_TEST(start_of_the_system_in_options)
{
	uint64_t init_ms = (uint64_t)SECS * 1000 - 5000000000; /* 57.9 days */

	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {22, 4}, {21, 4});
	put_data(256, 1, 8);
	put_init_template();
	put_init(init_ms);
	/* wrapped once: a second before the export */
	put_data(256, (5000000000 - 1000) % (1ull << 32) << 32 | 0, 8);
	send_wire(&f, &w);
	check_type(0, "start_time", COL_NULL);
	check_start(1, base_us - 1000000);
	/* and in datagrams to come */
	begin_ipfix(&w, 1, 3);
	put_data(256, (5000000000 + 500) % (1ull << 32) << 32 | 0, 8);
	send_wire(&f, &w);
	check_start(2, base_us + 500000);
}
END_TEST

/* The options waited: what follows in the datagram that tells how to read them
 * has the new start, too.  0 is none. */
START_TEST(start_of_the_system_that_waited)
{
	uint64_t init_ms = (uint64_t)SECS * 1000 - 7000;

	begin_ipfix(&w, 1, 0);
	put_init(init_ms);
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 1);
	TEMPLATE(&w, 256, {22, 4});
	put_init_template();
	put_data(256, 2000, 4);
	put_init(0);
	put_data(256, 3000, 4);
	send_wire(&f, &w);
	check_start(0, base_us - 5000000);
	check_start(1, base_us - 4000000);
}
END_TEST

START_TEST(times_past_the_end_of_time)
{
	begin_ipfix(&w, 1, 0);
	TEMPLATE(&w, 256, {152, 8}, {151, 8}, {161, 8});
	begin_set(&w, 256);
	put(&w, UINT64_MAX, 8);
	put(&w, UINT64_MAX, 8);
	put(&w, UINT64_MAX, 8);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_int_eq(value_of(&f, 0, "start_time").i, INT64_MAX);
	ck_assert_int_eq(value_of(&f, 0, "end_time").i, INT64_MAX);
}
END_TEST

/* Sampling. */

static void
check_rate(uint32_t row, uint32_t rate, const char *source)
{
	ck_assert_uint_eq(number_of(&f, row, "sampling_rate"), rate);
	check_text(row, "sampling_source", source);
}

/* Template ID and a record of v9 options: a scope of 4 bytes, and one or two
 * fields of 4. */
struct announcement {
	uint16_t id, scope;
	uint32_t who;
	struct {
		uint16_t field;
		uint32_t value;
	} is[2];
};

static void
put_options(struct announcement a)
{
	uint16_t n = a.is[1].field ? 2 : 1;

	begin_set(&w, 1);
	put(&w, a.id, 2);
	put(&w, 4, 2);
	put(&w, 4 * n, 2);
	put(&w, (uint32_t)a.scope << 16 | 4, 4);
	for (uint16_t i = 0; i < n; i++)
		put(&w, (uint32_t)a.is[i].field << 16 | 4, 4);
	end_set(&w);
	begin_set(&w, a.id);
	put(&w, a.who, 4);
	for (uint16_t i = 0; i < n; i++)
		put(&w, a.is[i].value, 4);
	end_set(&w);
}

START_TEST(sampling_is_announced_and_never_multiplied)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {1, 4});
	put_data(256, 100, 4);
	put_options((struct announcement){257, 1, 0, {{34, 10}}});
	put_data(256, 100, 4);
	send_wire(&f, &w);
	check_rate(0, 1, "unknown"); /* before it was announced */
	check_rate(1, 10, "announced");
	check_text(1, "octet_count", "100");
	/* again, from another port, with another rate */
	begin_v9(&w, 1, 1);
	w.port = 4000;
	put_options((struct announcement){257, 1, 0, {{34, 10}}});
	put_options((struct announcement){257, 1, 0, {{34, 20}}});
	send_wire(&f, &w);
	begin_v9(&w, 1, 2);
	put_data(256, 100, 4);
	send_wire(&f, &w);
	check_rate(2, 20, "announced");
	check_text(2, "octet_count", "100");
	/* another exporter is another matter */
	begin_v9(&w, 1, 2);
	from(&w, 2);
	TEMPLATE(&w, 256, {1, 4});
	put_data(256, 100, 4);
	send_wire(&f, &w);
	check_rate(3, 1, "unknown");
}
END_TEST

START_TEST(sampling_per_sampler)
{
	begin_v9(&w, 1, 0);
	put_options((struct announcement){300, 1, 0, {{48, 1}, {50, 100}}});
	put_options((struct announcement){300, 1, 0, {{48, 2}, {50, 200}}});
	TEMPLATE(&w, 256, {48, 1}, {1, 4});
	begin_set(&w, 256);
	for (int i = 1; i <= 4; i++) {
		put(&w, i == 4 ? 2 : i, 1);
		put(&w, 7, 4);
	}
	end_set(&w);
	send_wire(&f, &w);
	check_rate(0, 100, "announced");
	check_rate(1, 200, "announced");
	check_rate(2, 1, "unknown"); /* sampler 3 */
	check_rate(3, 200, "announced");
	check_text(3, "octet_count", "7");
}
END_TEST

START_TEST(sampling_per_interface)
{
	begin_v9(&w, 1, 0);
	put_options((struct announcement){
	    300, 2, 11, {{34, 1000}}}); /* scope: interface */
	TEMPLATE(&w, 256, {10, 4}, {1, 4});
	put_data(256, (uint64_t)11 << 32 | 5, 8);
	put_data(256, (uint64_t)12 << 32 | 6, 8);
	send_wire(&f, &w);
	check_rate(0, 1000, "announced");
	check_rate(1, 1, "unknown");
}
END_TEST

START_TEST(sampling_in_ipfix)
{
	begin_ipfix(&w, 1, 0);
	begin_set(&w, 3);
	put(&w, 300, 2);
	put(&w, 3, 2);
	put(&w, 1, 2);
	put(&w, 0x012e0008, 4); /* selectorId */
	put(&w, 0x01310004, 4); /* samplingPacketInterval */
	put(&w, 0x01320004, 4); /* samplingPacketSpace */
	end_set(&w);
	begin_set(&w, 300);
	put(&w, 5, 8);
	put(&w, 1, 4);
	put(&w, 999, 4);
	end_set(&w);
	TEMPLATE(&w, 256, {302, 8}, {82, 65535}, {1, 4});
	begin_set(&w, 256);
	put(&w, 5, 8);
	put(&w, 0x0161, 2);
	put(&w, 50, 4);
	put(&w, 6, 8);
	put(&w, 0, 1);
	put(&w, 60, 4);
	end_set(&w);
	send_wire(&f, &w);
	check_rate(0, 1000, "announced");
	check_rate(1, 1, "unknown");
	check_text(0, "octet_count", "50");
	check_text(1, "octet_count", "60");
	check_text(0, "interface_name", "a");
}
END_TEST

START_TEST(sampling_in_the_record)
{
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {34, 4});
	put_data(256, (uint64_t)8 << 32 | 16, 8);
	send_wire(&f, &w);
	check_rate(0, 8, "announced");
	check_rate(1, 16, "announced");
	check_text(0, "sampling_interval", "8");
}
END_TEST

START_TEST(sampling_configured)
{
	begin_v5(&w, 1, 0);
	w.bytes[23] = 100;
	put_v5(&w, 1, 2);
	ck_assert_int_eq(decoder_configure_rate(f.decoder, w.addr, 5), 0);
	send_wire(&f, &w);
	check_rate(0, 5, "configured");
}
END_TEST

/* Sequence numbers. */

START_TEST(sequence_of_v9_counts_datagrams)
{
	static const uint32_t order[] = {5, 6, 9, 10, 8, 11};

	for (int i = 0; i < 6; i++) {
		begin_v9(&w, 1, order[i]);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_REORDERED), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), 1); /* 7 */
	/* started anew: low numbers that follow each other */
	for (uint32_t i = 0; i < 3; i++) {
		begin_v9(&w, 1, i);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_RESTARTS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 1);
	/* far away is a restart at once, and a wrap is none */
	begin_v9(&w, 1, 0xffffffff);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 1);
	begin_v9(&w, 3, 0xffffffff);
	send_wire(&f, &w);
	begin_v9(&w, 3, 0);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_RESTARTS), 1);
}
END_TEST

/* Datagrams of one record each with these numbers; so much is missing. */
static void
check_sequence(const uint32_t *numbers, size_t n, uint64_t missing,
	       uint64_t reordered)
{
	for (size_t i = 0; i < n; i++) {
		begin_v5(&w, 1, numbers[i]);
		put_v5(&w, 1, 2);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), missing);
	ck_assert_uint_eq(counted(&f, LEDGER_REORDERED), reordered);
	ck_assert_uint_eq(counted(&f, LEDGER_RESTARTS), 0);
}

#define SEQUENCE(missing, reordered, ...)                        \
	check_sequence((const uint32_t[]){__VA_ARGS__},          \
		       sizeof((const uint32_t[]){__VA_ARGS__}) / \
			   sizeof(uint32_t),                     \
		       missing, reordered)

/* What comes twice does not make up for what is lost. */
START_TEST(sequence_with_duplicates)
{
	SEQUENCE(2, 5, 10, 10, 11, 11, 13, 13, 15, 15, 16, 16);
}
END_TEST

START_TEST(sequence_with_late_ones_in_a_row)
{
	SEQUENCE(0, 3, 10, 14, 11, 12, 13, 15);
}
END_TEST

/* Each gap is filled once, in any order, across the wrap too. */
START_TEST(sequence_with_gaps_filled_once)
{
	SEQUENCE(1, 6, 0xfffffffd, 2, 0xffffffff, 0xffffffff, 1, 0xfffffffe, 1,
		 0xffffffff, 3);
}
END_TEST

START_TEST(sequence_of_v5_counts_flows)
{
	static const uint32_t starts[] = {100, 102, 104, 110};

	for (int i = 0; i < 4; i++) {
		begin_v5(&w, 2, starts[i]);
		put_v5(&w, 1, 2);
		put_v5(&w, 1, 2);
		send_wire(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 1);
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), 4);
}
END_TEST

START_TEST(sequence_of_ipfix_counts_records)
{
	begin_ipfix(&w, 1, 1000);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 1, 8); /* four */
	send_wire(&f, &w);
	begin_ipfix(&w, 1, 1004);
	put_data(256, 1, 4);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_GAPS), 0);
	begin_ipfix(&w, 1, 1008);
	put_data(999, 1, 4); /* who knows how many */
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), 2);
	begin_ipfix(&w, 1, 1020);
	send_wire(&f, &w);
	ck_assert_uint_eq(counted(&f, LEDGER_MISSING), 2);
}
END_TEST

/* Batches. */

START_TEST(batches_of_4096_rows)
{
	begin_v5(&w, 30, 0);
	for (int i = 0; i < 30; i++)
		put_v5(&w, (uint32_t)i, 99);
	for (int i = 0; i < 300; i++) {
		w.time_us = i;
		send_only(&f, &w);
	}
	ck_assert_uint_eq(f.n, 2);
	ck_assert_uint_eq(f.batches[0]->rows, PILE_ROWS);
	ck_assert_uint_eq(f.batches[0]->number, 1);
	ck_assert_uint_eq(f.batches[1]->rows, PILE_ROWS);
	ck_assert_uint_eq(f.batches[1]->number, 2);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 301 * 30);
	for (uint32_t i = 0; i < 300 * 30; i += 7) {
		ck_assert_uint_eq(number_of(&f, i, "first"), i % 30);
		ck_assert_uint_eq(number_of(&f, i, "_time"), i / 30);
	}
}
END_TEST

START_TEST(what_is_equal_for_all_stays_one_value)
{
	int at;

	begin_v5(&w, 2, 0);
	put_v5(&w, 1, 2);
	put_v5(&w, 1, 2);
	send_only(&f, &w);
	w.port = 1;
	from(&w, 2);
	send_only(&f, &w);
	w.bytes[23] = 7; /* sampled */
	send_wire(&f, &w);
	ck_assert_uint_eq(f.n, 1);
	at = shape_find(f.batches[0]->shape, "binding");
	ck_assert(f.batches[0]->cols[at].constant);
	at = shape_find(f.batches[0]->shape, "exporter");
	ck_assert(!f.batches[0]->cols[at].constant);
	check_text(1, "exporter", "10.0.0.1");
	check_text(2, "exporter", "10.0.0.2");
	check_text(1, "exporter_port", "2055");
	check_text(5, "exporter_port", "1");
	check_rate(3, 1, "unknown");
	check_rate(4, 7, "announced");
}
END_TEST

START_TEST(batches_go_after_100_ms)
{
	struct err e;

	begin_v5(&w, 1, 0);
	put_v5(&w, 1, 2);
	ck_assert_int_eq(decoder_tick(f.decoder, 1000, &e), 0);
	send_only(&f, &w);
	ck_assert_int_eq(decoder_tick(f.decoder, 1099, &e), 0);
	ck_assert_uint_eq(f.rows, 0);
	begin_v9(&w, 1, 0);
	TEMPLATE(&w, 256, {7, 2});
	put_data(256, 1, 2);
	send_only(&f, &w);
	ck_assert_int_eq(decoder_tick(f.decoder, 1100, &e), 0);
	ck_assert_uint_eq(f.rows, 1);
	ck_assert_int_eq(decoder_tick(f.decoder, 1200, &e), 0);
	ck_assert_uint_eq(f.rows, 2);
	ck_assert_uint_eq(f.commits, 2);
}
END_TEST

START_TEST(exporters_share_a_batch_of_one_shape)
{
	for (unsigned i = 0; i < 50; i++) {
		begin_v9(&w, i, 0);
		from(&w, i);
		if (i % 2) /* another template of the same shape */
			TEMPLATE(&w, (uint16_t)(300 + i), {7, 2}, {1, 4});
		else
			TEMPLATE(&w, (uint16_t)(300 + i), {1, 4}, {7, 2});
		begin_set(&w, (uint16_t)(300 + i));
		put(&w, i % 2 ? i : 0, 2);
		put(&w, i % 2 ? 0 : i, 4);
		end_set(&w);
		send_only(&f, &w);
	}
	send_wire(&f, &w);
	ck_assert_uint_eq(f.n, 1);
	ck_assert_uint_eq(f.rows, 51);
	check_text(7, "src_port", "7");
	check_text(7, "source_id", "7");
}
END_TEST

static void
add_numbers(TCase *t)
{
	tcase_add_test(t, integers_of_1_to_8_bytes);
	tcase_add_test(t, signed_floats_and_booleans);
	tcase_add_test(t, macs_and_bytes);
	tcase_add_test(t, unknown_fields_are_kept);
	tcase_add_test(t, reverse_and_enterprise_elements);
	tcase_add_test(t, v9_types_above_32767);
	tcase_add_test(t, fields_without_length_have_no_column);
	tcase_add_test(t, addresses_of_both_families);
	tcase_add_test(t, a_field_twice);
	tcase_add_test(t, uptime_difference_is_signed);
	tcase_add_test(t, absolute_times);
	tcase_add_test(t, times_that_are_worked_out);
	tcase_add_test(t, start_of_the_system_in_options);
	tcase_add_test(t, start_of_the_system_that_waited);
	tcase_add_test(t, times_past_the_end_of_time);
	tcase_add_test(t, sampling_is_announced_and_never_multiplied);
	tcase_add_test(t, sampling_per_sampler);
	tcase_add_test(t, sampling_per_interface);
	tcase_add_test(t, sampling_in_ipfix);
	tcase_add_test(t, sampling_in_the_record);
	tcase_add_test(t, sampling_configured);
	tcase_add_test(t, sequence_of_v9_counts_datagrams);
	tcase_add_test(t, sequence_with_duplicates);
	tcase_add_test(t, sequence_with_late_ones_in_a_row);
	tcase_add_test(t, sequence_with_gaps_filled_once);
	tcase_add_test(t, sequence_of_v5_counts_flows);
	tcase_add_test(t, sequence_of_ipfix_counts_records);
}

int
main(void)
{
	Suite *s = suite_create("decoder");
	TCase *t = tcase_create("decoder");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, v5_record);
	tcase_add_test(t, v1_and_v7_records);
	tcase_add_test(t, exporter_of_ipv6);
	tcase_add_test(t, several_data_sets_in_a_datagram);
	tcase_add_test(t, several_templates_in_a_set);
	tcase_add_test(t, templates_are_of_exporter_version_and_source);
	tcase_add_test(t, redefinition);
	tcase_add_test(t, templates_sent_again_and_again);
	tcase_add_test(t, withdrawal);
	add_numbers(t);
	tcase_add_test(t, batches_of_4096_rows);
	tcase_add_test(t, what_is_equal_for_all_stays_one_value);
	tcase_add_test(t, batches_go_after_100_ms);
	tcase_add_test(t, exporters_share_a_batch_of_one_shape);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
