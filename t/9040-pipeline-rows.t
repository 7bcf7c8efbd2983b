#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""One map per record, as any program may write: into flowlog, into flowstore,
and out of flowlog."""
import io
import ipaddress
import json
import time

import pipeline
import tap

try:
    import msgpack
except ImportError:
    msgpack = None

ROWS = [
    {"src_addr": "10.0.0.1", "dst_addr": "192.0.2.7", "src_port": 50000,
     "dst_port": 443, "protocol": 6, "octet_count": 1500, "packet_count": 1,
     "_time": 1700000000000000},
    {"src_addr": "2001:db8::1", "dst_addr": "2001:db8::2", "src_port": 53,
     "dst_port": 50001, "protocol": 17, "octet_count": 200,
     "packet_count": 2, "_time": "2023-11-14T22:13:21Z"},
    {"src_addr": ipaddress.ip_address("2001:db8::3").packed,
     "dst_addr": b"\0" * 10 + b"\xff\xff" + bytes((10, 9, 8, 7)),
     "octet_count": 1 << 63, "note": "ü", "raw": b"\1\2",
     "_time": 1700000002000000},
]


def packed(rows):
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    return b"".join(msgpack.packb(row) for row in rows)


def unpacked(data):
    return list(msgpack.Unpacker(io.BytesIO(data), max_buffer_size=1 << 28))


def flowlog(data, *options):
    code, out, err = pipeline.stream(["flowlog", *options], data)
    tap.equal((code, err), (0, ""), "flowlog")
    return out


def store(scratch, data, *options):
    root = scratch / "tables"
    code, _, err = pipeline.stream(["flowstore", "--root", root, *options,
                                    "rows"], data)
    tap.equal((code, err), (0, ""), "flowstore")
    return root


def by_octets(rows):
    return sorted(rows, key=lambda row: row["octet_count"])


def test_flowlog_json(scratch):
    """maps into flowlog: addresses as text or bytes, times, nulls"""
    lines = flowlog(packed(ROWS), "--format", "json").splitlines()
    got = by_octets(map(json.loads, lines))
    tap.equal([r["src_addr"] for r in got],
              ["2001:db8::1", "10.0.0.1", "2001:db8::3"], "src_addr")
    tap.equal([r["dst_addr"] for r in got],
              ["2001:db8::2", "192.0.2.7", "10.9.8.7"], "dst_addr")
    tap.equal([r["octet_count"] for r in got], [200, 1500, 1 << 63], "octets")
    tap.equal([r["_time"] for r in got],
              [f"2023-11-14T22:13:{s}Z" for s in (21, 20, 22)], "_time")
    tap.equal(got[2]["note"], "ü", "note")


def test_flowstore(scratch):
    """maps into flowstore: the table answers"""
    root = store(scratch, packed(ROWS), "--host", "probe-1")
    got = by_octets(pipeline.query(root, "table rows"))
    tap.equal([r["src_addr"] for r in got],
              ["2001:db8::1", "10.0.0.1", "2001:db8::3"], "src_addr")
    tap.equal({r["_host"] for r in got}, {"probe-1"}, "_host")
    tap.equal(pipeline.query(
        root, "table rows | search src_addr in 10.0.0.0/8 | stats count, "
        "sum(octet_count) as octets"), [{"count": 1, "octets": 1500}], "one")


def test_time_of_reading(scratch):
    """a map without _time gets the time at which flowstore read it"""
    row = {k: v for k, v in ROWS[0].items() if k != "_time"}
    root = store(scratch, packed([row]))
    now = time.strftime("%Y-%m-%dT%H:", time.gmtime())
    before = time.strftime("%Y-%m-%dT%H:", time.gmtime(time.time() - 60))
    got, = pipeline.query(root, "table rows")
    assert got["_time"][:14] in (now, before), got["_time"]


def test_rows_and_batches_agree(scratch):
    """the same flows as rows and as batches give the same table"""
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    data, said = pipeline.datagrams(scratch, "--flows", 5000)
    code, batches, _ = pipeline.stream(["flowdecode"], data)
    rows = flowlog(batches, "--format", "rows")
    maps = unpacked(rows)
    tap.equal(len(maps), said["flows"], "maps")
    tap.equal(sum(m["octet_count"] for m in maps), said["octets"], "octets")
    root = store(scratch, rows)
    code, _, err = pipeline.stream(["flowstore", "--root", root, "batches"],
                                   batches)
    tap.equal((code, err), (0, ""), "flowstore")
    question = ("| stats count, sum(octet_count) as octets, min(start_time) "
                "as first, max(_time) as last by src_addr, dst_port")
    tap.equal(pipeline.query(root, "table rows " + question),
              pipeline.query(root, "table batches " + question), "groups")


def test_mixture(scratch):
    """rows and batches in one stream"""
    data, said = pipeline.datagrams(scratch, "--flows", 1000)
    code, batches, _ = pipeline.stream(["flowdecode"], data)
    mixed = packed(ROWS[:2]) + batches + packed(ROWS[:2])
    root = store(scratch, flowlog(mixed))
    tap.equal(pipeline.totals(root, "rows")["flows"], said["flows"] + 4,
              "flows")


def test_bad_row(scratch):
    """a map whose key is no string is refused, what came before is kept"""
    good = packed(ROWS[:1])
    bad = good + msgpack.packb({5: 6})
    root = scratch / "tables"
    code, _, err = pipeline.stream(["flowstore", "--root", root, "rows"], bad)
    tap.equal(code, 1, "exit")
    assert err.startswith("flowstore: ") and str(len(good)) in err, err
    tap.equal(pipeline.totals(root, "rows")["flows"], 1, "flows")


tap.main(globals())
