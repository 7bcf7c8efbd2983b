#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# What goes through flowlog untouched, and what it does with broken input.
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

rnd = random.Random(1)


def sample(rows, number, types=True):
    """All types, plain, with nulls and constant."""
    u = lambda bits: [rnd.getrandbits(bits) for _ in range(rows)]  # noqa: E731
    c = {
        "bool": ("bool", u(1)), "u8": ("u8", u(8)), "u16": ("u16", u(16)),
        "u32": ("u32", u(32)), "u64": ("u64", u(64)),
        "i64": ("i64", [v - 2**63 for v in u(64)]),
        "f64": ("f64", [v / 7 for v in u(32)]),
        "time": ("time", [v - 2**62 for v in u(63)]),
        "ipv4": ("ipv4", u(32)),
        "ip": ("ip", [rnd.randbytes(16) for _ in range(rows)]),
        "mac": ("mac", u(48)),
        "string": ("string", ["é" * rnd.randrange(5) for _ in range(rows)]),
        "bytes": ("bytes", [rnd.randbytes(rnd.randrange(9))
                            for _ in range(rows)]),
    }
    for name in list(c):
        kind, v = c[name]
        if rows:
            c[name + "_nulls"] = (kind, [x if rnd.random() < .7 else None
                                         for x in v])
            c[name + "_all"] = (kind, All(v[0]))
            c[name + "_none"] = (kind, All(None))
    return batch(rows, c, number)


def nothing():
    is_(run(["flowlog"]), (0, b"", ""), "no input, no output")


def untouched():
    for rows in (0, 1, 7, 8, 9, 4096):
        b = sample(rows, rows + 1)
        is_(run(["flowlog"], b) == (0, b, ""), True,
            "a batch of %d rows passes byte by byte" % rows)
    b = b"".join(sample(rnd.randrange(300), i) for i in range(1, 200))
    is_(run(["flowlog"], b) == (0, b, ""), True, "so do 200 batches")
    odd = msgpack.packb([1, 2**64 - 1, 2**64 - 1, 1, ["a"], ["u8"], [7]])
    odd = odd.replace(b"\xa1a", b"\xd9\x01a")  # a longer form than needed
    is_(run(["flowlog"], odd), (0, odd, ""), "an unusual encoding is kept")


def copied():
    """Through a filter that touches every batch and changes no value."""
    for rows in (1, 7, 8, 9, 4096):
        b = sample(rows, rows + 1)
        status, out, err = run(["flowlog", "--fields", "-u8_none"], b)
        want = batches(b)[0]
        del want.types["u8_none"], want.columns["u8_none"]
        got = batches(out)
        is_((status, err, len(got)), (0, "", 1), "%d rows without a column"
            % rows)
        ok(got[0] == want, "and all else is as it was",
           (got[0].types, want.types))


def cut():
    b = [sample(5, i) for i in range(1, 4)]
    whole = b"".join(b)
    for at in (1, 2, 20, len(b[2]) // 2, len(b[2]) - 1):
        status, out, err = run(["flowlog"], b[0] + b[1] + b[2][:at])
        is_((status, out == b[0] + b[1]), (1, True),
            "cut after %d bytes of an object: what was whole is kept" % at)
        ok(err.startswith("flowlog: ") and
           "offset %d" % len(b[0] + b[1]) in err, "with the offset", err)
    status, out, err = run(["flowlog", "--format", "csv", "--fields", "u8"],
                           whole[:-1])
    is_((status, len(out.splitlines())), (1, 11), "as text too")


def corrupt():
    good = sample(5, 1)
    head = [1, 1, 1, 2, ["a"], ["u8"], [b"ab"]]

    def changed(i, v):
        o = list(head)
        o[i] = v
        return msgpack.packb(o, use_bin_type=True)

    cases = {
        "no msgpack": b"\xc1",
        "text": b"hello, world\n",
        "an array that claims 2^32 elements": b"\xdd\xff\xff\xff\xff",
        "a bin that claims 4 GiB": b"\xc6\xff\xff\xff\xff",
        "100 nested arrays": b"\x91" * 100,
        "an integer": b"\x07",
        "another version": changed(0, 2),
        "a negative row count": changed(3, -1),
        "too many rows": changed(3, 65537),
        "a column too short": changed(6, [b"a"]),
        "a column too long": changed(6, [b"abc"]),
        "no type of that name": changed(5, ["u7"]),
        "fewer columns than names": changed(6, []),
        "a name twice": msgpack.packb(
            [1, 1, 1, 1, ["a", "a"], ["u8", "u8"], [1, 1]]),
        "a value of another type": changed(6, ["text"]),
        "a value out of range": changed(6, [256]),
        "strings that go back": msgpack.packb(
            [1, 1, 1, 2, ["a"], ["string"],
             [struct.pack("<III", 0, 3, 2) + b"ab"]], use_bin_type=True),
        "strings past the end": msgpack.packb(
            [1, 1, 1, 1, ["a"], ["string"],
             [struct.pack("<II", 0, 9) + b"ab"]], use_bin_type=True),
        "a bitmap too short": changed(6, [[b"ab", b""]]),
        "a row with a list": msgpack.packb({"a": [1]}),
        "a row with a number for a key": msgpack.packb({1: 1}),
    }
    for name, bad in cases.items():
        status, out, err = run(["flowlog"], good + bad + good)
        is_((status, out == good), (1, True), "corrupt: " + name)
        ok(err.startswith("flowlog: ") and err.count("\n") == 1 and
           "offset %d" % len(good) in err, "with the offset", err)


def hostile():
    """Bits flipped at random: no crash, whatever else."""
    b = sample(9, 1) + sample(3, 2)
    bad = []
    for i in range(150):
        data = bytearray(b)
        for _ in range(rnd.randrange(1, 6)):
            data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
        f = rnd.choice([[], ["--format", "json"], ["--format", "rows"],
                        ["--fields", "u8,string_nulls", "--format", "csv"]])
        status, _, err = run(["flowlog"] + f, bytes(data))
        if status not in (0, 1) or (status == 1) != (err != ""):
            bad.append((i, status, err))
    is_(bad, [], "150 streams with flipped bits end with 0 or 1")


def many_shapes():
    """More than a table of shapes holds."""
    b = b"".join(batch(2, {"f%d" % i: ("u8", [1, 2]), "g": ("u8", All(i % 9))},
                       i + 1) for i in range(9000))
    is_(run(["flowlog"], b) == (0, b, ""), True, "9000 shapes pass")
    status, out, err = run(["flowlog", "--fields", "-g"], b)
    got = batches(out)
    is_((status, err, len(got)), (0, "", 9000), "9000 shapes pass a filter")
    ok(all(g.types == {"f%d" % i: "u8"} and g.number == i + 1
           for i, g in enumerate(got)), "and each is right")


nothing()
untouched()
copied()
cut()
corrupt()
hostile()
many_shapes()
done()
