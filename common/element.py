#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the C tables behind common/element.h.

usage: element.py information_elements.tsv OUTPUT.c

Names: the old platform's for the elements in CANONICAL, else the registry's in
snake case (see snake()).  Two elements may share a canonical name only if they
mean the same: their registry names are equal but for case, address family or
unit of time.  A clash between any others stops the build.
"""
import re
import sys

# The old platform's names, and the absolute times of a flow.
CANONICAL = {
    1: "octet_count", 2: "packet_count", 4: "protocol", 5: "tos",
    6: "tcp_flags", 7: "src_port", 8: "src_addr", 9: "src_mask", 10: "input",
    11: "dst_port", 12: "dst_addr", 13: "dst_mask", 14: "output",
    15: "next_hop", 16: "src_as", 17: "dst_as", 21: "last", 22: "first",
    27: "src_addr", 28: "dst_addr", 29: "src_mask", 30: "dst_mask",
    62: "next_hop", 150: "start_time", 151: "end_time", 152: "start_time",
    153: "end_time", 154: "start_time", 155: "end_time",
}

# What flowdecode adds to every record: no element may be called so.
RESERVED = {
    "_time", "_id", "_table", "_host", "exporter", "exporter_port", "binding",
    "source_id", "version", "sampling_rate", "sampling_source", "duration",
    "input_name", "output_name", "egress_vrf_name", "bytes", "packets",
    "flow_count",
}

# Cisco's names of v9 field types (RFC 3954, 8, and later lists).
CISCO = """
1 in_bytes      2 in_pkts       3 flows         4 protocol      5 src_tos
6 tcp_flags     7 l4_src_port   8 ipv4_src_addr 9 ipv4_src_mask 10 input_snmp
11 l4_dst_port  12 ipv4_dst_addr  13 ipv4_dst_mask  14 output_snmp
15 ipv4_next_hop  16 src_as     17 dst_as       18 bgp_ipv4_next_hop
19 mul_dst_pkts 20 mul_dst_bytes  21 last_switched  22 first_switched
23 out_bytes    24 out_pkts     25 min_pkt_lngth  26 max_pkt_lngth
27 ipv6_src_addr  28 ipv6_dst_addr  29 ipv6_src_mask  30 ipv6_dst_mask
31 ipv6_flow_label  32 icmp_type  33 mul_igmp_type  34 sampling_interval
35 sampling_algorithm  36 flow_active_timeout  37 flow_inactive_timeout
38 engine_type  39 engine_id    40 total_bytes_exp  41 total_pkts_exp
42 total_flows_exp  44 ipv4_src_prefix  45 ipv4_dst_prefix
46 mpls_top_label_type  47 mpls_top_label_ip_addr  48 flow_sampler_id
49 flow_sampler_mode  50 flow_sampler_random_interval  52 min_ttl  53 max_ttl
54 ipv4_ident   55 dst_tos      56 in_src_mac   57 out_dst_mac
58 src_vlan     59 dst_vlan     60 ip_protocol_version  61 direction
62 ipv6_next_hop  63 bgp_ipv6_next_hop  64 ipv6_option_headers
70 mpls_label_1 71 mpls_label_2 72 mpls_label_3 73 mpls_label_4
74 mpls_label_5 75 mpls_label_6 76 mpls_label_7 77 mpls_label_8
78 mpls_label_9 79 mpls_label_10  80 in_dst_mac 81 out_src_mac
82 if_name      83 if_desc      84 sampler_name 85 in_permanent_bytes
86 in_permanent_pkts  88 fragment_offset  89 forwarding_status
90 mpls_pal_rd  91 mpls_prefix_len  92 src_traffic_index
93 dst_traffic_index  94 application_description  95 application_tag
96 application_name  98 post_ip_dscp  99 replication_factor
5 src_tos 9 src_mask 13 dst_mask 56 src_mac 57 dst_mac
102 layer2_packet_section_offset  103 layer2_packet_section_size
104 layer2_packet_section_data
"""

TYPES = {
    "unsigned8": "UNSIGNED", "unsigned16": "UNSIGNED",
    "unsigned32": "UNSIGNED", "unsigned64": "UNSIGNED",
    "signed8": "SIGNED", "signed16": "SIGNED",
    "signed32": "SIGNED", "signed64": "SIGNED",
    "float32": "FLOAT", "float64": "FLOAT", "boolean": "BOOLEAN",
    "ipv4address": "IPV4", "ipv6address": "IPV6", "macaddress": "MAC",
    "string": "STRING", "octetarray": "BYTES", "basiclist": "BYTES",
    "subtemplatelist": "BYTES", "subtemplatemultilist": "BYTES",
    "datetimeseconds": "SECONDS", "datetimemilliseconds": "MILLISECONDS",
    "datetimemicroseconds": "MICROSECONDS",
    "datetimenanoseconds": "NANOSECONDS",
}

REVERSE = 29305  # RFC 5103
NAME_MAX = 63 - len("reverse_") - len("_1000")


def snake(name, kind):
    """postNATSourceIPv4Address, an address: post_nat_src_addr."""
    if kind in ("IPV4", "IPV6"):
        name = re.sub(r"IPv[46]Address$", "Addr", name)
    for word in ("IPv4", "IPv6", "IPSec", "VRF", "NAPT", "DNSSD", "DNS", "TLS",
                 "MCast", "MilliSeconds", "OSQuery"):
        fold = word[0].upper() + word[1:].lower()
        name = re.sub(word + r"(?=[A-Z0-9_-]|$)", fold, name)
    name = name.replace("VRFname", "VrfName").replace("-", "_")
    name = re.sub(r"(\d)XX", r"\1xx", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    words = [w for w in name.lower().split("_") if w]
    fold = {"source": "src", "destination": "dst"}
    return "_".join(fold.get(w, w) for w in words)


def read(path):
    """Rows of the registry: (space, enterprise, id, registry name, kind)."""
    rows = []
    for line in open(path, encoding="utf-8"):
        if line.startswith("#") or line.startswith("space\t"):
            continue
        space, ent, num, name, kind = line.rstrip("\n").split("\t")[:5]
        rows.append((space, int(ent), int(num), name, TYPES[kind.lower()]))
    return rows


def elements(rows):
    """(space, enterprise, id, kind, name, registry), v9 only where it differs
    from IPFIX, and the reverse twin of every element of IANA's."""
    out = []
    same = {}  # registry names that differ in case alone share the first's
    iana = {r[2]: r for r in rows if r[0] == "ipfix" and r[1] == 0}
    for space, ent, num, reg, kind in rows:
        if space == "v9" and num in iana and iana[num][3:] == (reg, kind):
            continue
        name = CANONICAL.get(num) if ent == 0 else None
        name = same.setdefault(reg.lower(), name or snake(reg, kind))
        out.append((space, ent, num, kind, name, reg))
        if space == "ipfix" and ent == 0:
            out.append((space, REVERSE, num, kind, "reverse_" + name,
                        "reverse" + reg[0].upper() + reg[1:]))
    return out


def family(reg):
    """What twins have in common."""
    reg = re.sub(r"IPv[46]", "", reg)
    return re.sub(r"(Seconds|Milliseconds|Microseconds)$", "", reg).lower()


def check(elems):
    """Stops at names that clash."""
    owner = {}
    for space, ent, num, kind, name, reg in elems:
        if name in RESERVED or len(name) > NAME_MAX + len("reverse_"):
            sys.exit("element.py: %s may not be called %s" % (reg, name))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            sys.exit("element.py: %s gives the odd name %s" % (reg, name))
        other = owner.setdefault(name, family(reg))
        if other != family(reg):
            sys.exit("element.py: %s and %s are both %s" % (reg, other, name))


def aliases(elems):
    """Rows of (lower-case alias, canonical name, type of the first element of
    that name); an alias that would be two stops."""
    table = {}

    def add(alias, name, what):
        if table.setdefault(alias.lower(), name) != name:
            sys.exit("element.py: alias %s of %s is also %s"
                     % (alias, what, table[alias.lower()]))

    by_id = {}
    for space, ent, num, kind, name, reg in elems:
        add(name, name, reg)
        if space == "ipfix" and ent == 0:
            by_id[num] = name
    for space, ent, num, kind, name, reg in elems:
        add(reg, name, reg)
        add(snake(reg, ""), name, reg)
    pairs = CISCO.split()
    for num, alias in zip(pairs[::2], pairs[1::2]):
        add(alias, by_id[int(num)], alias)
    kinds = {}
    for space, ent, num, kind, name, reg in elems:
        kinds.setdefault(name, kind)
    return sorted((alias, name, kinds[name]) for alias, name in table.items())


def write(out, elems):
    put = lambda s: out.write(s + "\n")
    put("/* SPDX-License-Identifier: BSD-2-Clause */")
    put("/* Generated by element.py from information_elements.tsv. */")
    put('#include "common/element_table.h"\n')
    for var, space in (("element_ipfix", "ipfix"), ("element_v9", "v9")):
        rows = sorted(e for e in elems if e[0] == space)
        put("const struct element %s[] = {" % var)
        for _, ent, num, kind, name, reg in rows:
            put('\t{%d, %d, ELEMENT_%s, "%s", "%s"},'
                % (ent, num, kind, name, reg))
        put("};\nconst size_t %s_n = %d;\n" % (var, len(rows)))
    rows = aliases(elems)
    put("const struct element_alias element_aliases[] = {")
    for row in rows:
        put('\t{"%s", "%s", ELEMENT_%s},' % row)
    put("};\nconst size_t element_aliases_n = %d;" % len(rows))


def main():
    elems = elements(read(sys.argv[1]))
    check(elems)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        write(out, elems)


main()
