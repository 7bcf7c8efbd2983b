#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Numbers that other collectors get wrong, from a capture to an answer."""
import struct

import packets
import pipeline
import tap

BIG = 4000000000


def v5(octets):
    head = struct.pack(">HHIIIIHH", 5, len(octets), 100000, 1700000000, 0, 0,
                       0, 100)
    return head + b"".join(struct.pack(
        ">IIIHHIIIIHHBBBBHHBBH", 0x0a000001, 0x0a000002, 0, 1, 2, 1, n, 1, 2,
        1000, 443, 0, 16, 6, 0, 0, 0, 24, 24, 0) for n in octets)


def v9(records):
    """Records of octets, packets, direction and interface."""
    fields = ((1, 4), (2, 4), (61, 1), (10, 1), (14, 1), (4, 1))
    template = struct.pack(">HHHH", 0, 8 + 4 * len(fields), 256, len(fields))
    template += b"".join(struct.pack(">HH", *f) for f in fields)
    data = b"".join(struct.pack(">IIBBBB", *r) for r in records)
    return struct.pack(">HHIIII", 9, 2, 100000, 1700000000, 0, 7) + template + \
        struct.pack(">HH", 256, 4 + len(data)) + data


def collect(scratch, *sent):
    """A table of what (payload, source address) pairs hold."""
    path = scratch / "numbers.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.ipv4(
        packets.udp(payload), src=src)) for payload, src in sent]))
    with pipeline.Pipeline(scratch, ["flowrecv", "--read", path],
                           ["flowdecode"], ["flowlog"],
                           ["flowstore", "--root", scratch / "tables",
                            "t"]) as line:
        line.expect_clean()
    return scratch / "tables"


def test_sums(scratch):
    """32-bit counters are not summed into 32 bits, nor multiplied by a rate"""
    root = collect(scratch, (v5([BIG] * 30), "192.0.2.1"),
                   (v5([BIG] * 30), "192.0.2.2"),
                   (v9([(BIG, BIG, 0, 1, 2, 6)] * 4), "192.0.2.1"))
    row, = pipeline.query(root, "table t | stats count, sum(octet_count) as n, "
                          "max(octet_count) as most, avg(octet_count) as mean")
    tap.equal(row, {"count": 64, "n": 64 * BIG, "most": BIG, "mean": BIG},
              "row")
    rows = pipeline.query(root, "table t | stats sum(octet_count) as n by "
                          "exporter, sampling_rate | sort n")
    tap.equal([(r["exporter"], r["sampling_rate"], r["n"]) for r in rows],
              [("192.0.2.1", 1, 4 * BIG), ("192.0.2.1", 100, 30 * BIG),
               ("192.0.2.2", 100, 30 * BIG)], "rows")


def test_both_directions(scratch):
    """a flow seen at ingress and at egress is two records, and the field that
    tells them apart is there to count it once"""
    seen = [(1000, 10, 0, 1, 2, 6), (1000, 10, 1, 1, 2, 6)]
    root = collect(scratch, (v9(seen * 5), "192.0.2.1"))
    for where, want in (("", 10), ("| search direction == 0", 5),
                        ("| search direction == 1", 5)):
        row, = pipeline.query(root, f"table t {where} | stats count, "
                              "sum(octet_count) as n")
        tap.equal(row, {"count": want, "n": 1000 * want}, where)


def test_exporter_of_a_replay(scratch):
    """the exporter of a replayed capture is the one in it"""
    root = collect(scratch, (v5([1]), "198.51.100.7"),
                   (v9([(2, 1, 0, 1, 2, 6)]), "203.0.113.9"))
    rows = pipeline.query(root, "table t | stats sum(octet_count) as n by "
                          "exporter, exporter_port | sort n")
    tap.equal([(r["exporter"], r["exporter_port"]) for r in rows],
              [("198.51.100.7", 50000), ("203.0.113.9", 50000)], "exporters")


tap.main(globals())
