/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that exporters announce in options, as fields of their records. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowdecode/labels.h"
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

static bool
has(uint32_t row, const char *field)
{
	for (size_t b = 0; b < f.n; row -= f.batches[b]->rows, b++)
		if (row < f.batches[b]->rows)
			return shape_find(f.batches[b]->shape, field) >= 0;
	ck_abort_msg("there is no row %u", row);
	return false;
}

/* NULL: there is such a field, and it is null. */
static void
check_name(uint32_t row, const char *field, const char *want)
{
	struct value v = value_of(&f, row, field);

	ck_assert_msg(has(row, field), "row %u has no %s", row, field);
	if (!want) {
		ck_assert_msg(v.type == COL_NULL, "%s of row %u is %.*s", field,
			      row, (int)v.len, v.s);
		return;
	}
	ck_assert_msg(v.type == COL_STRING && v.len == strlen(want) &&
			  memcmp(v.s, want, v.len) == 0,
		      "%s of row %u is '%.*s', not '%s'", field, row,
		      v.type == COL_STRING ? (int)v.len : 4,
		      v.type == COL_STRING ? v.s : "null", want);
}

/* A v9 options template: a scope, then fields. */
static void
put_v9_options(uint16_t id, struct spec scope, const struct spec *s, size_t n)
{
	begin_set(&w, 1);
	put(&w, id, 2);
	put(&w, 4, 2);
	put(&w, 4 * n, 2);
	put(&w, scope.id << 16 | scope.len, 4);
	for (size_t i = 0; i < n; i++)
		put(&w, s[i].id << 16 | s[i].len, 4);
	end_set(&w);
}

/* An IPFIX options template; the first field is the scope. */
static void
put_ipfix_options(uint16_t id, const struct spec *s, size_t n)
{
	begin_set(&w, 3);
	put(&w, id, 2);
	put(&w, n, 2);
	put(&w, 1, 2);
	for (size_t i = 0; i < n; i++)
		put(&w, s[i].id << 16 | s[i].len, 4);
	end_set(&w);
}

static void
put_text(const char *s, size_t size)
{
	size_t len = strlen(s);

	put_bytes(&w, s, len);
	put(&w, 0, size - len);
}

/* As Cisco's "option interface-table" does. */
static void
announce_interface(uint32_t id, const char *name, const char *description)
{
	static const struct spec fields[] = {{10, 4}, {82, 32}, {83, 64}};

	put_v9_options(500, (struct spec){1, 4}, fields, 3);
	begin_set(&w, 500);
	put(&w, 0x0a000001, 4);
	put(&w, id, 4);
	put_text(name, 32);
	put_text(description, 64);
	end_set(&w);
}

/* A template of input, output and a counter, and one record. */
static void
put_record(uint32_t input, uint32_t output)
{
	TEMPLATE(&w, 256, {10, 4}, {14, 2}, {1, 4});
	begin_set(&w, 256);
	put(&w, input, 4);
	put(&w, output, 2);
	put(&w, 100, 4);
	end_set(&w);
}

START_TEST(interface_names_of_v9)
{
	begin_v9(&w, 1, 0);
	announce_interface(1, "Gi0/1", "uplink");
	announce_interface(2, "", "customer 2"); /* has no name but this */
	announce_interface(3, "Gi0/3", "");
	put_record(1, 2);
	begin_set(&w, 256);
	put(&w, 3, 4);
	put(&w, 9, 2);
	put(&w, 5, 4);
	put(&w, 0, 4);
	put(&w, 1, 2);
	put(&w, 6, 4);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 3);
	check_name(0, "input_name", "Gi0/1");
	check_name(0, "output_name", "customer 2");
	check_name(1, "input_name", "Gi0/3");
	check_name(1, "output_name", NULL);
	check_name(2, "input_name", NULL);
	check_name(2, "output_name", "Gi0/1");
	ck_assert_uint_eq(number_of(&f, 2, "octet_count"), 6);
	ck_assert_uint_eq(number_of(&f, 1, "input"), 3);
	ck_assert(!has(0, "vrf_name"));
	ck_assert(!has(0, "application_name"));
}
END_TEST

START_TEST(interface_names_by_scope_of_v9)
{
	static const struct spec name = {82, 16};

	begin_v9(&w, 1, 0);
	put_v9_options(500, (struct spec){2, 4}, &name, 1); /* interface */
	begin_set(&w, 500);
	put(&w, 7, 4);
	put_text("xe-0/0/7", 16);
	put(&w, 8, 4);
	put_text("0123456789abcdef", 16); /* no NUL at its end */
	end_set(&w);
	put_record(7, 8);
	send_wire(&f, &w);
	check_name(0, "input_name", "xe-0/0/7");
	check_name(0, "output_name", "0123456789abcdef");
}
END_TEST

START_TEST(interface_names_of_ipfix)
{
	static const struct spec in[] = {{10, 4}, {82, 65535}, {83, 65535}};
	static const struct spec out[] = {{14, 8}, {83, 20}};

	begin_ipfix(&w, 1, 0);
	put_ipfix_options(500, in, 3);
	put_ipfix_options(501, out, 2);
	begin_set(&w, 500);
	put(&w, 1, 4);
	put(&w, 5, 1);
	put_text("eth0", 5); /* with a NUL */
	put(&w, 255, 1);     /* in the longer form */
	put(&w, 2, 2);
	put_text("d1", 2);
	put(&w, 2, 4);
	put(&w, 0, 1);
	put(&w, 2, 1);
	put_text("d2", 2);
	end_set(&w);
	begin_set(&w, 501); /* by the interface that it leaves on */
	put(&w, 3, 8);
	put_text("lo", 20);
	end_set(&w);
	put_record(1, 2);
	put_record(3, 1);
	send_wire(&f, &w);
	check_name(0, "input_name", "eth0");
	check_name(0, "output_name", "d2");
	check_name(1, "input_name", "lo");
	check_name(1, "output_name", "eth0");
}
END_TEST

START_TEST(application_names)
{
	static const struct spec v9[] = {{95, 4}, {96, 24}, {94, 55}};
	static const struct spec ipfix[] = {{95, 4}, {96, 65535}};

	begin_v9(&w, 1, 0);
	put_v9_options(500, (struct spec){1, 4}, v9, 3);
	begin_set(&w, 500);
	put(&w, 0, 4);
	put(&w, 0x03000050, 4); /* engine 3, selector 80 */
	put_text("http", 24);
	put_text("World Wide Web traffic", 55);
	put(&w, 0, 4);
	put(&w, 0x01000050, 4); /* engine 1, the same selector */
	put_text("", 24);
	put_text("ISO-IP", 55);
	end_set(&w);
	TEMPLATE(&w, 256, {95, 4}, {1, 4});
	put_data(256, 0x0300005000000001, 8);
	put_data(256, 0x0100005000000002, 8);
	put_data(256, 0x0d00005000000003, 8);
	send_wire(&f, &w);
	check_name(0, "application_name", "http");
	check_name(1, "application_name", "ISO-IP");
	check_name(2, "application_name", NULL);
	ck_assert_uint_eq(value_of(&f, 0, "application_id").len, 4);
	ck_assert(!has(0, "input_name"));
	flows_forget(&f);

	/* the selector may be of another length in records (RFC 6759) */
	begin_ipfix(&w, 1, 0);
	put_ipfix_options(500, ipfix, 2);
	begin_set(&w, 500);
	put(&w, 0x03000050, 4);
	put(&w, 4, 1);
	put_text("http", 4);
	put(&w, 0x0d123456, 4);
	put(&w, 3, 1);
	put_text("ssl", 3);
	end_set(&w);
	TEMPLATE(&w, 256, {95, 2}, {1, 1});
	TEMPLATE(&w, 257, {95, 65535}, {1, 1});
	TEMPLATE(&w, 258, {95, 12}, {1, 1});
	put_data(256, 0x035001, 3);
	begin_set(&w, 257);
	put(&w, 4, 1);
	put(&w, 0x0d123456, 4);
	put(&w, 2, 1);
	put(&w, 0, 1); /* of no bytes */
	put(&w, 3, 1);
	end_set(&w);
	begin_set(&w, 258); /* too long to be one */
	put(&w, 0x0d, 12);
	put(&w, 4, 1);
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 4);
	check_name(0, "application_name", "http");
	check_name(1, "application_name", "ssl");
	check_name(2, "application_name", NULL);
	check_name(3, "application_name", NULL);
}
END_TEST

START_TEST(vrf_names)
{
	static const struct spec fields[] = {{234, 4}, {236, 32}};

	begin_v9(&w, 1, 0);
	put_v9_options(500, (struct spec){1, 4}, fields, 2);
	begin_set(&w, 500);
	put(&w, 0, 4);
	put(&w, 1, 4);
	put_text("red", 32);
	put(&w, 0, 4);
	put(&w, 2, 4);
	put_text("blue", 32);
	end_set(&w);
	TEMPLATE(&w, 256, {234, 4}, {235, 4});
	TEMPLATE(&w, 257, {234, 4}, {1, 4});
	TEMPLATE(&w, 258, {235, 4}, {1, 4});
	put_data(256, 0x0000000100000002, 8);
	put_data(257, 0x0000000200000007, 8);
	put_data(258, 0x0000000200000007, 8);
	send_wire(&f, &w);
	for (uint32_t i = 0; i < 3; i++) {
		bool in = has(i, "ingress_vrf_id"),
		     out = has(i, "egress_vrf_id");

		ck_assert(has(i, "vrf_name") == in);
		ck_assert(has(i, "egress_vrf_name") == out);
		if (in && out) {
			check_name(i, "vrf_name", "red");
			check_name(i, "egress_vrf_name", "blue");
		} else {
			check_name(i, in ? "vrf_name" : "egress_vrf_name",
				   "blue");
		}
	}
}
END_TEST

/* What was decoded before has no name, and no field for one. */
START_TEST(a_name_holds_from_its_announcement_on)
{
	begin_v9(&w, 1, 0);
	put_record(1, 2);
	announce_interface(1, "one", "");
	begin_set(&w, 256);
	put(&w, 1, 4);
	put(&w, 2, 2);
	put(&w, 200, 4);
	end_set(&w);
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	announce_interface(2, "two", "");
	put_record(1, 2); /* the template again: it keeps the names */
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 3);
	for (uint32_t i = 0; i < 2; i++) {
		bool first = number_of(&f, i, "octet_count") == 100;

		ck_assert(has(i, "input_name") == !first);
		if (!first) {
			check_name(i, "input_name", "one");
			check_name(i, "output_name", NULL);
		}
	}
	check_name(2, "input_name", "one");
	check_name(2, "output_name", "two");
}
END_TEST

START_TEST(announced_again_and_from_another_port)
{
	begin_v9(&w, 1, 0);
	announce_interface(1, "old", "");
	put_record(1, 1);
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	w.port = 4000;
	announce_interface(1, "a name that is longer than it wa", "");
	send_wire(&f, &w);
	begin_v9(&w, 1, 2);
	put_record(1, 1);
	announce_interface(1, "short", "");
	announce_interface(1, "short", "");
	announce_interface(1, "", ""); /* says nothing */
	put_record(1, 1);
	send_wire(&f, &w);
	check_name(0, "input_name", "old");
	check_name(1, "input_name", "a name that is longer than it wa");
	check_name(2, "output_name", "short");
	ck_assert_uint_eq(counted(&f, LEDGER_NAMES_DROPPED), 0);
}
END_TEST

START_TEST(names_are_of_one_exporter_and_source)
{
	begin_v9(&w, 1, 0);
	announce_interface(1, "mine", "");
	put_record(1, 1);
	send_wire(&f, &w);
	begin_v9(&w, 2, 0); /* source */
	put_record(1, 1);
	send_wire(&f, &w);
	begin_v9(&w, 1, 0);
	from(&w, 9);
	put_record(1, 1);
	send_wire(&f, &w);
	check_name(0, "input_name", "mine");
	ck_assert(!has(1, "input_name"));
	ck_assert(!has(2, "input_name"));
	/* two with names share a shape */
	begin_v9(&w, 1, 1);
	from(&w, 9);
	announce_interface(1, "theirs", "");
	put_record(1, 1);
	send_only(&f, &w);
	begin_v9(&w, 1, 1);
	put_record(1, 1);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.n, 4);
	check_name(3, "input_name", "theirs");
	check_name(4, "input_name", "mine");
}
END_TEST

START_TEST(no_number_no_name)
{
	begin_v9(&w, 1, 0);
	announce_interface(1, "one", "");
	TEMPLATE(&w, 256, {7, 2});
	TEMPLATE(&w, 257, {10, 4});
	TEMPLATE(&w, 258, {10, 9}); /* no number */
	put_data(256, 1, 2);
	put_data(257, 1, 4);
	put_data(258, 1, 9);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(!has(i, "output_name"));
		ck_assert(has(i, "input_name") == has(i, "input"));
	}
}
END_TEST

/* A field of the record goes before one that is added. */
START_TEST(what_the_record_says_itself)
{
	static const struct spec fields[] = {{95, 4}, {96, 8}};

	begin_v9(&w, 1, 0);
	put_v9_options(500, (struct spec){1, 4}, fields, 2);
	begin_set(&w, 500);
	put(&w, 0, 4);
	put(&w, 1, 4);
	put_text("options", 8);
	end_set(&w);
	TEMPLATE(&w, 256, {95, 4}, {96, 8});
	begin_set(&w, 256);
	put(&w, 1, 4);
	put_text("record", 8);
	end_set(&w);
	send_wire(&f, &w);
	check_name(0, "application_name", "record");
	ck_assert(!has(0, "application_name_2"));
}
END_TEST

START_TEST(names_off)
{
	decoder_names(f.decoder, false);
	begin_v9(&w, 1, 0);
	announce_interface(1, "one", "");
	put_record(1, 1);
	send_wire(&f, &w);
	ck_assert(!has(0, "input_name"));
}
END_TEST

/* Records of one set differ in rate and in name. */
START_TEST(names_and_rates)
{
	static const struct spec fields[] = {{10, 4}, {34, 4}, {82, 4}};

	begin_v9(&w, 1, 0);
	put_v9_options(500, (struct spec){1, 4}, fields, 3);
	begin_set(&w, 500);
	for (unsigned i = 1; i <= 2; i++) {
		put(&w, 0, 4);
		put(&w, i, 4);
		put(&w, 100 * i, 4);
		put_text(i == 1 ? "one" : "two", 4);
	}
	end_set(&w);
	TEMPLATE(&w, 256, {10, 1}, {82, 65535}, {14, 1});
	begin_set(&w, 256);
	for (int i = 0; i < 6; i++) {
		put(&w, i % 3, 1);
		put(&w, 1, 1);
		put(&w, 'x', 1);
		put(&w, 2, 1);
	}
	end_set(&w);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 6);
	for (uint32_t i = 0; i < 6; i++) {
		static const char *const names[] = {NULL, "one", "two"};
		static const unsigned rates[] = {1, 100, 200};

		check_name(i, "input_name", names[i % 3]);
		check_name(i, "output_name", "two");
		check_name(i, "interface_name", "x");
		ck_assert_uint_eq(number_of(&f, i, "sampling_rate"),
				  rates[i % 3]);
	}
}
END_TEST

static void
check_cleaned(const void *text, size_t len, const char *want)
{
	struct spec fields[] = {{10, 4}, {82, 65535}};

	begin_ipfix(&w, 1, 0);
	put_ipfix_options(500, fields, 2);
	begin_set(&w, 500);
	put(&w, 1, 4);
	put(&w, 255, 1);
	put(&w, len, 2);
	put_bytes(&w, text, len);
	end_set(&w);
	put_record(1, 1);
	send_wire(&f, &w);
	check_name(f.rows - 1, "input_name", want);
}

#define CLEANED(text, want) check_cleaned(text, sizeof(text) - 1, want)
#define BAD "\xef\xbf\xbd"

START_TEST(names_with_control_bytes_or_bad_utf8)
{
	char longest[2000];
	char want[LABEL_TEXT + 1] = "";
	size_t n = 0;

	CLEANED("Gi0/1\0rubbish", "Gi0/1");
	CLEANED("Gi0/1   ", "Gi0/1");
	CLEANED("\x1b[2J", BAD "[2J");
	CLEANED("a\nb\tc\x7f", "a" BAD "b" BAD "c" BAD);
	CLEANED("\xc2\x9b"
		"2J",
		BAD "2J"); /* the C1 form of escape [ */
	CLEANED("\xff\xfe", BAD BAD);
	CLEANED("\xc3", BAD);
	CLEANED("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x90\xb4",
		"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x90\xb4");
	CLEANED("\xed\xa0\x80", BAD BAD BAD); /* a surrogate */
	CLEANED("\xc0\xaf", BAD BAD);	      /* too long a form */
	CLEANED("good", "good");
	CLEANED("\0nothing", "good"); /* says nothing */
	CLEANED("   ", "good");
	/* cut between characters */
	for (size_t i = 0; i < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xbc", 2);
	for (; n + 4 <= LABEL_TEXT; n += 2)
		memcpy(want + n, "\xc3\xbc", 2);
	check_cleaned(longest, sizeof(longest), want);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = '\x01';
	memset(want, 0, sizeof(want));
	for (n = 0; n + 4 <= LABEL_TEXT; n += 3)
		memcpy(want + n, BAD, 3);
	check_cleaned(longest, sizeof(longest), want);
}
END_TEST

/* Names [FROM, TO) of interfaces, many in a datagram. */
static void
announce_many(uint32_t from_id, uint32_t to, size_t size)
{
	struct spec fields[] = {{10, 4}, {82, 0}};
	char name[256];

	fields[1].len = (uint16_t)size;
	put_ipfix_options(500, fields, 2);
	begin_set(&w, 500);
	for (uint32_t i = from_id; i < to; i++) {
		put(&w, i, 4);
		memset(name, 'x', sizeof(name));
		snprintf(name, sizeof(name), "%u", i);
		name[strlen(name)] = ' ';
		put_bytes(&w, name, size);
	}
	end_set(&w);
}

START_TEST(names_of_one_exporter_are_bounded)
{
	enum { STEP = 1000, ALL = 70000 };

	for (uint32_t i = 0; i < ALL; i += STEP) {
		begin_ipfix(&w, 1, i);
		announce_many(i, i + STEP, 20);
		send_only(&f, &w);
	}
	ck_assert_uint_eq(counted(&f, LEDGER_NAMES_DROPPED), ALL - LABELS_MAX);
	begin_ipfix(&w, 1, ALL);
	put_record(LABELS_MAX - 1, 5);
	put_record(LABELS_MAX, 5);
	send_wire(&f, &w);
	ck_assert_uint_eq(value_of(&f, 0, "input_name").len, 20);
	ck_assert_mem_eq(value_of(&f, 0, "input_name").s, "65535 xxxx", 10);
	check_name(1, "input_name", NULL);
	flows_forget(&f);
	/* long ones are bounded by their bytes */
	for (uint32_t i = 0; i < 40000; i += 200) {
		begin_ipfix(&w, 2, i);
		announce_many(i, i + 200, 250);
		send_only(&f, &w);
	}
	ck_assert_uint_gt(counted(&f, LEDGER_NAMES_DROPPED),
			  ALL - LABELS_MAX + 1000);
}
END_TEST

static void
add_up(void *ctx, const struct exporter *x)
{
	size_t *bytes = ctx;

	ck_assert_uint_ge(x->bytes, x->labels.bytes);
	*bytes += x->bytes;
}

START_TEST(names_of_all_exporters_are_bounded)
{
	const struct exporters *es = decoder_exporters(f.decoder);
	size_t bytes = 0;

	/* each has 1.5 MB of them */
	for (uint32_t i = 0; i < 300; i++)
		for (uint32_t k = 0; k < 20; k++) {
			begin_ipfix(&w, 1, 0);
			from(&w, i);
			announce_many(k * 250, k * 250 + 250, 240);
			send_only(&f, &w);
		}
	exporters_each(es, add_up, &bytes);
	ck_assert_uint_le(bytes, EXPORTERS_BYTES);
	ck_assert_uint_gt(bytes, EXPORTERS_BYTES / 2);
	ck_assert_uint_gt(exporters_evicted(es), 10);
	/* the last one is there with its names */
	begin_ipfix(&w, 1, 0);
	from(&w, 299);
	put_record(1, 4999);
	send_wire(&f, &w);
	ck_assert_uint_eq(value_of(&f, 0, "output_name").len, 240);
}
END_TEST

/* Options of any form, with numbers and names of any length. */
START_TEST(names_in_odd_lengths)
{
	static const uint16_t odd[] = {1, 3, 5, 8, 9, 10, 17, 255, 65535};
	static const uint16_t pairs[][2] = {{10, 82}, {14, 83},	  {95, 96},
					    {95, 94}, {234, 236}, {235, 236}};

	for (size_t i = 0; i < 9 * 9 * 6; i++) {
		uint16_t id_len = odd[i % 9], len = odd[i / 9 % 9];
		const uint16_t *p = pairs[i / 81];
		struct spec fields[] = {{p[0], id_len}, {p[1], len}};

		begin_ipfix(&w, 1, 0);
		put_ipfix_options(500, fields, 2);
		put_template(&w, 256, fields, 1);
		begin_set(&w, 500);
		put(&w, 2, 1); /* as a length, too */
		put(&w, 0x0101, id_len == 65535 ? 2 : id_len - 1u);
		put(&w, 3, 1);
		put(&w, 0x616263, len == 65535 ? 3 : len - 1u);
		end_set(&w);
		begin_set(&w, 256);
		put(&w, 2, 1);
		put(&w, 0x0101, id_len == 65535 ? 2 : id_len - 1u);
		end_set(&w);
		send_wire(&f, &w);
		ck_assert_uint_eq(f.rows, 1);
		ck_assert_uint_eq(counted(&f, LEDGER_SETS_MALFORMED), 0);
		flows_forget(&f);
	}
}
END_TEST

static void
set_again(void *ctx, const struct label_set *s)
{
	ck_assert_int_eq(labels_set(ctx, s), 0);
}

START_TEST(names_are_listed_as_they_are_set)
{
	struct labels l = {.seed = 7}, copy = {.seed = 8};
	const uint8_t app[9] = {3, 0, 0, 0, 0, 0, 0, 0, 80};
	uint8_t number[4] = {0, 0, 1, 0};
	char text[40];
	struct label_set s = {
	    .kind = LABEL_INTERFACE, .id = number, .id_len = 4, .text = text};

	memset(text, 'n', sizeof(text));
	for (uint8_t i = 0; i < 100; i++) {
		number[3] = i;
		s.len = 5u + i % 35;
		ck_assert_int_eq(labels_set(&l, &s), 0);
	}
	s.kind = LABEL_APPLICATION;
	s.id = app;
	s.id_len = 9;
	ck_assert_int_eq(labels_set(&l, &s), 0);
	ck_assert_uint_eq(l.n, 101);
	ck_assert_uint_eq(l.flags, PLAN_INTERFACES | PLAN_APPLICATIONS);
	labels_each(&l, set_again, &copy);
	ck_assert_uint_eq(copy.n, 101);
	ck_assert_uint_eq(copy.flags, l.flags);
	ck_assert_uint_eq(copy.bytes, l.bytes);
	labels_clear(&l);
	labels_clear(&copy);
	ck_assert_uint_eq(l.bytes, 0);
}
END_TEST

/* Data had to wait for its template: names that came since do not hold, and
 * names that had to wait do not replace newer ones. */
START_TEST(names_and_sets_that_waited)
{
	static const struct spec fields[] = {{10, 4}, {82, 8}};

	begin_v9(&w, 1, 0);
	w.time_us = 10;
	begin_set(&w, 256);
	put(&w, 1, 4);
	put(&w, 2, 2);
	put(&w, 100, 4);
	end_set(&w);
	begin_set(&w, 501); /* options, as it will turn out */
	put(&w, 0, 4);
	put(&w, 2, 4);
	put_text("older", 8);
	put(&w, 0, 4);
	put(&w, 3, 4);
	put_text("three", 8);
	end_set(&w);
	send_wire(&f, &w);
	begin_v9(&w, 1, 1);
	w.time_us = 20;
	announce_interface(1, "one", "");
	announce_interface(2, "two", "");
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 0);
	begin_v9(&w, 1, 2);
	w.time_us = 30;
	put_v9_options(501, (struct spec){1, 4}, fields, 2);
	put_record(2, 3);
	send_wire(&f, &w);
	ck_assert_uint_eq(f.rows, 2);
	check_name(0, "input_name", NULL);
	ck_assert_int_eq(value_of(&f, 0, "_time").i, 10);
	check_name(1, "input_name", "two");
	check_name(1, "output_name", "three");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("names");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, interface_names_of_v9);
	tcase_add_test(t, interface_names_by_scope_of_v9);
	tcase_add_test(t, interface_names_of_ipfix);
	tcase_add_test(t, application_names);
	tcase_add_test(t, vrf_names);
	tcase_add_test(t, a_name_holds_from_its_announcement_on);
	tcase_add_test(t, announced_again_and_from_another_port);
	tcase_add_test(t, names_are_of_one_exporter_and_source);
	tcase_add_test(t, no_number_no_name);
	tcase_add_test(t, what_the_record_says_itself);
	tcase_add_test(t, names_off);
	tcase_add_test(t, names_and_rates);
	tcase_add_test(t, names_with_control_bytes_or_bad_utf8);
	tcase_add_test(t, names_of_one_exporter_are_bounded);
	tcase_add_test(t, names_of_all_exporters_are_bounded);
	tcase_add_test(t, names_in_odd_lengths);
	tcase_add_test(t, names_are_listed_as_they_are_set);
	tcase_add_test(t, names_and_sets_that_waited);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
