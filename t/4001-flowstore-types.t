#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# What goes into a table comes out of it: all types, sizes and shapes.
import math
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
import msgpack  # noqa: E402
from tables import dump, rows, stats, store  # noqa: E402

rnd = random.Random(7)
BITS = {"bool": 1, "u8": 8, "u16": 16, "u32": 32, "u64": 64, "ipv4": 32,
        "mac": 48}


def value(kind):
    if kind == "i64":
        return rnd.choice([rnd.getrandbits(63), -rnd.getrandbits(63), -1, 0,
                           -2**63, 2**63 - 1])
    if kind == "time":
        return 1795000000000000 + rnd.getrandbits(40)
    if kind == "f64":
        return rnd.choice([rnd.random() * 1e9, 0.0, -0.5, math.inf])
    if kind == "ip":
        return rnd.choice([bytes(10) + b"\xff\xff" + rnd.randbytes(4),
                           b"\x20\x01\x0d\xb8" + rnd.randbytes(12)])
    if kind == "string":
        return rnd.choice(["", "eth%d" % rnd.getrandbits(4), "äöü" * 9,
                           "%x" % rnd.getrandbits(200)])
    if kind == "bytes":
        return rnd.randbytes(rnd.randrange(40))
    x = rnd.getrandbits(BITS[kind])
    return bool(x) if kind == "bool" else x >> rnd.randrange(BITS[kind])


KINDS = list(BITS) + ["i64", "time", "f64", "ip", "string", "bytes"]


def columns(n, nulls=0.0):
    out = {"_time": ("time", [1795000000000000 + i for i in range(n)])}
    for kind in KINDS:
        out["c_" + kind] = (kind, [
            None if rnd.random() < nulls else value(kind) for _ in range(n)])
        out["few_" + kind] = (kind, [
            None if rnd.random() < nulls else v
            for v in rnd.choices([value(kind) for _ in range(5)], k=n)])
        out["one_" + kind] = (kind, All(value(kind)))
        out["none_" + kind] = (kind, All(None))
    return out


def check(got, cols, n, first=0):
    tap.equal(len(got), first + n, "records")
    for name, (kind, values) in cols.items():
        for i in range(n):
            want = values.value if isinstance(values, All) else values[i]
            have = got[first + i][name]
            if kind == "bool" and want is not None:
                want, have = bool(want), bool(have)
            assert have == want, (name, i, have, want)
    for i in range(n):
        tap.equal(got[first + i]["_id"], first + i + 1, "_id")


def round_trip(root, n, nulls=0.0):
    cols = columns(n, nulls)
    status, err = store(root, batch(n, cols))
    tap.equal((status, err), (0, ""), "flowstore")
    check(rows(root), cols, n)


def test_types(root):
    """every type, 1000 rows"""
    round_trip(root, 1000)


def test_nulls(root):
    """every type with nulls"""
    round_trip(root, 1000, 0.3)


def test_one(root):
    """a single row, and none"""
    round_trip(root / "a", 1)
    tap.equal(store(root / "b"), (0, ""), "flowstore")
    tap.equal(rows(root / "b"), [], "rows")
    tap.equal(store(root / "c", batch(0, columns(0))), (0, ""), "flowstore")
    tap.equal(rows(root / "c"), [], "rows")


def small(n, at=0):
    return {"_time": ("time", [10**15 + (at + i) // 25 for i in range(n)]),
            "src_addr": ("ipv4", [rnd.getrandbits(32) for _ in range(n)]),
            "dst_port": ("u16", [rnd.choice([443, 80, rnd.getrandbits(16)])
                                 for _ in range(n)]),
            "octet_count": ("u64", [rnd.getrandbits(rnd.randrange(1, 40))
                                    for _ in range(n)])}


def test_full(root):
    """65,536 rows in one batch, and one less, and one more in two"""
    for n, blocks in ((65535, 1), (65536, 1), (65537, 2)):
        at = root / str(n)
        a, b = small(min(n, 65536)), small(1)
        data = batch(min(n, 65536), a)
        if n > 65536:
            data += batch(1, b, number=2)
        tap.equal(store(at, data), (0, ""), "flowstore")
        tap.equal(len(dump(at)), blocks, "blocks")
        got = rows(at)
        check(got[:65536], a, min(n, 65536))
        tap.equal(len(got), n, "rows")


def test_many(root):
    """200,000 rows in batches of odd sizes"""
    data, parts, n, number = b"", [], 0, 0
    while n < 200000:
        k, number = rnd.randrange(1, 8000), number + 1
        cols = small(k, n)
        data += batch(k, cols, number=number)
        parts.append((n, k, cols))
        n += k
    tap.equal(store(root, data), (0, ""), "flowstore")
    got = rows(root)
    tap.equal(len(got), n, "rows")
    for first, k, cols in parts:
        check(got[:first + k], cols, k, first)
    tap.equal([b.rows for b in dump(root)],
              [65536] * (n // 65536) + [n % 65536], "rows of blocks")


def test_shapes(root):
    """300 shapes, interleaved"""
    data, want = b"", []
    for i in range(900):
        name = "field_%d" % (i * 7 % 300)
        data += batch(2, {name: ("u32", [i, i + 1]),
                          "_time": ("time", All(5))}, number=i + 1)
        want += [(name, i), (name, i + 1)]
    tap.equal(store(root, data), (0, ""), "flowstore")
    got = rows(root)
    tap.equal([(k, r[k]) for r in got for k in r if k[0] == "f"], want,
              "rows by _id")
    tap.equal(len(dump(root)), 300, "blocks")


def test_too_many_shapes(root):
    """shapes beyond 4096 are dropped, counted and told"""
    data = b"".join(batch(1, {"field_%d" % i: ("u32", [i])}, number=i + 1)
                    for i in range(4200))
    status, err = store(root, data, "-v")
    tap.equal(status, 0, "status")
    assert "records of a new kind dropped" in err, err
    assert "stored 4096, duplicates 0, dropped 104" in err, err
    tap.equal(len(rows(root)), 4096, "rows")


def test_host(root):
    """--host is stored as _host, over what the records say"""
    store(root, batch(2, {"x": ("u8", [1, 2])}), "--host", "edge 1")
    store(root, batch(1, {"x": ("u8", [3]), "_host": ("string", ["own"])},
                      number=2))
    store(root, batch(1, {"x": ("u8", [4]), "_host": ("string", ["own"])},
                      number=3), "--host", "edge2")
    tap.equal([r["_host"] for r in rows(root)],
              ["edge 1", "edge 1", "own", "edge2"], "_host")


def test_time(root):
    """a missing, null or odd _time is the time of reading"""
    before = int(time.time() * 1e6)
    for i, c in enumerate([{}, {"_time": ("time", [None, 77])},
                           {"_time": ("string", ["a", "b"])}]):
        tap.equal(store(root, batch(2, {"x": ("u8", [1, 2]), **c},
                                    number=i + 1)), (0, ""), "flowstore")
    after = int(time.time() * 1e6)
    times = [r["_time"] for r in rows(root)]
    tap.equal(times[3], 77, "a given time")
    for t in times[:3] + times[4:]:
        assert before <= t <= after, (before, t, after)


def test_own_fields(root):
    """_id and _table of the input are replaced"""
    store(root, batch(2, {"_id": ("u64", [9, 9]), "x": ("u8", [1, 2]),
                          "_table": ("string", ["a", "b"])}))
    got = rows(root)
    tap.equal([r["_id"] for r in got], [1, 2], "_id")
    tap.equal(sorted(got[0]), ["_id", "_time", "x"], "fields")


def test_rows(root):
    """rows of scripts, as msgpack maps"""
    data = b"".join(msgpack.packb(
        {"src_addr": "10.0.0.%d" % (i % 250), "octet_count": i,
         "_time": 1795000000000000 + i, "note": "n%d" % (i % 3)})
        for i in range(10000))
    tap.equal(store(root, data), (0, ""), "flowstore")
    got = rows(root)
    tap.equal([r["octet_count"] for r in got], list(range(10000)), "octets")
    tap.equal(got[7]["note"], "n1", "note")
    tap.equal(got[7]["_time"], 1795000000000007, "_time")


def test_stats(root):
    """minimum, maximum, sum and nulls of blocks"""
    store(root, batch(4, {
        "a": ("u32", [7, 2**32 - 1, 0, 3]),
        "b": ("i64", [-5, None, 2**40, None]),
        "c": ("u64", [2**63, 2**63, 1, 2]),
        "d": ("i64", [-2**63, -1, 0, 1]),
        "e": ("f64", [1.5, math.nan, 2, 3]),
        "f": ("f64", [1.5, None, -2, 3]),
        "g": ("ip", [bytes(16), b"\xff" * 16, None, bytes(15) + b"\1"]),
        "h": ("string", ["a", None, None, "b"]),
        "i": ("u64", [2**64 - 1, 0, None, None]),
        "j": ("u8", All(200)),
        "k": ("u8", All(None)),
        "l": ("u32", [None, 9, 8, 7]),
        "_time": ("time", [4, 3, 2, 1])}))
    got = {s["name"]: (s["nulls"], s["min"], s["max"], s["sum"])
           for s in stats(root)}
    top = "ffff:" * 7 + "ffff"
    want = {"a": ("0", "0", "4294967295", "4294967305"),
            "b": ("2", "-5", str(2**40), str(2**40 - 5)),
            "c": ("0", "1", str(2**63), "-"),
            "d": ("0", str(-2**63), "1", str(-2**63)),
            "e": ("0", "-", "-", "-"), "f": ("1", "-2", "3", "-"),
            "g": ("1", "::", top, "-"), "h": ("2", "-", "-", "-"),
            "i": ("2", "0", str(2**64 - 1), str(2**64 - 1)),
            "j": ("0", "200", "200", "800"), "k": ("4", "-", "-", "-"),
            "l": ("1", "7", "9", "24"), "_id": ("0", "1", "4", "10")}
    for name, w in want.items():
        tap.equal(got[name], w, name)


def test_related(root):
    """times relative to each other, values that belong to addresses"""
    n = 65536
    addr = [rnd.getrandbits(32) for _ in range(20000)]
    src = [rnd.choice(addr) for _ in range(n)]
    uptime = [10**9 + i * 3 + rnd.randrange(15000) for i in range(n)]
    boot = [1795000000000 + (i // 25 % 7) for i in range(n)]
    cols = {"src_addr": ("ipv4", src),
            "src_as": ("u32", [a >> 16 if rnd.random() > 0.01 else 1
                               for a in src]),
            "src_mask": ("u8", [16 + a % 9 for a in src]),
            "input": ("u32", [a >> 24 for a in src]),
            "last": ("u32", [u & 0xffffffff for u in uptime]),
            "first": ("u32", [u - rnd.choice([0, 0, rnd.randrange(60000)])
                              for u in uptime]),
            "end_time": ("time", [(u + b) * 1000
                                  for u, b in zip(uptime, boot)]),
            "_time": ("time", [1795000000000000 + 1000 * 10**9 + i // 25
                               for i in range(n)])}
    cols["start_time"] = ("time", [
        (f + b) * 1000 for f, b in zip(cols["first"][1], boot)])
    tap.equal(store(root, batch(n, cols)), (0, ""), "flowstore")
    check(rows(root), cols, n)
    size = {s["name"]: int(s["stored"]) for s in stats(root)}
    assert size["src_as"] < n and size["input"] < n / 2, size
    assert size["end_time"] + size["start_time"] < size["first"] + \
        size["last"] or size["first"] + size["last"] < n * 2, size


def test_two_runs(root):
    """a second run goes on where the first ended"""
    a, b = small(1000), small(500)
    store(root, batch(1000, a))
    store(root, batch(500, b, number=2))
    got = rows(root)
    check(got[:1000], a, 1000)
    check(got, b, 500, 1000)


tap.main(globals())
