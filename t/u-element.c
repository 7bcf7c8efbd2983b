/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/element.h"

#include <check.h>
#include <ctype.h>
#include <string.h>

#include "common/batch.h"
#include "common/element_table.h"

static void
check_round_trip(const struct element *e)
{
	char upper[128];
	size_t n = strlen(e->registry);

	ck_assert_str_eq(element_canonical(e->registry), e->name);
	ck_assert_str_eq(element_canonical(e->name), e->name);
	ck_assert_uint_lt(n, sizeof(upper));
	for (size_t i = 0; i <= n; i++)
		upper[i] = (char)toupper((unsigned char)e->registry[i]);
	ck_assert_str_eq(element_canonical(upper), e->name);
	/* room for "_2" and the like behind it */
	ck_assert_uint_lt(strlen(e->name) + 6, FIELD_NAME_MAX);
}

START_TEST(every_element_round_trips)
{
	for (size_t i = 0; i < element_ipfix_n; i++) {
		const struct element *e = &element_ipfix[i];

		check_round_trip(e);
		ck_assert_ptr_eq(element_find(false, e->enterprise, e->id), e);
	}
	for (size_t i = 0; i < element_v9_n; i++) {
		const struct element *e = &element_v9[i];

		check_round_trip(e);
		ck_assert_ptr_eq(element_find(true, e->enterprise, e->id), e);
	}
}
END_TEST

START_TEST(no_name_is_an_alias_of_another)
{
	for (size_t i = 0; i < element_aliases_n; i++) {
		const char *name = element_aliases[i].name;

		ck_assert_str_eq(element_canonical(name), name);
		if (i > 0)
			ck_assert_str_lt(element_aliases[i - 1].alias,
					 element_aliases[i].alias);
	}
}
END_TEST

START_TEST(names_of_the_old_platform)
{
	static const struct {
		uint16_t id;
		const char *name;
	} want[] = {
	    {1, "octet_count"}, {2, "packet_count"}, {4, "protocol"},
	    {5, "tos"},		{6, "tcp_flags"},    {7, "src_port"},
	    {8, "src_addr"},	{9, "src_mask"},     {10, "input"},
	    {11, "dst_port"},	{12, "dst_addr"},    {13, "dst_mask"},
	    {14, "output"},	{15, "next_hop"},    {16, "src_as"},
	    {17, "dst_as"},	{21, "last"},	     {22, "first"},
	    {27, "src_addr"},	{28, "dst_addr"},    {29, "src_mask"},
	    {30, "dst_mask"},	{62, "next_hop"},
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const struct element *e = element_find(true, 0, want[i].id);

		ck_assert_ptr_nonnull(e);
		ck_assert_str_eq(e->name, want[i].name);
	}
}
END_TEST

START_TEST(aliases_in_any_case)
{
	static const char *const pairs[][2] = {
	    {"IN_BYTES", "octet_count"},
	    {"in_bytes", "octet_count"},
	    {"In_Pkts", "packet_count"},
	    {"l4_dst_port", "dst_port"},
	    {"IPV4_SRC_ADDR", "src_addr"},
	    {"ipv6_dst_addr", "dst_addr"},
	    {"octetDeltaCount", "octet_count"},
	    {"OCTETDELTACOUNT", "octet_count"},
	    {"octet_delta_count", "octet_count"},
	    {"FIRST_SWITCHED", "first"},
	    {"flowStartMilliseconds", "start_time"},
	    {"flowEndReason", "flow_end_reason"},
	    {"postNATSourceIPv4Address", "post_nat_src_addr"},
	    {"postNATSourceIPv6Address", "post_nat_src_addr"},
	    {"dot1qVlanId", "dot1q_vlan_id"},
	    {"ingressVRFID", "ingress_vrf_id"},
	    {"reverseOctetDeltaCount", "reverse_octet_count"},
	    {"SRC_ADDR", "src_addr"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		ck_assert_str_eq(element_canonical(pairs[i][0]), pairs[i][1]);
}
END_TEST

START_TEST(other_names_pass)
{
	char longer[200];

	ck_assert_str_eq(element_canonical("my_field"), "my_field");
	ck_assert_str_eq(element_canonical(""), "");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_ptr_eq(element_canonical(longer), longer);
}
END_TEST

START_TEST(v9_goes_before_ipfix)
{
	/* 33000 is a v9 type alone: in IPFIX the bit means an enterprise */
	ck_assert_ptr_null(element_find(false, 0, 33000));
	ck_assert_str_eq(element_find(true, 0, 33000)->name, "ingress_acl_id");
	ck_assert_ptr_null(element_find(true, 0, 65000));
	ck_assert_ptr_null(element_find(false, 424242, 1));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("element");
	TCase *t = tcase_create("element");
	SRunner *sr;
	int failed;

	tcase_add_test(t, every_element_round_trips);
	tcase_add_test(t, no_name_is_an_alias_of_another);
	tcase_add_test(t, names_of_the_old_platform);
	tcase_add_test(t, aliases_in_any_case);
	tcase_add_test(t, other_names_pass);
	tcase_add_test(t, v9_goes_before_ipfix);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
