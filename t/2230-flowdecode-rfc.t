#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Bytes as the RFCs write them: the examples of RFC 7011, Appendix A, and
messages after the figures of RFC 5103, RFC 6313 and RFC 3954."""
import json
import struct
import subprocess

import tap
import v9

IPFIX = "000a %04x 5f5e1000 %08x 00000001"


def message(text, sequence=0):
    """An IPFIX message of sets in hexadecimal digits."""
    body = bytes.fromhex(text)
    return bytes.fromhex(IPFIX % (16 + len(body), sequence)) + body


def decode(*messages):
    """The records, as JSON has them, and the totals of the ledger."""
    data = b"".join(v9.datagram(m) for m in messages)
    done = subprocess.run([tap.program("flowdecode"), "-v"], input=data,
                          capture_output=True, timeout=30)
    tap.equal(done.returncode, 0, f"exit code ({done.stderr})")
    text = subprocess.run([tap.program("flowlog"), "--format", "json"],
                          input=done.stdout, stdout=subprocess.PIPE,
                          check=True, timeout=30).stdout
    return [json.loads(line) for line in text.splitlines()], \
        v9.totals(done.stderr.decode())


def check(rows, names, *wanted):
    tap.equal([tuple(r.get(n) for n in names.split()) for r in rows],
              list(wanted), names)


# RFC 7011, A.2.1 and A.3
TEMPLATE = """0002 001c  0100 0005  0008 0004  000c 0004  000f 0004
              0002 0004  0001 0004"""
DATA = """0100 0040
          c000020c c00002fe c0000201 00001391 00518c81
          c000021b c0000217 c0000202 000002ec 0005ef46
          c0000238 c0000241 c0000203 00000005 00001986"""


def test_data(scratch):
    """RFC 7011, A.2.1 and A.3: a template of IANA's elements, and data"""
    rows, ledger = decode(message(TEMPLATE + DATA))
    check(rows, "src_addr dst_addr next_hop packet_count octet_count",
          ("192.0.2.12", "192.0.2.254", "192.0.2.1", 5009, 5344385),
          ("192.0.2.27", "192.0.2.23", "192.0.2.2", 748, 388934),
          ("192.0.2.56", "192.0.2.65", "192.0.2.3", 5, 6534))
    tap.equal((ledger["sets_templates"], ledger["sets_decoded"]), (1, 1),
              "sets")


def test_enterprise(scratch):
    """RFC 7011, A.2.2: an element of an enterprise, by its number"""
    rows, _ = decode(message("""
        0002 0020  0101 0005  0008 0004  000c 0004
        800f 0004 0000e8ff  0002 0004  0001 0004
        0101 0018  c000020c c00002fe 01020304 00000005 00001986"""))
    check(rows, "src_addr e59647_15 packet_count octet_count",
          ("192.0.2.12", "01020304", 5, 6534))


OPTIONS = "0003 0018  0102 0003 0001  008d 0004  0029 0002  002a 0002  0000"


def test_options(scratch):
    """RFC 7011, A.4.1 and A.4.3: options of a scope, with padding"""
    rows, ledger = decode(message(
        OPTIONS + "0102 0014  00000001 0159 27d9  00000002 02b2 4fb2"))
    tap.equal((rows, ledger["options"], ledger["options_templates"],
               ledger["sets_options"]), ([], 2, 1, 1), "options")
    tap.equal(ledger.get("sets_malformed", 0), 0, "malformed")


def test_scopes(scratch):
    """RFC 7011, 3.4.2: a rate in the scope of an interface is of it alone"""
    rows, _ = decode(message("""
        0003 001a  0103 0004 0001  000a 0004  0130 0002  0131 0004  0132 0004
        0103 0012  00000007 0001 00000001 00000063
        0002 0010  0100 0002  000a 0004  0001 0004
        0100 0014  00000007 00000064  00000008 000000c8"""))
    check(rows, "input octet_count sampling_rate sampling_source",
          (7, 100, 100, "announced"), (8, 200, 1, "unknown"))


def test_variable(scratch):
    """RFC 7011, A.5 and section 7: a length of one byte and of three"""
    rows, ledger = decode(message("""
        0002 0010  0100 0002  0053 ffff  0007 0002
        0100 000d  05""" + b"hello".hex() + "01bb 00"),
        message("0100 03f1  ff 03e8" + b"x".hex() * 1000 + "0050", 1),
        message("0100 000b  ff 0002" + b"ab".hex() + "0051", 2),
        message("0100 0007  00 0052", 3),
        message("0100 0105  fe" + b"y".hex() * 254 + "0053", 4))
    check(rows, "interface_description src_port", ("hello", 443),
          ("x" * 1000, 80), ("ab", 81), ("", 82), ("y" * 254, 83))
    tap.equal(ledger.get("sets_malformed", 0), 0, "malformed")


def test_withdrawal(scratch):
    """RFC 7011, 8.1: templates are withdrawn by id, and all of a kind"""
    rows, ledger = decode(
        message(TEMPLATE + OPTIONS),
        message("0002 0008  0100 0000"),          # one
        message(DATA), message(TEMPLATE), message("0002 0008  0002 0000"),
        message(DATA + "0102 000c  00000001 0159 27d9"),
        message("0003 0008  0003 0000"),          # all of options
        message("0102 000c  00000001 0159 27d9"))
    tap.equal((len(rows), ledger["templates_withdrawn"], ledger["options"],
               ledger["sets_waiting"], ledger["sets_expired"]),
              (3, 3, 1, 1, 1), "rows, withdrawn, options, waiting, given up")


def test_reduced(scratch):
    """RFC 7011, 6.2: integers, signed ones and floats in fewer bytes"""
    rows, _ = decode(message("""
        0002 001c  0100 0005  0001 0003  0002 0005  01b2 0001  0140 0004
        0140 0008
        0100 0019  fffffe 0100000001 fe 40490fdb 400921fb54442d18"""))
    check(rows, "octet_count packet_count mib_object_value_integer "
          "absolute_error_2", (0xfffffe, 2**32 + 1, -2, 3.141592653589793))
    tap.equal(round(rows[0]["absolute_error"], 6), 3.141593, "float32")


def test_reverse(scratch):
    """RFC 5103, 6.1: enterprise 29305 is the other direction"""
    rows, _ = decode(message("""
        0002 0030  0100 0008  0008 0004  000c 0004  0007 0002  000b 0002
        0001 0004  8001 0004 00007279  0002 0004  8002 0004 00007279
        0100 0020  c0000202 c0000203 8000 0050 0000aaaa 0000bbbb 00000011
        00000022"""))
    check(rows, "src_port octet_count reverse_octet_count packet_count "
          "reverse_packet_count", (32768, 0xaaaa, 0xbbbb, 0x11, 0x22))


def test_structured(scratch):
    """RFC 6313, 4.5: lists are kept as the bytes that they are"""
    basic = "04 000e 0002 0050 01bb"          # of ports, ordered
    sub = "03 0101 c0000201 c0000202"
    multi = "03 0101 000c c0000201 c0000202 0101 0008 c0000203"
    lists = [bytes.fromhex(t) for t in (basic, sub, multi)]
    body = b"".join(bytes([len(x)]) + x for x in lists) + b"\xff" + \
        struct.pack(">H", 300) + bytes(300) + struct.pack(">I", 77)
    rows, _ = decode(message(
        "0002 001c  0100 0005  0123 ffff  0124 ffff  0125 ffff  0123 ffff"
        "  0001 0004" + struct.pack(">HH", 256, 4 + len(body)).hex() +
        body.hex()))
    check(rows, "basic_list sub_template_list sub_template_multi_list "
          "basic_list_2 octet_count",
          tuple(x.hex() for x in lists) + ("00" * 300, 77))


def test_v9(scratch):
    """RFC 3954, 5 to 6: templates, data, options by scope, and padding"""
    head = bytes.fromhex("0009 0004 00000064 5f5e1000 00000000 00000001")
    rows, ledger = decode(head + bytes.fromhex("""
        0001 0018  0102 0004 0008  0002 0004  0022 0002  0024 0001  0000
        0102 000c  00000003 0064 03 00
        0000 0014  0100 0003  0008 0004  000a 0004  0001 0002
        0100 0018  0a000001 00000003 0102  0a000002 00000004 0203
        """))
    check(rows, "src_addr input octet_count sampling_rate",
          ("10.0.0.1", 3, 0x0102, 100), ("10.0.0.2", 4, 0x0203, 1))
    tap.equal((ledger["options"], ledger.get("sets_malformed", 0)), (1, 0),
              "options and malformed")


tap.main(globals())
